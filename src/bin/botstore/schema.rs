//! `migrate` and `rollback`: the steps of a file.

use crate::answer::{Answer, Exit, Outcome};
use crate::ask::{self, Consent};
use crate::backups;
use crate::file::{File, existing};
use crate::keys::Sealing;
use crate::print;
use crate::text::Facts;
use botstore::Result;
use botstore::backup::{self, Backup, Reason};
use botstore::schema::{self, Plan, PlannedStep, UnknownSteps};
use clap::Args;
use serde_json::json;

/// Applies the schema steps that a file does not have
///
/// Applies the steps of botstore's own tables; a bot applies those of its own tables when it opens the
/// file. A backup is made before the first step.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Migrate {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    sealing: Sealing,
    /// Only shows what would be done
    #[arg(long)]
    plan: bool,
    /// The last step to apply [default: all]
    #[arg(long, value_name = "STEP")]
    to: Option<u32>,
}

/// Undoes schema steps
///
/// Newest first, down to a step that stays. A backup is made before. Tables that a step made are
/// dropped with their rows. What existed before a step stays, such as the Python bot's own tables in a
/// file of that bot. On a terminal the plan is shown first, and you are asked whether to go on. Steps
/// that this program knows are undone with its own SQL. The file's SQL for other steps is shown, and
/// run only with --trust-file.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Rollback {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    sealing: Sealing,
    /// The last step that stays; 0 for none
    #[arg(long, value_name = "STEP")]
    to: u32,
    /// The schema whose steps are undone
    #[arg(long, value_name = "NAME", default_value = OURS)]
    schema: String,
    /// Only shows what would be done
    #[arg(long)]
    plan: bool,
    /// Does not ask
    #[arg(long)]
    yes: bool,
    /// Runs the file's own SQL for steps that this program does not know; read it first: without this
    /// option it is shown and refused
    #[arg(long)]
    trust_file: bool,
}

/// The schema of this crate's tables.
const OURS: &str = "botstore";

impl Migrate {
    pub(crate) fn run(&self) -> Outcome {
        existing(&self.file.path)?;
        if self.plan {
            let mut plan = schema::plan(self.file.config()?)?;
            plan.steps.retain(|step| {
                self.to
                    .is_none_or(|to| step.schema == OURS && step.step <= to)
            });
            let json = json!(plan);
            return Ok(Answer::fine(format!("{plan}\n"), json));
        }
        run_steps(&self.file, &self.sealing, "applied", |config| {
            match self.to {
                Some(to) => schema::apply_to(config, OURS, to),
                None => schema::apply(config),
            }
        })
    }
}

impl Rollback {
    pub(crate) fn run(&self) -> Outcome {
        let unknown = match self.trust_file {
            true => UnknownSteps::Trust,
            false => UnknownSteps::Refuse,
        };
        let plan = || {
            existing(&self.file.path)?;
            schema::plan_rollback(self.file.config()?, &self.schema, self.to, unknown)
        };
        if self.plan {
            let plan = plan()?;
            return Ok(Answer::fine(back_in_words(&plan), json!(plan)));
        }
        if !self.yes && print::somebody_is_there() {
            let plan = plan()?;
            if !plan.is_empty() && ask::whether_to(&back_in_words(&plan)) == Consent::Refused {
                let text = "taken back    nothing: you declined\n".to_owned();
                let (json, exit) = (json!({ "steps": [], "backup": null }), Exit::Stopped);
                return Ok(Answer { text, json, exit });
            }
        }
        run_steps(&self.file, &self.sealing, "taken back", |config| {
            schema::rollback_with(config, &self.schema, self.to, unknown)
        })
    }
}

/// Describes what undoing steps would do.
fn back_in_words(plan: &Plan) -> String {
    let mut facts = Facts::default();
    for step in &plan.steps {
        facts.add("take back", name_of(step));
        for (what, tables) in [("  drops", &step.drops), ("  keeps", &step.keeps)] {
            if !tables.is_empty() {
                facts.add(what, tables.join(", "));
            }
        }
    }
    if plan.is_empty() {
        facts.add("take back", "nothing to do");
    }
    facts.into_text()
}

fn name_of(step: &PlannedStep) -> String {
    format!("{} {:04} {}", step.schema, step.step, step.name)
}

/// Undoes or applies the steps, and reports each of them and the backup that was made before.
fn run_steps(
    file: &File,
    sealing: &Sealing,
    done: &str,
    work: impl FnOnce(botstore::Config) -> Result<Plan>,
) -> Outcome {
    let before = newest(file)?;
    let plan = work(file.config_to_back_up(sealing)?)?;
    let backup = newest(file)?.filter(|newest| before.as_ref() != Some(newest));
    let mut facts = Facts::default();
    if let Some(backup) = &backup {
        facts.add("backup", backup.path.display());
    }
    for step in &plan.steps {
        facts.add(done, name_of(step));
        if !step.keeps.is_empty() {
            facts.add("  keeps", step.keeps.join(", "));
        }
    }
    for object in &plan.missing {
        facts.add("made again", object);
    }
    if plan.is_empty() {
        facts.add(done, "nothing to do");
    }
    let json = json!({
        "steps": plan.steps,
        "missing": plan.missing,
        "backup": backup.as_ref().map(backups::json_of),
    });
    Ok(Answer::fine(facts.into_text(), json))
}

/// Returns the newest backup from before an upgrade.
fn newest(file: &File) -> Result<Option<Backup>> {
    let mut backups = backup::list(file.folder()?)?.backups.into_iter();
    Ok(backups.rfind(|backup| backup.manifest.reason == Reason::BeforeUpgrade))
}
