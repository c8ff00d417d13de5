//! Reads CSV with a header line, in one of two forms.
//!
//! Long: columns `timestamp`, `value`, `metric` (or one metric named for all), every other column a label.
//! Wide: a column `timestamp`, and every other column a metric named by the header.
//! Times: RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC), seconds or (from 10^11 on) milliseconds since the epoch.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::batch::Gatherer;
use super::lines::Lines;
use super::{BadLine, Event, ImportError};

/// How a CSV file is read.
#[derive(Debug, Clone, Default)]
pub struct CsvOptions {
    /// Metric of all rows, where the file has no column `metric`.
    pub metric: Option<String>,
    /// Labels that every sample gets.
    pub labels: Vec<(String, String)>,
}

/// Numbers from here on are milliseconds: as seconds they would lie beyond the year 5000.
const FIRST_MILLISECONDS: f64 = 1e11;

enum Columns {
    Long { timestamp: usize, value: usize, metric: Result<usize, String>, labels: Vec<(usize, String)> },
    Wide { timestamp: usize, metrics: Vec<(usize, String)> },
}

pub(super) fn read<E>(
    options: &CsvOptions,
    input: impl BufRead,
    sink: &mut impl FnMut(Event) -> Result<(), E>,
) -> Result<(), ImportError<E>> {
    let mut lines = Lines::new(input);
    let mut gatherer = Gatherer::default();
    let mut form: Option<(usize, Columns)> = None;
    loop {
        let record = match lines.next() {
            Ok(Some(line)) => line.and_then(fields),
            Ok(None) => break,
            Err(source) => return Err(ImportError::Read { line: lines.number(), source }),
        };
        let line = lines.number();
        let outcome = match (&form, record) {
            (_, Ok(None)) => continue,
            (None, record) => {
                // There is a record: an empty line went on above.
                let header = record.map_err(ImportError::Header)?.unwrap_or_default();
                let columns = find_columns(&header, options).map_err(ImportError::Header)?;
                form = Some((header.len(), columns));
                continue;
            }
            (Some((width, columns)), Ok(Some(record))) => samples(&record, *width, columns, options),
            (Some(_), Err(reason)) => Err(reason),
        };
        match outcome {
            Ok(samples) => {
                for (labels, at, value) in samples {
                    gatherer.add(&labels, at, value, line, sink).map_err(ImportError::Sink)?;
                }
            }
            Err(reason) => sink(Event::Bad(BadLine { line, reason })).map_err(ImportError::Sink)?,
        }
    }
    if form.is_none() {
        return Err(ImportError::Header("the file is empty".to_owned()));
    }
    gatherer.finish(sink).map_err(ImportError::Sink)
}

/// The fields of one line; nothing for an empty one. A record ends with its line: a quotation mark that was forgotten
/// must not take in the lines that follow.
fn fields(line: &str) -> Result<Option<StringRecord>, String> {
    let line = line.trim_start_matches('\u{feff}');
    if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err("a quotation mark has no second one on this line".to_owned());
    }
    let mut builder = ReaderBuilder::new();
    builder.trim(Trim::All).flexible(true).has_headers(false).buffer_capacity(line.len().max(1));
    let mut record = StringRecord::new();
    let read = builder.from_reader(line.as_bytes()).read_record(&mut record);
    read.map(|found| found.then_some(record)).map_err(|error| error.to_string())
}

fn find_columns(header: &StringRecord, options: &CsvOptions) -> Result<Columns, String> {
    let find = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    let timestamp = find("timestamp").or_else(|| find("time")).ok_or("there is no column timestamp")?;
    let Some(value) = find("value") else {
        let metrics: Vec<_> = header
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != timestamp)
            .map(|(index, column)| (index, metric_name(column)))
            .collect();
        return if metrics.is_empty() {
            Err("there is no column besides timestamp".to_owned())
        } else {
            Ok(Columns::Wide { timestamp, metrics })
        };
    };
    let metric = match (find("metric"), &options.metric) {
        (Some(column), _) => Ok(column),
        (None, Some(name)) => Err(name.clone()),
        (None, None) => return Err("there is no column metric and no --metric is given".to_owned()),
    };
    let labels = header
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != timestamp && *index != value && metric.as_ref().ok() != Some(index))
        .map(|(index, column)| (index, metric_name(column)))
        .collect();
    Ok(Columns::Long { timestamp, value, metric, labels })
}

/// A header as a name of a metric or label: what is not allowed becomes an underscore.
fn metric_name(column: &str) -> String {
    let mut name: String =
        column.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

fn is_metric_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(plain)
}

type Sample = (Vec<(String, String)>, i64, f64);

fn samples(
    record: &StringRecord,
    width: usize,
    columns: &Columns,
    options: &CsvOptions,
) -> Result<Vec<Sample>, String> {
    if record.len() != width {
        return Err(format!("{} fields, the header has {width}", record.len()));
    }
    let field = |index: usize| record.get(index).unwrap_or("");
    let labelled = |metric: &str, more: &mut dyn Iterator<Item = (String, String)>| {
        let mut labels = vec![("__name__".to_owned(), metric.to_owned())];
        labels.extend(options.labels.iter().cloned());
        labels.extend(more.filter(|(_, value)| !value.is_empty()));
        labels.sort();
        labels
    };
    match columns {
        Columns::Long { timestamp, value, metric, labels } => {
            let metric = match metric {
                Ok(column) => field(*column),
                Err(name) => name,
            };
            if metric.is_empty() {
                return Err("the metric is empty".to_owned());
            }
            if !is_metric_name(metric) {
                return Err(format!("{metric:?} is no name of a metric: letters, digits, _ and : make one"));
            }
            let mut pairs = labels.iter().map(|(index, name)| (name.clone(), field(*index).to_owned()));
            let labels = labelled(metric, &mut pairs);
            Ok(vec![(labels, parse_time(field(*timestamp))?, parse_value(field(*value))?)])
        }
        Columns::Wide { timestamp, metrics } => {
            let at = parse_time(field(*timestamp))?;
            let filled = metrics.iter().filter(|(index, _)| !field(*index).is_empty());
            filled
                .map(|(index, name)| {
                    let value = parse_value(field(*index)).map_err(|reason| format!("{name}: {reason}"))?;
                    Ok((labelled(name, &mut std::iter::empty()), at, value))
                })
                .collect()
        }
    }
}

fn parse_value(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("value {text:?} is not a number"))
}

fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(number) = text.parse::<f64>() {
        let ms = if number.abs() < FIRST_MILLISECONDS { number * 1_000.0 } else { number };
        #[expect(clippy::cast_possible_truncation, reason = "bounded in the same line")]
        return if ms.abs() < 9e15 {
            Ok(ms.round() as i64)
        } else {
            Err(format!("time {text:?} is out of range"))
        };
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_millisecond());
    }
    text.parse::<jiff::civil::DateTime>()
        .ok()
        .and_then(|at| at.to_zoned(jiff::tz::TimeZone::UTC).ok())
        .map(|at| at.timestamp().as_millisecond())
        .ok_or_else(|| format!("time {text:?} is none of RFC 3339, YYYY-MM-DD HH:MM:SS, a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn events(options: &CsvOptions, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        read::<Infallible>(options, text.as_bytes(), &mut |event| {
            events.push(event);
            Ok(())
        })
        .unwrap();
        events
    }

    #[test]
    fn the_long_form_makes_labels_of_further_columns() {
        let text = "timestamp,metric,host,value\n1000,load,a,1.5\n1970-01-01 00:16:41,load,b,2\n";
        let events = events(&CsvOptions::default(), text);
        let Event::Batch(batch) = &events[0] else { panic!("{events:?}") };
        assert_eq!(batch.items[0].labels[1], ("host".to_owned(), "a".to_owned()));
        assert_eq!(batch.items[0].samples, [(1_000_000, 1.5, 2)]);
        assert_eq!(batch.items[1].samples, [(1_001_000, 2.0, 3)]);
    }

    #[test]
    fn the_wide_form_makes_a_metric_of_each_column() {
        let options = CsvOptions { metric: None, labels: vec![("instance".to_owned(), "web".to_owned())] };
        let events = events(&options, "time,cpu %,mem\n1970-01-01T00:00:01Z,5,\n2,6,7\n");
        let Event::Batch(batch) = &events[0] else { panic!("{events:?}") };
        let names: Vec<&str> = batch.items.iter().map(|item| item.labels[0].1.as_str()).collect();
        assert_eq!(names, ["cpu__", "mem"]);
        assert_eq!(batch.items[0].samples, [(1_000, 5.0, 2), (2_000, 6.0, 3)]);
    }

    #[test]
    fn broken_lines_are_reported_with_their_numbers() {
        let text = "timestamp,metric,value\nx,m,1\n1,m,y\n1,m\n1,m,3\n1,bad-metric name,3\n";
        let events = events(&CsvOptions::default(), text);
        let bad: Vec<(u64, &str)> = events
            .iter()
            .filter_map(
                |e| if let Event::Bad(bad) = e { Some((bad.line, bad.reason.as_str())) } else { None },
            )
            .collect();
        assert_eq!(
            bad,
            [
                (2, "time \"x\" is none of RFC 3339, YYYY-MM-DD HH:MM:SS, a number"),
                (3, "value \"y\" is not a number"),
                (4, "2 fields, the header has 3"),
                (6, "\"bad-metric name\" is no name of a metric: letters, digits, _ and : make one"),
            ]
        );
        assert!(matches!(events.last(), Some(Event::Batch(batch)) if batch.samples() == 1));
    }

    #[test]
    fn a_forgotten_quotation_mark_costs_its_own_line_only() {
        let text =
            "\u{feff}timestamp,metric,value,host\n1,m,1,a\n\n2,m,2,\"pdb\n3,m,3,\"a,\"\"b\"\r\n4,m,4,c\n";
        let events = events(&CsvOptions::default(), text);
        let [Event::Bad(bad), Event::Batch(batch)] = &events[..] else { panic!("{events:?}") };
        assert!(bad.line == 4 && bad.reason.contains("quotation mark"), "{bad:?}");
        let hosts: Vec<&str> = batch.items.iter().map(|item| item.labels[1].1.as_str()).collect();
        assert_eq!(hosts, ["a", "a,\"b", "c"]);
    }

    #[test]
    fn a_header_without_a_time_is_refused() {
        let outcome = read::<Infallible>(&CsvOptions::default(), "a,b\n1,2\n".as_bytes(), &mut |_| Ok(()));
        assert!(matches!(outcome, Err(ImportError::Header(_))));
    }
}
