//! How many interactions a second the store saves, and how long each waits, by the number of
//! callers that write at once: a table, and a drawing of it.
//!
//! ```text
//! cargo run --release --example load_curve
//! cargo run --release --example load_curve -- --seconds 1 --out load.svg
//! ```
//!
//! Every caller waits for its answer before it saves the next interaction, so there are never more
//! in flight than callers. Each point is a new file in the temporary folder (`TMPDIR`); full
//! durability means something only where that is on a disk. The durabilities take turns, so that
//! a machine that slows down for a while does so under both.

use botstore::interactions::SaveInteraction;
use botstore::sessions::CreateSession;
use botstore::testing::Plain;
use botstore::tools::ToolCall;
use botstore::users::EnsureUser;
use botstore::{BeforeUpgrade, Config, Durability, Store, WriteTx};
use clap::Parser;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
#[command(about = "Measures and draws throughput and latency by the number of callers")]
struct Args {
    /// How long each point is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The drawing, an SVG
    #[arg(long, default_value = "docs/load_curve.svg")]
    out: PathBuf,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CALLERS: [u32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const USERS: i64 = 1_000;
const DURABILITIES: [(Durability, &str, RGBColor); 2] = [
    (Durability::Full, "full", RGBColor(0x2f, 0x81, 0xf7)),
    (Durability::Normal, "normal", RGBColor(0xe0, 0x7b, 0x1f)),
];

/// What was measured at one number of callers and one durability.
#[derive(Clone, Copy)]
struct Point {
    callers: u32,
    durability: Durability,
    per_second: f64,
    /// In milliseconds.
    p50: f64,
    p99: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    println!("callers  durability  interactions/s       p50 ms       p99 ms");
    let mut points = Vec::new();
    for callers in CALLERS {
        for (durability, name, _) in DURABILITIES {
            let time = Duration::from_secs(args.seconds);
            let point = runtime.block_on(measure(callers, durability, time))?;
            println!(
                "{callers:>7}  {name:<10}  {:>14.0} {:>12.2} {:>12.2}",
                point.per_second, point.p50, point.p99
            );
            points.push(point);
        }
    }
    std::fs::write(&args.out, draw(&points)?)?;
    println!("drawn in {}", args.out.display());
    Ok(())
}

fn session_of(user_id: i64) -> String {
    format!("session-{user_id:08}")
}

fn sign_up(tx: &WriteTx<'_>) -> botstore::Result<()> {
    for user_id in 0..USERS {
        tx.make(&EnsureUser::new(user_id, None))?;
        tx.make(&CreateSession {
            session_id: session_of(user_id),
            user_id,
            project_path: "/srv".into(),
        })?;
    }
    Ok(())
}

/// A message of 200 + 1,000 bytes with two tool uses, of nobody yet.
fn template() -> SaveInteraction {
    SaveInteraction {
        prompt: "What does this do? ".repeat(11)[..200].to_owned(),
        response: Some("It does the following. ".repeat(44)[..1_000].to_owned()),
        cost: 0.0125,
        duration_ms: Some(2_300),
        turns: 2,
        tools: vec![
            ToolCall::new("Read").input(serde_json::json!({ "path": "src/lib.rs" })),
            ToolCall::new("Bash").input(serde_json::json!({ "command": "cargo test" })),
        ],
        ..Default::default()
    }
}

async fn measure(callers: u32, durability: Durability, time: Duration) -> Result<Point> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("load.db");
    let config = Config::new(&path)
        .before_upgrade(BeforeUpgrade::Skip)
        .durability(durability);
    Plain::open(config.clone())?.write(sign_up)?;
    let store = Store::open(config).await?;

    let template = Arc::new(template());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (store, template) = (store.clone(), Arc::clone(&template));
        tasks.spawn(async move {
            let mut waited = Vec::new();
            let mut random = fastrand::Rng::with_seed(caller.into());
            while started.elapsed() < time {
                let user_id = random.i64(0..USERS);
                let interaction = SaveInteraction {
                    user_id,
                    session_id: session_of(user_id),
                    ..SaveInteraction::clone(&template)
                };
                let asked = Instant::now();
                store.write(interaction).await?;
                waited.push(asked.elapsed());
            }
            Ok::<_, botstore::Error>(waited)
        });
    }
    let mut waited = Vec::new();
    while let Some(done) = tasks.join_next().await {
        waited.extend(done??);
    }
    let took = started.elapsed();
    store.close().await?;

    waited.sort_unstable();
    // Everybody has saved at least one, so there is a value at each quantile.
    let quantile = |q: f64| waited[(waited.len() as f64 * q) as usize].as_secs_f64() * 1_000.0;
    Ok(Point {
        callers,
        durability,
        per_second: waited.len() as f64 / took.as_secs_f64(),
        p50: quantile(0.5),
        p99: quantile(0.99),
    })
}

/// Readable on white and on black; the background is whatever is behind the drawing.
const GREY: RGBColor = RGBColor(0x7d, 0x85, 0x90);

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&GREY)
}

struct Curve {
    label: String,
    color: RGBColor,
    dashed: bool,
    /// The logarithm of the callers, and the value there.
    values: Vec<(f64, f64)>,
}

impl Curve {
    fn new(points: &[Point], of: usize, dashed: bool, value: fn(&Point) -> f64) -> Self {
        let (durability, name, color) = DURABILITIES[of];
        let values = points.iter().filter(|point| point.durability == durability);
        Self {
            label: format!("{name} durability"),
            color,
            dashed,
            values: values
                .map(|point| (f64::from(point.callers).log2(), value(point)))
                .collect(),
        }
    }
}

/// The drawing: throughput above, latency below, the callers across both.
fn draw(points: &[Point]) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (860, 760)).into_drawing_area();
        let cores = std::thread::available_parallelism()?;
        root.draw_text(
            &format!("Saving interactions: throughput and latency on {cores} cores"),
            &text(20).pos(Pos::new(HPos::Center, VPos::Top)),
            (430, 14),
        )?;
        let (upper, lower) = root.split_vertically(404);

        let curves = [0, 1].map(|of| Curve::new(points, of, false, |point| point.per_second));
        let most = points.iter().map(|p| p.per_second).fold(1.0, f64::max);
        let upper = upper.margin(44, 0, 0, 0);
        panel(&upper, "interactions per second", 0.0..most * 1.05, &curves)?;

        let mut curves = Vec::new();
        for of in [0, 1] {
            curves.push(Curve::new(points, of, false, |point| point.p50));
            curves.push(Curve::new(points, of, true, |point| point.p99));
        }
        for curve in &mut curves {
            curve.label += if curve.dashed { ", p99" } else { ", p50" };
        }
        // From one power of ten to another, so that there is a labelled line at both ends.
        let least = points.iter().map(|p| p.p50).fold(f64::MAX, f64::min);
        let most = points.iter().map(|p| p.p99).fold(0.0, f64::max);
        let decade = |log: f64| 10_f64.powi(log as i32);
        let range = decade(least.log10().floor())..decade(most.log10().ceil());
        panel(&lower, "wait for the answer, ms", range.log_scale(), &curves)?;
        root.present()?;
    }
    Ok(svg)
}

fn panel<Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    what: &str,
    range: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
    curves: &[Curve],
) -> Result<()>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(-0.15..9.15, range)?;
    chart
        .configure_mesh()
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.25))
        .light_line_style(TRANSPARENT)
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_desc("callers at once")
        .y_desc(what)
        .x_labels(CALLERS.len())
        .x_label_formatter(&|log| format!("{:.0}", log.exp2()))
        .draw()?;
    for curve in curves {
        let (color, dashed) = (curve.color, curve.dashed);
        let stroke = move |points: Vec<_>| points;
        let drawn = if dashed {
            chart.draw_series(DashedLineSeries::new(curve.values.iter().copied(), 6, 4, color.stroke_width(2)))?
        } else {
            chart.draw_series(LineSeries::new(curve.values.iter().copied(), color.stroke_width(2)))?
        };
    }
    Ok(())
}
