//! End-to-end tests: real servers, real agents, real filesystems, a real browser.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed; helpers of tests are not seen as tests by the lint"
)]

mod abuse;
mod accounts;
mod bad_input;
mod capacity;
mod console;
mod dashboards;
mod database_drills;
mod differential;
mod discovery;
mod drill_faults;
mod emergency;
mod first_run;
mod full_disk;
mod history;
mod incidents;
mod network_actions;
mod patroni;
mod prometheus_api;
mod samples;
mod signed_reports;
mod tidy;
mod tls;
