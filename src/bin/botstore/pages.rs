//! Lists that have more than one page.

use botstore::page::{PageRequest, Paged};
use botstore::{ReadTx, Result};

/// All items of a list.
pub(crate) fn all<Q: Paged>(tx: &ReadTx<'_>, mut list: Q) -> Result<Vec<Q::Item>> {
    let mut items = Vec::new();
    *list.page_mut() = PageRequest::first(1_000);
    loop {
        let page = tx.query(&list)?;
        items.extend(page.items);
        let Some(next) = page.next else {
            return Ok(items);
        };
        *list.page_mut() = list.page_mut().after(next);
    }
}
