//! Plans, drills, measured downtime, journals and reports.
//!
//! A drill: `begin` opens it -> `execute` asks `machine` for the next task, does it (orders through `fleet`, `prober`,
//! `checks`) and writes a fact into the `journal` -> `report` shows the journal. The rules are pure: `plan`, `schedule`,
//! `machine`, `measure`, `targets`, `journal`, `reason`, `timeline`; `steps` and `measuring` are parts of `execute`, beside which
//! `prober`, `marks` and `stop_conditions` ask, write and watch.
//!
//! Invariants: nothing acts before the steady state was found; what a step did is undone on every path, also after the
//! server itself ended in the middle; one drill runs at a time; what was written of a drill is signed when it ends
//! (`seal`), and whether it is still that is found by `verify`.

mod agent_undo;
mod approval;
mod approval_http;
mod approval_pages;
mod begin;
mod bodies;
mod chaostoolkit;
mod checks;
mod coverage;
mod dry_run;
mod emergency;
mod execute;
mod finding_rows;
mod findings;
mod findings_http;
mod flaw;
mod glance;
mod hold;
pub mod http;
pub mod journal;
mod journal_key;
pub mod machine;
mod mail_report;
pub mod marks;
pub mod measure;
mod measuring;
mod pages;
pub mod plan;
mod prober;
mod proof;
pub mod reason;
mod report;
mod rows;
mod running;
pub mod schedule;
mod scope_pages;
mod seal;
mod signals;
mod step_pages;
mod steps;
mod stop_conditions;
mod targets;
mod tick;
mod timeline;
mod verify;
mod watch;

pub use approval::ApprovalNote;
pub use bodies::{DrillBody, DrillDetail, JournalBody, ProblemBody, Started};
pub use dry_run::DryRun;
pub use emergency::{Declared, Emergencies};
pub use flaw::Flaw;
pub(crate) use glance::glance;
pub(crate) use hold::drill_on_host;
pub use journal_key::{JOURNAL_KEY_FILE, from_pem, key_id, to_pem};
pub(crate) use pages::{drill_link, plan_name};
pub use running::RunningDrill;
pub(crate) use tick::start_tasks;
pub use verify::{Evidence, State, Verification, list_head, verify, verify_list};

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod execute_tests;
