//! Timers go by the time that it is for sure, and outlive what holds them up.

use super::*;

#[tokio::test]
async fn a_timer_that_came_due_while_no_store_was_open_runs_once_and_late() {
    let store = note_store().await;
    for number in [1, 2] {
        after(&store, (2 * number - 1) as u32 * HOUR, Note::new(number)).await;
    }
    let clock = store.clock().clone();
    let (folder, path) = store.into_file().await.unwrap();
    for expected in [&[1][..], &[1], &[1, 2], &[1, 2]] {
        clock.advance(HOUR);
        let store = opened(&path, &clock, |config| config.timer::<Note>()).await;
        settled(&store).await;
        assert_eq!(numbers(&store).await, expected);
        store.close().await.unwrap();
    }
    drop(folder);
}

#[tokio::test]
async fn a_clock_that_is_wrong_for_a_moment_runs_nothing_and_one_that_goes_on_so_does() {
    for jump in [2 * DAY, 3_650 * DAY] {
        let store = note_store().await;
        after(&store, DAY, Note::new(1)).await;
        let right = store.now();
        for _ in 0..3 {
            store.clock().set(right + jump);
            settled(&store).await;
            assert_eq!(numbers(&store).await, NONE);
            store.clock().set(right);
            settled(&store).await;
        }
        // The machine slept: it is believed after an hour.
        store.clock().set(right + jump);
        settled(&store).await;
        store.clock().advance(HOUR - MINUTE);
        settled(&store).await;
        assert_eq!(numbers(&store).await, NONE);
        store.clock().advance(2 * MINUTE);
        until("what is due", async || numbers(&store).await == [1]).await;
        settled(&store).await;
        // Set back, it has run all the same.
        store.clock().set(right);
        settled(&store).await;
        store.clock().advance(3_700 * DAY);
        settled(&store).await;
        assert_eq!(numbers(&store).await, [1]);
    }
}

#[tokio::test]
async fn a_file_that_is_opened_years_later_runs_what_is_due_when_the_clock_is_believed() {
    let store = note_store().await;
    after(&store, DAY, Note::new(1)).await;
    let path = store.path().to_owned();
    let (clock, now) = (
        FixedClock::at(store.now() + TimeDelta::days(3_650)),
        store.now(),
    );
    let (folder, _) = store.into_file().await.unwrap();
    // It was wrong.
    let store = opened(&path, &clock, |config| config.timer::<Note>()).await;
    settled(&store).await;
    assert_eq!(numbers(&store).await, NONE);
    store.close().await.unwrap();
    let right = FixedClock::at(now + TimeDelta::hours(2));
    let store = opened(&path, &right, |config| config.timer::<Note>()).await;
    settled(&store).await;
    assert_eq!(numbers(&store).await, NONE);
    store.close().await.unwrap();
    // It was right.
    let store = opened(&path, &clock, |config| config.timer::<Note>()).await;
    settled(&store).await;
    clock.advance(HOUR);
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1]);
    store.close().await.unwrap();
    // A host that does not want to wait.
    let believed = |config: Config| config.timer::<Note>().clock_jump_wait(Duration::ZERO);
    let store = opened(&path, &clock, believed).await;
    after(&store, DAY, Note::new(2)).await;
    clock.set(clock.now() + TimeDelta::days(400));
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1, 2]);
    store.close().await.unwrap();
    drop(folder);
}

#[tokio::test]
async fn in_ten_minutes_is_in_ten_minutes_on_a_clock_that_is_wrong_too() {
    let second = Duration::from_secs(1);
    for jump in [HOUR, DAY, 3_650 * DAY] {
        for is_put_right in [true, false] {
            let store = note_store().await;
            let right = store.now();
            store.clock().set(right + jump);
            settled(&store).await;
            after(&store, 10 * MINUTE, Note::new(1)).await;
            let set = pending(&store).await.remove(0);
            assert_eq!(set.due_at - set.created_at, TimeDelta::minutes(10));
            store.clock().advance(5 * MINUTE);
            settled(&store).await;
            if is_put_right {
                store.clock().set(right + 5 * MINUTE);
                settled(&store).await;
            }
            store.clock().advance(5 * MINUTE - second);
            settled(&store).await;
            assert_eq!(numbers(&store).await, NONE, "{jump:?}");
            store.clock().advance(2 * second);
            settled(&store).await;
            assert_eq!(
                numbers(&store).await,
                [1],
                "{jump:?}, put right: {is_put_right}"
            );
        }
    }
}

#[tokio::test]
async fn a_time_that_was_named_is_kept_whatever_the_clock_said_when_it_was() {
    let store = note_store().await;
    let right = store.now();
    store.clock().set(right + DAY);
    settled(&store).await;
    let at = At::new(right + 2 * DAY, Note::new(1));
    store.write(at).await.unwrap();
    store.clock().set(right);
    settled(&store).await;
    store.clock().advance(2 * DAY - MINUTE);
    settled(&store).await;
    assert_eq!(numbers(&store).await, NONE);
    store.clock().advance(MINUTE);
    settled(&store).await;
    assert_eq!(numbers(&store).await, [1]);
}
