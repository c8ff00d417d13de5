//! The daemon of Siaga. `main` -> `cli` -> `app`; capabilities (`capacity`, `incidents`, `assets`, `continuity`) hold
//! their rules as plain functions, their HTTP handlers in one file `http.rs`, and reach the disk only through
//! `records` (rows) and the store of time series.

rust_i18n::i18n!("texts", fallback = "id");

pub mod access;
pub mod app;
pub mod assets;
pub mod capacity;
pub mod cli;
pub mod config;
pub mod console;
pub mod continuity;
pub mod discovery;
pub mod fleet;
pub mod http;
pub mod incidents;
pub mod ingest;
pub mod metrics;
pub mod query;
pub mod records;
pub mod reports;
pub mod rules;
pub mod time;
