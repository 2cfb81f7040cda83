//! Callers who never rest, and what each of them was told.

use crate::common::{Put, answered, pause};
use botstore::rusqlite::{Connection, OpenFlags};
use botstore::{Error, ErrorKind, Lane, Query, ReadTx, Result, Store};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tokio::task::JoinSet;

const WRITERS: i64 = 3;

/// The first numbers of the writers; the tests' own are smaller.
const FIRST: i64 = 1_000_000;

struct Count;

impl Query for Count {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.one("SELECT count(*) FROM probe", [], |row| Ok(row.get(0)?))
    }
}

struct Scan;

impl Query for Scan {
    const LANE: Lane = Lane::Analytics;
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        tx.query(&Count)
    }
}

/// What the writers were told.
#[derive(Default)]
pub(crate) struct Told {
    saved: Vec<i64>,
    refused: Vec<(i64, Error)>,
}

impl Told {
    pub(crate) fn take(&mut self, number: i64, answer: Result<i64>) {
        match answer {
            Ok(_) => self.saved.push(number),
            Err(error) => self.refused.push((number, error)),
        }
    }

    /// Holds the closed file against it.
    pub(crate) fn is_what_is_in(&self, path: &Path) {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let mut numbers = conn.prepare("SELECT number FROM probe").unwrap();
        let numbers = numbers.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        let numbers: HashSet<_> = numbers.map(Result::unwrap).collect();
        for number in &self.saved {
            assert!(numbers.contains(number), "{number} was acknowledged");
        }
        for (number, error) in &self.refused {
            let may_be_there = error.kind() == ErrorKind::InDoubt;
            assert!(
                may_be_there || !numbers.contains(number),
                "{number} was refused: {error}"
            );
        }
    }
}

pub(crate) struct Load {
    over: Arc<AtomicBool>,
    writers: JoinSet<Told>,
    readers: JoinSet<()>,
}

/// What nobody may hear of a store that nobody closes.
fn is_true(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Closed, "{error}");
}

impl Load {
    pub(crate) fn begin(store: &Store) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for writer in 1..=WRITERS {
            let (store, over) = (store.clone(), Arc::clone(&over));
            writers.spawn(async move {
                let mut told = Told::default();
                let mut number = writer * FIRST;
                while !over.load(SeqCst) {
                    let answer = answered(store.write(Put::new(number))).await;
                    answer.as_ref().err().into_iter().for_each(is_true);
                    told.take(number, answer);
                    number += 1;
                    pause().await;
                }
                told
            });
        }
        let (asking, until) = (store.clone(), Arc::clone(&over));
        readers.spawn(async move {
            while !until.load(SeqCst) {
                let (point, scan) = tokio::join!(asking.read(Count), asking.read(Scan));
                for answer in [point, scan] {
                    answer.err().iter().for_each(is_true);
                }
                pause().await;
            }
        });
        Self {
            over,
            writers,
            readers,
        }
    }

    /// Ends it; gives what the writers were told.
    pub(crate) async fn end(mut self) -> Told {
        self.over.store(true, SeqCst);
        let mut all = Told::default();
        while let Some(told) = answered(self.writers.join_next()).await {
            let told = told.unwrap();
            all.saved.extend(told.saved);
            all.refused.extend(told.refused);
        }
        while let Some(reader) = answered(self.readers.join_next()).await {
            reader.unwrap();
        }
        all
    }
}
