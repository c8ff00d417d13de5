//! Fuzz targets of remote write 1.0 and 2.0, from the body to the columns that the store takes.
//!
//! Whatever comes in is read or refused with a 4xx; what is read keeps to the bounds of a message and has label sets
//! that are in order.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse as _;
use prost::Message as _;
use siaga_protocol::remote_write::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use siaga_protocol::remote_write_v2::{CONTENT_TYPE_PROTO, MetadataV2, Request, SeriesV2, Unread};

use super::body::Packed;
use super::convert::Writer;
use crate::fuzz::{ROUNDS, Random, packed};
use crate::http::ApiError;

/// Largest message that the target unpacks.
const LIMIT: usize = 1 << 16;
const NAMES: [&str; 7] = ["__name__", "instance", "job", "le", "é", "", " "];
const VALUES: [&str; 7] = ["up", "node_load1", "web", "+Inf", "", "\u{0}", "ALERTS"];

fn sample(random: &mut Random) -> Sample {
    Sample {
        timestamp: random.next().cast_signed() >> random.below(60),
        value: f64::from_bits(random.next()),
    }
}

fn first_version(random: &mut Random) -> Vec<u8> {
    let label = |random: &mut Random| Label {
        name: random.pick(&NAMES).to_owned(),
        value: random.pick(&VALUES).to_owned(),
    };
    let series = |random: &mut Random| TimeSeries {
        labels: (0..random.below(5)).map(|_| label(random)).collect(),
        samples: (0..random.below(4)).map(|_| sample(random)).collect(),
    };
    let metadata = |random: &mut Random| MetricMetadata {
        r#type: i32::try_from(random.below(12)).unwrap(),
        metric_family_name: random.pick(&VALUES).to_owned(),
        help: random.pick(&NAMES).to_owned(),
        unit: String::new(),
    };
    let request = WriteRequest {
        timeseries: (0..random.below(4)).map(|_| series(random)).collect(),
        metadata: (0..random.below(2)).map(|_| metadata(random)).collect(),
    };
    request.encode_to_vec()
}

fn second_version(random: &mut Random) -> Vec<u8> {
    let symbols: Vec<String> = NAMES.iter().chain(&VALUES).map(|&text| text.to_owned()).collect();
    let symbol = |random: &mut Random| u32::try_from(random.below(16)).unwrap();
    let series = |random: &mut Random| SeriesV2 {
        labels_refs: (0..random.below(7)).map(|_| symbol(random)).collect(),
        samples: (0..random.below(4)).map(|_| sample(random)).collect(),
        histograms: (0..random.below(2)).map(|_| Unread {}).collect(),
        exemplars: (0..random.below(2)).map(|_| Unread {}).collect(),
        metadata: (random.below(2) == 0).then(|| MetadataV2 {
            r#type: i32::try_from(random.below(12)).unwrap(),
            help_ref: symbol(random),
            unit_ref: symbol(random),
        }),
    };
    Request { timeseries: (0..random.below(4)).map(|_| series(random)).collect(), symbols }.encode_to_vec()
}

/// Whether the body was read.
fn read(body: Vec<u8>, kind: &str, writer: Writer<'_>) -> bool {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_str(&format!("application/x-protobuf;proto={kind}")).unwrap();
    headers.insert(header::CONTENT_TYPE, kind);
    let attempt = || {
        let unpacked = Packed::new(&headers, Bytes::from(body), LIMIT)?.unpack()?;
        let message = unpacked.message(writer)?;
        for (labels, _) in message.columns.iter() {
            assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "{labels:?} is not in order");
            assert!(labels.iter().all(|(_, value)| !value.is_empty()), "{labels:?} has an empty value");
        }
        assert!(message.columns.samples().len() <= LIMIT);
        Ok::<_, ApiError>(())
    };
    match attempt() {
        Ok(()) => true,
        Err(error) => {
            let status = error.into_response().status();
            assert!(status.is_client_error(), "{status}");
            false
        }
    }
}

fn fuzz(seed: u64, kind: &str, make: fn(&mut Random) -> Vec<u8>) {
    let recorded = BTreeSet::new();
    let (mut random, mut taken) = (Random(seed), 0);
    for round in 0..ROUNDS {
        let writer = match round % 3 {
            0 => Writer::Agent { instance: "web", recorded: &recorded },
            _ => Writer::User,
        };
        let mut raw = make(&mut random);
        match round % 4 {
            0 => {
                let mut body = packed(&raw);
                random.damage(&mut body);
                taken += usize::from(read(body, kind, writer));
            }
            1 => taken += usize::from(read(packed(&raw), kind, writer)),
            _ => {
                random.damage(&mut raw);
                taken += usize::from(read(packed(&raw), kind, writer));
            }
        }
    }
    assert!(
        taken > ROUNDS / 50 && taken < ROUNDS,
        "{taken} of {ROUNDS} bodies were read: the target tests little"
    );
}

#[test]
fn damaged_bodies_of_remote_write_1_are_read_in_order_or_refused() {
    fuzz(1, "prometheus.WriteRequest", first_version);
}

#[test]
fn damaged_bodies_of_remote_write_2_are_read_in_order_or_refused() {
    fuzz(2, CONTENT_TYPE_PROTO, second_version);
}
