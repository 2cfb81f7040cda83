//! What docs/hosts.md says that the bots share.

use botstore::prelude::*;
use botstore_hosts::dialogues::{self, Dialogues};
use botstore_hosts::{Ask, Rate, answer, config, open, rate};

async fn opened(folder: &tempfile::TempDir) -> Store {
    let path = folder.path().join("bot.db");
    let config = config(path.to_str().unwrap()).schema::<Dialogues>();
    let store = open(config).await.unwrap();
    store.write(EnsureUser::new(1, "ada")).await.unwrap();
    store.write(SetAllowed::allow(1)).await.unwrap();
    store
}

fn said(user_id: i64, chat_id: i64, update_id: &str) -> Ask {
    Ask {
        user_id,
        username: None,
        chat_id,
        text: "Hello".to_owned(),
        update_id: update_id.to_owned(),
    }
}

#[tokio::test]
async fn an_update_that_comes_twice_is_answered_once_and_a_stranger_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    for chat_id in [1, -5] {
        let update = format!("in {chat_id}");
        let first = answer(&store, said(1, chat_id, &update)).await.unwrap();
        assert_eq!(
            answer(&store, said(1, chat_id, &update)).await.unwrap(),
            first
        );
        let next = answer(&store, said(1, chat_id, &format!("next {update}"))).await;
        assert_ne!(next.unwrap().message_id, first.message_id, "in {chat_id}");
    }
    let refused = answer(&store, said(2, -5, "b")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    store.close().await.unwrap();
}

#[tokio::test]
async fn who_has_spent_the_budget_of_the_day_is_refused_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let spent = AddCost::new(1, Usd::from_dollars(1.9985).unwrap());
    store.write(spent).await.unwrap();
    let refused = answer(&store, said(1, 1, "a")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitReached);
    assert!(
        refused.to_string().contains("each user, $2.00 a day"),
        "{refused}"
    );
    store.write(EnsureUser::new(2, "grace")).await.unwrap();
    store.write(SetAllowed::allow(2)).await.unwrap();
    answer(&store, said(2, 1, "b")).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test]
async fn stars_are_for_messages_that_the_user_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    let message = answer(&store, said(1, 1, "a")).await.unwrap();
    for (user_id, stars, expected) in [
        (1, 5, None),
        (1, 4, None),
        (1, 6, Some(ErrorKind::Invalid)),
        (2, 5, Some(ErrorKind::NotFound)),
    ] {
        let message_id = message.message_id.get();
        let stars = Rate {
            user_id,
            message_id,
            stars,
        };
        let kind = rate(&store, stars).await.err().map(|error| error.kind());
        assert_eq!(kind, expected);
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_dialogue_outlives_a_restart_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(&folder).await;
    dialogues::put(&store, -5, Some("first")).await.unwrap();
    dialogues::put(&store, -5, Some("rust")).await.unwrap();
    store.close().await.unwrap();
    let store = opened(&folder).await;
    let kept: Option<String> = dialogues::get(&store, -5).await.unwrap();
    assert_eq!(kept.as_deref(), Some("rust"));
    dialogues::put(&store, -5, None::<String>).await.unwrap();
    let kept: Option<String> = dialogues::get(&store, -5).await.unwrap();
    assert_eq!(kept, None);
    store.close().await.unwrap();
}
