//! The promises of `examples/dashboard`, kept by the built program: nobody gets in without the
//! link, and the page shows what the store has.

mod browser;
#[path = "../shared/example.rs"]
mod example;
mod fields;
#[path = "../shared/midday.rs"]
mod midday;
mod program;
#[path = "../shared/wait.rs"]
mod wait;

use botstore::interactions::SaveInteraction;
use botstore::limits::{Amount, Per, Scope, SetLimit};
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::tokens::{IssueToken, Secret, VerifyToken};
use botstore::tools::ToolCall;
use botstore::usage::Usage;
use botstore::users::{EnsureUser, SetAllowed};
use botstore::{Config, Result, Store};
use program::{Dashboard, wait};
use std::path::Path;
use std::process::Command;

/// A name that would run as a script if the page took it for HTML.
const HOSTILE: &str = "<img src=x onerror=document.title='caught'>";

/// A file with two users, of whom the first is allowed; five messages, one of which failed. Its day does not end
/// before the test does.
#[actix::main]
async fn prepare(db: &Path) -> Result<Secret> {
    let store = Store::open(Config::new(db).time_zone(midday::midday())).await?;
    for (user_id, name) in [(1, "ada"), (2, HOSTILE)] {
        store.write(EnsureUser::new(user_id, Some(name))).await?;
        let session = CreateSession::new(user_id, format!("s-{user_id}"), "/srv");
        store.write(session).await?;
    }
    let (user_id, allowed) = (1, true);
    store
        .write(if allowed {
            SetAllowed::allow(user_id)
        } else {
            SetAllowed::forbid(user_id)
        })
        .await?;
    for (scope, per) in [(Scope::EachUser, Per::Day), (Scope::Everyone, Per::Ever)] {
        let limit = SetLimit::new(scope, per, Amount::Cost(usd(2.0)));
        store.write(limit).await?;
    }
    for number in 0..5 {
        let user_id = 1 + number % 2;
        let exchange = {
            let mut new = SaveInteraction::new(user_id, format!("s-{user_id}"), HOSTILE)
                .usage(
                    Usage::new("acme", "parrot-5")
                        .input_tokens(900)
                        .output_tokens(40)
                        .cost(usd(0.25)),
                )
                .tools(vec![
                    ToolCall::new("Read"),
                    ToolCall::new(HOSTILE).failed("no"),
                ]);
            new.error = (number == 1).then(|| "no answer".into());
            new
        };
        store.write(exchange).await?;
    }
    let (user_id, expires_in) = (2, None);
    let token = store
        .write({
            let mut new = IssueToken::new(user_id);
            new.expires_in = expires_in;
            new
        })
        .await?;
    store.close().await?;
    Ok(token.secret)
}

#[actix::main]
async fn is_good(db: &Path, secret: Secret) -> Result<bool> {
    let store = Store::open(db).await?;
    let token = store.read(VerifyToken::new(secret)).await?;
    store.close().await?;
    Ok(token.is_some())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("folder")
}

#[test]
fn the_data_is_for_who_has_the_link() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    let token_of_another = prepare(&db).expect("a file");
    let dashboard = Dashboard::on(&db);
    for path in ["/api/admin", "/api/users/1", "/api/health", "/api/nothing"] {
        for token in [None, Some(""), Some("0123456789abcdef")] {
            let (status, head, body) = dashboard.get(path, token);
            assert_eq!(status, 401, "{path} {token:?}");
            assert!(head.contains("www-authenticate: bearer"), "{head}");
            assert!(!body.contains("ada"), "{body}");
        }
        let (status, ..) = dashboard.get(path, Some(token_of_another.expose()));
        assert_eq!(
            status, 403,
            "{path}: a token for the bot is none for this page"
        );
    }

    let admin = dashboard.json("/api/admin?days=7");
    let days = admin["days"].as_array().expect("days");
    assert_eq!(days.len(), 7, "days without messages are there too");
    assert_eq!(days[0]["messages"], 0);
    let sum = |of: &str| days.iter().filter_map(|day| day[of].as_f64()).sum::<f64>();
    assert_eq!(
        (sum("messages"), sum("errors"), sum("cost")),
        (5.0, 1.0, 1.25)
    );
    assert_eq!(admin["overview"]["stats"]["total_messages"], 5);
    assert_eq!(
        dashboard.json("/api/admin")["days"]
            .as_array()
            .map(Vec::len),
        Some(30)
    );

    let spending = &admin["spending"];
    let model = &spending["models"][0];
    assert_eq!(model["model"], "parrot-5");
    assert_eq!(model["totals"]["input_tokens"], 4_500);
    assert_eq!(model["totals"]["cost"], 1.25);
    let spenders = spending["users"].as_array().expect("users");
    let spent = spenders.iter().map(|user| &user["totals"]["cost"]);
    assert_eq!(spent.collect::<Vec<_>>(), [0.75, 0.5]);
    let [each, all] = &spending["limits"].as_array().expect("limits")[..] else {
        panic!("{spending}");
    };
    assert_eq!(each["name"], "each user, $2.00 a day");
    assert!(each["budget"].is_null(), "{each}");
    assert_eq!(all["name"], "everyone, $2.00 for ever");
    assert_eq!(
        (&all["measure"], &all["max"]),
        (&"cost".into(), &2.0.into())
    );
    let budget = serde_json::json!({ "spent": 1.25, "reserved": 0.0, "left": 0.75 });
    assert_eq!(all["budget"], budget);

    let user = dashboard.json("/api/users/2");
    let limits = user["spending"]["limits"].as_array().expect("limits");
    let each = limits
        .iter()
        .find(|it| it["name"] == "each user, $2.00 a day");
    assert_eq!(each.expect("the user's")["budget"]["left"], 1.5);
    assert_eq!(user["spending"]["models"][0]["totals"]["requests"], 2);
    assert_eq!(user["overview"]["user"]["username"], HOSTILE);
    assert_eq!(user["overview"]["stats"]["total_messages"], 2);
    assert_eq!(dashboard.json("/api/health")["ok"], true);

    for (path, expected) in [
        ("/api/users/3", 404),
        ("/api/users/ada", 404),
        ("/api/admin?days=0", 400),
        ("/api/admin?days=366", 400),
        ("/api/admin?days=x", 400),
    ] {
        let (status, _, body) = dashboard.get(path, Some(&dashboard.token));
        assert_eq!(status, expected, "{path}: {body}");
    }
}

#[test]
fn a_name_that_leads_here_from_elsewhere_is_refused() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let dashboard = Dashboard::on(&db);
    let token = format!("Authorization: Bearer {}\n", dashboard.token);
    let status = |path: &str, host: &str| {
        let rest = format!("{host}{token}Connection: close\n\n");
        dashboard.send(&format!("GET {path} HTTP/1.1\n{rest}")).0
    };
    for host in [
        "Host: evil.example\n",
        "Host: localhost.evil.example:80\n",
        "Host: evil.example\nX-Forwarded-Host: localhost\n",
        "",
    ] {
        for path in ["/", "/app.js", "/api/health", "/nothing"] {
            let status = status(path, host);
            assert!([400, 421].contains(&status), "{host:?} {path}: {status}");
        }
    }
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1"] {
        assert_eq!(
            status("/api/health", &format!("Host: {host}\n")),
            200,
            "{host}"
        );
    }
}

#[test]
fn every_answer_has_the_headers_and_the_page_has_no_data() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let dashboard = Dashboard::on(&db);
    for (path, content_type, expected) in [
        ("/", "text/html", 200),
        ("/style.css", "text/css", 200),
        ("/app.js", "text/javascript", 200),
        ("/charts.js", "text/javascript", 200),
        ("/format.js", "text/javascript", 200),
        ("/icon.svg", "image/svg+xml", 200),
        ("/api/admin", "application/json", 401),
        ("/nothing", "", 404),
    ] {
        let (status, head, body) = dashboard.get(path, None);
        assert_eq!(status, expected, "{path}");
        for header in [
            "content-security-policy: default-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            content_type,
        ] {
            assert!(head.contains(header), "{path}: no {header} in {head}");
        }
        assert!(!body.contains(&dashboard.token), "{path}");
        assert!(!body.contains("ada"), "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_dashboard_that_is_asked_to_stop_revokes_its_link_and_leaves_no_log() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let mut dashboard = Dashboard::on(&db);
    let log = folder.path().join("bot.db-wal");
    assert!(log.exists(), "while it runs there is one");
    let pid = dashboard.process.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill").success());
    assert!(wait(&mut dashboard.process), "it ends well");
    assert!(!log.exists());
    let secret = Secret::new(&dashboard.token);
    assert!(!is_good(&db, secret).expect("a store"));
}

/// Another token of the admin's, and what looks like a record of a link and is none.
#[actix::main]
async fn token_of_the_admin(db: &Path) -> Result<Secret> {
    let store = Store::open(db).await?;
    let (user_id, expires_in) = (1, None);
    let token = store
        .write({
            let mut new = IssueToken::new(user_id);
            new.expires_in = expires_in;
            new
        })
        .await?;
    store.close().await?;
    let conn = botstore::rusqlite::Connection::open(db).expect("a file");
    conn.execute_batch(
        "INSERT INTO audit_log (user_id, event_type, event_data, success, timestamp) VALUES
             (1, 'dashboard_link', '{', 1, '2026-01-01T00:00:00.000000+00:00'),
             (1, 'dashboard_link', NULL, 1, '2026-01-01T00:00:00.000000+00:00'),
             (1, 'dashboard_link', '[]', 1, '2026-01-01T00:00:00.000000+00:00')",
    )
    .expect("rows");
    Ok(token.secret)
}

#[test]
fn the_link_of_a_dashboard_that_was_killed_ends_when_the_next_one_starts() {
    let folder = folder();
    let db = folder.path().join("bot.db");
    prepare(&db).expect("a file");
    let other = token_of_the_admin(&db).expect("a token");
    let mut killed = Vec::new();
    for _ in 0..2 {
        let mut dashboard = Dashboard::on(&db);
        dashboard.process.kill().expect("kill");
        dashboard.process.wait().expect("its end");
        killed.push(dashboard.token.clone());
    }
    // Of another admin, too.
    let mut of_another = Dashboard::start(&["--db", db.to_str().expect("a path"), "--admin", "2"]);
    of_another.process.kill().expect("kill");
    of_another.process.wait().expect("its end");
    killed.push(of_another.token.clone());
    let dashboard = Dashboard::on(&db);
    for token in killed {
        let (status, _, _) = dashboard.get("/api/admin", Some(&token));
        assert_eq!(status, 401);
    }
    let (status, _, _) = dashboard.get("/api/admin", Some(other.expose()));
    assert_eq!(status, 200, "what the dashboard has not issued stays good");
}

#[test]
fn a_bot_that_is_made_up_has_a_history_and_goes_on() {
    let dashboard = Dashboard::start(&[]);
    let admin = dashboard.json("/api/admin?days=30");
    let days = admin["days"].as_array().expect("days");
    assert!(days.iter().filter(|day| day["messages"] != 0).count() >= 28);
    let count = || dashboard.json("/api/admin")["overview"]["stats"]["total_messages"].clone();
    let before = &admin["overview"]["stats"]["total_messages"];
    wait::wait_until("another message", || count() != *before);
}
