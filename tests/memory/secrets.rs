//! The secret of a token is overwritten before its memory is given back.

use crate::watching::{look_for, seen};
use botstore::testing::TestStore;
use botstore::tokens::{IssueToken, Secret, VerifyToken};
use botstore::users::EnsureUser;

const PRESENTED: &str = "a-secret-of-64-bytes-that-somebody-presented-and-that-is-nowhere";

/// Of the test beside it: a text that grows leaves its beginning behind, and the first test would find it.
const COMPARED: &str = "a-secret-of-64-bytes-that-is-compared-with-others-in-another-tst";

/// In one test, since there is one text that is looked for at a time.
#[tokio::test]
async fn no_memory_is_given_back_with_a_secret_in_it() {
    let store = TestStore::open().await.expect("a store");
    store.write(EnsureUser::new(1, None)).await.expect("a user");

    look_for(PRESENTED);
    drop(PRESENTED.to_owned());
    assert_eq!(seen(), 1, "what is looked for is found");

    look_for(PRESENTED);
    let secret = Secret::new(PRESENTED);
    let copies = vec![secret.clone(); 3];
    assert_eq!(copies[1], secret);
    assert!(!format!("{secret:?} {copies:?}").contains(PRESENTED));
    drop(copies);
    // With room behind it, as of a line that was read and cut.
    let mut line = String::with_capacity(1_000);
    line.push_str(PRESENTED);
    drop(Secret::new(line));
    let found = store
        .read(VerifyToken::new(secret))
        .await
        .expect("an answer");
    assert_eq!(found, None);
    // Given up before it is sent, and refused.
    drop(store.read(VerifyToken::new(Secret::new(PRESENTED))));
    let long = Secret::new(PRESENTED.repeat(100));
    store
        .read(VerifyToken::new(long))
        .await
        .expect_err("a refusal");
    assert_eq!(seen(), 0, "a secret that was presented");

    let issue = IssueToken::new(1);
    let token = store.write(issue).await.expect("a token");
    look_for(token.secret.expose());
    let secret = token.secret.clone();
    drop(token);
    let found = store
        .read(VerifyToken::new(secret))
        .await
        .expect("an answer");
    assert_eq!(found.expect("a token").user_id, 1);
    store.close().await.expect("closed");
    assert_eq!(seen(), 0, "a secret that was issued");
}

#[test]
fn secrets_are_equal_when_all_of_them_is() {
    let secret = Secret::new(COMPARED);
    assert_eq!(secret, Secret::new(COMPARED.to_owned()));
    for at in 0..COMPARED.len() {
        let mut other = COMPARED.as_bytes().to_owned();
        other[at] ^= 1;
        let other = String::from_utf8(other).expect("a text");
        assert_ne!(secret, Secret::new(other), "byte {at}");
        assert_ne!(secret, Secret::new(&COMPARED[..at]), "the first {at}");
    }
    assert_ne!(secret, Secret::new(format!("{COMPARED}\0")));
    assert_eq!(Secret::new(""), Secret::new(String::new()));
}
