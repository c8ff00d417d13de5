//! End-to-end tests: real servers, real agents, real filesystems, a real browser.

mod bad_input;
mod console;
mod dashboards;
mod first_run;
mod history;
mod incidents;
mod samples;
mod tidy;
