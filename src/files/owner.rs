//! Whose files and folders are, and what this process may do with them.

#[cfg(unix)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
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

/// Gives what root has just made to the owner and the group of `like`, or to those of its folder if it is
/// not there yet: whatever is made beside a database, before it and after it, is its account's.
///
/// Only what is new. To give away what root finds there was turned down: whoever may write into the folder
/// could put a secret file of root's under that name.
pub(crate) fn give_to_owner_of(new: &File, like: &Path) {
    #[cfg(unix)]
    if is_root() {
        use std::os::unix::fs::MetadataExt;
        let like =
            std::fs::symlink_metadata(like).or_else(|_| std::fs::metadata(super::folder_of(like)));
        let Ok(like) = like else {
            return;
        };
        if (like.uid(), like.gid()) == (0, 0) || like.is_symlink() {
            return;
        }
        if let Err(error) = std::os::unix::fs::fchown(new, Some(like.uid()), Some(like.gid())) {
            tracing::warn!(uid = like.uid(), %error, "what root has made stays root's");
        }
    }
    #[cfg(not(unix))]
    let _ = (new, like);
}

/// Has a new file be read by those who could read the old one, and by nobody else.
pub(crate) fn make_like(new: &File, old: &Path) -> std::io::Result<()> {
    let data = std::fs::symlink_metadata(old)?;
    give_to_owner_of(new, old);
    let mut permissions = data.permissions();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        const GROUP: u32 = 0o070;
        let group = data.gid();
        let is_of_group = new.metadata()?.gid() == group || fchown(new, None, Some(group)).is_ok();
        // What the old file's group may do, another group may not.
        if !is_of_group {
            permissions.set_mode(permissions.mode() & !GROUP);
        }
    }
    new.set_permissions(permissions)
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

/// Of a path that the system did not let this process use: whose it is, or whose the folder above is that
/// keeps it out, and what to do. Empty if this process may read and write it and its folder.
pub(crate) fn why_denied(path: &Path) -> String {
    for place in path.ancestors() {
        let place = match place.as_os_str().is_empty() {
            true => Path::new("."),
            false => place,
        };
        match why_not_writable(place) {
            Some(why) if why.is_empty() && place == path => {}
            Some(why) => return why,
            // It is not there, or its folder does not let us see it.
            None => {}
        }
    }
    String::new()
}

/// Why this process may not read and write a file, or change what a folder holds: empty if it may, `None` if
/// there is nothing that can be seen.
pub(super) fn why_not_writable(place: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        use std::os::unix::fs::MetadataExt;
        let data = std::fs::symlink_metadata(place).ok()?;
        let what = match may_change(place, data.is_dir()) {
            Ok(()) => return Some(String::new()),
            Err(Errno::ROFS) => "is on a disk that is mounted read-only".to_owned(),
            Err(Errno::PERM) => "is immutable (`chattr -i` changes that)".to_owned(),
            Err(_) => format!(
                "belongs to uid {}, gid {} and has mode {:04o}, and this process runs as uid {}: run it \
                 as that account, or change the owner (chown) or the mode (chmod)",
                data.uid(),
                data.gid(),
                data.mode() & 0o7777,
                rustix::process::geteuid().as_raw(),
            ),
        };
        Some(format!("{} {what}", place.display()))
    }
    #[cfg(not(unix))]
    {
        place.symlink_metadata().ok().map(|_| String::new())
    }
}

/// Whether this process may read a file that is there. To open it would tell, and to close it again would
/// take the locks from whoever has it open in this process.
pub(crate) fn may_read(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).is_ok()
    }
    #[cfg(not(unix))]
    {
        path.is_file()
    }
}

/// Whether this process may write a file that is there; why not, if not.
pub(super) fn may_write(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        Ok(accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS)?)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

/// Whose the file is, if that keeps this process from moving it out of its folder: a sticky one, such as
/// `/tmp`, lets only the owners of the file and of the folder do that, and root.
pub(super) fn sticky_owner(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        const STICKY: u32 = 0o1000;
        let file = std::fs::symlink_metadata(path).ok()?;
        let folder = std::fs::metadata(super::folder_of(path)).ok()?;
        let own = rustix::process::geteuid().as_raw();
        let may = is_root() || [file.uid(), folder.uid()].contains(&own);
        (folder.mode() & STICKY != 0 && !may).then(|| file.uid())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Whether this process may read and write a file, or look into a folder and change what it holds; why not,
/// if not.
#[cfg(unix)]
fn may_change(path: &Path, is_folder: bool) -> rustix::io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let mut access = Access::READ_OK | Access::WRITE_OK;
    if is_folder {
        access |= Access::EXEC_OK;
    }
    accessat(CWD, path, access, AtFlags::EACCESS)
}

#[cfg(unix)]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
