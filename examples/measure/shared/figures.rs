//! How measurements keep latencies and write figures down.

use hdrhistogram::Histogram;
use std::time::Duration;

pub const MIB: u64 = 1 << 20;

/// Latencies up to ten minutes, in microseconds, to two digits: a third of a megabyte less than
/// nanoseconds to three would take, of each of the many that a run keeps.
pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 2).expect("these bounds are allowed")
}

pub fn record(latencies: &mut Histogram<u64>, took: Duration) {
    // Rounded up: nothing takes no time.
    latencies.saturating_record((took.as_nanos() as u64).div_ceil(1_000));
}

/// A quantile, in milliseconds.
pub fn millis_at(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1_000.0
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// `740 µs`, `12.3 ms` or `1.25 s`.
pub fn time(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{:.0} µs", millis * 1_000.0),
        ..1_000.0 => format!("{millis:.1} ms"),
        _ => format!("{:.2} s", millis / 1_000.0),
    }
}

pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB as f64)
}
