//! Whether the fence would fall on what it is there for.

use super::*;

const ROOT: &str = "
    pub mod backup; mod config; mod domain; mod error; mod events; mod engine; mod guide;
    mod migration; mod operation; mod sqlite; mod store;
    /// mod nothing;
    pub use domain::{sessions, users as people};
    pub use error::{Error, Result};
    pub use rusqlite;
    pub use store::Store;
";

/// What a file with this text names, with faults.
fn faults_of(file: &str, text: &str) -> Vec<(String, bool)> {
    let sources = [(file.to_owned(), text.to_owned())];
    let arrows = arrows(&sources, ROOT);
    arrows
        .iter()
        .map(|arrow| (arrow.to.clone(), fault(arrow).is_some()))
        .collect()
}

#[test]
fn an_import_that_points_up_is_found_however_it_is_written() {
    for text in [
        "use crate::store;",
        "use crate::store::Store as Handle;",
        "pub(crate) use crate::store::open::{connect, upgrade};",
        "use crate::{\n    error::{Error, Result},\n    store::{self, Store},\n};",
        "use {crate::error::Error, crate::store::Store};",
        "use crate::Store;",
        "use crate :: /* far */ store;",
        "use super::store::Store;",
        "use super::{error::Error, store::Store};",
        "use self::super::store;",
        "pub use crate::r#store;",
        "fn open() { let _ = crate::store::open(\"bot.db\"); }",
        "fn open(store: &crate::store::Store) {}",
        "const A: crate::Store = 1;",
        "struct A<T = crate::store::Store>(T);",
        "impl From<crate::Store> for A {}",
        "macro_rules! a { () => { $crate::store::open() } }",
        "mod inner { use super::super::store::Store; }",
        "mod inner { mod deeper { use super::{super::super::store::Store}; } }",
        "#[cfg(test)] mod tests { use crate::store::Store; }",
        "pub(in crate::store) fn a() {}",
        "fn a<'a>(b: &'a str) -> char { 'x' } use crate::store;",
        "const QUOTE: char = '\"'; use crate::store; const OTHER: char = '\\'';",
        "const RAW: &str = r#\"use \"quotes\" \"#; use crate::store;",
    ] {
        let faults = faults_of("operation.rs", text);
        assert!(
            faults.contains(&("store".to_owned(), true)),
            "{text}: {faults:?}"
        );
    }
    for (file, text) in [
        ("operation/kept.rs", "use super::super::store::Store;"),
        (
            "operation/kept.rs",
            "mod a { use super::super::super::store; }",
        ),
        ("operation/mod.rs", "use super::store;"),
    ] {
        let faults = faults_of(file, text);
        assert!(
            faults.contains(&("store".to_owned(), true)),
            "{file} {text}: {faults:?}"
        );
    }
}

#[test]
fn what_is_no_import_is_not_taken_for_one() {
    for text in [
        "// use crate::store;",
        "/// [`Store`](crate::store::Store)\nstruct A;",
        "/* /* use crate::store; */ use crate::store; */",
        "const A: &str = \"use crate::store; \\\" crate::store\";",
        "const A: &str = r##\"crate::store \"# crate::store\"##;",
        "use rusqlite::store; use std::store;",
        "pub(crate) fn store() { self.store(); Self::store(); super_store() }",
        "mod store { pub(super) struct Store; } use self::store::Store;",
        "mod tests { use super::*; use super::store; }",
        "use crate::operation::store;",
    ] {
        assert_eq!(faults_of("operation.rs", text), [], "{text}");
    }
    assert_eq!(faults_of("operation/kept.rs", "use super::store;"), []);
}

#[test]
fn an_import_that_points_down_is_free_and_one_within_a_layer_is_not() {
    let down = [("error".to_owned(), false)];
    assert_eq!(faults_of("operation.rs", "use crate::Error;"), down);
    assert_eq!(
        faults_of("engine/writer.rs", "use crate::error::Error;"),
        down
    );
    let sibling = faults_of("engine/writer.rs", "use crate::domain::users;");
    assert_eq!(sibling, [("domain".to_owned(), true)]);
    let through_the_root = faults_of("engine/writer.rs", "use crate::{people, sessions};");
    assert_eq!(through_the_root, vec![("domain".to_owned(), true); 2]);
    let the_other_way = faults_of("domain/users.rs", "use crate::engine::Dispatch;");
    assert_eq!(the_other_way, [("engine".to_owned(), true)]);
    let old_name = faults_of("actors/writer.rs", "use crate::domain::users;");
    assert_eq!(old_name, sibling);
}

#[test]
fn the_domain_knows_less_than_what_is_below_it() {
    for (text, is_fault) in [
        ("use crate::operation::Query;", false),
        ("use crate::config::Config;", true),
        ("use crate::events::StoreEvent;", true),
    ] {
        let faults = faults_of("domain/users.rs", text);
        assert!(
            matches!(faults[..], [(_, found)] if found == is_fault),
            "{faults:?}"
        );
    }
}

#[test]
fn what_cannot_be_followed_is_refused() {
    for text in [
        "use crate::*;",
        "use super::*;",
        "use crate as root;",
        "use crate::{self as root};",
        "use crate::{error::Error, *};",
        "#[path = \"store.rs\"] mod other;",
        "include!(\"store.rs\");",
    ] {
        let faults = faults_of("operation.rs", text);
        assert!(
            faults.contains(&(ANYTHING.to_owned(), true)),
            "{text}: {faults:?}"
        );
    }
    let unknown = faults_of("operation.rs", "use crate::attic::Thing;");
    assert_eq!(unknown, [("attic".to_owned(), true)]);
    let unknown = faults_of("attic.rs", "use crate::Error;");
    assert_eq!(unknown, [("error".to_owned(), true)]);
}

#[test]
fn a_circle_is_found_over_any_number_of_modules() {
    let arrow = |from: &str, to: &str| Arrow {
        from: from.to_owned(),
        to: to.to_owned(),
        at: String::new(),
    };
    let line = [arrow("a", "b"), arrow("b", "c"), arrow("a", "c")];
    assert_eq!(circles(&line), BTreeSet::new());
    let mut bent = Vec::from(line);
    bent.extend([arrow("c", "d"), arrow("d", "b"), arrow("d", "e")]);
    let circle = ["b", "c", "d"].map(str::to_owned);
    assert_eq!(circles(&bent), BTreeSet::from(circle));
}

#[test]
fn a_table_in_the_engines_sql_is_found() {
    let tables = BTreeSet::from(["messages".to_owned(), "users".to_owned()]);
    let named = |file: &str, text: &str| {
        let sources = [(file.to_owned(), text.to_owned())];
        tables_named(&sources, &tables).len()
    };
    for text in [
        r#"const A: &str = "SELECT name FROM users WHERE id = ?1";"#,
        r##"const A: &str = r#"insert into "users" (a) values (1)"#;"##,
        "const A: &str = \"DELETE\n  FROM main.messages\";",
        "const A: &str = \"UPDATE users SET a = 1\";",
        r#"fn a() { clear("users"); }"#,
        r#"const A: &str = "the file has no botstore_store";"#,
    ] {
        assert_ne!(named("engine/writer.rs", text), 0, "{text}");
        assert_eq!(named("domain/users.rs", text), 0, "{text}");
    }
    for text in [
        "// FROM users",
        r#"const A: &str = "users wait, and messages too";"#,
        r#"const A: &str = "PRAGMA wal_checkpoint(PASSIVE)";"#,
    ] {
        assert_eq!(named("engine/writer.rs", text), 0, "{text}");
    }
}
