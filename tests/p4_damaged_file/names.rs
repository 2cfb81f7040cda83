//! One file under several names is one store.

use crate::child::{Victim, given, succeed_with_mounts, with_mounts};
use crate::copy::with;
use crate::{interaction, sign_up};
use botstore::{ErrorKind, Store};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Opens it by one name, and by another meanwhile: which is refused, whatever is beside that name. And
/// afterwards by the other name.
async fn are_one_store(one: &Path, other: &Path) {
    let store = Store::open(one).await.unwrap();
    sign_up_once(&store).await;
    store.write(interaction(0)).await.unwrap();
    let refused = [
        Store::open(other).await.map(|_| ()).unwrap_err(),
        botstore::schema::apply(other).map(|_| ()).unwrap_err(),
    ];
    for refused in refused {
        let kind = refused.kind();
        assert_eq!(kind, ErrorKind::AlreadyOpen, "{one:?} {other:?}: {refused}");
    }
    // A backup has all that there is, or is refused where the WAL is beside the other name.
    match botstore::backup::take(other, Default::default()) {
        Ok(backup) => {
            let rows = backup.manifest.contents.unwrap().rows;
            assert!(rows["messages"] > 0, "{one:?} {other:?}: {rows:?}");
        }
        Err(refused) => assert_eq!(refused.kind(), ErrorKind::AlreadyOpen, "{refused}"),
    }
    // What was refused has left the other's locks alone, and nothing of its own.
    store.write(interaction(1)).await.unwrap();
    assert!(store.health().await.unwrap().ok);
    store.close().await.unwrap();
    let store = Store::open(other).await.unwrap();
    store.write(interaction(2)).await.unwrap();
    store.close().await.unwrap();
}

async fn sign_up_once(store: &Store) {
    if store
        .read(botstore::users::GetUser::new(1))
        .await
        .unwrap()
        .is_none()
    {
        sign_up(store).await;
    }
}

async fn are_one_store_both_ways(one: &Path, other: &Path) {
    are_one_store(one, other).await;
    are_one_store(other, one).await;
}

fn relative(to: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..");
    up.collect::<PathBuf>().join(to.strip_prefix("/").unwrap())
}

/// By a name that is found through links and folders.
async fn is_one_store_by(name: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("data/deep")).unwrap();
    fs::create_dir(at("other")).unwrap();
    symlink(at("data"), at("folder-link")).unwrap();
    let path = at("data/x.db");
    symlink("data/x.db", at("link.db")).unwrap();
    symlink(at("link.db"), at("other/link.db")).unwrap();
    let other = match name {
        RELATIVE => relative(&path),
        name => at(name),
    };
    are_one_store_both_ways(&path, &other).await;
}

const RELATIVE: &str = "../../x.db from the root";

/// By another name that the file has; and by three.
async fn is_one_store_with(link: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("data")).unwrap();
    fs::create_dir(at("other")).unwrap();
    let (path, other, third) = (at("data/x.db"), at(link), at("third.db"));
    Store::open(&path).await.unwrap().close().await.unwrap();
    fs::hard_link(&path, &other).unwrap();
    are_one_store_both_ways(&path, &other).await;
    fs::hard_link(&path, &third).unwrap();
    are_one_store(&other, &third).await;
}

fn alone(case: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(case);
}

/// On a thread each: who comes by another name waits for the lock on its own thread before it is refused.
#[test]
fn a_file_is_one_store_by_each_of_its_names() {
    let names = [
        "data/deep/../x.db",
        "data/./x.db",
        "folder-link/x.db",
        "link.db",
        "other/link.db",
        RELATIVE,
    ];
    std::thread::scope(|scope| {
        for name in names {
            scope.spawn(move || alone(is_one_store_by(name)));
        }
        for link in ["data/y.db", "other/x.db"] {
            scope.spawn(move || alone(is_one_store_with(link)));
        }
    });
}

#[tokio::test]
async fn who_only_looks_keeps_nobody_from_opening_by_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    Store::open(&path).await.unwrap().close().await.unwrap();
    let reader = botstore::rusqlite::Connection::open(&path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM users")
        .unwrap();
    let store = Store::open(&path).await.unwrap();
    drop(reader);
    store.close().await.unwrap();
}

#[test]
fn a_file_that_is_mounted_at_two_places_is_one_store() {
    if let Some([one, other, folder_one, folder_other]) = given() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            are_one_store_both_ways(one.as_ref(), other.as_ref()).await;
            are_one_store_both_ways(folder_one.as_ref(), folder_other.as_ref()).await;
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["host", "app", "host/data", "app/data"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("host/x.db"), "").unwrap();
    fs::write(at("app/x.db"), "").unwrap();
    succeed_with_mounts(
        a_file_that_is_mounted_at_two_places_is_one_store,
        &[
            (&at("host/x.db"), &at("app/x.db")),
            (&at("host/data"), &at("app/data")),
        ],
        &[
            &at("host/x.db"),
            &at("app/x.db"),
            &at("host/data/y.db"),
            &at("app/data/y.db"),
        ],
    );
}

/// As of an operator on the host, while the container's bot has the file open: nothing here is mounted.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_a_container_has_open_is_refused_on_the_host() {
    if let Some([path]) = given() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = runtime.block_on(async { Store::open(&path).await.unwrap() });
        println!("open");
        std::thread::park();
        drop(store);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (host, app) = (folder.path().join("x.db"), folder.path().join("app"));
    fs::create_dir(&app).unwrap();
    let inside = app.join("x.db");
    fs::write(&host, "").unwrap();
    fs::write(&inside, "").unwrap();
    let this = a_file_that_a_container_has_open_is_refused_on_the_host;
    let Some(child) = with_mounts(this, &[(&host, &inside)], &[&inside]) else {
        eprintln!("skipped: this system lets nobody like us mount a file");
        return;
    };
    let mut container = Victim::start(child);
    assert!(container.says("open"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let open = || runtime.block_on(async { Store::open(&host).await });
    assert_eq!(open().unwrap_err().kind(), ErrorKind::AlreadyOpen);
    let taken = botstore::backup::take(&host, Default::default());
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyOpen);
    assert!(!with(&host, "-wal").exists());
    let status = botstore::status(&host).unwrap();
    assert_eq!(status.open_in, botstore::OpenIn::Unknown);
    container.kill();
    let store = open().unwrap();
    runtime.block_on(store.close()).unwrap();
}
