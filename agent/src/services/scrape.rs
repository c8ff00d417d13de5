//! Prometheus exporters on this host, scraped and passed on: their own series with `job`, and `siaga_scrape_up`,
//! `scrape_duration_seconds`, `scrape_samples_scraped` as Prometheus has them.

use std::collections::HashMap;
use std::time::Instant;

use siaga_protocol::exposition::{self, Line, TimeUnit};

use super::relabel;
use crate::collectors::{is_reserved, round_to_micro, value};
use crate::config::services::Scrape;
use crate::samples::{Kind, Output};

/// Asks the exporter and records what it says. An answer that is wrong, too large or has too many samples gives nothing.
pub(super) async fn ask(scrape: &Scrape, out: &mut Output) {
    let started = Instant::now();
    let answer = match super::fetch(scrape.url.as_str(), scrape.asked().timeout()).await {
        Ok(text) => record(&text, scrape, out),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = &answer {
        tracing::debug!(exporter = scrape.name, reason, "the exporter gives nothing");
    }
    let job = [("job", scrape.name.as_str())];
    out.gauge("siaga_scrape_up", &job, f64::from(u8::from(answer.is_ok())));
    out.gauge("scrape_duration_seconds", &job, round_to_micro(started.elapsed()));
    out.gauge("scrape_samples_scraped", &job, value(answer.unwrap_or(0)));
}

/// Records the samples of a text that the rules let through, and gives the number of those that were there.
fn record(text: &str, scrape: &Scrape, out: &mut Output) -> Result<u64, String> {
    let mut kinds = HashMap::new();
    let mut kept: Vec<(Vec<(String, String)>, f64)> = Vec::new();
    let mut samples = 0;
    for (number, line) in text.lines().enumerate() {
        match exposition::parse_line(line, TimeUnit::Milliseconds) {
            Err(error) => return Err(format!("line {}: {error}", number + 1)),
            Ok(Line::Type { name, kind }) => {
                kinds.insert(name, Kind::of_text(&kind));
            }
            Ok(Line::Sample(mut sample)) => {
                samples += 1;
                if samples > scrape.max_samples.get() {
                    return Err(format!("it gives more than {} samples", scrape.max_samples.get()));
                }
                if relabel::apply(&scrape.relabel, &mut sample.labels) {
                    kept.push((sample.labels, sample.value));
                }
            }
            Ok(_) => {}
        }
    }
    for (labels, value) in &kept {
        let name = labels.iter().find(|(label, _)| label == "__name__").map_or("", |(_, name)| name);
        if is_reserved(name) {
            continue;
        }
        let others =
            labels.iter().filter(|(label, _)| !matches!(label.as_str(), "__name__" | "job" | "instance"));
        let labels: Vec<(&str, &str)> = std::iter::once(("job", scrape.name.as_str()))
            .chain(others.map(|(label, text)| (label.as_str(), text.as_str())))
            .collect();
        out.record(kinds.get(name).copied().unwrap_or(Kind::Untyped), name, &labels, *value);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Recorder;

    #[test]
    fn an_exporters_samples_pass_with_its_job_and_without_names_of_siaga() {
        let scrape: Scrape = toml::from_str(
            "name = 'pg'\nurl = 'http://127.0.0.1:9187/metrics'\nmax_samples = 4\n[[relabel]]\nsource_labels = ['__name__']\nregex = 'go_.*'\naction = 'drop'\n",
        )
        .unwrap();
        let (mut out, mut recorder) = (Output::default(), Recorder::default());
        let text =
            "# TYPE proxy_up gauge\nproxy_up{job=\"x\",instance=\"y\",server=\"s\"} 1\ngo_threads 7\nup 1\n";
        assert_eq!(record(text, &scrape, &mut out), Ok(3));
        recorder.begin();
        recorder.take_up(&out);
        recorder.end();
        assert_eq!(recorder.to_text(), "# TYPE proxy_up gauge\nproxy_up{job=\"pg\",server=\"s\"} 1\n");
        assert_eq!(
            record("a 1\nb\n", &scrape, &mut out),
            Err("line 2: column 2: value \"\" is not a number".into())
        );
        assert!(record("a 1\nb 1\nc 1\nd 1\ne 1\n", &scrape, &mut out).unwrap_err().contains("more than 4"));
    }
}
