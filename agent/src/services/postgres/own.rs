//! Questions in SQL of the host's own file, as probes: whether the server answers, how fast, and the first figure of the
//! first row. No text leaves the host.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::collectors::{round_to_micro, value};
use crate::config::services::Postgres;
use crate::samples::Output;

/// Rows that are counted; the others are thrown away as they come.
const MAX_ROWS: u64 = 10_000;

/// What came back.
#[derive(Debug, Default)]
struct Told {
    rows: u64,
    figure: Option<f64>,
}

/// Asks all questions and records what they found; without a connection, that they failed. Each may take its share of the
/// time that is left, after which the server itself ends it.
pub(super) async fn ask_all(client: Option<&Client>, server: &Postgres, deadline: Instant, out: &mut Output) {
    for (place, probe) in server.probes.iter().enumerate() {
        let started = Instant::now();
        let left = u32::try_from(server.probes.len() - place).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(started) / left;
        let answer = match client {
            Some(client) => timeout_at(deadline, question(client, &probe.sql, share)).await,
            None => Ok(Err("no connection".to_owned())),
        };
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Err(reason) = &answer {
            tracing::debug!(probe = probe.name, reason, "the probe fails");
        }
        let labels = [("probe", probe.name.as_str()), ("target", server.name.as_str())];
        tell(answer.ok(), started.elapsed(), &labels, out);
    }
}

async fn question(client: &Client, sql: &str, limit: Duration) -> Result<Told, String> {
    let failed = |error: tokio_postgres::Error| crate::error_chain(&error);
    // 0 would mean no limit.
    let limit = limit.as_millis().max(1);
    client.batch_execute(&format!("SET statement_timeout = {limit}")).await.map_err(failed)?;
    let mut answer = pin!(client.simple_query_raw(sql).await.map_err(failed)?);
    let mut told = Told::default();
    while let Some(message) =
        poll_fn(|context| futures_core::Stream::poll_next(answer.as_mut(), context)).await
    {
        let SimpleQueryMessage::Row(row) = message.map_err(failed)? else { continue };
        if told.rows == 0 && !row.is_empty() {
            told.figure = row.get(0).and_then(|text| text.parse().ok());
        }
        told.rows += 1;
        if told.rows >= MAX_ROWS {
            break;
        }
    }
    Ok(told)
}

fn tell(told: Option<Told>, took: Duration, labels: &[(&str, &str)], out: &mut Output) {
    out.gauge("probe_success", labels, f64::from(u8::from(told.is_some())));
    out.gauge("probe_duration_seconds", labels, round_to_micro(took));
    let Some(told) = told else { return };
    out.gauge("probe_sql_rows", labels, value(told.rows));
    if let Some(figure) = told.figure {
        out.gauge("probe_sql_value", labels, figure);
    }
}
