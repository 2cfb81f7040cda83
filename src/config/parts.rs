//! What the modules below take from a configuration. They have types of their own for it, so that none of them
//! depends on where its settings come from.

use super::{Config, NO_COPY_BYTES};
use crate::archive;
use crate::error::Result;
use crate::migration::{Program, UnknownTriggers};
use crate::sqlite::{self, FileTriggers};
use crate::texts::Limits;
use std::path::{Path, PathBuf};

impl Config {
    /// The path of the file: what [`Store::open`](crate::Store::open), and everything else that takes a
    /// configuration, makes of the path that was given. Reads no file.
    ///
    /// `sqlite:///bot.db` and `sqlite:bot.db` mean `bot.db`, and `sqlite:////srv/bot.db` means `/srv/bot.db`, as
    /// in the Python bot, whatever driver stands after a `+`. `~/bot.db` is in the home folder. Everything else is
    /// taken as it is; `./sqlite:bot.db` is a file of that name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is not a path but would otherwise name a new file or
    /// folder: `file:` URIs, parameters after a `?`, URLs of other databases, the home of another account
    /// (`~other/bot.db`), and `~` if the home folder is not known.
    ///
    /// ```
    /// # fn main() -> botstore::Result<()> {
    /// use botstore::Config;
    ///
    /// assert_eq!(Config::new("sqlite:///data/bot.db").path()?.to_str(), Some("data/bot.db"));
    /// assert!(Config::new("postgresql://localhost/bot").path().is_err());
    /// # Ok(()) }
    /// ```
    pub fn path(&self) -> Result<PathBuf> {
        sqlite::path_of(&self.path)
    }

    /// The limits of messages and of their answers.
    /// Whether the WAL is copied into the file when nothing is written.
    pub(crate) fn copies_at_rest(&self) -> bool {
        self.checkpoint_at_bytes < NO_COPY_BYTES
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_text_bytes: self.max_text_bytes,
            max_answer_bytes: self.max_answer_bytes,
            max_tool_result_bytes: self.max_tool_result_bytes,
        }
    }

    /// The settings of connections.
    pub(crate) fn sqlite_settings(&self) -> sqlite::Settings {
        sqlite::Settings {
            durability: self.durability,
            // Opening a connection cannot tell which of a file's triggers no step made.
            file_triggers: match self.unknown_triggers {
                UnknownTriggers::Disable => FileTriggers::Ignore,
                UnknownTriggers::Allow | UnknownTriggers::Refuse => FileTriggers::Run,
            },
            busy_timeout: self.busy_timeout,
            cache_bytes: self.cache_bytes,
            mmap_bytes: self.mmap_bytes,
            wal_ceiling_bytes: self.wal_ceiling_bytes,
            inspect_deadline: self.inspect_deadline,
            stop: self.stop,
        }
    }

    /// The schemas and settings that files are compared with.
    pub(crate) fn program(&self) -> Program<'_> {
        Program {
            schemas: &self.schemas,
            unknown_triggers: self.unknown_triggers,
            clock: &*self.clock,
            sqlite: self.sqlite_settings(),
        }
    }

    /// The file at `path`, as a source of backups.
    pub(crate) fn backup_source<'a>(&'a self, path: &'a Path) -> archive::Source<'a> {
        archive::Source {
            path,
            settings: &self.backups,
            program: self.program(),
        }
    }
}
