//! Spans of days.

use super::activity::Fill;
use crate::domain::UserId;
use crate::domain::columns::day;
use crate::domain::rollups::{self, now};
use crate::error::{Error, Result};
use crate::operation::ReadTx;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

/// The longest span, in days: ten years.
pub const MAX_DAYS: u32 = 3_660;

/// A span of days in [`Config::time_zone`](crate::Config::time_zone), which is UTC by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Span {
    /// Today and this many days before.
    LastDays(u32),
    /// From the last so many days on which there was a message, from 1 to [`MAX_DAYS`], to today: of any user, or of
    /// the user whom the question is about. If there were fewer, from the first one.
    LastActiveDays(u32),
    /// From one day to another, both included.
    Between {
        /// The first day.
        from: NaiveDate,
        /// The last day.
        to: NaiveDate,
    },
}

/// Whose messages make a day an active one.
pub(super) enum Whose {
    Everybody,
    Of(UserId),
}

impl Span {
    /// The span's first and last day.
    pub(super) fn days(self, tx: &ReadTx<'_>, whose: Whose) -> Result<(NaiveDate, NaiveDate)> {
        let (from, to) = match self {
            Self::LastDays(days) => {
                let today = rollups::today(tx)?;
                let first = today.checked_sub_days(Days::new(days.into()));
                (first.unwrap_or(NaiveDate::MIN), today)
            }
            Self::LastActiveDays(days) => {
                if !(1..=MAX_DAYS).contains(&days) {
                    return Err(Error::invalid(
                        "span",
                        "must be from 1 to 3,660 active days",
                    ));
                }
                let today = rollups::today(tx)?;
                (
                    first_active(tx, days, today, whose)?.unwrap_or(today),
                    today,
                )
            }
            Self::Between { from, to } => (from, to),
        };
        if from > to {
            return Err(Error::invalid("span", "must not end before it begins"));
        }
        Ok((from, to))
    }

    /// Refuses a span of too many days. The last active days are few, however far back they go, if no others are shown.
    pub(super) fn fits(self, gaps: Fill, (from, to): (NaiveDate, NaiveDate)) -> Result<()> {
        let shows_few = matches!(self, Span::LastActiveDays(_)) && gaps == Fill::Omit;
        if !shows_few && (to - from).num_days() >= i64::from(MAX_DAYS) {
            return Err(Error::invalid("span", "must be at most ten years"));
        }
        Ok(())
    }
}

/// The first of the last `days` days up to today that have a message; `None` if none has.
fn first_active(
    tx: &ReadTx<'_>,
    days: u32,
    today: NaiveDate,
    whose: Whose,
) -> Result<Option<NaiveDate>> {
    let today = today.to_string();
    let found = match whose {
        Whose::Everybody => tx.all(&now::active_days(), (days, today), |row| day(row, 0)),
        Whose::Of(user_id) => {
            let sql = now::active_days_of_user();
            tx.all(&sql, (days, today, user_id), |row| day(row, 0))
        }
    };
    Ok(found?.into_iter().flatten().last())
}
