//! Days and times at the ends of the calendar.

use crate::support::{is_told_why, populated};
use crate::wait::HANG;
use botstore::analytics::{Activity, Bucket, Fill, Span, UserActivity};
use botstore::audit::{EventFilter, RecentAuditLog};
use botstore::page::PageRequest;
use botstore::time::{format, parse};
use botstore::{Query, Store};
use chrono::{DateTime, Days, NaiveDate, Utc};
use std::time::Duration;

/// An answer in time. What goes on for ever keeps its store from closing, and so this test from
/// ending, so it ends the program.
async fn answered<Q: Query>(store: &Store, query: Q, context: &str) {
    match tokio::time::timeout(HANG, store.read(query)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => assert!(is_told_why(&error), "{context}: {error}"),
        Err(_) => {
            eprintln!("{context}: no answer within {HANG:?}");
            std::process::exit(1);
        }
    }
}

fn spans() -> Vec<(NaiveDate, NaiveDate)> {
    let date = |text: &str| text.parse().expect("a date");
    let week = Days::new(7);
    vec![
        (NaiveDate::MIN, NaiveDate::MIN),
        (NaiveDate::MIN, NaiveDate::MIN + week),
        (NaiveDate::MIN, NaiveDate::MAX),
        (date("-0001-12-28"), date("0000-01-03")),
        (date("9999-12-28"), date("+10000-01-03")),
        (NaiveDate::MAX - week, NaiveDate::MAX),
        (NaiveDate::MAX, NaiveDate::MAX),
        (NaiveDate::MAX, NaiveDate::MIN),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_span_at_the_end_of_the_calendar_has_an_end() {
    let store = populated().await;
    for (from, to) in spans() {
        for by in [Bucket::Day, Bucket::Week, Bucket::Month] {
            // Without the empty days, so that one that has no end takes no memory.
            let (span, gaps, user_id) = (Span::Between { from, to }, Fill::Omit, 1);
            let context = format!("{from} to {to} by {by:?}");
            answered(&store, Activity::new(span).by(by).gaps(gaps), &context).await;
            answered(
                &store,
                UserActivity::new(user_id, span).by(by).gaps(gaps),
                &context,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_filter_takes_any_time() {
    let store = populated().await;
    let ends = [
        DateTime::<Utc>::MIN_UTC,
        DateTime::UNIX_EPOCH,
        DateTime::<Utc>::MAX_UTC,
    ];
    for now in ends {
        for within in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let mut filter = EventFilter::last(within, now);
            for until in ends {
                filter.until = Some(until);
                let page = PageRequest::default();
                let recent = RecentAuditLog::new().filter(filter.clone()).page(page);
                store.read(recent).await.expect("a page");
            }
        }
    }
}

#[test]
fn a_time_of_any_year_is_cut_to_what_the_file_keeps() {
    for year in ["0000", "1600", "2026", "2262", "3016", "9999"] {
        let text = format!("{year}-12-31 23:59:59.9099999");
        let time = parse(&text).expect("a time");
        assert_eq!(parse(&format(time)), Some(time), "{text}");
    }
}
