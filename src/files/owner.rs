//! Who owns files and folders, and what this process may do with them.

#[cfg(unix)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use std::fs::File;
use std::path::Path;

/// Refuses to follow a link that a stranger created in a folder into which everybody may write, such as
/// `/tmp`: one that is owned neither by us nor by the folder's owner. In other folders links are
/// followed: whoever may write there decides what it holds, and operators link to other disks.
///
/// Linux does the same if `fs.protected_symlinks` is set, which it is not everywhere.
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
                "{} is a link that another account made in a folder where everybody may write, and is \
                 not followed",
                path.display()
            );
            return Err(Error::new(ErrorKind::ForeignFile, why));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Gives a file that root has just created to the owner and group of `like`, or of its folder if `like`
/// does not exist yet. So all files beside a database belong to its account.
///
/// Only for new files. Giving away files that root finds was turned down: whoever may write into the
/// folder could put a secret file of root's under that name.
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

/// Makes a new file readable for those who could read the old one, and for nobody else.
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
        // The rights of the old file's group must not go to another group.
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

/// Explains why the system did not let this process use a path: who owns it, or the folder above that
/// is in the way, and what to do. Empty if this process may read and write the path and its folder.
pub(crate) fn why_denied(path: &Path) -> String {
    for place in path.ancestors() {
        let place = match place.as_os_str().is_empty() {
            true => Path::new("."),
            false => place,
        };
        match why_not_writable(place) {
            Some(why) if why.is_empty() && place == path => {}
            Some(why) => return why,
            // It does not exist, or its folder hides it.
            None => {}
        }
    }
    String::new()
}

/// Returns why this process may not read and write a file, or change the contents of a folder: empty if
/// it may, `None` if nothing can be seen there.
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

/// Whether this process may read an existing file. Opening it would show that too, but closing it again
/// would drop the locks that this process holds on it.
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

/// Whether this process may write an existing file; the error says why not.
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

/// Returns the owner of the file, if that keeps this process from moving it out of its folder. A sticky
/// folder, such as `/tmp`, lets only root and the owners of the file and of the folder do that.
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

/// Whether this process may read and write a file, or list a folder and change its contents; the error
/// says why not.
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
