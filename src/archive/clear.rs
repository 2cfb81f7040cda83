//! Refuses an unencrypted backup among encrypted ones: most likely a recipient was forgotten.

use super::folder::list;
use super::settings::Backups;
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// What happens when an unencrypted backup would go into a folder where the newest backup of the same
/// store is encrypted. Most likely a recipient was forgotten, and the folder may be on somebody else's
/// disk. Set by [`Backups::clear_among_encrypted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClearAmongEncrypted {
    /// The backup fails with [`NeedsRecipient`](ErrorKind::NeedsRecipient). The one exception is the
    /// backup that an opening store makes before an upgrade, because a setting must not keep a bot
    /// down. That backup goes into the folder `NAME.before-upgrade` beside the database, and the store
    /// reports it with [`StoreEvent::ClearCopyBeside`](crate::StoreEvent::ClearCopyBeside). The
    /// database beside it is unencrypted too, so the copy reveals nothing more.
    #[default]
    Refuse,
    /// The backup is made. For a store whose backups are to be unencrypted from now on.
    Allow,
}

/// Refuses an unencrypted backup of the store with this id if the newest one is encrypted. This guards
/// against a mistake, not against an attacker: anybody who can write into the folder could empty it.
pub(super) fn refuse(settings: &Backups, folder: &Path, store: Option<&str>) -> Result<()> {
    let may = settings.clear_among_encrypted == ClearAmongEncrypted::Allow;
    if may || !settings.recipients.is_empty() {
        return Ok(());
    }
    // A file without an id may belong to any store: migrating a file back removes its id.
    let of_this = |id: Option<&str>| id.is_none() || store.is_none() || id == store;
    let newest = list(folder)?
        .backups
        .into_iter()
        .rfind(|backup| of_this(backup.manifest.store_id.as_deref()));
    match newest {
        Some(newest) if newest.manifest.is_encrypted() => Err(Error::new(
            ErrorKind::NeedsRecipient,
            format!(
                "the newest backup in {} is encrypted, and this one would be in the clear",
                folder.display()
            ),
        )),
        _ => Ok(()),
    }
}
