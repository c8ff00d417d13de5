//! Names of Siaga's own series and labels. Those of servers are node_exporter's and stand where they are made.

/// The `job` label of every series that a Siaga agent sends.
pub const JOB: &str = "siaga";
/// 1 while the agent of `instance` is heard, else 0. Written by the server.
pub const UP: &str = "up";
/// Days until `resource` passes its threshold; labels `instance`, `resource`, `item`, `bound` (earliest, likely, latest).
/// `+Inf` means not within the horizon; no sample means that no forecast is possible.
pub const FORECAST_DAYS: &str = "siaga_forecast_days_until_threshold";
/// Forecast utilisation in percent; labels `instance`, `resource`, `item`, `quantile` and `horizon`.
pub const FORECAST_PERCENT: &str = "siaga_forecast_utilisation_percent";
/// Processor seconds that the agent has used since it started.
pub const AGENT_CPU_SECONDS: &str = "siaga_agent_cpu_seconds_total";
/// Resident memory of the agent in bytes.
pub const AGENT_RESIDENT_BYTES: &str = "siaga_agent_resident_memory_bytes";
/// Duration of the last collection in seconds.
pub const AGENT_COLLECT_SECONDS: &str = "siaga_agent_collection_duration_seconds";
/// Bytes that wait in the agent's spool.
pub const AGENT_SPOOL_BYTES: &str = "siaga_agent_spool_bytes";
/// Samples that the spool had to drop because it was full.
pub const AGENT_SPOOL_DROPPED: &str = "siaga_agent_spool_dropped_samples_total";
