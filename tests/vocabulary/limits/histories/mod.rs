//! Random histories against a plain model: limits, reservations, requests that are saved with one and without, other
//! requests, imported history, rows that are corrected and deleted, clocks that are set, days of 23 and 25 hours, other
//! zones, and files that are opened again. The model knows rows and adds them up.
//!
//! `BOTSTORE_HISTORIES` says how many run; 10,000 take some minutes.

mod drawn;

pub(super) use drawn::Random;

use super::model::{Model, Request};
use crate::histories::histories;
use botstore::costs::AddCost;
use botstore::interactions::SaveInteraction;
use botstore::limits::{
    Amount, Decision, Limit, Measure, Release, RemoveLimit, Reserve, SetLimit, UserBudget,
};
use botstore::messages::DeleteMessage;
use botstore::rollups::ReconcileRollups;
use botstore::testing::{FixedClock, Plain};
use botstore::usage::Usage;
use botstore::{BeforeUpgrade, Config, Durability, Usd};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use std::path::Path;
use std::time::Duration;

const ZONES: [&str; 4] = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
];

/// Before clocks are set in Berlin and on Lord Howe, before a month ends, and on no special day.
const BEGINNINGS: [&str; 6] = [
    "2026-03-28 20:00",
    "2026-10-24 20:00",
    "2026-04-04 10:00",
    "2026-10-03 10:00",
    "2026-01-31 22:50",
    "2026-03-10 15:30",
];

/// What a statement does to a row.
type Change = Box<dyn Fn(&mut Request)>;

struct History {
    random: Random,
    plain: Option<Plain>,
    path: std::path::PathBuf,
    clock: FixedClock,
    zone: &'static str,
    model: Model,
    sessions: u64,
}

fn usage_of(request: &Request) -> Option<Usage> {
    let (chat, model, tokens) = request.usage.as_ref()?;
    let mut usage = Usage::new("someone", *model);
    if let Some(tokens) = tokens {
        usage = usage
            .input_tokens(tokens / 2)
            .output_tokens(tokens - tokens / 2);
    }
    Some(match chat {
        Some(chat) => usage.chat(chat.clone()),
        None => usage,
    })
}

fn open(path: &Path, clock: &FixedClock, zone: &str) -> Plain {
    let config = Config::new(path)
        .clock(clock.clone())
        .before_upgrade(BeforeUpgrade::Skip)
        .durability(Durability::Normal)
        .time_zone(zone);
    Plain::open(config).expect("a file")
}

impl History {
    fn plain(&self) -> &Plain {
        self.plain.as_ref().expect("an open file")
    }

    fn now(&self) -> DateTime<Utc> {
        use botstore::time::Clock;
        self.clock.now()
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 | 1 => self.set_limit(),
            2 => self.remove_limit(),
            3..=8 => self.reserve(),
            9..=11 => self.save(),
            12 => self.add_cost(),
            13 => self.release(),
            14 => self.change_a_row(),
            15 => self.delete_a_row(),
            16..=18 => self.let_time_pass(),
            _ => self.check_budgets(),
        }
    }

    fn set_limit(&mut self) {
        let (scope, per, max) = (self.scope(), self.per(), self.amount(9));
        let mut limit = Limit::new(scope.clone(), per, max);
        let mut set = SetLimit::new(scope, per, max);
        if self.random.chance(2) {
            let half = match max {
                Amount::Cost(cost) => Amount::Cost(Usd::from_nanos(cost.nanos() / 2)),
                Amount::Requests(number) => Amount::Requests(number / 2),
                Amount::Tokens(number) => Amount::Tokens(number / 2),
                _ => max,
            };
            limit = limit.soft(half);
            set = set.soft(half);
        }
        let before = self.plain().write(|tx| tx.apply(&set)).expect("a limit");
        assert_eq!(before, self.model.set_limit(limit));
    }

    fn remove_limit(&mut self) {
        let measure = self
            .random
            .of(&[Measure::Cost, Measure::Requests, Measure::Tokens]);
        let (scope, per) = (self.scope(), self.per());
        let remove = RemoveLimit::new(scope.clone(), per, measure);
        let removed = self
            .plain()
            .write(|tx| tx.apply(&remove))
            .expect("an answer");
        assert_eq!(removed, self.model.remove_limit(&scope, per, measure));
    }

    fn reserve(&mut self) {
        let (user, estimate) = (self.user(), self.cost());
        let (chat, model) = (self.chat(), self.model_name());
        let tokens = self.random.below(3) * 100;
        let expires_in = Duration::from_secs(self.random.of(&[1, 60, 600, 7_200, 86_400]));
        let mut reserve = Reserve::new(user, estimate)
            .tokens(tokens)
            .expires_in(expires_in);
        if let Some(chat) = &chat {
            reserve = reserve.chat(chat.clone());
        }
        if let Some(model) = model {
            reserve = reserve.model(model);
        }
        let decision = self
            .plain()
            .write(|tx| tx.apply(&reserve))
            .expect("a decision");
        let ask = (user, chat, model, estimate.nanos(), tokens);
        self.model.reserve(self.now(), ask, expires_in, &decision);
        if let Decision::Granted { until, .. } = decision {
            assert_eq!(until, self.now() + expires_in);
        }
    }

    fn save(&mut self) {
        let request = self.request();
        self.sessions += 1;
        let session = format!("s-{}", self.sessions);
        let mut save = SaveInteraction::new(request.user, session, "p")
            .creating("/srv")
            .cost(Usd::from_nanos(request.cost));
        if request.is_history {
            save = save.at(request.at);
        }
        if let Some(usage) = usage_of(&request) {
            save = save.usage(usage);
        }
        if let Some(reservation) = request.reservation {
            save = save.reservation(reservation);
        }
        let receipt = self.plain().write(|tx| tx.apply(&save)).expect("a receipt");
        let settled = self
            .model
            .save(self.now(), &request, receipt.message_id.get());
        assert_eq!(receipt.reservation, settled, "{request:?}");
        if self.random.chance(4) && request.reservation.is_some() && !request.is_history {
            let again = self.plain().write(|tx| tx.apply(&save)).expect("a receipt");
            let is_same = self
                .model
                .is_settled_by(request.reservation, receipt.message_id.get());
            assert_eq!(again.repeated, is_same, "{request:?}");
            if !again.repeated {
                self.model
                    .save(self.now(), &request, again.message_id.get());
            }
        }
    }

    fn add_cost(&mut self) {
        let request = self.request();
        self.ensure(request.user);
        let mut add = AddCost::new(request.user, Usd::from_nanos(request.cost));
        if request.is_history {
            add = add.at(request.at);
        }
        if let Some(usage) = usage_of(&request) {
            add = add.usage(usage);
        }
        if let Some(reservation) = request.reservation {
            add = add.reservation(reservation);
        }
        self.plain().write(|tx| tx.apply(&add)).expect("an answer");
        self.model.add_cost(self.now(), &request);
    }

    fn release(&mut self) {
        let user = self.user();
        if let Some(reservation) = self.reservation(user) {
            let release = Release::new(user, reservation);
            let was_open = self
                .plain()
                .write(|tx| tx.apply(&release))
                .expect("an answer");
            assert_eq!(was_open, self.model.release(self.now(), reservation));
        }
    }

    /// As another program, or a host's own SQL, does.
    fn change_a_row(&mut self) {
        let Some(id) = self.model.any_message(&mut self.random) else {
            return;
        };
        let (sql, change): (String, Change) = match self.random.below(4) {
            0 => {
                let cost = self.cost();
                let sql = format!(
                    "UPDATE messages SET cost = {} WHERE message_id = {id}",
                    cost.dollars()
                );
                (sql, Box::new(move |row| row.cost = cost.nanos()))
            }
            1 => {
                let at = self.now() - TimeDelta::hours(self.random.below(200) as i64);
                let text = at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00");
                let sql =
                    format!("UPDATE messages SET timestamp = '{text}' WHERE message_id = {id}");
                (sql, Box::new(move |row| row.at = at))
            }
            2 => {
                let user = self.user();
                self.ensure(user);
                let sql = format!("UPDATE messages SET user_id = {user} WHERE message_id = {id}");
                (sql, Box::new(move |row| row.user = user))
            }
            _ => {
                let tokens = self.random.below(5) * 100;
                let sql = format!(
                    "UPDATE botstore_usage SET input_tokens = {tokens}, output_tokens = NULL, request_model = 'small'
                     WHERE usage_id = {id}"
                );
                (
                    sql,
                    Box::new(move |row| {
                        if let Some((_, model, known)) = &mut row.usage {
                            (*known, *model) = (Some(tokens), "small");
                        }
                    }),
                )
            }
        };
        self.plain()
            .write(|tx| tx.execute(&sql, []))
            .expect("a change");
        self.model.change(id, change);
    }

    fn ensure(&self, user: i64) {
        let ensure = botstore::users::EnsureUser::new(user, None);
        self.plain().write(|tx| tx.apply(&ensure)).expect("a user");
    }

    fn delete_a_row(&mut self) {
        let Some(id) = self.model.any_message(&mut self.random) else {
            return;
        };
        let owner = self.model.owner_of_session(id);
        match owner {
            Some(owner) if !self.random.chance(3) => {
                let delete = DeleteMessage::new(owner, id);
                self.plain()
                    .write(|tx| tx.apply(&delete))
                    .expect("a deletion");
            }
            _ => {
                let sql = "DELETE FROM messages WHERE message_id = ?1";
                self.plain()
                    .write(|tx| tx.execute(sql, [id]))
                    .expect("a deletion");
            }
        }
        self.model.delete(id);
    }

    fn let_time_pass(&mut self) {
        let seconds = self
            .random
            .of(&[1, 59, 600, 3_599, 3_600, 40_000, 86_400, 700_000]);
        if self.random.chance(6) {
            // Somebody sets it back.
            self.clock
                .set(self.now() - TimeDelta::seconds(seconds as i64));
        } else {
            self.clock.advance(Duration::from_secs(seconds));
        }
        if self.random.chance(40) {
            drop(self.plain.take());
            self.zone = self.random.of(&ZONES);
            self.plain = Some(open(&self.path, &self.clock, self.zone));
        }
        self.model.zone = self.zone.parse::<Tz>().expect("a zone");
    }

    fn check_budgets(&mut self) {
        let (user, chat, model) = (self.user(), self.chat(), self.model_name());
        let mut ask = UserBudget::new(user);
        if let Some(chat) = &chat {
            ask = ask.chat(chat.clone());
        }
        if let Some(model) = model {
            ask = ask.model(model);
        }
        let budgets = self.plain().read(|tx| tx.query(&ask)).expect("budgets");
        self.model
            .check_budgets(self.now(), user, chat.as_ref(), model, &budgets);
    }
}

/// Empties the file for the next history.
fn empty(plain: &Plain) {
    let tables = [
        "botstore_limit",
        "botstore_reservation",
        "botstore_usage",
        "messages",
        "audit_log",
        "sessions",
        "cost_tracking",
        "users",
    ];
    for table in tables {
        let sql = format!("DELETE FROM {table}");
        plain
            .write(|tx| tx.execute(&sql, []))
            .expect("an empty table");
    }
}

#[test]
fn limits_hold_in_every_history_as_in_a_plain_model() {
    let only = std::env::var("BOTSTORE_HISTORY")
        .ok()
        .map(|seed| seed.parse::<u64>().expect("a seed"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bot.db");
    let clock = FixedClock::default();
    let mut plain = Some(open(&path, &clock, "UTC"));
    let (mut zone, mut sessions) = ("UTC", 0);
    for seed in 0..u64::from(histories(150)) {
        if only.is_some_and(|only| only != seed) {
            continue;
        }
        let mut random = Random(seed);
        let beginning = botstore::time::parse(random.of(&BEGINNINGS)).expect("a time");
        clock.set(beginning);
        empty(plain.as_ref().expect("open"));
        let mut history = History {
            random,
            plain: plain.take(),
            path: path.clone(),
            clock: clock.clone(),
            zone,
            model: Model::new(zone.parse().expect("a zone")),
            sessions,
        };
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..25 {
                history.step();
            }
            history.check_budgets();
            let report = history
                .plain()
                .read(|tx| tx.query(&ReconcileRollups::new()));
            let report = report.expect("a comparison");
            assert_eq!(report.differences, 0, "{:#?}", report.named);
        }));
        assert!(failed.is_ok(), "run it alone with BOTSTORE_HISTORY={seed}");
        (plain, zone, sessions) = (history.plain.take(), history.zone, history.sessions);
    }
}
