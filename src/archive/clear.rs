//! A backup in the clear among encrypted ones: somebody has forgotten the recipient.

use super::folder::list;
use super::settings::Backups;
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

/// What is done when a backup in the clear would go into a folder where the newest one of the same
/// store is encrypted: most likely a recipient was forgotten, and the folder may be somebody else's
/// disk. Goes into [`Backups::clear_among_encrypted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClearAmongEncrypted {
    /// It is not made: [`NeedsRecipient`](ErrorKind::NeedsRecipient). Only the backup before an
    /// upgrade of a store that is opening is made all the same, beside the database in the folder
    /// `NAME.before-upgrade`, and told of by
    /// [`StoreEvent::ClearCopyBeside`](crate::StoreEvent::ClearCopyBeside): a bot must not stay down
    /// for a setting, and beside the database, which is in the clear, its copy tells nobody more.
    #[default]
    Refuse,
    /// It is made: for a store whose backups are to be in the clear from now on.
    Allow,
}

/// Refuses a backup in the clear of the store with this id where the newest is encrypted. This guards
/// against forgetting, not against who writes into the folder, who could as well empty it.
pub(super) fn refuse(settings: &Backups, folder: &Path, store: Option<&str>) -> Result<()> {
    let may = settings.clear_among_encrypted == ClearAmongEncrypted::Allow;
    if may || !settings.recipients.is_empty() {
        return Ok(());
    }
    // A file without an id may be any store's: one that was migrated back has lost it.
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
