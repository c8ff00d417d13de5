//! Counters of the network protocols, from `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`:
//! `node_netstat_*`, the fields that node_exporter chooses.

use super::{CollectError, Collector};
use crate::samples::{Kind, Output};
use crate::source::Source;

#[derive(Default)]
pub(super) struct Netstat {
    name: String,
}

/// node_exporter's choice.
fn is_chosen(protocol: &str, field: &str) -> bool {
    let is_one_of = |fields: &[&str]| fields.contains(&field);
    if is_one_of(&["InErrors", "InErrs"]) {
        return true;
    }
    match protocol {
        "Ip" => field == "Forwarding",
        "Ip6" | "IpExt" => is_one_of(&["InOctets", "OutOctets"]),
        "Icmp" | "Icmp6" => is_one_of(&["InMsgs", "OutMsgs"]),
        "TcpExt" => {
            field.starts_with("Listen")
                || field.starts_with("Syncookies")
                || is_one_of(&["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"])
        }
        "Tcp" => is_one_of(&[
            "ActiveOpens",
            "InSegs",
            "OutSegs",
            "OutRsts",
            "PassiveOpens",
            "RetransSegs",
            "CurrEstab",
        ]),
        "Udp" | "Udp6" => {
            is_one_of(&["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"])
        }
        _ => false,
    }
}

impl Netstat {
    fn tell(&mut self, protocol: &str, field: &str, count: &str, out: &mut Output) {
        let Ok(count) = count.parse() else { return };
        self.name.clear();
        for part in ["node_netstat_", protocol, "_", field] {
            self.name.push_str(part);
        }
        out.record(Kind::Untyped, &self.name, &[], count);
    }

    /// Pairs of lines: `Tcp: names`, `Tcp: numbers`.
    fn tell_pairs(&mut self, text: &str, out: &mut Output) {
        let mut lines = text.lines();
        while let (Some(names), Some(counts)) = (lines.next(), lines.next()) {
            let Some((protocol, names)) = names.split_once(':') else { continue };
            // Hundreds of fields of protocols that nothing is chosen of.
            if matches!(protocol, "MPTcpExt" | "IcmpMsg") {
                continue;
            }
            let counts = counts.split_ascii_whitespace().skip(1);
            for (field, count) in names.split_ascii_whitespace().zip(counts) {
                if is_chosen(protocol, field) {
                    self.tell(protocol, field, count, out);
                }
            }
        }
    }
}

impl Collector for Netstat {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        self.tell_pairs(source.read("proc/net/netstat")?, out);
        self.tell_pairs(source.read("proc/net/snmp")?, out);
        // Without IPv6 there is no such file.
        if !source.exists("proc/net/snmp6") {
            return Ok(());
        }
        for line in source.read("proc/net/snmp6")?.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(count)) = (words.next(), words.next()) else { continue };
            let Some((protocol, field)) = name.find('6').map(|at| name.split_at(at + 1)) else { continue };
            if is_chosen(protocol, field) {
                self.tell(protocol, field, count, out);
            }
        }
        Ok(())
    }
}
