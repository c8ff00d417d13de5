//! Lines of a file with their numbers, each of bounded length: the rest of a longer one is passed over.

use std::io::{self, BufRead, Read as _};

use siaga_protocol::exposition::MAX_LINE_BYTES;

pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    /// Number of the line given last, from 1; zero before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end, or why it is none; nothing at the end of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<&str, String>>> {
        self.number += 1;
        self.buffer.clear();
        let limit = u64::try_from(MAX_LINE_BYTES + 1).unwrap_or(u64::MAX);
        let count = (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer)?;
        if count == 0 {
            return Ok(None);
        }
        if self.buffer.last() != Some(&b'\n') && count > MAX_LINE_BYTES {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Err(format!("the line is longer than {MAX_LINE_BYTES} bytes"))));
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| "not UTF-8".to_owned());
        Ok(Some(text.map(|text| text.trim_end_matches(['\n', '\r']))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_a_line_that_is_too_long_costs_itself() {
        let mut text = b"a\r\n\n".to_vec();
        text.extend(vec![b'x'; 3 * MAX_LINE_BYTES]);
        text.extend(b"\n\xff\nlast");
        let mut lines = Lines::new(text.as_slice());
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let line = line.map(str::to_owned);
            found.push((lines.number(), line));
        }
        let too_long = format!("the line is longer than {MAX_LINE_BYTES} bytes");
        let lines = [Ok("a"), Ok(""), Err(too_long.as_str()), Err("not UTF-8"), Ok("last")];
        let wanted = lines.map(|line| line.map(str::to_owned).map_err(str::to_owned));
        assert_eq!(found, (1..).zip(wanted).collect::<Vec<_>>());
    }
}
