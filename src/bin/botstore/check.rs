//! `check`: is the file damaged, and does it agree with itself?

use crate::answer::{Answer, Exit, Outcome, what_to_do};
use crate::file::named;
use crate::objects;
use crate::text::{self, Column, Facts};
use botstore::integrity::{CheckFile, CheckReport, Difference, Findings};
use botstore::rollups::{ReconcileRollups, RollupReport};
use botstore::{Config, ErrorKind, Store};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Looks for damage, and compares counters with what they count
///
/// Reads the whole file, beside a bot that has it open too, and changes nothing. Damage is what
/// SQLite's integrity check finds (exit code 3). Counters that differ from what they count, and rows
/// that refer to nothing, are no damage (exit code 4): files that were taken over from the Python
/// bot have them, since that bot lost updates. Nor are rollups (what statistics are made of) that
/// differ from a full count; --repair mends those, while no bot has the file open. Triggers, views,
/// virtual tables and generated columns that no step of this program made are listed: they may be the
/// bot's own or an operator's (code 0), or stand in place of what a step made (code 4).
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The database
    #[arg(value_parser = named())]
    file: PathBuf,
    /// Mend rollups that differ
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let (report, rollups) = botstore::snapshot(&self.file, |tx| {
            let report = tx.query(&CheckFile)?;
            // What is read from a damaged file says nothing.
            let rollups = match report.is_damaged() {
                true => RollupReport::default(),
                false => tx.query(&ReconcileRollups)?,
            };
            Ok((report, rollups))
        })?;
        let unknown = botstore::schema::unknown_objects(&self.file)?;
        let mended = self.repair && rollups.differences > 0;
        if mended {
            repair(&self.file)?;
        }
        let differs =
            report.differs() || unknown.has_altered() || (rollups.differences > 0 && !mended);
        let exit = match report.is_damaged() {
            true => Exit::Damaged,
            false if differs => Exit::Differs,
            false => Exit::Fine,
        };
        Ok(Answer {
            text: text_of(&report, &rollups, mended) + &objects::text(&unknown),
            json: json!({
                "damaged": report.is_damaged(),
                "differs": differs,
                "report": report,
                "unknown_objects": unknown,
                "rollups": {
                    "differences": rollups.differences,
                    "first": rollups.named,
                    "mended": mended,
                },
            }),
            exit,
        })
    }
}

fn repair(file: &Path) -> botstore::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|e| botstore::Error::new(ErrorKind::Io, e.to_string()))?;
    runtime.block_on(async {
        // A count of ten million messages takes longer than a dashboard may.
        let config = Config::new(file).analytics_deadline(Duration::from_secs(3_600));
        let store = Store::open(config).await?;
        let mended = store.repair_rollups().await;
        store.close().await?;
        mended.map(|_| ())
    })
}

fn text_of(report: &CheckReport, rollups: &RollupReport, mended: bool) -> String {
    let mut facts = Facts::default();
    facts.add("damage", verdict(&report.damage, "finding"));
    if report.is_damaged() {
        // One finding may have several lines.
        for line in report.damage.first.iter().flat_map(|text| text.lines()) {
            facts.add("", line);
        }
        facts.add("what to do", what_to_do(ErrorKind::Corrupt));
        return facts.into_text();
    }
    facts.add("references", verdict(&report.orphans, "orphaned row"));
    facts.add("counters", verdict(&report.differences, "difference"));
    facts.add("ids", verdict(&report.ids, "counter near its end"));
    facts.add(
        "rollups",
        match rollups.differences {
            0 => "none".to_owned(),
            rows if mended => format!("{}, mended", text::count(rows as u64, "difference")),
            rows => text::count(rows as u64, "difference"),
        },
    );
    let mut text = facts.into_text();
    if report.orphans.total > 0 {
        let orphans = report.orphans.first.iter().map(|orphan| {
            let rowid = orphan.rowid.map(|rowid| rowid.to_string());
            [
                orphan.table.clone(),
                rowid.unwrap_or_default(),
                orphan.parent.clone(),
            ]
        });
        let columns = [
            Column::Text("table"),
            Column::Number("row"),
            Column::Text("refers to"),
        ];
        text += &text::table(columns, &orphans.collect::<Vec<_>>());
    }
    if report.ids.total > 0 {
        let ids = report.ids.first.iter().map(|counter| {
            [
                text::printable(&counter.table),
                counter.last.to_string(),
                counter.largest.to_string(),
            ]
        });
        let columns = [
            Column::Text("table"),
            Column::Number("last id given"),
            Column::Number("largest id"),
        ];
        text += &text::table(columns, &ids.collect::<Vec<_>>());
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
    if rollups.differences > 0 {
        let columns = [
            Column::Text("rollup"),
            Column::Text("row"),
            Column::Text("says"),
            Column::Text("counted"),
        ];
        let cell = |text: &Option<String>| text.as_deref().unwrap_or("nothing").to_owned();
        let rows = rollups.named.iter().map(|difference| {
            [
                difference.table.clone(),
                difference.row.clone(),
                cell(&difference.says),
                cell(&difference.counted),
            ]
        });
        text += &text::table(columns, &rows.collect::<Vec<_>>());
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
        difference.of.clone(),
        number(difference.stored),
        number(difference.counted),
    ]
}
