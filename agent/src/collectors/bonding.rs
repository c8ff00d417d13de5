//! Bonded network interfaces: `node_bonding_slaves`, `node_bonding_active`.

use super::{CollectError, Collector, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Bonding;

const MASTERS: &str = "sys/class/net/bonding_masters";

impl Collector for Bonding {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let masters: Vec<String> =
            source.read(MASTERS)?.split_ascii_whitespace().map(str::to_owned).collect();
        for master in &masters {
            let Some(folder) = source.folder(&format!("sys/class/net/{master}")) else { continue };
            let (mut buffer, mut slaves, mut active) = ([0; 4096], 0, 0);
            let names = folder.read("bonding/slaves", &mut buffer).unwrap_or_default();
            for slave in names.split_ascii_whitespace() {
                let mut state = [0; 64];
                // Old kernels call the link otherwise.
                let is_up = ["lower", "slave"].iter().any(|link| {
                    let file = format!("{link}_{slave}/bonding_slave/mii_status");
                    folder.read(&file, &mut state) == Some("up")
                });
                slaves += 1;
                active += u64::from(is_up);
            }
            let label = [("master", master.as_str())];
            out.gauge("node_bonding_slaves", &label, value(slaves));
            out.gauge("node_bonding_active", &label, value(active));
        }
        Ok(())
    }
}
