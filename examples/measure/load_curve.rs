//! How many interactions a second the store saves, and how long each waits, by the number of
//! callers that write at once: a table, and a drawing of it.
//!
//! ```text
//! cargo run --release -p botstore-measure --bin load_curve
//! cargo run --release -p botstore-measure --bin load_curve -- --out docs/load_curve.svg
//! ```
//!
//! Every caller waits for its answer before it saves the next interaction, so there are never more
//! in flight than callers. Each point is a new file in the temporary folder (`TMPDIR`); full
//! durability means something only where that is on a disk. The durabilities take turns, so that
//! a machine that slows down for a while does so under both.

use botstore::testing::Plain;
use botstore::{BeforeUpgrade, Config, Durability, Store};
use botstore_measure::bot::{interaction, sign_up};
use clap::Parser;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
#[command(about = "Measures and draws throughput and latency by the number of callers")]
struct Args {
    /// How long each point is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Where the drawing goes, an SVG; without it there is only the table
    #[arg(long)]
    out: Option<PathBuf>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const CALLERS: [u32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
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
    match run(&Args::parse()) {
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
    if let Some(out) = &args.out {
        std::fs::write(out, draw(&points)?)?;
        println!("drawn in {}", out.display());
    }
    Ok(())
}

async fn measure(callers: u32, durability: Durability, time: Duration) -> Result<Point> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("load.db");
    let config = Config::new(&path)
        .before_upgrade(BeforeUpgrade::Skip)
        .durability(durability);
    Plain::open(config.clone())?.write(sign_up)?;
    let store = Store::open(config).await?;

    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut waited = Vec::new();
            while started.elapsed() < time {
                let interaction = interaction(next.fetch_add(1, Relaxed));
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
    // At least one is saved in a second, so there is a value at each quantile.
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

/// Where the axis of latencies may have its lines, in milliseconds.
const MARKS: [f64; 19] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
    2_000.0, 5_000.0, 10_000.0,
];

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&GREY)
}

struct Curve {
    label: String,
    color: RGBColor,
    dashed: bool,
    /// The callers, and the value there.
    values: Vec<(f64, f64)>,
}

/// The curve of each durability.
fn curves(points: &[Point], what: &str, dashed: bool, value: fn(&Point) -> f64) -> [Curve; 2] {
    DURABILITIES.map(|(durability, name, color)| {
        let of_it = points.iter().filter(|point| point.durability == durability);
        Curve {
            label: format!("{what} at {name} durability"),
            color,
            dashed,
            values: of_it.map(|p| (f64::from(p.callers), value(p))).collect(),
        }
    })
}

/// The drawing: throughput above, latency below, the callers across both.
fn draw(points: &[Point]) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (860, 770)).into_drawing_area();
        let cores = std::thread::available_parallelism()?;
        let title = format!("Saving interactions: throughput and latency on {cores} cores");
        let centred = text(20).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw_text(&title, &centred, (430, 12))?;
        let (upper, lower) = root.margin(40, 0, 0, 0).split_vertically(370);

        let rates = curves(points, "interactions", false, |point| point.per_second);
        let most = points.iter().map(|p| p.per_second).fold(1.0, f64::max);
        panel(&upper, "interactions per second", 0.0..most * 1.1, rates)?;

        let p50 = curves(points, "p50", false, |point| point.p50);
        let p99 = curves(points, "p99", true, |point| point.p99);
        let low = points.iter().map(|p| p.p50).fold(f64::MAX, f64::min);
        let high = points.iter().map(|p| p.p99).fold(0.0, f64::max);
        // A labelled line at both ends.
        let first = MARKS.iter().rposition(|&mark| mark <= low).unwrap_or(0);
        let above = MARKS.iter().position(|&mark| mark >= high);
        let last = above.unwrap_or(MARKS.len() - 1);
        let range = (MARKS[first]..MARKS[last]).log_scale();
        panel(
            &lower,
            "wait for the answer, ms",
            range.with_key_points(MARKS[first..=last].to_vec()),
            p50.into_iter().chain(p99),
        )?;
        root.present()?;
    }
    Ok(svg)
}

fn panel<Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    what: &str,
    range: Y,
    curves: impl IntoIterator<Item = Curve>,
) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let callers = CALLERS.map(f64::from).to_vec();
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(28)
        .x_label_area_size(42)
        .y_label_area_size(80)
        .build_cartesian_2d(
            (0.9..560.0).log_scale().base(2.0).with_key_points(callers),
            range,
        )?;
    chart
        .configure_mesh()
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.25))
        .light_line_style(TRANSPARENT)
        .label_style(text(13))
        .axis_desc_style(text(14))
        .x_desc("callers at once")
        .y_desc(what)
        .x_label_formatter(&|callers| format!("{callers}"))
        .y_label_formatter(&|value| format!("{value}"))
        .draw()?;
    for curve in curves {
        let stroke = curve.color.stroke_width(2);
        let points = curve.values.iter().copied();
        let dots = points.clone().map(|at| Circle::new(at, 3, stroke.filled()));
        chart.draw_series(dots)?;
        let drawn = if curve.dashed {
            chart.draw_series(DashedLineSeries::new(points, 6, 4, stroke))?
        } else {
            chart.draw_series(LineSeries::new(points, stroke))?
        };
        let dash = if curve.dashed { 6 } else { 24 };
        drawn.label(curve.label).legend(move |(x, y)| {
            let line = [(x, y), (x + 24, y)].into_iter();
            DashedPathElement::new(line, dash, 4, stroke)
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(32)
        .label_font(text(13))
        .draw()?;
    Ok(())
}
