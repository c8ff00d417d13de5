//! Reads OpenMetrics text, one line at a time.

use std::io::BufRead;

use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

use super::batch::Gatherer;
use super::lines::Lines;
use super::{BadLine, Event, ImportError};

pub(super) fn read<E>(
    input: impl BufRead,
    sink: &mut impl FnMut(Event) -> Result<(), E>,
) -> Result<(), ImportError<E>> {
    let mut gatherer = Gatherer::default();
    let mut lines = Lines::new(input);
    // OpenMetrics ends with a line of its own, so that a file that was cut off is told from a whole one.
    let mut ended = false;
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line.and_then(take),
            Ok(None) => break,
            Err(source) => return Err(ImportError::Read { line: lines.number(), source }),
        };
        let number = lines.number();
        match line {
            Ok(Line::Sample(sample)) => match sample.timestamp_ms {
                Some(at) => {
                    ended = false;
                    gatherer.add(&sample.labels, at, sample.value, number, sink).map_err(ImportError::Sink)?
                }
                None => bad(number, "the sample has no timestamp".to_owned(), sink)?,
            },
            // Joined exports have an end within: what follows it counts as well.
            Ok(Line::Eof) => ended = true,
            Ok(_) => {}
            Err(reason) => bad(number, reason, sink)?,
        }
    }
    gatherer.finish(sink).map_err(ImportError::Sink)?;
    if ended { Ok(()) } else { sink(Event::NoEnd).map_err(ImportError::Sink) }
}

fn take(text: &str) -> Result<Line, String> {
    parse_line(text, TimeUnit::Seconds).map_err(|error| error.to_string())
}

fn bad<E>(
    line: u64,
    reason: String,
    sink: &mut impl FnMut(Event) -> Result<(), E>,
) -> Result<(), ImportError<E>> {
    sink(Event::Bad(BadLine { line, reason })).map_err(ImportError::Sink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use siaga_protocol::exposition::MAX_LINE_BYTES;
    use std::convert::Infallible;

    fn events(text: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        read::<Infallible>(text, &mut |event| {
            events.push(event);
            Ok(())
        })
        .unwrap();
        events
    }

    #[test]
    fn a_broken_line_is_reported_with_its_number_and_the_rest_is_kept() {
        let text = b"# TYPE a gauge\na{b=\"1\"} 1 10\na{b=\"1\" 2 20\na{b=\"1\"} 3 30\na 5\n\xff 1 1\n# EOF\na{b=\"1\"} 9 90\n";
        let events = events(text);
        let lines: Vec<u64> = events
            .iter()
            .filter_map(|e| if let Event::Bad(bad) = e { Some(bad.line) } else { None })
            .collect();
        assert_eq!(lines, [3, 5, 6]);
        let [.., Event::Batch(batch), Event::NoEnd] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(batch.items[0].samples, [(10_000, 1.0, 2), (30_000, 3.0, 4), (90_000, 9.0, 8)]);
        assert_eq!(batch.samples(), 3);
    }

    #[test]
    fn a_file_that_was_cut_off_is_told_from_a_whole_one() {
        for (text, whole) in [
            ("a 1 1\n# EOF\n", true),
            ("a 1 1\n# EOF\n\n", true),
            ("a 1 1\n# EOF\na 1 2\n# EOF", true),
            ("a 1 1\n", false),
            ("a 1 1\n# EOF\na 1 2\n", false),
            ("", false),
        ] {
            assert_eq!(!events(text.as_bytes()).contains(&Event::NoEnd), whole, "{text}");
        }
    }

    #[test]
    fn a_line_without_end_costs_itself_only() {
        let mut text = vec![b'a'; 3 * MAX_LINE_BYTES];
        text.extend_from_slice(b"\nb 1 1\n");
        let events = events(&text);
        assert!(matches!(&events[0], Event::Bad(bad) if bad.line == 1), "{events:?}");
        assert!(matches!(&events[1], Event::Batch(batch) if batch.items[0].samples == [(1_000, 1.0, 2)]));
    }
}
