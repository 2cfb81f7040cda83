//! Each change of who may do what, and of what there is, is on record: for whom it concerns, with who did it, in the
//! transaction that makes it.

use crate::analytics::say;
use crate::support::{ADA, BOB, DAY, HOUR, STRANGER, at, picture, populated};
use botstore::audit::{self, AuditEvent, RecentAuditLog, UserAuditLog};
use botstore::interactions::SaveInteraction;
use botstore::page::PageRequest;
use botstore::rusqlite::Connection;
use botstore::sessions::{
    CreateSession, DeleteSession, EndSession, EnsureSession, ExpireIdle, SaveSession, ShareSession,
    UnshareSession,
};
use botstore::testing::{TestStore, usd};
use botstore::tokens::{IssueToken, RevokeToken, RevokeUserTokens};
use botstore::users::{
    CorrectUserTotals, DeleteUser, EnsureUser, IsAllowed, RecountUserTotals, SetAllowed,
};
use botstore::{Error, ErrorKind, Mutation, Store, UserId};
use serde_json::{Value, json};

/// The newest events first.
async fn events(store: &Store) -> Vec<AuditEvent> {
    let page = PageRequest::first(1_000);
    let all = RecentAuditLog::new().page(page);
    store.read(all).await.expect("a page").items
}

/// Makes the change; it leaves one event, of this user and type, now. Returns its details.
async fn recorded<M: Mutation>(
    store: &TestStore,
    change: M,
    user_id: i64,
    event_type: &str,
) -> Value {
    let before = events(store).await.len();
    store.clock().advance(HOUR);
    let done = store.write(change).await;
    assert!(done.is_ok(), "{}: {:?}", M::name(), done.err());
    let events = events(store).await;
    assert_eq!(events.len(), before + 1, "{}", M::name());
    let event = &events[0];
    assert_eq!(
        (event.user_id.get(), &*event.event_type),
        (user_id, event_type)
    );
    assert!(event.success && event.timestamp == store.now(), "{event:?}");
    event.event_data.clone().unwrap_or(Value::Null)
}

/// Makes a change that changes nothing, or is refused; it leaves no event. Returns why it was refused, if it was.
async fn silent<M: Mutation>(store: &TestStore, change: M) -> Option<ErrorKind> {
    let before = picture(store).await;
    let done = store.write(change).await;
    assert_eq!(picture(store).await, before, "{}", M::name());
    done.err().map(|error| error.kind())
}

const ADMIN: i64 = 7;
const NOT_FOUND: Option<ErrorKind> = Some(ErrorKind::NotFound);

#[tokio::test]
async fn each_change_has_an_event_and_what_changes_nothing_has_none() {
    let store = populated().await;
    // The administrator need not be a user, and without one the user did it.
    for by in [None, Some(UserId::new(ADMIN))] {
        let with = |mut details: Value| {
            if let Some(by) = by {
                details["by"] = by.get().into();
            }
            details
        };
        let alone = || by.map_or(Value::Null, |by| json!({ "by": by.get() }));
        macro_rules! by {
            ($change:expr) => {{
                let mut change = $change;
                change.by = by;
                change
            }};
        }
        // Who may use the bot.
        let allow = by!(SetAllowed::allow(ADA));
        let details = recorded(&store, allow.clone(), ADA, audit::USER_ALLOWED).await;
        assert_eq!(details, alone());
        assert_eq!(silent(&store, allow).await, None);
        let forbid = by!(SetAllowed::forbid(ADA));
        let details = recorded(&store, forbid.clone(), ADA, audit::USER_FORBIDDEN).await;
        assert_eq!(details, alone());
        assert_eq!(silent(&store, forbid).await, None);
        assert_eq!(
            silent(&store, by!(SetAllowed::allow(STRANGER))).await,
            NOT_FOUND
        );

        // Tokens.
        let issue = by!(IssueToken::new(ADA));
        let id = |details: &Value| details["token_id"].as_i64().expect("an id");
        let details = recorded(&store, issue.clone(), ADA, audit::TOKEN_ISSUED).await;
        let token_id = id(&details);
        assert_eq!(details, with(json!({ "token_id": token_id })));
        let details = recorded(
            &store,
            issue.clone().expires_in(DAY),
            ADA,
            audit::TOKEN_ISSUED,
        )
        .await;
        let expires_at = botstore::time::format(store.now() + DAY);
        let expected = json!({ "token_id": token_id + 1, "expires_at": expires_at });
        assert_eq!(details, with(expected));
        assert_eq!(
            silent(&store, by!(IssueToken::new(STRANGER))).await,
            NOT_FOUND
        );
        let revoke = by!(RevokeToken::new(ADA, token_id));
        let details = recorded(&store, revoke.clone(), ADA, audit::TOKEN_REVOKED).await;
        assert_eq!(details, with(json!({ "token_id": token_id })));
        assert_eq!(silent(&store, revoke).await, None);
        assert_eq!(
            silent(&store, by!(RevokeToken::new(BOB, token_id + 1))).await,
            NOT_FOUND
        );
        store.write(issue).await.expect("issued");
        let all = by!(RevokeUserTokens::new(ADA));
        let details = recorded(&store, all.clone(), ADA, audit::TOKEN_REVOKED).await;
        assert_eq!(details, with(json!({ "tokens": 2 })));
        assert_eq!(silent(&store, all).await, None);

        // Sessions.
        let s = |id: &str| with(json!({ "session_id": id }));
        let create = by!(CreateSession::new(ADA, "s-1", "/srv"));
        let details = recorded(&store, create.clone(), ADA, audit::SESSION_CREATED).await;
        assert_eq!(details, s("s-1"));
        assert_eq!(silent(&store, create).await, Some(ErrorKind::Conflict));
        assert_eq!(
            silent(&store, by!(CreateSession::new(STRANGER, "s-9", "/srv"))).await,
            NOT_FOUND
        );
        let ensure = by!(EnsureSession::new(ADA, "s-2", "/srv"));
        let details = recorded(&store, ensure.clone(), ADA, audit::SESSION_CREATED).await;
        assert_eq!(details, s("s-2"));
        assert_eq!(silent(&store, ensure).await, None);
        let save = by!(SaveSession::new(ADA, "s-3", "/srv"));
        let details = recorded(&store, save.clone(), ADA, audit::SESSION_CREATED).await;
        assert_eq!(details, s("s-3"));
        assert_eq!(silent(&store, save).await, None);
        let end = by!(EndSession::new(ADA, "s-1"));
        let details = recorded(&store, end.clone(), ADA, audit::SESSION_ENDED).await;
        assert_eq!(details, s("s-1"));
        assert_eq!(silent(&store, end).await, None);
        assert_eq!(
            silent(&store, by!(EndSession::new(BOB, "s-2"))).await,
            NOT_FOUND
        );
        let share = by!(ShareSession::new(ADA, "s-2", BOB));
        let details = recorded(&store, share.clone(), BOB, audit::SESSION_SHARED).await;
        assert_eq!(details, with(json!({ "session_id": "s-2", "owner": ADA })));
        assert_eq!(silent(&store, share).await, None);
        assert_eq!(
            silent(&store, by!(ShareSession::new(ADA, "s-2", ADA))).await,
            None
        );
        let unshare = by!(UnshareSession::new(ADA, "s-2", BOB));
        let details = recorded(&store, unshare.clone(), BOB, audit::SESSION_UNSHARED).await;
        let who = by.map_or(ADA, UserId::get);
        assert_eq!(details, json!({ "session_id": "s-2", "by": who }));
        assert_eq!(silent(&store, unshare).await, None);
        for id in ["s-1", "s-2", "s-3"] {
            assert_eq!(
                silent(&store, by!(DeleteSession::new(BOB, id))).await,
                NOT_FOUND
            );
            let delete = by!(DeleteSession::new(ADA, id));
            let details = recorded(&store, delete.clone(), ADA, audit::SESSION_DELETED).await;
            assert_eq!(details, s(id));
            assert_eq!(silent(&store, delete).await, NOT_FOUND);
        }

        // Totals.
        let cost = usd(if by.is_some() { 0.75 } else { 0.5 });
        let before = usd(0.0).dollars();
        let correct = by!(CorrectUserTotals::new(BOB).total_cost(cost));
        let details = recorded(&store, correct.clone(), BOB, audit::TOTALS_CORRECTED).await;
        let (old, new) = (
            json!({ "total_cost": before }),
            json!({ "total_cost": cost }),
        );
        assert_eq!(details, with(json!({ "before": old, "after": new })));
        assert_eq!(silent(&store, correct).await, None);
        let recount = by!(RecountUserTotals::new(BOB));
        let details = recorded(&store, recount.clone(), BOB, audit::TOTALS_CORRECTED).await;
        assert_eq!(details, with(json!({ "before": new, "after": old })));
        assert_eq!(silent(&store, recount).await, None);
    }
}

#[tokio::test]
async fn sessions_that_expire_are_each_on_record_for_their_owner() {
    let store = populated().await;
    say(&store, "ada-1", 0.5, &[]).await;
    store.clock().advance(HOUR);
    say(&store, "bob-1", 0.5, &[]).await;
    let before = events(&store).await.len();
    let expire = ExpireIdle::new(HOUR / 2);
    assert_eq!(store.write(expire.clone()).await.expect("expired"), 1);
    let all = events(&store).await;
    assert_eq!(all.len(), before + 1);
    assert_eq!(
        (all[0].user_id.get(), &*all[0].event_type),
        (ADA, audit::SESSION_EXPIRED)
    );
    assert_eq!(all[0].event_data, Some(json!({ "session_id": "ada-1" })));
    assert_eq!(silent(&store, expire).await, None);
}

#[tokio::test]
async fn a_session_that_an_interaction_begins_has_the_event_of_the_interaction() {
    let store = populated().await;
    let save = SaveInteraction::new(ADA, "new", "Hello").creating("/srv");
    let details = recorded(&store, save, ADA, audit::INTERACTION).await;
    assert_eq!(details["session_id"], "new");
}

#[tokio::test]
async fn a_session_from_history_began_when_it_began() {
    let store = populated().await;
    let began = at("2025-01-02T03:04:05Z");
    let create = CreateSession::new(ADA, "old", "/srv").at(began);
    store.write(create).await.expect("a session");
    let of_ada = store.read(UserAuditLog::new(ADA)).await.expect("a page");
    let event = &of_ada.items[0];
    assert_eq!(
        (&*event.event_type, event.timestamp),
        (audit::SESSION_CREATED, began)
    );
}

#[tokio::test]
async fn a_change_that_is_undone_is_not_on_record() {
    let store = populated().await;
    let before = picture(&store).await;
    let undone = store.transact("undone", |tx| {
        tx.apply(&SetAllowed::allow(ADA))?;
        tx.apply(&IssueToken::new(ADA))?;
        tx.apply(&EndSession::new(ADA, "ada-1"))?;
        Err::<(), _>(Error::new(ErrorKind::Conflict, "no"))
    });
    undone.await.expect_err("undone");
    assert_eq!(picture(&store).await, before);
}

/// Another program has deleted the users' rows, which the log refers to.
#[tokio::test]
async fn what_has_no_user_any_more_can_still_be_ended_and_has_no_record() {
    let store = populated().await;
    let token = store.write(IssueToken::new(ADA)).await.expect("issued");
    store.write(IssueToken::new(ADA)).await.expect("issued");
    let begin = CreateSession::new(ADA, "ada-2", "/srv");
    store.write(begin).await.expect("a session");
    let (folder, path) = store.into_file().await.expect("a file");
    let other = Connection::open(&path).expect("a connection");
    other
        .execute_batch(
            "PRAGMA foreign_keys = OFF; DELETE FROM audit_log; DELETE FROM users;
             UPDATE sessions SET user_id = 'nobody' WHERE session_id = 'bob-1';",
        )
        .expect("deleted");
    drop(other);
    let clock = botstore::testing::FixedClock::default();
    let config = botstore::Config::new(&path).clock(clock.clone());
    let store = Store::open(config).await.expect("a store");
    let revoke = RevokeToken::new(ADA, token.token_id).by(ADMIN);
    store.write(revoke).await.expect("revoked");
    let revoked = store.write(RevokeUserTokens::new(ADA)).await;
    assert_eq!(revoked.expect("revoked"), 1);
    store
        .write(EndSession::new(ADA, "ada-1"))
        .await
        .expect("ended");
    store
        .write(DeleteSession::new(ADA, "ada-1"))
        .await
        .expect("deleted");
    clock.advance(DAY);
    let expired = store.write(ExpireIdle::new(HOUR)).await;
    assert_eq!(expired.expect("expired"), 2);
    assert_eq!(events(&store).await, []);
    store.close().await.expect("closed");
    drop(folder);
}

#[tokio::test]
async fn a_user_who_is_forgotten_takes_the_record_along() {
    let store = populated().await;
    let allow = SetAllowed::allow(ADA).by(ADMIN);
    store.write(allow).await.expect("allowed");
    store
        .write(EnsureUser::new(ADMIN, "admin"))
        .await
        .expect("a user");
    store
        .write(SetAllowed::allow(BOB).by(ADA))
        .await
        .expect("allowed");
    store.write(DeleteUser::new(ADA)).await.expect("deleted");
    let of_ada = store.read(UserAuditLog::new(ADA)).await.expect("a page");
    assert_eq!(of_ada.items, []);
    assert_eq!(events(&store).await.len(), 1, "what concerns Bob");
    assert!(store.read(IsAllowed::new(BOB)).await.expect("a read"));
}

/// Neither the secret, nor its hash, nor a text of the user's.
#[tokio::test]
async fn the_record_has_no_secret_and_no_text() {
    let store = populated().await;
    let token = store.write(IssueToken::new(ADA).by(ADMIN)).await;
    let secret = token.expect("issued").secret.expose().to_owned();
    let create = CreateSession::new(ADA, "s", "/srv/what-it-is-about");
    store.write(create).await.expect("a session");
    let hashes = store.ask("hashes", |tx| {
        let sql = "SELECT token_hash FROM user_tokens";
        tx.all(sql, [], |row| Ok(row.get::<_, String>(0)?))
    });
    let mut secrets = hashes.await.expect("a read");
    assert_eq!(secrets.len(), 1);
    secrets.extend([secret, "what-it-is-about".to_owned()]);
    let told = format!("{:?}", picture(&store).await["audit_log"]);
    assert!(told.contains("token_issued") && told.contains("session_created"));
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret}: {told}");
    }
}
