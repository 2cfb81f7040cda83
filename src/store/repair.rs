//! Repairs odd values a few at a time, while other writes go on.

use super::Store;
use crate::domain::integrity::{RepairedValues, ValueRepair};
use crate::domain::{FindOddValues, SetRight};
use crate::error::{Error, ErrorKind, Result};

impl Store {
    /// Repairs what [`CheckFile`](crate::integrity::CheckFile) names as odd: replaces a value that its column
    /// should not hold by the value that is shown for it. Leaves a value alone if its row is found by it (its
    /// owner, its session, its day), because only the owner of the file can know what it should be. Also leaves
    /// alone the other values of a row without an owner, and values that have changed meanwhile.
    ///
    /// Calls `keep` with a few values at a time, before they are changed. Save them there: the repair does not
    /// keep the old values. An error of `keep` ends the repair; the values of earlier calls are repaired by then.
    ///
    /// Take a backup first. To correct the statistics afterwards, call [`repair_rollups`](Self::repair_rollups).
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

/// Whether the error is about a row, such as a trigger's refusal, and not about the file.
fn refuses_a_row(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Sql | ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::NotFound
    )
}
