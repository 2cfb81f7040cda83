//! Opening that fails leaves nothing behind: no thread, no descriptor, no lock.

use crate::child::{self, again, succeed};
use crate::common::{Probe, Put, answered, until, wait_until};
use crate::subscriber;
use botstore::rusqlite::Connection;
use botstore::{Config, ErrorKind, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use subscriber::panics_once_at;

fn count(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// How many threads and descriptors this process has.
fn has() -> (usize, usize) {
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// No more than so many descriptors may be open.
fn allow_descriptors(most: u64) {
    // SAFETY: it is read from and written to, and is of this frame.
    let done = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = most.min(limit.rlim_max);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit)
    };
    assert_eq!(done, 0);
}

/// The child: where it runs out of descriptors is at every step of opening in turn.
async fn runs_out_of_descriptors(path: &str) {
    let config = || {
        Config::new(path)
            .readers(3)
            .analytics_readers(2)
            .schema::<Probe>()
    };
    let open = async || answered(Store::open(config())).await;
    // SQLite keeps some of its own.
    open().await.unwrap().close().await.unwrap();
    let (threads, descriptors) = has();
    let mut failed = 0;
    for more in (0..).step_by(2) {
        allow_descriptors((descriptors + more) as u64);
        let opened = open().await;
        allow_descriptors(1024);
        match opened {
            Ok(store) => {
                store.close().await.unwrap();
                break;
            }
            Err(_) => failed += 1,
        }
        // The lock is released by the time that the caller hears of it.
        let store = open().await.unwrap();
        answered(store.write(Put::new(more as i64))).await.unwrap();
        store.close().await.unwrap();
        wait_until("its threads have ended", || has().0 <= threads);
        wait_until("its descriptors are closed", || has().1 <= descriptors);
    }
    assert!(failed > 10, "{failed}");
}

#[tokio::test]
pub(crate) async fn an_opening_that_runs_out_of_descriptors_leaves_no_threads_and_no_descriptors() {
    if let Some([path]) = child::given() {
        return runs_out_of_descriptors(&path).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let test = an_opening_that_runs_out_of_descriptors_leaves_no_threads_and_no_descriptors;
    succeed(again(&[], test, &[&path]));
}

#[tokio::test]
async fn an_interval_without_end_opens() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().join("x.db")).schema::<Probe>();
    let config = config
        .reconcile_every(Duration::MAX)
        .every(Duration::MAX, || Put::new(1));
    let store = answered(Store::open(config)).await.unwrap();
    answered(store.run_due()).await.unwrap();
    answered(store.write(Put::new(2))).await.unwrap();
    answered(store.close()).await.unwrap();
}

/// Opens the file while the WAL panics at this line, and then again.
async fn opens_again_after(line: &'static str, path: &Path) {
    let config = || Config::new(path).schema::<Probe>();
    let armed = panics_once_at(line);
    let error = answered(Store::open(config())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
    assert_eq!(armed.hits(line), 1);
    // Its thread has let go of the lock, or is about to.
    until("it opens", async || match Store::open(config()).await {
        Ok(store) => store.close().await.is_ok(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyOpen, "{error}");
            false
        }
    })
    .await;
}

#[tokio::test]
async fn an_opening_whose_log_panics_says_so_and_leaves_the_file_to_be_opened() {
    let _alone = crate::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let config = Config::new(&path).schema::<Probe>();
    Store::open(config).await.unwrap().close().await.unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let to_others = "accounts other than its owner's can read or write this file: chmod 600 it";
    opens_again_after(to_others, &path).await;
    let trigger = "CREATE TRIGGER mine AFTER INSERT ON probe BEGIN SELECT 1; END";
    Connection::open(&path)
        .unwrap()
        .execute_batch(trigger)
        .unwrap();
    let unknown = "the file has schema objects that no step of this program made";
    opens_again_after(unknown, &path).await;
}
