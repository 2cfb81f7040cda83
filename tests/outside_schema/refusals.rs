//! Files and schemas that this program must not touch.

use crate::support::*;
use botstore::ErrorKind;
use botstore::schema::{self, Migration, Schema};

struct ChangedPets;

impl Schema for ChangedPets {
    const NAME: &'static str = "pets";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "pets",
        "CREATE TABLE pets (name BLOB);",
        "DROP TABLE pets;",
    )];
}

#[actix::test]
async fn a_changed_step_is_refused_with_both_texts_in_the_message() {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    let before = file.dump();
    let refusals = [
        schema::plan(file.with::<ChangedPets>()).map(|_| ()),
        schema::apply(file.with::<ChangedPets>()).map(|_| ()),
        botstore::Store::open(file.with::<ChangedPets>())
            .await
            .map(|_| ()),
    ];
    for refusal in refusals {
        let error = refusal.expect_err("changed");
        assert_eq!(error.kind(), ErrorKind::ChangedMigration);
        let text = error.to_string();
        assert!(
            text.contains("CREATE TABLE meals (pet_id INTEGER NOT NULL"),
            "{text}"
        );
        assert!(text.contains("CREATE TABLE pets (name BLOB);"), "{text}");
        assert!(
            text.contains("step 1 (\"pets\") of schema \"pets\""),
            "{text}"
        );
    }
    file.assert_unchanged(&before);
}

struct UnixLines;

impl Schema for UnixLines {
    const NAME: &'static str = "lines";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "lines",
        "CREATE TABLE lines (\n  body TEXT\n);\n",
        "DROP TABLE lines;",
    )];
}

/// The same after another checkout and another editor.
struct WindowsLines;

impl Schema for WindowsLines {
    const NAME: &'static str = "lines";
    const MIGRATIONS: &'static [Migration] = &[Migration::new(
        1,
        "lines",
        "\r\nCREATE TABLE lines (  \r\n  body TEXT\t\r\n);\r\n\r\n\r\n",
        "DROP TABLE lines;",
    )];
}

#[test]
fn line_ends_and_trailing_blanks_are_no_change() {
    for there_and_back in [true, false] {
        let file = File::new();
        if there_and_back {
            file.apply::<UnixLines>().expect("unix");
            assert_eq!(file.apply::<WindowsLines>().expect("windows").steps, []);
        } else {
            file.apply::<WindowsLines>().expect("windows");
            assert_eq!(file.apply::<UnixLines>().expect("unix").steps, []);
        }
    }
}

#[actix::test]
async fn a_file_of_a_newer_program_is_refused_and_stays_as_it_is() {
    let file = File::new();
    file.apply::<Pets<3>>().expect("apply");
    let before = file.dump();
    let refusals = [
        schema::plan(file.with::<Pets<2>>()).map(|_| ()),
        schema::apply(file.with::<Pets<2>>()).map(|_| ()),
        botstore::Store::open(file.with::<Pets<2>>())
            .await
            .map(|_| ()),
    ];
    for refusal in refusals {
        let error = refusal.expect_err("newer");
        assert_eq!(error.kind(), ErrorKind::NewerSchema);
        let text = error.to_string();
        assert!(
            text.contains("step 3 (\"toys\")") && text.contains("up to 2"),
            "{text}"
        );
    }
    file.assert_unchanged(&before);
    // With the newer program, as the message says.
    file.rollback(2).expect("back");
    file.apply::<Pets<2>>().expect("now it opens");
}

struct FromTwo;

impl Schema for FromTwo {
    const NAME: &'static str = "two";
    const MIGRATIONS: &'static [Migration] = &[OWNED_PETS];
}

struct Gap;

impl Schema for Gap {
    const NAME: &'static str = "gap";
    const MIGRATIONS: &'static [Migration] = &[PETS, TOYS];
}

struct Twice;

impl Schema for Twice {
    const NAME: &'static str = "twice";
    const MIGRATIONS: &'static [Migration] = &[PETS, PETS];
}

struct Ours;

impl Schema for Ours {
    const NAME: &'static str = "botstore";
    const MIGRATIONS: &'static [Migration] = &[PETS];
}

struct Nameless;

impl Schema for Nameless {
    const NAME: &'static str = "";
    const MIGRATIONS: &'static [Migration] = &[PETS];
}

#[actix::test]
async fn schemas_that_cannot_be_told_apart_are_refused() {
    let file = File::new();
    for config in [
        file.with::<FromTwo>(),
        file.with::<Gap>(),
        file.with::<Twice>(),
        file.with::<Ours>(),
        file.with::<Nameless>(),
        file.with::<Pets<1>>().schema::<Pets<3>>(),
    ] {
        assert_eq!(kind(schema::plan(config.clone())), ErrorKind::Invalid);
        assert_eq!(kind(schema::apply(config.clone())), ErrorKind::Invalid);
        assert_eq!(file.folder(), [] as [&str; 0]);
    }
    for config in [file.with::<Gap>(), file.with::<Ours>()] {
        assert_eq!(
            kind(botstore::Store::open(config).await),
            ErrorKind::Invalid
        );
    }
}
