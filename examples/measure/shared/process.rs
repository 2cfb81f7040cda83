//! What the operating system says of this process. Linux tells it under `/proc`; elsewhere there is
//! nothing to tell, and what hangs on it is left out.

/// The memory that is resident now, in bytes.
pub fn memory() -> Option<u64> {
    Some(status("VmRSS:")? * 1024)
}

/// The most memory that was ever resident, in bytes.
pub fn peak_memory() -> Option<u64> {
    Some(status("VmHWM:")? * 1024)
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

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
