//! Setting odd values right, a piece at a time, beside everybody who saves.

use super::Store;
use crate::domain::integrity::{RepairedValues, ValueRepair};
use crate::domain::{FindOddValues, SetRight};
use crate::error::{Error, ErrorKind, Result};

impl Store {
    /// Sets right what [`CheckFile`](crate::integrity::CheckFile) names as odd: writes what is shown in the place
    /// of a value that its column should not hold. What a row is found by stays as it is: its owner, its session,
    /// its day; nobody but the owner of the file can know what it should be. So do the other values of a row
    /// that has no owner, and what has changed meanwhile.
    ///
    /// `keep` is given some at a time, each before it is changed, with the value that is then gone: write it down,
    /// or nothing is left of it. With an error of `keep` the repair ends; what it was given before is set right.
    ///
    /// Take a backup first. The statistics are right afterwards when [`repair_rollups`](Self::repair_rollups) has
    /// been asked for.
    ///
    /// # Errors
    /// Those of `keep`, [`read`](Self::read) and [`write`](Self::write).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> botstore::Result<()> {
    /// # let store = botstore::testing::TestStore::open().await?;
    /// let mut gone = Vec::new();
    /// let repaired = store
    ///     .repair_values(|values| {
    ///         gone.extend(values.to_vec());
    ///         Ok(())
    ///     })
    ///     .await?;
    /// assert_eq!(repaired.written, gone.len() as u64);
    /// # Ok(()) }
    /// ```
    pub async fn repair_values(
        &self,
        mut keep: impl FnMut(&[ValueRepair]) -> Result<()>,
    ) -> Result<RepairedValues> {
        let mut repaired = RepairedValues::default();
        let mut next = Some(FindOddValues::default());
        while let Some(find) = next {
            let found = self.read(find).await?;
            next = found.rest;
            let values = found.repair.report();
            if values.is_empty() {
                continue;
            }
            keep(&values)?;
            let written = match self.write(found.repair.clone()).await {
                Ok(written) => written,
                Err(error) if refuses_a_row(&error) => self.one_by_one(found.repair).await?,
                Err(error) => return Err(error),
            };
            repaired.written += written;
            repaired.left += values.len() as u64 - written;
        }
        Ok(repaired)
    }

    async fn one_by_one(&self, values: SetRight) -> Result<u64> {
        let mut written = 0;
        for value in values.one_by_one() {
            match self.write(value).await {
                Ok(one) => written += one,
                Err(error) if refuses_a_row(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// Whether it is about a row, such as the refusal of a trigger, and not about the file.
fn refuses_a_row(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Sql | ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::NotFound
    )
}
