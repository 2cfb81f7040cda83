//! What counts of a row, as SQL. The triggers of step 12, and of step 2 of `botstore_llm`, spell it
//! in the same way, which a test checks.

/// The row id up to which a table's rows are counted, if none is: the smallest.
pub(super) const NOTHING: i64 = i64::MIN;

/// The generation from which answers come, as SQL.
pub(super) const CURRENT: &str = "(SELECT min(generation) FROM botstore_total)";

/// A table whose rows are counted.
pub(super) struct Facts {
    pub(super) table: &'static str,
    /// Its row id.
    pub(super) id: &'static str,
    /// The table of the ids up to which rows are counted.
    pub(super) counted: &'static str,
    /// The table into which counts are inserted. Its triggers add them to the rollups, and keep no row.
    pub(super) inbox: &'static str,
    /// Its first column: how many rows.
    pub(super) rows: &'static str,
    /// By what rows are counted, with the SQL for it.
    pub(super) keys: &'static [(&'static str, Value)],
    /// What is added up, with the SQL for it.
    pub(super) sums: &'static [(&'static str, Value)],
}

/// How a fact comes from a column.
pub(super) enum Value {
    /// The day of a time by the bot's clock, or ''.
    Day(&'static str),
    /// US dollars in billionths.
    Nanos(&'static str),
    /// A whole number, such as a duration.
    Whole(&'static str),
    /// Any other SQL.
    Sql(&'static str),
}

impl Value {
    /// The SQL, for a row that is called `row` ("new.", "old.", or "" in a statement), by the zone of a generation.
    fn sql(&self, row: &str, generation: &str) -> String {
        match self {
            Self::Day(column) => day_in(&format!("{row}{column}"), generation),
            Self::Nanos(column) => nanos(&format!("{row}{column}")),
            Self::Whole(column) => whole(&format!("{row}{column}")),
            Self::Sql(sql) => sql.replace("{}", row),
        }
    }
}

pub(super) const MESSAGES: Facts = Facts {
    table: "messages",
    id: "message_id",
    counted: "botstore_counted",
    inbox: "botstore_message_count",
    rows: "messages",
    keys: &[
        ("session_id", Value::Sql("coalesce({}session_id, '')")),
        ("user_id", Value::Sql("{}user_id")),
        ("day", Value::Day("timestamp")),
    ],
    sums: &[
        ("errors", Value::Sql("({}error IS NOT NULL)")),
        ("timed", Value::Sql("({}duration_ms IS NOT NULL)")),
        ("duration_ms", Value::Whole("duration_ms")),
        ("cost", Value::Nanos("cost")),
    ],
};

pub(super) const TOOL_USES: Facts = Facts {
    table: "tool_usage",
    id: "id",
    counted: "botstore_counted",
    inbox: "botstore_tool_count",
    rows: "uses",
    keys: &[
        ("session_id", Value::Sql("coalesce({}session_id, '')")),
        ("tool_name", Value::Sql("coalesce({}tool_name, '')")),
    ],
    sums: &[
        ("successes", Value::Sql("coalesce({}success = 1, 0)")),
        ("errors", Value::Sql("coalesce({}success = 0, 0)")),
    ],
};

/// The tokens are those of each kind, as its provider counts them: input and output are wholes, the others parts.
pub(super) const USAGE: Facts = Facts {
    table: "botstore_usage",
    id: "usage_id",
    counted: "botstore_usage_counted",
    inbox: "botstore_usage_count",
    rows: "requests",
    keys: &[
        ("day", Value::Day("at")),
        ("user_id", Value::Sql("{}user_id")),
        (
            "provider",
            Value::Sql("CAST(coalesce({}provider_name, '') AS TEXT)"),
        ),
        (
            "model",
            Value::Sql("CAST(coalesce({}request_model, '') AS TEXT)"),
        ),
        (
            "chat",
            Value::Sql("CAST(coalesce({}platform || '/' || {}chat_id, '') AS TEXT)"),
        ),
        ("other", Value::Sql("({}usage_id < 0)")),
    ],
    sums: &[
        ("unpriced", Value::Sql("({}cost_nanos IS NULL)")),
        (
            "unmeasured",
            Value::Sql("({}input_tokens IS NULL OR {}output_tokens IS NULL)"),
        ),
        ("input_tokens", Value::Whole("input_tokens")),
        (
            "cached_input_tokens",
            Value::Whole("cache_read_input_tokens"),
        ),
        (
            "cache_write_tokens",
            Value::Whole("cache_creation_input_tokens"),
        ),
        ("output_tokens", Value::Whole("output_tokens")),
        ("reasoning_tokens", Value::Whole("reasoning_output_tokens")),
        (
            "cost",
            Value::Sql("max(0, min(9000000000000000, CAST(coalesce({}cost_nanos, 0) AS INTEGER)))"),
        ),
    ],
};

/// The days are those in the rows.
pub(super) const COSTS: Facts = Facts {
    table: "cost_tracking",
    id: "id",
    counted: "botstore_counted",
    inbox: "botstore_cost_count",
    rows: "users",
    keys: &[("day", Value::Sql("CAST(coalesce({}date, '') AS TEXT)"))],
    sums: &[
        ("requests", Value::Whole("request_count")),
        ("cost", Value::Nanos("daily_cost")),
    ],
};

impl Facts {
    /// Selects the facts of each row, with its row id as `id`. Ends before the `WHERE`.
    pub(super) fn select(&self) -> String {
        self.select_in(CURRENT)
    }

    /// The same by the zone of a generation.
    pub(super) fn select_in(&self, generation: &str) -> String {
        self.select_as(|value| value.sql("", generation))
    }

    /// The same with the time, to the second, in place of its day. The day of the one is the day of the other.
    pub(super) fn select_times(&self) -> String {
        self.select_as(|value| match value {
            Value::Day(column) => second(column),
            _ => value.sql("", CURRENT),
        })
    }

    fn select_as(&self, sql: impl Fn(&Value) -> String) -> String {
        let columns = self.keys.iter().chain(self.sums);
        let columns: String = columns
            .map(|(name, value)| format!(", {} AS {name}", sql(value)))
            .collect();
        format!("SELECT {} AS id{columns} FROM {}", self.id, self.table)
    }

    /// Whether rows are counted by days, so that each generation counts them by a zone of its own.
    pub(super) fn have_days(&self) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|(_, value)| matches!(value, Value::Day(_)))
    }

    /// The row id up to which rows are counted for answers, as SQL.
    pub(super) fn last_id(&self) -> String {
        self.last_id_in(self.answers_from())
    }

    /// The generation of its counts from which answers come, as SQL. What has no days has one for ever.
    pub(super) fn answers_from(&self) -> &'static str {
        if self.have_days() { CURRENT } else { "0" }
    }

    /// The same of one generation.
    pub(super) fn last_id_in(&self, generation: &str) -> String {
        let (table, counted) = (self.table, self.counted);
        format!(
            "(SELECT last_id FROM {counted} WHERE source = '{table}' AND generation = {generation})"
        )
    }

    /// The names of the columns that are added up.
    pub(super) fn sum_names(&self) -> impl Iterator<Item = &'static str> {
        self.sums.iter().map(|(name, _)| *name)
    }

    /// The names of the columns of a group.
    pub(super) fn key_names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|(name, _)| *name)
    }
}

/// The day of a time, by the bot's clock at that time; '' if it is none. The time is cut to the second: with a
/// modifier, SQLite's `date()` rounds, and would count the last half millisecond of a day to the next.
pub(super) fn day(time: &str) -> String {
    day_in(time, CURRENT)
}

/// The same by the zone of a generation.
pub(super) fn day_in(time: &str, generation: &str) -> String {
    let at = format!("datetime({})", second(time));
    format!(
        "coalesce(date({at}, coalesce((SELECT offset_seconds FROM botstore_zone \
         WHERE generation = {generation} AND since <= {at} ORDER BY since DESC LIMIT 1), 0) || ' seconds'), '')"
    )
}

/// A time, cut to the second.
fn second(time: &str) -> String {
    format!("substr({time}, 1, 19)")
}

/// An amount of US dollars in billionths: from 0 to 9 million dollars, so that a thousand of them can be added up.
/// What is no amount counts as 0.
pub(super) fn nanos(dollars: &str) -> String {
    let d = format!("0.0 + {dollars}");
    format!(
        "CAST(round(1e9 * CASE WHEN {d} BETWEEN 0.0 AND 9e6 THEN {d} \
         WHEN {d} > 9e6 AND {d} < 1e18 THEN 9e6 ELSE 0.0 END) AS INTEGER)"
    )
}

/// A whole number from 0 to 10^12, the largest that the store takes.
pub(super) fn whole(number: &str) -> String {
    format!("max(0, min(1000000000000, CAST(coalesce({number}, 0) AS INTEGER)))")
}

/// The sum of a column of whole numbers, in two halves: SQLite's `sum()` fails if the result exceeds 64 bits. This one
/// continues in floating point, and whoever stores it or reads it takes the largest integer then.
pub(super) fn sum(column: &str) -> String {
    format!("(sum({column} >> 32) * 4294967296 + sum({column} & 4294967295))")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step's text is a file of its own, so nothing can make it from these functions.
    #[test]
    fn the_triggers_count_what_the_statements_count() {
        let step = concat!(
            include_str!("../../../migrations/botstore/0012_lazy_rollups.up.sql"),
            include_str!("../../../migrations/botstore_llm/0002_llm_rollups.up.sql"),
        );
        for facts in [MESSAGES, TOOL_USES, COSTS, USAGE] {
            for row in ["new.", "old."] {
                for (name, value) in facts.keys.iter().chain(facts.sums) {
                    let (sql, table) = (value.sql(row, "c.generation"), facts.table);
                    let times = step.matches(&sql).count();
                    assert!(times >= 2, "{table}.{name}: {times} times: {sql}");
                }
            }
        }
    }
}
