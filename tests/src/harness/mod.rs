//! Starts real servers and agents on free ports with data in temporary folders, asks them over HTTP, and ends them.
//!
//! Invariant: whatever a test starts is gone when its handle is dropped.

mod agent;
mod api;
mod databases;
mod mail;
mod programs;
mod prometheus;
mod server;
mod wait;

pub use agent::Agent;
pub use api::{Api, cookies, series};
pub use databases::{Database, Databases, account};
pub use mail::MailServer;
pub use programs::program;
pub use prometheus::Prometheus;
pub use server::Server;
pub use wait::{free_port, wait_for};
