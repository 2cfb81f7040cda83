//! Timers that cannot run are kept and told, and in nobody's way.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

fn failed(events: &mut Receiver<StoreEvent>) -> Vec<FailedTimer> {
    let told = all(events).into_iter().filter_map(|event| match event {
        StoreEvent::TimersFailed { timers, .. } => Some(timers),
        _ => None,
    });
    told.flatten().collect()
}

fn unknown(events: &mut Receiver<StoreEvent>) -> Vec<(String, usize)> {
    let told = all(events).into_iter().filter_map(|event| match event {
        StoreEvent::TimersUnknown { name, timers, .. } => Some((name, timers)),
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn names_that_nobody_has_registered_are_kept_and_told_and_run_when_somebody_has() {
    // More than are looked at together, and all before the one that is known.
    const STRAYS: usize = 600;
    let store = note_store().await;
    let mut events = store.events();
    for _ in 0..STRAYS {
        store.write(After::new(MINUTE, Stray)).await.unwrap();
    }
    after(&store, 2 * MINUTE, Note::new(1)).await;
    store.clock().advance(HOUR);
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1]);
    let told = unknown(&mut events);
    assert!(told.iter().all(|(name, _)| name == Stray::NAME));
    assert_eq!(told.iter().map(|(_, timers)| timers).sum::<usize>(), STRAYS);
    for _ in 0..3 {
        store.clock().advance(DAY);
        settled(&store).await;
    }
    assert_eq!(unknown(&mut events), [], "once each");
    assert_eq!(pending(&store).await.len(), STRAYS);
    let clock = store.clock().clone();
    let (folder, path) = store.into_file().await.unwrap();
    // Known again, and nothing else is.
    let store = opened(&path, &clock, |config| config.timer::<Stray>()).await;
    settled(&store).await;
    assert_eq!(pending(&store).await, []);
    store.close().await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn what_is_due_when_a_store_is_opened_that_does_not_know_it_is_told_to_who_subscribes_first()
{
    let store = note_store().await;
    after(&store, MINUTE, Note::new(1)).await;
    let clock = store.clock().clone();
    let (folder, path) = store.into_file().await.unwrap();
    clock.advance(HOUR);
    let store = opened(&path, &clock, |config| config).await;
    settled(&store).await;
    assert_eq!(unknown(&mut store.events()), [(Note::NAME.to_owned(), 1)]);
    store.close().await.unwrap();
    drop(folder);
}

/// In every way in which one can fail. The others run; it is tried ten times, further and further apart.
#[tokio::test]
async fn timers_that_fail_are_in_nobodys_way_and_are_kept() {
    // More than are looked at together.
    const EACH: usize = 100;
    let store = note_store().await;
    let mut events = store.events();
    let mut bad = 0;
    for then in [Then::Fail, Then::Panic, Then::SayClosed, Then::SayCorrupt] {
        for _ in 0..EACH {
            bad += 1;
            after(&store, MINUTE, Note::then(-(bad as i64), then)).await;
        }
    }
    let due = Timestamp(store.now()).to_string();
    let unreadable = [
        "",
        "no JSON: a secret",
        "{\"number\": \"a secret\"}",
        "[]",
        "{\"number\":",
        "null",
    ];
    plainly(store.path(), |conn| {
        for message in unreadable {
            let sql = "INSERT INTO botstore_timer (name, message, due_at, created_at, try_at)
                       VALUES ('note', ?2, ?1, ?1, ?1)";
            conn.execute(sql, [&due, message]).unwrap();
            bad += 1;
        }
    });
    after(&store, 2 * MINUTE, Note::new(1)).await;
    store.clock().advance(2 * MINUTE);
    settled(&store).await;
    assert_eq!(
        numbers(&store).await,
        [1],
        "nothing is left of those that failed"
    );
    let told = failed(&mut events);
    assert_eq!(told.len(), bad);
    for timer in &told {
        let next = timer.try_at.map(|at| at - store.now());
        assert_eq!((timer.failures, next), (1, Some(TimeDelta::minutes(1))));
        assert!(
            !timer.error.to_string().contains("secret"),
            "{}",
            timer.error
        );
    }
    let kinds = |kind| {
        told.iter()
            .filter(|timer| timer.error.kind() == kind)
            .count()
    };
    assert_eq!(kinds(ErrorKind::Panicked), EACH);
    assert_eq!(kinds(ErrorKind::Corrupt), EACH);
    // At rest until then, however often somebody looks.
    for _ in 0..5 {
        settled(&store).await;
    }
    assert_eq!(failed(&mut events).len(), 0);
    for (failures, minutes) in (2..).zip([2, 4, 8, 16, 32, 60, 60, 60]) {
        let (last, step) = (pending(&store).await, Duration::from_secs(1));
        let next = last.iter().filter_map(|timer| timer.try_at).min().unwrap();
        store.clock().advance_to(next - step);
        settled(&store).await;
        assert_eq!(failed(&mut events).len(), 0, "not before its time");
        store.clock().advance(step);
        settled(&store).await;
        let told = failed(&mut events);
        assert_eq!(told.len(), bad);
        for timer in told {
            let next = timer.try_at.map(|at| at - store.now());
            assert_eq!(
                (timer.failures, next),
                (failures, Some(TimeDelta::minutes(minutes)))
            );
        }
    }
    store.clock().advance(HOUR);
    settled(&store).await;
    let told = failed(&mut events);
    assert_eq!(told.len(), bad);
    assert!(
        told.iter()
            .all(|timer| (timer.failures, timer.try_at) == (10, None))
    );
    store.clock().advance(100 * DAY);
    settled(&store).await;
    assert_eq!(failed(&mut events).len(), 0, "no more");
    assert_eq!(pending(&store).await.len(), bad);
    // A program that can run them.
    let clock = store.clock().clone();
    let (folder, path) = store.into_file().await.unwrap();
    let store = opened(&path, &clock, |config| config.timer::<Mended>()).await;
    settled(&store).await;
    assert_eq!(pending(&store).await.len(), unreadable.len());
    store.close().await.unwrap();
    drop(folder);
}

/// A host's clock that panics once, when it is asked the next time but so many.
#[derive(Clone)]
struct Trips {
    clock: FixedClock,
    left: Arc<AtomicI64>,
}

impl Clock for Trips {
    fn now(&self) -> DateTime<Utc> {
        let left = self.left.fetch_sub(1, SeqCst);
        assert!(left != 1, "this panic is part of a test");
        self.clock.now()
    }

    fn instant(&self) -> std::time::Instant {
        self.clock.instant()
    }
}

/// Wherever it is: in the transaction of many, in one timer's run before its message, or in who looks for them.
#[tokio::test]
async fn what_fails_beside_a_timers_message_counts_for_none_of_its_tries() {
    let folder = tempfile::tempdir().unwrap();
    let clock = FixedClock::at(Utc::now());
    let left = Arc::new(AtomicI64::new(0));
    let trips = Trips {
        clock: clock.clone(),
        left: Arc::clone(&left),
    };
    let store = opened(&folder.path().join("bot.db"), &clock, |config| {
        config.timer::<Note>().clock(trips)
    })
    .await;
    settled(&store).await;
    let mut events = store.events();
    let (mut told, mut expected) = (Vec::new(), Vec::new());
    for nth in 1..=40 {
        for number in [2 * nth, 2 * nth + 1] {
            after(&store, MINUTE, Note::new(number)).await;
            expected.push(number);
        }
        left.store(nth, SeqCst);
        clock.advance(MINUTE);
        let _ = store.run_due().await;
        left.store(0, SeqCst);
        for timer in pending(&store).await {
            assert_eq!(timer.failures, 0, "call {nth}");
            assert!(timer.try_at.is_some(), "call {nth}");
        }
        until("they have run", async || {
            clock.advance(MINUTE);
            settled(&store).await;
            pending(&store).await.is_empty()
        })
        .await;
        told.extend(failed(&mut events));
    }
    let mut ran = numbers(&store).await;
    ran.sort_unstable();
    assert_eq!(ran, expected, "each once");
    assert!(!told.is_empty(), "none was hit");
    for timer in told {
        assert_eq!(
            (timer.failures, timer.error.kind()),
            (0, ErrorKind::Panicked)
        );
    }
    store.close().await.unwrap();
}
