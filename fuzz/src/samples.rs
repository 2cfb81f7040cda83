//! What is valid before it is damaged: a small file with something of everything in it, its
//! backups, and a folder to work in.

use botstore::testing::usd;
use botstore::audit::LogEvent;
use botstore::backup::{self, AgeIdentity, Backup, BackupKey, Backups, TakeBackup};
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::{FixedClock, Plain};
use botstore::time::Clock;
use botstore::tools::ToolCall;
use botstore::users::{EnsureUser, SetAllowed};
use botstore::{BeforeUpgrade, Config, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);
const DAYS: u32 = 8;

/// A folder in memory where there is one: every input writes some files.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = match memory.is_dir() {
        true => memory.to_owned(),
        false => std::env::temp_dir(),
    };
    let folder = tempfile::Builder::new()
        .prefix("botstore-fuzz-")
        .tempdir_in(place);
    folder.expect("a folder")
}

/// Small, and the same at each start, so that what was found is found again.
pub(crate) fn config(path: &Path) -> Config {
    config_at(path, &FixedClock::default())
}

fn config_at(path: &Path, clock: &FixedClock) -> Config {
    let second = Duration::from_secs(1);
    Config::new(path)
        .clock(clock.clone())
        .before_upgrade(BeforeUpgrade::Skip)
        .readers(1)
        .busy_timeout(second)
        .mutation_deadline(second)
        .interactive_deadline(second)
        .analytics_deadline(second)
        .close_deadline(second)
}

/// A database and its log, as their bytes.
pub(crate) struct Sample {
    pub(crate) file: Vec<u8>,
    pub(crate) log: Vec<u8>,
}

/// A file of a store that was not closed: half of it is in the file and half in the log.
pub(crate) fn database() -> Sample {
    let folder = folder();
    let path = folder.path().join("sample.db");
    // Some days ago, so that what happened on several days is in the past.
    let clock = FixedClock::default();
    clock.set(clock.now() - DAYS * DAY);
    let plain = Plain::open(config_at(&path, &clock)).expect("a file");
    let sql = "UPDATE botstore_store SET store_id = '00112233445566778899aabbccddeeff'";
    plain
        .connection()
        .execute_batch(sql)
        .expect("no random number");
    plain
        .write(|tx| {
            for user_id in 1..=3 {
                tx.apply(&EnsureUser::new(user_id, Some("ada")))?;
                tx.apply(&if user_id == 1 {
                    SetAllowed::allow(user_id)
                } else {
                    SetAllowed::forbid(user_id)
                })?;
                tx.apply(&session(user_id))?;
                tx.apply(&AddCost::new(user_id, usd(0.5)))?;
            }
            Ok(())
        })
        .expect("users");
    for number in 0..DAYS {
        clock.advance(DAY);
        plain
            .write(|tx| tx.apply(&interaction(number.into())))
            .expect("an interaction");
    }
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    plain
        .connection()
        .query_row(checkpoint, [], |_| Ok(()))
        .expect("a checkpoint");
    let file = fs::read(&path).expect("the file");
    plain
        .write(|tx| {
            tx.apply(
                &LogEvent::new(4, "login")
                    .event_data(serde_json::json!({ "from": ["the", 1] }))
                    .ip_address("10.0.0.1")
                    .failed(),
            )?;
            (0..4).try_for_each(|number| tx.apply(&interaction(100 + number)).map(|_| ()))
        })
        .expect("more of it");
    let log = fs::read(folder.path().join("sample.db-wal")).expect("the log");
    Sample { file, log }
}

pub(crate) fn session(user_id: i64) -> CreateSession {
    CreateSession::new(
        user_id,
        format!("s{user_id}"),
        format!("/srv/{}", user_id % 2),
    )
}

fn interaction(number: i64) -> SaveInteraction {
    let user_id = 1 + number % 3;
    {
        let mut new =
            SaveInteraction::new(user_id, format!("s{user_id}"), format!("What is {number}?"))
                .response("A number. ".repeat(20))
                .cost(usd(0.25))
                .duration_ms(1_500)
                .turns(2)
                .tool(ToolCall::new("Read").input(serde_json::json!({ "path": "a.rs" })))
                .idempotency_key(number.to_string());
        new.error = (number == 3).then(|| "timeout".to_owned());
        new
    }
}

/// What a backup is made with, and is to be read with.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    pub(crate) identity: Option<AgeIdentity>,
    pub(crate) key: Option<BackupKey>,
}

/// A backup, the secrets that it needs, and the database that is in it.
pub(crate) struct BackedUp {
    pub(crate) backup: Backup,
    pub(crate) secrets: Secrets,
    pub(crate) database: Vec<u8>,
    pub(crate) folder: TempDir,
}

impl BackedUp {
    pub(crate) fn manifest(&self) -> PathBuf {
        self.backup.path.join("manifest.json")
    }

    pub(crate) fn reading(&self) -> backup::VerifyOptions {
        let reading = backup::VerifyOptions::default().scratch(self.folder.path());
        let reading = match &self.secrets.identity {
            Some(identity) => reading.identity(identity.clone()),
            None => reading,
        };
        match &self.secrets.key {
            Some(key) => reading.key(key.clone()),
            None => reading,
        }
    }
}

pub(crate) fn backed_up(secrets: Secrets) -> Result<BackedUp> {
    let folder = folder();
    let path = folder.path().join("sample.db");
    let sample = database();
    fs::write(&path, sample.file).expect("a file");
    let mut settings = Backups::default();
    if let Some(identity) = &secrets.identity {
        settings = settings.recipient(identity.recipient());
    }
    if let Some(key) = &secrets.key {
        settings = settings.key(key.clone());
    }
    let made = backup::take(config(&path).backups(settings), TakeBackup::default())?;
    let mut sample = BackedUp {
        backup: made,
        secrets,
        database: Vec::new(),
        folder,
    };
    // With its contents, which the manifest of an encrypted one does not tell.
    sample.backup = backup::verify(&sample.backup.path, sample.reading())?;
    let copy = sample.folder.path().join("copy.db");
    let refuse = backup::IfExists::Refuse;
    backup::restore(config(&copy), &sample.backup.path, refuse, sample.reading())?;
    sample.database = fs::read(&copy).expect("what is in it");
    Ok(sample)
}
