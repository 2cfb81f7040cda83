use crate::support::{
    ADA, BOB, DAY, HOUR, MICRO, STRANGER, changes_nothing, fill, keeps_the_promises_of_a_list,
    picture, populated, refused, survives_json,
};
use botstore::ErrorKind::{Invalid, NotFound};
use botstore::page::PageRequest;
use botstore::testing::TestStore;
use botstore::tokens::{
    IssueToken, IssuedToken, RevokeToken, RevokeUserTokens, Secret, UserToken, UserTokens,
    VerifyToken,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

async fn issue(store: &TestStore, user_id: i64, expires_in: Option<Duration>) -> IssuedToken {
    let issue = {
        let mut new = IssueToken::new(user_id);
        new.expires_in = expires_in;
        new
    };
    store.write(issue).await.expect("a token")
}

async fn verify(store: &TestStore, secret: &Secret) -> Option<UserToken> {
    let secret = secret.clone();
    store.read(VerifyToken::new(secret)).await.expect("a read")
}

async fn tokens(store: &TestStore, user_id: i64) -> Vec<UserToken> {
    let page = PageRequest::default();
    let list = UserTokens::new(user_id).page(page);
    store.read(list).await.expect("a page").items
}

fn revoke(token_id: i64, user_id: i64) -> RevokeToken {
    RevokeToken::new(user_id, token_id)
}

fn sha256(text: &str) -> String {
    let bytes = Sha256::digest(text);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_token_proves_who_its_user_is() {
    let store = populated().await;
    let of_ada = issue(&store, ADA, Some(HOUR)).await;
    let of_bob = issue(&store, BOB, None).await;
    let expected = {
        let mut new = UserToken::new(of_ada.token_id, ADA, store.now());
        new.expires_at = Some(store.now() + HOUR);
        new
    };
    assert_eq!(of_ada.expires_at, expected.expires_at);
    let before = picture(&store).await;
    assert_eq!(verify(&store, &of_ada.secret).await, Some(expected.clone()));
    assert_eq!(picture(&store).await, before, "verifying only reads");
    assert_eq!(tokens(&store, ADA).await, [expected]);
    let bob = verify(&store, &of_bob.secret).await.expect("a token");
    assert_eq!((bob.user_id, bob.expires_at), (BOB.into(), None));
    // As a user presents it.
    let typed = Secret::new(of_bob.secret.expose().to_owned());
    assert_eq!(verify(&store, &typed).await, Some(bob));
}

#[tokio::test]
async fn every_secret_is_another_256_bits() {
    let store = populated().await;
    let mut secrets = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let secret = issue(&store, ADA, None).await.secret;
        assert_eq!(secret.expose().len(), 64);
        assert!(secret.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(secrets.insert(secret.expose().to_owned()), "twice the same");
    }
}

#[tokio::test]
async fn the_file_holds_the_sha_256_of_a_secret_and_not_the_secret() {
    let store = populated().await;
    let issued = issue(&store, ADA, Some(DAY)).await;
    let secret = issued.secret.expose().to_owned();
    let listed = serde_json::to_string(&tokens(&store, ADA).await).expect("JSON");
    let verified = verify(&store, &issued.secret).await;
    let verified = serde_json::to_string(&verified).expect("JSON");
    let (folder, _) = store.into_file().await.expect("a file");
    let mut hashes = 0;
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("bytes");
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds(&secret), "the secret itself");
        let binary: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&secret[at..at + 2], 16).expect("hex"))
            .collect();
        assert!(!bytes.windows(32).any(|w| w == binary), "its bytes");
        hashes += usize::from(holds(&sha256(&secret)));
    }
    assert_eq!(hashes, 1);
    for told in [listed, verified] {
        assert!(!told.contains(&secret) && !told.contains(&sha256(&secret)));
    }
}

#[tokio::test]
async fn debug_tells_nothing_of_a_secret() {
    let store = populated().await;
    let issued = issue(&store, ADA, None).await;
    let secret = issued.secret.clone();
    let whole = secret.expose().to_owned();
    let verify = VerifyToken::new(secret.clone());
    for text in [
        format!("{secret:?}"),
        format!("{issued:?} {issued:#?}"),
        format!("{verify:?} {verify:#?}"),
    ] {
        assert!(text.contains("Secret(…)"), "{text}");
        // Not even a few digits of it.
        for part in 0..=60 {
            assert!(!text.contains(&whole[part..part + 4]), "{text}");
        }
    }
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_and_not_a_microsecond_longer() {
    let store = populated().await;
    for expires_in in [MICRO, HOUR, DAY, DAY + MICRO] {
        let token = issue(&store, ADA, Some(expires_in)).await;
        store.clock().advance(expires_in - MICRO);
        assert!(verify(&store, &token.secret).await.is_some());
        store.clock().advance(MICRO);
        assert_eq!(verify(&store, &token.secret).await, None);
        assert_eq!(token.expires_at, Some(store.now()));
        // It is not revoked, only past.
        let listed = tokens(&store, ADA).await;
        let listed = listed.iter().find(|t| t.token_id == token.token_id);
        assert!(listed.expect("the token").is_active);
    }
    let never_good = issue(&store, ADA, Some(Duration::ZERO)).await;
    assert_eq!(verify(&store, &never_good.secret).await, None);
    // What the file cannot tell apart, the answer does not promise.
    let nanos = issue(&store, ADA, Some(Duration::from_nanos(1_999))).await;
    assert_eq!(nanos.expires_at, Some(store.now() + MICRO));
    let for_ever = issue(&store, ADA, None).await;
    store.clock().advance(10_000 * DAY);
    assert!(verify(&store, &for_ever.secret).await.is_some());
}

#[tokio::test]
async fn unknown_expired_and_revoked_look_alike() {
    let store = populated().await;
    let expired = issue(&store, ADA, Some(MICRO)).await;
    let revoked = issue(&store, ADA, None).await;
    store.clock().advance(MICRO);
    let revoke = revoke(revoked.token_id.get(), ADA);
    store.write(revoke).await.expect("a revocation");
    let hash = Secret::new(sha256(revoked.secret.expose()));
    let shouted = Secret::new(
        issue(&store, ADA, None)
            .await
            .secret
            .expose()
            .to_uppercase(),
    );
    let unknown = ["", "x", "' OR 1=1 --", "\u{0}"].map(Secret::new);
    for secret in [expired.secret, revoked.secret, hash, shouted] {
        assert_eq!(verify(&store, &secret).await, None);
    }
    for secret in unknown {
        assert_eq!(verify(&store, &secret).await, None);
    }
}

#[tokio::test]
async fn a_token_is_revoked_by_its_user_alone_and_again_changes_nothing() {
    let store = populated().await;
    let (first, second) = (
        issue(&store, ADA, None).await,
        issue(&store, ADA, None).await,
    );
    let id = first.token_id.get();
    for (token_id, user_id) in [(id, BOB), (id, STRANGER), (999, ADA), (i64::MIN, ADA)] {
        let wrong = revoke(token_id, user_id);
        refused(&store, wrong, NotFound, "token_id").await;
    }
    assert!(verify(&store, &first.secret).await.is_some());
    store.write(revoke(id, ADA)).await.expect("a revocation");
    assert_eq!(verify(&store, &first.secret).await, None);
    assert!(verify(&store, &second.secret).await.is_some());
    changes_nothing(&store, revoke(id, ADA)).await;
    let active: Vec<_> = tokens(&store, ADA)
        .await
        .iter()
        .map(|t| t.is_active)
        .collect();
    assert_eq!(active, [true, false]);
}

#[tokio::test]
async fn revoking_all_tokens_of_a_user_tells_how_many_were_active() {
    let store = populated().await;
    let of_bob = issue(&store, BOB, None).await;
    let mut of_ada = Vec::new();
    for _ in 0..3 {
        of_ada.push(issue(&store, ADA, Some(HOUR)).await);
    }
    let one = revoke(of_ada[0].token_id.get(), ADA);
    store.write(one).await.expect("a revocation");
    let user_id = ADA;
    let all = store.write(RevokeUserTokens::new(user_id)).await;
    assert_eq!(all.expect("a number"), 2);
    for token in &of_ada {
        assert_eq!(verify(&store, &token.secret).await, None);
    }
    assert!(verify(&store, &of_bob.secret).await.is_some());
    for user_id in [ADA, STRANGER] {
        let none = changes_nothing(&store, RevokeUserTokens::new(user_id)).await;
        assert_eq!(none, 0);
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_issued_leaves_no_trace() {
    let store = populated().await;
    let for_nobody = IssueToken::new(STRANGER);
    refused(&store, for_nobody, NotFound, "user_id").await;
    let years = |years: u32| 365 * DAY * years;
    for expires_in in [
        Duration::MAX,
        years(9_000),
        Duration::from_secs(u64::MAX / 1_000),
    ] {
        let endless = IssueToken::new(ADA).expires_in(expires_in);
        refused(&store, endless, Invalid, "expires_in").await;
    }
    let long = issue(&store, ADA, Some(years(7_900))).await;
    assert!(verify(&store, &long.secret).await.is_some());
}

#[tokio::test]
async fn tokens_are_listed_page_by_page() {
    let store = populated().await;
    let columns = "user_tokens (user_id, token_hash, created_at, is_active)";
    fill(&store, columns, "1, 'a' || i, at, i % 2").await;
    fill(&store, columns, "2, 'b' || i, at, 1").await;
    keeps_the_promises_of_a_list(
        &store,
        |page| UserTokens::new(ADA).page(page),
        |token| (token.created_at, token.token_id),
        async || {
            issue(&store, ADA, None).await;
        },
    )
    .await;
    assert!(tokens(&store, STRANGER).await.is_empty());
}

#[tokio::test]
async fn tokens_and_their_messages_survive_json() {
    let store = populated().await;
    issue(&store, ADA, Some(HOUR)).await;
    survives_json(&tokens(&store, ADA).await);
    let user_id = ADA;
    for expires_in in [None, Some(HOUR)] {
        survives_json(&{
            let mut new = IssueToken::new(user_id);
            new.expires_in = expires_in;
            new
        });
    }
    survives_json(&revoke(7, ADA));
    survives_json(&RevokeUserTokens::new(user_id));
    let page = PageRequest::default();
    survives_json(&UserTokens::new(user_id).page(page));
}
