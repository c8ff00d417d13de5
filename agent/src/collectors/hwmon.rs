//! Sensors of the hardware, from `/sys/class/hwmon`: `node_hwmon_*`.
//!
//! A sensor is a group of files `temp1_input`, `temp1_max`, `temp1_label` ...; kind and number name the sensor, the rest
//! its property. Units are those of the kernel's interface for sensors.

use super::{CollectError, Collector};
use crate::samples::{Kind, Output};
use crate::source::{Folder, Source};

#[derive(Default)]
pub(super) struct Hwmon {
    name: String,
}

const CLASS: &str = "sys/class/hwmon";
const KINDS: [&str; 13] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
];

/// A file of a sensor.
struct Part<'a> {
    kind: &'a str,
    sensor: String,
    property: &'a str,
}

impl Collector for Hwmon {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for entry in source.names(CLASS) {
            let path = format!("{CLASS}/{entry}");
            let Some(folder) = source.folder(&path) else { continue };
            let mut buffer = [0; 128];
            let name = clean(folder.read("name", &mut buffer).unwrap_or_default());
            let chip = bus_name(source, &path)
                .unwrap_or_else(|| if name.is_empty() { clean(&entry) } else { name.clone() });
            if !name.is_empty() {
                out.gauge("node_hwmon_chip_names", &[("chip", &chip), ("chip_name", &name)], 1.0);
            }
            self.tell_folder(source, &path, &chip, out);
            // Old drivers keep them with the device.
            self.tell_folder(source, &format!("{path}/device"), &chip, out);
        }
        Ok(())
    }
}

impl Hwmon {
    fn tell_folder(&mut self, source: &Source, path: &str, chip: &str, out: &mut Output) {
        let names = source.names(path);
        let Some(folder) = source.folder(path) else { return };
        for file in &names {
            let Some(part) = parse(file) else { continue };
            let mut buffer = [0; 128];
            let Some(text) = folder.read(file, &mut buffer) else { continue };
            let labels = [("chip", chip), ("sensor", part.sensor.as_str())];
            if part.property == "label" {
                let labels = [labels[0], ("label", text), labels[1]];
                out.gauge("node_hwmon_sensor_label", &labels, 1.0);
            } else if let Ok(figure) = text.parse::<f64>() {
                self.tell(&part, &folder, figure, &labels, out);
            }
        }
    }

    fn tell(
        &mut self,
        part: &Part<'_>,
        folder: &Folder,
        figure: f64,
        labels: &[(&str, &str)],
        out: &mut Output,
    ) {
        match (part.kind, part.property) {
            ("beep_enable", "") => return out.gauge("node_hwmon_beep_enabled", labels, figure),
            ("vrm", "") => return out.gauge("node_hwmon_voltage_regulator_version", labels, figure),
            ("update_interval", "") => {
                return out.gauge("node_hwmon_update_interval_seconds", labels, figure / 1e3);
            }
            _ => {}
        }
        let has_plain = || folder.read(&part.sensor, &mut [0; 128]).is_some();
        let property = match part.property {
            "input" if has_plain() => "_input",
            "" | "input" => "",
            other => other,
        };
        let (unit, kind, figure) = unit(part, figure);
        self.name.clear();
        let separator = if property.is_empty() || property.starts_with('_') { "" } else { "_" };
        for piece in ["node_hwmon_", part.kind, separator, property, unit] {
            self.name.push_str(piece);
        }
        out.record(kind, &self.name, labels, figure);
    }
}

fn unit(part: &Part<'_>, figure: f64) -> (&'static str, Kind, f64) {
    let gauge = |unit, figure| (unit, Kind::Gauge, figure);
    match (part.kind, part.property) {
        (_, "fault" | "alarm") => gauge("", figure),
        (_, "beep") => gauge("_enabled", figure),
        ("in" | "cpu", _) => gauge("_volts", figure / 1e3),
        ("temp", property) if property != "type" => gauge("_celsius", figure / 1e3),
        ("curr", _) => gauge("_amps", figure / 1e3),
        ("energy", _) => ("_joule_total", Kind::Counter, figure / 1e6),
        ("power", "accuracy") | ("humidity", _) => gauge("", figure / 1e6),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            gauge("_seconds", figure / 1e3)
        }
        ("power", _) => gauge("_watt", figure / 1e6),
        ("fan", "input" | "min" | "max" | "target") => gauge("_rpm", figure),
        _ => gauge("", figure),
    }
}

/// `temp1_crit_alarm`: the kind `temp`, the sensor `temp1`, the property `crit_alarm`.
fn parse(file: &str) -> Option<Part<'_>> {
    let digits = file.find(|c: char| c.is_ascii_digit());
    let (kind, number, rest) = match digits {
        Some(start) => {
            let rest = file.get(start..)?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (file.get(..start)?, rest.get(..end)?, rest.get(end..)?)
        }
        None => (file, "0", ""),
    };
    let property = if rest.is_empty() { rest } else { rest.strip_prefix('_')? };
    KINDS.contains(&kind).then(|| Part { kind, sensor: format!("{kind}{number}"), property })
}

/// Bus and place of the device that the sensors belong to, for example `pci0000:00_0000:00:18_3`.
fn bus_name(source: &Source, path: &str) -> Option<String> {
    let device = std::fs::canonicalize(source.path(&format!("{path}/device"))).ok()?;
    let name = |path: &std::path::Path| path.file_name().map(|name| clean(&name.to_string_lossy()));
    let (bus, name) = (device.parent().and_then(name).unwrap_or_default(), name(&device)?);
    match (bus.is_empty(), name.is_empty()) {
        (_, true) => None,
        (true, false) => Some(name),
        (false, false) => Some(format!("{bus}_{name}")),
    }
}

fn clean(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '_');
    let lower = text.trim().to_lowercase();
    lower.chars().map(|c| if plain(c) { c } else { '_' }).collect::<String>().trim_matches('_').to_owned()
}
