//! Capacity driven by load: a service is components (processors, memories, disks, and whatever PromQL can tell: links,
//! connections of a database), measures of load and thresholds.
//!
//! - `definition` (what people enter), `analysis` (how each component follows the load, how much load fits),
//!   `what_if` (what would be): plain functions.
//! - `measure` reads, `run` analyses all services after each pass and remembers it, `http` and `pages` show.
//!
//! Invariants: no figure for a component whose use does not follow the load, nor beyond what was measured by more than
//! `siaga_forecast::MAX_STRETCH` times; each says why.

mod analysis;
mod definition;
pub(super) mod http;
mod measure;
pub(super) mod pages;
mod publish;
mod run;
mod what_if;
mod words;

pub use definition::{Entered, Load, Part, Service};
pub(super) use publish::samples;
pub use run::Analysed;
pub(super) use run::analyse_all;
