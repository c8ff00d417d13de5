//! The simulated office: a dozen servers of an LPSE with months of history, and programs that send them to a server.
//!
//! The model (`calendar`, `cast`, `host`, `filesystem`, `series`, `history`, `inventory`) is pure: the same seed and
//! the same times give the same figures, no clock is read and nothing is sent. `office`, `export` and `load` are the
//! rim that reads the clock and talks to a server.
//!
//! Invariants: a counter falls only when its host restarts; a gauge stays within its bounds; what is live continues
//! what was history.

pub mod calendar;
pub mod cast;
pub mod client;
pub mod export;
pub mod filesystem;
pub mod history;
pub mod host;
pub mod inventory;
pub mod load;
pub mod noise;
pub mod office;
pub mod series;
