//! What every peer does: so many callers that each wait for one answer before they save again, and a line of figures.
//! Each peer is a package of its own (`links = "sqlite3"` allows one SQLite a build), and includes this file.

#![allow(dead_code, reason = "plain rusqlite has no callers")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub trait Peer: Clone + Send + Sync + 'static {
    /// Saves exchange `number`; done when it is durable.
    fn save(&self, number: u64) -> impl Future<Output = Result<()>> + Send;

    /// How many messages are in the file.
    fn messages(&self) -> impl Future<Output = Result<u64>> + Send;
}

/// What the command line asks for: `FILE CALLERS EXCHANGES`. The file has the users and no messages.
pub struct Ask {
    pub file: PathBuf,
    pub callers: u64,
    pub exchanges: u64,
}

impl Ask {
    pub fn of_command_line() -> Result<Self> {
        let args: Vec<_> = std::env::args().skip(1).collect();
        let [file, callers, exchanges] = &args[..] else {
            return Err("expected FILE CALLERS EXCHANGES".into());
        };
        Ok(Self {
            file: file.into(),
            callers: callers.parse()?,
            exchanges: exchanges.parse()?,
        })
    }
}

/// What was measured.
pub struct Figures {
    /// In microseconds.
    pub latencies: Vec<f64>,
    pub took: Duration,
    pub cpu: Duration,
}

impl Figures {
    /// Prints exchanges a second, the middle and the 99th of a hundred latencies in µs, and µs of CPU time an exchange.
    pub fn print(mut self) {
        let saved = self.latencies.len();
        self.latencies.sort_by(f64::total_cmp);
        println!(
            "{:.0} {:.0} {:.0} {:.0}",
            saved as f64 / self.took.as_secs_f64(),
            self.latencies[saved / 2],
            self.latencies[saved * 99 / 100],
            self.cpu.as_secs_f64() * 1e6 / saved as f64
        );
    }
}

/// Saves a fifth of the exchanges first, in which a new WAL grows, and measures the rest.
pub async fn drive(peer: impl Peer, ask: &Ask) -> Result<Figures> {
    let first = ask.exchanges / 5;
    save(&peer, ask.callers, 0, first).await?;
    let cpu = cpu();
    let started = Instant::now();
    let latencies = save(&peer, ask.callers, first, ask.exchanges).await?;
    let (took, cpu) = (started.elapsed(), self::cpu() - cpu);
    let found = peer.messages().await?;
    if found != ask.exchanges {
        return Err(format!("{found} messages, not {}", ask.exchanges).into());
    }
    Ok(Figures {
        latencies,
        took,
        cpu,
    })
}

async fn save(peer: &impl Peer, callers: u64, from: u64, to: u64) -> Result<Vec<f64>> {
    let next = Arc::new(AtomicU64::new(from));
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (peer, next) = (peer.clone(), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= to {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(latencies);
                }
                let asked = Instant::now();
                peer.save(number).await?;
                latencies.push(asked.elapsed().as_nanos() as f64 / 1_000.0);
            }
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

/// The CPU time of this process so far; zero where the system does not tell.
pub fn cpu() -> Duration {
    let ticks = || -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace().skip(11);
        let mut next = || fields.next()?.parse::<f64>().ok();
        Some(next()? + next()?)
    };
    Duration::from_secs_f64(ticks().unwrap_or(0.0) / 100.0)
}
