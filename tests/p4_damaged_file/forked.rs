//! A process that was forked from one with an open store: the store's threads are not in it.

use crate::copy::with;
use crate::wait::answered;
use crate::{Everything, interaction, sign_up};
use botstore::users::{EnsureUser, GetUser};
use botstore::{ErrorKind, Result, Store};
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};

/// The answer of a call that waits for nobody.
fn at_once<T>(call: impl Future<Output = Result<T>>) -> Result<Result<T>, ()> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(call).poll(&mut context) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Err(()),
    }
}

/// Whether a call answers at once that the store is not here.
fn refused<T>(call: impl Future<Output = Result<T>>) -> bool {
    let answer = at_once(call);
    matches!(answer, Ok(Err(error)) if error.kind() == ErrorKind::Closed)
}

/// Every call there is, by its place here.
fn calls(store: &Store) -> Vec<bool> {
    vec![
        refused(store.write(interaction(9))),
        refused(store.try_write(interaction(9))),
        refused(store.read(Everything)),
        refused(store.try_read(Everything)),
        // What is in the row cache.
        refused(store.read(GetUser::new(1))),
        refused(store.try_read(GetUser::new(1))),
        refused(store.repair_rollups()),
        refused(store.back_up(Default::default())),
        refused(store.drill()),
        refused(store.run_due()),
        refused(store.health()),
        refused(store.close()),
    ]
}

/// Does it in a forked child, which has to end well; gives how it ended, or that it did not.
fn in_a_child(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child ends with `_exit`; memory may be had in it, which glibc and musl see to.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // A hang is a failure too.
        unsafe { libc::alarm(60) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        unsafe { libc::_exit(done.unwrap_or(99)) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => 1_000 + libc::WTERMSIG(status),
    }
}

/// What is in the files, read by another process: to open them in this one would drop the store's locks.
fn picture(path: &Path) -> Vec<(u64, Vec<u8>)> {
    ["", "-wal", "-shm", ".lock"]
        .iter()
        .map(|suffix| {
            let file = with(path, suffix);
            let sum = Command::new("cksum")
                .arg(&file)
                .stderr(Stdio::null())
                .output()
                .unwrap();
            let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&file).unwrap());
            (inode, sum.stdout)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_forked_child_every_call_is_refused_and_dropping_touches_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = Store::open(&path).await.unwrap();
    sign_up(&store).await;
    store.write(interaction(0)).await.unwrap();
    store.read(GetUser::new(1)).await.unwrap();
    let clone = store.clone();
    let before = picture(&path);

    let ended = in_a_child(|| {
        let calls = calls(&store);
        match calls.iter().position(|refused| !refused) {
            Some(at) => 1 + at as i32,
            None => 0,
        }
    });
    assert_eq!(ended, 0, "the call, counted from 1, that is not refused");
    // Each handle, the last one too.
    let ended = in_a_child(|| {
        // SAFETY: the child has a memory of its own, so the parent's are still there.
        let handles = unsafe { [std::ptr::read(&store), std::ptr::read(&clone)] };
        drop(handles);
        0
    });
    assert_eq!(ended, 0, "dropping");
    assert!(picture(&path) == before);

    answered(store.write(EnsureUser::new(2, None)))
        .await
        .unwrap();
    assert!(store.health().await.unwrap().ok);
    drop(clone);
    answered(store.close()).await.unwrap();
    assert!(!with(&path, "-wal").exists());
}

/// While callers write: whatever lock another thread holds at that moment is held for ever in the child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_that_are_forked_at_any_moment_hang_on_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = Store::open(&path).await.unwrap();
    sign_up(&store).await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            let mut number = 0;
            loop {
                number += 1;
                match store.write(interaction(number)).await {
                    Ok(_) => {}
                    Err(error) => break error.kind(),
                }
                store.read(GetUser::new(1)).await.ok();
            }
        }
    });
    for _ in 0..100 {
        let ended = in_a_child(|| {
            let refused = calls(&store).iter().all(|refused| *refused);
            // SAFETY: as above.
            drop(unsafe { std::ptr::read(&store) });
            i32::from(!refused)
        });
        assert_eq!(ended, 0);
    }
    answered(store.close()).await.unwrap();
    assert_eq!(answered(writing).await.unwrap(), ErrorKind::Closed);
    let conn = botstore::rusqlite::Connection::open(&path).unwrap();
    let check: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}
