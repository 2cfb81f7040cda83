//! The link to the page: a token of the admin's. A program that is killed cannot revoke its link, so
//! the next one does.

use botstore::audit::LogEvent;
use botstore::tokens::{IssueToken, IssuedToken, RevokeToken};
use botstore::{ErrorKind, Mutation, Result, WriteTx};
use serde_json::json;
use std::time::Duration;

/// Under what the audit log has the links that were issued, so that they are told from other tokens
/// of the admin's, which stay good.
const EVENT: &str = "dashboard_link";

/// Issues a link, and revokes those of before: one program at a time has the file open, so they lead
/// nowhere any more.
pub(crate) struct NewLink {
    pub(crate) user_id: i64,
    pub(crate) expires_in: Duration,
}

impl Mutation for NewLink {
    type Output = IssuedToken;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<IssuedToken> {
        let earlier = tx.all(
            "SELECT DISTINCT t.token_id, t.user_id FROM audit_log AS a
             JOIN user_tokens AS t ON t.user_id = a.user_id AND t.token_id =
                 CASE WHEN json_valid(a.event_data) THEN json_extract(a.event_data, '$.token_id') END
             WHERE a.event_type = ?1 AND t.is_active = 1",
            [EVENT],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?;
        for (token_id, user_id) in earlier {
            match tx.apply(&RevokeToken::new(user_id, token_id)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let (user_id, expires_in) = (self.user_id, Some(self.expires_in));
        let issued = tx.apply(&{
            let mut new = IssueToken::new(user_id);
            new.expires_in = expires_in;
            new
        })?;
        tx.apply(
            &LogEvent::new(user_id, EVENT.to_owned())
                .event_data(json!({ "token_id": issued.token_id })),
        )?;
        Ok(issued)
    }
}
