//! Costs by the days of the file's zone: those of messages, and those of requests that are no messages.

use super::{DAYS, DayActivity, LAST_DAY, UserDay, first_day};
use crate::domain::columns::{count, day, flag, integer, nanos};
use crate::domain::costs::{DailyCost, DayTotal};
use crate::domain::rollups::{now, usage_now};
use crate::domain::{Usd, UserId, page};
use crate::error::Result;
use crate::operation::ReadTx;
use chrono::NaiveDate;
use std::collections::{BTreeMap, HashSet};

/// The days of a user, newest first, of which the messages are known.
pub(super) fn of_user(
    tx: &ReadTx<'_>,
    user_id: UserId,
    messages: &[UserDay],
) -> Result<Vec<DailyCost>> {
    let of_day = |day: &UserDay| (day.date, DailyCost::new(day.date, day.cost, day.messages));
    let mut days: BTreeMap<_, _> = messages.iter().map(of_day).collect();
    let span = (user_id, first_day(tx, DAYS)?, LAST_DAY);
    tx.each_while(&usage_now::others_of_user(), span, |row| {
        if let Some(date) = day(row, 0)? {
            let nothing = DailyCost::new(date, Usd::ZERO, 0);
            let day = days.entry(date).or_insert(nothing);
            day.request_count = day.request_count.saturating_add(count(row, 1)?);
            day.daily_cost += nanos(row, 2)?;
        }
        Ok(true)
    })?;
    Ok(days.into_values().rev().collect())
}

/// The days of all users, newest first, of which the messages are known. Reads one row for each day of each user who
/// has a request that is no message.
pub(super) fn of_all(
    tx: &ReadTx<'_>,
    days_before: u32,
    messages: &[DayActivity],
) -> Result<Vec<DayTotal>> {
    let of_day = |day: &DayActivity| {
        let (cost, requests) = (day.total_cost, day.total_messages);
        (
            day.date,
            DayTotal::new(day.date, cost, requests, day.active_users),
        )
    };
    let mut days: BTreeMap<_, _> = messages.iter().map(of_day).collect();
    let span = [first_day(tx, days_before)?, LAST_DAY.to_owned()];
    // Of these, the rollups do not know yet that they had a message that day.
    let late = tx.all(&now::late_users(), (&span[0], &span[1]), |row| {
        Ok((day(row, 0)?, integer(row, 1)?))
    })?;
    let late: HashSet<(Option<NaiveDate>, i64)> = late.into_iter().collect();
    tx.each_while(&usage_now::others(), (&span[0], &span[1]), |row| {
        let (date, user_id) = (day(row, 0)?, integer(row, 1)?);
        if let Some(date) = date {
            let nothing = DayTotal::new(date, Usd::ZERO, 0, 0);
            let day = days.entry(date).or_insert(nothing);
            day.total_requests = day.total_requests.saturating_add(count(row, 2)?);
            day.total_cost += nanos(row, 3)?;
            let has_messages = !flag(row, 4)? || late.contains(&(Some(date), user_id));
            day.active_users += u64::from(!has_messages);
        }
        Ok(true)
    })?;
    let newest = days.into_values().rev();
    Ok(newest.take(page::MAX_LIMIT as usize).collect())
}
