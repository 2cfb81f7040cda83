//! What the bot's answers cost: each is reserved before the model is asked, and its user may look at what is left.

use crate::bot::{Bot, Said};
use crate::model::{self, MODEL};
use crate::text::{local, plural};
use botstore::limits::{Amount, Budget, Decision, ReservationId, Reserve, UserBudget};
use botstore::usage::{Chat, UserModelUsage};
use botstore::{Result, Usd};
use chrono::{DateTime, Utc};

/// Whether the model may be asked.
pub(crate) enum Permission {
    /// Once.
    Granted {
        reservation: ReservationId,
        /// What the user should know when little is left.
        warning: Option<String>,
    },
    /// A limit does not allow it; the sentence is for the user.
    Refused(String),
}

impl Bot {
    /// Where the conversation is: a messenger would say which of its chats.
    pub(crate) fn chat(&self) -> Chat {
        Chat::new("terminal", self.user_id.to_string())
    }

    /// Reserves what the answer may cost.
    pub(crate) async fn reserve(&self, said: &Said) -> Result<Permission> {
        let estimate = model::estimate(&said.text);
        let reserve = Reserve::new(self.user_id, estimate.cost)
            .tokens(estimate.tokens)
            .chat(self.chat())
            .model(MODEL);
        Ok(match self.store.write(reserve).await? {
            Decision::Granted {
                reservation,
                remaining,
                resets_at,
                near_limit,
                ..
            } => {
                let left = remaining.filter(|_| near_limit);
                let warning = left.map(|left| {
                    let when = until(resets_at);
                    format!("only {} left{when}", shown(left))
                });
                Permission::Granted {
                    reservation,
                    warning,
                }
            }
            Decision::Denied {
                which, resets_at, ..
            } => {
                let again = match resets_at {
                    Some(at) => format!("Ask me again after {}.", local(at)),
                    None => "Ask who runs me for more.".to_owned(),
                };
                let why = "I may not answer that: it would be more than the limit allows";
                Permission::Refused(format!("{why} ({which}). {again}"))
            }
            _ => Permission::Refused("I may not answer that.".to_owned()),
        })
    }

    pub(crate) async fn budget(&self) -> Result<String> {
        let budget = UserBudget::new(self.user_id);
        let budget = budget.chat(self.chat()).model(MODEL);
        let budgets = self.store.read(budget).await?;
        if budgets.is_empty() {
            return Ok("There is no limit on what you spend.".to_owned());
        }
        let lines = budgets.iter().map(|budget| {
            let Budget {
                limit,
                spent,
                reserved,
                left,
                resets_at,
                ..
            } = budget;
            let mut line = format!("\n{limit}: {} left, {} spent", shown(*left), shown(*spent));
            if *reserved != nothing(*reserved) {
                line += &format!(", {} reserved", shown(*reserved));
            }
            line + &until(*resets_at)
        });
        Ok(format!("What you may spend:{}", lines.collect::<String>()))
    }

    pub(crate) async fn usage(&self) -> Result<String> {
        const DAYS: u32 = 30;
        let models = UserModelUsage::new(self.user_id, DAYS);
        let models = self.store.read(models).await?;
        if models.is_empty() {
            return Ok(format!("You have used nothing in the last {DAYS} days."));
        }
        let lines = models.iter().map(|of| {
            let name = of.model.as_deref().unwrap_or("other requests");
            let totals = of.totals;
            format!(
                "\n{name}: {}, {} tokens read and {} written, {:.4}",
                plural(totals.requests, "request"),
                totals.input_tokens,
                totals.output_tokens,
                totals.cost
            )
        });
        let lines: String = lines.collect();
        Ok(format!("What you used in the last {DAYS} days:{lines}"))
    }
}

/// None of what an amount measures.
fn nothing(amount: Amount) -> Amount {
    match amount {
        Amount::Requests(_) => Amount::Requests(0),
        Amount::Tokens(_) => Amount::Tokens(0),
        _ => Amount::Cost(Usd::ZERO),
    }
}

/// Dollars with four digits: an answer costs less than a cent.
fn shown(amount: Amount) -> String {
    match amount {
        Amount::Cost(cost) => format!("{cost:.4}"),
        other => other.to_string(),
    }
}

fn until(resets_at: Option<DateTime<Utc>>) -> String {
    resets_at.map_or(String::new(), |at| format!(", until {}", local(at)))
}
