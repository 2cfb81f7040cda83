//! The store against plain rusqlite over the seed's own schema: N1 to N17. Both sides save the same exchanges of
//! 1,000 users in 5,000 sessions, with the same page size, the same page cache and the same limit of the WAL.

mod files;
mod frames;
mod limits;
mod reads;
mod transfer;
mod usage;
mod writes;

pub(crate) use frames::print as print_frames;

use crate::table::Row;
use crate::{Args, File, Keys};
use botstore::Result;
use files::Files;

const WRITES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const MIXED: [&str; 2] = ["n6", "n7"];
const READS: [&str; 2] = ["n8", "n9"];
const TRANSFER: [&str; 2] = ["n10", "n11"];
const FRAMES: [&str; 2] = ["n12", "n13"];
const USAGE: [&str; 2] = ["n14", "n15"];
const LIMITS: [&str; 2] = ["n16", "n17"];

pub(crate) fn measure(args: &Args, rows: &mut Vec<Row>) -> Result<()> {
    if args.wants(&TRANSFER) {
        transfer::measure(args, rows)?;
    }
    if !args.wants(&[&WRITES[..], &MIXED, &READS, &FRAMES, &USAGE, &LIMITS].concat()) {
        return Ok(());
    }
    for files in made(args) {
        let files = files?;
        if args.wants(&READS) {
            reads::measure(&Case::new(args, &files, Keys::Without), rows)?;
        }
        for keys in [Keys::Without, Keys::With] {
            if !args.wants_keys(keys) {
                continue;
            }
            let case = Case::new(args, &files, keys);
            // First, while the large file is as it was made.
            if args.wants(&FRAMES) {
                frames::measure(&case, rows)?;
            }
            if args.wants(&WRITES) {
                writes::measure(&case, rows)?;
            }
            if args.wants(&USAGE) {
                usage::measure(&case, rows)?;
            }
            if args.wants(&LIMITS) {
                limits::measure(&case, rows)?;
            }
            if args.wants(&MIXED) {
                writes::beside_reads(&case, rows)?;
            }
        }
    }
    Ok(())
}

/// The files that are asked for, each made when its turn comes.
fn made(args: &Args) -> impl Iterator<Item = Result<Files>> + '_ {
    [(File::Empty, 0), (File::Large, args.large())]
        .into_iter()
        .filter(|(file, _)| args.wants_file(*file))
        .map(|(_, messages)| Files::make(messages, args.plain_checkpoint))
}

/// What a row is measured on.
struct Case<'a> {
    args: &'a Args,
    files: &'a Files,
    keys: Keys,
}

impl<'a> Case<'a> {
    fn new(args: &'a Args, files: &'a Files, keys: Keys) -> Self {
        Self { args, files, keys }
    }

    /// The row's id with the file and the keys, such as `n1-1m-keys`.
    fn id(&self, row: &str) -> String {
        match self.keys {
            Keys::Without => format!("{row}-{}", self.files.name()),
            Keys::With => format!("{row}-{}-keys", self.files.name()),
        }
    }
}
