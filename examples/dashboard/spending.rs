//! What the page shows of spending: by model, by user, and limits with what is left of them.

use botstore::limits::{Amount, Budget, Limit, Limits, Measure, NamedBudgets, Scope, UserBudget};
use botstore::usage::{ModelTotals, ModelUsage, UsageByUser, UserModelUsage, UserTotals};
use botstore::{ReadTx, Result, UserId};
use chrono::{DateTime, Utc};
use serde::Serialize;

/// How many rows a list has.
const MOST: usize = 10;

/// What requests to models used in so many days, and what limits there are.
#[derive(Serialize)]
pub(crate) struct Spending {
    models: Vec<ModelTotals>,
    users: Vec<UserTotals>,
    limits: Vec<Left>,
}

impl Spending {
    /// Of all users, today and so many days before.
    pub(crate) fn of_all(tx: &ReadTx<'_>, days_before: u32) -> Result<Self> {
        let mut spending = Self {
            models: tx.query(&ModelUsage::new(days_before))?,
            users: tx.query(&UsageByUser::new(days_before))?,
            limits: Vec::new(),
        };
        spending.models.truncate(MOST);
        spending.users.truncate(MOST);
        let limits = tx.query(&Limits::new())?.items;
        let each = limits.into_iter().filter(|it| it.scope == Scope::EachUser);
        spending
            .limits
            .extend(each.map(|limit| Left::of_each(&limit)));
        let named = tx.query(&NamedBudgets::new())?.items;
        spending.limits.extend(named.iter().map(Left::of));
        Ok(spending)
    }

    /// Of one user; the limits are those that a request of this user would meet.
    pub(crate) fn of_user(tx: &ReadTx<'_>, user_id: UserId, days_before: u32) -> Result<Self> {
        let mut models = tx.query(&UserModelUsage::new(user_id, days_before))?;
        models.truncate(MOST);
        let budgets = tx.query(&UserBudget::new(user_id))?;
        Ok(Self {
            models,
            users: Vec::new(),
            limits: budgets.iter().map(Left::of).collect(),
        })
    }
}

/// A limit, in numbers that a bar can show: dollars, requests or tokens.
#[derive(Serialize)]
struct Left {
    name: String,
    measure: Measure,
    max: f64,
    /// What is left; nothing for a limit of each user, of which every user has something else left.
    budget: Option<Numbers>,
    resets_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
struct Numbers {
    spent: f64,
    reserved: f64,
    left: f64,
}

impl Left {
    fn of_each(limit: &Limit) -> Self {
        Self {
            name: limit.to_string(),
            measure: limit.max.measure(),
            max: number(limit.max),
            budget: None,
            resets_at: None,
        }
    }

    fn of(budget: &Budget) -> Self {
        Self {
            budget: Some(Numbers {
                spent: number(budget.spent),
                reserved: number(budget.reserved),
                left: number(budget.left),
            }),
            resets_at: budget.resets_at,
            ..Self::of_each(&budget.limit)
        }
    }
}

fn number(amount: Amount) -> f64 {
    match amount {
        Amount::Cost(cost) => cost.dollars(),
        Amount::Requests(number) | Amount::Tokens(number) => number as f64,
        // A measure of a later version: its text is in the name.
        _ => 0.0,
    }
}
