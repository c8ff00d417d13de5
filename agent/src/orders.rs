//! t
use crate::context::Context;
/// t
pub async fn run(_: Context) { std::future::pending().await }
