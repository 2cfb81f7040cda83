//! What requests used, by day, model, user and chat.

use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::rollups::ReconcileRollups;
use botstore::sessions::CreateSession;
use botstore::testing::{TestStore, usd};
use botstore::usage::{Chat, Usage};
use botstore::users::EnsureUser;

#[tokio::test]
async fn a_request_is_counted_by_model_user_and_chat() {
    let store = TestStore::open().await.unwrap();
    store.write(EnsureUser::new(1, None)).await.unwrap();
    store.write(CreateSession::new(1, "s", "/")).await.unwrap();
    for n in 0..600_u64 {
        let usage = Usage::new("openai", "gpt")
            .input_tokens(n)
            .output_tokens(2)
            .chat(Chat::new("telegram", "7"));
        store
            .write(
                SaveInteraction::new(1, "s", "p")
                    .usage(usage)
                    .cost(usd(0.5)),
            )
            .await
            .unwrap();
        if n % 100 == 99 {
            store.write(AddCost::new(1, usd(0.25))).await.unwrap();
        }
    }
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(report.differences, 0, "{:#?}", report.named);
    let (_folder, path) = store.into_file().await.unwrap();
    let conn = botstore::rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT (SELECT sum(requests) FROM botstore_model_day) || ' ' || (SELECT sum(requests) FROM botstore_chat_day) || ' ' || (SELECT sum(requests) FROM botstore_other_day)";
    let s: String = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(s, "606 600 6");
}
