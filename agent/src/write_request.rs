//! The body of a remote write 1.0 request, straight from the spool's rows.
//!
//! Written by hand and not through the message types: those would allocate two strings for every label of every
//! series, each interval. A test holds it against the protocol crate.

use siaga_protocol::metric_names::JOB;

use crate::help;
use crate::samples::Kind;
use crate::spool::{Batch, Labels};

const SERIES: u8 = tag(1, LENGTH);
const LABEL: u8 = tag(1, LENGTH);
const SAMPLE: u8 = tag(2, LENGTH);
const LABEL_NAME: u8 = tag(1, LENGTH);
const LABEL_VALUE: u8 = tag(2, LENGTH);
const SAMPLE_VALUE: u8 = tag(1, FIXED64);
const SAMPLE_TIME: u8 = tag(2, VARINT);
const METADATA: u8 = tag(3, LENGTH);
const METADATA_TYPE: u8 = tag(1, VARINT);
const METADATA_NAME: u8 = tag(2, LENGTH);
const METADATA_HELP: u8 = tag(4, LENGTH);
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH: u8 = 2;

const fn tag(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

/// The snappy body of a batch, every series with `instance` and `job`.
///
/// # Errors
/// The body would be larger than snappy's 4 GiB.
pub fn encode(batch: &Batch<'_>, instance: &str) -> Result<Vec<u8>, snap::Error> {
    let mut rows = batch.rows.clone();
    // Stable: samples of a series stay in order of time.
    rows.sort_by_key(|row| row.series);
    let mut out = Vec::with_capacity(rows.len() * 64);
    let (mut series, mut sample) = (Vec::new(), Vec::new());
    for rows in rows.chunk_by(|a, b| a.series == b.series) {
        let Some(labels) = rows.first().and_then(|row| batch.series.get(row.series as usize)) else {
            continue;
        };
        series.clear();
        write_labels(labels, instance, &mut sample, &mut series);
        for row in rows {
            sample.clear();
            sample.push(SAMPLE_VALUE);
            sample.extend_from_slice(&row.value.to_le_bytes());
            sample.push(SAMPLE_TIME);
            write_varint(&mut sample, row.time_ms.cast_unsigned());
            write_field(&mut series, SAMPLE, &sample);
        }
        write_field(&mut out, SERIES, &series);
    }
    snap::raw::Encoder::new().compress_vec(&out)
}

/// The snappy body of a request that holds only types and help of families.
///
/// # Errors
/// The body would be larger than snappy's 4 GiB.
pub fn encode_metadata<'a>(families: impl Iterator<Item = (&'a str, Kind)>) -> Result<Vec<u8>, snap::Error> {
    let (mut out, mut family) = (Vec::new(), Vec::new());
    for (name, kind) in families {
        family.clear();
        family.push(METADATA_TYPE);
        write_varint(
            &mut family,
            match kind {
                Kind::Untyped => 0,
                Kind::Counter => 1,
                Kind::Gauge => 2,
            },
        );
        write_field(&mut family, METADATA_NAME, name.as_bytes());
        write_field(&mut family, METADATA_HELP, help::of(name).as_bytes());
        write_field(&mut out, METADATA, &family);
    }
    snap::raw::Encoder::new().compress_vec(&out)
}

fn write_labels(labels: &Labels, instance: &str, label: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut added = [("instance", instance), ("job", JOB)].into_iter().peekable();
    let mut own = labels.iter().map(|(name, value)| (&**name, &**value)).peekable();
    loop {
        // Both are sorted; what the agent adds wins over a label of the same name, but for the job of an exporter.
        let next = match (own.peek(), added.peek()) {
            (Some(a), Some(b)) if a.0 < b.0 => own.next(),
            (Some(a), Some(b)) if a.0 == b.0 && a.0 == "job" => {
                added.next();
                own.next()
            }
            (Some(a), Some(b)) if a.0 == b.0 => {
                own.next();
                added.next()
            }
            (_, Some(_)) => added.next(),
            (_, None) => own.next(),
        };
        let Some((name, value)) = next else { break };
        label.clear();
        write_field(label, LABEL_NAME, name.as_bytes());
        write_field(label, LABEL_VALUE, value.as_bytes());
        write_field(out, LABEL, label);
    }
}

fn write_field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    write_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use siaga_protocol::remote_write;

    use super::*;
    use crate::counters::Counters;
    use crate::samples::Recorder;
    use crate::spool::{SERVER, Spool};

    #[test]
    fn metadata_decodes_to_types_and_help() {
        let families = [("node_load1", Kind::Gauge), ("node_forks_total", Kind::Counter)];
        let body = encode_metadata(families.into_iter()).unwrap();
        let request = remote_write::decode(&body, 1 << 20).unwrap();
        assert!(request.timeseries.is_empty());
        let told: Vec<_> =
            request.metadata.iter().map(|m| (m.r#type, m.metric_family_name.as_str(), &*m.help)).collect();
        assert_eq!(
            told,
            [
                (2, "node_load1", &*help::of("node_load1")),
                (1, "node_forks_total", &*help::of("node_forks_total"))
            ]
        );
    }

    #[test]
    fn the_body_decodes_to_sorted_labels_and_samples_in_order_of_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), 1 << 20, Counters::default().into()).unwrap();
        let mut recorder = Recorder::default();
        for (time, value) in [(1_000, 1.5), (2_000, -2.0)] {
            recorder.begin();
            recorder.gauge("m", &[("zone", "x"), ("a", "y")], value);
            recorder.gauge("n", &[("instance", "false"), ("job", "pg")], value);
            recorder.end();
            spool.append(time, &recorder);
        }
        let batch = spool.next_batch(SERVER, 100, 100).unwrap();
        let request = remote_write::decode(&encode(&batch, "web-1").unwrap(), 1 << 20).unwrap();
        let text: Vec<String> = request
            .timeseries
            .iter()
            .map(|series| {
                let labels: Vec<_> =
                    series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
                let samples: Vec<_> =
                    series.samples.iter().map(|s| format!("{}@{}", s.value, s.timestamp)).collect();
                format!("{} {}", labels.join(","), samples.join(" "))
            })
            .collect();
        assert_eq!(
            text,
            [
                "__name__=m,a=y,instance=web-1,job=siaga,zone=x 1.5@1000 -2@2000",
                "__name__=n,instance=web-1,job=pg 1.5@1000 -2@2000",
            ]
        );
    }
}
