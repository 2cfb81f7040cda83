//! `usage`: what requests to models used.

use crate::answer::{Answer, Outcome};
use crate::file::{config, named};
use crate::text::{self, Column, Facts};
use botstore::analytics::TimeZone;
use botstore::usage::{
    DayTotals, ModelTotals, ModelUsage, UsageByDay, UsageByUser, UsageTotals, UserModelUsage,
    UserTotals, UserUsageByDay,
};
use botstore::{Error, ReadTx, Result, UserId};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Shows what requests to models used: tokens and cost
///
/// Reads everything from one snapshot, even while a bot has the file open. Days are those of the bot's
/// time zone (Config::time_zone), which is named. Counts messages that were saved with a usage, and
/// requests that are no messages; `dashboard` has the cost of all messages. Tokens and costs that are
/// not known add nothing; how many requests are without is told.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Usage {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// What has a row
    #[arg(long, value_enum, default_value_t = By::Model)]
    by: By,
    /// How many days before today; 0 for today alone
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..MOST_DAYS))]
    days: u32,
    /// Only requests of this user
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    user: Option<i64>,
}

/// As many days as an answer has, with today.
const MOST_DAYS: i64 = 1_000;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum By {
    /// Each model, what costs most first
    Model,
    /// Each user, who costs most first
    User,
    /// Each day, newest first
    Day,
}

/// What was found, by what it was asked for.
enum Rows {
    Models(Vec<ModelTotals>),
    Users(Vec<UserTotals>),
    Days(Vec<DayTotals>),
}

impl Usage {
    pub(crate) fn run(&self) -> Outcome {
        let user_id = self.user.map(UserId::new);
        if self.by == By::User && user_id.is_some() {
            let why = "is for one user, and --by user lists all: use --by model or --by day";
            return Err(Error::invalid("user", why).into());
        }
        let (zone, days, rows) = botstore::snapshot(config(&self.file), |tx| {
            let days = self.days(tx, user_id)?;
            Ok((tx.query(&TimeZone::new())?, days, self.rows(tx, user_id)?))
        })?;
        // Of the days, whose number is bounded: a list of models or users may be cut.
        let totals: UsageTotals = days.iter().map(|day| day.totals).sum();
        let mut facts = Facts::default();
        let of_days = match self.days {
            0 => "today".to_owned(),
            days => format!("today and {} before", text::count(days.into(), "day")),
        };
        facts.add("days", format_args!("{of_days}, of {zone}"));
        if let Some(user_id) = user_id {
            facts.add("user", user_id);
        }
        facts.add("requests", totals.requests);
        facts.add("cost", format_args!("${}", text::dollars(totals.cost)));
        if totals.unpriced > 0 {
            let requests = text::count(totals.unpriced, "request");
            facts.add(
                "unpriced",
                format_args!("{requests}, whose cost is unknown"),
            );
        }
        if totals.unmeasured > 0 {
            let requests = text::count(totals.unmeasured, "request");
            facts.add(
                "unmeasured",
                format_args!("{requests}, whose tokens are unknown"),
            );
        }
        let json = json!({
            "days": self.days,
            "time_zone": zone,
            "user_id": user_id,
            "totals": totals,
            rows.name(): rows.json(),
        });
        Ok(Answer::fine(facts.into_text() + &rows.table(), json))
    }

    fn rows(&self, tx: &ReadTx<'_>, user_id: Option<UserId>) -> Result<Rows> {
        let days = self.days;
        Ok(match (self.by, user_id) {
            (By::Model, None) => Rows::Models(tx.query(&ModelUsage::new(days))?),
            (By::Model, Some(user)) => Rows::Models(tx.query(&UserModelUsage::new(user, days))?),
            (By::User, _) => Rows::Users(tx.query(&UsageByUser::new(days))?),
            (By::Day, _) => Rows::Days(self.days(tx, user_id)?),
        })
    }

    fn days(&self, tx: &ReadTx<'_>, user_id: Option<UserId>) -> Result<Vec<DayTotals>> {
        match user_id {
            Some(user_id) => tx.query(&UserUsageByDay::new(user_id, self.days)),
            None => tx.query(&UsageByDay::new(self.days)),
        }
    }
}

impl Rows {
    /// What the rows are called in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Models(_) => "by_model",
            Self::Users(_) => "by_user",
            Self::Days(_) => "by_day",
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Models(models) => json!(models),
            Self::Users(users) => json!(users),
            Self::Days(days) => json!(days),
        }
    }

    fn table(&self) -> String {
        let or_none = |text: &Option<String>| text.as_deref().unwrap_or("-").to_owned();
        match self {
            Self::Models(models) => {
                let names = models.iter().map(|of| {
                    let names = [or_none(&of.model), or_none(&of.provider)];
                    with_numbers(names, &of.totals)
                });
                table([Column::Text("model"), Column::Text("provider")], names)
            }
            Self::Users(users) => {
                let names = users.iter().map(|of| {
                    let names = [of.user_id.to_string(), or_none(&of.username)];
                    with_numbers(names, &of.totals)
                });
                table([Column::Number("user"), Column::Text("name")], names)
            }
            Self::Days(days) => {
                let weekday = |of: &DayTotals| of.date.format("%A").to_string();
                let names = days.iter().map(|of| {
                    let names = [of.date.to_string(), weekday(of)];
                    with_numbers(names, &of.totals)
                });
                table([Column::Text("day"), Column::Text("weekday")], names)
            }
        }
    }
}

/// A row: two cells that name it, and its numbers.
fn with_numbers([first, second]: [String; 2], totals: &UsageTotals) -> [String; 8] {
    [
        first,
        second,
        totals.requests.to_string(),
        totals.input_tokens.to_string(),
        totals.cached_input_tokens.to_string(),
        totals.output_tokens.to_string(),
        totals.reasoning_tokens.to_string(),
        text::dollars(totals.cost),
    ]
}

fn table([first, second]: [Column; 2], rows: impl Iterator<Item = [String; 8]>) -> String {
    let columns = [
        first,
        second,
        Column::Number("requests"),
        Column::Number("input"),
        Column::Number("cached"),
        Column::Number("output"),
        Column::Number("reasoning"),
        Column::Number("cost $"),
    ];
    text::table(columns, &rows.collect::<Vec<_>>())
}
