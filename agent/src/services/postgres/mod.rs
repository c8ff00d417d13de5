//! A PostgreSQL server over its own protocol, under the names of postgres_exporter: `pg_up`, `pg_stat_database_*`,
//! `pg_locks_count` and the like. The questions stand in [`queries`].
//!
//! It asks through a socket or the loopback, with a role that may only read; nothing but figures and the names of
//! databases, states and standbys leaves the host, never a query's text. Questions of the host's own file (`own`) tell one
//! figure each. One question that the server refuses, as an old
//! version or a weak role does, costs only its own figures.

mod own;
mod queries;

use std::time::Instant;

use tokio::time::timeout_at;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls, SimpleQueryMessage, SimpleQueryRow, Socket};

use self::queries::{QUERIES, Query};
use crate::collectors::round_to_micro;
use crate::config::services::Postgres;
use crate::samples::Output;

/// Rows of one answer that are taken: a server may have thousands of databases.
const MAX_ROWS: usize = 2_000;

/// Asks the server all questions and records the answers.
pub(super) async fn ask(server: &Postgres, out: &mut Output) {
    let started = Instant::now();
    let deadline = started + server.asked().timeout();
    let result = ask_all(server, deadline.into(), out).await;
    let label = [("server", server.name.as_str())];
    if let Err(reason) = &result {
        tracing::debug!(server = server.name, reason, "postgresql gives nothing");
    }
    out.gauge("pg_up", &label, f64::from(u8::from(result.is_ok())));
    let refused = result.map_or(1.0, |refused| f64::from(u8::from(refused > 0)));
    out.gauge("pg_exporter_last_scrape_error", &label, refused);
    out.gauge("pg_exporter_last_scrape_duration_seconds", &label, round_to_micro(started.elapsed()));
}

/// The number of questions that the server refused. What it answered before the time was over counts.
async fn ask_all(
    server: &Postgres,
    deadline: tokio::time::Instant,
    out: &mut Output,
) -> Result<usize, String> {
    let late = |_| "no answer in time".to_owned();
    let connected = timeout_at(deadline, connect(server)).await.map_err(late).flatten();
    let (client, connection) = match connected {
        Ok(connected) => connected,
        Err(reason) => {
            own::ask_all(None, server, deadline, out).await;
            return Err(reason);
        }
    };
    let connection = tokio::spawn(connection);
    let result = timeout_at(deadline, ask_each(&client, &server.name, out)).await.map_err(late).flatten();
    // A question of the host's own that is slow says nothing of the server.
    own::ask_all(Some(&client), server, deadline, out).await;
    connection.abort();
    result
}

async fn connect(server: &Postgres) -> Result<(Client, Connection<Socket, NoTlsStream>), String> {
    let mut config = Config::new();
    config.host(&server.host).port(server.port).user(&server.user).dbname(&server.database);
    config.application_name("siaga-agent").connect_timeout(server.asked().timeout());
    let limit = server.asked().timeout().as_millis();
    config.options(format!("-c statement_timeout={limit} -c default_transaction_read_only=on"));
    if let Some(path) = &server.password_file {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        config.password(crate::config::guard::read_secret(path).map_err(failed)?);
    }
    config.connect(NoTls).await.map_err(|e| crate::error_chain(&e))
}

async fn ask_each(client: &Client, server: &str, out: &mut Output) -> Result<usize, String> {
    let version = rows(client, "SHOW server_version_num").await?;
    let version = version.first().and_then(|row| row.get(0)?.parse::<u32>().ok()).unwrap_or(0);
    let mut refused = 0;
    for query in QUERIES.iter().filter(|query| query.versions.contains(&version)) {
        match rows(client, query.sql).await {
            Ok(rows) => rows.iter().take(MAX_ROWS).for_each(|row| tell(query, row, server, out)),
            Err(reason) if client.is_closed() => return Err(reason),
            Err(reason) => {
                tracing::debug!(server, reason, "postgresql refuses a question");
                refused += 1;
            }
        }
    }
    Ok(refused)
}

async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, String> {
    let messages = client.simple_query(sql).await.map_err(|e| crate::error_chain(&e))?;
    let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// Columns that are named in `values` become figures, all others labels. What is null has none.
fn tell(query: &Query, row: &SimpleQueryRow, server: &str, out: &mut Output) {
    let value_of = |name: &str| query.values.iter().find(|(column, ..)| *column == name);
    let mut labels = vec![("server", server)];
    for (place, column) in row.columns().iter().enumerate() {
        if value_of(column.name()).is_none() {
            labels.push((column.name(), row.get(place).unwrap_or_default()));
        }
    }
    for (place, column) in row.columns().iter().enumerate() {
        let Some((_, family, kind)) = value_of(column.name()) else { continue };
        if let Some(figure) = row.get(place).and_then(|text| text.parse().ok()) {
            out.record(*kind, family, &labels, figure);
        }
    }
}
