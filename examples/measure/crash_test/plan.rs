//! What happens in a round, from the seed: where the kill is aimed at, and how the store is set.

use crate::lines::Phase;
use botstore::backup::Pace;
use botstore::{Config, Durability};
use std::path::Path;
use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Who is the first to read the file after a kill, and so to recover its WAL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FirstLook {
    PlainSqlite,
    Store,
}

/// How long the WAL grows, and how many mutations share a commit.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    checkpoint_at_bytes: u64,
    wal_ceiling_bytes: u64,
    max_batch: usize,
}

/// Checkpoints and restarts of the WAL all the time.
const SMALL: Sizes = Sizes {
    checkpoint_at_bytes: 64 * KIB,
    wal_ceiling_bytes: 256 * KIB,
    max_batch: 8,
};

/// Some in each second.
const MIDDLING: Sizes = Sizes {
    checkpoint_at_bytes: 512 * KIB,
    wal_ceiling_bytes: 2 * MIB,
    max_batch: 64,
};

/// None, so that all of a round is found in a long log.
const LARGE: Sizes = Sizes {
    checkpoint_at_bytes: 24 * MIB,
    wal_ceiling_bytes: 64 * MIB,
    max_batch: 1_000,
};

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The phase in which the process is to be killed.
    pub(crate) aim: Phase,
    /// How long into that phase. It may be over by then, which is as good a moment.
    pub(crate) delay: Duration,
    /// When the load is this old, backups or the closing begin.
    pub(crate) begin_after: Duration,
    pub(crate) pace: Pace,
    pub(crate) first_look: FirstLook,
    sizes: Sizes,
    durability: Durability,
}

impl Plan {
    /// The plan of a round, which its parent and its child both make.
    pub(crate) fn new(seed: u64, round: u32) -> Self {
        let mut dice = dice(seed, round);
        let aim = match dice.u8(..10) {
            0..2 => Phase::Opening,
            2..6 => Phase::Load,
            6..8 => Phase::Backup,
            _ => Phase::Closing,
        };
        Self {
            aim,
            delay: delay(aim, &mut dice),
            begin_after: spread(&mut dice, 5.0, 200.0),
            pace: match dice.bool() {
                true => Pace::Gentle,
                false => Pace::Fast,
            },
            first_look: match dice.bool() {
                true => FirstLook::PlainSqlite,
                false => FirstLook::Store,
            },
            sizes: match dice.u8(..4) {
                0 => LARGE,
                1 => MIDDLING,
                _ => SMALL,
            },
            // A killed process loses nothing under either.
            durability: match dice.u8(..4) {
                0 => Durability::Normal,
                _ => Durability::Full,
            },
        }
    }

    /// The same round aimed at the opening. For the first of a file, whose tables are made then.
    pub(crate) fn aimed_at_opening(self, seed: u64, round: u32) -> Self {
        Self {
            aim: Phase::Opening,
            delay: delay(Phase::Opening, &mut dice(seed, round)),
            ..self
        }
    }

    pub(crate) fn config(&self, path: &Path) -> Config {
        Config::new(path)
            .checkpoint_at_bytes(self.sizes.checkpoint_at_bytes)
            .wal_ceiling_bytes(self.sizes.wal_ceiling_bytes)
            .max_batch(self.sizes.max_batch)
            .durability(self.durability)
    }
}

fn dice(seed: u64, round: u32) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.wrapping_add(u64::from(round) << 32))
}

fn delay(aim: Phase, dice: &mut fastrand::Rng) -> Duration {
    match aim {
        Phase::Opening => spread(dice, 0.2, 40.0),
        Phase::Load => spread(dice, 3.0, 900.0),
        Phase::Backup => spread(dice, 0.3, 1_500.0),
        Phase::Closing | Phase::Closed => spread(dice, 0.05, 30.0),
    }
}

/// From the one to the other, in milliseconds, and as often below 2 as from 2 to 4 or 4 to 8:
/// nobody knows how fast the machine is, and what is short must be hit too.
fn spread(dice: &mut fastrand::Rng, low: f64, high: f64) -> Duration {
    Duration::from_secs_f64(low * (high / low).powf(dice.f64()) / 1_000.0)
}
