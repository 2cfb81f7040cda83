//! Whose files and folders are.

use crate::error::Result;
#[cfg(unix)]
use crate::error::{Error, ErrorKind};
use std::fs::File;
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

#[cfg(unix)]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
