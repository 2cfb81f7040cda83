//! The row cache: answers kept on the callers' side, which a commit voids before it is acknowledged.
//!
//! It has two arrays of fixed size. `answers` is a set-associative cache: the hash of a query selects a set of
//! eight places, and the oldest answer in the set is removed first. One place per hash lost every sixth answer at
//! a fifth of the capacity; one LRU list over all would take one lock for every hit. `changes` holds, for the hash
//! of a table and a row, the number of the last commit that changed such a row.
//!
//! The danger of such caches is a reader that stores an answer from a snapshot older than the change that voided
//! it. Here an answer carries the number of the last commit that was finished *before its snapshot began*, and
//! holds as long as no later commit changed its row. So it does not matter when it is stored: a commit that the
//! snapshot did not see has a larger number. The writer marks the rows after its COMMIT and before it answers, so
//! a caller that knows of a change does not get an older answer.
//!
//! Answers have any size, so their bytes are counted: each set has its share of the limit, and its oldest answers
//! are removed until the next fits. One counter for all sets was turned down: unused sets would hold bytes that
//! the used ones need.
//!
//! Two rows that share a place in `changes` void each other's answers now and then, which costs a read. Rows that
//! another program changes are seen after [`MAX_AGE`].

use crate::error::Result;
use crate::operation::{Answer, Cacheable, Key, ReadTx};
use crate::panics::quietly;
use parking_lot::{Mutex, MutexGuard, RwLock};
use rusqlite::Connection;
use rusqlite::hooks::Action;
use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How old an answer may become, since changes by other programs are not reported to this one.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Answers in one set.
const WAYS: usize = 8;

/// The largest answer that is kept, with its entry and key: about twelve usual ones.
const MAX_ANSWER_BYTES: usize = 4096;

/// The places in `changes`: half a mebibyte, in parts of a constant size. One by one, a build without optimization
/// makes them in milliseconds, at each opening.
const CHANGES: usize = 1 << 16;
const PART: usize = 1 << 10;

/// How many bytes it takes to keep this answer; `None` if it cannot be kept.
fn size<T>(kept: &Cacheable<'_, T>, answer: &T) -> Option<usize> {
    let (key, asker) = parts(kept.key);
    if !(kept.hangs_on_the_row)(answer, asker) {
        return None;
    }
    let key = key.map_or(0, str::len);
    let fixed = size_of::<Entry>() + size_of::<T>();
    let bytes = (kept.owns?)(answer).checked_add(key + fixed)?;
    (bytes <= MAX_ANSWER_BYTES).then_some(bytes)
}

/// A kept answer.
struct Entry {
    question: TypeId,
    text_key: Option<Box<str>>,
    /// The row, or the asker if there is a text key.
    number: i64,
    /// The place of its row in `changes`.
    row_at: usize,
    /// The place in `changes` of its table's new rows, if its key is not the row's id: another row, with another
    /// id, may take that key.
    table_at: Option<usize>,
    snapshot: Snapshot,
    bytes: usize,
    /// `None` only while it is dropped.
    answer: Option<Answer>,
}

/// The answer is the host's, and its drop may panic; that must not harm the thread that drops it.
impl Drop for Entry {
    fn drop(&mut self) {
        let answer = self.answer.take();
        quietly(|| drop(answer));
    }
}

impl Entry {
    fn is_for(&self, question: TypeId, key: Key<'_>) -> bool {
        self.question == question && (self.text_key.as_deref(), self.number) == parts(key)
    }
}

/// What distinguishes one key from another.
fn parts(key: Key<'_>) -> (Option<&str>, i64) {
    match key {
        Key::Row(row) => (None, row),
        Key::Text(text, _, asker) => (Some(text), asker),
    }
}

/// The moment before a snapshot began. An answer is as old as this, however long its query took.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    /// The last commit that was finished by then.
    commits: u64,
    at: Instant,
}

impl Snapshot {
    pub(crate) fn at(&self) -> Instant {
        self.at
    }
}

pub(crate) struct Cache {
    answers: Box<[Mutex<Vec<Entry>>]>,
    /// How many bytes each set may hold.
    set_bytes: usize,
    changes: Box<[[AtomicU64; PART]]>,
    commits: AtomicU64,
    hasher: RandomState,
    /// For each table, by the name that queries give, whether SQLite reports its rows. Tables only change while no
    /// store is open.
    watched: RwLock<HashMap<&'static str, bool>>,
}

/// A place in `changes`.
type Place = usize;

impl Cache {
    /// A cache of this many answers and bytes. Each set can hold the largest answer that is kept, so few bytes
    /// make few sets.
    pub(crate) fn new(answers: usize, bytes: usize) -> Self {
        let sets = answers.div_ceil(WAYS).min(bytes / MAX_ANSWER_BYTES);
        Self {
            answers: (0..sets).map(|_| Mutex::default()).collect(),
            set_bytes: bytes / sets.max(1),
            changes: (0..CHANGES / PART)
                .map(|_| [const { AtomicU64::new(0) }; PART])
                .collect(),
            commits: AtomicU64::new(0),
            hasher: RandomState::new(),
            watched: RwLock::default(),
        }
    }

    /// Whether SQLite reports the rows of this table when they change. If not, an answer about one would never be
    /// voided: SQLite reports no rows of a view, of a virtual table, of a table `WITHOUT ROWID`, and of a missing
    /// table, such as a misspelt name.
    fn is_watched(&self, table: &'static str, tx: &ReadTx<'_>) -> Result<bool> {
        if let Some(&known) = self.watched.read().get(table) {
            return Ok(known);
        }
        let watched = tx.maybe(
            "SELECT type = 'table' AND NOT wr FROM pragma_table_list
             WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
            [table],
            |row| Ok(row.get(0)?),
        )?;
        let watched = watched.unwrap_or(false);
        self.watched.write().insert(table, watched);
        Ok(watched)
    }

    /// The place of a row. Not a random hash: it is computed for every row that is written. The case of a table's
    /// name does not matter.
    fn place(table: &str, row: i64) -> Place {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in table.bytes() {
            hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 48) as usize
    }

    /// The place of all new rows of a table.
    fn place_of_new(table: &str) -> Place {
        Self::place(table, i64::MIN + 1)
    }

    /// Must be called before the snapshot begins.
    pub(crate) fn before_snapshot(&self) -> Snapshot {
        Snapshot {
            commits: self.commits.load(Ordering::SeqCst),
            at: Instant::now(),
        }
    }

    /// Voids the answers at these places. Only the writer calls this, after the COMMIT and before it answers.
    fn changed(&self, places: impl Iterator<Item = Place>) {
        let commit = self.commits.load(Ordering::Relaxed) + 1;
        for place in places {
            self.changes.as_flattened()[place].store(commit, Ordering::SeqCst);
        }
        self.commits.store(commit, Ordering::SeqCst);
    }

    fn set(&self, question: TypeId, key: Key<'_>) -> Option<MutexGuard<'_, Vec<Entry>>> {
        let hash = self.hasher.hash_one((question, parts(key)));
        let set = hash.checked_rem(self.answers.len() as u64)?;
        Some(self.answers[set as usize].lock())
    }

    /// The answer that is kept for this query, if it still holds at `now`.
    pub(crate) fn get<T>(
        &self,
        question: TypeId,
        kept: &Cacheable<'_, T>,
        now: Instant,
    ) -> Option<T> {
        let set = self.set(question, kept.key)?;
        let entry = set.iter().find(|entry| entry.is_for(question, kept.key))?;
        let unchanged = |place: Place| {
            self.changes.as_flattened()[place].load(Ordering::SeqCst) <= entry.snapshot.commits
        };
        let holds = unchanged(entry.row_at)
            && entry.table_at.is_none_or(unchanged)
            && now.saturating_duration_since(entry.snapshot.at) < MAX_AGE;
        (kept.give)(entry.answer.as_ref().filter(|_| holds)?)
    }

    /// Keeps an answer from a snapshot.
    pub(crate) fn put<T>(
        &self,
        question: TypeId,
        kept: &Cacheable<'_, T>,
        answer: &T,
        tx: &ReadTx<'_>,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let size = size(kept, answer).filter(|_| !self.answers.is_empty());
        let Some(bytes) = size else {
            return Ok(());
        };
        if !self.is_watched(kept.table, tx)? {
            return Ok(());
        }
        let row = match kept.key {
            Key::Row(row) => Some(row),
            Key::Text(text, row_of, _) => tx.maybe(row_of, [text], |row| Ok(row.get(0)?))?,
        };
        let Some(row) = row else { return Ok(()) };
        let (text_key, number) = parts(kept.key);
        let entry = Entry {
            question,
            text_key: text_key.map(Into::into),
            number,
            row_at: Self::place(kept.table, row),
            table_at: text_key.map(|_| Self::place_of_new(kept.table)),
            snapshot: *snapshot,
            bytes,
            answer: Some((kept.keep)(answer)),
        };
        let Some(mut set) = self.set(question, kept.key) else {
            return Ok(());
        };
        // The query's older answer is removed, then the oldest ones until there is room.
        set.retain(|entry| !entry.is_for(question, kept.key));
        let is_full = |set: &[Entry]| {
            let held: usize = set.iter().map(|entry| entry.bytes).sum();
            set.len() == WAYS || held + bytes > self.set_bytes
        };
        while is_full(&set) {
            let oldest = (0..set.len()).min_by_key(|&at| set[at].snapshot.at);
            let Some(at) = oldest else { break };
            set.swap_remove(at);
        }
        set.push(entry);
        Ok(())
    }
}

/// The rows that a transaction changes, as SQLite reports them.
#[derive(Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<Vec<Place>>>);

impl Changes {
    /// Forgets the noted rows of a transaction that was rolled back or whose cache entries are voided.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }

    /// Voids the answers about the rows of a committed transaction.
    pub(crate) fn apply_to(&self, cache: &Cache) {
        let mut places = self.0.lock();
        cache.changed(places.drain(..));
    }
}

/// Notes the rows that statements change. SQLite does not report all of them to this hook
/// (<https://sqlite.org/c3ref/update_hook.html>): the guard handles a `DELETE` without `WHERE`, and the new row
/// stands for one that is replaced in a conflict.
pub(crate) fn watch_rows(conn: &mut Connection, changes: Changes) -> Result<()> {
    conn.update_hook(Some(move |action, _: &str, table: &str, row| {
        let mut places = changes.0.lock();
        places.push(Cache::place(table, row));
        if action == Action::SQLITE_INSERT {
            places.push(Cache::place_of_new(table));
        }
    }))?;
    Ok(())
}
