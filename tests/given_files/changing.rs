//! A file that another program changes while it is inspected: every answer is of one state in which it
//! was, and a change underneath is not called damage.

use crate::support::Given;
use botstore::backup::{self, Backups, Mode, TakeBackup, VerifyOptions};
use botstore::rusqlite::Connection;
use botstore::time::{Clock, SystemClock};
use botstore::{Config, Error, ErrorKind, ReadTx, Result, schema};
use chrono::{DateTime, Utc};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Two tables that always have the same number of rows.
const TWINS: &str = "CREATE TABLE a (text TEXT); CREATE TABLE b (text TEXT);";

/// Another program, which changes the file all it can: it adds a row to each of the twins, and has
/// every table begin elsewhere. Then it closes the file.
#[derive(Clone)]
struct Program {
    path: PathBuf,
    times_left: Arc<AtomicU32>,
    changed: Arc<AtomicU32>,
}

impl Program {
    fn new(path: &Path, times: u32) -> Self {
        Self {
            path: path.to_owned(),
            times_left: Arc::new(AtomicU32::new(times)),
            changed: Arc::default(),
        }
    }

    fn runs(&self) {
        let less = |times: u32| times.checked_sub(1);
        if (self.times_left)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_err()
        {
            return;
        }
        let changed = self.change();
        // Locked out by who reads the file, it has changed nothing.
        match changed.map_err(Error::from) {
            Ok(()) => _ = self.changed.fetch_add(1, Ordering::SeqCst),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
    }

    fn change(&self) -> botstore::rusqlite::Result<()> {
        let conn = Connection::open(&self.path)?;
        conn.busy_timeout(Duration::ZERO)?;
        let vacuum: i64 = conn.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
        let other = if vacuum == 0 { 2 } else { 0 };
        conn.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             INSERT INTO a VALUES (printf('%.*c', 5000, 'a'));
             INSERT INTO b VALUES (printf('%.*c', 5000, 'b'));
             COMMIT;
             PRAGMA auto_vacuum = {other};
             VACUUM;"
        ))
    }

    fn has_changed(&self) -> u32 {
        self.changed.load(Ordering::SeqCst)
    }
}

/// Asked for the time in the middle of every inspection.
impl Clock for Program {
    fn now(&self) -> DateTime<Utc> {
        self.runs();
        SystemClock.now()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Journal {
    Wal,
    Rollback,
}

const JOURNALS: [Journal; 2] = [Journal::Wal, Journal::Rollback];

/// The closed file of a bot, with the twins in it.
fn twins(journal: Journal) -> Given {
    let given = Given::file_now();
    given.forge(TWINS);
    if journal == Journal::Rollback {
        given.forge("PRAGMA journal_mode = DELETE");
    }
    Program::new(&given.path, 1).runs();
    given
}

/// What lies in the folder of a file.
fn listing(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut found = Vec::from_iter(entries.map(|entry| entry.unwrap().path()));
    found.sort();
    found
}

fn count(tx: &ReadTx<'_>, table: &str) -> Result<i64> {
    let sql = format!("SELECT count(*) FROM {table} WHERE text LIKE '{table}%'");
    tx.one(&sql, [], |row| Ok(row.get(0)?))
}

/// All that tells of a file without a store, while a program changes it `times` times at each; gives the
/// refusals. `config` names the file as it is inspected, `path` as it is changed.
fn inspect(config: &Config, path: &Path, times: u32) -> Vec<Error> {
    let mut refused = Vec::new();
    let beside = listing(path);
    let program = || Program::new(path, times);
    let at = |program: &Program| config.clone().clock(program.clone());

    match schema::plan(at(&program())) {
        Ok(plan) => assert!(plan.steps.is_empty(), "{plan}"),
        Err(error) => refused.push(error),
    }
    match schema::unknown_objects(at(&program())) {
        Ok(unknown) => assert!(unknown.first.iter().all(|object| object.name.len() == 1)),
        Err(error) => refused.push(error),
    }
    match botstore::status(at(&program())) {
        Ok(status) => {
            assert_eq!(status.rows["a"], status.rows["b"]);
            match status.plan {
                Ok(plan) => assert!(plan.steps.is_empty(), "{plan}"),
                Err(error) => refused.push(error),
            }
        }
        Err(error) => refused.push(error),
    }
    let between = program();
    let read = botstore::snapshot(config.clone(), |tx| {
        let a = count(tx, "a")?;
        between.runs();
        Ok((a, count(tx, "b")?))
    });
    match read {
        Ok((a, b)) => assert_eq!(a, b),
        Err(error) => refused.push(error),
    }
    assert_eq!(listing(path), beside, "nothing is left");
    refused
}

#[test]
fn what_is_told_of_a_file_is_of_one_state_while_a_program_changes_it() {
    for journal in JOURNALS {
        let given = twins(journal);
        let refused = inspect(&given.config(), &given.path, u32::MAX);
        assert!(refused.is_empty(), "{journal:?}: {refused:?}");
        let status = botstore::status(given.config()).unwrap();
        match journal {
            // Nobody is held up.
            Journal::Wal => assert!(status.rows["a"] > 4, "{:?}", status.rows),
            Journal::Rollback => assert_eq!(status.rows["a"], 1),
        }
    }
}

/// Nothing keeps a program from changing a file that cannot be locked, and what it reads then is told
/// from damage.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_written_is_read_again_when_a_program_has_changed_it() {
    use crate::child;

    if let Some([folder, mount]) = child::given() {
        let (path, seen) = (
            Path::new(&folder).join("bot.db"),
            Path::new(&mount).join("bot.db"),
        );
        let config = Config::new(&seen);
        let journal = Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))
            .unwrap();
        // A snapshot is read once, and cannot be read again.
        let of_the_snapshot = inspect(&config, &path, 1);
        match &*journal {
            "wal" => assert!(is_busy(&of_the_snapshot, 1), "{of_the_snapshot:?}"),
            _ => assert!(of_the_snapshot.is_empty(), "{of_the_snapshot:?}"),
        }
        let all = inspect(&config, &path, u32::MAX);
        match &*journal {
            "wal" => assert!(is_busy(&all, 4), "{all:?}"),
            _ => assert!(all.is_empty(), "{all:?}"),
        }
        assert!(inspect(&config, &path, 0).is_empty());
        // With a WAL there are locks, and whoever has made it may go meanwhile.
        if journal == "wal" {
            let open = Connection::open(&path).unwrap();
            open.query_row("SELECT count(*) FROM a", [], |_| Ok(()))
                .unwrap();
            let read = botstore::snapshot(config, |tx| {
                let a = count(tx, "a")?;
                Program::new(&path, 1).runs();
                Ok((a, count(tx, "b")?))
            });
            let (a, b) = read.unwrap();
            assert_eq!(a, b);
        }
        return;
    }
    for journal in JOURNALS {
        let given = twins(journal);
        let mount = tempfile::tempdir().unwrap();
        child::succeed_with_a_read_only_view(
            a_file_that_cannot_be_written_is_read_again_when_a_program_has_changed_it,
            given.folder.path(),
            mount.path(),
        );
    }
}

#[cfg(target_os = "linux")]
fn is_busy(errors: &[Error], number: usize) -> bool {
    let busy = |error: &Error| {
        error.kind() == ErrorKind::Busy
            && error.is_transient()
            && error.to_string().contains("while it is read")
    };
    errors.len() == number && errors.iter().all(busy)
}

/// When the disk is full somebody will want to know how the file is.
#[cfg(target_os = "linux")]
#[test]
fn a_file_on_a_full_disk_is_inspected_and_nothing_is_left() {
    use crate::child;
    use std::io::Write;

    if let Some([disk]) = child::given() {
        let path = Path::new(&disk).join("bot.db");
        let given = twins(Journal::Wal);
        fs::copy(&given.path, &path).unwrap();
        let mut rest = fs::File::create(Path::new(&disk).join("rest")).unwrap();
        while rest.write_all(&[0; 4096]).is_ok() {}
        let beside = listing(&path);
        assert!(schema::plan(&path).unwrap().steps.is_empty());
        let status = botstore::status(&path).unwrap();
        assert_eq!(status.rows["a"], 1);
        let a = botstore::snapshot(&path, |tx| count(tx, "a")).unwrap();
        assert_eq!(a, 1);
        assert_eq!(listing(&path), beside, "nothing is left");
        return;
    }
    child::succeed_on_a_small_disk(a_file_on_a_full_disk_is_inspected_and_nothing_is_left, 4);
}

/// Each that is closed takes the others for ones that stay.
#[test]
fn those_who_inspect_a_file_at_the_same_time_leave_nothing() {
    let given = twins(Journal::Wal);
    let beside = listing(&given.path);
    for round in 0..200 {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| botstore::snapshot(given.config(), |tx| count(tx, "a")).unwrap());
            }
        });
        assert_eq!(listing(&given.path), beside, "in round {round}");
    }
}

#[test]
fn a_backup_is_of_one_state_while_a_program_changes_the_file() {
    for journal in JOURNALS {
        for mode in [Mode::Pages, Mode::Compact] {
            let given = twins(journal);
            let backups = tempfile::tempdir().unwrap();
            let config = given
                .config()
                .backups(Backups::default().folder(backups.path()));
            let beside = listing(&given.path);
            let program = Program::new(&given.path, u32::MAX);
            let during = program.clone();
            let request = TakeBackup::default().mode(mode).on_progress(move |_| {
                during.runs();
                ControlFlow::Continue(())
            });
            let made = backup::take(config.clone().clock(program.clone()), request).unwrap();
            assert!(program.has_changed() > 0, "{journal:?} {mode:?}");
            assert_eq!(listing(&given.path), beside, "nothing is left");
            let rows = made.manifest.contents.unwrap().rows;
            assert_eq!(rows["a"], rows["b"], "{journal:?} {mode:?}");
            backup::verify(made.path, VerifyOptions::default()).unwrap();
        }
    }
}
