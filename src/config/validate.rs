//! Refuses settings that are out of their range, before anything is opened.

use super::{Config, MIB, NO_COPY_BYTES};
use crate::error::{Error, Result, quote};
use crate::migration;
use crate::schedule::When;
use std::time::Duration;

impl Config {
    pub(crate) fn check(&self) -> Result<()> {
        fn within<T: PartialOrd + std::fmt::Debug>(
            field: &'static str,
            value: T,
            low: T,
            high: T,
        ) -> Result<()> {
            if value < low || value > high {
                let why = format!("must be from {low:?} to {high:?}, not {value:?}");
                return Err(Error::invalid(field, &why));
            }
            Ok(())
        }
        let path = self.path.as_os_str();
        if path.is_empty() || path == ":memory:" {
            return Err(Error::invalid(
                "path",
                "must name a file: readers and writer have connections of their own, so they \
                 cannot share a database in memory (tests: botstore::testing)",
            ));
        }
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        within("readers", self.readers, 1, 32)?;
        within("analytics_readers", self.analytics_readers, 1, 32)?;
        within("max_in_flight", self.max_in_flight, 1, 1_000_000)?;
        within(
            "max_in_flight_bytes",
            self.max_in_flight_bytes,
            1024,
            2048 * MIB as usize,
        )?;
        // Three texts of the largest size fit into one row, which SQLite bounds at a billion bytes.
        within(
            "max_text_bytes",
            self.max_text_bytes,
            1024,
            256 * MIB as usize,
        )?;
        within(
            "max_answer_bytes",
            self.max_answer_bytes,
            1024,
            2048 * MIB as usize,
        )?;
        within(
            "max_tool_result_bytes",
            self.max_tool_result_bytes,
            0,
            256 * MIB as usize,
        )?;
        within("row_cache_answers", self.row_cache_answers, 0, 10_000_000)?;
        within(
            "row_cache_bytes",
            self.row_cache_bytes,
            0,
            16 * 1024 * MIB as usize,
        )?;
        within("max_batch", self.max_batch, 1, 10_000)?;
        within("max_batch_time", self.max_batch_time, ms(0), s(1))?;
        within(
            "interactive_deadline",
            self.interactive_deadline,
            ms(1),
            s(3600),
        )?;
        within("mutation_deadline", self.mutation_deadline, ms(1), s(3600))?;
        within(
            "analytics_deadline",
            self.analytics_deadline,
            ms(1),
            s(3600),
        )?;
        if let Some(time) = self.inspect_deadline {
            within("inspect_deadline", time, s(1), s(7 * 24 * 3600))?;
        }
        within(
            "clock_jump_wait",
            self.clock_jump_wait,
            ms(0),
            s(7 * 24 * 3600),
        )?;
        within("busy_timeout", self.busy_timeout, ms(0), s(60))?;
        within("close_deadline", self.close_deadline, ms(0), s(600))?;
        within(
            "idempotency_retention",
            self.idempotency_retention,
            s(60),
            s(10 * 366 * 24 * 3600),
        )?;
        within(
            "wal_ceiling_bytes",
            self.wal_ceiling_bytes,
            256 * 1024,
            64 * 1024 * MIB,
        )?;
        within(
            "checkpoint_at_bytes",
            self.checkpoint_at_bytes,
            64 * 1024,
            NO_COPY_BYTES,
        )?;
        within(
            "cache_bytes",
            self.cache_bytes,
            64 * 1024,
            16 * 1024 * MIB as usize,
        )?;
        self.zone()?;
        if let Some(interval) = self.reconcile_every {
            within("reconcile_every", interval, s(1), Duration::MAX)?;
        }
        self.backups.check()?;
        migration::check_definitions(&self.schemas)?;
        let (restarts, time) = self.max_restarts;
        within("max_restarts", restarts, 1, 1_000)?;
        within("max_restarts", time, s(1), s(24 * 3600))?;
        for (at, schedule) in self.schedules.iter().enumerate() {
            if let When::Every(interval) = schedule.when {
                within("interval", interval, s(1), Duration::MAX)?;
            }
            let before = &self.schedules[..at];
            if before.iter().any(|other| other.name == schedule.name) {
                let name = quote(&schedule.name);
                let why = format!(
                    "has the name {name} twice, under which the file records when each last ran; give one \
                     a name of its own with every_named or daily_at_named"
                );
                return Err(Error::invalid("every", &why));
            }
        }
        self.timers.check()
    }
}
