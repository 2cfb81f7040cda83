//! What a step of a schema may do, up or down, whoever wrote it: change its own schema's tables, and
//! nothing else in the file or outside.

use super::{FOUND, LEDGER, OURS, begins_with, for_queries};
use crate::error::Result;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which schema made which object. Names are in lower case, as SQLite compares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    /// Tables, views and indexes, which share a namespace.
    tables: HashMap<String, String>,
    triggers: HashMap<String, String>,
}

impl Owners {
    /// Records which schema made an object. The first one counts: a later step with `IF NOT EXISTS`
    /// makes nothing.
    pub(crate) fn note(&mut self, is_trigger: bool, name: &str, schema: &str) {
        let names = match is_trigger {
            true => &mut self.triggers,
            false => &mut self.tables,
        };
        let name = name.to_ascii_lowercase();
        names.entry(name).or_insert_with(|| schema.to_owned());
    }

    fn of(&self, table: &str) -> Option<&str> {
        let owner = self.tables.get(&table.to_ascii_lowercase());
        owner.map(String::as_str)
    }

    fn of_trigger(&self, trigger: &str) -> Option<&str> {
        let owner = self.triggers.get(&trigger.to_ascii_lowercase());
        owner.map(String::as_str)
    }
}

/// Modules of virtual tables that store their data in this file and read nothing else.
const MODULES: [&str; 7] = [
    "fts5",
    "fts5vocab",
    "fts4",
    "fts4aux",
    "fts3",
    "rtree",
    "rtree_i32",
];

/// What is refused while a step runs, and why.
#[derive(Clone)]
pub(crate) struct StepRules(Arc<Mutex<State>>);

struct State {
    owners: Owners,
    /// Functions with effects outside the database.
    functions: HashSet<String>,
    /// The schema whose step runs.
    schema: String,
    /// The triggers from before the step.
    triggers: HashMap<String, String>,
    /// The objects with names of the store's that existed before the step.
    ours: HashSet<String>,
    /// The tables that the step has dropped; their triggers go with them.
    dropped: HashSet<String>,
    /// Objects that a `DROP` of the step skips, since they existed before the step: whether a trigger,
    /// and the name.
    kept: HashSet<(bool, String)>,
    counters: Vec<(String, String)>,
    /// Whether triggers are only compiled, to see what they would do.
    compiling: bool,
    refused: Option<String>,
}

impl StepRules {
    pub(crate) fn new(conn: &Connection, owners: Owners) -> Result<Self> {
        // SQLite's flag for functions that a schema must not use.
        const DIRECT_ONLY: i64 = 0x80000;
        let sql = "SELECT DISTINCT lower(name) FROM pragma_function_list WHERE flags & ?1 <> 0";
        let mut functions = conn.prepare(sql)?;
        let functions = functions.query_map([DIRECT_ONLY], |row| row.get(0))?;
        let mut functions: HashSet<String> = functions.collect::<rusqlite::Result<_>>()?;
        functions.extend(["load_extension", "fts3_tokenizer"].map(str::to_owned));
        Ok(Self(Arc::new(Mutex::new(State {
            owners,
            functions,
            schema: String::new(),
            triggers: HashMap::new(),
            ours: HashSet::new(),
            dropped: HashSet::new(),
            kept: HashSet::new(),
            counters: Vec::new(),
            compiling: false,
            refused: None,
        }))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what exists before a step of this schema. Called outside the guard.
    pub(crate) fn begin(&self, conn: &Connection, schema: &str) -> Result<()> {
        let triggers = triggers(conn)?;
        let (counters, ours) = (counters(conn)?, ours(conn)?);
        let mut state = self.state();
        state.schema = schema.to_owned();
        state.triggers = triggers;
        state.ours = ours;
        state.counters = counters;
        state.dropped.clear();
        state.refused = None;
        Ok(())
    }

    /// From now on a `DROP` of one of these does nothing. Each is a name, and whether it is a trigger.
    pub(crate) fn keep<'a>(&self, names: impl Iterator<Item = (bool, &'a str)>) {
        let names = names.map(|(is_trigger, name)| (is_trigger, name.to_ascii_lowercase()));
        self.state().kept = names.collect();
    }

    /// Returns why something was refused since the step began.
    pub(crate) fn refused(&self) -> Option<String> {
        self.state().refused.clone()
    }

    /// Examines what no statement of the step shows: what its triggers will write, names, and id
    /// counters. Called inside the guard; [`refused`](Self::refused) reports what is not allowed.
    pub(crate) fn look_back(&self, conn: &Connection) -> Result<()> {
        let (schema, before) = {
            let mut state = self.state();
            state.compiling = true;
            (state.schema.clone(), state.triggers.clone())
        };
        let mut tables = HashSet::new();
        for (trigger, sql) in triggers(conn)? {
            let own = self.state().owners.of_trigger(&trigger) == Some(&*schema);
            if own || before.get(&trigger) != Some(&sql) {
                self.state().triggers.remove(&trigger);
                let table = "SELECT tbl_name FROM sqlite_schema
                             WHERE type = 'trigger' AND lower(name) = ?1";
                tables.insert(conn.query_row(table, [&trigger], |row| row.get::<_, String>(0))?);
            }
        }
        tables.iter().try_for_each(|table| compile(conn, table))?;
        let (counters, ours) = (counters(conn)?, ours(conn)?);
        let mut state = self.state();
        state.compiling = false;
        let taken = ours.difference(&state.ours).next();
        let is_ours = matches!(&*schema, "botstore" | "botstore_llm");
        if let Some(name) = taken.filter(|_| !is_ours) {
            let why =
                format!("it makes {name:?}, but names that begin with {OURS} belong to the store");
            state.refused.get_or_insert(why);
        }
        let changed = |(table, seq): &&(String, String)| {
            let others = state.owners.of(table).is_some_and(|owner| owner != schema);
            others && !counters.contains(&(table.clone(), seq.clone()))
        };
        if let Some((table, _)) = state.counters.iter().find(changed) {
            let why = format!("it changes the id counter of {table:?}, a table of another schema");
            state.refused.get_or_insert(why);
        }
        Ok(())
    }
}

/// Makes SQLite compile every trigger of a table. Nothing runs. A trigger that does not compile cannot
/// run either.
pub(super) fn compile(conn: &Connection, table: &str) -> Result<()> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0";
    let mut columns = conn.prepare(sql)?;
    let columns = columns.query_map([table], |row| row.get::<_, String>(0))?;
    let columns: Vec<_> = columns.collect::<rusqlite::Result<_>>()?;
    let set: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
    let set: Vec<_> = set.iter().map(|name| format!("{name} = {name}")).collect();
    let table = quoted(table);
    for statement in [
        format!("INSERT INTO {table} DEFAULT VALUES"),
        format!("UPDATE {table} SET {}", set.join(", ")),
        format!("DELETE FROM {table}"),
    ] {
        // The authorizer has recorded what it refused.
        drop(conn.prepare(&statement));
    }
    Ok(())
}

fn triggers(conn: &Connection) -> Result<HashMap<String, String>> {
    let sql = "SELECT lower(name), sql FROM sqlite_schema WHERE type = 'trigger'";
    let mut found = conn.prepare(sql)?;
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Returns the objects with names of the store's.
fn ours(conn: &Connection) -> Result<HashSet<String>> {
    let sql = "SELECT lower(name) FROM sqlite_schema WHERE lower(name) GLOB ?1 || '*'";
    let mut found = conn.prepare(sql)?;
    let found = found.query_map([OURS], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Returns the id counter of each table, whatever its value.
fn counters(conn: &Connection) -> Result<Vec<(String, String)>> {
    let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    if conn.query_row(there, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut found = conn.prepare("SELECT name, quote(seq) FROM sqlite_sequence")?;
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Decides what a step may do. The rules keep the reason for a refusal.
pub(crate) fn for_steps(
    rules: &StepRules,
) -> impl Fn(&AuthContext<'_>) -> Authorization + Send + 'static {
    let rules = rules.clone();
    move |context| {
        let mut state = rules.state();
        if state.keeps(context) {
            return Authorization::Ignore;
        }
        match state.judge(context) {
            Ok(()) => Authorization::Allow,
            Err(why) => {
                state.refused.get_or_insert(why);
                Authorization::Deny
            }
        }
    }
}

/// Whether it is the ledger of steps or its companion.
fn is_ledger(table: &str) -> bool {
    [LEDGER, FOUND]
        .iter()
        .any(|own| table.eq_ignore_ascii_case(own))
}

impl State {
    /// Whether this would drop an object that is kept. SQLite then skips the statement.
    fn keeps(&self, context: &AuthContext<'_>) -> bool {
        let (is_trigger, name) = match context.action {
            AuthAction::DropTable { table_name } | AuthAction::DropVtable { table_name, .. } => {
                (false, table_name)
            }
            AuthAction::DropView { view_name } => (false, view_name),
            AuthAction::DropIndex { index_name, .. } => (false, index_name),
            AuthAction::DropTrigger { trigger_name, .. } => (true, trigger_name),
            _ => return false,
        };
        self.kept.contains(&(is_trigger, name.to_ascii_lowercase()))
    }

    fn judge(&mut self, context: &AuthContext<'_>) -> Result<(), String> {
        let temporary = "it makes a temporary object, which would hide the file's own; leave TEMP out \
                         of it";
        match context.action {
            AuthAction::Transaction { .. } => Err(
                "its SQL begins or ends a transaction; leave BEGIN, COMMIT and ROLLBACK out of it"
                    .to_owned(),
            ),
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
                Err("it uses another file (ATTACH, DETACH or VACUUM)".to_owned())
            }
            AuthAction::Select
            | AuthAction::Read { .. }
            | AuthAction::Recursive
            | AuthAction::Savepoint { .. }
            | AuthAction::Analyze { .. }
            | AuthAction::Reindex { .. } => Ok(()),
            AuthAction::Function { function_name } => {
                match self.functions.contains(&function_name.to_ascii_lowercase()) {
                    true => Err(format!(
                        "it uses {function_name}(), which acts outside the file"
                    )),
                    false => Ok(()),
                }
            }
            AuthAction::Pragma {
                pragma_name,
                pragma_value,
            } => {
                let harmless = pragma_name == "defer_foreign_keys"
                    || (pragma_name == "page_size" && pragma_value.is_none())
                    || for_queries(context) == Authorization::Allow;
                match harmless {
                    true => Ok(()),
                    false => Err(format!("it changes a setting: PRAGMA {pragma_name}")),
                }
            }
            // A rename searches these too.
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name }
                if begins_with(table_name, "sqlite_") =>
            {
                self.may_write(table_name, context.accessor)
            }
            _ if context.database_name == Some("temp") => Err(temporary.to_owned()),
            AuthAction::CreateTempTable { .. }
            | AuthAction::CreateTempIndex { .. }
            | AuthAction::CreateTempTrigger { .. }
            | AuthAction::CreateTempView { .. } => Err(temporary.to_owned()),
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name } => self.may_write(table_name, context.accessor),
            AuthAction::CreateTable { .. } | AuthAction::CreateView { .. } => Ok(()),
            AuthAction::CreateVtable { module_name, .. } => {
                let known = |module: &str| module.eq_ignore_ascii_case(module_name);
                match MODULES.iter().any(|module| known(module)) {
                    true => Ok(()),
                    false => Err(format!("it makes a virtual table of {module_name:?}")),
                }
            }
            AuthAction::CreateIndex { table_name, .. }
            | AuthAction::CreateTrigger { table_name, .. } => match is_ledger(table_name) {
                true => Err("it touches the ledger of steps".to_owned()),
                false => Ok(()),
            },
            AuthAction::DropTable { table_name }
            | AuthAction::DropVtable { table_name, .. }
            | AuthAction::DropView {
                view_name: table_name,
            } => {
                self.may_write(table_name, None)?;
                self.dropped.insert(table_name.to_ascii_lowercase());
                Ok(())
            }
            AuthAction::AlterTable { table_name, .. } => self.may_write(table_name, None),
            AuthAction::DropIndex { index_name, .. } => self.may_write(index_name, None),
            AuthAction::DropTrigger {
                trigger_name,
                table_name,
            } => self.may_drop_trigger(trigger_name, table_name),
            _ => Err("it does something that no step needs".to_owned()),
        }
    }

    fn may_write(&self, table: &str, trigger: Option<&str>) -> Result<(), String> {
        if is_ledger(table) {
            return Err("it touches the ledger of steps".to_owned());
        }
        // SQLite itself writes these in the course of other statements. Nobody else can write the
        // schema, since connections are defensive; the counters are compared afterwards.
        if begins_with(table, "sqlite_") {
            return Ok(());
        }
        let who = match trigger {
            None if self.compiling => return Ok(()),
            None => &self.schema,
            Some(trigger) => match self.owners.of_trigger(trigger) {
                Some(owner) => owner,
                // The trigger of no step and no schema: an operator's own, which runs as before.
                None if self.triggers.contains_key(&trigger.to_ascii_lowercase()) => return Ok(()),
                None => &self.schema,
            },
        };
        match self.owners.of(table) {
            Some(owner) if owner != who => Err(match trigger {
                None => format!("it changes {table:?}, which is of schema {owner:?}"),
                Some(trigger) => format!(
                    "its trigger {trigger:?} changes {table:?}, which is of schema {owner:?}"
                ),
            }),
            _ => Ok(()),
        }
    }

    fn may_drop_trigger(&mut self, trigger: &str, table: &str) -> Result<(), String> {
        let with_its_table = self.dropped.contains(&table.to_ascii_lowercase());
        match self.owners.of_trigger(trigger) {
            Some(owner) if owner != self.schema && !with_its_table => Err(format!(
                "it drops the trigger {trigger:?}, which is of schema {owner:?}"
            )),
            _ => {
                // A trigger of that name that the step makes again is its own.
                self.triggers.remove(&trigger.to_ascii_lowercase());
                Ok(())
            }
        }
    }
}
