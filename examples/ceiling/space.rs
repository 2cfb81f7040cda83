//! Memory and opening: S12, S13.

use crate::Args;
pub(crate) fn measure(_args: &Args, _rows: &mut Vec<crate::table::Row>) -> botstore::Result<()> {
    Ok(())
}
