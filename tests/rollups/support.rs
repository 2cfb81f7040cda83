//! A full count by the seed's SQL, to compare every answer with.

use crate::wait::until;
use botstore::Store;
use botstore::analytics::{SystemStatistics, SystemStats, UserStatistics, UserStats};
use botstore::costs::TotalCosts;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::{Connection, OpenFlags, Params, Row};
use botstore::tools::ToolStats;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;

pub(crate) fn open_plain(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> botstore::rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement.query_map(params, read).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

#[track_caller]
fn near(what: &str, a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9, "{what}: {a} and {b}");
}

#[track_caller]
fn near_or_none(what: &str, a: Option<f64>, b: Option<f64>) {
    assert_eq!(a.is_some(), b.is_some(), "{what}: {a:?} and {b:?}");
    near(what, a.unwrap_or(0.0), b.unwrap_or(0.0));
}

/// Returns once no row is to be counted by another zone than that by which answers are.
pub(crate) async fn counted_anew(store: &Store) {
    until("all rows are counted", async || {
        store.health().await.unwrap().next_time_zone.is_none()
    })
    .await;
}

/// The name of a zone whose clock is always this many minutes ahead of UTC.
pub(crate) fn zone_of(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The day of a message: by the seed's own SQL where the day is that of UTC. With a modifier, `date`
/// rounds to the next millisecond, so it gets whole seconds.
fn day(offset: i64) -> String {
    match offset {
        0 => "date(timestamp)".to_owned(),
        _ => format!("date(substr(timestamp, 1, 19), '{offset:+} minutes')"),
    }
}

fn since(now: DateTime<Utc>, offset: i64, days: i64) -> String {
    let local = now + TimeDelta::minutes(offset);
    (local - TimeDelta::days(days)).date_naive().to_string()
}

/// Every answer against a full scan, `offset` minutes from UTC; and the store's own comparison.
pub(crate) async fn compare(store: &Store, offset: i64) {
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let conn = open_plain(store.path());
    let now = store.now();
    let stats = store.read(SystemStats::new()).await.unwrap();
    compare_system(&conn, &stats, now, offset);
    compare_tools(&conn, store).await;
    compare_costs(&conn, store, now, offset).await;
    for user_id in all(&conn, "SELECT user_id FROM users", [], |row| {
        row.get::<_, i64>(0)
    }) {
        let stats = store.read(UserStats::new(user_id)).await.unwrap();
        compare_user(&conn, user_id, &stats, now, offset);
    }
}

fn compare_system(conn: &Connection, stats: &SystemStatistics, now: DateTime<Utc>, offset: i64) {
    let day = day(offset);
    let (users, sessions, messages, cost, duration) = conn
        .query_row(
            "SELECT count(DISTINCT user_id), count(DISTINCT session_id), count(*),
                    coalesce(sum(cost), 0.0), avg(duration_ms) FROM messages",
            [],
            |row| {
                let counts: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let (cost, duration): (f64, Option<f64>) = (row.get(3)?, row.get(4)?);
                Ok((counts.0, counts.1, counts.2, cost, duration))
            },
        )
        .unwrap();
    assert_eq!(stats.total_users as i64, users, "users");
    assert_eq!(stats.total_sessions as i64, sessions, "sessions");
    assert_eq!(stats.total_messages as i64, messages, "messages");
    near("cost", stats.total_cost.dollars(), cost);
    near_or_none("duration", stats.avg_duration_ms, duration);
    let sql = "SELECT count(DISTINCT user_id) FROM messages WHERE timestamp > ?1";
    let week_ago = botstore::time::format(now - TimeDelta::days(7));
    let active: i64 = conn.query_row(sql, [week_ago], |row| row.get(0)).unwrap();
    assert_eq!(stats.active_users_7d as i64, active, "active users");
    let sql = format!(
        "SELECT {day} AS d, count(DISTINCT user_id), count(*), coalesce(sum(cost), 0.0) FROM messages
         WHERE {day} >= ?1 GROUP BY d ORDER BY d DESC"
    );
    let days: Vec<(String, i64, i64, f64)> = all(conn, &sql, [since(now, offset, 30)], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    assert_eq!(stats.daily_activity.len(), days.len(), "days");
    for (is, due) in stats.daily_activity.iter().zip(days) {
        assert_eq!(is.date.to_string(), due.0);
        assert_eq!(is.active_users as i64, due.1, "{}", due.0);
        assert_eq!(is.total_messages as i64, due.2, "{}", due.0);
        near(&due.0, is.total_cost.dollars(), due.3);
    }
    let sql = "SELECT u.user_id, coalesce(sum(m.cost), 0.0), count(*) FROM messages m
               JOIN users u ON u.user_id = m.user_id GROUP BY u.user_id";
    let mut top: Vec<(i64, f64, i64)> = all(conn, sql, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    top.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    assert_eq!(stats.top_users.len(), top.len().min(10));
    for (is, due) in stats.top_users.iter().zip(&top) {
        // Two sums that differ by less than the tolerance may stand in either order.
        near("top user", is.total_cost.dollars(), due.1);
        let own = top.iter().find(|user| user.0 == is.user_id.get()).unwrap();
        near("top user's own", is.total_cost.dollars(), own.1);
        assert_eq!(is.total_messages as i64, own.2);
    }
}

async fn compare_tools(conn: &Connection, store: &Store) {
    let sql = "SELECT tool_name, count(*) AS uses, count(DISTINCT session_id),
                      count(*) FILTER (WHERE success = 1), count(*) FILTER (WHERE success = 0)
               FROM tool_usage GROUP BY tool_name ORDER BY uses DESC, tool_name LIMIT 100";
    let due: Vec<(String, i64, i64, i64, i64)> = all(conn, sql, [], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    });
    let tools = store.read(ToolStats::new(100)).await.unwrap();
    let is: Vec<_> = tools
        .into_iter()
        .map(|tool| {
            (
                tool.tool_name,
                tool.usage_count as i64,
                tool.sessions_used as i64,
                tool.success_count as i64,
                tool.error_count as i64,
            )
        })
        .collect();
    assert_eq!(is, due);
}

async fn compare_costs(conn: &Connection, store: &Store, now: DateTime<Utc>, _offset: i64) {
    // These days are those of `cost_tracking`, which are UTC.
    let sql =
        "SELECT date, coalesce(sum(daily_cost), 0.0), sum(request_count), count(DISTINCT user_id)
               FROM cost_tracking WHERE date >= ?1 GROUP BY date ORDER BY date DESC";
    let due: Vec<(String, f64, i64, i64)> = all(conn, sql, [since(now, 0, 30)], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let costs = store.read(TotalCosts::new(30)).await.unwrap();
    assert_eq!(costs.len(), due.len());
    for (is, due) in costs.iter().zip(due) {
        assert_eq!(is.date.to_string(), due.0);
        near(&due.0, is.total_cost.dollars(), due.1);
        assert_eq!(is.total_requests as i64, due.2);
        assert_eq!(is.active_users as i64, due.3);
    }
}

fn compare_user(
    conn: &Connection,
    user_id: i64,
    stats: &UserStatistics,
    now: DateTime<Utc>,
    offset: i64,
) {
    let day = day(offset);
    let (sessions, messages, cost, avg_cost, duration) = conn
        .query_row(
            "SELECT count(DISTINCT session_id), count(*), coalesce(sum(cost), 0.0),
                    avg(coalesce(cost, 0.0)), avg(duration_ms) FROM messages WHERE user_id = ?1",
            [user_id],
            |row| {
                let counts: (i64, i64) = (row.get(0)?, row.get(1)?);
                let cost: f64 = row.get(2)?;
                let avg: (Option<f64>, Option<f64>) = (row.get(3)?, row.get(4)?);
                Ok((counts.0, counts.1, cost, avg.0, avg.1))
            },
        )
        .unwrap();
    assert_eq!(stats.total_sessions as i64, sessions, "{user_id}: sessions");
    assert_eq!(stats.total_messages as i64, messages, "{user_id}: messages");
    near("cost", stats.total_cost.dollars(), cost);
    near_or_none(
        "average cost",
        stats.avg_cost.map(|cost| cost.dollars()),
        avg_cost,
    );
    near_or_none("duration", stats.avg_duration_ms, duration);
    let sql = format!(
        "SELECT {day} AS d, count(*), coalesce(sum(cost), 0.0), count(DISTINCT session_id) FROM messages
         WHERE user_id = ?1 AND {day} >= ?2 GROUP BY d ORDER BY d DESC"
    );
    let since = since(now, offset, 30);
    let days: Vec<(String, i64, f64, i64)> = all(conn, &sql, (user_id, since), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    assert_eq!(stats.daily_usage.len(), days.len(), "{user_id}");
    for (is, due) in stats.daily_usage.iter().zip(days) {
        assert_eq!(is.date.to_string(), due.0);
        assert_eq!(is.messages as i64, due.1, "{user_id}");
        near("day", is.cost.dollars(), due.2);
        assert_eq!(is.sessions as i64, due.3, "{user_id} on {}", due.0);
    }
    let sql = "SELECT t.tool_name, count(*) AS uses FROM tool_usage t
               JOIN sessions s ON s.session_id = t.session_id WHERE s.user_id = ?1
               GROUP BY t.tool_name ORDER BY uses DESC, t.tool_name LIMIT 10";
    let due: Vec<(String, i64)> = all(conn, sql, [user_id], |row| Ok((row.get(0)?, row.get(1)?)));
    let is: Vec<_> = stats
        .top_tools
        .iter()
        .map(|tool| (tool.tool_name.clone(), tool.usage_count as i64))
        .collect();
    assert_eq!(is, due, "{user_id}");
}
