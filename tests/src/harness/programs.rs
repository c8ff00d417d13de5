//! Finds the programs under test: they lie beside the test's own program.

use std::path::PathBuf;

/// Path of a program of this workspace, built in the same profile as the test.
///
/// # Panics
/// If it was not built; `make test` builds all of them first.
#[must_use]
#[expect(clippy::panic, clippy::expect_used, reason = "a test cannot go on without its program")]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let path = own.ancestors().skip(1).map(|folder| folder.join(name)).find(|path| path.is_file());
    path.unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace --bins` first"))
}
