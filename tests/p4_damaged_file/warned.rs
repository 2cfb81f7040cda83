//! Other names of the file, links that lead elsewhere and mounts are told as warnings.

use crate::child::{given, succeed_with_mounts};
use crate::replaced::{messages, open, told};
use crate::wait::answered;
use crate::{INTERACTIONS, interaction};
use botstore::{FileProblem, Store, StoreEvent};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[tokio::test]
async fn a_second_name_is_a_warning_for_as_long_as_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let store = open(&path).await;
    let mut events = store.events();
    let other = folder.path().join("other.db");
    fs::hard_link(&path, &other).unwrap();
    let is_linked = |health: &botstore::Health| {
        matches!(
            health.file_problems[..],
            [FileProblem::HardLinked { names: 2, .. }]
        )
    };
    loop {
        let event = answered(events.recv()).await.unwrap();
        if let StoreEvent::FileProblem { problem, .. } = event {
            assert!(problem.to_string().contains("2 names"), "{problem}");
            break;
        }
    }
    let health = store.health().await.unwrap();
    assert!(health.ok && is_linked(&health), "{health:?}");
    store.write(interaction(0)).await.unwrap();
    fs::remove_file(&other).unwrap();
    assert_eq!(store.health().await.unwrap().file_problems, []);
    fs::hard_link(&path, &other).unwrap();
    store.close().await.unwrap();

    // It opens, and whoever subscribes first is told.
    let store = Store::open(&path).await.unwrap();
    assert!(is_linked(&store.health().await.unwrap()));
    let status = botstore::status(&path).unwrap();
    assert_eq!(status.file_problems.len(), 1);
    store.run_due().await.unwrap();
    let mut events = store.events();
    loop {
        let event = answered(events.recv()).await.unwrap();
        if matches!(event, StoreEvent::FileProblem { .. }) {
            break;
        }
    }
    store.close().await.unwrap();
}

/// As when a release is put in the place of the one before.
#[tokio::test]
async fn a_link_that_leads_to_another_file_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let leads_to = |to: Option<&str>, link: &Path| {
        let new = at("new-link");
        match to {
            Some(to) => {
                symlink(to, &new).unwrap();
                fs::rename(new, link).unwrap();
            }
            None => fs::remove_file(link).unwrap(),
        }
    };
    for (link, path, one, other) in [
        ("x.db", "x.db", "one.db", "other.db"),
        ("current", "current/x.db", "one", "other"),
    ] {
        let (link, path) = (at(link), at(path));
        if link != path {
            fs::create_dir(at(one)).unwrap();
            fs::create_dir(at(other)).unwrap();
            fs::write(at("other/x.db"), "").unwrap();
        } else {
            fs::write(at(other), "").unwrap();
        }
        leads_to(Some(one), &link);
        let store = open(&path).await;
        for to in [Some(other), None] {
            let mut events = store.events();
            leads_to(to, &link);
            if to.is_some() {
                told(&mut events, FileProblem::PathLeadsElsewhere).await;
            }
            let health = store.health().await.unwrap();
            assert_eq!(health.file_problems, [FileProblem::PathLeadsElsewhere]);
            assert!(health.ok);
            store.write(interaction(0)).await.unwrap();
        }
        leads_to(Some(one), &link);
        assert_eq!(store.health().await.unwrap().file_problems, []);
        store.close().await.unwrap();
        assert_eq!(messages(&path), INTERACTIONS + 2);
    }
}

/// As in a container whose image has the bot, and where the file alone is mounted.
#[test]
fn a_database_that_is_mounted_by_itself_is_told() {
    if let Some([path]) = given() {
        return is_told_of_the_mount(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let (host, app) = (folder.path().join("host.db"), folder.path().join("app"));
    fs::create_dir(&app).unwrap();
    let inside = app.join("x.db");
    fs::write(&host, "").unwrap();
    fs::write(&inside, "").unwrap();
    succeed_with_mounts(
        a_database_that_is_mounted_by_itself_is_told,
        &[(&host, &inside)],
        &[&inside],
    );
}

#[tokio::main(flavor = "current_thread")]
async fn is_told_of_the_mount(path: &Path) {
    let store = open(path).await;
    let health = store.health().await.unwrap();
    assert!(health.ok);
    assert_eq!(health.file_problems, [FileProblem::MountPoint]);
    told(&mut store.events(), FileProblem::MountPoint).await;
    store.close().await.unwrap();
    assert_eq!(
        botstore::status(path).unwrap().file_problems,
        [FileProblem::MountPoint]
    );
}
