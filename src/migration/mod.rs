//! Tables and how they change: the steps that a program knows, those that a file has applied, and the
//! way from one to the other. A host sees this as [`schema`](crate::schema).
//!
//! All functions here work on one connection, before there is a store. The backup before an upgrade is
//! made elsewhere, so that checking a backup can use this module.

mod counting;
mod found;
mod ledger;
mod migrate;
mod new_file;
mod objects;
mod pieces;
mod plan;
mod progress;
mod reference;
mod step;
mod wal;
mod way_back;

pub(crate) use counting::{Pace, Waiting, count_waiting, recount};
pub use ledger::SchemaStep;
pub(crate) use ledger::steps;
pub(crate) use migrate::{
    apply, connect, connect_to_take_back, has_begun, has_tables, make_writer, missing, opened,
    refuse_beyond,
};
pub(crate) use new_file::Whole;
pub use objects::{MissingObject, ObjectKind, UnknownObject, UnknownObjects, UnknownTriggers};
pub(crate) use objects::{
    make_again, refuse_objects, run_own_triggers, unknown_in, unknown_objects,
};
pub use plan::{Plan, PlannedStep};
pub(crate) use plan::{plan, plan_in, refuse_foreign, refuse_unknown};
pub use way_back::UnknownSteps;
pub(crate) use way_back::{WayBack, plan_back};

use crate::error::{Error, ErrorKind, Result};
use crate::operation::{ReadTx, WriteTx};
use crate::sqlite;
use crate::time::Clock;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// A set of tables and the steps that make them. See `examples/custom_tables.rs`.
///
/// ```
/// use botstore::schema::{Migration, Schema};
///
/// struct Notes;
///
/// impl Schema for Notes {
///     const NAME: &'static str = "notes";
///     const MIGRATIONS: &'static [Migration] = &[Migration::new(
///         1,
///         "notes",
///         "CREATE TABLE notes (
///              note_id INTEGER PRIMARY KEY,
///              user_id INTEGER NOT NULL REFERENCES users(user_id),
///              body    TEXT NOT NULL
///          );
///          CREATE INDEX notes_user ON notes(user_id);",
///         "DROP TABLE notes;",
///     )];
/// }
/// ```
pub trait Schema: 'static {
    /// The name in the ledger. It must never change. `"botstore"` and `"botstore_llm"` are taken.
    const NAME: &'static str;

    /// The steps, numbered 1, 2, 3 and so on. A released step must never change: add another.
    const MIGRATIONS: &'static [Migration];

    /// Checks a file that has tables but no ledger, before anything is changed. An error refuses the
    /// file. If a schema's tables may already exist, its first steps use `IF NOT EXISTS`, and this
    /// function checks that the tables are what they should be.
    fn recognise(_tx: &ReadTx<'_>) -> Result<()> {
        Ok(())
    }

    /// Runs at every opening, after the migrations, in one transaction for all schemas.
    fn opened(_tx: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }
}

/// One step of a schema: SQL that changes it, and SQL that undoes the change.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub(crate) step: u32,
    pub(crate) name: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    pub(crate) rebuilds: bool,
    /// Whether it runs in pieces on a file that has rows.
    pub(crate) in_pieces: bool,
}

impl Migration {
    /// Creates a step. Line ends and trailing blanks are ignored when its text is compared with the
    /// applied step in a file.
    pub const fn new(step: u32, name: &'static str, up: &'static str, down: &'static str) -> Self {
        Self {
            step,
            name,
            up,
            down,
            rebuilds: false,
            in_pieces: false,
        }
    }

    /// Marks a step that touches every row of a table that grows over the years: see
    /// `src/migration/pieces.rs`. What other programs see of it half-way must do them no harm.
    ///
    /// Not public yet: a host would have to know what a piece is.
    pub(crate) const fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// Marks a step that rebuilds a table (create, copy, drop, rename), which is how SQLite changes a
    /// column: <https://sqlite.org/lang_altertable.html#otheralter>. Foreign keys are off while it
    /// runs. The step fails if it leaves more rows with a dangling reference than before. That check
    /// reads every table.
    pub const fn rebuilding(mut self) -> Self {
        self.rebuilds = true;
        self
    }
}

/// A [`Schema`] as a value.
#[derive(Clone, Copy)]
pub(crate) struct SchemaDef {
    pub(crate) name: &'static str,
    pub(crate) migrations: &'static [Migration],
    pub(crate) recognise: fn(&ReadTx<'_>) -> Result<()>,
    pub(crate) opened: fn(&WriteTx<'_>) -> Result<()>,
    pub(crate) whole: Option<Whole>,
    pub(crate) legacy: Legacy,
    pub(crate) counts: Counts,
    pub(crate) builds_on: Option<BuildsOn>,
}

/// The step of another schema whose tables a schema's triggers use. Without that step, they would fail whatever fires
/// them; so who takes it back takes this schema back before.
#[derive(Clone, Copy)]
pub(crate) struct BuildsOn {
    pub(crate) schema: &'static str,
    pub(crate) step: u32,
}

/// What a program brings to a file: the schemas that it knows, and how it opens the file.
#[derive(Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) schemas: &'a [SchemaDef],
    pub(crate) unknown_triggers: UnknownTriggers,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) sqlite: sqlite::Settings,
}

/// How files may differ from what a schema's steps make.
#[derive(Clone, Copy)]
pub(crate) struct Legacy {
    /// How many of the first steps find their objects in an adopted file.
    pub(crate) steps: u32,
    /// Views that such a file may have, with their SQL.
    pub(crate) views: &'static [(&'static str, &'static str)],
    /// A text in the steps' triggers, and the text that the file's triggers have instead.
    pub(crate) respelled: fn(&ReadTx<'_>) -> Result<Option<Respelling>>,
}

/// A text in steps, and the text that a file has instead.
pub(crate) type Respelling = (String, String);

impl Legacy {
    pub(crate) const NONE: Self = Self {
        steps: 0,
        views: &[],
        respelled: |_| Ok(None),
    };
}

/// Tables of counts. They cover the rows of other tables up to an id; triggers of the schema keep them so when these
/// rows change. They can be computed anew.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) tables: &'static [&'static str],
    /// Whether the rows were never counted to the end. Until then, answers may take long.
    pub(crate) are_missing: fn(&ReadTx<'_>) -> Result<bool>,
    /// Whether so many rows wait to be counted that it is time.
    pub(crate) are_due: fn(&ReadTx<'_>) -> Result<bool>,
    /// Discards the counts, so that they are computed anew from the beginning.
    pub(crate) forget: fn(&WriteTx<'_>) -> Result<()>,
    /// Counts the next piece, of at most this many rows.
    pub(crate) count: fn(&WriteTx<'_>, i64, Waiting) -> Result<Counted>,
    /// Whether there is something to be done beside the work of an open store.
    pub(crate) is_behind: fn(&ReadTx<'_>) -> Result<bool>,
    /// Does the next piece of that, of as many rows as the pace says: counts rows anew that answers count otherwise until
    /// then, and removes what was counted before.
    pub(crate) recount: fn(&WriteTx<'_>, &Pace) -> Result<Recounted>,
}

/// What has been counted after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The rows of this table up to this row id; there may be more.
    UpTo(&'static str, i64, Then),
    All,
}

/// What a piece of the work beside did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recounted {
    /// Rows of a table are counted up to a row id. There may be more.
    UpTo {
        table: &'static str,
        last_id: i64,
        /// How many ids are left.
        behind: i64,
    },
    /// All are: answers come from these counts, which are by this time zone.
    All(String),
    /// What was being counted was given up.
    GivenUp,
    /// Rows of this table of counts were removed. There may be more.
    Removed(&'static str),
    /// There was nothing to do.
    Nothing,
}

/// What the next piece of counting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// More rows of the same table.
    More,
    /// Rows of another table.
    Others,
}

impl Counts {
    const NONE: Self = Self {
        tables: &[],
        are_missing: |_| Ok(false),
        are_due: |_| Ok(false),
        forget: |_| Ok(()),
        count: |_, _, _| Ok(Counted::All),
        is_behind: |_| Ok(false),
        recount: |_, _| Ok(Recounted::Nothing),
    };
}

impl SchemaDef {
    pub(crate) fn of<S: Schema>() -> Self {
        Self {
            name: S::NAME,
            migrations: S::MIGRATIONS,
            recognise: S::recognise,
            opened: S::opened,
            whole: None,
            legacy: Legacy::NONE,
            counts: Counts::NONE,
            builds_on: None,
        }
    }

    pub(crate) fn building_on(mut self, schema: &'static str, step: u32) -> Self {
        self.builds_on = Some(BuildsOn { schema, step });
        self
    }

    pub(crate) fn with_whole(mut self, whole: Whole) -> Self {
        self.whole = Some(whole);
        self
    }

    pub(crate) fn with_counts(mut self, counts: Counts) -> Self {
        self.counts = counts;
        self
    }

    pub(crate) fn with_legacy(mut self, legacy: Legacy) -> Self {
        self.legacy = legacy;
        self
    }

    /// Returns a step's SQL as this file spells it, so that triggers that a later step makes anew agree with the
    /// others.
    fn spelled(&self, tx: &ReadTx<'_>, sql: &str) -> Result<String> {
        Ok(match (self.legacy.respelled)(tx)? {
            Some((from, to)) => sql.replace(&from, &to),
            None => sql.to_owned(),
        })
    }

    /// Returns a step, if this program knows it.
    fn step(&self, step: u32) -> Option<&'static Migration> {
        self.migrations.iter().find(|known| known.step == step)
    }

    /// Returns those of these steps that this program knows.
    fn steps(&self, of: RangeInclusive<u32>) -> impl Iterator<Item = &'static Migration> {
        let known = self.migrations.iter();
        known.filter(move |known| of.contains(&known.step))
    }

    /// Returns the schema without the steps after `to`.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a step that the schema does not have.
    pub(crate) fn up_to(&self, to: u32) -> Result<Self> {
        if to > self.last() {
            let why = format!("must be at most {}, the schema's last step", self.last());
            return Err(Error::invalid("to", &why));
        }
        Ok(Self {
            migrations: &self.migrations[..to as usize],
            whole: self.whole.filter(|_| to == self.last()),
            ..*self
        })
    }

    /// Returns the last step that this program knows.
    pub(crate) fn last(&self) -> u32 {
        self.migrations.last().map_or(0, |m| m.step)
    }
}

/// Refuses schemas that a ledger could not tell apart.
pub(crate) fn check_definitions(schemas: &[SchemaDef]) -> Result<()> {
    let mut names = BTreeSet::new();
    for schema in schemas {
        let wrong = |why: String| Error::new(ErrorKind::Invalid, why);
        if schema.name.is_empty() || !names.insert(schema.name) {
            return Err(wrong(format!(
                "there are two schemas named {:?}, or one without a name",
                schema.name
            )));
        }
        for (expected, migration) in (1..).zip(schema.migrations) {
            if migration.step != expected {
                return Err(wrong(format!(
                    "the steps of schema {:?} must be numbered 1, 2, 3 and so on; in place of step \
                     {expected} there is step {}",
                    schema.name, migration.step
                )));
            }
        }
    }
    Ok(())
}
