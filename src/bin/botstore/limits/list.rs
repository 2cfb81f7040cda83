//! `limits`: what limits there are, and what is left of them.

use super::words::{chat, spelled};
use crate::answer::{Answer, Outcome};
use crate::file::config;
use crate::pages::all;
use crate::text::{self, Column, Facts};
use botstore::analytics::TimeZone;
use botstore::limits::{Budget, Limit, Limits, NamedBudgets, Scope, UserBudget};
use botstore::usage::Chat;
use botstore::{Error, ReadTx, Result, UserId};
use clap::Args;
use serde_json::json;
use std::path::Path;

#[derive(Args)]
pub(super) struct List {
    /// Shows what is left for a request of this user
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    user: Option<i64>,
    /// With --user: also of the limits of this chat
    #[arg(long, value_name = "PLATFORM/ID", value_parser = chat, requires = "user")]
    chat: Option<Chat>,
    /// With --user: also of the limits of this model
    #[arg(long, value_name = "NAME", requires = "user")]
    model: Option<String>,
}

/// A limit; with what is left, if that does not depend on the user.
struct Line {
    limit: Limit,
    budget: Option<Budget>,
}

/// The error of options for the list beside `set` or `remove`.
pub(super) fn with_a_change() -> Error {
    let why = "is for the list: `set` and `remove` name a user with --scope user:ID";
    Error::invalid("user", why)
}

impl List {
    pub(super) fn is_asked_for(&self) -> bool {
        self.user.is_some()
    }

    pub(super) fn run(&self, file: &Path) -> Outcome {
        let (zone, lines) = botstore::snapshot(config(file), |tx| {
            Ok((tx.query(&TimeZone::new())?, self.lines(tx)?))
        })?;
        let mut facts = Facts::default();
        facts.add("limits", lines.len());
        facts.add("periods", format_args!("of {zone}"));
        if let Some(user) = self.user {
            facts.add("user", user);
        }
        let of_each = lines.iter().any(|line| line.budget.is_none());
        if of_each {
            facts.add("each user", "--user ID shows what is left for one");
        }
        let cells: Vec<_> = lines.iter().map(Line::cells).collect();
        let columns = [
            Column::Text("limit"),
            Column::Number("warns from"),
            Column::Number("spent"),
            Column::Number("reserved"),
            Column::Number("left"),
            Column::Text("begins anew"),
        ];
        let json = json!({
            "time_zone": zone,
            "user_id": self.user,
            "limits": lines.iter().map(Line::json).collect::<Vec<_>>(),
        });
        Ok(Answer::fine(
            facts.into_text() + &text::table(columns, &cells),
            json,
        ))
    }

    fn lines(&self, tx: &ReadTx<'_>) -> Result<Vec<Line>> {
        if let Some(user_id) = self.user {
            let mut of_user = UserBudget::new(UserId::new(user_id));
            of_user.chat.clone_from(&self.chat);
            of_user.model.clone_from(&self.model);
            return Ok(tx.query(&of_user)?.into_iter().map(Line::of).collect());
        }
        let limits = all(tx, Limits::new())?;
        let each = limits
            .into_iter()
            .filter(|limit| limit.scope == Scope::EachUser);
        let each = each.map(|limit| Line {
            limit,
            budget: None,
        });
        let named = all(tx, NamedBudgets::new())?;
        Ok(each.chain(named.into_iter().map(Line::of)).collect())
    }
}

impl Line {
    fn of(budget: Budget) -> Self {
        Self {
            limit: budget.limit.clone(),
            budget: Some(budget),
        }
    }

    fn cells(&self) -> [String; 6] {
        let soft = self.limit.soft.map(|soft| soft.to_string());
        let soft = soft.unwrap_or_else(|| "-".to_owned());
        let limit = self.limit.to_string();
        let Some(budget) = &self.budget else {
            let [spent, reserved, left, resets] = [(); 4].map(|()| "-".to_owned());
            return [limit, soft, spent, reserved, left, resets];
        };
        let resets = budget.resets_at.map(text::time);
        [
            limit,
            soft,
            budget.spent.to_string(),
            budget.reserved.to_string(),
            budget.left.to_string(),
            resets.unwrap_or_else(|| "never".to_owned()),
        ]
    }

    fn json(&self) -> serde_json::Value {
        let budget = self.budget.as_ref();
        json!({
            "scope": spelled(&self.limit.scope),
            "limit": self.limit,
            "spent": budget.map(|budget| budget.spent),
            "reserved": budget.map(|budget| budget.reserved),
            "left": budget.map(|budget| budget.left),
            "resets_at": budget.and_then(|budget| budget.resets_at),
        })
    }
}
