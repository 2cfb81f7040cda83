//! What is in a WAL: which pages were written, and to which table or index each belongs.

#![allow(dead_code, reason = "each program uses a part of it")]

use super::rusqlite::{Connection, Result};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The frames of a WAL, each the number of its page. See <https://sqlite.org/fileformat2.html#walformat>.
#[derive(Debug, Default)]
pub struct Wal {
    /// What tells one run of the WAL from another.
    salts: Vec<u8>,
    pages: Vec<u32>,
}

impl Wal {
    /// Reads the WAL of this file; it is empty if there is none.
    pub fn of(database: &Path) -> std::io::Result<Self> {
        const HEADER: usize = 32;
        const FRAME_HEADER: usize = 24;
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        let wal = match std::fs::read(name) {
            Ok(wal) if wal.len() > HEADER => wal,
            Ok(_) => return Ok(Self::default()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(e),
        };
        let number =
            |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().expect("it has four bytes"));
        let (page_size, salts) = (number(8) as usize, &wal[16..24]);
        // Frames of an earlier run may follow; they have other salts.
        let pages = (HEADER..wal.len() - FRAME_HEADER)
            .step_by(FRAME_HEADER + page_size)
            .take_while(|at| &wal[at + 8..at + 16] == salts)
            .map(number);
        Ok(Self {
            salts: salts.to_owned(),
            pages: pages.collect(),
        })
    }

    /// The frames that came after those of `before`, as pages. The WAL has started over at most once in between.
    pub fn since(&self, before: &Self) -> &[u32] {
        match self.salts == before.salts {
            true => &self.pages[before.pages.len()..],
            false => &self.pages,
        }
    }
}

/// How many of these pages belong to each table and each index.
pub fn by_tree(conn: &Connection, pages: &[u32]) -> Result<BTreeMap<String, usize>> {
    let owners = conn
        .prepare("SELECT pageno, name FROM dbstat")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<HashMap<u32, String>>>()?;
    let mut counts = BTreeMap::new();
    for page in pages {
        let owner = match page {
            // It is written whenever the file grows.
            1 => "(the file's first page)",
            _ => owners.get(page).map_or("(free)", String::as_str),
        };
        *counts.entry(owner.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// A table of frames an exchange: one row for each table and index, one column for each side.
pub fn table(columns: &[(&str, f64, &BTreeMap<String, usize>)]) -> String {
    use std::fmt::Write;
    let each = |exchanges: &f64, trees: &BTreeMap<String, usize>, name: &str| {
        trees.get(name).copied().unwrap_or(0) as f64 / exchanges
    };
    let mut names = Vec::from_iter(columns.iter().flat_map(|(.., trees)| trees.keys()));
    names.sort_unstable();
    names.dedup();
    // The dearest first.
    names.sort_by(|a, b| {
        let of = |name: &str| {
            columns
                .iter()
                .map(|(_, n, trees)| each(n, trees, name))
                .sum::<f64>()
        };
        of(b).total_cmp(&of(a))
    });
    let mut text = format!("{:<44}", "frames an exchange");
    for (title, ..) in columns {
        let _ = write!(text, "{title:>16}");
    }
    let mut line = |name: &str, values: &mut dyn Iterator<Item = f64>| {
        let _ = write!(text, "\n{name:<44}");
        for value in values {
            let _ = write!(text, "{value:>16.3}");
        }
    };
    line(
        "all",
        &mut columns
            .iter()
            .map(|(_, n, trees)| trees.values().sum::<usize>() as f64 / n),
    );
    for name in names {
        line(
            name,
            &mut columns.iter().map(|(_, n, trees)| each(n, trees, name)),
        );
    }
    text
}
