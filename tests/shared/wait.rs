//! Waiting for a state. No test asserts how long something takes, and none takes a pause for a state:
//! a machine may be as busy as it likes.

#![allow(dead_code, reason = "each test uses a part of it")]

use botstore::Config;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// After so long what is waited for never comes. Turns a hang into a failure and is no bound on how long
/// anything takes: it is hundreds of times as long as that is on a busy machine.
pub const HANG: Duration = Duration::from_secs(300);

/// The longest that [`Config::busy_timeout`] may be.
const LONGEST_LOCK: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(1);

/// Between two looks.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// The answer, or a panic if there is none.
pub async fn answered<T>(request: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(HANG, request).await;
    answer.expect("this was never answered")
}

/// Waits until this is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !answered(so()).await {
        assert!(began.elapsed() < HANG, "this never came: {what}");
        pause().await;
    }
}

/// The same where nothing is async, such as beside another process.
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < HANG, "this never came: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Sends a request, which has to wait: it is in its queue, or in front of it, once this is done.
pub fn is_sent(request: Pin<&mut impl Future>) {
    let mut context = Context::from_waker(Waker::noop());
    let polled = request.poll(&mut context);
    assert!(matches!(polled, Poll::Pending), "it does not wait");
}

/// Runs them beside each other, on this thread: for what waits more than it works.
pub async fn at_once<F>(all: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + 'static,
{
    let here = LocalSet::new();
    let all = all.into_iter().map(|one| here.spawn_local(one));
    let all = Vec::from_iter(all);
    let ended = async {
        for one in all {
            one.await.unwrap();
        }
    };
    here.run_until(ended).await;
}

/// Deadlines that no busy machine misses, for tests that are about something else.
pub fn patient(config: Config) -> Config {
    config
        .interactive_deadline(HANG)
        .analytics_deadline(HANG)
        .mutation_deadline(HANG)
        .close_deadline(HANG)
        .busy_timeout(LONGEST_LOCK)
}
