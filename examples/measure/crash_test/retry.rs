//! Sends again what callers would send again, with its idempotency key: whatever was done before the
//! kill, each of it is done exactly once.

use crate::Failure;
use crate::ledger::{Fate, Ledger};
use crate::script::{self, Request};
use crate::verify::Found;
use botstore::{ErrorKind, Store};
use tokio::task::JoinSet;

/// How many of the acknowledged interactions are sent again: of the last, and of all.
const SAMPLE: usize = 16;

#[derive(Default)]
pub(crate) struct Retried {
    /// Requests that had no answer, or were refused.
    pub(crate) unacknowledged: u64,
    /// Those of them that had been done nevertheless.
    pub(crate) had_been_done: u64,
    /// Acknowledged interactions that were sent again.
    pub(crate) acknowledged: u64,
    pub(crate) duplicates: u64,
    pub(crate) problems: Vec<String>,
}

pub(crate) async fn retry(
    store: &Store,
    ledger: &mut Ledger,
    found: &Found,
    round: u32,
) -> Result<Retried, Failure> {
    let mut retried = Retried::default();
    let open = ledger.unacknowledged();
    let done = |number: &&u64| found.done.contains_key(number);
    retried.unacknowledged = open.len() as u64;
    retried.had_been_done = open.iter().filter(done).count() as u64;
    let again = sample(ledger, round);
    retried.acknowledged = again.len() as u64;

    let mut known = found.done.clone();
    let mut tasks = JoinSet::new();
    for number in open.into_iter().chain(again) {
        let request = script::request(ledger.seed, number);
        // An impatient caller's twin comes at the same time.
        let twin = matches!(request, Request::Interaction(_)).then(|| request.clone());
        for request in [Some(request), twin].into_iter().flatten() {
            let store = store.clone();
            tasks.spawn(async move { (number, request.send(&store).await) });
        }
    }
    while let Some(answer) = tasks.join_next().await {
        let (number, answer) = answer?;
        match answer {
            Ok(id) => {
                let first = *known.entry(number).or_insert(id);
                if first != id {
                    retried.duplicates += 1;
                    retried.problems.push(format!(
                        "request {number}, sent again, is done as {id:?} and as {first:?}"
                    ));
                }
            }
            // A session has no key but its id.
            Err(error) if error.kind() == ErrorKind::Conflict && known.contains_key(&number) => {}
            Err(error) => {
                let problem = format!("request {number}, sent again: {error}");
                retried.problems.push(problem);
                continue;
            }
        }
        let id = known.get(&number).copied().flatten();
        ledger.fates.insert(number, Fate::Acknowledged(id));
    }
    Ok(retried)
}

fn sample(ledger: &Ledger, round: u32) -> Vec<u64> {
    let mut dice = fastrand::Rng::with_seed(u64::from(round));
    let last = ledger.messages().rev().take(SAMPLE);
    let some = dice.choose_multiple(ledger.messages(), SAMPLE);
    let mut sample: Vec<_> = last.chain(some).map(|(number, _)| number).collect();
    sample.sort_unstable();
    sample.dedup();
    sample
}
