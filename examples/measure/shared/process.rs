//! What the operating system says of this process. Linux tells it under `/proc`; elsewhere there is
//! nothing to tell, and what hangs on it is left out.

use std::time::Duration;

/// The memory that is resident now, in bytes.
pub fn memory() -> Option<u64> {
    Some(status("VmRSS:")? * 1024)
}

/// The most memory that was ever resident, in bytes.
pub fn peak_memory() -> Option<u64> {
    Some(status("VmHWM:")? * 1024)
}

/// The CPU time so far, of the program and of the kernel for it, to a hundredth of a second.
pub fn cpu() -> Option<Duration> {
    /// Linux counts it in these for every program.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name, which may have spaces; user and system time are the 14th and 15th.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11);
    let mut next = || ticks.next()?.parse::<f64>().ok();
    Some(Duration::from_secs_f64(
        (next()? + next()?) / TICKS_PER_SECOND,
    ))
}

/// The bytes that it has given to the system to write so far, whether they reached the disk or not.
pub fn written() -> Option<u64> {
    field("/proc/self/io", "wchar:")
}

/// Threads.
pub fn threads() -> Option<u64> {
    status("Threads:")
}

/// Open file descriptors, without the one that looks.
pub fn open_files() -> Option<u64> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(listed.saturating_sub(1) as u64)
}

fn status(name: &str) -> Option<u64> {
    field("/proc/self/status", name)
}

fn field(file: &str, name: &str) -> Option<u64> {
    let fields = std::fs::read_to_string(file).ok()?;
    let line = fields.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
