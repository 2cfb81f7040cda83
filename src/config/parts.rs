//! What the rooms below take of a configuration. They have types of their own for it, so that none of them
//! knows where their settings come from.

use super::Config;
use crate::archive;
use crate::limits::Limits;
use crate::migration::{Program, UnknownTriggers};
use crate::sqlite::{self, FileTriggers};
use std::path::Path;

impl Config {
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
