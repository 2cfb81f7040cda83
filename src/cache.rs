//! Answers kept on the callers' side, and how a commit makes them void before it is acknowledged.
//!
//! Two arrays of fixed size. `answers` is a set-associative cache: an answer is in one of eight
//! places, by the hash of its question, and the oldest there goes first. One place for each lost
//! every sixth answer at a fifth of the capacity; an LRU list over all would cost one lock for
//! every hit. `changes` has, for the hash of a table and a row, the number of the last commit that
//! changed such a row.
//!
//! The trap of such caches is a reader that fills in an answer from a snapshot older than the
//! change that made it void. Here an answer carries the number of the last commit that was
//! finished *before its snapshot began*, and holds as long as no later commit changed its row. So
//! it does not matter when it is filled in: a commit that the snapshot did not see has a larger
//! number. The writer marks the rows after its COMMIT and before it answers, so whoever has heard
//! of a change does not get the answer from before it.
//!
//! Answers have any size, so they are counted in bytes: each set has its part of the bound, and the
//! oldest there go until the next fits. One counter for all sets was turned down: sets that nobody asks
//! any more would hold bytes that those in use cannot have.
//!
//! Two rows that share a place in `changes` make each other void now and then, which costs a
//! re-read. Rows that another program changes are seen after [`MAX_AGE`].

use crate::error::Result;
use crate::operation::ReadTx;
use std::any::{Any, TypeId};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old an answer may grow, since changes by other programs are not told to us.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Answers in one set.
const WAYS: usize = 8;

/// The largest answer that is kept, with what belongs to it: about twelve usual ones.
const MAX_ANSWER_BYTES: usize = 4096;

/// Places for the numbers of commits: half a mebibyte.
const CHANGES: usize = 1 << 16;

type Answer = Arc<dyn Any + Send + Sync>;

/// Says that an answer hangs on one row of one table, and so may be kept until the row changes.
///
/// The table must not be `WITHOUT ROWID`, and the answer may depend on nothing else: neither on
/// other rows nor on the time. An answer that owns memory says how much by [`bytes`](Self::bytes), or
/// is not kept.
///
/// ```
/// use botstore::{Kept, Query, ReadTx, Result};
///
/// struct GetNote { note_id: i64 }
///
/// impl Query for GetNote {
///     type Output = Option<String>;
///
///     fn fetch(&self, tx: &ReadTx<'_>) -> Result<Option<String>> {
///         let sql = "SELECT body FROM notes WHERE note_id = ?1";
///         tx.maybe(sql, [self.note_id], |row| Ok(row.get(0)?))
///     }
///
///     fn kept(&self) -> Option<Kept<'_, Self::Output>> {
///         let kept = Kept::row("notes", self.note_id);
///         Some(kept.bytes(|body: &Option<String>| body.as_ref().map_or(0, String::len)))
///     }
/// }
/// ```
pub struct Kept<'a, T> {
    table: &'static str,
    key: Key<'a>,
    keep: fn(&T) -> Answer,
    give: fn(&Answer) -> Option<T>,
    /// How many bytes an answer owns beside its own size; `None` if nobody can say.
    owns: Option<fn(&T) -> usize>,
}

/// What the question asks for.
#[derive(Clone, Copy)]
enum Key<'a> {
    /// The row's own id.
    Row(i64),
    /// Another key of the row, the statement that tells its id, and what else the answer is for.
    Text(&'a str, &'static str, i64),
}

impl<'a, T: Clone + Send + Sync + 'static> Kept<'a, T> {
    /// An answer about the row with this id (its `INTEGER PRIMARY KEY`).
    pub fn row(table: &'static str, id: i64) -> Self {
        Self::new(table, Key::Row(id))
    }

    /// An answer about the row with this textual key, for this asker. `row_of` is a statement that
    /// gives the row's `rowid` for the key as `?1`. An answer about a row that is not there is not
    /// kept.
    pub fn text(table: &'static str, key: &'a str, row_of: &'static str, asker: i64) -> Self {
        Self::new(table, Key::Text(key, row_of, asker))
    }

    fn new(table: &'static str, key: Key<'a>) -> Self {
        // What has nothing to give back when it is dropped owns nothing.
        let plain = !std::mem::needs_drop::<T>();
        Self {
            table,
            key,
            keep: |answer| Arc::new(answer.clone()),
            give: |answer| answer.downcast_ref().cloned(),
            owns: plain.then_some(|_| 0),
        }
    }

    /// How many bytes an answer owns beside its own size: the lengths of its texts. Kept answers are
    /// bounded by it, so one that owns memory and does not say how much is not kept; nor is one of
    /// more than 4 KiB.
    pub fn bytes(mut self, owns: fn(&T) -> usize) -> Self {
        self.owns = Some(owns);
        self
    }
}

impl<T> Kept<'_, T> {
    /// How many bytes it takes to keep this answer; `None` if it cannot be kept.
    fn size(&self, answer: &T) -> Option<usize> {
        let key = match self.key {
            Key::Row(_) => 0,
            Key::Text(key, ..) => key.len(),
        };
        let fixed = size_of::<Entry>() + size_of::<T>();
        let bytes = (self.owns?)(answer).checked_add(key + fixed)?;
        (bytes <= MAX_ANSWER_BYTES).then_some(bytes)
    }
}

/// An answer in its place.
struct Entry {
    question: TypeId,
    row_key: i64,
    text_key: Option<Box<str>>,
    /// Where in `changes` its row is.
    row_at: usize,
    /// Where in `changes` new rows of its table are, if its key is not the row's id: a row may be
    /// replaced by one with another id.
    table_at: Option<usize>,
    /// The last commit that was finished before the snapshot of the answer began.
    seen: u64,
    kept_at: Instant,
    bytes: usize,
    answer: Answer,
}

impl Entry {
    fn is_for(&self, question: TypeId, key: Key<'_>) -> bool {
        self.question == question
            && match key {
                Key::Row(row) => self.row_key == row && self.text_key.is_none(),
                Key::Text(text, _, asker) => {
                    self.row_key == asker && self.text_key.as_deref() == Some(text)
                }
            }
    }
}

pub(crate) struct Cache {
    answers: Box<[Mutex<Vec<Entry>>]>,
    /// How many bytes each set may hold.
    set_bytes: usize,
    changes: Box<[AtomicU64]>,
    commits: AtomicU64,
    hasher: RandomState,
}

/// What a commit did to a row.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Change {
    NewRow,
    Row,
}

/// Where in the array of changes something is.
pub(crate) type Place = usize;

impl Cache {
    /// Room for so many answers, which hold so many bytes together. Each set can hold the largest
    /// answer that is kept, so few bytes make few sets.
    pub(crate) fn new(answers: usize, bytes: usize) -> Self {
        let sets = answers.div_ceil(WAYS).min(bytes / MAX_ANSWER_BYTES);
        Self {
            answers: (0..sets).map(|_| Mutex::default()).collect(),
            set_bytes: bytes / sets.max(1),
            changes: (0..CHANGES).map(|_| AtomicU64::new(0)).collect(),
            commits: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// The place of a row. Not a random hash: it is computed for every row that is written.
    pub(crate) fn place(table: &str, row: i64) -> Place {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in table.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> 48) as usize
    }

    /// The place of all new rows of a table.
    pub(crate) fn place_of_new(table: &str) -> Place {
        Self::place(table, i64::MIN + 1)
    }

    /// The last commit that is finished: to be asked before a snapshot begins.
    pub(crate) fn seen(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Makes void what hangs on these places. After the COMMIT, before anybody hears of it, and by
    /// the writer only.
    pub(crate) fn changed(&self, places: impl Iterator<Item = Place>) {
        let commit = self.commits.load(Ordering::Relaxed) + 1;
        for place in places {
            self.changes[place].store(commit, Ordering::SeqCst);
        }
        self.commits.store(commit, Ordering::SeqCst);
    }

    fn set(&self, question: TypeId, key: Key<'_>) -> Option<MutexGuard<'_, Vec<Entry>>> {
        let mut hasher: DefaultHasher = self.hasher.build_hasher();
        question.hash(&mut hasher);
        match key {
            Key::Row(row) => row.hash(&mut hasher),
            Key::Text(text, _, asker) => (text, asker).hash(&mut hasher),
        }
        let sets = self.answers.len() as u64;
        let set = (sets > 0).then(|| &self.answers[(hasher.finish() % sets) as usize])?;
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer that is kept for this question, if it still holds.
    pub(crate) fn get<T>(&self, question: TypeId, kept: &Kept<'_, T>) -> Option<T> {
        let set = self.set(question, kept.key)?;
        let entry = set.iter().find(|entry| entry.is_for(question, kept.key))?;
        let unchanged = |place: Place| self.changes[place].load(Ordering::SeqCst) <= entry.seen;
        let holds = unchanged(entry.row_at)
            && entry.table_at.is_none_or(unchanged)
            && entry.kept_at.elapsed() < MAX_AGE;
        holds.then(|| (kept.give)(&entry.answer)).flatten()
    }

    /// Keeps an answer from a snapshot that began when `seen` was the last finished commit.
    pub(crate) fn put<T>(
        &self,
        question: TypeId,
        kept: &Kept<'_, T>,
        answer: &T,
        tx: &ReadTx<'_>,
        seen: u64,
    ) -> Result<()> {
        let size = kept.size(answer).filter(|_| !self.answers.is_empty());
        let Some(bytes) = size else {
            return Ok(());
        };
        let (row, row_key, text_key) = match kept.key {
            Key::Row(row) => (row, row, None),
            Key::Text(text, row_of, asker) => {
                let Some(row) = tx.maybe(row_of, [text], |row| Ok(row.get(0)?))? else {
                    return Ok(());
                };
                (row, asker, Some(text.into()))
            }
        };
        let table_at = text_key.is_some().then(|| Self::place_of_new(kept.table));
        let entry = Entry {
            question,
            row_key,
            text_key,
            row_at: Self::place(kept.table, row),
            table_at,
            seen,
            kept_at: Instant::now(),
            bytes,
            answer: (kept.keep)(answer),
        };
        let Some(mut set) = self.set(question, kept.key) else {
            return Ok(());
        };
        // The same question's answer from before goes; and then the oldest, until there is room.
        let before = set.iter().position(|e| e.is_for(question, kept.key));
        if let Some(at) = before {
            set.swap_remove(at);
        }
        let is_full = |set: &[Entry]| {
            let held: usize = set.iter().map(|entry| entry.bytes).sum();
            set.len() == WAYS || held + bytes > self.set_bytes
        };
        while is_full(&set) {
            let oldest = (0..set.len()).min_by_key(|&at| set[at].kept_at);
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
    pub(crate) fn note(&self, change: Change, table: &str, row: i64) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(Cache::place(table, row));
        if change == Change::NewRow {
            places.push(Cache::place_of_new(table));
        }
    }

    /// Forgets what was noted: of a transaction that was rolled back, or that is told.
    pub(crate) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Tells the cache of a transaction that was committed.
    pub(crate) fn tell(&self, cache: &Cache) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.changed(places.drain(..));
    }
}
