//! Whose files and folders are.

#[cfg(unix)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::Path;

/// Refuses to follow a link that a stranger has laid in a folder into which everybody may write, such as
/// `/tmp`: one that is neither ours nor of the folder's owner. Elsewhere whoever may write into a folder
/// may say what it holds, and a link of an operator's leads to another disk.
///
/// Linux does the same by itself where `fs.protected_symlinks` is set, and it is not everywhere.
pub(crate) fn refuse_strangers_link(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        const EVERYBODY_WRITES: u32 = 0o002;
        let link = std::fs::symlink_metadata(path);
        let folder = std::fs::metadata(super::folder_of(path));
        let (Ok(link), Ok(folder)) = (link, folder) else {
            return Ok(());
        };
        let own = rustix::process::geteuid().as_raw();
        if link.is_symlink()
            && folder.mode() & EVERYBODY_WRITES != 0
            && ![own, folder.uid()].contains(&link.uid())
        {
            let why = format!(
                "{} is a link that another account has laid where everybody may write, and is not \
                 followed",
                path.display()
            );
            return Err(Error::new(ErrorKind::ForeignFile, why));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Gives what root has just made to the owner of `like`, if that is there.
pub(crate) fn give_to_owner_of(new: &File, like: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let Ok(like) = std::fs::symlink_metadata(like) else {
            return;
        };
        if is_root() && like.uid() != 0 && !like.is_symlink() {
            let given = std::os::unix::fs::fchown(new, Some(like.uid()), Some(like.gid()));
            if let Err(error) = given {
                tracing::warn!(uid = like.uid(), %error, "what root has made stays root's");
            }
        }
    }
    #[cfg(not(unix))]
    let _ = (new, like);
}

/// Whether accounts other than its owner's can read or write the file.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file() && data.mode() & 0o066 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// What to do where an account may not do something to what is at the path: names whose it is, whose the
/// folder is, and as whom this program runs.
pub(crate) fn who_may(path: &Path) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let whose = |what: &str, path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            let mode = data.mode() & 0o7777;
            Some(format!("{what} is of uid {}, mode {mode:o}", data.uid()))
        };
        // The nearest that there is, and may be looked at.
        let mut above = path.ancestors().skip(1).map(|above| match above {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            above => above,
        });
        let folder = above.find_map(|above| match above == super::folder_of(path) {
            true => whose("its folder", above),
            false => whose("the nearest folder", above),
        });
        let known: Vec<_> = whose("it", path).into_iter().chain(folder).collect();
        format!(
            "change the owner or mode, or run it as who may: {}, and this program runs as uid {}",
            known.join(", "),
            rustix::process::geteuid().as_raw()
        )
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        "look at who may read and write the file and its folder".to_owned()
    }
}

/// What to do about a file that cannot be written, or beside which nothing can be made; `None` if the
/// system does not say that it is so.
pub(crate) fn how_to_write(path: &Path) -> Option<String> {
    [path, super::folder_of(path)]
        .into_iter()
        .find_map(why_not_written)
        .map(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => who_may(path),
            _ => {
                let error = Error::io(path.display(), error);
                error.advice().unwrap_or_default().to_owned()
            }
        })
}

/// Why this account may not write to what is at the path, or nobody may.
fn why_not_written(path: &Path) -> Option<io::Error> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD};
        // As the effective account: SQLite opens files as that one.
        let may = rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS);
        let why = io::Error::from(may.err()?);
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(why.kind(), PermissionDenied | ReadOnlyFilesystem).then_some(why)
    }
    #[cfg(not(unix))]
    {
        let data = std::fs::metadata(path).ok()?;
        (data.is_file() && data.permissions().readonly())
            .then(|| io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(unix)]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
