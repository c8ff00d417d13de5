//! Plans, drills, measured downtime, journals and reports.
//!
//! A drill: `begin` opens it -> `execute` asks `machine` for the next task, does it (orders through `fleet`, `prober`,
//! `checks`) and writes a fact into the `journal` -> `report` shows the journal. The rules are pure: `plan`, `schedule`,
//! `machine`, `measure`, `targets`, `journal`, `reason`, `timeline`.
//!
//! Invariants: nothing acts before the steady state was found; what a step did is undone on every path, also after the
//! server itself ended in the middle; one drill runs at a time.

mod agent_undo;
mod begin;
mod bodies;
mod checks;
mod execute;
mod glance;
mod hold;
pub mod http;
pub mod journal;
pub mod machine;
pub mod measure;
mod pages;
pub mod plan;
mod prober;
pub mod reason;
mod report;
mod running;
pub mod schedule;
mod signals;
mod targets;
mod tick;
mod timeline;
mod watch;

pub use bodies::{DrillBody, DrillDetail, JournalBody, ProblemBody, Started};
pub(crate) use glance::glance;
pub(crate) use hold::drill_on_host;
pub(crate) use pages::{drill_link, plan_name};
pub use running::RunningDrill;
pub(crate) use tick::start_tasks;

#[cfg(test)]
mod execute_tests;
