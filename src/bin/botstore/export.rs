//! `export`: writes rows as JSON, all of one snapshot, in constant memory.

use crate::answer::{Answer, Exit, Failure, Outcome, Shape, error_json};
use crate::escape::{Escaped, Notation};
use crate::file::{config, give_away, named};
use crate::paths;
use crate::print;
use crate::progress::{count, stopped};
use crate::rows::{Column, RowOf};
use crate::text::Facts;
use botstore::{Error, ErrorKind, ReadTx, Result};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes rows as JSON Lines, all of one snapshot
///
/// One object a line, {"table":"users","row":{…}}: tables in the order of their references, rows by id.
/// With --json and without --out the output is one object of arrays. A value that is neither text nor
/// number is {"hex":"…"}; but a JSON document that is a number, which the store keeps as bytes, is its
/// text. The ids of users on messengers without numeric ids are in botstore_external_user. The members
/// of shared sessions are in botstore_session_member; what requests used, and what belongs to messages, in
/// botstore_usage and the tables beside it.
///
/// The rows are of one snapshot, even while a bot has the file open and writes. The bot's WAL cannot
/// start over before the export ends, so do not leave it waiting in a pager.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Export {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// Only this table; may be repeated [default: all but the store's own]
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// Writes into this new file, which only its owner can read
    #[arg(long, value_name = "FILE", value_parser = named())]
    out: Option<PathBuf>,
    /// Also writes secrets: the hashes of tokens
    #[arg(long)]
    with_secrets: bool,
}

/// The tables with people's data, referenced tables first. Other tables of the bot's follow by name.
const FIRST: [&str; 17] = [
    "users",
    "botstore_external_user",
    "botstore_user_metadata",
    "sessions",
    "botstore_session_member",
    "botstore_session_metadata",
    "messages",
    "botstore_message_metadata",
    "botstore_attachment",
    "botstore_feedback",
    "botstore_prompt",
    "botstore_usage",
    "tool_usage",
    "botstore_tool_result",
    "audit_log",
    "user_tokens",
    "cost_tracking",
];

/// Left out unless asked for.
const SECRETS: [(&str, &str); 1] = [("user_tokens", "token_hash")];

impl Export {
    pub(crate) fn run(&self, shape: Shape) -> Outcome {
        match &self.out {
            Some(out) => self.to_file(out),
            None => self.to_stdout(shape),
        }
    }

    fn to_stdout(&self, shape: Shape) -> Outcome {
        let mut writer = Writer::new(print::stdout(Notation::Json), shape);
        let written = botstore::snapshot(config(&self.file), |tx| self.write(tx, &mut writer));
        if let Err(error) = &written
            && writer.begun
        {
            writer.give_up(error);
        }
        let begun = writer.begun;
        match (written, writer.broken) {
            (_, Some(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::NobodyReads),
            (_, Some(e)) => Err(Failure::HalfWay(Error::io("cannot write", e))),
            // The document itself reports the error.
            (Err(error), None) if begun && shape == Shape::Json => Ok(Answer {
                exit: Exit::of(error.kind()),
                ..Answer::silent()
            }),
            (Err(error), None) if begun => Err(Failure::HalfWay(error)),
            (Err(error), None) => Err(error.into()),
            (Ok(()), None) => Ok(Answer::silent()),
        }
    }

    /// Writes the file, which gets its name when it is complete.
    fn to_file(&self, out: &Path) -> Outcome {
        let failed = |e| Error::io(format_args!("cannot write {}", out.display()), e);
        let taken = || Error::conflict("out", format_args!("file {}", out.display()));
        if out.exists() {
            return Err(taken().into());
        }
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .make_in(folder, new_file)
            .map_err(failed)?;
        let mut writer = Writer::new(
            Escaped::new(file.as_file_mut(), Notation::Json),
            Shape::Text,
        );
        let bar = count("rows");
        let written = botstore::snapshot(config(&self.file), |tx| {
            writer.bar = Some(bar);
            self.write(tx, &mut writer)
        });
        if let Some(e) = writer.broken {
            return Err(failed(e).into());
        }
        written?;
        let rows = std::mem::take(&mut writer.rows);
        drop(writer);
        give_away(file.as_file(), folder, &self.file).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(out)
            .map_err(|e| match e.error.kind() {
                io::ErrorKind::AlreadyExists => taken(),
                _ => failed(e.error),
            })?;
        let mut facts = Facts::default();
        facts.add("written", out.display());
        facts.add("rows", rows.values().sum::<u64>());
        Ok(Answer::fine(
            facts.into_text(),
            paths::with(json!({ "rows": rows }), "out", out),
        ))
    }

    fn write(&self, tx: &ReadTx<'_>, writer: &mut Writer<impl Write>) -> Result<()> {
        let tables = self.tables(tx)?;
        for table in &tables {
            let columns = self.columns(tx, table)?;
            writer.begin(&table.name)?;
            // Each row is written as it is read, and not kept.
            tx.all(&table.select(&columns), [], |row| {
                stopped()?;
                let columns = &columns;
                writer.row(&table.name, &RowOf { row, columns })
            })?;
        }
        writer.end()
    }

    fn tables(&self, tx: &ReadTx<'_>) -> Result<Vec<Table>> {
        let mut tables = tx.all(
            "SELECT name, wr FROM pragma_table_list
             WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*'",
            [],
            |row| {
                Ok(Table {
                    name: row.get(0)?,
                    without_rowid: row.get(1)?,
                })
            },
        )?;
        tables.sort_by_key(Table::place);
        for name in &self.table {
            if !tables.iter().any(|table| table.name == *name) {
                let what = format!("table {name:?} in this file");
                return Err(Error::not_found("table", what));
            }
        }
        tables.retain(|table| match self.table.is_empty() {
            true => !table.is_the_stores(),
            false => self.table.contains(&table.name),
        });
        Ok(tables)
    }

    fn columns(&self, tx: &ReadTx<'_>, table: &Table) -> Result<Vec<Column>> {
        let mut columns: Vec<Column> = tx.all(
            "SELECT name, upper(type) = 'JSON' FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
            [&table.name],
            |row| {
                Ok(Column {
                    name: row.get(0)?,
                    is_json: row.get(1)?,
                })
            },
        )?;
        let secret = |column: &str| SECRETS.contains(&(table.name.as_str(), column));
        columns.retain(|column| self.with_secrets || !secret(&column.name));
        Ok(columns)
    }
}

/// Creates a file that only its owner can read.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

struct Table {
    name: String,
    without_rowid: bool,
}

impl Table {
    fn place(&self) -> (usize, String) {
        let first = FIRST.iter().position(|name| *name == self.name);
        (first.unwrap_or(FIRST.len()), self.name.clone())
    }

    /// Whether the table is internal to the store or the Python bot.
    fn is_the_stores(&self) -> bool {
        let is_ours = self.name.starts_with("botstore_") || self.name == "schema_version";
        is_ours && !FIRST.contains(&self.name.as_str())
    }

    fn select(&self, columns: &[Column]) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let list: Vec<_> = columns.iter().map(|column| quoted(&column.name)).collect();
        let (list, from) = (list.join(", "), quoted(&self.name));
        match self.without_rowid {
            // The table is the index of its primary key, so this is its order.
            true => format!("SELECT {list} FROM {from} NOT INDEXED"),
            false => format!("SELECT {list} FROM {from} ORDER BY rowid"),
        }
    }
}

/// Where rows go. Hidden characters are escaped in files too: a JSON parser returns the same character,
/// and a terminal that shows the file is not controlled by it.
struct Writer<W: Write> {
    to: Escaped<W>,
    shape: Shape,
    /// Whether anything was written.
    begun: bool,
    /// How many rows of each table were written.
    rows: BTreeMap<String, u64>,
    /// Why nothing more can be written.
    broken: Option<io::Error>,
    /// Shows how many rows have been written.
    bar: Option<ProgressBar>,
}

impl<W: Write> Writer<W> {
    fn new(to: Escaped<W>, shape: Shape) -> Self {
        Self {
            to,
            shape,
            begun: false,
            rows: BTreeMap::new(),
            broken: None,
            bar: None,
        }
    }

    fn begin(&mut self, table: &str) -> Result<()> {
        let opening = match self.rows.is_empty() {
            true => "{",
            false => "\n],",
        };
        self.rows.insert(table.to_owned(), 0);
        self.within_document(|to| {
            to.write_all(opening.as_bytes())?;
            serde_json::to_writer(&mut *to, table)?;
            to.write_all(b":[")
        })
    }

    fn row(&mut self, table: &str, row: &RowOf<'_>) -> Result<()> {
        let rows = self.rows.entry(table.to_owned()).or_default();
        let separator: &[u8] = match *rows {
            0 => b"\n",
            _ => b",\n",
        };
        *rows += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        let shape = self.shape;
        self.attempt(|to| match shape {
            Shape::Json => {
                to.write_all(separator)?;
                Ok(serde_json::to_writer(to, row)?)
            }
            Shape::Text => {
                serde_json::to_writer(&mut *to, &Line { table, row })?;
                to.write_all(b"\n")
            }
        })
    }

    fn end(&mut self) -> Result<()> {
        let closing: &[u8] = match self.rows.is_empty() {
            true => b"{}\n",
            false => b"\n]}\n",
        };
        self.within_document(|to| to.write_all(closing))?;
        self.attempt(Escaped::flush)
    }

    /// Ends a document in the middle of a table, and adds the error. It stays a JSON document, with a
    /// field `error` like any other answer.
    fn give_up(&mut self, error: &Error) {
        let opening: &[u8] = match self.rows.is_empty() {
            true => b"{",
            false => b"\n],",
        };
        let error = error_json(error);
        // If this cannot be written, stderr has the error.
        let _ = self.within_document(|to| {
            to.write_all(opening)?;
            to.write_all(b"\"error\":")?;
            serde_json::to_writer(&mut *to, &error)?;
            to.write_all(b"}\n")
        });
        let _ = self.attempt(Escaped::flush);
    }

    fn within_document(
        &mut self,
        write: impl FnOnce(&mut Escaped<W>) -> io::Result<()>,
    ) -> Result<()> {
        match self.shape {
            Shape::Json => self.attempt(write),
            Shape::Text => Ok(()),
        }
    }

    /// Keeps the error of the output apart, since it is not the file's.
    fn attempt(&mut self, write: impl FnOnce(&mut Escaped<W>) -> io::Result<()>) -> Result<()> {
        self.begun = true;
        write(&mut self.to).map_err(|e| {
            self.broken = Some(e);
            Error::new(ErrorKind::Io, "the rows could not be written")
        })
    }
}

#[derive(serde::Serialize)]
struct Line<'a> {
    table: &'a str,
    row: &'a RowOf<'a>,
}
