//! Activity by day, week and month.

use botstore::ErrorKind;
use botstore::analytics::{Activity, Bucket, Fill, MAX_DAYS, PeriodActivity, Span, UserActivity};
use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::usd;
use botstore::testing::{FixedClock, TestStore};
use botstore::users::EnsureUser;
use chrono::{NaiveDate, TimeZone, Utc};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Messages of users on days, each 0.25 dollars.
async fn bot(messages: &[(&str, i64)]) -> TestStore {
    let clock = FixedClock::at(Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap());
    let store = TestStore::open_with(|config| config.clock(clock.clone()))
        .await
        .unwrap();
    for user_id in 1..4 {
        store.write(EnsureUser::new(user_id, None)).await.unwrap();
        let session = CreateSession::new(user_id, format!("s-{user_id}"), "/srv");
        store.write(session).await.unwrap();
    }
    for (day, user_id) in messages {
        clock.set(date(day).and_hms_opt(23, 30, 0).unwrap().and_utc());
        let saved = SaveInteraction::new(*user_id, format!("s-{user_id}"), "?")
            .cost(usd(0.25))
            .duration_ms(100);
        store.write(saved).await.unwrap();
    }
    store
}

fn brief(periods: &[PeriodActivity]) -> Vec<(String, String, u64, u64)> {
    periods
        .iter()
        .map(|p| {
            (
                p.from.to_string(),
                p.to.to_string(),
                p.active_users,
                p.messages,
            )
        })
        .collect()
}

fn owned(rows: &[(&str, &str, u64, u64)]) -> Vec<(String, String, u64, u64)> {
    rows.iter()
        .map(|r| (r.0.into(), r.1.into(), r.2, r.3))
        .collect()
}

const MESSAGES: [(&str, i64); 7] = [
    ("2026-02-26", 1),
    ("2026-02-27", 1),
    ("2026-02-27", 2),
    ("2026-03-01", 1), // a Sunday
    ("2026-03-02", 3),
    ("2026-03-04", 3),
    ("2026-03-10", 2),
];

#[tokio::test]
async fn weeks_and_months_count_a_user_once() {
    let store = bot(&MESSAGES).await;
    let span = Span::Between {
        from: date("2026-02-27"),
        to: date("2026-03-10"),
    };
    let ask = async |by, gaps| {
        store
            .read(Activity::new(span).by(by).gaps(gaps))
            .await
            .unwrap()
    };
    assert_eq!(
        brief(&ask(Bucket::Week, Fill::Omit).await),
        owned(&[
            ("2026-02-27", "2026-03-01", 2, 3),
            ("2026-03-02", "2026-03-08", 1, 2),
            ("2026-03-09", "2026-03-10", 1, 1),
        ])
    );
    let months = ask(Bucket::Month, Fill::Fill).await;
    assert_eq!(
        brief(&months),
        owned(&[
            ("2026-02-27", "2026-02-28", 2, 2),
            ("2026-03-01", "2026-03-10", 3, 4)
        ])
    );
    assert_eq!(months[1].cost, usd(1.0));
    assert_eq!(months[1].avg_duration_ms, Some(100.0));
    let filled = ask(Bucket::Day, Fill::Fill).await;
    assert_eq!(filled.len(), 12);
    assert_eq!(filled.iter().filter(|day| day.messages == 0).count(), 7);
    assert_eq!(ask(Bucket::Day, Fill::Omit).await.len(), 5);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_user_s_activity_is_the_user_s_own() {
    let store = bot(&MESSAGES).await;
    let ask = UserActivity::new(3, Span::LastDays(8))
        .by(Bucket::Week)
        .gaps(Fill::Fill);
    assert_eq!(
        brief(&store.read(ask).await.unwrap()),
        owned(&[
            ("2026-03-02", "2026-03-08", 1, 2),
            ("2026-03-09", "2026-03-10", 0, 0)
        ])
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn spans_that_make_no_sense_are_refused() {
    let store = bot(&[]).await;
    for span in [
        Span::Between {
            from: date("2026-03-02"),
            to: date("2026-03-01"),
        },
        Span::Between {
            from: date("1026-03-02"),
            to: date("2026-03-01"),
        },
        Span::LastDays(MAX_DAYS),
        Span::LastDays(u32::MAX),
    ] {
        let ask = Activity::new(span).by(Bucket::Day).gaps(Fill::Fill);
        let error = store.read(ask).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{span:?}");
        assert_eq!(error.field(), Some("span"));
    }
    let longest = Activity::new(Span::LastDays(MAX_DAYS - 1))
        .by(Bucket::Month)
        .gaps(Fill::Fill);
    assert_eq!(store.read(longest).await.unwrap().len(), 122);
    store.close().await.unwrap();
}
