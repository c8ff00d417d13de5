//! Properties of network interfaces, from `/sys/class/net`: `node_network_up`, `node_network_info`,
//! `node_network_mtu_bytes` and the like.
//!
//! Each figure is a file of its own, and a host with containers has hundreds of interfaces. Each collection therefore
//! reads only what tells that something has changed; the others are read when it has, and every [`REFRESH_ROUNDS`]
//! collections.

use std::collections::HashMap;

use super::{CollectError, Collector};
use crate::config::NetFilter;
use crate::samples::{Kind, Output};
use crate::source::{Folder, Source};

/// Collections between two looks at everything.
const REFRESH_ROUNDS: u64 = 20;

/// File and name; read each time. A link that comes or goes shows in the first, an interface that is set up or down in
/// the second.
const CHANGING: [(&str, &str, Kind); 2] = [
    ("carrier_changes", "node_network_carrier_changes_total", Kind::Counter),
    ("flags", "node_network_flags", Kind::Gauge),
];

/// File and name; kept between two looks.
const STEADY: [(&str, &str); 15] = [
    ("addr_assign_type", "node_network_address_assign_type"),
    ("carrier", "node_network_carrier"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("ifindex", "node_network_iface_id"),
    ("mtu", "node_network_mtu_bytes"),
    ("dev_id", "node_network_device_id"),
    ("dormant", "node_network_dormant"),
    ("iflink", "node_network_iface_link"),
    ("link_mode", "node_network_iface_link_mode"),
    ("name_assign_type", "node_network_name_assign_type"),
    ("netdev_group", "node_network_net_dev_group"),
    ("speed", "node_network_speed_bytes"),
    ("tx_queue_len", "node_network_transmit_queue_length"),
    ("type", "node_network_protocol_type"),
];

/// The kernel gives megabits a second.
const BYTES_PER_MEGABIT: f64 = 125_000.0;

/// Labels of `node_network_info`, and their files.
const TEXTS: [&str; 4] = ["address", "broadcast", "duplex", "ifalias"];

#[derive(Default)]
struct Known {
    changing: [Option<f64>; CHANGING.len()],
    state: String,
    read_in: u64,
    seen_in: u64,
    steady: [Option<f64>; STEADY.len()],
    texts: [String; TEXTS.len()],
}

pub(super) struct Netclass {
    filter: NetFilter,
    known: HashMap<String, Known>,
    round: u64,
}

impl Netclass {
    pub(super) fn new(filter: NetFilter) -> Self {
        Self { filter, known: HashMap::new(), round: 0 }
    }
}

impl Collector for Netclass {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        self.round += 1;
        for device in source.names("sys/class/net") {
            if self.filter.exclude_devices.matches(&device) {
                continue;
            }
            let Some(folder) = source.folder(&format!("sys/class/net/{device}")) else { continue };
            let known = self.known.entry(device.clone()).or_default();
            known.seen_in = self.round;
            tell(&device, &folder, known, self.round, out);
        }
        self.known.retain(|_, known| known.seen_in == self.round);
        Ok(())
    }
}

fn tell(device: &str, folder: &Folder, known: &mut Known, round: u64, out: &mut Output) {
    let labels = [("device", device)];
    let changing = CHANGING.map(|(file, ..)| figure(folder, file));
    let mut buffer = [0; 64];
    let state = folder.read("operstate", &mut buffer).unwrap_or_default();
    let is_due = known.read_in == 0 || round >= known.read_in + REFRESH_ROUNDS;
    if is_due || changing != known.changing || state != known.state {
        known.refresh(folder, round);
        known.changing = changing;
        state.clone_into(&mut known.state);
    }
    for ((_, name, kind), figure) in CHANGING.into_iter().zip(changing) {
        if let Some(figure) = figure {
            out.record(kind, name, &labels, figure);
        }
    }
    for ((file, name), figure) in STEADY.iter().zip(known.steady) {
        let factor = if *file == "speed" { BYTES_PER_MEGABIT } else { 1.0 };
        let kind = if name.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        if let Some(figure) = figure {
            out.record(kind, name, &labels, figure * factor);
        }
    }
    out.gauge("node_network_up", &labels, f64::from(u8::from(state == "up")));
    let [address, broadcast, duplex, ifalias] = known.texts.each_ref().map(String::as_str);
    let labels = [
        ("address", address),
        ("broadcast", broadcast),
        ("device", device),
        ("duplex", duplex),
        ("ifalias", ifalias),
        ("operstate", state),
    ];
    out.gauge("node_network_info", &labels, 1.0);
}

impl Known {
    fn refresh(&mut self, folder: &Folder, round: u64) {
        self.read_in = round;
        self.steady = STEADY.map(|(file, _)| figure(folder, file));
        for (text, file) in self.texts.iter_mut().zip(TEXTS) {
            text.clear();
            text.push_str(folder.read(file, &mut [0; 512]).unwrap_or_default());
        }
    }
}

/// Decimal, or hexadecimal behind `0x`. Interfaces that are down refuse some.
fn figure(folder: &Folder, file: &str) -> Option<f64> {
    let mut buffer = [0; 64];
    let text = folder.read(file, &mut buffer)?;
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
        None => text.parse().ok(),
    }
}
