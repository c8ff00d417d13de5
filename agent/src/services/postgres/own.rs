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

/// Rows that are counted; the others are not asked for.
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
    if server.probes.is_empty() {
        return;
    }
    let client = match client {
        Some(client) => may_ask(client, deadline).await.map(|()| client),
        None => Err("no connection".to_owned()),
    };
    for (place, probe) in server.probes.iter().enumerate() {
        let started = Instant::now();
        let left = u32::try_from(server.probes.len() - place).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(started) / left;
        let answer = match &client {
            Ok(client) => timeout_at(deadline, question(client, &probe.sql, share)).await,
            Err(reason) => Ok(Err(reason.clone())),
        };
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Err(reason) = &answer {
            tracing::debug!(probe = probe.name, reason, "the probe fails");
        }
        let labels = [("probe", probe.name.as_str()), ("target", server.name.as_str())];
        tell(answer.ok(), started.elapsed(), &labels, out);
    }
}

/// A superuser's SELECT reads every file and every table of the server: such a role asks nothing of the host's own.
async fn may_ask(client: &Client, deadline: Instant) -> Result<(), String> {
    let asked = timeout_at(deadline, super::rows(client, "SHOW is_superuser")).await;
    let rows = asked.map_err(|_| "no answer in time".to_owned())??;
    match rows.first().and_then(|row| row.get(0)) {
        Some("off") => Ok(()),
        _ => Err("the role is a superuser: give one that may read only what it must".to_owned()),
    }
}

async fn question(client: &Client, sql: &str, limit: Duration) -> Result<Told, String> {
    let failed = |error: tokio_postgres::Error| crate::error_chain(&error);
    // 0 would mean no limit.
    let limit = limit.as_millis().max(1);
    // A cursor takes nothing but one SELECT that writes nothing, and nothing beyond it can follow: the configuration knows
    // no semicolon.
    let begin = format!(
        "ROLLBACK; BEGIN READ ONLY; SET LOCAL statement_timeout = {limit}; \
         DECLARE siaga NO SCROLL CURSOR FOR {sql}\n"
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    let fetch = format!("FETCH {MAX_ROWS} FROM siaga");
    let mut answer = pin!(client.simple_query_raw(&fetch).await.map_err(failed)?);
    let mut told = Told::default();
    while let Some(message) =
        poll_fn(|context| futures_core::Stream::poll_next(answer.as_mut(), context)).await
    {
        let SimpleQueryMessage::Row(row) = message.map_err(failed)? else { continue };
        if told.rows == 0 && !row.is_empty() {
            told.figure = row.get(0).and_then(|text| text.parse().ok());
        }
        told.rows += 1;
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
