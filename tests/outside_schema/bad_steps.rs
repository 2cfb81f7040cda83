//! Steps that fail.

use crate::support::*;
use botstore::schema::{Migration, Schema};
use botstore::{Error, ErrorKind};

/// A schema of one bad step after a good one, for `refused_step`.
struct Bad<const WHICH: usize>;

impl<const WHICH: usize> Schema for Bad<WHICH> {
    const NAME: &'static str = "pets";
    const MIGRATIONS: &'static [Migration] = &[PETS, Migration::new(2, "bad", BAD[WHICH], "")];
}

const BAD: [&str; 7] = [
    // Fails half-way.
    "INSERT INTO pets VALUES (1, 1, 'half'); CREATE TABLE half (a); CREATE TABLE pets (b);",
    "INSERT INTO pets VALUES (1, 1, 'half'); THIS IS NOT SQL;",
    // Ends the transaction, openly and behind its back.
    "INSERT INTO pets VALUES (1, 1, 'half'); COMMIT;",
    "INSERT INTO pets VALUES (1, 1, 'half'); COMMIT; BEGIN; CREATE TABLE half (a);",
    "INSERT INTO pets VALUES (1, 1, 'half'); ROLLBACK; CREATE TABLE half (a);",
    "INSERT INTO pets VALUES (1, 1, 'half'); ROLLBACK; BEGIN; CREATE TABLE half (a);",
    "/* no */ END; BEGIN IMMEDIATE; CREATE TABLE half (a);",
];

/// Applies a bad step to a file that has the good one; gives the error.
fn refused_step<const WHICH: usize>() -> Error {
    let file = File::new();
    file.apply::<Pets<1>>().expect("apply");
    let before = file.dump();
    let error = file.apply::<Bad<WHICH>>().expect_err(BAD[WHICH]);
    assert_eq!(error.kind(), ErrorKind::Migration, "{}", BAD[WHICH]);
    let text = error.to_string();
    assert!(
        text.contains("applying step 2 (\"bad\") of schema \"pets\""),
        "{text}"
    );
    file.assert_unchanged(&before);
    file.apply::<Pets<3>>()
        .expect("a good step goes in its place");
    error
}

#[test]
fn a_step_that_fails_half_way_leaves_nothing_of_it() {
    let error = refused_step::<0>();
    assert!(error.to_string().contains("already exists"), "{error}");
    let error = refused_step::<1>();
    assert!(error.to_string().contains("syntax error"), "{error}");
}

#[test]
fn a_step_that_ends_the_transaction_is_refused_and_leaves_nothing_of_it() {
    for error in [
        refused_step::<2>(),
        refused_step::<3>(),
        refused_step::<4>(),
        refused_step::<5>(),
        refused_step::<6>(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("leave BEGIN, COMMIT and ROLLBACK out of it"),
            "{text}"
        );
    }
}
