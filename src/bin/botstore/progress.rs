//! Shows how far a long piece of work is, and stops it with Ctrl-C.

use crate::answer::failed;
use crate::print;
use botstore::backup::{Progress, Stage};
use botstore::{Error, ErrorKind, Result};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// From here on Ctrl-C is a wish that [`stopped`] tells of; the second one is an order.
pub(crate) fn listen() -> Result<()> {
    let failed = |e| failed("cannot listen for Ctrl-C", &e);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    let listen = async {
        while tokio::signal::ctrl_c().await.is_ok() {
            if STOPPED.swap(true, Ordering::Relaxed) {
                std::process::exit(crate::answer::Exit::Stopped as i32);
            }
        }
    };
    std::thread::Builder::new()
        .name("ctrl-c".to_owned())
        .spawn(move || runtime.block_on(listen))
        .map_err(failed)?;
    Ok(())
}

/// # Errors
/// [`Cancelled`](ErrorKind::Cancelled) after Ctrl-C.
pub(crate) fn stopped() -> Result<()> {
    match STOPPED.load(Ordering::Relaxed) {
        true => Err(Error::new(ErrorKind::Cancelled, "it was asked to stop")),
        false => Ok(()),
    }
}

/// What a backup, a check of one or a restore tells of itself: a bar on stderr if that is a
/// terminal.
pub(crate) fn show() -> Result<impl FnMut(Progress) -> ControlFlow<()> + Send + 'static> {
    listen()?;
    let bar = ProgressBar::with_draw_target(None, print::bar());
    let bar = bar.with_finish(ProgressFinish::AndClear);
    let mut stage = None;
    Ok(move |progress: Progress| {
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
    })
}

/// Nobody knows how far a compact copy is.
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
