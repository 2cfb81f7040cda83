//! `check`: looks for damage and inconsistencies in a file.

use crate::advice::{self, Finding};
use crate::answer::{Answer, Exit, Outcome};
use crate::file::{File, config};
use crate::keys::Sealing;
use crate::mend::{Mended, ToMend, mend};
use crate::objects;
use crate::progress::count;
use crate::text::{self, Column, Facts};
use botstore::integrity::{CheckFile, CheckReport, Difference, Findings, OddValue};
use botstore::rollups::{ReconcileRollups, RollupReport};
use botstore::schema::{self, UnknownObjects};
use clap::Args;
use serde_json::json;

/// Looks for damage, and compares counters with what they count
///
/// Reads the whole file, even while a bot has it open, and changes nothing.
///
/// Damage is what SQLite's integrity check finds (exit code 3).
///
/// These are no damage (exit code 4): counters that differ from what they count, and rows that refer to
/// a missing row (files of the Python bot have both, since that bot lost updates); rollups, from which
/// statistics are made, that differ from a full count; and odd values, which another program has left
/// in a column that should not hold them, such as an empty text for a number. The rows of odd values
/// are shown with a replacement, or left out if the owner or the day is odd.
///
/// With --repair it mends rollups and odd values, while no bot has the file open. Before it writes
/// replacements it makes a backup. The old values go into a report beside the backup (beside the
/// database if the backup is encrypted, since the report is not).
///
/// With --repair --user-totals it also sets each user's cost, messages and sessions to what the user's
/// rows say. Leave that out if the bot has removed rows and the totals are meant to have them. The old
/// values go into the audit log.
///
/// Triggers, views, virtual tables and generated columns that no step of this program made are listed.
/// They may be the bot's own or an operator's (code 0), or replace what a step made (code 4). Missing
/// objects of steps, such as triggers, are listed too (code 4): opening the file makes them again, and
/// so does --repair. Tables and columns with contents of their own are not made again: restore a backup.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    sealing: Sealing,
    /// Mends odd values and rollups, and makes missing objects again
    #[arg(long)]
    repair: bool,
    /// With --repair: also sets users' totals to what their rows say
    #[arg(long, requires = "repair")]
    user_totals: bool,
    /// With --repair: only shows what would be done
    #[arg(long, requires = "repair")]
    plan: bool,
}

/// What a look at the file has found.
struct Found {
    report: CheckReport,
    rollups: RollupReport,
    unknown: UnknownObjects,
}

impl Found {
    fn look(file: &File) -> botstore::Result<Self> {
        let (report, rollups) = botstore::snapshot(config(&file.path), |tx| {
            let report = tx.query(&CheckFile::new())?;
            // Rows that are read from a damaged file prove nothing.
            let rollups = match report.is_damaged() {
                true => RollupReport::default(),
                false => tx.query(&ReconcileRollups::new())?,
            };
            Ok((report, rollups))
        })?;
        let unknown = schema::unknown_objects(config(&file.path))?;
        Ok(Self {
            report,
            rollups,
            unknown,
        })
    }

    fn has_odd_values(&self) -> bool {
        self.report.odd_values.total > 0
    }

    /// Whether a table or a column is missing whose contents exist nowhere else.
    fn has_lost_contents(&self) -> bool {
        let mut missing = self.unknown.missing.iter();
        missing.any(|missing| !missing.made_again)
    }

    /// Whether users have totals that differ from their rows, or may have: the list may be cut.
    fn has_wrong_totals(&self) -> bool {
        let differences = &self.report.differences;
        let is_users = |it: &Difference| it.counter.starts_with("users.");
        differences.first.iter().any(is_users)
            || differences.total > differences.first.len() as u64
            || self.has_odd_values()
    }

    /// Whether a repair would mend anything besides users' totals.
    fn is_to_mend(&self) -> bool {
        let missing = self
            .unknown
            .missing
            .iter()
            .any(|missing| missing.made_again);
        let differs = self.rollups.differences > 0 || missing;
        !self.report.is_damaged() && (differs || self.has_odd_values())
    }

    fn differs(&self) -> bool {
        let schema = self.unknown.has_altered() || !self.unknown.missing.is_empty();
        self.report.differs() || self.rollups.differences > 0 || schema
    }

    /// Returns the findings that advice exists for.
    fn findings(&self) -> Vec<Finding> {
        let found = [
            (self.report.is_damaged(), Finding::Damage),
            (self.has_lost_contents(), Finding::Lost),
            (self.unknown.has_altered(), Finding::Altered),
            (self.report.ids.total > 0, Finding::Ids),
            (!self.unknown.missing.is_empty(), Finding::Missing),
            (self.has_odd_values(), Finding::OddValues),
            (self.rollups.differences > 0, Finding::Rollups),
            (self.report.orphans.total > 0, Finding::Orphans),
            (self.report.differences.total > 0, Finding::Counters),
            (!self.unknown.is_empty(), Finding::Unknown),
        ];
        let found = found.into_iter().filter(|(is_so, _)| *is_so);
        found.map(|(_, finding)| finding).collect()
    }
}

impl Check {
    pub(crate) fn run(&self) -> Outcome {
        let bar = count("checking");
        let found = Found::look(&self.file)?;
        bar.finish_and_clear();
        let values = ToMend {
            odd_values: found.has_odd_values(),
            user_totals: self.user_totals && found.has_wrong_totals(),
        };
        let is_to_mend = found.is_to_mend() || values.user_totals;
        let mended = match self.repair && !self.plan && is_to_mend {
            true => {
                let config = self.file.config_to_back_up(&self.sealing)?;
                Some(mend(&self.file.path, config, values)?)
            }
            false => None,
        };
        let looked_again = match &mended {
            Some(_) => Some(Found::look(&self.file)?),
            None => None,
        };
        let left = looked_again.as_ref().unwrap_or(&found);
        let (is_damaged, differs) = (found.report.is_damaged(), left.differs());
        let next = advice::after_check(&left.findings());
        let mut last = Facts::default();
        last.add("what to do", next);
        let text = text_of(&found.report, &found.rollups, mended.as_ref());
        Ok(Answer {
            text: text + &objects::text(&left.unknown) + &last.into_text(),
            json: json!({
                "what_to_do": next,
                "damaged": is_damaged,
                "differs": differs,
                "report": found.report,
                "unknown_objects": left.unknown,
                "rollups": {
                    "differences": found.rollups.differences,
                    "first": found.rollups.named,
                    "repaired": mended.is_some(),
                },
                "odd_values": mended.as_ref().map(Mended::json),
                "user_totals": mended.as_ref().and_then(Mended::totals),
            }),
            exit: match is_damaged {
                true => Exit::Damaged,
                false if differs => Exit::Differs,
                false => Exit::Fine,
            },
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
                format!("{}, repaired", text::count(rows as u64, "difference"))
            }
            rows => verdict_of(rows as u64, rollups.named.len() as u64, "difference"),
        },
    );
    facts.add("values", verdict(&report.odd_values, "odd value"));
    mended
        .into_iter()
        .for_each(|mended| mended.add_to(&mut facts));
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
            Column::Number("stored"),
            Column::Number("counted"),
        ];
        let rows: Vec<_> = report.differences.first.iter().map(cells).collect();
        text += &text::table(columns, &rows);
    }
    if rollups.differences > 0 {
        let columns = [
            Column::Text("rollup"),
            Column::Text("row"),
            Column::Text("stored"),
            Column::Text("counted"),
        ];
        let cell = |text: &Option<String>| text.as_deref().unwrap_or("nothing").to_owned();
        let rows = rollups.named.iter().map(|difference| {
            [
                difference.table.clone(),
                difference.row.clone(),
                cell(&difference.stored),
                cell(&difference.counted),
            ]
        });
        text += &text::table(columns, &rows.collect::<Vec<_>>());
    }
    text
}

/// Lists the odd values, and what a repair makes of them.
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
                .unwrap_or("nothing: it stays as it is")
                .to_owned(),
        ]
    });
    let columns = [
        Column::Text("odd value"),
        Column::Number("row"),
        Column::Text("holds"),
        Column::Text("which is"),
        Column::Text("--repair writes"),
    ];
    text::table(columns, &rows.collect::<Vec<_>>())
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
