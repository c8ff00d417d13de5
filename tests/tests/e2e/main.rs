//! End-to-end tests: real servers, real agents, real filesystems, a real browser.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed; helpers of tests are not seen as tests by the lint"
)]

mod abuse;
mod accounts;
mod bad_input;
mod console;
mod dashboards;
mod differential;
mod discovery;
mod first_run;
mod full_disk;
mod history;
mod incidents;
mod prometheus_api;
mod samples;
mod tidy;
mod tls;
