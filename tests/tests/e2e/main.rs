//! End-to-end tests: real servers, real agents, real filesystems, a real browser.

mod bad_input;
mod history;
mod samples;
