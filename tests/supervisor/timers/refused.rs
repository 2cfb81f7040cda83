//! What could not be run later is refused when it is set, and never quoted.

use super::*;

/// A message with a text of a user's, and JSON.
#[derive(Serialize, Deserialize)]
struct Said {
    text: String,
    data: serde_json::Value,
    #[serde(serialize_with = "nothing_that_is_read")]
    number: i64,
}

fn nothing_that_is_read<S: serde::Serializer>(number: &i64, to: S) -> Result<S::Ok, S::Error> {
    match number {
        0 => to.serialize_i64(0),
        1 => to.serialize_str("a secret"),
        _ => Err(serde::ser::Error::custom("a secret")),
    }
}

impl Timer for Said {
    const NAME: &'static str = "said";
}

impl Mutation for Said {
    type Output = ();

    fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
        Ok(())
    }

    fn texts(&self, texts: &mut botstore::Texts) {
        texts.name("text", self.text.as_str());
        texts.json("data", &self.data);
    }

    fn take_json(&mut self, taken: &mut Vec<serde_json::Value>) {
        taken.push(self.data.take());
    }
}

fn nested(levels: usize) -> serde_json::Value {
    (0..levels).fold(serde_json::Value::Null, |inner, _| vec![inner].into())
}

#[tokio::test]
async fn what_could_not_be_run_later_is_refused_at_once_and_not_quoted() {
    let store = probe_store(|config| config.timer::<Said>().max_text_bytes(10_000)).await;
    let said = |text: &str, data, number| {
        let text = text.to_owned();
        Said { text, data, number }
    };
    let null = serde_json::Value::Null;
    let long = "a secret ".repeat(1_000);
    let far = DateTime::<Utc>::MAX_UTC;
    let refused = [
        (After::new(HOUR, said(&long, null.clone(), 0)), "text"),
        (
            After::new(HOUR, said("", long.repeat(2).into(), 0)),
            "message",
        ),
        // Alone it can be read, and in its message it cannot.
        (After::new(HOUR, said("", nested(127), 0)), "message"),
        (After::new(HOUR, said("", nested(128), 0)), "data"),
        (After::new(HOUR, said("", nested(200_000), 0)), "data"),
        (After::new(HOUR, said("", null.clone(), 1)), "message"),
        (After::new(HOUR, said("", null.clone(), 2)), "message"),
        (
            After::new(Duration::MAX, said("", null.clone(), 0)),
            "after",
        ),
    ];
    for (after, field) in refused {
        let error = store.write(after).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some(field)),
            "{error}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = store
        .write(At::new(far, said("", null.clone(), 0)))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Invalid, Some("at"))
    );
    assert_eq!(pending(&store).await, []);
    // The largest that is taken is run.
    for data in [nested(126), "x".repeat(9_000).into()] {
        let after = After::new(Duration::ZERO, said("a secret", data, 0));
        assert!(!format!("{after:?}").contains("secret"));
        store.write(after).await.unwrap();
    }
    assert_eq!(store.run_due().await.unwrap(), 2);
}

#[tokio::test]
async fn two_types_of_one_name_or_a_name_that_cannot_be_kept_are_refused_at_opening() {
    #[derive(Serialize, Deserialize)]
    struct Nameless;
    impl Timer for Nameless {
        const NAME: &'static str = "";
    }
    impl Mutation for Nameless {
        type Output = ();
        fn apply(&self, _: &WriteTx<'_>) -> Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let config = || Config::new(folder.path().join("bot.db")).schema::<Probe>();
    let twice = config().timer::<Note>().timer::<Mended>();
    for (config, says) in [
        (twice, "\"note\" twice"),
        (config().timer::<Nameless>(), "NAME"),
    ] {
        let error = Store::open(config).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Invalid, Some("timer"))
        );
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = probe_store(|config| config).await;
    let error = error.write(After::new(HOUR, Nameless)).await.unwrap_err();
    assert_eq!(error.field(), Some("name"));
}
