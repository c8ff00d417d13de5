//! Sending the load over its connections, and what that cost the server.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::servers::Running;
use super::wire::Connection;

const HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
    X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
/// A full queue is waited for this long.
const BUSY_WAIT: Duration = Duration::from_millis(20);
/// A request that is refused as busy this many times has failed.
const BUSY_TRIES: usize = 500;

/// What the samples cost.
#[derive(Debug, Clone, Copy)]
pub struct Ingested {
    /// Samples stored in each second of wall time.
    pub samples_per_second: f64,
    /// Processor seconds of the server for a million samples, its aftermath included.
    pub cpu_per_million: f64,
    /// The largest resident memory.
    pub peak_bytes: u64,
    /// Processor seconds of the sender for a million samples, which are none of the server's.
    pub sender_cpu_per_million: f64,
}

/// Sends everything, each list over its own connection.
///
/// # Errors
/// A request is refused.
#[expect(clippy::cast_precision_loss, reason = "numbers of samples stay far below 2^53")]
pub fn run(
    server: &Running,
    requests: &[Vec<Vec<u8>>],
    samples: usize,
    aftermath: Duration,
) -> anyhow::Result<Ingested> {
    let (cpu, own_cpu, began) = (server.cpu_seconds()?, own_cpu_seconds()?, Instant::now());
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let senders: Vec<_> =
            requests.iter().map(|requests| scope.spawn(move || send(server, requests))).collect();
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender ended in a panic"))??;
        }
        Ok(())
    })?;
    let took = began.elapsed().as_secs_f64();
    let sender_cpu = own_cpu_seconds()? - own_cpu;
    std::thread::sleep(aftermath);
    let millions = samples as f64 / 1e6;
    Ok(Ingested {
        samples_per_second: samples as f64 / took,
        cpu_per_million: (server.cpu_seconds()? - cpu) / millions,
        peak_bytes: server.peak_bytes()?,
        sender_cpu_per_million: sender_cpu / millions,
    })
}

fn own_cpu_seconds() -> anyhow::Result<f64> {
    super::servers::cpu_seconds_of("self")
}

fn send(server: &Running, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    send_to(server, &format!("{}/api/v1/write", server.kind.prefix()), requests)
}

/// Sends history to Siaga.
///
/// # Errors
/// It is refused.
pub fn send_history(server: &Running, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    send_to(server, "/api/v1/import/write", requests)
}

fn send_to(server: &Running, path: &str, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut connection = Connection::open(server.address, &server.authorization)?;
    for body in requests {
        for attempt in 0.. {
            let (status, answer) = connection.post(path, HEADERS, body).context("cannot send a request")?;
            if status / 100 == 2 {
                break;
            }
            let text = String::from_utf8_lossy(&answer).chars().take(300).collect::<String>();
            ensure!(status == 503 || status == 429, "{} answered {status}: {text}", server.kind);
            ensure!(attempt < BUSY_TRIES, "{} stays busy", server.kind);
            std::thread::sleep(BUSY_WAIT);
        }
    }
    Ok(())
}
