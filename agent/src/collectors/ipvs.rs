//! Load balancing by the kernel (IPVS), from `/proc/net/ip_vs` and `/proc/net/ip_vs_stats`: `node_ipvs_*`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Ipvs;

const STATS: &str = "proc/net/ip_vs_stats";
const TABLE: &str = "proc/net/ip_vs";
/// In the order of the third line.
const TOTALS: [&str; 5] = [
    "node_ipvs_connections_total",
    "node_ipvs_incoming_packets_total",
    "node_ipvs_outgoing_packets_total",
    "node_ipvs_incoming_bytes_total",
    "node_ipvs_outgoing_bytes_total",
];

/// The service that the servers below it belong to.
#[derive(Default)]
struct Service {
    protocol: String,
    address: String,
    port: String,
    mark: String,
}

impl Collector for Ipvs {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let totals = source.read(STATS)?.lines().nth(2).unwrap_or_default();
        for (family, word) in TOTALS.iter().zip(totals.split_ascii_whitespace()) {
            out.counter(family, &[], value(u64::from_str_radix(word, 16).unwrap_or(0)));
        }
        let mut service = Service::default();
        for line in source.read(TABLE)?.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                [protocol @ ("TCP" | "UDP"), local, ..] => {
                    let Some((address, port)) = endpoint(local) else { continue };
                    let mark = String::new();
                    service = Service { protocol: (*protocol).to_owned(), address, port, mark };
                }
                [protocol @ "FWM", mark, ..] => {
                    let (protocol, mark) = ((*protocol).to_owned(), (*mark).to_owned());
                    service = Service { protocol, mark, address: String::new(), port: "0".into() };
                }
                ["->", remote, _, weight, active, inactive] => {
                    if let Some(remote) = endpoint(remote) {
                        tell(&service, &remote, [weight, active, inactive], out);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn tell(service: &Service, remote: &(String, String), figures: [&&str; 3], out: &mut Output) {
    let labels = [
        ("local_address", service.address.as_str()),
        ("local_mark", &service.mark),
        ("local_port", &service.port),
        ("proto", &service.protocol),
        ("remote_address", &remote.0),
        ("remote_port", &remote.1),
    ];
    let families = [
        "node_ipvs_backend_weight",
        "node_ipvs_backend_connections_active",
        "node_ipvs_backend_connections_inactive",
    ];
    for (family, word) in families.iter().zip(figures) {
        if let Ok(figure) = word.parse() {
            out.gauge(family, &labels, figure);
        }
    }
}

/// `C0A80016:0CEA`, or `[fe80:...]:0CEA`.
fn endpoint(text: &str) -> Option<(String, String)> {
    let (address, port) = text.rsplit_once(':')?;
    let address = match address.strip_prefix('[') {
        Some(six) => IpAddr::V6(six.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?)),
    };
    Some((address.to_string(), u16::from_str_radix(port, 16).ok()?.to_string()))
}
