//! `dashboard`: what a bot shows its admin.

use crate::answer::{Answer, Outcome};
use crate::file::{config, named};
use crate::text::{self, Column, Facts};
use botstore::analytics::{AdminDashboard, DailyActivity, SystemOverview};
use botstore::costs::TotalCosts;
use botstore::{ReadTx, Result};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Shows what a bot shows its admin
///
/// Reads everything from one snapshot, even while a bot has the file open. Sums are computed from
/// messages, so they include what no counter has recorded. Activity is by the day of the bot
/// (Config::day_offset; UTC days if it has set none), costs are by UTC days.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Dashboard {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// How many days activity and costs go back
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    days: u32,
}

/// How many rows the lists have as text; --json has all of them.
const SHOWN: usize = 10;

impl Dashboard {
    pub(crate) fn run(&self) -> Outcome {
        let days = self.days;
        let (shown, offset) = botstore::snapshot(config(&self.file), |tx| {
            let mut shown = tx.query(&AdminDashboard::new())?;
            shown.stats.daily_activity = tx.query(&DailyActivity::new(days))?;
            shown.total_costs = tx.query(&TotalCosts::new(days))?;
            Ok((shown, day_offset(tx)?))
        })?;
        let text = totals(&shown, offset) + &days_of(&shown) + &lists(&shown) + &events(&shown);
        let mut json = json!(shown);
        json["day_offset_minutes"] = offset.into();
        Ok(Answer::fine(text, json))
    }
}

/// Returns how far the bot's day is ahead of UTC, in minutes.
fn day_offset(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = "SELECT CAST(offset_seconds AS INTEGER) / 60 FROM botstore_zone ORDER BY since DESC LIMIT 1";
    let offset = tx.maybe(sql, [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
    Ok(offset.flatten().unwrap_or(0))
}

fn totals(shown: &SystemOverview, offset: i64) -> String {
    let stats = &shown.stats;
    let mut facts = Facts::default();
    facts.add("messages", stats.total_messages);
    facts.add("cost", format_args!("${}", text::dollars(stats.total_cost)));
    let week = stats.active_users_7d;
    let users = format!("{}, {week} in the last 7 days", stats.total_users);
    facts.add("users", users);
    facts.add("sessions", stats.total_sessions);
    if let Some(ms) = stats.avg_duration_ms {
        facts.add("answers took", format_args!("{:.1} s on average", ms / 1e3));
    }
    if offset != 0 {
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        let (hours, minutes) = (minutes / 60, minutes % 60);
        facts.add(
            "days",
            format_args!(
                "of activity are those of UTC{sign}{hours:02}:{minutes:02}, of costs UTC days"
            ),
        );
    }
    facts.into_text()
}

fn days_of(shown: &SystemOverview) -> String {
    let activity = shown.stats.daily_activity.iter().map(|day| {
        [
            day.date.to_string(),
            day.active_users.to_string(),
            day.total_messages.to_string(),
            text::dollars(day.total_cost),
        ]
    });
    let costs = shown.total_costs.iter().map(|day| {
        [
            day.date.to_string(),
            day.active_users.to_string(),
            day.total_requests.to_string(),
            text::dollars(day.total_cost),
        ]
    });
    let columns = |counted| {
        [
            Column::Text("day"),
            Column::Number("users"),
            Column::Number(counted),
            Column::Number("cost $"),
        ]
    };
    text::table(columns("messages"), &activity.collect::<Vec<_>>())
        + &text::table(columns("requests"), &costs.collect::<Vec<_>>())
}

fn lists(shown: &SystemOverview) -> String {
    let name = |name: &Option<String>| name.as_deref().unwrap_or("-").to_owned();
    let top = shown.stats.top_users.iter().map(|user| {
        [
            user.user_id.to_string(),
            name(&user.username),
            user.total_messages.to_string(),
            text::dollars(user.total_cost),
        ]
    });
    let top_columns = [
        Column::Number("top user"),
        Column::Text("name"),
        Column::Number("messages"),
        Column::Number("cost $"),
    ];
    let tools = shown.tool_stats.iter().take(SHOWN).map(|tool| {
        [
            tool.tool_name.clone(),
            tool.usage_count.to_string(),
            tool.sessions_used.to_string(),
            tool.error_count.to_string(),
        ]
    });
    let tool_columns = [
        Column::Text("tool"),
        Column::Number("uses"),
        Column::Number("sessions"),
        Column::Number("errors"),
    ];
    let users = shown.users.items.iter().take(SHOWN).map(|user| {
        let allowed = match user.is_allowed {
            true => "yes",
            false => "no",
        };
        [
            user.user_id.to_string(),
            name(&user.username),
            allowed.to_owned(),
            text::time(user.last_active),
        ]
    });
    let user_columns = [
        Column::Number("newest user"),
        Column::Text("name"),
        Column::Text("allowed"),
        Column::Text("last active"),
    ];
    text::table(top_columns, &top.collect::<Vec<_>>())
        + &text::table(tool_columns, &tools.collect::<Vec<_>>())
        + &text::table(user_columns, &users.collect::<Vec<_>>())
}

fn events(shown: &SystemOverview) -> String {
    let events = shown.recent_audit.iter().take(SHOWN).map(|event| {
        let worked = match event.success {
            true => "yes",
            false => "no",
        };
        [
            text::time(event.timestamp),
            event.user_id.to_string(),
            event.event_type.clone(),
            worked.to_owned(),
        ]
    });
    let columns = [
        Column::Text("event of the last day"),
        Column::Number("user"),
        Column::Text("what"),
        Column::Text("worked"),
    ];
    text::table(columns, &events.collect::<Vec<_>>())
}
