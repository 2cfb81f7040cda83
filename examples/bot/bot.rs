//! The actor: what it is told, and what it does about it.

use crate::model::{Thought, model};
use crate::operations::{BeginAnew, Welcome};
use crate::spending::Permission;
use crate::text::{local, name_of, plural, shorten};
use actix::prelude::*;
use botstore::interactions::{FindInteraction, Receipt, SaveInteraction};
use botstore::messages::GetMessage;
use botstore::page::PageRequest;
use botstore::sessions::{Session, UserSessions};
use botstore::updates::{Claim, ClaimUpdate, FinishUpdate, ReleaseUpdate};
use botstore::users::EnsureUser;
use botstore::{Error, ErrorKind, Result, Store, Write};
use std::time::Instant;

const HELP: &str = "\
Say something and I answer. I also know:
/sessions       your conversations
/history        what was said in this one
/stats          what you have said and what it cost
/usage          which models you have used, and how much
/budget         what you may still spend, and until when
/admin          the same of everybody, for those who are allowed
/new [project]  begin another conversation
/remind 10m tea remind you, after seconds (s), minutes (m) or hours (h)
/reminders      what I shall remind you of; /forget and its number takes it back
/again          have your last line delivered again, as messengers do
/quit           say goodbye";

/// As long as a message may be in most messengers.
const MAX_CHARS: usize = 4_000;

/// The bot. It clones in no time, so that every message gets a bot of its own to wait with.
#[derive(Clone)]
pub(crate) struct Bot {
    pub(crate) user_id: i64,
    /// All that a conversation needs of the store. A test puts an actor of its own behind it.
    pub(crate) saver: Recipient<Write<SaveInteraction>>,
    /// For everything else.
    pub(crate) store: Store,
}

impl Actor for Bot {
    type Context = Context<Self>;
}

/// "Somebody is here."
#[derive(Message)]
#[rtype(result = "Result<String>")]
pub(crate) struct Greet(pub(crate) EnsureUser);

impl Handler<Greet> for Bot {
    type Result = ResponseFuture<Result<String>>;

    fn handle(&mut self, Greet(user): Greet, _ctx: &mut Self::Context) -> Self::Result {
        let bot = self.clone();
        Box::pin(async move { bot.greet(user).await })
    }
}

/// "The user has said this." The messenger's id of it is the same when it is delivered again.
#[derive(Clone, Message)]
#[rtype(result = "Result<String>")]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) update_id: String,
}

impl Handler<Said> for Bot {
    type Result = ResponseFuture<Result<String>>;

    fn handle(&mut self, said: Said, _ctx: &mut Self::Context) -> Self::Result {
        let bot = self.clone();
        Box::pin(async move { bot.hear(said).await })
    }
}

/// What the bot says to an update.
enum Reply {
    /// It has done what was asked for.
    Done(String),
    /// It may not now, and may later.
    Refused(String),
}

impl Reply {
    fn into_text(self) -> String {
        match self {
            Self::Done(text) | Self::Refused(text) => text,
        }
    }
}

impl Bot {
    async fn greet(&self, user: EnsureUser) -> Result<String> {
        let user = self.store.write(Welcome(user)).await?;
        let name = name_of(&user);
        let Some(session) = self.current_session().await? else {
            let mut greeting = format!("Hello, {name}. Say something, or /help.");
            if user.is_allowed && user.message_count == 0 {
                greeting += "\nYou are the first one here, so you are allowed to use /admin.";
            }
            return Ok(greeting);
        };
        let mut greeting = format!(
            "Welcome back, {name}. We were talking about {}\n({}, the last on {}):",
            shorten(&session.project_path, 30),
            plural(session.message_count, "message"),
            local(session.last_used)
        );
        let last = self.store.read({
            let mut new = self.history_of(&session);
            new.limit = 1;
            new
        });
        if let Some(last) = last.await?.and_then(|h| h.messages.into_iter().next()) {
            let answer = last.response.as_deref().unwrap_or("(nothing)");
            greeting += &format!("\n  you said: {}", shorten(&last.prompt, 60));
            greeting += &format!("\n  I said:   {}", shorten(answer, 60));
        }
        Ok(greeting)
    }

    async fn hear(&self, said: Said) -> Result<String> {
        let (command, rest) = match said.text.split_once(char::is_whitespace) {
            Some((command, rest)) => (command, rest.trim()),
            None => (said.text.as_str(), ""),
        };
        match command {
            "/help" => Ok(HELP.to_owned()),
            "/sessions" => self.sessions().await,
            "/history" => self.history().await,
            "/stats" => self.stats().await,
            "/budget" => self.budget().await,
            "/usage" => self.usage().await,
            "/admin" => self.admin().await,
            "/reminders" => self.reminders().await,
            // What only looks may be done twice. The rest may not.
            _ => self.once(&said, command, rest).await,
        }
    }

    /// Does what an update asks for once, however often it is delivered. A bot that is killed in between does it
    /// again, but for the model's answer, which has a key. What must never happen twice applies `FinishUpdate`
    /// in its own transaction.
    async fn once(&self, said: &Said, command: &str, rest: &str) -> Result<String> {
        let claim = ClaimUpdate::new("terminal", &said.update_id);
        match self.store.write(claim).await? {
            Claim::First { ticket } => {
                let answer = self.act(said, command, rest).await;
                // Should this fail, the claim's lease runs out by itself.
                let _ = match answer {
                    Ok(Reply::Done(_)) => self.store.write(FinishUpdate::new(ticket)).await,
                    // Delivered again, it is tried again.
                    _ => self.store.write(ReleaseUpdate::new(ticket)).await,
                };
                answer.map(Reply::into_text)
            }
            Claim::Held { .. } => Ok("I am at it.".to_owned()),
            _ => {
                let before = self.answered_before(&said.update_id).await?;
                Ok(before.unwrap_or_else(|| "I have done that already.".to_owned()))
            }
        }
    }

    async fn act(&self, said: &Said, command: &str, rest: &str) -> Result<Reply> {
        let done = match command {
            "/remind" => self.remind(rest).await,
            "/forget" => self.forget(rest).await,
            "/new" => self.begin(rest).await.map(|session| {
                format!(
                    "A new conversation about {}.",
                    shorten(&session.project_path, 40)
                )
            }),
            _ if command.starts_with('/') => Ok(format!(
                "I do not know {}. Try /help.",
                shorten(command, 20)
            )),
            _ => return self.converse(said).await,
        };
        done.map(Reply::Done)
    }

    async fn converse(&self, said: &Said) -> Result<Reply> {
        // A bot that was killed after it had saved the answer, and before it finished the update.
        if let Some(answer) = self.answered_before(&said.update_id).await? {
            return Ok(Reply::Done(answer));
        }
        let chars = said.text.chars().count();
        if chars > MAX_CHARS {
            return Ok(Reply::Done(format!(
                "That is {chars} characters; I take {MAX_CHARS} at once."
            )));
        }
        // The last conversation may have expired since the last line.
        let session = match self.current_session().await? {
            Some(session) => session,
            None => self.begin("").await?,
        };
        // Before the model is asked, so that users who write at the same moment do not overspend together.
        let (reservation, warning) = match self.reserve(said).await? {
            Permission::Granted {
                reservation,
                warning,
            } => (reservation, warning),
            Permission::Refused(why) => return Ok(Reply::Refused(why)),
        };
        let began = Instant::now();
        let Thought {
            response,
            usage,
            cost,
            tools,
        } = model(&said.text);
        let used: String = tools
            .iter()
            .map(|tool| format!(", used {}", tool.tool_name))
            .collect();
        let receipt = self
            .save(
                SaveInteraction::new(self.user_id, session.session_id, said.text.as_str())
                    .response(response.clone())
                    .usage(usage.chat(self.chat()))
                    // If the bot dies before this, what is reserved holds for ten minutes, and the answer is paid
                    // by nobody's budget.
                    .reservation(reservation)
                    .duration_ms(began.elapsed().as_millis() as u64)
                    .turns(1)
                    .tools(tools)
                    .idempotency_key(said.update_id.as_str()),
            )
            .await?;
        let warning = warning.map(|warning| format!("; {warning}"));
        Ok(Reply::Done(format!(
            "{response}\n[message {}, {cost:.4}{used}{}]",
            receipt.message_id,
            warning.unwrap_or_default()
        )))
    }

    /// What this update was answered with, if anything: the model is not asked, and paid, a second time.
    async fn answered_before(&self, update_id: &str) -> Result<Option<String>> {
        let find = FindInteraction::new(self.user_id, update_id);
        let Some(receipt) = self.store.read(find).await? else {
            return Ok(None);
        };
        let message = GetMessage::new(self.user_id, receipt.message_id);
        let answer = self.store.read(message).await?.and_then(|it| it.response);
        let answer = answer.unwrap_or_else(|| "(nothing)".to_owned());
        Ok(Some(format!(
            "{answer}\n[message {}, said again]",
            receipt.message_id
        )))
    }

    /// Saves the exchange; when that fails for a reason that may pass, once more. The idempotency
    /// key sees to it that it is never there twice.
    async fn save(&self, exchange: SaveInteraction) -> Result<Receipt> {
        let send = |exchange| async { self.saver.send(Write(exchange)).await? };
        match send(exchange.clone()).await {
            Err(error) if error.is_transient() => send(exchange).await,
            saved => saved,
        }
    }

    pub(crate) async fn current_session(&self) -> Result<Option<Session>> {
        let active = self
            .store
            .read(UserSessions::new(self.user_id).page(PageRequest::first(1)));
        Ok(active.await?.items.into_iter().next())
    }

    async fn begin(&self, project: &str) -> Result<Session> {
        let project = if project.is_empty() {
            "this and that"
        } else {
            project
        };
        let (user_id, project) = (self.user_id, project.to_owned());
        self.store.write(BeginAnew { user_id, project }).await
    }
}

/// The answer, or an apology: whatever goes wrong, the bot goes on.
pub(crate) fn answer_of(sent: Result<Result<String>, MailboxError>) -> String {
    match sent {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => apology(&error),
        Err(_) => "Sorry, I am not here any more. Please start me again.".to_owned(),
    }
}

/// What went wrong, in a sentence that the user can act on.
fn apology(error: &Error) -> String {
    let what_to_do = match error.kind() {
        ErrorKind::DiskFull => "The disk is full: make room, then say it again.",
        ErrorKind::Busy => "Another program holds my file: wait a moment, then say it again.",
        ErrorKind::Overloaded | ErrorKind::Deadline => "I am busy: say it again in a moment.",
        ErrorKind::ReadOnly | ErrorKind::Io => {
            "My file cannot be used: check the disk and the file's permissions, then say it again."
        }
        ErrorKind::Corrupt => "My file is damaged: /quit, then restore a backup.",
        ErrorKind::Closed => "I am about to stop: say it again when I am back.",
        _ => "Try it in other words; if that does not help, show this to who runs me.",
    };
    format!("Sorry, that did not work, and nothing was changed. {what_to_do}\n[{error}]")
}
