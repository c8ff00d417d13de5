//! Names of Siaga's own series and labels. Those of servers are node_exporter's and stand where they are made.

/// The `job` label of every series that a Siaga agent sends.
pub const JOB: &str = "siaga";
/// 1 while the agent of `instance` is heard, else 0. Written by the server.
pub const UP: &str = "up";
/// The clock of the host `instance` minus the server's in seconds, to about a second. Written by the server.
pub const HOST_CLOCK_DIFFERENCE: &str = "siaga_host_clock_difference_seconds";
/// Start of the names of all series of forecasts. Written by the server.
pub const FORECAST_PREFIX: &str = "siaga_forecast_";
/// Days until `resource` passes its threshold; labels `instance`, `resource`, `item`, `bound` (earliest, likely, latest).
/// `+Inf` means not within the horizon; no sample means that no forecast is possible.
pub const FORECAST_DAYS: &str = "siaga_forecast_days_until_threshold";
/// Forecast utilisation in percent; labels `instance`, `resource`, `item`, `quantile` and `horizon`.
pub const FORECAST_PERCENT: &str = "siaga_forecast_utilisation_percent";
/// Probability, 0 to 1, that the threshold is passed; labels `instance`, `resource`, `item`, `within` (7d, 30d, 90d).
pub const FORECAST_BREACH: &str = "siaga_forecast_breach_probability";
/// Growth of the daily peaks since the last change, percent of the resource a day; labels `instance`, `resource`, `item`.
pub const FORECAST_GROWTH: &str = "siaga_forecast_growth_percent_per_day";
/// 1 for the state of a resource: label `state` (critical, warning, unknown, normal) beside `instance`, `resource`, `item`.
pub const FORECAST_STATE: &str = "siaga_forecast_state";
/// The largest load before `component` of `service` passes its threshold; labels `service`, `component`, `load`, `bound`
/// (likely, cautious). `+Inf` means more than can be said, 0 that the threshold is reached without load.
pub const FORECAST_HEADROOM: &str = "siaga_forecast_headroom_load";
/// The same as a multiple of the busiest hour.
pub const FORECAST_HEADROOM_RATIO: &str = "siaga_forecast_headroom_ratio";
/// The load of the busiest hour of the last weeks; labels `service`, `load`.
pub const FORECAST_SERVICE_LOAD: &str = "siaga_forecast_service_load";
/// How unusual a quantity of a host is: 0 is usual, 1 and more an anomaly; labels `instance`, `quantity`.
pub const ANOMALY_SCORE: &str = "siaga_anomaly_score";
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
/// Writes to the agent's spool that failed.
pub const AGENT_SPOOL_ERRORS: &str = "siaga_agent_spool_errors_total";
/// Requests with samples that did not succeed.
pub const AGENT_SEND_FAILURES: &str = "siaga_agent_send_failures_total";
/// Samples that the server refused for good.
pub const AGENT_REJECTED_SAMPLES: &str = "siaga_agent_rejected_samples_total";
/// Times that the wall clock of the agent's host was set.
pub const AGENT_CLOCK_JUMPS: &str = "siaga_agent_clock_jumps_total";
/// The last of these jumps in seconds, below 0 where it was set back.
pub const AGENT_CLOCK_JUMP_SECONDS: &str = "siaga_agent_clock_jump_seconds";
/// The server's clock minus that of the agent's host in seconds, to about half a second.
pub const AGENT_CLOCK_OFFSET_SECONDS: &str = "siaga_agent_clock_offset_seconds";
/// Orders that the agent did not accept.
pub const AGENT_ORDERS_REFUSED: &str = "siaga_agent_orders_refused_total";
/// 1 while a broken file of the agent's memory of orders lies aside: undos by the agent itself may be missing.
pub const AGENT_ORDERS_MEMORY_BROKEN: &str = "siaga_agent_orders_memory_broken";
/// 1 while the agent reaches the executor of its host, 0 while it does not; absent where the host's file names no action.
pub const AGENT_EXECUTOR_UP: &str = "siaga_agent_executor_up";
/// Always 1; label `version`.
pub const AGENT_BUILD_INFO: &str = "siaga_agent_build_info";
