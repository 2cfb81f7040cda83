//! What is on the disk and what is only on its way there, of the files in one folder.

use std::collections::HashMap;
use std::ffi::c_int;
use std::fs;
use std::path::{Path, PathBuf};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A file: what was synced, and what has been done to it since.
#[derive(Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Written(usize, Vec<u8>),
    Cut(usize),
}

pub(crate) struct Platter {
    folder: PathBuf,
    files: HashMap<PathBuf, File>,
}

impl Platter {
    /// Begins with what is in the folder, all of it synced.
    pub(crate) fn watch(folder: &Path) -> Self {
        let mut files = HashMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let (synced, since) = (fs::read(&path).unwrap(), Vec::new());
                files.insert(path, File { synced, since });
            }
        }
        let folder = folder.to_owned();
        Self { folder, files }
    }

    /// The file behind a descriptor, if it is watched.
    fn file(&mut self, fd: c_int) -> Option<&mut File> {
        // The index of the WAL is shared memory, and made anew.
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        let is_watched = path.parent() == Some(&self.folder)
            && path.extension().is_some_and(|suffix| suffix != "db-shm");
        is_watched.then(|| self.files.entry(path).or_default())
    }

    pub(crate) fn written(&mut self, fd: c_int, at: usize, bytes: &[u8]) {
        if let Some(file) = self.file(fd) {
            file.since.push(Change::Written(at, bytes.to_owned()));
        }
    }

    pub(crate) fn cut(&mut self, fd: c_int, size: usize) {
        if let Some(file) = self.file(fd) {
            file.since.push(Change::Cut(size));
        }
    }

    pub(crate) fn synced(&mut self, fd: c_int) {
        let Some(file) = self.file(fd) else { return };
        for change in std::mem::take(&mut file.since) {
            match change {
                Change::Written(at, bytes) => put(&mut file.synced, at, &bytes),
                Change::Cut(size) => file.synced.resize(size, 0),
            }
        }
    }

    /// A sync has failed. What was written by then is on no disk, and counts as written: another sync does
    /// not bring it there. See <https://lwn.net/Articles/752063/>.
    pub(crate) fn not_synced(&mut self, fd: c_int) {
        if let Some(file) = self.file(fd) {
            file.since.retain(|change| matches!(change, Change::Cut(_)));
        }
    }

    /// Writes what is there after a loss of power into another folder: of what was not synced each sector
    /// may be there. Gives how many are not.
    pub(crate) fn after_a_loss_of_power(self, to: &Path, random: &mut fastrand::Rng) -> u64 {
        let mut lost = 0;
        for (path, file) in self.files {
            let mut found = file.synced;
            // From none of it to all of it.
            let share = random.f64() * 1.4 - 0.2;
            for change in file.since {
                match change {
                    Change::Cut(size) if random.f64() < share => found.resize(size, 0),
                    Change::Cut(_) => {}
                    Change::Written(at, bytes) => {
                        let first = SECTOR - at % SECTOR;
                        let (head, rest) = bytes.split_at(first.min(bytes.len()));
                        let mut at = at;
                        for sector in std::iter::once(head).chain(rest.chunks(SECTOR)) {
                            if random.f64() < share {
                                put(&mut found, at, sector);
                            } else {
                                lost += 1;
                            }
                            at += sector.len();
                        }
                    }
                }
            }
            fs::write(to.join(path.file_name().unwrap()), found).unwrap();
        }
        lost
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at..end].copy_from_slice(bytes);
}
