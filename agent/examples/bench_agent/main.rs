//! What the agent costs on this machine: alone, and side by side with node_exporter.
//!
//! `tests/bench-agent.sh` builds and runs it; `bench_agent AGENT [COLLECTIONS]` takes the program to measure. Prints a
//! table. Targets that are missed are marked; the program ends with 0 all the same.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod beside;
mod delivered;
#[path = "../../tests/common/old_kernel.rs"]
mod old_kernel;
mod replay;

use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use siaga_agent::collectors;
use siaga_agent::config::Collect;
use siaga_agent::counters::Counters;
use siaga_agent::samples::Recorder;
use siaga_agent::spool::{SERVER, Spool};

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

/// Bytes that the program holds of the allocator.
#[expect(unsafe_code, reason = "the C library has no safe wrapper for it")]
fn allocated_kib() -> f64 {
    // SAFETY: it has no arguments and only reads the allocator's own counts.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as f64 / 1024.0
}

/// Many collections into a spool, as fast as they go: cost of one, and what is left in memory.
async fn alone(collections: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut runner =
        collectors::runner(&Collect::default(), Path::new("/"), &Arc::default(), &Arc::default());
    let mut recorder = Recorder::default();
    let mut spool = Spool::open(folder.path(), 16 << 20, Arc::new(Counters::default()))?;
    let mut time = 0;
    let (mut memory, mut allocated, mut before) = (0.0, 0.0, 0.0);
    for collection in 0..collections + WARM_UP {
        if collection == WARM_UP {
            (memory, allocated, before) = (resident_kib(), allocated_kib(), cpu_ms());
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
    let (growth, grown) = (resident_kib() - memory, allocated_kib() - allocated);
    row("series of this machine", recorder.samples().len() as f64, "", None);
    row("CPU a collection, without sending", spent, "ms", None);
    row(&format!("allocation growth, {collections} collections"), grown, "KiB", Some(16.0));
    row(&format!("resident growth, {collections} collections"), growth, "KiB", Some(64.0));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let agent = words.next().ok_or_else(|| anyhow::anyhow!("usage: bench_agent AGENT [COLLECTIONS]"))?;
    let collections: u32 = words.next().map_or(Ok(10_000), |word| word.parse())?;
    beside::run(Path::new(&agent)).await?;
    alone(collections).await?;
    replay::run().await?;
    delivered::run(Path::new(&agent))
}
