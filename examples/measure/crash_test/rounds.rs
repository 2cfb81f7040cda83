//! The rounds, one after the other.

use crate::child::Orders;
use crate::file::File;
use crate::lines::Phase;
use crate::plan::{FirstLook, Plan};
use crate::report::Tally;
use crate::victim::{Last, Victim};
use crate::{Args, Failure, retry, verify};
use botstore::Store;
use std::path::Path;

pub(crate) struct Rounds<'a> {
    args: &'a Args,
    folder: &'a Path,
    file: Option<File>,
    pub(crate) tally: Tally,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(args: &'a Args, folder: &'a Path) -> Self {
        Self {
            args,
            folder,
            file: None,
            tally: Tally::default(),
        }
    }

    /// Makes one round. What it finds wrong is in the tally; an error is what kept it from being
    /// made.
    pub(crate) fn make(&mut self, round: u32) -> Result<(), Failure> {
        let seed = self.args.seed;
        let mut plan = Plan::new(seed, round);
        let mut old = self.file.take();
        if round.is_multiple_of(self.args.rounds_per_file) {
            plan = plan.aimed_at_opening(seed, round);
            if let Some(old) = old.take() {
                old.remove()?;
            }
        }
        let file = match old {
            Some(file) => file,
            None => {
                self.tally.files += 1;
                File::new(self.folder.join(format!("from-round-{round}")), seed)?
            }
        };
        let file = self.file.insert(file);
        let orders = Orders {
            db: file.path.clone(),
            seed,
            round,
            first: file.ledger.next(),
            callers: self.args.callers,
        };
        let last = Victim::start(&orders)?.kill(plan.aim, plan.delay)?;
        look_and_retry(&mut self.tally, file, round, &plan, &last)
    }
}

fn look_and_retry(
    tally: &mut Tally,
    file: &mut File,
    round: u32,
    plan: &Plan,
    last: &Last,
) -> Result<(), Failure> {
    for line in &last.said {
        file.ledger.note(line);
        tally.note(line);
    }
    tally.kill(last.phase);
    tally.log(file.set_aside()?);
    if last.phase == Phase::Closed {
        tally.problems.extend(file.left_open());
    }
    let before = match plan.first_look {
        FirstLook::PlainSqlite => Some(file.look()?),
        FirstLook::Store => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let store = Store::open(plan.config(&file.path)).await?;
        file.ledger.opened = true;
        let found = match before {
            Some(found) => found,
            None => file.look()?,
        };
        tally.found(&found);
        // What is wrong already would be told a second time.
        if tally.problems.is_empty() {
            let retried = retry::retry(&store, &mut file.ledger, &found, round).await?;
            tally.retried(retried);
        }
        store.close().await?;
        Ok::<_, Failure>(())
    })?;
    if !tally.problems.is_empty() {
        return Ok(());
    }
    tally.problems.extend(file.left_open());
    // Once more, for what the retries did.
    tally.found(&file.look()?);
    tally.problems.extend(verify::rollups(&file.path));
    let (read_back, problems) = file.backups(&last.said)?;
    tally.backups += read_back;
    tally.problems.extend(problems);
    Ok(())
}
