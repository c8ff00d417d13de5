//! Least values of what must not be nothing: a zero would delete, lock out or stop what the key is there to bound. Pure.

use std::time::Duration;

use super::Config;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Checks every key that has a least value.
///
/// # Errors
/// The first field below its least value, and what that is.
pub(super) fn check(config: &Config) -> Result<(), (&'static str, String)> {
    let Config { http, metrics, query, rules, incidents, fleet, capacity, access, reports, mail, .. } =
        config;
    for (field, value, least) in [
        ("http.max_body_bytes", http.max_body_bytes, 64 << 10),
        ("http.max_unpacked_bytes", http.max_unpacked_bytes, 64 << 10),
        ("http.max_connections", http.max_connections, 10),
        ("http.max_connections_per_address", http.max_connections_per_address, 1),
        ("metrics.max_series", metrics.max_series, 1_000),
        ("metrics.max_series_per_agent", metrics.max_series_per_agent, 1),
        ("query.max_samples", query.max_samples, 1),
        ("query.max_series", query.max_series, 1),
        ("query.max_points", query.max_points, 1),
        ("query.max_answer_points", query.max_answer_points, 1),
        ("query.max_memory_bytes", query.max_memory_bytes, 1 << 20),
        ("query.max_concurrent", query.max_concurrent, 1),
        ("rules.max_series", rules.max_series, 1),
        ("incidents.max_open", incidents.max_open, 1),
        ("fleet.max_hosts", fleet.max_hosts, 1),
        ("capacity.signal_evaluations", as_usize(capacity.signal_evaluations), 1),
        ("mail.max_waiting", mail.max_waiting, 1),
        ("access.max_failed_logins", as_usize(access.max_failed_logins), 1),
    ] {
        if value < least {
            return Err((field, format!("must be at least {least}")));
        }
    }
    for (field, value, least) in [
        ("http.request_timeout", http.request_timeout, SECOND),
        ("metrics.retention", metrics.retention, HOUR),
        ("query.lookback", query.lookback, SECOND),
        ("query.timeout", query.timeout, SECOND),
        ("rules.interval", rules.interval, SECOND),
        ("fleet.silent_after", fleet.silent_after, SECOND),
        ("fleet.max_clock_difference", fleet.max_clock_difference, SECOND),
        ("fleet.enrol_token_valid", fleet.enrol_token_valid, MINUTE),
        ("capacity.interval", capacity.interval, SECOND),
        ("capacity.history", capacity.history, HOUR),
        ("capacity.keep", capacity.keep, HOUR),
        ("reports.pdf_timeout", reports.pdf_timeout, SECOND),
        ("mail.retry_after", mail.retry_after, SECOND),
        ("mail.give_up_after", mail.give_up_after, HOUR),
        ("access.session_idle", access.session_idle, MINUTE),
        ("access.session_max", access.session_max, MINUTE),
    ] {
        if value < least {
            return Err((field, format!("must be at least {}", humantime(least))));
        }
    }
    Ok(())
}

fn as_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// As the file would have it.
fn humantime(length: Duration) -> String {
    match length.as_secs() {
        3_600 => "1h".to_owned(),
        60 => "1m".to_owned(),
        seconds => format!("{seconds}s"),
    }
}
