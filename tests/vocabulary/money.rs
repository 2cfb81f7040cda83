//! Amounts of money are exact.

use crate::support::{ADA, populated};
use botstore::costs::{AddCost, UserDailyCosts};
use botstore::interactions::SaveInteraction;
use botstore::sessions::GetSession;
use botstore::testing::Plain;
use botstore::users::GetUser;
use botstore::{ErrorKind, Usd};
use proptest::prelude::*;

/// Below this many nano-dollars, a double times a billion is nearest to the amount that it was made of.
const EXACT: i64 = 4_194_304 * 1_000_000_000;

proptest! {
    #[test]
    fn dollars_give_back_each_amount_below_four_million(nanos in -EXACT..EXACT) {
        let amount = Usd::from_nanos(nanos);
        prop_assert_eq!(Usd::from_dollars(amount.dollars()).unwrap(), amount);
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        let shown = amount.to_string().replace('$', "");
        prop_assert_eq!(Usd::from_dollars(shown.parse().unwrap()).unwrap(), amount);
    }
}

#[test]
fn what_is_no_amount_is_refused_in_a_sentence() {
    for dollars in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e10, f64::MAX] {
        let error = Usd::from_dollars(dollars).unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("cost"))
        );
    }
    assert_eq!(Usd::from_dollars(-0.000_000_000_4).unwrap(), Usd::ZERO);
    assert_eq!(
        Usd::from_dollars(0.000_000_000_6).unwrap(),
        Usd::from_nanos(1)
    );
}

#[test]
fn an_amount_reads_as_money() {
    for (nanos, shown) in [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (12_500_000_000, "$12.50"),
        (-250_000_000, "-$0.25"),
        (3_000_000_000, "$3.00"),
        (i64::MIN, "-$9223372036.854775808"),
    ] {
        assert_eq!(Usd::from_nanos(nanos).to_string(), shown);
    }
    assert_eq!(format!("{:.2}", Usd::from_nanos(1_005_000_001)), "$1.01");
    assert_eq!(
        format!("{:>8.2}|", Usd::from_nanos(1_500_000_000)),
        "   $1.50|"
    );
}

#[test]
fn a_sum_ends_where_the_type_ends() {
    let most = Usd::from_nanos(i64::MAX);
    assert_eq!(most + most, most);
    assert_eq!(Usd::from_nanos(i64::MIN) - most, Usd::from_nanos(i64::MIN));
}

#[tokio::test]
async fn a_thousand_amounts_that_no_double_tells_come_to_their_sum_in_each_counter() {
    let store = populated().await;
    let before = store
        .read(GetUser::new(ADA))
        .await
        .unwrap()
        .unwrap()
        .total_cost;
    let session_before = store
        .read(GetSession::new(ADA, "ada-1"))
        .await
        .unwrap()
        .unwrap();
    let day = async || {
        let days = store.read(UserDailyCosts::new(ADA, 0)).await.unwrap();
        days.first().map_or(Usd::ZERO, |day| day.daily_cost)
    };
    let day_before = day().await;
    let mut spent = Usd::ZERO;
    for number in 1..=1_000 {
        let cost = Usd::from_nanos(number * 100_000_007);
        spent += cost;
        let said = SaveInteraction::new(ADA, "ada-1", "x").cost(cost);
        store.write(said).await.unwrap();
    }
    store
        .write(AddCost::new(ADA, Usd::from_nanos(3)))
        .await
        .unwrap();
    let user = store.read(GetUser::new(ADA)).await.unwrap().unwrap();
    let session = store
        .read(GetSession::new(ADA, "ada-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(user.total_cost, before + spent);
    assert_eq!(session.total_cost, session_before.total_cost + spent);
    assert_eq!(day().await, day_before + spent + Usd::from_nanos(3));
}

/// A hundred thousand, in one transaction without actors: what a bot adds up in years.
#[test]
fn a_hundred_thousand_additions_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Plain::open(folder.path().join("bot.db")).unwrap();
    let costs: Vec<i64> = (0..100_000)
        .map(|at| (at * 7_919 + 13) % 8_999_989)
        .collect();
    let sum: i64 = costs.iter().sum();
    let cost = plain
        .write(|tx| {
            tx.apply(&botstore::users::EnsureUser::new(1, None))?;
            for cost in &costs {
                tx.apply(&AddCost::new(1, Usd::from_nanos(*cost)))?;
            }
            Ok(tx.query(&UserDailyCosts::new(1, 0))?[0].daily_cost)
        })
        .unwrap();
    assert_eq!(cost, Usd::from_nanos(sum));
}
