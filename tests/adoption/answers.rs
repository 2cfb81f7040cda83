//! Answers that do not depend on the time: who is there, which sessions, which tokens.

use crate::legacy::{Legacy, array, check_newest_first, dump, list, object, text};
use crate::statistics::sum_of_nothing_is_zero;
use botstore::analytics::{UserDashboard, UserStats};
use botstore::audit::{EventFilter, UserAuditLog};
use botstore::messages::{SessionMessages, UserMessages};
use botstore::rusqlite::types::Value as Cell;
use botstore::sessions::{
    ActiveSessions, GetSession, ProjectSessions, Session, SessionFilter, SessionHistory,
    SessionSummary, UserSessions,
};
use botstore::tokens::UserTokens;
use botstore::tools::{SessionToolUse, UserToolUse};
use botstore::users::{AllowedUsers, GetUser, IsAllowed, ListUsers, User};
use serde_json::{Value, json};

#[tokio::test]
async fn rows_and_sums_are_those_that_the_bot_left() {
    for legacy in Legacy::all_taken_over().await {
        let tables = dump(&legacy.path);
        for (table, count) in object(&legacy.expected["counts"]) {
            let rows = json!(tables[table].len());
            legacy.check(table, &rows, count);
        }
        for (name, expected) in object(&legacy.expected["sums"]) {
            let (table, column) = name.split_once('.').unwrap();
            let cells = tables[table].iter().map(|row| match row[column] {
                Cell::Real(number) => number,
                Cell::Integer(number) => number as f64,
                Cell::Null => 0.0,
                _ => panic!("{name} is not a number"),
            });
            legacy.check(name, &json!(cells.sum::<f64>()), expected);
        }
    }
}

#[tokio::test]
async fn every_user_is_who_the_bot_knew() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let users = list(&store, |page| ListUsers::new().page(page)).await;
        check_newest_first(users.iter().map(|user| (user.first_seen, user.user_id)));
        legacy.check(
            "all users",
            &user_ids(users),
            legacy.timeless("all_user_ids"),
        );

        let allowed = list(&store, |page| AllowedUsers::new().page(page)).await;
        check_newest_first(allowed.iter().map(|user| (user.first_seen, user.user_id)));
        let expected = legacy.timeless("allowed_user_ids");
        legacy.check("allowed users", &user_ids(allowed), expected);

        for user_id in legacy.user_ids() {
            let expected = &legacy.timeless("per_user")[user_id.to_string()];
            let user = store.read(GetUser::new(user_id)).await.unwrap().unwrap();
            let answer = json!({
                "user_id": user.user_id,
                "telegram_username": user.username,
                "first_seen": user.first_seen,
                "last_active": user.last_active,
                "is_allowed": user.is_allowed,
                "total_cost": user.total_cost,
                "message_count": user.message_count,
                "session_count": user.session_count,
            });
            legacy.check("user", &answer, &expected["user"]);
            let allowed = json!(store.read(IsAllowed::new(user_id)).await.unwrap());
            legacy.check("is allowed", &allowed, &expected["is_user_allowed"]);
        }
    }
}

fn user_ids(users: Vec<User>) -> Value {
    let mut ids: Vec<_> = users.into_iter().map(|user| user.user_id).collect();
    ids.sort();
    json!(ids)
}

#[tokio::test]
async fn every_session_is_what_the_bot_knew_and_only_its_owner_gets_it() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for (session_id, owner) in legacy.sessions() {
            let mut expected = legacy.timeless("per_session")[session_id].clone();
            let fields = expected.as_object_mut().unwrap();
            let (messages, tools) = (fields.remove("messages"), fields.remove("tool_usage"));
            let session_id = session_id.to_owned();
            for user_id in legacy.user_ids() {
                let question = GetSession::new(user_id, session_id.clone());
                let session = store.read(question).await.unwrap();
                let answer = json!(session);
                let expected = if user_id == owner {
                    &expected
                } else {
                    &Value::Null
                };
                legacy.check("session", &answer, expected);
            }

            let said = list(&store, |page| {
                SessionMessages::new(owner, session_id.clone()).page(page)
            })
            .await;
            check_newest_first(said.iter().map(|said| said.message_id));
            legacy.check("messages", &json!(said.len()), &messages.unwrap());
            let right = &legacy.expected["true"]["session_totals"][&session_id];
            let cost: f64 = said.iter().map(|said| said.cost.dollars()).sum();
            let totals = json!({ "messages": said.len(), "cost": cost });
            legacy.check("totals of the session", &totals, right);

            let used = list(&store, |page| {
                SessionToolUse::new(owner, session_id.clone()).page(page)
            })
            .await;
            check_newest_first(used.iter().map(|used| used.id));
            legacy.check("tool uses", &json!(used.len()), &tools.unwrap());
        }
    }
}

#[tokio::test]
async fn loading_a_session_answers_its_owner_and_nobody_else() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let expected = legacy.timeless("load_session");
        for (who, answer) in [("owner", "by_owner"), ("other_user", "by_other_user")] {
            let question = GetSession::new(
                expected[who].as_i64().unwrap(),
                text(&expected["session_id"]).to_owned(),
            );
            let session = store.read(question).await.unwrap().map(|session| {
                json!({
                    "session_id": session.session_id,
                    "user_id": session.user_id,
                    "project_path": session.project_path,
                    "created_at": session.created_at,
                    "last_used": session.last_used,
                    "total_cost": session.total_cost,
                    "total_turns": session.total_turns,
                    "message_count": session.message_count,
                    // The bot keeps these in memory only.
                    "tools_used": [],
                })
            });
            legacy.check(who, &json!(session), &expected[answer]);
        }
    }
}

#[tokio::test]
async fn active_sessions_are_the_same_by_project_and_altogether() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let active = list(&store, |page| ActiveSessions::new().page(page)).await;
        let expected = legacy.timeless("get_all_sessions");
        legacy.check("active sessions", &session_ids(active), expected);
        for (project, expected) in object(legacy.timeless("active_sessions_by_project")) {
            let sessions = list(&store, |page| {
                ProjectSessions::new(project.clone())
                    .which(SessionFilter::Active)
                    .page(page)
            })
            .await;
            legacy.check(project, &session_ids(sessions), expected);
        }
    }
}

fn session_ids(sessions: Vec<Session>) -> Value {
    check_newest_first(sessions.iter().map(|s| (s.last_used, &s.session_id)));
    let mut ids: Vec<_> = sessions.iter().map(|s| &s.session_id).collect();
    ids.sort();
    json!(ids)
}

#[tokio::test]
async fn each_user_has_as_many_of_everything_as_before() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        for user_id in legacy.user_ids() {
            let expected = &legacy.timeless("per_user")[user_id.to_string()];
            for (which, name) in [
                (SessionFilter::All, "sessions"),
                (SessionFilter::Active, "active_sessions"),
            ] {
                let sessions = list(&store, |page| {
                    UserSessions::new(user_id).which(which).page(page)
                })
                .await;
                legacy.check(name, &json!(sessions.len()), &expected[name]);
            }
            let messages = list(&store, |page| UserMessages::new(user_id).page(page)).await;
            legacy.check("messages", &json!(messages.len()), &expected["messages"]);
            let used = list(&store, |page| UserToolUse::new(user_id).page(page)).await;
            let name = "tool_usage_in_own_sessions";
            legacy.check(name, &json!(used.len()), &expected[name]);

            let everything = list(&store, |page| UserAuditLog::new(user_id).page(page)).await;
            let mut of_known_types = 0;
            for (event_type, count) in object(&expected["audit_events"]) {
                let events = list(&store, |page| {
                    UserAuditLog::new(user_id)
                        .filter(EventFilter::new().event_type(event_type.clone()))
                        .page(page)
                })
                .await;
                legacy.check(event_type, &json!(events.len()), count);
                of_known_types += events.len();
            }
            assert_eq!(everything.len(), of_known_types, "{}", legacy.name);

            let expected = &expected["get_user_session_summary"];
            let summary = store.read(SessionSummary::new(user_id)).await.unwrap();
            legacy.check("summary", &json!(summary), &by_name(expected));
        }
    }
}

/// The bot lists projects in no order.
fn by_name(summary: &Value) -> Value {
    let mut summary = summary.clone();
    let mut projects: Vec<_> = array(&summary["projects"]).iter().map(text).collect();
    projects.sort();
    summary["projects"] = json!(projects);
    summary
}

#[tokio::test]
async fn a_stranger_gets_the_answers_that_the_bot_gave() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let expected = legacy.timeless("unknown");
        let user_id = 987_654_321;
        let session_id = "no-such-session".to_owned();

        let user = json!(store.read(GetUser::new(user_id)).await.unwrap());
        legacy.check("user", &user, &expected["get_user"]);
        let allowed = json!(store.read(IsAllowed::new(user_id)).await.unwrap());
        legacy.check("allowed", &allowed, &expected["is_user_allowed"]);
        let dashboard = json!(store.read(UserDashboard::new(user_id)).await.unwrap());
        legacy.check("dashboard", &dashboard, &expected["get_user_dashboard"]);
        let summary = json!(store.read(SessionSummary::new(user_id)).await.unwrap());
        legacy.check("summary", &summary, &expected["get_user_session_summary"]);
        let stats = store.read(UserStats::new(user_id)).await.unwrap();
        let stats = json!({
            "total_sessions": stats.total_sessions,
            "total_messages": stats.total_messages,
            "total_cost": stats.total_cost,
            "avg_cost": stats.avg_cost,
            "last_activity": stats.last_activity,
            "avg_duration": stats.avg_duration_ms,
        });
        let expected_stats = sum_of_nothing_is_zero(&expected["get_user_stats"]);
        legacy.check("statistics", &stats, &expected_stats);

        let known = legacy.user_ids()[0];
        let history = SessionHistory::new(known, session_id.clone()).limit(10);
        let history = json!(store.read(history).await.unwrap());
        legacy.check("history", &history, &expected["get_session_history"]);
        let session = GetSession::new(known, session_id);
        let session = json!(store.read(session).await.unwrap());
        legacy.check("session", &session, &expected["get_session"]);
    }
}

#[tokio::test]
async fn tokens_keep_their_times_and_their_state() {
    for legacy in Legacy::all_taken_over().await {
        let store = legacy.open().await;
        let expected = array(legacy.timeless("user_tokens"));
        let mut found = 0;
        for user_id in legacy.user_ids() {
            let tokens = list(&store, |page| UserTokens::new(user_id).page(page)).await;
            check_newest_first(tokens.iter().map(|t| t.token_id));
            found += tokens.len();
            for token in tokens {
                let mut expected = expected
                    .iter()
                    .find(|expected| expected["token_id"] == token.token_id.get())
                    .unwrap()
                    .clone();
                let fields = expected.as_object_mut().unwrap();
                // No answer tells the hash; that the column stays is another test's matter.
                fields.remove("token_hash");
                let expired = fields.remove("is_expired_as_of").unwrap();
                legacy.check("token", &json!(token), &expected);
                let past = token.expires_at.is_some_and(|at| at <= store.now());
                // The bot itself failed on a time without an offset, and says so in words.
                if expired.is_boolean() {
                    legacy.check("expired", &json!(past), &expired);
                }
            }
        }
        assert_eq!(found, expected.len(), "{}", legacy.name);
    }
}
