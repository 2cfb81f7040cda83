//! The end of a batch: which jobs are answered, refused or tried again.

use super::{Batch, Batcher, Progress};
use crate::engine::job::WriteJob;
use crate::engine::transaction::Attempt;
use crate::error::{Error, ErrorKind};
use std::mem;

impl Batcher {
    /// Answers the jobs that ran past their deadline, and keeps the others: a job that once took too long is not
    /// run again.
    pub(super) fn answer_overdue(&mut self) {
        let is_overdue = |job: &mut Box<dyn WriteJob>| {
            let error = job.error();
            error.is_some_and(|error| error.kind() == ErrorKind::Deadline)
        };
        let overdue: Vec<_> = self.batch.jobs.extract_if(.., is_overdue).collect();
        for job in overdue {
            self.answer(job);
        }
    }

    pub(super) fn settle(&mut self, attempt: Attempt) {
        let mutations = self.batch.jobs.len();
        self.batch.begun = None;
        match attempt {
            Attempt::Committed { wrote } => {
                self.shared.metrics.count_batch(mutations);
                if wrote {
                    self.shared.disk.note_written();
                }
                self.answer_batch();
            }
            Attempt::Lost(error) if mutations > 1 && !error.leaves_in_doubt() => {
                self.shared.metrics.reruns.count();
                self.answer_overdue();
                self.alone.extend(self.batch.jobs.drain(..));
            }
            Attempt::Lost(error) | Attempt::NotBegun(error) => {
                let open = self.connection.as_ref();
                let in_doubt =
                    error.leaves_in_doubt() || open.is_some_and(|open| !open.conn.is_autocommit());
                let mut lost = mem::take(&mut self.batch.jobs);
                if in_doubt {
                    lost.extend(self.alone.drain(..));
                    self.give_up_connection();
                }
                for job in lost {
                    self.refuse(job, error.clone());
                }
                tracing::warn!(%error, mutations, in_doubt, "a transaction was lost");
            }
            Attempt::Indeterminate(error) => {
                let jobs = self.batch.jobs.drain(..);
                self.indeterminate
                    .extend(jobs.map(|job| (job, error.clone())));
                for job in mem::take(&mut self.alone) {
                    self.refuse(job, error.clone());
                }
                self.give_up_connection();
                self.resolve_indeterminate();
                tracing::warn!(%error, mutations, "a commit failed");
            }
            // Only an attempt without savepoints has to be undone, and `run` has repeated it.
            Attempt::Undo => {}
        }
    }

    fn answer_batch(&mut self) {
        self.batch.jobs.reverse();
        // One after the other, so that the rest are still there if one panics.
        while let Some(job) = self.batch.jobs.pop() {
            self.committed(job);
        }
    }

    /// Answers the job; or, if it has more pieces, queues it behind the waiting ones. Like a new job, it does not
    /// continue if the files were replaced meanwhile.
    fn committed(&mut self, mut job: Box<dyn WriteJob>) {
        match job.goes_on().then(|| self.shared.files.check()) {
            None => self.answer(job),
            Some(Ok(())) => self.waiting.push_back(job),
            Some(Err(error)) => self.refuse(job, error),
        }
    }

    fn answer(&self, job: Box<dyn WriteJob>) {
        match job.error() {
            None => self.shared.metrics.committed.count(),
            Some(error) => self.note_failed(error),
        }
        job.answer();
    }

    pub(super) fn refuse(&self, job: Box<dyn WriteJob>, error: Error) {
        self.note_failed(&error);
        job.refuse(error);
    }

    fn note_failed(&self, error: &Error) {
        self.shared.metrics.count_failed(error);
        self.shared.disk.note(error);
    }

    /// Answers the jobs whose commit failed. Before that, the next connection has to overwrite what they may have
    /// left in the WAL.
    fn resolve_indeterminate(&mut self) {
        if self.indeterminate.is_empty() {
            return;
        }
        let written_over = self.connect().is_ok();
        for (job, error) in mem::take(&mut self.indeterminate) {
            let error = match written_over {
                true => error,
                false => error.because(
                    ErrorKind::InDoubt,
                    "the commit failed, and the disk does not let the store undo it: if the process \
                     ends before the disk recovers, the next opening may find the change made",
                ),
            };
            self.refuse(job, error);
        }
    }

    /// After a panic: answers the jobs of the current batch, and opens a new connection.
    pub(in crate::engine) fn recover(&mut self) {
        let Batch { jobs, progress, .. } = mem::take(&mut self.batch);
        if let Some(open) = &self.connection {
            open.roll_back();
        }
        self.give_up_connection();
        for job in jobs {
            match progress {
                Progress::Committed => self.committed(job),
                Progress::Running => self.refuse(job, restarted(ErrorKind::Panicked)),
                Progress::Committing => self.indeterminate.push((job, restarted(ErrorKind::Io))),
            }
        }
        self.resolve_indeterminate();
        self.shared.metrics.in_batch.set(0);
    }
}

fn restarted(kind: ErrorKind) -> Error {
    Error::new(
        kind,
        "the writer panicked and was restarted; nothing was changed, and the panic hook's output \
         has the panic's message",
    )
}
