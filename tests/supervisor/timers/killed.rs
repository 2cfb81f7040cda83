//! A process that is killed at any moment of a timer's life.

use super::{Note, numbers, opened, pending};
use crate::HOUR;
use crate::child::{Victim, again, given};
use crate::common::until;
use botstore::testing::FixedClock;
use botstore::timers::After;
use botstore::{Mutation, Result, Timer, WriteTx};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the process is when it is killed.
const MOMENTS: [&str; 3] = ["set", "running", "ran"];

/// A [`Note`] in a process that is to be killed.
#[derive(Serialize, Deserialize)]
struct Killed {
    number: i64,
    moment: String,
}

impl Timer for Killed {
    const NAME: &'static str = Note::NAME;
}

impl Mutation for Killed {
    type Output = ();

    fn apply(&self, tx: &WriteTx<'_>) -> Result<()> {
        tx.apply(&Note::new(self.number))?;
        match self.moment.as_str() {
            "running" => wait_for_the_end(&self.moment),
            _ => Ok(()),
        }
    }
}

fn wait_for_the_end(moment: &str) -> ! {
    println!("\nis {moment}");
    loop {
        std::thread::park();
    }
}

async fn until_it_is_killed(path: &Path, moment: String) {
    let clock = FixedClock::default();
    let store = opened(path, &clock, |config| config.timer::<Killed>()).await;
    let timer = Killed {
        number: 1,
        moment: moment.clone(),
    };
    store.write(After::new(HOUR, timer)).await.unwrap();
    if moment == "set" {
        wait_for_the_end(&moment);
    }
    clock.advance(HOUR);
    until("its run", async || numbers(&store).await == [1]).await;
    wait_for_the_end(&moment);
}

#[tokio::test]
async fn a_process_that_is_killed_before_in_or_after_a_run_has_run_it_once() {
    if let Some([path, moment]) = given() {
        return until_it_is_killed(Path::new(&path), moment).await;
    }
    for moment in MOMENTS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bot.db");
        let this = a_process_that_is_killed_before_in_or_after_a_run_has_run_it_once;
        let mut child = Victim::start(again(&[], this, &[&path, Path::new(moment)]));
        assert!(child.says(&format!("is {moment}")));
        child.kill();
        let clock = FixedClock::default();
        clock.advance(2 * HOUR);
        for _ in 0..2 {
            let store = opened(&path, &clock, |config| config.timer::<Note>()).await;
            store.run_due().await.unwrap();
            assert_eq!(numbers(&store).await, [1], "{moment}");
            assert_eq!(pending(&store).await, [], "{moment}");
            store.close().await.unwrap();
        }
    }
}
