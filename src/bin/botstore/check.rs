//! `check`: is the file damaged, and does it agree with itself?

use crate::answer::{Answer, Exit, Outcome, what_to_do};
use crate::file::File;
use crate::keys::Sealing;
use crate::mend::{Mended, mend};
use crate::objects;
use crate::text::{self, Column, Facts};
use botstore::ErrorKind;
use botstore::integrity::{CheckFile, CheckReport, Difference, Findings, OddValue};
use botstore::rollups::{ReconcileRollups, RollupReport};
use clap::Args;
use serde_json::json;

/// Looks for damage, and compares counters with what they count
///
/// Reads the whole file, beside a bot that has it open too, and changes nothing. Damage is what
/// SQLite's integrity check finds (exit code 3). Counters that differ from what they count, and rows
/// that refer to nothing, are no damage (exit code 4): files that were taken over from the Python
/// bot have them, since that bot lost updates. Nor are rollups (what statistics are made of) that
/// differ from a full count, and odd values: what another program has left in a column that should
/// not hold it, such as an empty text for a number. Their rows are shown with a replacement, or left
/// out where it is the owner or the day that is odd. --repair mends both, while no bot has the file
/// open: it writes the replacements, after a backup, and what was there goes into a report beside the
/// backup (beside the database if the backup is encrypted, since the report is not). Triggers, views,
/// virtual tables and generated columns that no step of this program made are listed: they may be the
/// bot's own or an operator's (code 0), or stand in place of what a step made (code 4).
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    sealing: Sealing,
    /// Mends odd values and rollups that differ
    #[arg(long)]
    repair: bool,
    /// With --repair: only tells what would be done
    #[arg(long, requires = "repair")]
    plan: bool,
}

/// What a look at the file has found.
struct Found {
    report: CheckReport,
    rollups: RollupReport,
}

impl Found {
    fn look(file: &File) -> botstore::Result<Self> {
        botstore::snapshot(&file.path, |tx| {
            let report = tx.query(&CheckFile)?;
            // What is read from a damaged file says nothing.
            let rollups = match report.is_damaged() {
                true => RollupReport::default(),
                false => tx.query(&ReconcileRollups)?,
            };
            Ok(Self { report, rollups })
        })
    }

    fn differs(&self) -> bool {
        self.report.differs() || self.rollups.differences > 0
    }
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let found = Found::look(&self.file)?;
        let unknown = botstore::schema::unknown_objects(&self.file.path)?;
        let is_damaged = found.report.is_damaged();
        let odd = found.report.odd_values.total > 0;
        let mended = match self.repair && !self.plan && !is_damaged {
            true if odd || found.rollups.differences > 0 => {
                let config = self.file.config_to_back_up(&self.sealing)?;
                Some(mend(&self.file.path, config, odd)?)
            }
            _ => None,
        };
        let differs = match &mended {
            None => found.differs(),
            Some(_) => Found::look(&self.file)?.differs(),
        };
        let exit = match is_damaged {
            true => Exit::Damaged,
            false if differs || unknown.has_altered() => Exit::Differs,
            false => Exit::Fine,
        };
        let Found { report, rollups } = found;
        Ok(Answer {
            text: text_of(&report, &rollups, mended.as_ref()) + &objects::text(&unknown),
            json: json!({
                "damaged": is_damaged,
                "differs": differs || unknown.has_altered(),
                "report": report,
                "unknown_objects": unknown,
                "rollups": {
                    "differences": rollups.differences,
                    "first": rollups.named,
                    "mended": mended.is_some(),
                },
                "odd_values": mended.as_ref().map(Mended::json),
            }),
            exit,
        })
    }
}

fn text_of(report: &CheckReport, rollups: &RollupReport, mended: Option<&Mended>) -> String {
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
            rows if mended.is_some() => {
                format!("{}, mended", text::count(rows as u64, "difference"))
            }
            rows => text::count(rows as u64, "difference"),
        },
    );
    facts.add("values", verdict(&report.odd_values, "odd value"));
    mended
        .into_iter()
        .for_each(|mended| mended.tell(&mut facts));
    let mut text = facts.into_text();
    text += &odd_values(&report.odd_values);
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

/// What is odd, and what a repair makes of it.
fn odd_values(found: &Findings<OddValue>) -> String {
    if found.total == 0 {
        return String::new();
    }
    let rows = found.first.iter().map(|odd| {
        [
            format!("{}.{}", odd.table, odd.column),
            odd.row.to_string(),
            odd.holds.clone(),
            odd.why.clone(),
            odd.becomes
                .as_deref()
                .unwrap_or("nothing else: it stays")
                .to_owned(),
        ]
    });
    let columns = [
        Column::Text("odd value"),
        Column::Number("row"),
        Column::Text("holds"),
        Column::Text("which is"),
        Column::Text("--repair makes of it"),
    ];
    text::table(columns, &rows.collect::<Vec<_>>())
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
