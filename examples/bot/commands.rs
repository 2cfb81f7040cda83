//! What the commands show: questions to the store, and their answers as text.

use crate::bot::Bot;
use crate::text::{local, name_of, plural, shorten};
use botstore::Result;
use botstore::analytics::{AdminDashboard, UserStats};
use botstore::audit::LogEvent;
use botstore::page::PageRequest;
use botstore::sessions::{Session, SessionFilter, SessionHistory, UserSessions};
use botstore::users::{AllowedUsers, IsAllowed};

impl Bot {
    pub(crate) fn history_of(&self, session: &Session) -> SessionHistory {
        SessionHistory::new(self.user_id, session.session_id.clone()).limit(10)
    }

    pub(crate) async fn sessions(&self) -> Result<String> {
        let page = self.store.read(
            UserSessions::new(self.user_id)
                .which(SessionFilter::All)
                .page(PageRequest::first(10)),
        );
        let page = page.await?;
        if page.items.is_empty() {
            return Ok("We have not talked yet.".to_owned());
        }
        let mut text = format!("{:<24} {:>8} {:>9}  last used", "about", "messages", "cost");
        for session in &page.items {
            text += &format!(
                "\n{:<24} {:>8} {:>9}  {}{}",
                shorten(&session.project_path, 24),
                session.message_count,
                format!("{:.4}", session.total_cost),
                local(session.last_used),
                if session.is_active { "" } else { ", ended" }
            );
        }
        if page.next.is_some() {
            text += "\nand older ones";
        }
        Ok(text)
    }

    pub(crate) async fn history(&self) -> Result<String> {
        let nothing = || Ok("Nothing was said in this conversation yet.".to_owned());
        let Some(session) = self.current_session().await? else {
            return nothing();
        };
        let history = self.store.read(self.history_of(&session)).await?;
        let Some(history) = history.filter(|h| !h.messages.is_empty()) else {
            return nothing();
        };
        let mut text = format!("About {}:", shorten(&session.project_path, 40));
        // Lists come newest first; a conversation reads the other way.
        for message in history.messages.iter().rev() {
            let answer = message.response.as_deref().unwrap_or("(nothing)");
            text += &format!(
                "\n{}  you: {}",
                local(message.timestamp),
                shorten(&message.prompt, 60)
            );
            text += &format!("\n{:16}  bot: {}", "", shorten(answer, 60));
        }
        Ok(text)
    }

    pub(crate) async fn stats(&self) -> Result<String> {
        let user_id = self.user_id;
        let stats = self.store.read(UserStats::new(user_id)).await?;
        let mut text = format!(
            "{} in {}, {:.4} in all.",
            plural(stats.total_messages, "message"),
            plural(stats.total_sessions, "conversation"),
            stats.total_cost
        );
        for tool in &stats.top_tools {
            text += &format!(
                "\n{:<12} used {}",
                tool.tool_name,
                plural(tool.usage_count, "time")
            );
        }
        Ok(text)
    }

    pub(crate) async fn admin(&self) -> Result<String> {
        let user_id = self.user_id;
        if !self.store.read(IsAllowed::new(user_id)).await? {
            return self.refuse_admin().await;
        }
        let all = self
            .store
            .read(AdminDashboard::new().users(PageRequest::first(10)))
            .await?;
        let health = self.store.health().await?;
        let mut text = format!("{:<16} {:>8} {:>9}  last seen", "user", "messages", "cost");
        for user in &all.users.items {
            text += &format!(
                "\n{:<16} {:>8} {:>9}  {}{}",
                name_of(user),
                user.message_count,
                format!("{:.4}", user.total_cost),
                local(user.last_active),
                if user.is_allowed { ", allowed" } else { "" }
            );
        }
        for tool in &all.tool_stats {
            text += &format!(
                "\n{:<16} used {}",
                tool.tool_name,
                plural(tool.usage_count, "time")
            );
        }
        text += &format!(
            "\n{} in the last 24 hours; the file has {} KiB and its log {} KiB.",
            plural(all.recent_audit.len() as u64, "event"),
            health.file_bytes / 1024,
            health.wal_bytes / 1024
        );
        Ok(text)
    }

    async fn refuse_admin(&self) -> Result<String> {
        let refused = LogEvent::new(self.user_id, "admin_refused").failed();
        self.store.write(refused).await?;
        let allowed = self.store.read(AllowedUsers::default()).await?;
        let names: Vec<_> = allowed.items.iter().map(name_of).collect();
        Ok(format!(
            "/admin is not for you. The first user of a file is allowed; here that is {}.",
            names.join(", ")
        ))
    }
}
