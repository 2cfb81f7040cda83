//! Where whole days begin in a span of time that begins in the middle of one.
//!
//! What happened in the whole days is in the rollups. What happened before them, on the span's first day, has to be
//! read from the messages.

use super::facts::CURRENT;
use super::zone::SPELLING;
use crate::domain::columns::{integer, text};
use crate::error::Result;
use crate::operation::ReadTx;
use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// Offsets this long before a moment and after it decide about the day that follows it: no clock is set by more than
/// a day, and no zone is further from UTC.
const NEARBY: TimeDelta = TimeDelta::days(4);

/// The days of a span that are whole.
pub(in crate::domain) struct WholeDays {
    /// The first of them.
    pub(in crate::domain) first: NaiveDate,
    /// When it begins. Every later moment belongs to it or to a later day, and no earlier one does.
    pub(in crate::domain) begins: DateTime<Utc>,
    /// The earliest day of the moments between the span's beginning and that.
    pub(in crate::domain) before: NaiveDate,
}

/// From one time on, and until another, the bot's clock is so far ahead of UTC.
struct Offset {
    from: NaiveDateTime,
    until: NaiveDateTime,
    ahead: TimeDelta,
}

/// An offset as the file has it. Another program may have written a number of seconds that no interval has.
fn ahead(seconds: i64) -> TimeDelta {
    TimeDelta::try_seconds(seconds).unwrap_or_default()
}

/// The whole days of the span that begins at `since`; `None` at the calendar's ends.
pub(in crate::domain) fn whole_days(
    tx: &ReadTx<'_>,
    since: DateTime<Utc>,
) -> Result<Option<WholeDays>> {
    let since = since.naive_utc();
    let bounds = (
        since.checked_sub_signed(NEARBY),
        since.checked_add_signed(NEARBY),
    );
    let (Some(from), Some(until)) = bounds else {
        return Ok(None);
    };
    Ok(first_after(since, &offsets(tx, from, until)?))
}

/// The offsets that the file has, so that days are divided here as they are where they are counted.
fn offsets(tx: &ReadTx<'_>, from: NaiveDateTime, until: NaiveDateTime) -> Result<Vec<Offset>> {
    let before = format!(
        "SELECT offset_seconds FROM botstore_zone WHERE generation = {CURRENT} AND since <= ?1
         ORDER BY since DESC LIMIT 1"
    );
    let spelled = |time: NaiveDateTime| time.format(SPELLING).to_string();
    let seconds = tx.maybe(&before, [spelled(from)], |row| integer(row, 0))?;
    let mut found = vec![Offset {
        from,
        until,
        ahead: ahead(seconds.unwrap_or(0)),
    }];
    let within = format!(
        "SELECT since, offset_seconds FROM botstore_zone
         WHERE generation = {CURRENT} AND since > ?1 AND since < ?2 ORDER BY since LIMIT 100"
    );
    let changes = tx.all(&within, (spelled(from), spelled(until)), |row| {
        Ok((text(row, 0)?, integer(row, 1)?))
    })?;
    for (at, seconds) in changes {
        let Ok(from) = NaiveDateTime::parse_from_str(&at, SPELLING) else {
            continue;
        };
        // Of another program's spelling, the order as texts need not be that of the times.
        match found.last_mut() {
            Some(last) if last.from <= from && from <= until => last.until = from,
            _ => continue,
        }
        found.push(Offset {
            from,
            until,
            ahead: ahead(seconds),
        });
    }
    Ok(found)
}

/// The first day of which every moment is at `since` or later, and which is not interrupted: a clock that is set back
/// a minute after midnight shows the day before once more.
fn first_after(since: NaiveDateTime, offsets: &[Offset]) -> Option<WholeDays> {
    let now = offsets
        .iter()
        .rfind(|offset| offset.from <= since)
        .or(offsets.first())?;
    let today = since.checked_add_signed(now.ahead)?.date();
    let days = (0..=2).filter_map(|days| today.checked_add_days(Days::new(days)));
    let mut days = days.filter_map(|day| {
        let (begins, earlier_end) = bounds(day, offsets)?;
        (begins >= since && earlier_end <= begins).then_some(WholeDays {
            first: day,
            begins: begins.and_utc(),
            before: earliest(since, begins, offsets).unwrap_or(today),
        })
    });
    days.next()
}

/// The earliest day that the clock shows in this time.
fn earliest(from: NaiveDateTime, until: NaiveDateTime, offsets: &[Offset]) -> Option<NaiveDate> {
    let nearby = offsets.iter();
    let within = nearby.filter(|offset| offset.from < until && from < offset.until);
    let shown = within.filter_map(|offset| {
        let begins = offset.from.max(from);
        begins.checked_add_signed(offset.ahead)
    });
    Some(shown.min()?.date())
}

/// When the first moment of a day or of a later one is, and when the last moment of an earlier one has ended.
fn bounds(day: NaiveDate, offsets: &[Offset]) -> Option<(NaiveDateTime, NaiveDateTime)> {
    let midnight = day.and_time(NaiveTime::MIN);
    let shown = |offset: &Offset| {
        let at = midnight.checked_sub_signed(offset.ahead)?;
        Some(at.clamp(offset.from, offset.until))
    };
    let begins = offsets.iter().filter_map(|offset| {
        let at = shown(offset)?;
        (at < offset.until).then_some(at)
    });
    let ends = offsets.iter().filter_map(|offset| {
        let at = shown(offset)?;
        (at > offset.from).then_some(at)
    });
    Some((begins.min()?, ends.max()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Zone, parse};

    /// As the file has them, of a span.
    fn nearby(all: &[(NaiveDateTime, i64)], since: NaiveDateTime) -> Vec<Offset> {
        let (from, until) = (since - NEARBY, since + NEARBY);
        let ends = all.iter().skip(1).map(|(end, _)| *end);
        let ends = ends.chain([NaiveDateTime::MAX]);
        let offsets = all.iter().zip(ends).map(|(&(start, seconds), end)| Offset {
            from: start.max(from),
            until: end.min(until),
            ahead: ahead(seconds),
        });
        offsets
            .filter(|offset| offset.from < offset.until)
            .collect()
    }

    /// Around each kind of change of a clock, from every few minutes on: each moment from there on is either before the
    /// whole days begin, and on an earlier day, or after, and on none.
    #[test]
    fn whole_days_begin_at_one_moment_however_the_clock_is_set() {
        for (name, around) in [
            ("UTC", "2026-03-10 12:00"),
            ("+14:00", "2026-03-10 12:00"),
            ("-12:00", "2026-03-10 12:00"),
            ("Europe/Berlin", "2026-03-29 01:00"),
            ("Europe/Berlin", "2026-10-25 01:00"),
            ("America/Sao_Paulo", "2018-11-04 03:00"),
            ("America/Sao_Paulo", "2018-02-18 02:00"),
            ("Asia/Beirut", "2026-03-28 22:00"),
            ("America/Nuuk", "2024-03-31 01:00"),
            ("America/St_Johns", "2010-11-07 02:31"),
            ("America/St_Johns", "2010-03-14 03:31"),
            ("Australia/Lord_Howe", "2026-04-04 15:00"),
            ("Pacific/Apia", "2011-12-30 10:00"),
            ("Pacific/Kwajalein", "1993-08-21 12:00"),
            ("Africa/Monrovia", "1972-01-07 00:44"),
        ] {
            let zone = Zone::named(name).unwrap();
            let around = parse(around).unwrap().naive_utc();
            let seconds = |offset: chrono::FixedOffset| i64::from(offset.local_minus_utc());
            let all = zone.offsets().into_iter();
            let mut offsets: Vec<_> = all
                .map(|since| (since.at.naive_utc(), seconds(since.offset)))
                .collect();
            offsets[0].0 = NaiveDateTime::MIN;
            let shown = |at: NaiveDateTime| {
                (at + TimeDelta::seconds(seconds(zone.offset(at.and_utc())))).date()
            };
            for minutes in (-1_600..1_600).step_by(7) {
                let since = around + TimeDelta::minutes(minutes) + TimeDelta::seconds(17);
                let whole = first_after(since, &nearby(&offsets, since)).unwrap();
                let begins = whole.begins.naive_utc();
                let hours = (begins - since).num_hours();
                assert!((0..=49).contains(&hours), "{name} {since}: {begins}");
                let second = TimeDelta::seconds(1);
                let probes = (0..3_000)
                    .step_by(11)
                    .map(|after| since + TimeDelta::minutes(after));
                for at in probes
                    .chain([begins, begins - second])
                    .filter(|at| *at >= since)
                {
                    let is_in = shown(at) >= whole.first;
                    assert_eq!(is_in, at >= begins, "{name} {since}: {at}, {begins}");
                    assert!(shown(at) >= whole.before, "{name} {since}: {at}");
                }
            }
        }
    }
}
