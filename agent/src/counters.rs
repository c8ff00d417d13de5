//! What the agent counts of itself; written where it happens, read by the collector `own`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One number, shared between tasks.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Sets it, where it is a state and not a count.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Duration of the last collection, microseconds.
    pub collection_micros: Counter,
    /// Bytes that wait in the spool.
    pub spool_bytes: Counter,
    /// Samples dropped because the spool was full, or unreadable.
    pub spool_dropped_samples: Counter,
    /// Writes to the spool that failed; the samples were kept in memory as far as it goes.
    pub spool_errors: Counter,
    /// Times that the wall clock was set.
    pub clock_jumps: Counter,
    /// The last of these jumps in milliseconds, as two's complement; 0 before there was one.
    pub clock_jump_ms: Counter,
    /// The server's clock minus this host's in milliseconds, as two's complement, and whether it is known.
    pub clock_offset_ms: Counter,
    /// 1 when `clock_offset_ms` is known.
    pub clock_offset_known: Counter,
    /// Requests with samples that did not succeed.
    pub send_failures: Counter,
    /// Samples that the server refused for good.
    pub rejected_samples: Counter,
    /// 1 where the host's file names actions, so that there should be an executor.
    pub executor_wanted: Counter,
    /// 1 while the executor can be reached.
    pub executor_up: Counter,
    /// Orders that were not accepted.
    pub orders_refused: Counter,
    /// 1 while a broken file of the memory of orders lies aside.
    pub orders_memory_broken: Counter,
}
