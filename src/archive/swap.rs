//! Puts a restored file in the old one's place, or the old one back.
//!
//! A note first records what is to be done, and each step can be repeated. So the next process that
//! finds the note finishes the restore. If the system does not let a file be moved, the steps are
//! undone, and then the note is removed. Either way a database is never left beside another one's WAL,
//! and no database stays unusable because of a note.
//!
//! A mount point, such as a single file that a container mounts, cannot be renamed. The old file is
//! copied aside, and the new one is written into it.

use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, Kind, folder_of, sync_folder};
use crate::sqlite::{self, FILES, beside};
use std::fs;
use std::path::{Path, PathBuf};

/// The beginning of the suffix of folders for old files.
const REPLACED: &str = ".replaced";

/// Larger than any note.
const MAX_NOTE_BYTES: u64 = 4096;

/// The result of finishing a restore.
#[derive(Debug)]
pub(super) enum Finished {
    /// There was no restore to finish. Remains of one that had not got that far are removed.
    Nothing,
    /// The new file is in its place.
    Done,
    /// The old file is in its place as it was. The error is why the new one could not take its place.
    TakenBack(Error),
}

/// The path of the new file, before it takes its place.
pub(super) fn restoring(path: &Path) -> PathBuf {
    beside(path, ".restoring.db")
}

fn note(path: &Path) -> PathBuf {
    beside(path, sqlite::RESTORING)
}

/// Whether any file of the database exists.
pub(super) fn is_taken(path: &Path) -> bool {
    !taken(path).is_empty()
}

/// The files of the database that exist.
fn taken(path: &Path) -> Vec<PathBuf> {
    let files = FILES.iter().map(|suffix| beside(path, suffix));
    files.filter(|file| files::is_taken(file)).collect()
}

/// Returns a free suffix for the folder that the old file is moved into.
pub(super) fn free_name(path: &Path, now: chrono::DateTime<chrono::Utc>) -> String {
    let stamp = now.format("%Y%m%dT%H%M%SZ");
    (1_u32..)
        .map(|n| match n {
            1 => format!("{REPLACED}-{stamp}"),
            n => format!("{REPLACED}-{stamp}-{n}"),
        })
        .find(|name| !files::is_taken(&beside(path, name)))
        .unwrap_or_else(|| REPLACED.to_owned())
}

/// Whether it is a suffix of [`free_name`]: `.replaced-20261123T071844Z`, perhaps with a number behind
/// it. No restore has written any other, such as one that leads out of the folder.
fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_digit() || matches!(c, 'T' | 'Z' | '-');
    text.len() < 64
        && text
            .strip_prefix(REPLACED)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') && rest.chars().all(known))
}

/// Refuses files that can be neither moved nor written into.
pub(super) fn refuse_unmovable(path: &Path) -> Result<()> {
    taken(path)
        .iter()
        .try_for_each(|file| files::refuse_unmovable(file))
}

/// Prepares everything, and then writes the note: from here on the restore is finished or undone.
pub(super) fn begin(path: &Path, aside: &str) -> Result<()> {
    Swap::new(path, beside(path, aside)).copy_what_cannot_be_moved()?;
    files::replace(&note(path), aside.as_bytes(), path)
}

/// Removes what was prepared. The note goes first, because otherwise it would be carried out. No file
/// of the database has been moved yet, or all are back.
pub(super) fn give_up(path: &Path) -> Result<()> {
    let note = note(path);
    files::remove(&note)?;
    files::remove(&beside(&note, ".partial"))?;
    // And what SQLite has put beside the new file while reading it.
    let new = restoring(path);
    for suffix in FILES {
        files::remove(&beside(&new, suffix))?;
        let copy = old_copy(path, suffix);
        files::remove(&copy)?;
        files::remove(&beside(&copy, ".partial"))?;
    }
    Ok(())
}

/// The path of a copy of an old file that cannot be moved. The copy then goes into the folder for old
/// files.
fn old_copy(path: &Path, suffix: &str) -> PathBuf {
    beside(path, &format!(".restoring.old{suffix}"))
}

/// Finishes a restore that was cut short, or undoes it, or removes the remains of one that had not got
/// that far. The caller holds the file's lock. Each step may have been done before.
///
/// # Errors
/// When the system allows neither, as on a disk that has become read-only. The sentence says where
/// everything is; the next opening of the file tries again.
pub(super) fn finish(path: &Path) -> Result<Finished> {
    let read = files::read(&note(path), MAX_NOTE_BYTES);
    let Some(name) = read.map_err(|error| cannot_finish(path, None, error))? else {
        give_up(path)?;
        return Ok(Finished::Nothing);
    };
    let aside = match str::from_utf8(&name) {
        Ok(name) if is_name(name) => beside(path, name),
        // The note is damaged, but what is to be done is known.
        _ => beside(path, REPLACED),
    };
    let swap = Swap::new(path, aside);
    let stuck = |error| cannot_finish(path, Some(&swap.aside), error);
    let finished = match swap.forward() {
        Ok(()) => {
            // Before the note goes.
            sync_folder(folder_of(path)).map_err(stuck)?;
            Finished::Done
        }
        Err(error) => {
            swap.back().map_err(|_| stuck(error.clone()))?;
            Finished::TakenBack(error)
        }
    };
    give_up(path)
        .and_then(|()| sync_folder(folder_of(path)))
        .map_err(stuck)?;
    Ok(finished)
}

/// The error that every opening gets until its cause is mended, with each way out.
fn cannot_finish(path: &Path, aside: Option<&Path>, error: Error) -> Error {
    let kind = error.kind();
    let (note, new) = (note(path), restoring(path));
    // Only names, so that no way out is cut off: the sentence has the whole path.
    let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
    let put_back = match aside {
        Some(aside) => format!("move what is in {} back beside it, then ", name(aside)),
        None => String::new(),
    };
    let advice = format!(
        "solve that and open the file again, which continues the restore; or abandon the restore: \
         {put_back}remove {} and {} beside it",
        name(&note),
        name(&new)
    );
    // The cause's own advice goes into the sentence: the error's advice is about the restore.
    let mend = error.advice().map(|advice| format!(" ({advice})"));
    let doing = format_args!(
        "the restore of {} cannot be finished{}",
        path.display(),
        mend.unwrap_or_default()
    );
    error.because(kind, doing).with_advice(advice)
}

/// A replacement of files, and the folder that the old files go into.
struct Swap<'a> {
    path: &'a Path,
    new: PathBuf,
    aside: PathBuf,
}

impl<'a> Swap<'a> {
    fn new(path: &'a Path, aside: PathBuf) -> Self {
        let new = restoring(path);
        Self { path, new, aside }
    }

    /// The files of the database that exist, with the places that they are moved to.
    fn taken(&self, which: u32) -> Vec<Old> {
        let old = FILES.map(|suffix| self.old(suffix, which));
        old.into_iter()
            .filter(|old| files::is_taken(&old.at))
            .collect()
    }

    fn old(&self, suffix: &str, which: u32) -> Old {
        Old {
            at: beside(self.path, suffix),
            aside: beside(&self.kept(which), suffix),
            copy: old_copy(self.path, suffix),
        }
    }

    /// Where database number `which` goes. The first is the old one. After a restore was cut short,
    /// somebody may have created another database in its place: it goes beside the old one, with its
    /// WAL.
    fn kept(&self, which: u32) -> PathBuf {
        let first = self.aside.join(self.path.file_name().unwrap_or_default());
        match which {
            1 => first,
            which => beside(&first, &format!("-{which}")),
        }
    }

    /// The number of the last database that has a file aside; 1 if none has.
    fn last_kept(&self) -> u32 {
        let is_kept = |which: &u32| {
            let mut files = FILES.iter();
            files.any(|suffix| files::is_taken(&beside(&self.kept(*which), suffix)))
        };
        (1..).take_while(is_kept).last().unwrap_or(1)
    }

    /// Whether the place has a database that can be moved: then all files beside it are its own, and
    /// none of them is aside.
    fn is_whole(&self) -> bool {
        files::is_taken(self.path) && !files::is_mount_point(self.path)
    }

    /// The number of the database that is in the place.
    fn in_the_place(&self) -> u32 {
        let last = self.last_kept();
        let is_other = self.is_whole() && files::is_taken(&self.kept(last));
        if is_other { last + 1 } else { last }
    }

    /// Copies the files that cannot be renamed. An existing copy is complete, and older than whatever
    /// was written into that place since.
    fn copy_what_cannot_be_moved(&self) -> Result<()> {
        for Old { at, aside, copy } in self.taken(self.in_the_place()) {
            if !files::is_mount_point(&at) || files::is_taken(&aside) || files::is_taken(&copy) {
                continue;
            }
            let bytes = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
            let (old, new) = (bytes(&at), bytes(&self.new));
            let folder = folder_of(self.path);
            files::check_room(folder, old, "a copy of the file that is replaced")?;
            files::check_room(&at, new.saturating_sub(old), "the restored file")?;
            files::copy(&at, &copy)?;
        }
        Ok(())
    }

    /// Moves the old file aside and the new one in. If this fails, the new one is not in.
    fn forward(&self) -> Result<()> {
        files::refuse_other_than_plain(&self.new)?;
        if !files::is_taken(&self.new) {
            return match files::is_taken(self.path) {
                // The file in the place is the new one.
                true => Ok(()),
                false => {
                    let why = format!("{} is gone", self.new.display());
                    Err(Error::new(ErrorKind::NotFound, why))
                }
            };
        }
        let which = self.in_the_place();
        if !self.taken(which).is_empty() {
            if which > 1 {
                let kept = self.kept(which);
                tracing::warn!(path = %kept.display(), "another database was created in the place; it \
                    is moved aside, too");
            }
            files::create_own_folder(&self.aside, Some(self.path))?;
            self.copy_what_cannot_be_moved()?;
            // The database is the first. Logs are looked for after it: a program that looks at the file until then
            // may make them, and remove them.
            for suffix in FILES {
                let Old { at, aside, copy } = self.old(suffix, which);
                if !files::is_taken(&at) {
                    continue;
                }
                if !files::is_mount_point(&at) {
                    self.move_aside(&at, &free(aside))?;
                    continue;
                }
                if files::is_taken(&copy) {
                    rename(&copy, &aside)?;
                }
                // An empty WAL counts as none.
                if at != self.path {
                    files::truncate(&at)?;
                }
            }
            sync_folder(&self.aside)?;
            sync_folder(folder_of(self.path))?;
        }
        match files::is_mount_point(self.path) {
            true => files::copy_into(&self.new, self.path),
            false => rename(&self.new, self.path),
        }
    }

    /// Moves an old file. A log may be gone in this moment: the last program to close a database removes it, after it
    /// has copied it into the database.
    fn move_aside(&self, at: &Path, aside: &Path) -> Result<()> {
        match rename(at, aside) {
            Err(_) if at != self.path && !files::is_taken(at) => Ok(()),
            done => done,
        }
    }

    /// Moves back what was moved aside, as long as the new file is not in. The database comes last:
    /// until then its WAL belongs to no database.
    fn back(&self) -> Result<()> {
        // Nothing was moved aside: something else has the folder's name.
        if files::kind_of(&self.aside)? != Some(Kind::Folder) {
            return Ok(());
        }
        // The files aside do not belong to a database that is whole in its place.
        let last = self.last_kept();
        let suffixes = FILES.iter().rev().filter(|_| !self.is_whole());
        for Old { at, aside, .. } in suffixes.map(|suffix| self.old(suffix, last)) {
            if files::kind_of(&aside)?.is_none() {
                continue;
            }
            if files::is_mount_point(&at) {
                files::copy_into(&aside, &at)?;
                files::remove(&aside)?;
            } else if !files::is_taken(&at) {
                rename(&aside, &at)?;
            }
        }
        // Stays if it is not empty: somebody may have put something into it.
        let _ = fs::remove_dir(&self.aside);
        sync_folder(folder_of(self.path))
    }
}

/// One of the files of the old database.
struct Old {
    at: PathBuf,
    aside: PathBuf,
    /// See [`old_copy`].
    copy: PathBuf,
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| files::cannot("move", from, e))
}

/// Returns the path, or the path with the first number that makes it free.
fn free(path: PathBuf) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.clone().into_os_string();
        name.push(format!("-{number}"));
        PathBuf::from(name)
    };
    match files::is_taken(&path) {
        true => (2..)
            .map(numbered)
            .find(|path| !files::is_taken(path))
            .unwrap_or(path),
        false => path,
    }
}
