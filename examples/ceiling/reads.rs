//! Point reads: S7, S8, S10, S11.

use crate::Args;
pub(crate) fn measure(_args: &Args, _rows: &mut Vec<crate::table::Row>) -> botstore::Result<()> {
    Ok(())
}
