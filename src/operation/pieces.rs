//! Mutations in pieces. A mutation whose work grows with the history is run in pieces: each is a transaction of
//! its own that occupies the writer for a moment, and other mutations run in between.
//!
//! The caller sees one mutation, whose answer comes with the last piece. What has been done stays done if the
//! caller gives up, the store closes, or a later piece fails. Turned down: a limit of rows per mutation, and each
//! caller sends it again; a caller that sent it once would believe that it was done.

use super::WriteTx;
use crate::error::Result;
use crate::sqlite::Cell;
use std::time::{Duration, Instant};

/// How long a piece should take.
const AIM: Duration = Duration::from_millis(20);

/// How many rows the first piece reads, and the least and most that another may.
const FIRST: u32 = 500;
const LEAST: u32 = 50;
const MOST: u32 = 10_000;

/// The key of the row that was read last.
pub(crate) type Place = Option<(Cell, i64)>;

/// What a piece has done.
pub(crate) struct Piece {
    /// How many rows it changed.
    pub(crate) changed: usize,
    /// How many rows it looked at and had to leave.
    pub(crate) left: usize,
    /// Where the next piece begins, if there may be more to do.
    pub(crate) next: Option<Place>,
}

impl Piece {
    /// A piece that has changed so many rows and left none.
    pub(crate) fn of(changed: usize, next: Option<Place>) -> Self {
        Self {
            changed,
            left: 0,
            next,
        }
    }
}

/// The progress of a mutation in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    place: Place,
    /// How many rows it has changed, and how many it had to leave.
    changed: usize,
    left: usize,
    /// How many rows the next piece reads.
    rows: u32,
}

impl Progress {
    const NONE: Self = Self {
        place: None,
        changed: 0,
        left: 0,
        rows: FIRST,
    };

    /// The progress after a piece, and whether there is more to do.
    fn after(self, piece: Piece, took: Duration) -> (Self, bool) {
        let goes_on = piece.next.is_some();
        let progress = Self {
            place: piece.next.flatten(),
            changed: self.changed + piece.changed,
            left: self.left + piece.left,
            rows: adapted(self.rows, took),
        };
        (progress, goes_on)
    }
}

/// How many rows to read next, if `rows` took this long. It changes by a factor of two at most, because a piece
/// that was delayed says little.
fn adapted(rows: u32, took: Duration) -> u32 {
    let share = AIM.as_secs_f64() / took.as_secs_f64().max(1e-6);
    let rows = f64::from(rows) * share.clamp(0.5, 2.0);
    (rows as u32).clamp(LEAST, MOST)
}

/// The progress of the mutation that runs in a transaction, and whether it may end before it is done.
#[derive(Debug, Default)]
pub(crate) enum Pieces {
    /// It may not: it is a part of another mutation, or nothing runs it again.
    #[default]
    Whole,
    /// It may, and has not committed a piece yet.
    Fresh,
    /// The progress that is committed, and the progress after the current run, if there is more to do.
    Under(Box<(Progress, Option<Progress>)>),
}

impl Pieces {
    fn committed(&self) -> Progress {
        match self {
            Self::Under(under) => under.0.clone(),
            Self::Fresh | Self::Whole => Progress::NONE,
        }
    }

    /// Whether there is more to do, after the run was committed. The next run continues from there.
    pub(crate) fn go_on(&mut self) -> bool {
        let Self::Under(under) = self else {
            return false;
        };
        let next = under.1.take();
        let goes_on = next.is_some();
        if let Some(next) = next {
            under.0 = next;
        }
        goes_on
    }
}

impl WriteTx<'_> {
    /// Lets the next mutation run in pieces, with its progress so far.
    pub(crate) fn lend(&self, mut pieces: Pieces) {
        // What it did after the last commit was rolled back.
        if let Pieces::Under(under) = &mut pieces {
            under.1 = None;
        }
        self.pieces.set(pieces);
    }

    pub(crate) fn take_back(&self) -> Pieces {
        self.pieces.take()
    }

    /// Whether the mutation that runs here has more to do and must be run again.
    pub(crate) fn is_unfinished(&self) -> bool {
        let pieces = self.pieces.take();
        let unfinished = matches!(&pieces, Pieces::Under(under) if under.1.is_some());
        self.pieces.set(pieces);
        unfinished
    }

    /// Does the next piece of `work`, which gets its place and how many rows it may read; as a part of another
    /// mutation, does all pieces. Returns how many rows were changed so far.
    pub(crate) fn in_pieces(&self, work: impl Fn(&Place, u32) -> Result<Piece>) -> Result<usize> {
        let (changed, _) = self.in_pieces_that_leave(work)?;
        Ok(changed)
    }

    /// The same, and how many rows were left.
    pub(crate) fn in_pieces_that_leave(
        &self,
        work: impl Fn(&Place, u32) -> Result<Piece>,
    ) -> Result<(usize, usize)> {
        let pieces = self.pieces.take();
        let may_end = !matches!(pieces, Pieces::Whole);
        let committed = pieces.committed();
        let mut progress = committed.clone();
        if may_end {
            // For the next run, if this piece fails.
            let under = Box::new((committed.clone(), None));
            self.pieces.set(Pieces::Under(under));
        }
        loop {
            let began = Instant::now();
            let piece = work(&progress.place, progress.rows)?;
            let (next, goes_on) = progress.after(piece, began.elapsed());
            let done = (next.changed, next.left);
            if may_end {
                let next = goes_on.then_some(next);
                self.pieces.set(Pieces::Under(Box::new((committed, next))));
                return Ok(done);
            }
            if !goes_on {
                return Ok(done);
            }
            progress = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_piece_comes_to_the_time_that_it_should_take_and_stays_in_its_bounds() {
        // A machine on which a row takes this long.
        for (micros, expected) in [
            (0, MOST..=MOST),
            (4, 4_500..=5_500),
            (100, 190..=210),
            (9_000, LEAST..=LEAST),
        ] {
            let mut rows = FIRST;
            for _ in 0..20 {
                rows = adapted(rows, Duration::from_micros(micros) * rows);
            }
            assert!(expected.contains(&rows), "{micros} µs: {rows} rows");
        }
    }
}
