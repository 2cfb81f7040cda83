//! The table: what the requests of each row took.

use crate::bot::Kind;
use crate::watch::Seen;
use botstore_measure::figures::{latencies, millis_at, record};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Latencies of one kind in one row, in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Latencies {
    pub(crate) requests: u64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// The p99 of each part of the row.
    parts: Vec<f64>,
}

impl Latencies {
    /// The median of the parts' p99: one slow moment of the machine makes one part slow, not this.
    pub(crate) fn usual_p99(&self) -> f64 {
        let mut parts = self.parts.clone();
        parts.sort_by(f64::total_cmp);
        parts.get(parts.len() / 2).copied().unwrap_or_default()
    }
}

/// One row.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) latencies: [Latencies; 3],
    /// How late the machine woke this program up, p99 in milliseconds: latencies of a row can be no
    /// better than that.
    pub(crate) late: f64,
    pub(crate) seen: Seen,
}

impl Row {
    pub(crate) fn requests(&self) -> u64 {
        self.latencies.iter().map(|kind| kind.requests).sum()
    }

    pub(crate) fn of(&self, kind: Kind) -> &Latencies {
        &self.latencies[kind as usize]
    }
}

/// The latencies of one kind while a row goes on. Two histograms for the whole run: one for each
/// row would be the growth that this program looks for.
struct Stopwatch {
    row: Histogram<u64>,
    part: Histogram<u64>,
    parts: Vec<f64>,
}

impl Stopwatch {
    fn end_part(&mut self) {
        if !self.part.is_empty() {
            self.parts.push(millis_at(&self.part, 0.99));
        }
        self.part.reset();
    }

    fn end_row(&mut self) -> Latencies {
        let ended = Latencies {
            requests: self.row.len(),
            p50: millis_at(&self.row, 0.5),
            p99: millis_at(&self.row, 0.99),
            max: self.row.max() as f64 / 1_000.0,
            parts: std::mem::take(&mut self.parts),
        };
        self.row.reset();
        ended
    }
}

/// The row that goes on.
pub(crate) struct Stopwatches {
    kinds: [Stopwatch; 3],
    late: Histogram<u64>,
}

impl Stopwatches {
    pub(crate) fn new() -> Self {
        Self {
            kinds: std::array::from_fn(|_| Stopwatch {
                row: latencies(),
                part: latencies(),
                parts: Vec::new(),
            }),
            late: latencies(),
        }
    }

    pub(crate) fn record(&mut self, kind: Kind, took: Duration) {
        let watch = &mut self.kinds[kind as usize];
        record(&mut watch.row, took);
        record(&mut watch.part, took);
    }

    pub(crate) fn record_late(&mut self, late: Duration) {
        record(&mut self.late, late);
    }

    pub(crate) fn end_part(&mut self) {
        self.kinds.iter_mut().for_each(Stopwatch::end_part);
    }

    pub(crate) fn end_row(&mut self, seen: Seen) -> Row {
        let late = millis_at(&self.late, 0.99);
        self.late.reset();
        Row {
            latencies: self.kinds.each_mut().map(Stopwatch::end_row),
            late,
            seen,
        }
    }
}
