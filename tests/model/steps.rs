//! What happens in a history.

use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ensure(i64),
    Allow(i64, bool),
    Create(u8, i64),
    Save {
        session: u8,
        user: i64,
        cost: u16,
        tools: u8,
        key: Option<u8>,
        /// How many seconds ago it was, for one of history.
        ago: Option<u32>,
    },
    /// By its number among all that were saved, whether it is still there or not.
    Edit(u8, i64, u16, bool),
    DeleteMessage(u8, i64),
    DeleteSession(u8, i64),
    DeleteUser(i64),
    End(u8, i64),
    Wait(u32),
    Expire(u32),
    AddCost(i64, u16),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = 0_i64..4;
    let session = 0_u8..5;
    let step = prop_oneof![
        2 => user.clone().prop_map(Step::Ensure),
        1 => (user.clone(), any::<bool>()).prop_map(|(u, a)| Step::Allow(u, a)),
        2 => (session.clone(), user.clone()).prop_map(|(s, u)| Step::Create(s, u)),
        8 => (
            (session.clone(), user.clone(), any::<u16>(), 0_u8..3),
            proptest::option::of(0_u8..6),
            proptest::option::weighted(0.2, 0_u32..200_000),
        )
            .prop_map(|((session, user, cost, tools), key, ago)| {
                Step::Save { session, user, cost, tools, key, ago }
            }),
        2 => (0_u8..20, user.clone(), any::<u16>(), any::<bool>())
            .prop_map(|(id, u, cost, fails)| Step::Edit(id, u, cost, fails)),
        3 => (0_u8..20, user.clone()).prop_map(|(id, u)| Step::DeleteMessage(id, u)),
        1 => (session.clone(), user.clone()).prop_map(|(s, u)| Step::DeleteSession(s, u)),
        1 => user.clone().prop_map(Step::DeleteUser),
        1 => (session, user.clone()).prop_map(|(s, u)| Step::End(s, u)),
        2 => (0_u32..100_000).prop_map(Step::Wait),
        1 => (0_u32..100_000).prop_map(Step::Expire),
        1 => (user, any::<u16>()).prop_map(|(u, c)| Step::AddCost(u, c)),
    ];
    proptest::collection::vec(step, 1..60)
}
