//! Finds out, without moving a file, whether it can be moved out of its place.

use super::{folder_of, is_mount_point, owner};
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// Refuses a file that can be moved aside and replaced neither by a rename nor, if it is a mount point,
/// by writing into it.
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
        if is_immutable(place) {
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
                "it is a mount point, so it can only be overwritten in place, and that is not allowed: \
                 {e}"
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

/// Whether the file is immutable, even for root, or append-only.
#[cfg(target_os = "linux")]
fn is_immutable(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let kept = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .is_ok_and(|found| (found.stx_attributes & found.stx_attributes_mask).intersects(kept))
}

#[cfg(not(target_os = "linux"))]
fn is_immutable(_: &Path) -> bool {
    false
}
