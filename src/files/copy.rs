//! Copies files; each copy is synced when the function returns.

use super::open::{cannot, create, open, open_to_write, remove};
use super::{folder_of, owner, sync_folder};
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A database's header, which identifies it, and more: a page of the usual size.
const HEAD: u64 = 4096;

/// Copies a file, with its owner and mode. The copy gets the name `to` when it is complete, and
/// replaces what is there.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut draft = to.as_os_str().to_owned();
    draft.push(".partial");
    let draft = PathBuf::from(draft);
    remove(&draft)?;
    let mut source = open_existing(from)?;
    let mut target = create(&draft)?;
    io::copy(&mut source, &mut target)
        .and_then(|_| owner::make_like(&target, from))
        .and_then(|()| target.sync_all())
        .and_then(|()| fs::rename(&draft, to))
        .map_err(|e| cannot("write", to, e))?;
    sync_folder(folder_of(to))
}

/// Writes the content of one file into another, which keeps its place, its owner and its mode. For a
/// place that nothing can be renamed into.
///
/// If the process is killed, the copy can be repeated. Until the last write `to` holds no database that
/// could be taken for whole: its head is empty. The part beyond the old length is written first, while
/// the old content is untouched; if there is no room for it, the old content stays.
pub(crate) fn copy_into(from: &Path, to: &Path) -> Result<()> {
    let failed = |e| cannot("write into", to, e);
    let mut source = open_existing(from)?;
    let mut target = open_to_write(to)?;
    let length = |file: &File| file.metadata().map(|data| data.len());
    let (new, old) = (
        length(&source).map_err(failed)?,
        length(&target).map_err(failed)?,
    );
    if new > old {
        let grown = part(&mut source, &mut target, old, new).and_then(|()| target.sync_all());
        if let Err(e) = grown {
            let _ = target.set_len(old);
            return Err(failed(e));
        }
    }
    let head = HEAD.min(new);
    overwrite(&mut source, &mut target, head, new.min(old))
        .and_then(|()| target.set_len(new))
        .and_then(|()| target.sync_all())
        .and_then(|()| part(&mut source, &mut target, 0, head))
        .and_then(|()| target.sync_all())
        .map_err(failed)
}

/// Empties an existing file.
pub(crate) fn truncate(path: &Path) -> Result<()> {
    let file = open_to_write(path)?;
    file.set_len(0)
        .and_then(|()| file.sync_all())
        .map_err(|e| cannot("empty", path, e))
}

/// Zeroes the head, and then writes what comes after it, up to `end`.
fn overwrite(source: &mut File, target: &mut File, head: u64, end: u64) -> io::Result<()> {
    target.rewind()?;
    io::copy(&mut io::repeat(0).take(head.min(end)), target)?;
    target.sync_all()?;
    part(source, target, head, end)
}

/// Copies the bytes from `begin` up to `end`.
fn part(source: &mut File, target: &mut File, begin: u64, end: u64) -> io::Result<()> {
    if begin >= end {
        return Ok(());
    }
    source.seek(SeekFrom::Start(begin))?;
    target.seek(SeekFrom::Start(begin))?;
    let copied = io::copy(&mut (&mut *source).take(end - begin), target)?;
    target.flush()?;
    match copied == end - begin {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn open_existing(path: &Path) -> Result<File> {
    let missing = || -> Error { cannot("open", path, io::ErrorKind::NotFound.into()) };
    open(path)?.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers every order of the two lengths and the head.
    #[test]
    fn what_is_written_into_a_file_is_all_that_is_in_it_then() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let lengths = [0, 1, 100, 4095, 4096, 4097, 8192, 20_000];
        for new in lengths {
            for old in lengths {
                let content: Vec<u8> = (0..new).map(|at| (at % 251) as u8).collect();
                fs::write(&from, &content).unwrap();
                fs::write(&to, vec![0xAA; old]).unwrap();
                copy_into(&from, &to).unwrap();
                assert!(fs::read(&to).unwrap() == content, "{old} to {new}");
            }
        }
    }
}
