//! Commands run by turns, each with its time, its processor time and its peak of memory.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bench::{median, millis};
use crate::run::{Doing, Result, Run, command};

/// Whether the source is in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// It is.
    Warm,
    /// Its files are dropped before each run.
    Cold,
}

impl Cache {
    /// How the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// A shell command that takes part.
pub struct Racer(String);

impl Racer {
    /// Returns one.
    pub fn new(script: String) -> Self {
        Self(script)
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// From start to end.
    pub wall: Duration,
    cpu: f64,
    peak_kib: u64,
    /// The numbers in its first line of output: microseconds it counted itself, and one more.
    said: [u64; 2],
}

/// All runs of a command.
#[derive(Default)]
pub struct Runs(Vec<Sample>);

/// What the tables say of all runs of a command.
pub trait Times {
    /// Median, in seconds.
    fn wall(&self) -> f64;
    /// User and system, median, in seconds.
    fn cpu(&self) -> f64;
    /// The highest of all runs.
    fn peak_kib(&self) -> u64;
    /// What it measured itself, median, in milliseconds.
    fn own_ms(&self) -> f64;
    /// The second number that it printed.
    fn said(&self) -> u64;
}

impl Times for Runs {
    fn wall(&self) -> f64 {
        median(&mut self.0.iter().map(|run| run.wall).collect::<Vec<_>>()).as_secs_f64()
    }

    fn cpu(&self) -> f64 {
        let of = |run: &Sample| Duration::from_secs_f64(run.cpu);
        median(&mut self.0.iter().map(of).collect::<Vec<_>>()).as_secs_f64()
    }

    fn peak_kib(&self) -> u64 {
        self.0.iter().map(|run| run.peak_kib).max().unwrap_or(0)
    }

    fn own_ms(&self) -> f64 {
        let of = |run: &Sample| Duration::from_micros(run.said[0]);
        millis(median(&mut self.0.iter().map(of).collect::<Vec<_>>()))
    }

    fn said(&self) -> u64 {
        self.0.first().map_or(0, |run| run.said[1])
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut walls: Vec<_> = self.0.iter().map(|run| run.wall).collect();
        let middle = median(&mut walls);
        let (first, last) = (walls.first(), walls.last());
        let of = |time: Option<&Duration>| millis(*time.unwrap_or(&Duration::ZERO));
        match millis(middle) >= 100.0 {
            true => write!(
                f,
                "{:.0} [{:.0}-{:.0}] ms",
                millis(middle),
                of(first),
                of(last)
            ),
            false => write!(
                f,
                "{:.1} [{:.1}-{:.1}] ms",
                millis(middle),
                of(first),
                of(last)
            ),
        }
    }
}

/// Runs each command in each round, into the empty folder `out`. With a cold cache, `sources` are dropped
/// from it before each run; else they are read once.
///
/// # Errors
/// When a command fails.
pub fn race(
    racers: &[Racer],
    out: &Path,
    sources: &[PathBuf],
    cache: Cache,
    rounds: usize,
) -> Result<Vec<Runs>> {
    let mut times: Vec<Runs> = racers.iter().map(|_| Runs::default()).collect();
    if cache == Cache::Warm {
        for source in sources {
            let input = format!("if={}", source.display());
            command("dd", [&input, "of=/dev/null", "bs=1M", "status=none"]).quiet()?;
        }
    }
    for _ in 0..rounds {
        for (racer, times) in racers.iter().zip(&mut times) {
            empty(out)?;
            if cache == Cache::Cold {
                for source in sources {
                    drop_cache(source)?;
                }
            }
            times.0.push(measure(&racer.0)?);
        }
    }
    empty(out)?;
    Ok(times)
}

/// Runs a shell command.
///
/// # Errors
/// When it fails.
pub fn measure(script: &str) -> Result<Sample> {
    let time = ["-q", "-f", "\n%U %S %M", "sh", "-c", script];
    let start = Instant::now();
    let text = command("sh", ["-c", "exec /usr/bin/time \"$@\" 2>&1", "sh"])
        .args(time)
        .text()?;
    let wall = start.elapsed();
    let cost = text.lines().last().unwrap_or_default();
    let cost: Vec<f64> = cost.split(' ').flat_map(str::parse).collect();
    let [user, system, peak] = cost[..] else {
        return crate::run::fail(format!("{script}: no times in {text:?}"));
    };
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .flat_map(str::parse);
    Ok(Sample {
        wall,
        cpu: user + system,
        peak_kib: peak as u64,
        said: [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)],
    })
}

fn empty(folder: &Path) -> Result {
    if folder.exists() {
        fs::remove_dir_all(folder).doing(folder.display())?;
    }
    fs::create_dir(folder).doing(folder.display())?;
    // What removing left to do is not to count for who comes next.
    command("sync", ["-f"]).arg(folder).quiet()
}

/// Drops a file from the page cache.
///
/// # Errors
/// When `dd` fails.
pub fn drop_cache(file: &Path) -> Result {
    let input = format!("if={}", file.display());
    command("dd", [&input, "iflag=nocache", "count=0", "status=none"]).quiet()
}
