//! Shows the progress of long work, and stops it on Ctrl-C, SIGTERM or SIGHUP.

use crate::print;
use botstore::backup::{Progress, Stage};
use botstore::{Error, ErrorKind, Result};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

static STOPPED: AtomicBool = AtomicBool::new(false);

/// From here on the first Ctrl-C, SIGTERM or SIGHUP is a request that [`stopped`] reports; the second
/// one ends the process.
pub(crate) fn listen() -> Result<()> {
    let failed = |e| Error::io("cannot listen for signals", e);
    has_files_to_spare().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    // Signals count from here on, even before the thread has started.
    hear(&runtime).map_err(failed)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(failed)?;
    Ok(())
}

/// Whether the process can open as many files as listening takes: tokio panics if it cannot open one.
fn has_files_to_spare() -> io::Result<()> {
    const FILES: usize = 10;
    let program = std::env::current_exe()?;
    let opened: io::Result<Vec<_>> = (0..FILES).map(|_| std::fs::File::open(&program)).collect();
    opened.map(drop)
}

fn wish() {
    if STOPPED.swap(true, Ordering::Relaxed) {
        std::process::exit(crate::answer::Exit::Stopped as i32);
    }
}

#[cfg(unix)]
fn hear(runtime: &Runtime) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let _entered = runtime.enter();
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    // `nohup` makes a program ignore SIGHUP; listening would undo that.
    if !is_ignored(SignalKind::hangup()) {
        kinds.push(SignalKind::hangup());
    }
    // The signal for a file that has reached its size limit. It ends the process unless somebody
    // listens. With a listener the write fails with an error, which is reported like any other.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    for kind in kinds {
        let mut signals = signal(kind)?;
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                wish();
            }
        });
    }
    Ok(())
}

/// Whether the parent made this program ignore the signal. Linux says so: proc(5).
#[cfg(unix)]
fn is_ignored(signal: tokio::signal::unix::SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signal.as_raw_value() - 1)) != 0)
}

#[cfg(not(unix))]
fn hear(runtime: &Runtime) -> io::Result<()> {
    runtime.spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            wish();
        }
    });
    Ok(())
}

/// Whether one of the signals has come.
pub(crate) fn is_stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Fails after one of the signals.
/// [`Cancelled`](ErrorKind::Cancelled) after one of them.
pub(crate) fn stopped() -> Result<()> {
    match is_stopped() {
        true => Err(Error::new(ErrorKind::Cancelled, "stopped on request")),
        false => Ok(()),
    }
}

/// Shows the progress of a backup, a check or a restore: a bar on stderr if that is a terminal.
pub(crate) fn show() -> impl FnMut(Progress) -> ControlFlow<()> + Send + 'static {
    let bar = ProgressBar::with_draw_target(None, print::bar());
    let bar = bar.with_finish(ProgressFinish::AndClear);
    let mut stage = None;
    move |progress: Progress| {
        if stage.replace(progress.stage) != Some(progress.stage) {
            bar.set_length(progress.total);
            bar.set_style(style(progress.total));
            bar.set_message(name(progress.stage));
            bar.reset();
        }
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        match stopped() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Shows the progress of work of unknown size: a count and the time, on stderr if that is a terminal.
pub(crate) fn count(of: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, print::bar());
    let bar = bar.with_finish(ProgressFinish::AndClear).with_message(of);
    let style = ProgressStyle::with_template("{msg} {human_pos} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The progress of a compact copy is unknown.
fn style(total: u64) -> ProgressStyle {
    let template = match total {
        0 => "{msg:10} {elapsed}",
        _ => "{msg:10} {bar:40} {bytes}/{total_bytes} {eta}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Copy => "copying",
        Stage::Pack => "packing",
        Stage::Unpack => "unpacking",
        Stage::Check => "checking",
        _ => "working",
    }
}
