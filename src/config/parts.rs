//! What the rooms below take of a configuration. They have types of their own for it, so that none of them
//! knows where their settings come from.

use super::Config;
use crate::archive;
use crate::error::Result;
use crate::limits::Limits;
use crate::migration::{Program, UnknownTriggers};
use crate::sqlite::{self, FileTriggers};
use std::path::{Path, PathBuf};

impl Config {
    /// The path of the file that this is for, as [`Store::open`](crate::Store::open) and all else that takes
    /// a configuration understand what was given. Looks at no file.
    ///
    /// `sqlite:///bot.db` and `sqlite:bot.db` are `bot.db`, `sqlite:////srv/bot.db` is `/srv/bot.db`, as in the
    /// Python bot, whatever driver stands after a `+`; `~/bot.db` is in the home folder. Everything else is
    /// the path that it is; `./sqlite:bot.db` is a file of that name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for what is no path and would be made a folder of: `file:` URIs,
    /// parameters after a `?`, URLs of other databases, the home of another account (`~other/bot.db`), and
    /// `~` where the home folder is not known.
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

    /// What messages, and the answers to them, may have.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_text_bytes: self.max_text_bytes,
            max_answer_bytes: self.max_answer_bytes,
        }
    }

    /// What connections are set to.
    pub(crate) fn sqlite_settings(&self) -> sqlite::Settings {
        sqlite::Settings {
            durability: self.durability,
            // Which of a file's triggers no step made cannot be told where connections are opened.
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

    /// What files are held against.
    pub(crate) fn program(&self) -> Program<'_> {
        Program {
            schemas: &self.schemas,
            unknown_triggers: self.unknown_triggers,
            clock: &*self.clock,
            sqlite: self.sqlite_settings(),
        }
    }

    /// The file at `path`, as what backups are of.
    pub(crate) fn backup_source<'a>(&'a self, path: &'a Path) -> archive::Source<'a> {
        archive::Source {
            path,
            settings: &self.backups,
            program: self.program(),
        }
    }
}
