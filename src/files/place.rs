//! Whether a file can be moved out of its place, found out without moving it.

use super::folder_of;
use super::owner;
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// Whether something is mounted exactly there, as a container's runtime mounts a single file. Nothing can
/// be renamed away from such a place, or into it; the file that is mounted can be written.
///
/// False where the system does not say (Linux before 5.8): then a rename fails.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    attributes(path).is_some_and(|has| has.mount_point)
}

/// Refuses a file that cannot be moved aside and replaced: neither by a rename nor, where it is a mount
/// point, by writing into it.
///
/// # Errors
/// [`ReadOnly`](ErrorKind::ReadOnly), with what is in the way and what to do.
pub(crate) fn refuse_unmovable(path: &Path) -> Result<()> {
    let refuse = |why: String| {
        let why = format!("{} cannot be replaced: {why}", path.display());
        Err(Error::new(ErrorKind::ReadOnly, why))
    };
    let folder = folder_of(path);
    for place in [path, folder] {
        if attributes(place).is_some_and(|has| has.immutable) {
            let place = place.display();
            return refuse(format!(
                "{place} is immutable or append-only (`chattr -i -a {place}` changes that)"
            ));
        }
    }
    if let Some(whose) = owner::why_not_writable(folder).filter(|why| !why.is_empty()) {
        return refuse(whose);
    }
    if is_mount_point(path) {
        return match owner::may_write(path) {
            Ok(()) => Ok(()),
            Err(e) => refuse(format!(
                "it is a mount point, so it has to be written into, and that is not allowed: {e}"
            )),
        };
    }
    match owner::sticky_owner(path) {
        Some(uid) => refuse(format!(
            "it belongs to uid {uid}, and its folder is sticky, where only a file's owner may move it: \
             run this as that account"
        )),
        None => Ok(()),
    }
}

/// What is special about a file.
#[derive(Default)]
struct Attributes {
    mount_point: bool,
    immutable: bool,
}

#[cfg(target_os = "linux")]
fn attributes(path: &Path) -> Option<Attributes> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()).ok()?;
    let has = found.stx_attributes & found.stx_attributes_mask;
    Some(Attributes {
        mount_point: has.contains(StatxAttributes::MOUNT_ROOT),
        immutable: has.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
    })
}

#[cfg(not(target_os = "linux"))]
fn attributes(_: &Path) -> Option<Attributes> {
    Some(Attributes::default())
}
