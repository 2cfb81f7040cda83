//! What is left, compared.

use super::{Model, number};
use botstore::limits::Budget;
use botstore::usage::Chat;
use chrono::{DateTime, Utc};

impl Model {
    pub(in crate::limits) fn check_budgets(
        &self,
        now: DateTime<Utc>,
        user: i64,
        chat: Option<&Chat>,
        model: Option<&str>,
        budgets: &[Budget],
    ) {
        let limits = self.limits_of(user, chat, model);
        assert_eq!(limits.len(), budgets.len(), "{limits:?} {budgets:?}");
        for budget in budgets {
            assert!(limits.contains(&&budget.limit), "{budget:?}");
            let (spent, reserved) = (
                self.spent(&budget.limit, user, now),
                self.reserved(&budget.limit, user, now),
            );
            assert_eq!(
                (number(budget.spent), number(budget.reserved)),
                (spent, reserved),
                "{budget:?} at {now}"
            );
            assert_eq!(
                number(budget.left),
                (number(budget.limit.max) - spent - reserved).max(0)
            );
            self.check_end(budget.limit.per, budget.resets_at, now);
        }
    }
}
