//! Rows that a drill writes through the service's own path, to be counted afterwards: the part of a plan that measures the
//! recovery point. Pure.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::Probe;
use super::place::Problems;
use super::text::{PROBE_INTERVAL, REQUEST_TIMEOUT, check_range, check_text, http_url};

/// Rows that are written all the time.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// Name for people; none of the probes has it.
    pub name: String,
    /// Time between two rows.
    pub interval: Duration,
    /// Longest time for one row.
    pub timeout: Duration,
    /// The way they go.
    pub path: MarkerPath,
}

/// The way of the rows to the database.
#[derive(Debug, Clone, PartialEq)]
pub enum MarkerPath {
    /// Through an address of the service: `POST` with `{"drill", "mark"}`, and `GET ...?drill=` that gives all rows of a
    /// drill as a list of numbers.
    Http {
        /// Takes a row; any status from 200 to 299 means that it is kept.
        write: reqwest::Url,
        /// Gives the rows.
        read: reqwest::Url,
    },
    /// Through the connection string that the service uses, with several hosts where it has several, into the table
    /// `siaga_marker (drill text, mark bigint)`.
    Postgres {
        /// Connection string without a password.
        address: String,
        /// File on this server with the password.
        password_file: Option<PathBuf>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkerText {
    pub(super) name: String,
    #[serde(default = "hundred_milliseconds", with = "humantime_serde")]
    interval: Duration,
    #[serde(default = "two_seconds", with = "humantime_serde")]
    timeout: Duration,
    http: Option<HttpText>,
    postgres: Option<PostgresText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpText {
    write: String,
    read: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresText {
    address: String,
    password_file: Option<PathBuf>,
}

const fn hundred_milliseconds() -> Duration {
    Duration::from_millis(100)
}

const fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

pub(super) fn read(raw: MarkerText, probes: &[Probe], problems: &mut Problems<'_>) -> Option<Marker> {
    check_text(problems, "marker.name", &raw.name);
    if probes.iter().any(|probe| probe.name == raw.name) {
        problems.add("marker.name", format!("{:?} is the name of a probe as well", raw.name));
    }
    check_range(problems, "marker.interval", raw.interval, PROBE_INTERVAL);
    check_range(problems, "marker.timeout", raw.timeout, REQUEST_TIMEOUT);
    let path = match (raw.http, raw.postgres) {
        (Some(http), None) => {
            let write = http_url(problems, "marker.http.write", &http.write);
            let read = http_url(problems, "marker.http.read", &http.read);
            MarkerPath::Http { write: write?, read: read? }
        }
        (None, Some(postgres)) => {
            match postgres.address.parse::<tokio_postgres::Config>() {
                Ok(config) if config.get_password().is_some() => {
                    problems.add("marker.postgres.address", "holds a password: name a password_file");
                }
                Ok(_) => {}
                Err(error) => {
                    problems.add("marker.postgres.address", format!("no connection string: {error}"));
                }
            }
            MarkerPath::Postgres { address: postgres.address, password_file: postgres.password_file }
        }
        _ => {
            problems.add("marker", "state exactly one of http and postgres");
            return None;
        }
    };
    Some(Marker { name: raw.name, interval: raw.interval, timeout: raw.timeout, path })
}
