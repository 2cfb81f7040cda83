//! `check`: is the file damaged, and does it agree with itself?

use crate::advice::{self, Finding};
use crate::answer::{Answer, Exit, Outcome};
use crate::file::config;
use crate::objects;
use crate::progress::{count, stopped};
use crate::text::{self, Column, Facts};
use botstore::Store;
use botstore::integrity::{CheckFile, CheckReport, Difference, Findings};
use botstore::rollups::{ReconcileRollups, RollupReport};
use botstore::schema::UnknownObjects;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

/// Looks for damage, and compares counters with what they count
///
/// Reads the whole file, beside a bot that has it open too, and changes nothing. Damage is what
/// SQLite's integrity check finds (exit code 3). Counters that differ from what they count, and rows
/// that refer to nothing, are no damage (exit code 4): files that were taken over from the Python
/// bot have them, since that bot lost updates. Nor are rollups (what statistics are made of) that
/// differ from a full count; --repair mends those, while no bot has the file open. Triggers, views,
/// virtual tables and generated columns that no step of this program made are listed: they may be the
/// bot's own or an operator's (code 0), or stand in place of what a step made (code 4). Triggers and
/// the like that a step made and that are gone are listed too (code 4): opening the file makes them
/// again, and so does --repair.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// The database
    file: PathBuf,
    /// Mend rollups that differ, and make again what is missing
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let bar = count("checking");
        let (report, rollups) = botstore::snapshot(config(&self.file), |tx| {
            let report = tx.query(&CheckFile)?;
            // What is read from a damaged file says nothing.
            let rollups = match report.is_damaged() {
                true => RollupReport::default(),
                false => tx.query(&ReconcileRollups)?,
            };
            Ok((report, rollups))
        })?;
        let look = || botstore::schema::unknown_objects(config(&self.file));
        let mut unknown = look()?;
        bar.finish_and_clear();
        let repairs = self.repair && !report.is_damaged();
        let mended = repairs && (rollups.differences > 0 || !unknown.missing.is_empty());
        if mended {
            repair(&self.file)?;
            unknown = look()?;
        }
        let differs = report.differs()
            || unknown.has_altered()
            || !unknown.missing.is_empty()
            || (rollups.differences > 0 && !mended);
        let exit = match report.is_damaged() {
            true => Exit::Damaged,
            false if differs => Exit::Differs,
            false => Exit::Fine,
        };
        let found = findings(&report, &rollups, mended, &unknown);
        let next = advice::after_check(&found);
        let mut last = Facts::default();
        last.add("what to do", next);
        let text = text_of(&report, &rollups, mended) + &objects::text(&unknown);
        Ok(Answer {
            text: text + &last.into_text(),
            json: json!({
                "what_to_do": next,
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

/// What there is to say something about.
fn findings(
    report: &CheckReport,
    rollups: &RollupReport,
    mended: bool,
    unknown: &UnknownObjects,
) -> Vec<Finding> {
    let found = [
        (report.is_damaged(), Finding::Damage),
        (unknown.has_altered(), Finding::Altered),
        (report.ids.total > 0, Finding::Ids),
        (rollups.differences > 0 && !mended, Finding::Rollups),
        (report.orphans.total > 0, Finding::Orphans),
        (report.differences.total > 0, Finding::Counters),
        (!unknown.is_empty(), Finding::Unknown),
    ];
    let found = found.into_iter().filter(|(is_so, _)| *is_so);
    found.map(|(_, finding)| finding).collect()
}

fn repair(file: &Path) -> botstore::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|e| botstore::Error::io("cannot begin to mend", e))?;
    runtime.block_on(async {
        // A count of ten million messages takes longer than a dashboard may.
        let config = config(file).analytics_deadline(Duration::from_secs(3_600));
        let store = Store::open(config).await?;
        let mended = unless_stopped(store.repair_rollups()).await;
        // Whoever stops it gets a closed file, with nothing beside it.
        store.close().await?;
        mended.map(|_| ())
    })
}

/// What it comes to, or that it was asked to stop before.
async fn unless_stopped<T>(work: impl Future<Output = botstore::Result<T>>) -> botstore::Result<T> {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(LOOK_EVERY, work.as_mut()).await {
            Ok(done) => return done,
            Err(_) => stopped()?,
        }
    }
}

fn text_of(report: &CheckReport, rollups: &RollupReport, mended: bool) -> String {
    let mut facts = Facts::default();
    facts.add("damage", verdict(&report.damage, "finding"));
    if report.is_damaged() {
        // One finding may have several lines.
        for line in report.damage.first.iter().flat_map(|text| text.lines()) {
            facts.add("", line);
        }
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
            rows => verdict_of(rows as u64, rollups.named.len() as u64, "difference"),
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
    verdict_of(findings.total, findings.first.len() as u64, noun)
}

fn verdict_of(total: u64, shown: u64, noun: &str) -> String {
    match total {
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
