//! The Siaga agent: collects what a server does, keeps it while the server cannot be reached, and takes orders.
//!
//! A sample's way: `collectors` -> `samples` -> `sampler` -> `spool` -> `sender`. Collectors know neither spool nor
//! network; the spool knows neither collectors nor network; `services` ask over the network, each for itself; `discovery`
//! finds what else they could ask.
//! Everything runs on one thread, except the collectors, which may hang. `orders` hands what the server orders to the
//! `executor`, a process of its own.

pub mod api;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod collectors;
pub mod config;
pub mod context;
pub mod counters;
pub mod discovery;
pub mod durable;
pub mod enrol;
pub mod executor;
pub mod hello;
pub mod help;
pub mod inventory;
pub mod memory;
pub mod name_service;
pub mod orders;
pub mod reload;
pub mod run;
pub mod sampler;
pub mod samples;
pub mod sender;
pub mod services;
pub mod source;
pub mod spool;
pub mod state;
pub mod write_request;

/// Makes `ring` the provider of TLS in this process. To be called once, before the first connection.
pub fn install_tls_provider() {
    // It fails only if there is one already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// An error with its causes, for one log line.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
