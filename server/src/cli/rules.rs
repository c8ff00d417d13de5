//! `siaga-server check-rules`: says what is wrong with rule files.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct CheckRulesArgs {
    /// Rule files in Prometheus' format.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "this is what the command is asked for")]
pub(super) fn check(args: CheckRulesArgs) -> anyhow::Result<()> {
    let mut wrong = 0;
    for file in &args.files {
        match crate::rules::check_file(file) {
            Ok((groups, rules)) => {
                super::out::line(format_args!("{}: good, {groups} groups, {rules} rules", file.display()))?;
            }
            Err(error) => {
                eprintln!("{error:#}");
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        bail!("{wrong} of {} rule files are wrong", args.files.len());
    }
    Ok(())
}
