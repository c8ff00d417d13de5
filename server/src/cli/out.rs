//! What a command prints: lines on standard output, and tables of them.
//!
//! A reader that goes away (`… | head`) ends the command quietly, as it ends other programs; it is no failure to be
//! told, and no panic.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

/// The reader of the output went away.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output went away")]
pub(super) struct OutputClosed;

/// Status of a command whose reader went away: 128 and the number of SIGPIPE, as a shell tells it.
pub(super) const CLOSED_STATUS: u8 = 141;

/// Prints one line.
///
/// # Errors
///
/// [`OutputClosed`] when nobody reads; otherwise what the system says.
pub(super) fn line(text: impl Display) -> anyhow::Result<()> {
    print(format!("{text}\n").as_bytes())
}

/// Prints `text` as it is.
///
/// # Errors
///
/// As [`line`].
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(anyhow::Error::from(error).context("cannot print")),
    }
}

/// Rows below their heads, columns as wide as their widest cell, no spaces at the ends of lines. Control characters of
/// names are not passed on to the terminal.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let clean = |cell: &str| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| row.each_ref().map(|cell| clean(cell))));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A moment to the millisecond, always of the same width.
pub(super) fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_of_one_width() {
        assert_eq!(moment(1_700_000_000_000), "2023-11-14T22:13:20.000Z");
        assert_eq!(moment(1_700_000_000_120), "2023-11-14T22:13:20.120Z");
    }
}
