//! An actor that panics too often is given up: everybody is told so, and nothing is lost.

use crate::common::{HoldWriter, Numbers, Put, answered, hold, until, until_in_flight};
use crate::disk::{self, Call, Lasting};
use crate::hostile::{Bomb, Place, Write as Hostile};
use crate::load::{Load, Told};
use crate::provoke::*;
use crate::subscriber::{Armed, panics_always_at};
use crate::trial::{Trial, is_unavailable, trial};
use botstore::backup::TakeBackup;
use botstore::{
    Config, ErrorKind, Mutation, Read, Result, Role, Store, StoreEvent, Write, WriteTx,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Everybody hears it, whichever way they ask.
async fn is_given_up(trial: &mut Trial, role: Role) {
    // It has panicked, and is on its way out.
    until("it has ended", async || {
        let actors = trial.actors().await;
        actors.iter().any(|a| a.role == role && !a.running)
    })
    .await;
    let store = &trial.store;
    is_unavailable(answered(store.write(Put::new(-3))).await);
    is_unavailable(answered(store.read(Numbers)).await);
    is_unavailable(answered(store.try_write(Put::new(-3))).await);
    is_unavailable(answered(store.try_read(Numbers)).await);
    is_unavailable(
        answered(store.mutations().send(Write(Put::new(-3))))
            .await
            .unwrap(),
    );
    is_unavailable(answered(store.queries().send(Read(Numbers))).await.unwrap());
    let error = answered(store.read(Numbers)).await.unwrap_err();
    assert!(error.to_string().contains(&role.to_string()), "{error}");
    let health = store.health().await.unwrap();
    assert!(!health.ok);
    let is_it = |event: &StoreEvent| matches!(event, StoreEvent::ActorGivenUp { role: told, .. } if *told == role);
    trial.told(is_it).await;
}

/// Two panics end the actor whose line this is.
async fn ends_with_the_second(line: &'static str) {
    let armed = panics_always_at(line);
    let mut trial =
        trial(|config, folder| settings(line, config.max_restarts(2, DAY), folder)).await;
    let load = Load::begin(&trial.store);
    provoke(line, &trial, &armed, 2).await;
    let role = role(line).expect("an actor's");
    is_given_up(&mut trial, role).await;
    assert_eq!(armed.hits(line), 2);
    let told = load.end().await;
    let closed = trial.ends(&told).await;
    // The writer leaves the WAL to the next opening.
    let kind = closed.as_ref().err().map(botstore::Error::kind);
    let expected = (role == Role::Writer).then_some(ErrorKind::Unavailable);
    assert_eq!(kind, expected, "{closed:?}");
}

#[tokio::test]
async fn a_writer_that_panics_too_often_is_given_up() {
    let _alone = crate::alone().await;
    ends_with_the_second(LOST).await;
}

#[tokio::test]
async fn a_checkpointer_that_panics_too_often_is_given_up() {
    let _alone = crate::alone().await;
    ends_with_the_second(CHECKPOINT).await;
}

#[tokio::test]
async fn a_supervisor_that_panics_too_often_is_given_up() {
    let _alone = crate::alone().await;
    ends_with_the_second(RUN_FAILED).await;
}

#[tokio::test]
async fn a_backup_worker_that_panics_too_often_is_given_up() {
    let _alone = crate::alone().await;
    ends_with_the_second(BACKUP_FAILED).await;
}

/// Has the backup worker panic once more.
async fn panic_again(trial: &Trial, armed: &Armed) -> botstore::Error {
    let before = armed.hits(BACKUP_FAILED);
    let answer = answered(trial.store.back_up(TakeBackup::default())).await;
    assert_eq!(armed.hits(BACKUP_FAILED), before + 1);
    answer.unwrap_err()
}

#[tokio::test]
async fn four_panics_are_got_over_and_with_the_fifth_an_actor_is_given_up() {
    let _alone = crate::alone().await;
    let armed = panics_always_at(BACKUP_FAILED);
    // A busy machine may take longer than the default minute.
    let configure = |config: Config, folder: &std::path::Path| {
        settings(BACKUP_FAILED, config.max_restarts(5, DAY), folder)
    };
    let mut trial = trial(configure).await;
    for number in 1..=4 {
        let error = panic_again(&trial, &armed).await;
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        trial.until_restarted(Role::Backups, number).await;
        trial.works(number as i64).await;
        assert!(trial.store.health().await.unwrap().ok);
    }
    panic_again(&trial, &armed).await;
    is_given_up(&mut trial, Role::Backups).await;
    is_unavailable(answered(trial.store.back_up(TakeBackup::default())).await);
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn panics_that_are_further_apart_than_the_time_are_no_reason_to_give_up() {
    let _alone = crate::alone().await;
    let armed = panics_always_at(BACKUP_FAILED);
    let trial =
        trial(|config, folder| settings(BACKUP_FAILED, config.max_restarts(2, SECOND), folder))
            .await;
    panic_again(&trial, &armed).await;
    trial.until_restarted(Role::Backups, 1).await;
    let panicked = Instant::now();
    until("the time is over", async || panicked.elapsed() > SECOND).await;
    panic_again(&trial, &armed).await;
    trial.until_restarted(Role::Backups, 2).await;
    trial.works(1).await;
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn a_setting_out_of_range_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ms = Duration::from_millis;
    for (restarts, within) in [(0, DAY), (1_001, DAY), (5, ms(999)), (5, DAY + ms(1))] {
        let config = Config::new(folder.path().join("x.db")).max_restarts(restarts, within);
        let error = Store::open(config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.field(), Some("max_restarts"));
    }
}

/// Is heavy to let go of: panics when it is dropped, and so does its answer.
struct Bombs(#[allow(dead_code)] Bomb);

impl Mutation for Bombs {
    type Output = Bomb;

    fn apply(&self, _tx: &WriteTx<'_>) -> Result<Bomb> {
        Ok(Bomb)
    }
}

#[tokio::test]
async fn those_who_wait_for_a_writer_that_is_given_up_are_answered_whatever_they_wait_with() {
    let _alone = crate::alone().await;
    let armed = panics_always_at(COMMIT_FAILED);
    let trial =
        trial(|config, folder| settings(COMMIT_FAILED, config.max_restarts(1, DAY), folder)).await;
    let store = &trial.store;
    let (hold, holding) = hold();
    let holding = Arc::new(holding);
    let mut waiting = JoinSet::new();
    let held = store.clone();
    waiting.spawn(async move {
        // It has to have something to commit.
        let _ = held.write(PutAndHold(HoldWriter(hold))).await;
    });
    holding.started().await;
    for number in 0..50 {
        let store = store.clone();
        waiting.spawn(async move {
            let answer = match number % 2 {
                0 => store.write(Bombs(Bomb)).await.map(std::mem::forget),
                _ => store
                    .write(Hostile::new(number, Place::Drop))
                    .await
                    .map(drop),
            };
            // Those that are in the batch whose commit fails, or behind it.
            let answer = answer.unwrap_err().kind();
            assert!([ErrorKind::InDoubt, ErrorKind::Unavailable].contains(&answer));
        });
    }
    until_in_flight(store, 51).await;
    disk::breaks_now(Call::Sync, Lasting::UntilHealed, libc::EIO);
    holding.release();
    while let Some(answer) = answered(waiting.join_next()).await {
        answer.unwrap();
    }
    disk::heal();
    // It comes after the answers.
    until("the line", async || armed.hits(COMMIT_FAILED) == 1).await;
    // The supervisor's own may be among them.
    until("all room is given back", async || {
        store.health().await.unwrap().writer.in_flight == 0
    })
    .await;
    let closed = trial.ends(&Told::default()).await;
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Changes something, and holds the writer.
struct PutAndHold(HoldWriter);

impl Mutation for PutAndHold {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Put::new(-4))?;
        self.0.apply(tx)
    }
}
