//! End-to-end tests with real processes: the harness that they share, and the programs `siaga-bench`, `siaga-lab` (the service that
//! drills exercise) and `siaga-sim` (a simulated office, also used for load tests).

pub mod bench;
pub mod harness;
pub mod sim;
