//! Texts that would be more than text to a careless store.

use crate::support::{ADA, changes_nothing, picture, populated, user};
use botstore::audit::{EventFilter, LogEvent, RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::sessions::{
    CreateSession, GetSession, ProjectSessions, SessionFilter, SessionHistory,
};
use botstore::tokens::{Secret, VerifyToken};
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use serde_json::json;

const INJECTIONS: &[&str] = &[
    "'); DROP TABLE users; --",
    "\"; DELETE FROM messages; --",
    "' OR '1'='1",
    "1; ATTACH 'x.db' AS x; --",
    "?1 :name @name $name %s {} \\",
    "\u{0}'\u{0}",
    "/* */ -- \n; COMMIT;",
    "../../../etc/passwd",
    "%' ESCAPE '%",
    "🤖\u{202e}'",
];

#[tokio::test]
async fn whatever_a_text_says_it_is_only_text() {
    let store = populated().await;
    for (n, &text) in (1..).zip(INJECTIONS) {
        let user_id = 100 + n;
        let named = store.write(EnsureUser::new(user_id, Some(text))).await;
        assert_eq!(named.expect("a user").username.as_deref(), Some(text));
        let session_id = text.to_owned();
        let create = CreateSession::new(user_id, session_id.clone(), text.to_owned());
        let session = store.write(create).await.expect("a session");
        let get = GetSession::new(user_id, session_id.clone());
        assert_eq!(
            store.read(get).await.expect("a read"),
            Some(session.clone())
        );
        let about = ProjectSessions::new(text.to_owned()).which(SessionFilter::All);
        let about = store.read(about).await.expect("a page");
        assert_eq!(about.items, [session]);
        let save = SaveInteraction::new(user_id, session_id.clone(), text.to_owned())
            .response(text.to_owned())
            .error(text.to_owned())
            .tool(
                ToolCall::new(text)
                    .input(json!({ text: text }))
                    .failed(text),
            )
            .ip_address(text.to_owned())
            .idempotency_key(text.to_owned());
        store.write(save.clone()).await.expect("a receipt");
        changes_nothing(&store, save).await;
        let history = SessionHistory::new(user_id, session_id.clone()).limit(10);
        let history = store.read(history).await.expect("a read").expect("one");
        let (message, tool) = (&history.messages[0], &history.tools[0]);
        assert_eq!((message.prompt.as_str(), history.messages.len()), (text, 1));
        assert_eq!(tool.tool_input, Some(json!({ text: text })));
        assert_eq!((tool.tool_name.as_str(), history.tools.len()), (text, 1));
        let log = LogEvent::new(user_id, text.to_owned())
            .event_data(json!(text))
            .ip_address(text.to_owned())
            .failed();
        store.write(log).await.expect("an id");
        let filter = EventFilter::new().event_type(text.to_owned());
        let page = PageRequest::default();
        let recent = RecentAuditLog::new()
            .filter(filter.clone())
            .page(page.clone());
        let recent = store.read(recent).await.expect("a page");
        assert_eq!(recent.items.len(), 1);
        assert_eq!(recent.items[0].event_data, Some(json!(text)));
        let of_user = UserAuditLog::new(user_id).filter(filter).page(page);
        assert_eq!(store.read(of_user).await.expect("a page"), recent);
        let secret = Secret::new(text);
        assert_eq!(
            store.read(VerifyToken::new(secret)).await.expect("a read"),
            None
        );
    }
    // The tables are all there, with the rows that were made and no other.
    let all = INJECTIONS.len();
    for (table, rows) in picture(&store).await {
        let expected = match table.as_str() {
            "users" | "sessions" => all + 2,
            "audit_log" => 3 * all,
            "messages" | "tool_usage" | "cost_tracking" | "botstore_update" => all,
            "botstore_idempotency" => 0,
            _ => continue,
        };
        assert_eq!(rows.len(), expected, "{table}");
    }
    assert_eq!(user(&store, ADA).await.username.as_deref(), Some("ada"));
}
