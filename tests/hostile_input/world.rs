//! A closed store with its backups, every name that is opened there, and everything that may open it.

use crate::planted::Victims;
use crate::support::populate;
use botstore::backup::{
    self, AgeIdentity, Backups, ClearAmongEncrypted, IfExists, Pace, Retention, RetentionPlan,
    TakeBackup, VerifyOptions,
};
use botstore::{Config, Error, ErrorKind, Store, schema};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// A closed store with two backups, one of them sealed, and a drill; and what must not be harmed.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) db: PathBuf,
    clear: String,
    sealed: String,
    pub(crate) victims: Victims,
}

const SECRET: &str = "key.txt";
pub(crate) const REPLACED: &str = ".replaced-20260101T000000Z";

struct Template {
    folder: TempDir,
    clear: String,
    sealed: String,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        std::thread::spawn(|| runtime().block_on(make_template()))
            .join()
            .unwrap()
    })
}

async fn make_template() -> Template {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("bot.db");
    let identity = AgeIdentity::generate();
    fs::write(folder.path().join(SECRET), identity.to_secret()).unwrap();
    let store = Store::open(&db).await.unwrap();
    populate(&store).await;
    let clear = store.back_up(TakeBackup::default()).await.unwrap();
    store.drill().await.unwrap();
    store.close().await.unwrap();
    let sealed = Backups::default().recipient(identity.recipient());
    let sealed = backup::take(Config::new(&db).backups(sealed), TakeBackup::default()).unwrap();
    Template {
        clear: clear.manifest.name,
        sealed: sealed.manifest.name,
        folder,
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        match from.is_dir() {
            true => {
                fs::create_dir(&to).unwrap();
                copy(&from, &to);
            }
            false => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let template = template();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("bot");
        fs::create_dir(&root).unwrap();
        copy(template.folder.path(), &root);
        Self {
            db: root.join("bot.db"),
            clear: template.clear.clone(),
            sealed: template.sealed.clone(),
            victims: Victims::in_folder(folder.path().join("elsewhere")),
            folder,
        }
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.db.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    fn backups(&self) -> PathBuf {
        self.beside(".backups")
    }

    fn config(&self) -> Config {
        Config::new(&self.db).readers(1).backups(
            Backups::default()
                .pace(Pace::Fast)
                // The newest is encrypted, which is no reason here not to make one.
                .clear_among_encrypted(ClearAmongEncrypted::Allow)
                .every(Duration::from_secs(3600))
                .drill_every(Duration::from_secs(1)),
        )
    }

    fn identity(&self) -> Result<AgeIdentity, Error> {
        AgeIdentity::from_file(self.db.with_file_name(SECRET))
    }
}

/// What is done with a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deed {
    Open,
    Status,
    Plan,
    Snapshot,
    Migrate,
    Take,
    TakeSealed,
    List,
    Verify,
    VerifySealed,
    Restore,
    RestoreSealed,
    Prune,
    DryPrune,
    Export,
}

use Deed::*;

/// With a database and what lies beside it.
const WITH_DATABASE: &[Deed] = &[
    Open, Status, Plan, Snapshot, Migrate, Take, TakeSealed, Restore,
];
/// With a folder of backups.
const WITH_BACKUPS: &[Deed] = &[List, Status, Take, Prune, DryPrune, Open];
/// With a backup, and with a sealed one.
const WITH_BACKUP: &[Deed] = &[List, Status, Verify, Restore, Prune, Open];
const WITH_SEALED: &[Deed] = &[List, VerifySealed, RestoreSealed, DryPrune];

impl Deed {
    pub(crate) fn run(self, world: &World) -> Result<(), Error> {
        let backups = world.backups();
        let retention = Retention::default();
        let (clear, sealed) = (backups.join(&world.clear), backups.join(&world.sealed));
        let restore = |backup: &Path, reading| {
            backup::restore(world.config(), backup, IfExists::MoveAside, reading)
        };
        match self {
            Open => runtime().block_on(open(world.config())),
            Status => botstore::status(world.config()).map(drop),
            Plan => schema::plan(world.config()).map(drop),
            Snapshot => botstore::snapshot(world.config(), |_| Ok(())),
            Migrate => schema::apply(world.config()).map(drop),
            Take => backup::take(world.config(), TakeBackup::default()).map(drop),
            TakeSealed => {
                let settings = Backups::default().recipient(AgeIdentity::generate().recipient());
                let config = Config::new(&world.db).backups(settings);
                backup::take(config, TakeBackup::default()).map(drop)
            }
            List => match backup::list(&backups)?.unusable.into_iter().next() {
                Some((_, error)) => Err(error),
                None => Ok(()),
            },
            Verify => backup::verify(&clear, scratch(world)).map(drop),
            VerifySealed => {
                backup::verify(&sealed, scratch(world).identity(world.identity()?)).map(drop)
            }
            Restore => restore(&clear, VerifyOptions::default()).map(drop),
            RestoreSealed => restore(
                &sealed,
                VerifyOptions::default().identity(world.identity()?),
            )
            .map(drop),
            Prune => backup::prune(&backups, retention).map(drop),
            DryPrune => RetentionPlan::of(&backups, retention).map(drop),
            Export => export(world),
        }
    }
}

fn scratch(world: &World) -> VerifyOptions {
    VerifyOptions::default().scratch(world.db.with_file_name("scratch"))
}

/// Opens it, does what is due, and all that it can do with backups.
async fn open(config: Config) -> Result<(), Error> {
    let store = Store::open(config).await?;
    let due = store.run_due().await.map(drop);
    let backed_up = store.back_up(TakeBackup::default()).await.map(drop);
    let drilled = store.drill().await.map(drop);
    store.health().await?;
    store.close().await?;
    due.and(backed_up).and(drilled)
}

fn export(world: &World) -> Result<(), Error> {
    let ran = Command::new(env!("CARGO_BIN_EXE_botstore"))
        .arg("export")
        .arg(&world.db)
        .arg("--out")
        .arg(world.db.with_file_name("out.jsonl"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match ran.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            Err(Error::new(ErrorKind::ForeignFile, said))
        }
    }
}

/// Where it is, how a world has to be for it to be opened, and what may open it.
pub(crate) struct Name {
    pub(crate) at: fn(&World) -> PathBuf,
    pub(crate) before: fn(&World),
    pub(crate) deeds: &'static [Deed],
    /// What the operator has named, which may be a link of his to something that is as it should be.
    pub(crate) is_the_operators: bool,
}

const fn name(at: fn(&World) -> PathBuf, deeds: &'static [Deed]) -> Name {
    Name {
        at,
        before: |_| (),
        deeds,
        is_the_operators: false,
    }
}

/// A restore that was cut short, with this in its note.
pub(crate) fn cut_short(world: &World, note: &str) {
    fs::copy(&world.db, world.beside(".restoring.db")).unwrap();
    fs::write(world.beside(".restoring"), note).unwrap();
}

pub(crate) fn beside_the_database() -> Vec<Name> {
    let by_operator = |name| Name {
        is_the_operators: true,
        ..name
    };
    vec![
        // A restore to where it leads is what the operator asks for with it.
        by_operator(name(
            |w| w.db.clone(),
            &[Open, Status, Plan, Snapshot, Migrate, Take, TakeSealed],
        )),
        name(|w| w.beside(".lock"), WITH_DATABASE),
        name(|w| w.beside("-wal"), WITH_DATABASE),
        name(|w| w.beside("-shm"), WITH_DATABASE),
        name(|w| w.beside("-journal"), WITH_DATABASE),
        name(|w| w.beside(".unsealed.partial"), &[TakeSealed, Open]),
    ]
}

pub(crate) fn of_a_restore() -> Vec<Name> {
    let cut_short_before = |name, before| Name { before, ..name };
    let deeds = &[Migrate, Restore, Status, Take];
    vec![
        name(|w| w.beside(".restoring"), deeds),
        name(|w| w.beside(".restoring.partial"), deeds),
        name(|w| w.beside(".restoring.db"), deeds),
        name(|w| w.beside(".restoring.db-wal"), deeds),
        name(|w| w.beside(".restoring.db-shm"), deeds),
        name(|w| w.beside(".restoring.db-journal"), deeds),
        cut_short_before(name(|w| w.beside(REPLACED), deeds), |w| {
            cut_short(w, REPLACED)
        }),
        cut_short_before(name(|w| w.beside(".replaced"), deeds), |w| {
            cut_short(w, "?")
        }),
        cut_short_before(name(|w| w.beside(".restoring.db"), deeds), |w| {
            cut_short(w, REPLACED)
        }),
    ]
}

pub(crate) fn in_the_backups() -> Vec<Name> {
    let by_operator = |name| Name {
        is_the_operators: true,
        ..name
    };
    vec![
        by_operator(name(World::backups, WITH_BACKUPS)),
        name(|w| w.backups().join(".lock"), WITH_BACKUPS),
        name(|w| w.backups().join(".drill.json"), &[Open, Status]),
        name(|w| w.backups().join(".drill.json.partial"), &[Open, Status]),
        name(|w| w.backups().join("drill.partial"), &[Open, Take, Prune]),
        name(
            |w| w.backups().join("20300101T000000.000000Z-manual"),
            WITH_BACKUPS,
        ),
        name(
            |w| w.backups().join("20300101T000000.000000Z-manual.partial"),
            &[Open, Take, Prune],
        ),
        by_operator(name(|w| w.backups().join(&w.clear), WITH_BACKUP)),
        name(
            |w| w.backups().join(&w.clear).join("manifest.json"),
            WITH_BACKUP,
        ),
        name(
            |w| w.backups().join(&w.clear).join("database.zst"),
            WITH_BACKUP,
        ),
        name(
            |w| w.backups().join(&w.sealed).join("manifest.json"),
            WITH_SEALED,
        ),
        name(
            |w| w.backups().join(&w.sealed).join("database.zst.age"),
            WITH_SEALED,
        ),
    ]
}

pub(crate) fn of_the_operator() -> Vec<Name> {
    let by_operator = |name| Name {
        is_the_operators: true,
        ..name
    };
    vec![
        by_operator(name(|w| w.db.with_file_name(SECRET), &[VerifySealed])),
        by_operator(name(|w| w.db.with_file_name("scratch"), &[Verify])),
        name(|w| w.db.with_file_name("out.jsonl"), &[Export]),
    ]
}
