//! The common part of opening a file for writing: for the store, `schema::apply`, and tests without a store. Adds
//! this crate's own tables to a configuration; an upgrade is plan, backup, migrate.
//!
//! This is where the bot's tables, migrations and backups meet: migrations know neither of the others, and tables
//! and backups do not know each other.

use crate::archive::{self, Upgrading};
use crate::config::{BeforeUpgrade, Config};
pub(crate) use crate::domain::rollups::Recounts;
use crate::domain::rollups::{self, Zones};
use crate::domain::{BOT_LEGACY, BOT_WHOLE, BotSchema, LLM_WHOLE, LlmSchema};
use crate::error::{Error, ErrorKind, Result};
use crate::migration::{self, Plan, Schema, SchemaDef, UnknownObjects};
use crate::operation::ReadTx;
use crate::sqlite;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Returns the configuration with this crate's own tables in front of the host's, with checked settings, and with
/// paths that stay valid when the working directory changes. Call it once per entry point: a second call would add
/// schemas of the same names.
pub(crate) fn complete(config: impl Into<Config>) -> Result<Config> {
    let mut config = config.into();
    config.path = config.path()?;
    config.backups.understand_folder()?;
    let bot = SchemaDef::of::<BotSchema>()
        .with_whole(BOT_WHOLE)
        .with_legacy(BOT_LEGACY)
        .with_counts(rollups::COUNTS);
    // Its triggers look up in what zone the days are.
    let llm = SchemaDef::of::<LlmSchema>()
        .with_whole(LLM_WHOLE)
        .with_counts(rollups::USAGE_COUNTS)
        .building_on(BotSchema::NAME, 12);
    config.schemas.splice(0..0, [bot, llm]);
    config.check()?;
    config.backups.fix_folder()?;
    Ok(config)
}

/// Refuses a file that opening would migrate, or whose rows it would count first.
pub(crate) fn refuse_older(path: &Path, plan: &Plan) -> Result<()> {
    let path = path.display();
    let why = match plan.steps.len() {
        0 if plan.uncounted.is_empty() => return Ok(()),
        0 => format!(
            "the rows of {path} are not counted yet, so it has no statistics: an upgrade was interrupted"
        ),
        1 => format!("{path} lacks 1 schema step"),
        missing => format!("{path} lacks {missing} schema steps"),
    };
    Err(Error::new(ErrorKind::OlderSchema, why))
}

/// Refuses a file whose lock is held, if opening would migrate it and the configuration does not permit that. Before
/// there is a connection that writes, which makes the file's journal a WAL.
pub(crate) fn refuse_upgrade(path: &Path, config: &Config) -> Result<()> {
    if config.before_upgrade != BeforeUpgrade::Refuse {
        return Ok(());
    }
    archive::settle(path)?;
    refuse_older(path, &migration::plan(path, &config.program())?)
}

/// Opens the connection that writes to a file whose lock is held, and that is ours or can become so.
pub(crate) fn connect(path: &Path, config: &Config) -> Result<Connection> {
    archive::settle(path)?;
    migration::connect(path, &config.program())
}

/// What an upgrade did.
pub(crate) struct Upgraded {
    pub(crate) plan: Plan,
    /// The backup made before, if it is not encrypted and those in its folder are.
    pub(crate) clear_copy: Option<PathBuf>,
    /// How the file's schema differs now from what the applied steps made.
    pub(crate) unknown_objects: UnknownObjects,
}

/// Whether a store may count the rows of a file by another time zone beside its work. A configuration that refuses
/// upgrades and names no zone is a tool's: it takes the zone's rules as they are in the file.
pub(crate) fn recounts(config: &Config) -> Recounts {
    let names_zone = matches!(config.zone(), Ok(Some(_)));
    match config.before_upgrade {
        BeforeUpgrade::Refuse if !names_zone => Recounts::Never,
        _ => Recounts::InBackground,
    }
}

/// Applies what is missing, brings the file to its time zone, and lets the schemas check it; returns what it did, and
/// the zones.
pub(crate) fn upgrade(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
    recounts: Recounts,
) -> Result<(Upgraded, Zones)> {
    let done = migrate(&config.schemas, conn, path, config, upgrading)?;
    // Before rows are counted, so that they are counted once.
    let zones = rollups::agree_on_zone(conn, config.zone()?, config.clock.now(), recounts);
    let opened = zones.and_then(|zones| {
        migration::opened(conn, &config.program())?;
        Ok(zones)
    });
    let zones = opened.map_err(|error| done.unknown_objects.explain(error))?;
    Ok((done, zones))
}

/// Makes again what somebody has dropped of the applied steps. Then applies the missing steps of these schemas,
/// after a backup if the file holds anything. Returns what it did.
pub(crate) fn migrate(
    schemas: &[SchemaDef],
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
) -> Result<Upgraded> {
    let program = config.program();
    let mut unknown_objects = migration::make_again(conn, &program)?;
    let plan = migration::missing(schemas, conn, &program)?.with_missing(&unknown_objects);
    let mut clear_copy = None;
    if !plan.steps.is_empty() {
        // A process that was killed in the middle of a step has already made the backup from before it.
        if migration::has_tables(conn)? && !migration::has_begun(schemas, conn, &program)? {
            clear_copy = back_up(conn, path, config, upgrading)?;
        }
        migration::apply(schemas, conn, &program)?;
    }
    if !plan.is_empty() {
        let tx = ReadTx::new(conn, config.clock.now());
        unknown_objects = migration::unknown_in(&tx, &config.schemas)?;
    }
    Ok(Upgraded {
        plan,
        clear_copy,
        unknown_objects,
    })
}

/// Makes the backup before an upgrade, if the configuration asks for one. Returns its path if it is not encrypted
/// and those in its folder are.
pub(crate) fn back_up(
    conn: &mut Connection,
    path: &Path,
    config: &Config,
    upgrading: Upgrading,
) -> Result<Option<PathBuf>> {
    if config.before_upgrade != BeforeUpgrade::Backup {
        return Ok(None);
    }
    let clear_copy = archive::before_upgrade(conn, &config.backup_source(path), upgrading)?;
    sqlite::mind_time_opening(conn, path, &config.sqlite_settings())?;
    Ok(clear_copy)
}
