//! `status`: the state of a file.

use crate::advice;
use crate::answer::{Answer, Exit, Outcome, error_json};
use crate::file::File;
use crate::paths;
use crate::text::{self, Column, Facts};
use botstore::backup::Backup;
use botstore::schema::Plan;
use botstore::{FileStatus, OpenIn};
use clap::Args;
use serde_json::{Value, json};

/// Shows the state of a file, even while a bot has it open
///
/// Size, schema steps, what is to be migrated, rows, the last backup and drill, and who has it open.
/// Works before a file is migrated too, and changes nothing.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Status {
    #[command(flatten)]
    file: File,
}

impl Status {
    pub(crate) fn run(&self) -> Outcome {
        let status = botstore::status(self.file.config()?)?;
        let exit = match &status.plan {
            Ok(_) => Exit::Fine,
            Err(error) => Exit::of(error.kind()),
        };
        Ok(Answer {
            text: text_of(&status),
            json: json_of(&status),
            exit,
        })
    }
}

fn text_of(status: &FileStatus) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut facts = Facts::default();
    facts.add("file", status.path.display());
    facts.add("size", text::bytes(status.file_bytes));
    facts.add("log", text::bytes(status.wal_bytes));
    if let Some(free) = status.free_bytes {
        facts.add("disk", format_args!("{} free", text::bytes(free)));
    }
    if let Some(kind) = &status.network_file_system {
        facts.add(
            "network",
            format_args!("on {kind}, where the store promises nothing"),
        );
    }
    for file in &status.open_to_others {
        let name = file.file_name().unwrap_or_default().display();
        facts.add(
            "warning",
            format_args!("other accounts can read or write {name}: chmod 600 it"),
        );
    }
    for problem in &status.file_problems {
        facts.add("warning", problem);
    }
    match status.open_in {
        OpenIn::Nothing => facts.add("open", "no"),
        OpenIn::Process(pid) => facts.add("open", format_args!("in process {pid}")),
        _ => facts.add("open", "perhaps, in an unknown process"),
    }
    let steps = status
        .schemas
        .iter()
        .map(|at| format!("{} at step {}", at.schema, at.step));
    let steps = steps.collect::<Vec<_>>().join(", ");
    facts.add("schema", or_none(Some(steps).filter(|s| !s.is_empty())));
    match &status.plan {
        Ok(plan) => facts.add("to migrate", pending(plan)),
        Err(error) => {
            facts.add_lines("refused", format_args!("{error:#}"));
            facts.add("what to do", advice::after(error));
        }
    }
    facts.add("unknown", crate::objects::verdict(&status.unknown_objects));
    if !status.unknown_objects.missing.is_empty() {
        let missing = crate::objects::missing_verdict(&status.unknown_objects);
        facts.add("missing", missing);
    }
    facts.add("store id", or_none(status.store_id.clone()));
    facts.add(
        "last backup",
        or_none(status.last_backup.as_ref().map(in_words)),
    );
    facts.add(
        "last drill",
        or_none(status.last_drill.as_ref().map(|drill| {
            let at = text::time_and_age(drill.at);
            format!("{at}, {:.1} s", drill.took.as_secs_f64())
        })),
    );
    let rows: Vec<_> = status
        .rows
        .iter()
        .map(|(table, rows)| [table.clone(), rows.to_string()])
        .collect();
    let columns = [Column::Text("table"), Column::Number("rows")];
    facts.into_text()
        + &text::table(columns, &rows)
        + &crate::objects::table(&status.unknown_objects)
}

fn pending(plan: &Plan) -> String {
    if plan.steps.is_empty() {
        return match plan.uncounted.is_empty() {
            true => "nothing".to_owned(),
            false => "no step, but its rows have to be counted".to_owned(),
        };
    }
    let steps = text::count(plan.steps.len() as u64, "step");
    let names = plan
        .steps
        .iter()
        .map(|step| format!("{} {:04} {}", step.schema, step.step, step.name));
    format!("{steps}: {}", names.collect::<Vec<_>>().join(", "))
}

fn in_words(backup: &Backup) -> String {
    format!(
        "{}, {}, {}",
        text::time_and_age(backup.manifest.taken_at),
        backup.manifest.reason,
        text::bytes(backup.manifest.artefact.bytes)
    )
}

fn json_of(status: &FileStatus) -> Value {
    let json = json!({
        "file_bytes": status.file_bytes,
        "wal_bytes": status.wal_bytes,
        "free_bytes": status.free_bytes,
        "network_file_system": status.network_file_system,
        "file_problems": status.file_problems,
        "open_in": status.open_in,
        "store_id": status.store_id,
        "schemas": status.schemas,
        "to_migrate": status.plan.as_ref().ok().map(|plan| &plan.steps),
        "refused": status.plan.as_ref().err().map(error_json),
        "unknown_objects": status.unknown_objects,
        "rows": status.rows,
        "last_backup": status.last_backup.as_ref().map(crate::backups::json_of),
        "last_drill": status.last_drill,
    });
    let json = paths::with(json, "file", &status.path);
    let json = paths::with(json, "backups", &status.backups);
    paths::with_all(json, "open_to_others", &status.open_to_others)
}
