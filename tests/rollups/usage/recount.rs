//! A full count of what requests used, by SQL that shares nothing with the store's.

use crate::support::{all, open_plain};
use botstore::Store;
use botstore::rollups::ReconcileRollups;
use botstore::rusqlite::{Connection, Row};
use botstore::usage::{
    ModelTotals, ModelUsage, UsageByDay, UsageByUser, UsageTotals, UserModelUsage, UserUsageByDay,
};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// More days than any of these bots had.
const DAYS: u32 = 30_000;

/// By provider and model, by user, or by day: `requests`, `unpriced`, `unmeasured`, five kinds of tokens, `cost`.
type Counted = BTreeMap<String, [i64; 9]>;

/// How a request is counted, with its day `offset` minutes from UTC.
fn rows(offset: i64) -> String {
    let nothing = "coalesce(CAST({} AS INTEGER), 0)";
    let known = |column: &str, most: &str| {
        format!("max(0, min({most}, {}))", nothing.replace("{}", column))
    };
    let tokens = |column| known(column, "1000000000000");
    let (input, cached, written) = (
        tokens("input_tokens"),
        tokens("cache_read_input_tokens"),
        tokens("cache_creation_input_tokens"),
    );
    let (output, reasoning) = (tokens("output_tokens"), tokens("reasoning_output_tokens"));
    let cost = known("cost_nanos", "9000000000000000");
    format!(
        "SELECT date(substr(at, 1, 19), '{offset:+} minutes') AS day, user_id,
                CAST(coalesce(provider_name, '') AS TEXT) AS provider,
                CAST(coalesce(request_model, '') AS TEXT) AS model,
                count(*) AS requests, sum(cost_nanos IS NULL), sum(input_tokens IS NULL OR output_tokens IS NULL),
                sum({input}), sum({cached}), sum({written}), sum({output}), sum({reasoning}), sum({cost})
         FROM botstore_usage WHERE typeof(user_id) = 'integer' AND day >= '1950-01-01' AND day < '2150-01-01'
         GROUP BY 1, 2, 3, 4"
    )
}

/// What requests of one day, user, provider and model come to.
struct Requests {
    day: String,
    user_id: i64,
    provider: String,
    model: String,
    sums: [i64; 9],
}

impl Requests {
    fn of_model(&self) -> String {
        format!("{} {}", self.provider, self.model)
    }
}

/// A full scan of all requests.
fn scan(conn: &Connection, offset: i64) -> Vec<Requests> {
    let read = |row: &Row<'_>| {
        let text = |at| {
            row.get_ref(at)
                .map(|text| String::from_utf8_lossy(text.as_bytes().unwrap()).into_owned())
        };
        let mut sums = [0; 9];
        for (sum, at) in sums.iter_mut().zip(4..) {
            *sum = row.get(at)?;
        }
        Ok(Requests {
            day: text(0)?,
            user_id: row.get(1)?,
            provider: text(2)?,
            model: text(3)?,
            sums,
        })
    };
    all(conn, &rows(offset), [], read)
}

/// Groups the requests that are wanted by what `name` makes of them.
fn group(
    scanned: &[Requests],
    wanted: impl Fn(&Requests) -> bool,
    name: impl Fn(&Requests) -> String,
) -> Counted {
    let mut groups = Counted::new();
    for requests in scanned.iter().filter(|requests| wanted(requests)) {
        let group = groups.entry(name(requests)).or_default();
        for (sum, more) in group.iter_mut().zip(requests.sums) {
            *sum += more;
        }
    }
    groups
}

fn sums(totals: &UsageTotals) -> [i64; 9] {
    let counts = [
        totals.requests,
        totals.unpriced,
        totals.unmeasured,
        totals.input_tokens,
        totals.cached_input_tokens,
        totals.cache_write_tokens,
        totals.output_tokens,
        totals.reasoning_tokens,
    ];
    let mut sums = [totals.cost.nanos(); 9];
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = count as i64;
    }
    sums
}

fn by_model(models: Vec<ModelTotals>) -> Counted {
    let in_order = models
        .windows(2)
        .all(|two| two[0].totals.cost >= two[1].totals.cost);
    assert!(in_order, "{models:?}");
    let name = |of: &ModelTotals| {
        let [provider, model] = [&of.provider, &of.model].map(|text| text.as_deref().unwrap_or(""));
        format!("{provider} {model}")
    };
    models
        .iter()
        .map(|of| (name(of), sums(&of.totals)))
        .collect()
}

/// Every answer about usage against a full scan, `offset` minutes from UTC; and the store's own comparison.
pub(crate) async fn compare_usage(store: &Store, offset: i64, after: &dyn Debug) {
    let report = store.read(ReconcileRollups::new()).await.unwrap();
    assert_eq!(
        report.differences, 0,
        "{:#?} after {after:#?}",
        report.named
    );
    let scanned = scan(&open_plain(store.path()), offset);
    let models = store.read(ModelUsage::new(DAYS)).await.unwrap();
    let due = group(&scanned, |_| true, Requests::of_model);
    assert_eq!(by_model(models), due, "models after {after:#?}");
    let users = store.read(UsageByUser::new(DAYS)).await.unwrap();
    let dearest_first = users.is_sorted_by(|a, b| a.totals.cost >= b.totals.cost);
    assert!(dearest_first, "{users:?}");
    let users = users
        .iter()
        .map(|of| (of.user_id.to_string(), sums(&of.totals)));
    let due = group(&scanned, |_| true, |of| of.user_id.to_string());
    assert_eq!(users.collect::<Counted>(), due, "users after {after:#?}");
    let models: Vec<Option<String>> = [None, Some("gpt"), Some("mini"), Some("nobody's")]
        .map(|model| model.map(str::to_owned))
        .into();
    for user in [None, Some(1), Some(2), Some(3), Some(77)] {
        if let Some(user_id) = user {
            let models = store
                .read(UserModelUsage::new(user_id, DAYS))
                .await
                .unwrap();
            let due = group(&scanned, |of| of.user_id == user_id, Requests::of_model);
            assert_eq!(by_model(models), due, "{user_id} after {after:#?}");
        }
        for model in &models {
            let days = match user {
                Some(user_id) => {
                    let mut query = UserUsageByDay::new(user_id, DAYS);
                    query.model.clone_from(model);
                    store.read(query).await.unwrap()
                }
                None => {
                    let mut query = UsageByDay::new(DAYS);
                    query.model.clone_from(model);
                    store.read(query).await.unwrap()
                }
            };
            assert!(days.is_sorted_by(|a, b| a.date > b.date), "{days:?}");
            let days = days
                .iter()
                .map(|day| (day.date.to_string(), sums(&day.totals)));
            let wanted = |of: &Requests| {
                user.is_none_or(|user| user == of.user_id)
                    && model.as_deref().is_none_or(|model| model == of.model)
            };
            let due = group(&scanned, wanted, |of| of.day.clone());
            assert_eq!(
                days.collect::<Counted>(),
                due,
                "{user:?}, {model:?} after {after:#?}"
            );
        }
    }
}
