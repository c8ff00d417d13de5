//! What the hardware says of itself in a few files each: the mainboard (`node_dmi_info`), NVMe disks (`node_nvme_info`),
//! temperature zones and cooling devices (`node_thermal_zone_temp`, `node_cooling_device_*`).

use super::edac::numbered;
use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

/// The mainboard does not change while the host runs: read once.
#[derive(Default)]
pub(super) struct Dmi {
    labels: Option<Vec<(&'static str, String)>>,
}

const DMI: &str = "sys/class/dmi/id";
/// Files that are told, sorted; serial numbers are seen by root alone. The last has another label.
const DMI_FILES: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

impl Collector for Dmi {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let labels = self.labels.get_or_insert_with(|| {
            let Some(folder) = source.folder(DMI) else { return Vec::new() };
            let mut buffer = [0; 256];
            let mut text = |file: &'static str| {
                let label = if file == "sys_vendor" { "system_vendor" } else { file };
                Some((label, folder.read(file, &mut buffer)?.to_owned()))
            };
            DMI_FILES.into_iter().filter_map(&mut text).collect()
        });
        if !labels.is_empty() {
            let labels: Vec<(&str, &str)> =
                labels.iter().map(|(label, text)| (*label, text.as_str())).collect();
            out.gauge("node_dmi_info", &labels, 1.0);
        }
        Ok(())
    }
}

pub(super) struct Nvme;

const NVME: &str = "sys/class/nvme";

impl Collector for Nvme {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for device in source.names(NVME) {
            let Some(folder) = source.folder(&format!("{NVME}/{device}")) else { continue };
            let text = |file: &str| folder.read(file, &mut [0; 256]).unwrap_or_default().to_owned();
            let [firmware, model, serial, state] = ["firmware_rev", "model", "serial", "state"].map(text);
            let labels = [
                ("device", device.as_str()),
                ("firmware_revision", &firmware),
                ("model", &model),
                ("serial", &serial),
                ("state", &state),
            ];
            out.gauge("node_nvme_info", &labels, 1.0);
        }
        Ok(())
    }
}

pub(super) struct ThermalZone;

const THERMAL: &str = "sys/class/thermal";

impl Collector for ThermalZone {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for name in source.names(THERMAL) {
            let Some(folder) = source.folder(&format!("{THERMAL}/{name}")) else { continue };
            let mut buffer = [0; 128];
            let kind = folder.read("type", &mut buffer).unwrap_or_default();
            if let Some(zone) = numbered(&name, "thermal_zone") {
                // A zone that is switched off refuses.
                if let Some(temperature) = folder.number("temp") {
                    let labels = [("type", kind), ("zone", zone)];
                    out.gauge("node_thermal_zone_temp", &labels, temperature / 1e3);
                }
            } else if let Some(number) = numbered(&name, "cooling_device") {
                let labels = [("name", number), ("type", kind)];
                for (file, family) in [
                    ("cur_state", "node_cooling_device_cur_state"),
                    ("max_state", "node_cooling_device_max_state"),
                ] {
                    if let Some(state) = folder.number(file) {
                        out.gauge(family, &labels, state);
                    }
                }
            }
        }
        Ok(())
    }
}
