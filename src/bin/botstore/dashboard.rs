//! `dashboard`: what a bot shows its admin.

use crate::answer::{Answer, Outcome};
use crate::file::{config, named};
use crate::text::{self, Column, Facts};
use botstore::analytics::{AdminDashboard, SystemOverview};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Shows what a bot shows its admin
///
/// Reads everything from one snapshot, even while a bot has the file open. Sums are computed from
/// messages, so they include what no counter has recorded. Days are those of the bot's time zone
/// (Config::time_zone), which is named: UTC if it has set none. Costs of UTC days include requests
/// that are no messages.
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
        let dashboard = AdminDashboard::new().days(self.days);
        let shown = botstore::snapshot(config(&self.file), |tx| tx.query(&dashboard))?;
        let text = totals(&shown) + &days_of(&shown) + &lists(&shown) + &events(&shown);
        Ok(Answer::fine(text, json!(shown)))
    }
}

fn totals(shown: &SystemOverview) -> String {
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
    facts.add("days", format_args!("of {}", stats.time_zone));
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
    let (activity, costs): (Vec<_>, Vec<_>) = (activity.collect(), costs.collect());
    let messages = text::table(columns("messages"), &activity);
    // Where the bot's days are not UTC days, costs are those of messages.
    match costs == activity {
        true => messages,
        false => messages + &text::table(columns("requests"), &costs),
    }
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
