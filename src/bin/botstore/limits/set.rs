//! `limits set` and `limits remove`.

use super::words::{Of, PerPeriod, scope};
use crate::answer::{Answer, Outcome};
use crate::changing::with_store;
use crate::file::config;
use crate::text::Facts;
use botstore::limits::{RemoveLimit, Scope, SetLimit};
use botstore::{Error, UserId};
use clap::Args;
use serde_json::json;
use std::path::Path;

/// Sets a limit, which replaces that of the same scope, measure and period
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Set {
    #[command(flatten)]
    which: Which,
    /// The most that may be spent, such as 2.50 dollars or 100 requests; 0 for nothing at all
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    max: String,
    /// From how much on the bot is warned
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    soft: Option<String>,
}

/// Removes a limit
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Remove {
    #[command(flatten)]
    which: Which,
}

/// Which limit: there is at most one of a scope, a measure and a period.
#[derive(Args)]
struct Which {
    /// Whose spending: everyone, each-user, user:ID, chat:PLATFORM/ID or model:NAME
    #[arg(long, value_parser = scope)]
    scope: Scope,
    /// What it measures
    #[arg(long, value_enum, value_name = "MEASURE")]
    of: Of,
    /// The period, which begins anew by the clock of the bot's time zone
    #[arg(long, value_enum, value_name = "PERIOD")]
    per: PerPeriod,
    /// The user who does it, for the audit log
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    by: Option<i64>,
}

impl Set {
    pub(super) fn run(&self, file: &Path) -> Outcome {
        let Which { scope, of, per, by } = &self.which;
        let amount = |field, text: &str| {
            let amount = of.amount(text);
            amount.map_err(|why| Error::invalid(field, why))
        };
        let mut set = SetLimit::new(scope.clone(), per.per(), amount("max", &self.max)?);
        if let Some(soft) = &self.soft {
            set = set.soft(amount("soft", soft)?);
        }
        if let Some(by) = by {
            set = set.by(UserId::new(*by));
        }
        let limit = set.limit.clone();
        let before = with_store(config(file), async |store| store.write(set).await)?;
        let mut facts = Facts::default();
        facts.add("set", &limit);
        if let Some(soft) = limit.soft {
            facts.add("warns from", soft);
        }
        if let Some(before) = &before {
            facts.add("replaces", before);
        }
        let json = json!({ "limit": limit, "before": before });
        Ok(Answer::fine(facts.into_text(), json))
    }
}

impl Remove {
    pub(super) fn run(&self, file: &Path) -> Outcome {
        let Which { scope, of, per, by } = &self.which;
        let (per, measure) = (per.per(), of.measure());
        let mut remove = RemoveLimit::new(scope.clone(), per, measure);
        if let Some(by) = by {
            remove = remove.by(UserId::new(*by));
        }
        let removed = with_store(config(file), async |store| store.write(remove).await)?;
        let Some(removed) = removed else {
            let what = format!("limit of {measure} for {scope}, per {per}");
            return Err(Error::not_found("limit", format_args!("{what}")).into());
        };
        let mut facts = Facts::default();
        facts.add("removed", &removed);
        Ok(Answer::fine(
            facts.into_text(),
            json!({ "removed": removed }),
        ))
    }
}
