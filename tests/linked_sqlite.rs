//! The SQLite that the program is linked with. A host may have chosen it: one a program is allowed.

use botstore::Store;
use botstore::rusqlite::{self, Connection};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the text of every warning.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn one_whose_connections_share_a_page_cache_is_warned_of_at_opening() {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("x.db")).await.unwrap();
    store.close().await.unwrap();
    let sql = "SELECT sqlite_compileoption_used('ENABLE_MEMORY_MANAGEMENT')";
    let conn = Connection::open_in_memory().unwrap();
    let shared: bool = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    let cure = "LIBSQLITE3_FLAGS=-USQLITE_ENABLE_MEMORY_MANAGEMENT";
    let warned = warnings.0.lock().unwrap().iter().any(|w| w.contains(cure));
    assert_eq!(warned, shared, "SQLite {}", rusqlite::version());
}
