//! What somebody who may write into a folder puts where a file of the store's is, or will be.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Nobody's account on most systems; it need not exist.
pub(crate) const STRANGER: u32 = 65_534;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plant {
    LinkToVictim,
    LinkToFolder,
    DanglingLink,
    HardLink,
    Fifo,
    Socket,
    /// `/dev/zero`, which has no end.
    EndlessDevice,
    /// `/dev/full`, which takes nothing.
    FullDevice,
    Folder,
    AnothersFile,
}

impl Plant {
    pub(crate) const ALL: [Self; 10] = [
        Self::LinkToVictim,
        Self::LinkToFolder,
        Self::DanglingLink,
        Self::HardLink,
        Self::Fifo,
        Self::Socket,
        Self::EndlessDevice,
        Self::FullDevice,
        Self::Folder,
        Self::AnothersFile,
    ];

    /// Whether it is something that no plain file is.
    pub(crate) fn is_no_file(self) -> bool {
        !matches!(self, Self::HardLink | Self::AnothersFile)
    }

    /// Puts it there, in place of whatever is. False, with a word on why, where the system does not let
    /// us.
    pub(crate) fn put(self, at: &Path, victims: &Victims) -> bool {
        remove(at);
        let node = |kind, minor| {
            use rustix::fs::{CWD, Mode, makedev, mknodat};
            mknodat(CWD, at, kind, Mode::RUSR | Mode::WUSR, makedev(1, minor)).is_ok()
        };
        let put = match self {
            Self::LinkToVictim => symlink(&victims.file, at).is_ok(),
            Self::LinkToFolder => symlink(&victims.folder, at).is_ok(),
            Self::DanglingLink => symlink(&victims.missing, at).is_ok(),
            Self::HardLink => fs::hard_link(&victims.file, at).is_ok(),
            Self::Fifo => node(rustix::fs::FileType::Fifo, 0),
            Self::Socket => bind(at),
            Self::EndlessDevice => node(rustix::fs::FileType::CharacterDevice, 5),
            Self::FullDevice => node(rustix::fs::FileType::CharacterDevice, 7),
            Self::Folder => {
                fs::create_dir(at).is_ok() && fs::write(at.join("mine"), "mine").is_ok()
            }
            Self::AnothersFile => {
                let made = fs::write(at, "another's ".repeat(1_000)).is_ok();
                let private = fs::Permissions::from_mode(0o600);
                let owned = chown(at, Some(STRANGER), Some(STRANGER)).is_ok();
                made && owned && fs::set_permissions(at, private).is_ok()
            }
        };
        let needs_root = matches!(
            self,
            Self::EndlessDevice | Self::FullDevice | Self::AnothersFile
        );
        assert!(put || needs_root, "{self:?} at {}", at.display());
        if !put {
            eprintln!("left out: {self:?} can be made by root only, if at all");
            remove(at);
        }
        put
    }
}

/// The path of a socket is short, and its folder's is not: so it is moved there.
fn bind(at: &Path) -> bool {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let short = folder.path().join("s");
    let made = UnixListener::bind(&short).is_ok();
    // Another file system than the test's folder: then it is bound there, if its path is short enough.
    made && (fs::rename(&short, at).is_ok() || UnixListener::bind(at).is_ok())
}

fn remove(at: &Path) {
    match fs::symlink_metadata(at) {
        Ok(data) if data.is_dir() => fs::remove_dir_all(at).unwrap(),
        Ok(_) => fs::remove_file(at).unwrap(),
        Err(_) => {}
    }
}

/// What somebody wants to harm, in a folder of its own.
pub(crate) struct Victims {
    around: PathBuf,
    pub(crate) file: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) missing: PathBuf,
    before: BTreeMap<PathBuf, Vec<u8>>,
}

impl Victims {
    pub(crate) fn in_folder(around: PathBuf) -> Self {
        let folder = around.join("folder");
        fs::create_dir_all(&folder).unwrap();
        let file = around.join("victim");
        fs::write(&file, "what must not be lost\n".repeat(500)).unwrap();
        fs::write(folder.join("in-it"), "nor this").unwrap();
        Self {
            missing: around.join("missing"),
            before: files(&around),
            around,
            file,
            folder,
        }
    }

    /// Each file is as it was, and there is no other.
    pub(crate) fn are_unharmed(&self, after: &str) {
        assert!(files(&self.around) == self.before, "after {after}");
    }

    /// The same, but there may be others: where the operator's own link leads, files are made.
    pub(crate) fn are_as_they_were(&self, after: &str) {
        let now = files(&self.around);
        for (path, bytes) in &self.before {
            assert!(now.get(path) == Some(bytes), "{path:?} after {after}");
        }
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match fs::symlink_metadata(&path).unwrap().is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}
