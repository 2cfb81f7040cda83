//! What callers send, made from the seed alone, so that the parent knows what each number must have
//! left in the file.

use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{Result, Store};

/// Who talks to the bot: few, so that all callers change the same counters.
pub(crate) const USERS: u64 = 4;

/// The first requests sign these users up and begin a session of each, one after the other; what
/// comes behind is sent by many at once.
pub(crate) const SIGN_UP: u64 = 2 * USERS;

const TOOLS: [&str; 6] = ["Read", "Bash", "Edit", "Grep", "Write", "WebFetch"];

const FIRST_USER: i64 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    User(EnsureUser),
    Session(CreateSession),
    Interaction(Box<SaveInteraction>),
}

impl Request {
    /// Sends it; gives the id of the message, if it was an interaction.
    pub(crate) async fn send(self, store: &Store) -> Result<Option<i64>> {
        match self {
            Self::User(user) => store.write(user).await.map(|_| None),
            Self::Session(session) => store.write(session).await.map(|_| None),
            Self::Interaction(interaction) => {
                let receipt = store.write(*interaction).await?;
                Ok(Some(receipt.message_id.get()))
            }
        }
    }
}

/// Request `number`.
pub(crate) fn request(seed: u64, number: u64) -> Request {
    let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut dice = fastrand::Rng::with_seed(seed ^ mixed);
    let one_of_us = dice.u64(..USERS);
    match (number, dice.u8(..16)) {
        (0..USERS, _) => user(number),
        (USERS..SIGN_UP, _) => session(number, number - USERS),
        (_, 0) => user(number),
        (_, 1) => session(number, one_of_us),
        _ => Request::Interaction(Box::new(interaction(number, one_of_us, dice))),
    }
}

/// The number of the request that made this user.
pub(crate) fn number_of_user(user_id: i64) -> Option<u64> {
    user_id.checked_sub(FIRST_USER)?.try_into().ok()
}

pub(crate) fn number_of_session(session_id: &str) -> Option<u64> {
    session_id.strip_prefix("session-")?.parse().ok()
}

pub(crate) fn number_of_message(prompt: &str) -> Option<u64> {
    prompt.strip_prefix('#')?.split(' ').next()?.parse().ok()
}

fn user_id(number: u64) -> i64 {
    FIRST_USER + number as i64
}

fn session_id(number: u64) -> String {
    format!("session-{number}")
}

fn user(number: u64) -> Request {
    let name = format!("user_{number}");
    Request::User(EnsureUser::new(user_id(number), name.as_str()))
}

fn session(number: u64, user: u64) -> Request {
    Request::Session(CreateSession::new(
        user_id(user),
        session_id(number),
        format!("/srv/project-{number}"),
    ))
}

fn interaction(number: u64, user: u64, mut dice: fastrand::Rng) -> SaveInteraction {
    let failed = dice.u8(..) < 8;
    let tools = (0..2).map(|_| {
        let call = ToolCall::new(TOOLS[dice.usize(..TOOLS.len())])
            .input(serde_json::json!({ "path": format!("src/{number}.rs"), "line": dice.u16(..) }));
        match failed {
            true => call.failed("exit code 1"),
            false => call,
        }
    });
    let tools = tools.collect();
    // Some are longer than a page of the file.
    let response_bytes = match dice.u8(..16) {
        0 => dice.usize(4_000..12_000),
        _ => dice.usize(20..1_000),
    };
    {
        let mut new = SaveInteraction::new(
            user_id(user),
            session_id(USERS + user),
            text(number, "What does this do? ", dice.usize(30..300)),
        )
        .cost(usd(f64::from(dice.u16(..)) / 1_048_576.0))
        .duration_ms(dice.u64(200..60_000))
        .turns(dice.u32(1..8))
        .tools(tools)
        .ip_address(format!("192.0.2.{}", dice.u8(..)))
        .idempotency_key(format!("update-{number}"));
        new.response = (!failed).then(|| text(number, "It does the following. ", response_bytes));
        new.error = failed.then(|| "TimeoutError".to_owned());
        new
    }
}

fn text(number: u64, phrase: &str, bytes: usize) -> String {
    let mut text = format!("#{number} ");
    while text.len() < bytes {
        text.push_str(phrase);
    }
    text.truncate(bytes);
    text
}
