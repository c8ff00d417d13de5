//! Anomalies: a few quantities of every host are judged every five minutes, each against its own last ten days, and an
//! incident is raised only when several signs agree.
//!
//! - `quantity`: what is watched, and its PromQL. `watch`: the detectors of all series, pure.
//! - `run` feeds them and hands over what is unusual, `words` says it, `http` lists it.
//!
//! Invariants: one setting for all series; the number of series is bounded; after a start nothing is told before the
//! last ten days were gone through again, so that an episode lasts through a restart.

pub(super) mod http;
mod quantity;
mod run;
mod watch;
mod words;

pub use run::Anomalies;
pub(super) use run::run;
