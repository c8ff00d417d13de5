//! Pushes load to a server and says what it took: samples a second, errors, latency.
//!
//! Bounded in samples and time, and meant for a server of one's own: another address than this machine's must be
//! asked for by a flag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use siaga_protocol::paths;
use siaga_protocol::remote_write::{self, Label, Sample, TimeSeries, WriteRequest};
use tokio::task::JoinSet;

use super::client::{Client, is_loopback};
use super::noise;

/// Most samples of one interval.
pub const MAX_SAMPLES_PER_INTERVAL: usize = 2_000_000;
/// Most hosts; each has a connection of its own.
pub const MAX_LOAD_HOSTS: usize = 2_000;
/// Most series of a host, all of which go in one request.
pub const MAX_LOAD_SERIES: usize = 20_000;
/// Longest run, seconds.
pub const MAX_DURATION_SECONDS: f64 = 3_600.0;
/// Shortest interval, seconds.
pub const MIN_INTERVAL_SECONDS: f64 = 0.05;

/// What load is pushed.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Address of the server
    #[arg(long)]
    pub server: String,
    /// API token
    #[arg(long, env = "SIAGA_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Hosts that send
    #[arg(long, default_value_t = 10)]
    pub hosts: usize,
    /// Series of each host
    #[arg(long, default_value_t = 500)]
    pub series: usize,
    /// Seconds between two samples of a series
    #[arg(long, default_value_t = 15.0)]
    pub interval: f64,
    /// Seconds in all
    #[arg(long, default_value_t = 60.0)]
    pub duration: f64,
    /// Enrol each host and send with its own token, as agents do (the hosts stay in the register)
    #[arg(long)]
    pub as_agents: bool,
    /// Allow another address than this machine's
    #[arg(long)]
    pub i_know_this_server: bool,
}

impl LoadArgs {
    fn check(&self) -> anyhow::Result<()> {
        if !is_loopback(&self.server) && !self.i_know_this_server {
            bail!("{} is not on this machine; --i-know-this-server allows it", self.server);
        }
        ensure!((1..=MAX_LOAD_HOSTS).contains(&self.hosts), "--hosts is not between 1 and {MAX_LOAD_HOSTS}");
        ensure!(
            (1..=MAX_LOAD_SERIES).contains(&self.series),
            "--series is not between 1 and {MAX_LOAD_SERIES}"
        );
        ensure!(
            self.hosts * self.series <= MAX_SAMPLES_PER_INTERVAL,
            "--hosts times --series is more than {MAX_SAMPLES_PER_INTERVAL}"
        );
        ensure!(
            (MIN_INTERVAL_SECONDS..=MAX_DURATION_SECONDS).contains(&self.interval),
            "--interval is not between {MIN_INTERVAL_SECONDS} and {MAX_DURATION_SECONDS} seconds"
        );
        ensure!(
            (1.0..=MAX_DURATION_SECONDS).contains(&self.duration),
            "--duration is not between 1 and {MAX_DURATION_SECONDS} seconds"
        );
        Ok(())
    }
}

/// What came of the requests.
#[derive(Debug, Clone, Default)]
struct Outcome {
    stored: usize,
    refused: usize,
    latencies: Vec<Duration>,
    errors: BTreeMap<String, usize>,
}

impl Outcome {
    fn note(&mut self, samples: usize, took: Duration, result: anyhow::Result<()>) {
        self.latencies.push(took);
        match result {
            Ok(()) => self.stored += samples,
            Err(error) => {
                self.refused += samples;
                *self.errors.entry(format!("{error:#}")).or_default() += 1;
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.stored += other.stored;
        self.refused += other.refused;
        self.latencies.extend(other.latencies);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }

    /// The latency that this share of the requests did not exceed; the latencies must be sorted.
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default()
    }

    fn report(&mut self, took: Duration) -> Vec<String> {
        self.latencies.sort();
        let rate = |samples: usize| {
            noise::as_f64(i64::try_from(samples).unwrap_or(i64::MAX)) / took.as_secs_f64().max(1e-3)
        };
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1e3;
        let mut lines = vec![
            format!(
                "stored   {} samples in {:.1} s: {:.0} samples/s",
                self.stored,
                took.as_secs_f64(),
                rate(self.stored)
            ),
            format!(
                "requests {}, failed {} ({} samples)",
                self.latencies.len(),
                self.errors.values().sum::<usize>(),
                self.refused
            ),
            format!(
                "latency  p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
                ms(50),
                ms(95),
                ms(99),
                ms(100)
            ),
        ];
        lines.extend(self.errors.iter().map(|(error, count)| format!("error    {count} x {error}")));
        lines
    }
}

/// A host that sends, with what it is allowed by.
struct Sender {
    client: Client,
    token: String,
    instance: String,
    series: usize,
    seed: u64,
}

impl Sender {
    fn request(&self, at_ms: i64) -> WriteRequest {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        let series = (0..self.series).map(|number| {
            let seed = self.seed ^ noise::mix(number as u64);
            // Half of them are counters, half are restless gauges.
            let (name, value) = if number % 2 == 0 {
                ("load_events_total", (noise::as_f64(at_ms) / 1e3 * (1.0 + noise::unit(seed, 0))).floor())
            } else {
                ("load_level", (noise::smooth(seed, at_ms / 1_000, 300) * 1e4).round() / 1e2)
            };
            TimeSeries {
                labels: vec![
                    label("__name__", name),
                    label("instance", &self.instance),
                    label("job", "load"),
                    label("number", &number.to_string()),
                ],
                samples: vec![Sample { value, timestamp: at_ms }],
            }
        });
        WriteRequest { timeseries: series.collect(), metadata: vec![] }
    }

    async fn run(self, offset: Duration, interval: Duration, end: Instant, clock: fn() -> i64) -> Outcome {
        let mut outcome = Outcome::default();
        tokio::time::sleep(offset).await;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if Instant::now() >= end {
                return outcome;
            }
            let body = remote_write::encode(&self.request(clock()));
            let begin = Instant::now();
            let result = match body {
                Ok(body) => self.client.write(paths::REMOTE_WRITE, &self.token, body).await,
                Err(error) => Err(error.into()),
            };
            outcome.note(self.series, begin.elapsed(), result);
        }
    }
}

/// Pushes the load and gives the report's lines.
///
/// # Errors
/// If an argument is out of bounds, hosts cannot be enrolled, or nothing at all was stored.
pub async fn run(args: &LoadArgs, clock: fn() -> i64) -> anyhow::Result<Vec<String>> {
    args.check()?;
    let client = Client::new(&args.server)?;
    let interval = Duration::from_secs_f64(args.interval);
    let mut senders = Vec::with_capacity(args.hosts);
    for number in 0..args.hosts {
        let name = format!("beban-{:04}", number + 1);
        let seed = noise::hash(1, &name);
        let (token, instance) = if args.as_agents {
            let enrolled = client.enrol(&args.token, &name, &format!("{seed:032x}")).await?;
            (enrolled.agent_token, enrolled.instance)
        } else {
            (args.token.clone(), name)
        };
        senders.push(Sender { client: client.clone(), token, instance, series: args.series, seed });
    }
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(args.duration);
    let mut running = JoinSet::new();
    let count = u32::try_from(senders.len()).unwrap_or(u32::MAX).max(1);
    for (sender, place) in senders.into_iter().zip(0..) {
        running.spawn(sender.run(interval * place / count, interval, end, clock));
    }
    let mut outcome = Outcome::default();
    while let Some(part) = running.join_next().await {
        outcome.join(part?);
    }
    let lines = outcome.report(begin.elapsed().min(Duration::from_secs_f64(args.duration)));
    ensure!(outcome.stored > 0, "nothing was stored: {}", lines.join("; "));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> LoadArgs {
        LoadArgs {
            server: "http://127.0.0.1:8480".into(),
            token: "t".into(),
            hosts: 1,
            series: 1,
            interval: 1.0,
            duration: 1.0,
            as_agents: false,
            i_know_this_server: false,
        }
    }

    #[test]
    fn another_machine_and_loads_without_bounds_are_refused() {
        assert!(args().check().is_ok());
        let refused = [
            LoadArgs { server: "http://192.0.2.1".into(), ..args() },
            LoadArgs { hosts: MAX_LOAD_HOSTS + 1, ..args() },
            LoadArgs { hosts: 0, ..args() },
            LoadArgs { hosts: 2_000, series: 20_000, ..args() },
            LoadArgs { interval: 0.0, ..args() },
            LoadArgs { interval: f64::NAN, ..args() },
            LoadArgs { duration: 1e9, ..args() },
        ];
        for args in refused {
            assert!(args.check().is_err(), "{args:?}");
        }
        let known = LoadArgs { server: "http://192.0.2.1".into(), i_know_this_server: true, ..args() };
        assert!(known.check().is_ok());
    }

    #[test]
    fn the_report_counts_what_was_stored_and_names_each_error() {
        let mut outcome = Outcome::default();
        for ms in 1..=100 {
            outcome.note(10, Duration::from_millis(ms), Ok(()));
        }
        outcome.note(10, Duration::from_millis(500), Err(anyhow::anyhow!("busy")));
        let lines = outcome.report(Duration::from_secs(2)).join("\n");
        assert!(lines.contains("1000 samples in 2.0 s: 500 samples/s"), "{lines}");
        assert!(lines.contains("p50 51.0 ms") && lines.contains("max 500.0 ms"), "{lines}");
        assert!(lines.contains("1 x busy"), "{lines}");
    }
}
