//! Saves exchanges.

use super::{Receipt, SaveInteraction, keys};
use crate::domain::audit::{self, NewEvent};
use crate::domain::messages::{self, Attachment, NewMessage};
use crate::domain::tools::{self, ToolCall};
use crate::domain::when::When;
use crate::domain::{MessageId, Usd, limits, metadata, usage, validate};
use crate::error::Result;
use crate::json;
use crate::operation::{Mutation, WriteTx};
use crate::texts::{self, Texts};
use serde::Serialize;
use serde_json::Value;

/// The details in an interaction's audit row. They have no prompt and no answer.
#[derive(Serialize)]
struct AuditData<'a> {
    session_id: &'a str,
    message_id: MessageId,
    cost: Usd,
    duration_ms: Option<u64>,
    num_turns: u32,
    is_error: bool,
    tools_used: Vec<&'a str>,
}

impl Mutation for SaveInteraction {
    type Output = Receipt;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<Receipt> {
        self.tools.iter().try_for_each(ToolCall::check)?;
        self.attachments.iter().try_for_each(Attachment::check)?;
        json::check("metadata", self.metadata.as_ref())?;
        if let Some(key) = &self.idempotency_key {
            validate::not_empty("idempotency_key", key)?;
            if let Some(first) = keys::first(tx, self, key)? {
                if let Some(reservation) = self.reservation {
                    limits::give_back(tx, self.user_id, reservation)?;
                }
                return Ok(first);
            }
        }
        let reserved = self
            .reservation
            .map(|reservation| limits::find_reservation(tx, self.user_id, reservation));
        let reserved = reserved.transpose()?;
        if let Some(message_id) = reserved.as_ref().and_then(limits::Named::settled_by)
            && let Some(first) = keys::same_message(tx, self, message_id)?
        {
            return Ok(first);
        }
        let when = When::of(tx, self.at)?;
        let priced = usage::price(tx, self.usage.as_deref(), self.cost, &when)?;
        let message_id = messages::save(
            tx,
            &NewMessage {
                user_id: self.user_id,
                session_id: &self.session_id,
                prompt: &self.prompt,
                response: self.response.as_deref(),
                cost: priced.cost,
                duration_ms: self.duration_ms,
                turns: self.turns,
                error: self.error.as_deref(),
                creating: self.creating.as_deref(),
                joining: self.joining,
                username: self.username.as_deref(),
                into_ended: self.into_ended,
                when: &when,
            },
        )?;
        tools::save_all(tx, &self.session_id, message_id, &self.tools, &when)?;
        if let Some(usage) = &self.usage {
            usage::save(tx, message_id, self.user_id, usage, priced, &when)?;
        }
        for attachment in &self.attachments {
            attachment.save(tx, message_id)?;
        }
        metadata::save_of_message(tx, message_id, self.metadata.as_ref())?;
        let data = AuditData {
            session_id: &self.session_id,
            message_id,
            cost: priced.cost,
            duration_ms: self.duration_ms,
            num_turns: self.turns,
            is_error: self.error.is_some(),
            tools_used: self.tools.iter().map(|t| t.tool_name.as_str()).collect(),
        };
        audit::save(
            tx,
            &NewEvent {
                user_id: self.user_id,
                event_type: audit::INTERACTION,
                event_data: Some(audit::to_cell(&data)?),
                success: self.error.is_none(),
                ip_address: self.ip_address.as_deref(),
                when: &when,
            },
        )?;
        let mut receipt = Receipt::new(message_id, tx.now());
        if let Some(reserved) = reserved {
            receipt.reservation = Some(reserved.settle(tx, message_id.get())?);
        }
        if let Some(key) = &self.idempotency_key {
            keys::keep(tx, self, key, &receipt)?;
        }
        Ok(receipt)
    }

    fn texts(&self, texts: &mut Texts) {
        texts.name("session_id", self.session_id.as_str());
        texts.text("prompt", self.prompt.as_str());
        texts.text("response", self.response.as_deref());
        texts.text("error", self.error.as_deref());
        texts.name("ip_address", self.ip_address.as_deref());
        texts.name("idempotency_key", self.idempotency_key.as_deref());
        texts.name("creating", self.creating.as_deref());
        texts.name("username", self.username.as_deref());
        for tool in &self.tools {
            tool.texts(texts);
        }
        if let Some(usage) = &self.usage {
            usage.texts(texts);
        }
        for attachment in &self.attachments {
            attachment.texts(texts);
        }
        texts.json("metadata", self.metadata.as_ref());
        // The audit row holds the names of all tools in one text.
        let names = self.tools.iter().map(|tool| tool.tool_name.len()).sum();
        texts.together("tools", names);
    }

    fn take_json(&mut self, taken: &mut Vec<Value>) {
        taken.extend(self.tools.iter_mut().filter_map(|t| t.tool_input.take()));
        taken.extend(self.metadata.take());
    }

    fn size_bytes(&self) -> usize {
        let usage = self.usage.as_deref().map_or(0, size_of_val);
        let lists = usage + size_of_val(&*self.tools) + size_of_val(&*self.attachments);
        size_of_val(self) + lists + texts::weigh(|texts| self.texts(texts))
    }
}
