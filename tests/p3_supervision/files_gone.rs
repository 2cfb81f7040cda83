//! The files of a store go while its writer has no connection: what it panicked on was given up, and no other
//! can be opened to the same files. Closing still saves all that was acknowledged.

use crate::common::{Numbers, Put, answered};
use crate::copy::{keeps_its_log, with};
use crate::provoke::LOST;
use crate::subscriber::panics_once_at;
use crate::trial::{Trial, trial};
use botstore::rusqlite::Connection;
use botstore::{ErrorKind, Mutation, Result, Role, StoreEvent, WriteTx};
use std::fs;
use std::path::{Path, PathBuf};

/// Removes files, and ends the transaction with an error. What the log says of that panics, and so the
/// connection is given up after the files are gone and before anybody has seen that they are.
struct Remove(Vec<PathBuf>);

impl Mutation for Remove {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        for file in &self.0 {
            // Beside another mutation of a batch it runs again.
            let removed = fs::remove_file(file).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
            removed.unwrap();
        }
        tx.execute("INSERT OR ROLLBACK INTO probe (number) VALUES (1)", [])?;
        Ok(())
    }
}

fn numbers(path: &Path) -> Vec<i64> {
    let conn = Connection::open(path).unwrap();
    let whole: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    let mut numbers = conn.prepare("SELECT number FROM probe").unwrap();
    let numbers = numbers.query_map([], |row| row.get(0)).unwrap();
    numbers.map(|number| number.unwrap()).collect()
}

/// The copies that the store says it has saved.
fn saved(trial: &mut Trial) -> Vec<PathBuf> {
    let mut saved = Vec::new();
    while let Ok(event) = trial.events.try_recv() {
        if let StoreEvent::CopySaved { path, .. } = event {
            saved.push(path);
        }
    }
    saved
}

#[tokio::test]
async fn closing_saves_all_from_the_connection_that_was_given_up() {
    let _alone = crate::alone().await;
    for gone in [
        &["-wal"][..],
        &["-shm"],
        &["-wal", "-shm"],
        &[""],
        &["", "-wal", "-shm"],
    ] {
        let armed = panics_once_at(LOST);
        let mut trial = trial(|config, _| keeps_its_log(config)).await;
        for number in 1..=20 {
            answered(trial.store.write(Put::new(number))).await.unwrap();
        }
        let files = gone
            .iter()
            .map(|suffix| with(&trial.path, suffix))
            .collect();
        answered(trial.store.write(Remove(files)))
            .await
            .unwrap_err();
        trial.until_restarted(Role::Writer, 1).await;
        assert_eq!(armed.hits(LOST), 1, "{gone:?}");
        let error = answered(trial.store.write(Put::new(21))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced, "{gone:?}: {error}");
        assert_eq!(answered(trial.store.read(Numbers)).await.unwrap().len(), 20);

        let error = answered(trial.store.close()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Replaced, "{gone:?}: {error}");
        let saved = saved(&mut trial);
        assert_eq!(saved.len(), 1, "{gone:?}: {error}");
        assert!(
            error.to_string().contains(saved[0].to_str().unwrap()),
            "{error}"
        );
        assert_eq!(numbers(&saved[0]), Vec::from_iter(1..=20), "{gone:?}");
    }
}
