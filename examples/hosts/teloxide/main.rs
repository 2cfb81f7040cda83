//! The bot behind teloxide, whose dialogues are in the store's file: docs/hosts.md. Its token is in `TELOXIDE_TOKEN`.

use botstore::prelude::*;
use botstore_hosts::{
    Ask, answer, config,
    dialogues::{self, Dialogues},
    open,
};
use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use std::{error::Error as StdError, sync::Arc};
use teloxide::{dispatching::dialogue::Storage, prelude::*};

struct Kept(Store);
type Done = Result<(), Box<dyn StdError + Send + Sync>>;

impl<D: Serialize + DeserializeOwned + Send + 'static> Storage<D> for Kept {
    type Error = botstore::Error;
    fn remove_dialogue(self: Arc<Self>, chat: ChatId) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { dialogues::put(&self.0, chat.0, None::<D>).await })
    }
    fn update_dialogue(
        self: Arc<Self>,
        chat: ChatId,
        dialogue: D,
    ) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { dialogues::put(&self.0, chat.0, Some(dialogue)).await })
    }
    fn get_dialogue(self: Arc<Self>, chat: ChatId) -> BoxFuture<'static, Result<Option<D>>> {
        Box::pin(async move { dialogues::get(&self.0, chat.0).await })
    }
}

async fn hear(bot: Bot, talk: Dialogue<String, Kept>, msg: Message, store: Store) -> Done {
    let (Some(text), Some(from)) = (msg.text(), &msg.from) else {
        return Ok(());
    };
    let (user_id, username, chat_id) = (from.id.0 as i64, from.username.clone(), msg.chat.id.0);
    talk.update(text.to_owned()).await?;
    let ask = Ask {
        user_id,
        username,
        chat_id,
        text: text.into(),
        update_id: format!("{chat_id}-{}", msg.id),
    };
    let answer = answer(&store, ask).await?.response.unwrap_or_default();
    Ok(bot.send_message(msg.chat.id, answer).await.map(drop)?)
}

#[tokio::main]
async fn main() -> Done {
    let store = open(config("bot.db").schema::<Dialogues>()).await?;
    let handler = Update::filter_message()
        .enter_dialogue::<Message, Kept, String>()
        .endpoint(hear);
    let bot = Dispatcher::builder(Bot::from_env(), handler).enable_ctrlc_handler();
    bot.dependencies(dptree::deps![Arc::new(Kept(store.clone())), store.clone()])
        .build()
        .dispatch()
        .await;
    Ok(store.close().await?)
}
