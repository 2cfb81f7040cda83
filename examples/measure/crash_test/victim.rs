//! The parent's end of a child.

use crate::Failure;
use crate::child::Orders;
use crate::lines::{Line, Phase};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Far longer than anything takes on a busy machine; when it has passed, the child hangs.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Victim {
    process: Child,
    lines: Receiver<Line>,
    said: Vec<Line>,
    phase: Phase,
}

/// What a child said, and how far it came.
pub(crate) struct Last {
    pub(crate) said: Vec<Line>,
    pub(crate) phase: Phase,
}

impl Victim {
    pub(crate) fn start(orders: &Orders) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg("--db").arg(&orders.db);
        for (flag, value) in [
            ("--seed", orders.seed),
            ("--round", orders.round.into()),
            ("--first", orders.first),
            ("--callers", orders.callers.into()),
        ] {
            command.arg(flag).arg(value.to_string());
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("the child has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in whole_lines(out) {
                let _ = sender.send(Line::parse(&line));
            }
        });
        Ok(Self {
            process,
            lines,
            said: Vec::new(),
            phase: Phase::Opening,
        })
    }

    /// Kills it so long after the beginning of a phase, and reads its pipe to the end. It may have
    /// ended by itself before, which is well if it had closed the store.
    pub(crate) fn kill(mut self, aim: Phase, delay: Duration) -> Result<Last, Failure> {
        let hangs = Instant::now() + PATIENCE;
        while !self.said.iter().any(|line| line.begins() == Some(aim)) {
            match self.hear(hangs) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the child hangs, and never came to {aim:?}").into());
                }
            }
        }
        let moment = Instant::now() + delay;
        while Instant::now() < moment && self.hear(moment).is_ok() {}
        let ended = self.process.try_wait()?;
        // SIGKILL on Unix.
        self.process.kill()?;
        self.process.wait()?;
        // What is still in the pipe was said too.
        while self.hear(Instant::now() + PATIENCE).is_ok() {}
        let failed = self.said.iter().any(|line| matches!(line, Line::Failed(_)));
        if let (Some(status), false) = (ended, failed || self.phase == Phase::Closed) {
            return Err(format!("the child ended by itself: {status}").into());
        }
        Ok(Last {
            said: std::mem::take(&mut self.said),
            phase: self.phase,
        })
    }

    fn hear(&mut self, until: Instant) -> Result<(), RecvTimeoutError> {
        let left = until.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left)?;
        self.phase = line.begins().unwrap_or(self.phase);
        self.said.push(line);
        Ok(())
    }
}

/// It must not go on when its parent gave up.
impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What ends without a line end was cut short by the kill.
fn whole_lines(out: impl Read) -> impl Iterator<Item = String> {
    let mut out = BufReader::new(out);
    std::iter::from_fn(move || {
        let mut line = String::new();
        out.read_line(&mut line).ok()?;
        line.ends_with('\n').then_some(line)
    })
}
