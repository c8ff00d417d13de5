//! The `siaga-server` program: reads its arguments and hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    siaga_server::cli::main()
}
