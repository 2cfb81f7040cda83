//! Operations that panic wherever a host's code runs, and a panic hook that keeps quiet about them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use botstore::rusqlite::{self, ToSql, types::ToSqlOutput};
use botstore::{Lane, Mutation, Query, ReadTx, Result, WriteTx};
use std::fmt;

pub const MESSAGE: &str = "this panic is part of a test";

/// Ten thousand messages would drown the one that matters. Installed for the whole process: hooks
/// know no threads.
pub fn keep_quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
            // What is no text comes from `panic_any`, which tests alone do.
            if text.is_some_and(|text| text != MESSAGE) {
                loud(info);
            }
        }));
    });
}

/// Where an operation panics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// Before it has touched the file.
    First,
    /// While a value of its own is bound.
    Bind,
    /// While a row is read.
    Row,
    /// After it has done all that it does.
    Last,
    /// When it is dropped. It has done its work by then.
    Drop,
    /// Not in the operation: the error that it gives has a source that panics when it is dropped.
    ErrorsSource,
}

impl Place {
    /// Those at which the operation's own run panics.
    pub const IN_THE_RUN: [Self; 4] = [Self::First, Self::Bind, Self::Row, Self::Last];

    pub fn panic_if(self, here: Self) {
        if self == here {
            panic!("{MESSAGE}");
        }
    }
}

/// Panics when it is dropped, but not a second time while it unwinds, which would end the process.
#[derive(Debug, Default)]
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{MESSAGE}");
        }
    }
}

/// Panics when it is bound, if that is its place.
struct Bound(Place);

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.panic_if(Place::Bind);
        Ok(ToSqlOutput::from(""))
    }
}

/// The source of an error. A host makes errors with sources through rusqlite's.
#[derive(Debug)]
struct Source(#[allow(dead_code)] Bomb);

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a test's")
    }
}

impl std::error::Error for Source {}

fn fail_if(place: Place) -> Result<()> {
    match place {
        Place::ErrorsSource => {
            let source = Box::new(Source(Bomb));
            Err(rusqlite::Error::ToSqlConversionFailure(source).into())
        }
        _ => Ok(()),
    }
}

/// Writes its number, unless it panics.
pub struct Write {
    number: i64,
    place: Place,
    _bomb: Option<Bomb>,
}

impl Write {
    pub fn new(number: i64, place: Place) -> Self {
        Self {
            number,
            place,
            _bomb: (place == Place::Drop).then(Bomb::default),
        }
    }
}

impl Mutation for Write {
    type Output = i64;

    fn apply(&self, tx: &WriteTx<'_>) -> Result<i64> {
        self.place.panic_if(Place::First);
        let sql = "INSERT INTO probe (number, text) VALUES (?1, ?2)";
        tx.execute(sql, (self.number, Bound(self.place)))?;
        let sql = "SELECT number FROM probe WHERE number = ?1";
        let number = tx.one(sql, [self.number], |row| {
            self.place.panic_if(Place::Row);
            Ok(row.get(0)?)
        })?;
        self.place.panic_if(Place::Last);
        fail_if(self.place)?;
        Ok(number)
    }
}

/// What both queries do.
fn look(tx: &ReadTx<'_>, place: Place) -> Result<i64> {
    place.panic_if(Place::First);
    let sql = "SELECT count(*) FROM probe WHERE text = ?1";
    let count = tx.one(sql, [Bound(place)], |row| {
        place.panic_if(Place::Row);
        Ok(row.get(0)?)
    })?;
    place.panic_if(Place::Last);
    fail_if(place)?;
    Ok(count)
}

/// Asks for the number of rows, unless it panics.
pub struct Read {
    place: Place,
    _bomb: Option<Bomb>,
}

impl Read {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            _bomb: (place == Place::Drop).then(Bomb::default),
        }
    }
}

impl Query for Read {
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        look(tx, self.place)
    }
}

/// The same in the analytics lane.
pub struct Scan(pub Read);

impl Query for Scan {
    const LANE: Lane = Lane::Analytics;
    type Output = i64;

    fn fetch(&self, tx: &ReadTx<'_>) -> Result<i64> {
        look(tx, self.0.place)
    }
}
