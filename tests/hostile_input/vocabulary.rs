//! Every message that there is, by an example that has all of its fields. Messages are sent as JSON,
//! so that a test can put anything into any field of any of them.
//!
//! Nothing can be forgotten: `complete` compares the list with the sources.

use crate::models::about_models;
use botstore::analytics::*;
use botstore::audit::*;
use botstore::costs::*;
use botstore::integrity::CheckFile;
use botstore::interactions::*;
use botstore::limits::*;
use botstore::messages::*;
use botstore::metadata::*;
use botstore::rollups::ReconcileRollups;
use botstore::sessions::*;
use botstore::timers::*;
use botstore::tokens::*;
use botstore::tools::*;
use botstore::updates::*;
use botstore::usage::*;
use botstore::users::*;
use botstore::{Error, Mutation, Query, Read, ReadTx, Result, Store, Write, WriteTx};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::pin::Pin;

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It cannot be said: the type of the field has no such value.
    Unsayable,
    Refused(Error),
    /// A change that was made.
    Made,
    /// The answer to a question, as JSON where it has one.
    Said(Value),
}

/// How a message comes to the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Direct,
    /// By the call that does not wait.
    Try,
    /// To an actor.
    Port,
    /// Made or asked by another operation, in its transaction.
    Inside,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Try, Self::Port, Self::Inside];
}

/// A host's operation that leaves its work to another.
struct Inside<M>(M);

impl<M: Mutation> Mutation for Inside<M> {
    type Output = M::Output;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<M::Output> {
        tx.apply(&self.0)
    }
}

/// The same for a question.
struct Within<Q>(Q);

impl<Q: Query> Query for Within<Q> {
    type Output = Q::Output;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<Q::Output> {
        tx.query(&self.0)
    }
}

pub(crate) async fn make<M: Mutation>(store: &Store, message: M, way: Way) -> Result<M::Output> {
    match way {
        Way::Direct => store.write(message).await,
        Way::Try => store.try_write(message).await,
        Way::Port => store.mutations().send(Write(message)).await?,
        Way::Inside => store.write(Inside(message)).await,
    }
}

async fn ask<Q: Query>(store: &Store, message: Q, way: Way) -> Result<Q::Output> {
    match way {
        Way::Direct => store.read(message).await,
        Way::Try => store.try_read(message).await,
        Way::Port => store.queries().send(Read(message)).await?,
        Way::Inside => store.read(Within(message)).await,
    }
}

type Sent = Pin<Box<dyn Future<Output = Answer> + Send>>;

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Whether it changes nothing.
    pub(crate) is_question: bool,
    /// With every field; `#` stands for a number that no other message has.
    pub(crate) example: Value,
    /// The example as the message itself writes it, to see that it has every field.
    pub(crate) again: fn(&Value) -> Value,
    send: fn(Store, Value, Way) -> Sent,
}

impl Kind {
    pub(crate) async fn send(&self, store: &Store, message: Value) -> Answer {
        self.send_by(Way::Direct, store, message).await
    }

    pub(crate) async fn send_by(&self, way: Way, store: &Store, message: Value) -> Answer {
        (self.send)(store.clone(), message, way).await
    }
}

fn again<M: Serialize + DeserializeOwned>(example: &Value) -> Value {
    let message: M = serde_json::from_value(example.clone()).expect("an example is a message");
    serde_json::to_value(message).expect("JSON")
}

fn answer<T>(result: Result<T>, told: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or_else(Answer::Refused, told)
}

pub(crate) fn change<M>(example: Value) -> Kind
where
    M: Mutation + Serialize + DeserializeOwned,
{
    Kind {
        name: M::name(),
        is_question: false,
        example,
        again: again::<M>,
        send: |store, message, way| {
            Box::pin(async move {
                match serde_json::from_value::<M>(message) {
                    Ok(message) => answer(make(&store, message, way).await, |_| Answer::Made),
                    Err(_) => Answer::Unsayable,
                }
            })
        },
    }
}

pub(crate) fn question<Q>(example: Value) -> Kind
where
    Q: Query<Output: Serialize> + Serialize + DeserializeOwned,
{
    Kind {
        name: Q::name(),
        is_question: true,
        example,
        again: again::<Q>,
        send: |store, message, way| {
            Box::pin(async move {
                match serde_json::from_value::<Q>(message) {
                    Ok(message) => answer(ask(&store, message, way).await, |output| {
                        Answer::Said(serde_json::to_value(output).expect("JSON"))
                    }),
                    Err(_) => Answer::Unsayable,
                }
            })
        },
    }
}

/// A question whose answer has no JSON.
fn reconcile() -> Kind {
    Kind {
        name: ReconcileRollups::name(),
        is_question: true,
        example: Value::Null,
        again: again::<ReconcileRollups>,
        send: |store, _, way| {
            let asked = async move { ask(&store, ReconcileRollups::new(), way).await };
            Box::pin(async move { answer(asked.await, |_| Answer::Said(Value::Null)) })
        },
    }
}

/// A question that has no JSON, because it is a secret.
fn verify() -> Kind {
    Kind {
        name: VerifyToken::name(),
        is_question: true,
        example: json!({ "secret": "s" }),
        again: Value::clone,
        send: |store, message, way| {
            Box::pin(async move {
                let Some(secret) = message["secret"].as_str().map(Secret::new) else {
                    return Answer::Unsayable;
                };
                let token = ask(&store, VerifyToken::new(secret), way).await;
                answer(token, |token| Answer::Said(json!(token)))
            })
        },
    }
}

/// Of user 1, who has the session `s` with message 1 in it.
pub(crate) fn vocabulary() -> Vec<Kind> {
    let hour = json!({ "secs": 3_600, "nanos": 1 });
    // When message 1 was saved, by the clock of a test.
    let at = "2026-03-10T15:30:00Z";
    let page = json!({ "limit": 5, "after": "1773156600000000.7" });
    let sessions = json!({ "limit": 5, "after": "1773156600000000:s" });
    let tool = json!({
        "tool_name": "Read", "tool_input": { "input": "a.rs", "line": 5 }, "success": false,
        "error_message": "none", "call_id": "call-1", "result": "r", "duration_ms": 5,
    });
    let usage = json!({
        "provider": "openai", "model": "m-1", "response_model": "gpt-1", "response_id": "resp-1",
        "input_tokens": 50, "cached_input_tokens": 5, "cache_write_tokens": 5, "output_tokens": 50,
        "reasoning_tokens": 5, "cost": 0.5, "cost_source": "estimate", "finish_reason": "stop",
        "first_token_ms": 5, "chat": { "platform": "telegram", "chat_id": "-1" }, "thread_id": "t",
        "platform_message_id": "m", "reply_to": "m-0",
        "prompt": { "body": "Be brief.", "name": "support", "version": "7" },
    });
    let attachment = json!({
        "kind": "photo", "direction": "in", "mime": "image/png", "name": "a.png", "bytes": 5,
        "sha256": vec![7; 32], "platform_file_id": "AgAC",
    });
    let metadata = json!({ "input": "x", "port": 22 });
    let ticket = |of: &str| json!({ "source": "telegram", "update_id": of, "number": 7 });
    let filter = json!({
        "event_type": "login", "since": "2026-03-01T00:00:00Z", "until": "2027-03-01T00:00:00Z",
    });
    let span = json!({ "between": { "from": "2026-03-01", "to": "2026-03-10" } });
    vec![
        change::<EnsureUser>(json!({ "who": { "user_id": 1 }, "username": "ada", "at": at })),
        change::<EnsureUser>(json!({
            "who": { "external": { "platform": "matrix", "external_id": "@ada:example.org" } },
            "username": "ada", "at": at,
        })),
        question::<GetExternalUser>(
            json!({ "platform": "matrix", "external_id": "@ada:example.org" }),
        ),
        question::<GetExternalId>(json!({ "user_id": 1 })),
        change::<SetAllowed>(json!({ "user_id": 1, "allowed": true, "by": 7 })),
        change::<CorrectUserTotals>(json!({
            "user_id": 1, "total_cost": 0.5, "message_count": 1, "session_count": 1, "by": 7,
        })),
        change::<RecountUserTotals>(json!({ "user_id": 1, "by": 7 })),
        change::<Touch>(json!({ "user_id": 1 })),
        question::<GetUser>(json!({ "user_id": 1 })),
        question::<IsAllowed>(json!({ "user_id": 1 })),
        question::<AllowedUsers>(json!({ "page": page })),
        question::<ListUsers>(json!({ "page": page })),
        change::<CreateSession>(
            json!({ "session_id": "new-#", "user_id": 1, "project_path": "/srv", "at": at, "by": 7 }),
        ),
        change::<SaveSession>(json!({
            "session_id": "own-#", "user_id": 1, "project_path": "/srv", "total_cost": 0.5,
            "total_turns": 2, "message_count": 1, "by": 7,
        })),
        change::<EnsureSession>(
            json!({ "session_id": "ensured-#", "user_id": 1, "project_path": "/srv", "by": 7 }),
        ),
        change::<EndSession>(json!({ "session_id": "s", "user_id": 1, "by": 7 })),
        change::<ExpireIdle>(json!({ "idle_for": hour })),
        question::<GetSession>(json!({ "session_id": "s", "user_id": 1 })),
        question::<GetAnySession>(json!({ "session_id": "s" })),
        question::<UserSessions>(
            json!({ "user_id": 1, "which": "all", "whose": "both", "page": sessions }),
        ),
        question::<ProjectSessions>(
            json!({ "project_path": "/srv", "which": "all", "page": sessions }),
        ),
        question::<ActiveSessions>(json!({ "page": sessions })),
        question::<SessionSummary>(json!({ "user_id": 1 })),
        question::<SessionHistory>(json!({ "session_id": "s", "user_id": 1, "limit": 5 })),
        change::<ShareSession>(json!({ "session_id": "s", "user_id": 1, "with_user": 1, "by": 7 })),
        change::<UnshareSession>(
            json!({ "session_id": "s", "user_id": 1, "with_user": 1, "by": 7 }),
        ),
        question::<SessionMembers>(json!({ "session_id": "s", "user_id": 1, "page": page })),
        change::<SaveInteraction>(json!({
            "user_id": 1, "session_id": "made-#", "prompt": "p", "response": "r", "cost": 0.5,
            "duration_ms": 5, "turns": 1, "error": "e", "tools": [tool],
            "ip_address": "10.0.0.1", "idempotency_key": "key-#", "creating": "/srv",
            "username": "ada", "into_ended": "refuse", "at": at, "joining": 1,
            "usage": usage, "attachments": [attachment], "metadata": metadata, "reservation": 1,
        })),
        question::<FindInteraction>(json!({ "user_id": 1, "idempotency_key": "key-#" })),
        change::<ClaimUpdate>(
            json!({ "source": "telegram", "update_id": "update-#", "lease": hour }),
        ),
        change::<FinishUpdate>(json!({ "ticket": ticket("finished-#") })),
        change::<ReleaseUpdate>(json!({ "ticket": ticket("released-#") })),
        change::<SweepKeys>(json!({ "older_than": hour })),
        change::<SaveMessage>(json!({
            "user_id": 1, "session_id": "said-#", "prompt": "p", "response": "r", "cost": 0.5,
            "duration_ms": 5, "error": "e", "creating": "/srv", "username": "ada",
            "into_ended": "revive", "at": at,
        })),
        question::<GetMessage>(json!({ "message_id": 1, "user_id": 1 })),
        change::<RateMessage>(json!({
            "message_id": 1, "user_id": 1, "rating": "down", "tag": "wrong", "comment": "c",
        })),
        question::<MessageDetails>(json!({ "message_id": 1, "user_id": 1 })),
        change::<SetMetadata>(json!({ "user_id": 1, "session_id": "s", "metadata": metadata })),
        question::<GetMetadata>(json!({ "user_id": 1, "session_id": "s" })),
        question::<PromptText>(json!({ "prompt_id": 1 })),
        question::<SessionMessages>(
            json!({ "session_id": "s", "user_id": 1, "page": page, "order": "oldest_first" }),
        ),
        question::<UserMessages>(json!({ "user_id": 1, "page": page, "order": "oldest_first" })),
        question::<RecentMessages>(
            json!({ "within": hour, "page": page, "order": "oldest_first" }),
        ),
        change::<RecordToolUse>(
            json!({ "session_id": "s", "user_id": 1, "message_id": 1, "call": tool }),
        ),
        question::<GetToolResult>(json!({ "user_id": 1, "tool_use_id": 1 })),
        question::<SessionToolUse>(json!({ "session_id": "s", "user_id": 1, "page": page })),
        question::<UserToolUse>(json!({ "user_id": 1, "page": page })),
        question::<ToolStats>(json!({ "limit": 5 })),
        change::<LogEvent>(json!({
            "user_id": 1, "event_type": "login", "event_data": { "input": "x", "port": 22 },
            "success": true, "ip_address": "10.0.0.1",
        })),
        question::<UserAuditLog>(json!({ "user_id": 1, "filter": filter, "page": page })),
        question::<RecentAuditLog>(json!({ "filter": filter, "page": page })),
        change::<IssueToken>(json!({ "user_id": 1, "expires_in": hour, "by": 7 })),
        change::<RevokeToken>(json!({ "token_id": 1, "user_id": 1, "by": 7 })),
        change::<RevokeUserTokens>(json!({ "user_id": 1, "by": 7 })),
        verify(),
        question::<UserTokens>(json!({ "user_id": 1, "page": page })),
        change::<At>(json!({
            "at": "2026-03-10T16:00:00Z", "name": "name-#", "message": { "input": "x", "port": 22 },
        })),
        change::<After>(json!({
            "after": hour, "name": "name-#", "message": { "input": "x", "port": 22 },
        })),
        change::<CancelTimer>(json!({ "timer_id": 1 })),
        question::<Timers>(json!({ "name": "name-1", "page": page })),
        change::<AddCost>(
            json!({ "user_id": 1, "cost": 0.5, "at": at, "usage": usage, "reservation": 1 }),
        ),
        change::<SetLimit>(json!({
            "limit": {
                "scope": { "model": "m-#" }, "per": "day", "max": { "requests": 900_000 },
                "soft": { "requests": 800_000 },
            },
            "by": 1,
        })),
        change::<RemoveLimit>(
            json!({ "scope": { "user": 7 }, "per": "week", "measure": "tokens", "by": 1 }),
        ),
        change::<Reserve>(json!({
            "user_id": 1, "estimate": 0.5, "tokens": 9, "model": "m-1", "expires_in": hour,
            "chat": { "platform": "telegram", "chat_id": "-1" },
        })),
        change::<Release>(json!({ "user_id": 1, "reservation": 1 })),
        question::<UserBudget>(json!({
            "user_id": 1, "chat": { "platform": "telegram", "chat_id": "-1" }, "model": "m-1",
        })),
        question::<Limits>(json!({ "page": page })),
        question::<NamedBudgets>(json!({ "page": page })),
        question::<ModelUsage>(json!({ "days": 5 })),
        question::<UserModelUsage>(json!({ "user_id": 1, "days": 5 })),
        question::<UsageByUser>(json!({ "days": 5 })),
        question::<UsageByDay>(json!({ "days": 5, "model": "m-1" })),
        question::<UserUsageByDay>(json!({ "user_id": 1, "days": 5, "model": "m-1" })),
        question::<UserDailyCosts>(json!({ "user_id": 1, "days": 5 })),
        question::<TotalCosts>(json!({ "days": 5 })),
        question::<UserStats>(json!({ "user_id": 1, "span": span })),
        question::<SystemStats>(Value::Null),
        question::<DailyActivity>(json!({ "days": 5 })),
        question::<Activity>(json!({ "span": span, "by": "week", "gaps": "fill" })),
        question::<UserActivity>(
            json!({ "user_id": 1, "span": span, "by": "week", "gaps": "fill" }),
        ),
        question::<ActiveUsers>(json!({ "within": hour })),
        question::<TopUsers>(json!({ "limit": 5 })),
        question::<UserDashboard>(json!({ "user_id": 1 })),
        question::<AdminDashboard>(json!({ "users": page, "days": 5 })),
        question::<TimeZone>(Value::Null),
        reconcile(),
        question::<CheckFile>(Value::Null),
        // Last, since what they delete is what the others are about.
        change::<EditMessage>(json!({
            "message_id": 1, "user_id": 1, "prompt": "p", "response": "r", "cost": 0.5,
            "duration_ms": 5, "error": "e",
        })),
        change::<DeleteMessage>(json!({ "message_id": 1, "user_id": 1 })),
        change::<DeleteSession>(json!({ "session_id": "s", "user_id": 1, "by": 7 })),
        change::<DeleteUser>(json!({ "user_id": 1 })),
    ]
    .into_iter()
    .chain(about_models())
    .collect()
}
