//! What the agent costs on this machine: alone, and side by side with node_exporter.
//!
//! `tests/bench-agent.sh` builds and runs it; `bench_agent AGENT [COLLECTIONS]` takes the program to measure. Prints a
//! table. Targets that are missed are marked; the program ends with 0 all the same.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod beside;

use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use siaga_agent::collectors;
use siaga_agent::config::Collect;
use siaga_agent::counters::Counters;
use siaga_agent::samples::Recorder;
use siaga_agent::spool::{SERVER, Spool};

const DAY_COLLECTIONS: u32 = 24 * 3_600 / 15;
/// Collections before measuring begins.
const WARM_UP: u32 = 500;

fn cpu_ms() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}

fn resident_kib() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0.0);
    pages * rustix::param::page_size() as f64 / 1024.0
}

fn row(what: &str, value: f64, unit: &str, target: Option<f64>) {
    let mark = match target {
        Some(target) if value > target => format!("MISSED, target {target} {unit}"),
        Some(target) => format!("target {target} {unit}"),
        None => String::new(),
    };
    println!("{what:<46} {value:>12.3} {unit:<8} {mark}");
}

/// A busy day of 300 series, made up: a third clock ticks, a third bytes and packets that grow by random amounts, a
/// third gauges of which half move by random pages. Gives bytes and samples.
fn spool_a_day() -> anyhow::Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let mut spool = Spool::open(folder.path(), 1 << 30, Arc::new(Counters::default()))?;
    let (mut recorder, mut seed) = (Recorder::default(), 1_u64);
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut values = [0_u64; 300];
    for collection in 0..DAY_COLLECTIONS {
        recorder.begin();
        for (place, value) in values.iter_mut().enumerate() {
            let name = format!("node_example_{place}_total");
            match place % 6 {
                0 | 1 => *value += random(1_500),
                2 => *value += random(10_000_000),
                3 => *value += random(5_000),
                4 => *value = (1 << 32) + random(1 << 16) * 4_096,
                _ => *value = 1 << 33,
            }
            let scale = if place % 6 < 2 { 100.0 } else { 1.0 };
            recorder.counter(&name, &[("device", "sda")], *value as f64 / scale);
        }
        recorder.end();
        spool.append(i64::from(collection) * 15_000, &recorder);
    }
    spool.flush();
    let files = std::fs::read_dir(folder.path())?.flatten().filter_map(|entry| entry.metadata().ok());
    Ok((files.map(|meta| meta.len()).sum::<u64>() as f64, f64::from(DAY_COLLECTIONS) * 300.0))
}

/// Many collections into a spool, as fast as they go: cost of one, and what is left in memory.
async fn alone(collections: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut runner =
        collectors::runner(&Collect::default(), Path::new("/"), &Arc::default(), &Arc::default());
    let mut recorder = Recorder::default();
    let mut spool = Spool::open(folder.path(), 16 << 20, Arc::new(Counters::default()))?;
    let mut time = 0;
    let (mut memory, mut before) = (0.0, 0.0);
    for collection in 0..collections + WARM_UP {
        if collection == WARM_UP {
            (memory, before) = (resident_kib(), cpu_ms());
        }
        runner.collect(&mut recorder).await;
        time += 15_000;
        spool.append(time, &recorder);
        // As in a running agent, which sends what it has.
        if let Some(batch) = spool.next_batch(SERVER, 100_000, 100) {
            let end = batch.end;
            spool.acknowledge(SERVER, end);
        }
    }
    let spent = (cpu_ms() - before) / f64::from(collections);
    let growth = resident_kib() - memory;
    row("series of this machine", recorder.samples().len() as f64, "", None);
    row("CPU a collection, without sending", spent, "ms", None);
    row(&format!("memory growth over {collections} collections"), growth, "KiB", Some(64.0));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let agent = words.next().ok_or_else(|| anyhow::anyhow!("usage: bench_agent AGENT [COLLECTIONS]"))?;
    let collections: u32 = words.next().map_or(Ok(10_000), |word| word.parse())?;
    beside::run(Path::new(&agent)).await?;
    alone(collections).await?;
    let (bytes, samples) = spool_a_day()?;
    row("spool, bytes a sample", bytes / samples, "B", None);
    row("spool, a day of 300 series", bytes / f64::from(1 << 20), "MiB", Some(8.0));
    Ok(())
}
