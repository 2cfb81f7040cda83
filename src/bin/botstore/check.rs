//! `check`: is the file damaged, and does it agree with itself?

use crate::answer::{Answer, Exit, Outcome, what_to_do};
use crate::text::{self, Column, Facts};
use botstore::ErrorKind;
use botstore::checkup::{CheckFile, CheckReport, Difference, Findings};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Looks for damage, and compares counters with what they count
///
/// Reads the whole file, beside a bot that has it open too, and changes nothing. Damage is what
/// SQLite's integrity check finds (exit code 3). Counters that differ from what they count, and rows
/// that refer to nothing, are no damage (exit code 4): files that were taken over from the Python
/// bot have them, since that bot lost updates.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The database
    file: PathBuf,
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let report = botstore::snapshot(&self.file, |tx| tx.ask(&CheckFile))?;
        let exit = match &report {
            report if report.is_damaged() => Exit::Damaged,
            report if report.differs() => Exit::Differs,
            _ => Exit::Fine,
        };
        Ok(Answer {
            text: text_of(&report),
            json: json!({
                "damaged": report.is_damaged(),
                "differs": report.differs(),
                "report": report,
            }),
            exit,
        })
    }
}

fn text_of(report: &CheckReport) -> String {
    let mut facts = Facts::default();
    facts.add("damage", verdict(&report.damage, "finding"));
    if report.is_damaged() {
        // One finding may have several lines.
        for line in report.damage.first.iter().flat_map(|text| text.lines()) {
            facts.add("", text::printable(line));
        }
        facts.add("what to do", what_to_do(ErrorKind::Corrupt));
        return facts.into_text();
    }
    facts.add("references", verdict(&report.orphans, "orphaned row"));
    facts.add("counters", verdict(&report.differences, "difference"));
    let mut text = facts.into_text();
    if report.orphans.total > 0 {
        let orphans = report.orphans.first.iter().map(|orphan| {
            let rowid = orphan.rowid.map(|rowid| rowid.to_string());
            [
                text::printable(&orphan.table),
                rowid.unwrap_or_default(),
                text::printable(&orphan.parent),
            ]
        });
        let columns = [
            Column::Text("table"),
            Column::Number("row"),
            Column::Text("refers to"),
        ];
        text += &text::table(columns, &orphans.collect::<Vec<_>>());
    }
    if report.differences.total > 0 {
        let columns = [
            Column::Text("counter"),
            Column::Text("of"),
            Column::Number("says"),
            Column::Number("counted"),
        ];
        let rows: Vec<_> = report.differences.first.iter().map(cells).collect();
        text += &text::table(columns, &rows);
    }
    text
}

fn verdict<T>(findings: &Findings<T>, noun: &str) -> String {
    let shown = findings.first.len() as u64;
    match findings.total {
        0 => "none".to_owned(),
        total if total > shown => format!("{}, the first {shown} here", text::count(total, noun)),
        total => text::count(total, noun),
    }
}

fn cells(difference: &Difference) -> [String; 4] {
    let number = |n: f64| match n.fract() == 0.0 {
        true => format!("{n:.0}"),
        false => format!("{n:.6}"),
    };
    [
        difference.counter.clone(),
        text::printable(&difference.of),
        number(difference.stored),
        number(difference.counted),
    ]
}
