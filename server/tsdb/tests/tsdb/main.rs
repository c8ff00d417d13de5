//! The store as its users see it.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod common;
mod damage;
mod downsample;
mod model;
mod recovery;
mod store;
