//! Events and health: a bot can tell its admin.

use crate::support::*;
use crate::wait::until;
use actix::{Actor, Context, Handler};
use botstore::backup::{Backups, Reason, TakeBackup};
use botstore::sessions::ExpireIdle;
use botstore::testing::{FixedClock, TestStore};
use botstore::{Config, Health, LastRun, Store, StoreEvent};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const HOUR: Duration = Duration::from_secs(3600);

struct Admin(UnboundedSender<StoreEvent>);

impl Actor for Admin {
    type Context = Context<Self>;
}

impl Handler<StoreEvent> for Admin {
    type Result = ();

    fn handle(&mut self, event: StoreEvent, _ctx: &mut Self::Context) {
        let _ = self.0.send(event);
    }
}

fn admin(store: &TestStore) -> UnboundedReceiver<StoreEvent> {
    let (tell, told) = unbounded_channel();
    store.subscribe(Admin(tell).start().recipient());
    told
}

/// Every place in a JSON value where a length of time is in two parts.
fn in_two_parts(value: &Value, at: &str, found: &mut Vec<String>) {
    if value.get("secs").is_some() && value.get("nanos").is_some() {
        found.push(at.to_owned());
    }
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, v)| (name.clone(), v)).collect(),
        Value::Array(items) => items.iter().map(|item| ("[]".to_owned(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        in_two_parts(child, &format!("{at}/{name}"), found);
    }
}

/// Whoever charts it need not put seconds and nanoseconds together.
#[actix::test]
async fn lengths_of_time_in_the_json_of_health_are_numbers_of_seconds() {
    let store = filled(2, |config| config).await;
    back_up(&store).await;
    let report = store.drill().await.unwrap();
    let health = store.health().await.unwrap();
    let mut json = serde_json::to_value(&health).unwrap();
    let took = json
        .pointer("/last_drill/done/took")
        .and_then(Value::as_f64);
    assert_eq!(took, Some(report.took.as_secs_f64()), "{json}");
    json["clock_ahead"] = 90.5.into();
    let at = serde_json::to_value(report.at).unwrap();
    json["last_checkpoint"] = json!({ "at": at, "frames": 7, "copied": 7, "took": 0.25 });
    let read: Health = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(read.clock_ahead, Some(Duration::from_millis(90_500)));
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again, json);
    let mut found = Vec::new();
    in_two_parts(&again, "", &mut found);
    assert!(found.is_empty(), "{found:?}");
    // What an older program has written is read, and what is no length of time is not.
    let taking = |took: Value| {
        let mut json = json.clone();
        json["last_checkpoint"]["took"] = took;
        serde_json::from_value::<Health>(json).map(|health| health.last_checkpoint.unwrap().took)
    };
    let parts = json!({ "secs": 1, "nanos": 500_000_000 });
    assert_eq!(taking(parts).unwrap(), Duration::from_millis(1_500));
    assert_eq!(taking(json!(2)).unwrap(), Duration::from_secs(2));
    for wrong in [json!(-1.0), json!(1e300), json!("1 s"), json!(null)] {
        assert!(taking(wrong).is_err());
    }
}

#[actix::test]
async fn an_actor_and_a_task_are_told_of_backups_and_drills() {
    let store = filled(2, |config| config).await;
    let (mut admin, mut task) = (admin(&store), store.events());
    let backup = back_up(&store).await;
    let Some(StoreEvent::BackupDone(report)) = admin.recv().await else {
        panic!("the actor was not told");
    };
    assert_eq!(report.name, backup.manifest.name);
    assert_eq!(report.reason, Reason::Manual);
    assert!(matches!(task.recv().await, Ok(StoreEvent::BackupDone(same)) if same == report));
    let health = store.health().await.unwrap();
    assert_eq!(health.last_backup, Some(LastRun::Done(report)));

    store.drill().await.unwrap();
    assert!(
        matches!(admin.recv().await, Some(StoreEvent::DrillDone(r)) if r.backup == backup.manifest.name)
    );

    // A file where the folder should be.
    fs::rename(folder(&store), store.folder().join("moved")).unwrap();
    fs::write(folder(&store), "in the way").unwrap();
    let error = store.back_up(TakeBackup::default()).await.unwrap_err();
    let Some(StoreEvent::BackupFailed(told)) = admin.recv().await else {
        panic!("the actor was not told of the failure");
    };
    assert_eq!(told.to_string(), error.to_string());
    let health = store.health().await.unwrap();
    assert!(matches!(health.last_backup, Some(LastRun::Failed { .. })));
    assert!(store.drill().await.is_err());
    assert!(matches!(
        admin.recv().await,
        Some(StoreEvent::DrillFailed(_))
    ));
    store.close().await.unwrap();
}

#[actix::test]
async fn a_bot_is_told_of_sessions_that_expired_and_not_of_none() {
    let clock = FixedClock::default();
    let store = filled(1, |config| {
        let expire = || ExpireIdle::new(24 * HOUR);
        config.clock(clock.clone()).every(HOUR, expire)
    })
    .await;
    let mut admin = admin(&store);
    store.run_due().await.unwrap();
    clock.advance(2 * HOUR);
    assert!(store.run_due().await.unwrap() > 0);
    clock.advance(24 * HOUR);
    assert!(store.run_due().await.unwrap() > 0);
    // The first run ended none, and was not told.
    assert!(matches!(
        admin.recv().await,
        Some(StoreEvent::SessionsExpired { sessions: 1 })
    ));
    store.close().await.unwrap();
    assert!(admin.try_recv().is_err());
}

#[actix::test]
async fn a_bot_is_told_once_of_a_log_over_its_ceiling_and_of_a_full_disk() {
    let store = filled(1, |config| {
        config
            .wal_ceiling_bytes(256 << 10)
            .checkpoint_at_bytes(64 << 10)
            .disk_low_bytes(u64::MAX)
    })
    .await;
    let mut admin = admin(&store);
    let reader = botstore::rusqlite::Connection::open(store.path()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM messages";
    let seen: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 1);
    for number in 0..400 {
        store.write(interaction(number)).await.unwrap();
    }
    let mut over = 0;
    // The look at the disk may have come before there was anybody to tell.
    while let Ok(event) = admin.try_recv() {
        if let StoreEvent::WalOverCeiling {
            bytes,
            ceiling_bytes,
            ..
        } = event
        {
            assert!(bytes >= ceiling_bytes);
            over += 1;
        }
    }
    assert_eq!(over, 1);
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    store.close().await.unwrap();
}

#[actix::test]
async fn health_says_how_much_room_there_is() {
    let store = filled(1, |config| config.backups(Backups::default())).await;
    let health = store.health().await.unwrap();
    assert!(health.free_bytes.is_some_and(|free| free > 0));
    assert!(health.last_backup.is_none() && health.last_drill.is_none());
    let json = serde_json::to_string(&health).unwrap();
    let back: botstore::Health = serde_json::from_str(&json).unwrap();
    assert_eq!(back.free_bytes, health.free_bytes);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_first_drill_of_a_new_store_tries_out_its_first_backup() {
    let folder = tempfile::tempdir().unwrap();
    // On the system's clock, which goes on between two looks at it.
    let config = Config::new(folder.path().join("bot.db"))
        .backups(Backups::default().every(HOUR).drill_every(24 * HOUR));
    let store = Store::open(config).await.unwrap();
    let last = async || store.health().await.unwrap().last_drill;
    until("the first drill", async || last().await.is_some()).await;
    let drill = last().await;
    assert!(matches!(drill, Some(LastRun::Done(_))), "{drill:?}");
    store.close().await.unwrap();
}
