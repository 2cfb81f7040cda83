//! To tell of a restart is no reason for the next.

use crate::common::{Numbers, Put, answered, until};
use crate::load::Told;
use crate::provoke::*;
use crate::subscriber::{At, panics};
use crate::trial::{Trial, is_unavailable, trial};
use crate::wakers::Evil;
use botstore::{Config, Role, StoreEvent};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Puts a number with each look of the supervisor's.
fn looking(config: Config) -> Config {
    let next = AtomicI64::new(0);
    config.every(SECOND, move || {
        Put::new(next.fetch_add(1, Ordering::SeqCst))
    })
}

/// Waits until the supervisor has come to the end of a look, which begins with what it tells.
async fn looks_on(trial: &Trial) {
    let looks = async || answered(trial.store.read(Numbers)).await.unwrap().len();
    let before = looks().await;
    until("a look", async || {
        trial.clock.advance(SECOND);
        looks().await > before
    })
    .await;
}

#[tokio::test]
async fn a_log_that_panics_at_the_report_of_a_restart_causes_no_restart() {
    let _alone = crate::alone().await;
    let armed = panics(&[At::Line(BACKUP_FAILED, 1), At::Line(RESTARTED, u32::MAX)]);
    let mut trial = trial(|config, folder| looking(settings(BACKUP_FAILED, config, folder))).await;
    provoke(BACKUP_FAILED, &trial, &armed, 1).await;
    let is_it = |event: &StoreEvent| {
        let role = Role::Backups;
        matches!(event, StoreEvent::ActorRestarted { role: told, restarts: 1, .. } if *told == role)
    };
    trial.told(is_it).await;
    looks_on(&trial).await;
    assert_eq!(armed.hits(RESTARTED), 1, "it is told once");
    assert_eq!(trial.all_restarts().await, 1);
    trial.works(-2).await;
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_panics_at_the_report_that_an_actor_is_given_up_changes_nothing() {
    let _alone = crate::alone().await;
    let always = u32::MAX;
    let armed = panics(&[At::Line(BACKUP_FAILED, always), At::Line(GIVEN_UP, always)]);
    let mut trial = trial(|config, folder| {
        let config = config.max_restarts(1, Duration::from_secs(60));
        settings(BACKUP_FAILED, config, folder)
    })
    .await;
    provoke(BACKUP_FAILED, &trial, &armed, 1).await;
    trial
        .told(|event| matches!(event, StoreEvent::ActorGivenUp { .. }))
        .await;
    until("it is logged", async || armed.hits(GIVEN_UP) == 1).await;
    is_unavailable(answered(trial.store.write(Put::new(1))).await);
    assert_eq!(trial.all_restarts().await, 1);
    trial.ends(&Told::default()).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_to_events_whose_waker_panics_causes_no_restart() {
    let _alone = crate::alone().await;
    let armed = panics(&[At::Line(BACKUP_FAILED, 1)]);
    let trial = trial(|config, folder| looking(settings(BACKUP_FAILED, config, folder))).await;
    let mut events = trial.store.events();
    let evil = Evil::default();
    let mut restarted = pin!(async {
        let is_it = |event| matches!(event, StoreEvent::ActorRestarted { .. });
        while !is_it(events.recv().await.unwrap()) {}
    });
    assert!(evil.polls(restarted.as_mut()).is_none());
    provoke(BACKUP_FAILED, &trial, &armed, 1).await;
    // The failure is told before it is logged, and whoever told it has got as far as that.
    assert_eq!(armed.hits(BACKUP_FAILED), 1);
    until("it is told", async || {
        evil.polls(restarted.as_mut()).is_some()
    })
    .await;
    assert!(evil.wakes() > 0);
    looks_on(&trial).await;
    assert_eq!(trial.all_restarts().await, 1);
    trial.ends(&Told::default()).await.unwrap();
}
