//! A user's sessions are in the order of last use, whatever stands there.

use super::*;

/// Times of last use, and what else may stand there: SQLite sorts numbers before texts and bytes after them.
const LAST_USED: [&str; 22] = [
    "'2026-03-10T00:00:00.000000+00:00'",
    "'2026-03-10T23:59:59.999999+00:00'",
    "'2026-03-11T00:00:00.000000+00:00'",
    "'2026-03-11T00:00:00.000000+00:00'",
    "'2025-12-31T12:00:00.000000+00:00'",
    "'2026-03-10 12:00:00'",
    "'2026-03-10'",
    "'2026-03-1'",
    "'2026-03-10T'",
    "''",
    "'word'",
    "'wörd after wörd after wörd'",
    "'éééééééééééé'",
    "CAST(x'323032362d30332dffc3804141' AS TEXT)",
    "CAST(x'323032362d30332dffc3c34141' AS TEXT)",
    "x''",
    "x'323032362d30332d3130'",
    "x'ffffff'",
    "0",
    "-3.5",
    "1773156600000000",
    "NULL",
];

/// What a host may do to sessions, with a time of last use. `{id}` and `{other}` are ids, `{user}` is a user.
const DONE: [&str; 9] = [
    "INSERT OR IGNORE INTO sessions (session_id, user_id, project_path, last_used, is_active)
     VALUES ('{id}', {user}, '/', {time}, 1)",
    "INSERT OR REPLACE INTO sessions (session_id, user_id, project_path, last_used, is_active)
     VALUES ('{id}', {user}, '/', {time}, 0)",
    "INSERT INTO sessions (session_id, user_id, project_path, last_used) VALUES ('{id}', {user}, '/', {time})
     ON CONFLICT (session_id) DO UPDATE SET last_used = excluded.last_used, user_id = excluded.user_id",
    "UPDATE sessions SET last_used = {time} WHERE session_id = '{id}'",
    "UPDATE sessions SET last_used = {time}, is_active = 1 WHERE user_id = {user} AND session_id IS NOT NULL",
    "UPDATE sessions SET user_id = {user} WHERE session_id = '{id}'",
    "UPDATE OR IGNORE sessions SET session_id = '{other}' WHERE session_id = '{id}'",
    "UPDATE OR REPLACE sessions SET session_id = '{other}', last_used = {time} WHERE session_id = '{id}'",
    "DELETE FROM sessions WHERE session_id = '{id}'",
];

/// A user's sessions in the order of last use, as a full scan has them.
fn expected(whose: Whose, which: SessionFilter) -> String {
    let is_member = "EXISTS (SELECT 1 FROM botstore_session_member m
                             WHERE m.session_id = s.session_id AND m.user_id = 1)";
    let whose = match whose {
        Whose::Own => "user_id = 1".to_owned(),
        Whose::Shared => format!("user_id <> 1 AND {is_member}"),
        _ => format!("(user_id = 1 OR {is_member})"),
    };
    let which = match which {
        SessionFilter::All => "",
        _ => "AND is_active = 1",
    };
    format!(
        "SELECT coalesce(session_id, '') FROM sessions s NOT INDEXED
         WHERE {whose} {which} AND last_used IS NOT NULL ORDER BY last_used DESC, session_id DESC"
    )
}

#[tokio::test]
async fn a_users_sessions_are_in_the_order_of_last_use_whatever_a_host_did_to_them() {
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let store = populated().await;
        // One that has no id, which nothing but its owner leads to.
        run(
            &store,
            "INSERT INTO sessions (session_id, user_id, project_path, last_used)
             VALUES (NULL, 1, '/', '2026-03-10T11:11:11.111111+00:00')",
        )
        .await;
        for step in 0..40 {
            let id = format!("s-{}", random.u8(..7));
            let sql = DONE[random.usize(..DONE.len())]
                .replace("{id}", &id)
                .replace("{other}", &format!("s-{}", random.u8(..7)))
                .replace("{user}", &random.u8(1..=2).to_string())
                .replace("{time}", LAST_USED[random.usize(..LAST_USED.len())]);
            // What refers to a session may keep it.
            let _ = store.write(Run(sql)).await;
            if random.u8(..4) == 0 {
                let _ = store.write(ShareSession::new(BOB, id.as_str(), ADA)).await;
                // And the store's own way: the session was used now.
                let said = SaveMessage::new(BOB, id.as_str(), "p");
                let _ = store.write(said).await;
            }
            store.clock().advance(HOUR);
            for whose in [Whose::Own, Whose::Shared, Whose::Both] {
                for which in [SessionFilter::Active, SessionFilter::All] {
                    let ask = |page| UserSessions::new(ADA).whose(whose).which(which).page(page);
                    let limit = [1, 2, 3, 50][random.usize(..4)];
                    let listed = all(&store, limit, ask).await;
                    let listed: Vec<String> = listed
                        .into_iter()
                        .map(|s: Session| s.session_id.to_string())
                        .collect();
                    let expected = texts(&store, expected(whose, which)).await;
                    assert_eq!(
                        listed, expected,
                        "{seed}, {step}: {whose:?} {which:?} by {limit}"
                    );
                }
            }
        }
    }
}
