//! Tables and their changes: numbered steps of SQL, recorded in the file's own ledger.
//!
//! This crate's tables and a host's use the same mechanism. A [`Schema`] is a name and a list of [`Migration`]s;
//! opening a store applies those that the file lacks. Each step is one transaction together with its row in the
//! ledger, so that a step is either applied and recorded, or neither. (Steps of this crate that touch every row
//! take many transactions, and continue where they were interrupted.) The ledger keeps the SQL of each step; if
//! the program's text of a step differs later, the file is refused and the error shows both texts.
//!
//! A file's contents are not trusted. A step is taken back with the program's own text. The file's text is used
//! only if the program does not know the step and the caller permits it ([`UnknownSteps`]). In any case a step
//! changes the tables of its own schema and nothing else. It may read and refer to other tables, and put a trigger
//! on them that writes its own tables, as a full-text index does. It cannot attach a file, vacuum, load an
//! extension, set a PRAGMA, or create anything temporary.

pub use crate::migration::{
    Migration, MissingObject, ObjectKind, Plan, PlannedStep, Schema, UnknownObject, UnknownObjects,
    UnknownSteps, UnknownTriggers,
};

use crate::archive::{self, Upgrading};
use crate::config::Config;
use crate::error::{Error, Result, quote};
use crate::migration::{self, Program, WayBack};
use crate::opening;
use crate::sqlite::{self, FileLock, OpenFiles};
use std::path::Path;

/// Returns what opening a store with this configuration would apply. Changes nothing, and creates no file.
///
/// # Errors
/// Those with which [`Store::open`](crate::Store::open) would refuse the file; [`Busy`](crate::ErrorKind::Busy)
/// while the file is restored, or while another program keeps changing it if it or its folder cannot be written.
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// let plan = botstore::schema::plan("a-file-that-is-not-there.db")?;
/// assert_eq!(plan.steps[0].schema, "botstore");
/// # Ok(()) }
/// ```
pub fn plan(config: impl Into<Config>) -> Result<Plan> {
    let config = opening::complete(config)?;
    migration::plan(&config.path, &config.program())
}

/// Returns what is in the file's schema that no applied step of the schemas in `config` made. Changes nothing.
/// Objects that the Python bot leaves in its files count as known.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a missing file; [`ForeignFile`](crate::ErrorKind::ForeignFile) and
/// [`Corrupt`](crate::ErrorKind::Corrupt) for a file that cannot be read as a database;
/// [`Busy`](crate::ErrorKind::Busy) as for [`plan`]; [`Io`](crate::ErrorKind::Io).
pub fn unknown_objects(config: impl Into<Config>) -> Result<UnknownObjects> {
    let config = opening::complete(config)?;
    migration::unknown_objects(&config.path, &config.program())
}

/// Applies the missing steps to a file that no store has open, as opening would; returns what it did. A file that is
/// counted stays in its time zone: only a store counts by another.
pub fn apply(config: impl Into<Config>) -> Result<Plan> {
    let config = opening::complete(config)?;
    let path = sqlite::resolve(&config.path)?;
    migration::refuse_foreign(&path, &config.program())?;
    let lock = FileLock::acquire(&path)?;
    let done = opening::connect(&path, &config).and_then(|mut conn| {
        lock.note_opened(&OpenFiles::of(&path, &config.path));
        let never = opening::Recounts::Never;
        opening::upgrade(&mut conn, &path, &config, Upgrading::ByHand, never)
    });
    if done.is_ok() {
        lock.note_closed();
    }
    let (done, _) = config.sqlite_settings().explain(done)?;
    Ok(done.plan)
}

/// Applies the steps of `schema` up to step `to`, and those of no other schema, to a file that no store has open;
/// returns what it did. Use it to upgrade in parts and to inspect the file in between: opening a store applies the
/// rest.
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a missing file and for a schema that `config` does not have;
/// [`Invalid`](crate::ErrorKind::Invalid) for a step that the schema does not have or that the file has passed.
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::schema;
///
/// schema::apply(&path)?;
/// schema::rollback(&path, "botstore", 3)?;
/// let done = schema::apply_to(&path, "botstore", 5)?;
/// assert_eq!(done.steps.len(), 2);
/// # Ok(()) }
/// ```
pub fn apply_to(config: impl Into<Config>, schema: &str, to: u32) -> Result<Plan> {
    let config = opening::complete(config)?;
    let path = sqlite::existing(&config.path)?;
    migration::refuse_foreign(&path, &config.program())?;
    let lock = FileLock::acquire(&path)?;
    let known = config.schemas.iter().find(|known| known.name == schema);
    let known = known.ok_or_else(|| {
        Error::not_found(
            "schema",
            format_args!("schema {} in this configuration", quote(schema)),
        )
    })?;
    let only = known.up_to(to)?;
    let done = opening::connect(&path, &config).and_then(|mut conn| {
        lock.note_opened(&OpenFiles::of(&path, &config.path));
        migration::refuse_beyond(&conn, &only, &config.program())?;
        let schemas = [only];
        let done = opening::migrate(&schemas, &mut conn, &path, &config, Upgrading::ByHand)?;
        if only.last() == known.last() {
            // The schema's counts are filled with its last step: until then there are many rows, and the counts
            // are zero.
            let program = Program {
                schemas: &schemas,
                ..config.program()
            };
            migration::opened(&mut conn, &program)?;
        }
        Ok(done)
    });
    if done.is_ok() {
        lock.note_closed();
    }
    Ok(config.sqlite_settings().explain(done)?.plan)
}

/// Takes back the steps of `schema` after step `to`, newest first, in a file that no store has open; returns what
/// it did. Tables that a step made are dropped with their rows, so a backup is taken first, as before an upgrade.
/// Tables that were there before a step, as in a file taken over from the Python bot, stay. [`plan_rollback`] says
/// beforehand which is which.
///
/// It runs this program's own text of the steps, so `config` must have the schema. The same as [`rollback_with`]
/// and [`UnknownSteps::Refuse`].
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound) for a missing file, or one that has no step of the schema;
/// [`Untrusted`](crate::ErrorKind::Untrusted) if this program does not know a step;
/// [`ChangedMigration`](crate::ErrorKind::ChangedMigration) if the file has another text of a step than this
/// program, up or down; [`Migration`](crate::ErrorKind::Migration) if a step failed.
pub fn rollback(config: impl Into<Config>, schema: &str, to: u32) -> Result<Plan> {
    rollback_with(config, schema, to, UnknownSteps::Refuse)
}

/// As [`rollback`]; `unknown` says what to do about steps that this program does not know: those of a newer
/// program, and those of schemas that `config` does not have.
pub fn rollback_with(
    config: impl Into<Config>,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Plan> {
    let config = opening::complete(config)?;
    let path = sqlite::existing(&config.path)?;
    let program = config.program();
    migration::refuse_foreign(&path, &program)?;
    let lock = FileLock::acquire(&path)?;
    let taken = take_back(&path, &config, &lock, schema, to, unknown);
    if taken.is_ok() {
        lock.note_closed();
    }
    program.sqlite.explain(taken)
}

fn take_back(
    path: &Path,
    config: &Config,
    lock: &FileLock,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Plan> {
    archive::settle(path)?;
    let program = config.program();
    let mut conn = migration::connect_to_take_back(path, &program)?;
    let back = WayBack::new(&conn, &program, schema, to, unknown)?;
    migration::make_writer(&conn, path, &program)?;
    lock.note_opened(&OpenFiles::of(path, &config.path));
    if !back.is_empty() {
        opening::back_up(&mut conn, path, config, Upgrading::ByHand)?;
        // A step's way back drops what the step made, and fails if that is missing.
        migration::make_again(&mut conn, &program)?;
    }
    back.take(&mut conn, &program)
}

/// Returns what [`rollback_with`] would do. Changes nothing.
///
/// # Errors
/// Those of [`rollback`]; [`Busy`](crate::ErrorKind::Busy) as for [`plan`].
///
/// ```
/// # fn main() -> botstore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("bot.db");
/// use botstore::schema::{self, UnknownSteps};
///
/// schema::apply(&path)?;
/// let plan = schema::plan_rollback(&path, "botstore", 0, UnknownSteps::Refuse)?;
/// let seed = plan.steps.last().unwrap();
/// assert!(seed.drops.contains(&"messages".to_owned()) && seed.keeps.is_empty());
/// # Ok(()) }
/// ```
pub fn plan_rollback(
    config: impl Into<Config>,
    schema: &str,
    to: u32,
    unknown: UnknownSteps,
) -> Result<Plan> {
    let config = opening::complete(config)?;
    migration::plan_back(&config.path, &config.program(), schema, to, unknown)
}
