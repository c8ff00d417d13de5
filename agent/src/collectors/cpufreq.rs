//! How fast processors run and how often they were slowed down for their temperature, from `/sys/devices/system/cpu`:
//! `node_cpu_frequency_*`, `node_cpu_scaling_frequency_*`, `node_cpu_*_throttles_total`.

use std::collections::BTreeSet;

use super::edac::numbered;
use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

#[derive(Default)]
pub(super) struct Cpufreq {
    /// Whether this host has any of it is known after the first collection.
    processors: Option<Vec<String>>,
}

const FOLDER: &str = "sys/devices/system/cpu";
const FREQUENCIES: [(&str, &str); 6] = [
    ("cpufreq/cpuinfo_cur_freq", "node_cpu_frequency_hertz"),
    ("cpufreq/cpuinfo_min_freq", "node_cpu_frequency_min_hertz"),
    ("cpufreq/cpuinfo_max_freq", "node_cpu_frequency_max_hertz"),
    ("cpufreq/scaling_cur_freq", "node_cpu_scaling_frequency_hertz"),
    ("cpufreq/scaling_min_freq", "node_cpu_scaling_frequency_min_hertz"),
    ("cpufreq/scaling_max_freq", "node_cpu_scaling_frequency_max_hertz"),
];

impl Collector for Cpufreq {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let processors = self.processors.get_or_insert_with(|| {
            let has = |name: &String, part: &str| source.exists(&format!("{FOLDER}/{name}/{part}"));
            let mut names = source.names(FOLDER);
            names.retain(|name| {
                numbered(name, "cpu").is_some() && (has(name, "cpufreq") || has(name, "thermal_throttle"))
            });
            names
        });
        let (mut cores, mut packages) = (BTreeSet::new(), BTreeSet::new());
        for name in processors {
            let Some(folder) = source.folder(&format!("{FOLDER}/{name}")) else { continue };
            let cpu = numbered(name, "cpu").unwrap_or_default();
            for (file, family) in FREQUENCIES {
                if let Some(kilohertz) = folder.number(file) {
                    out.gauge(family, &[("cpu", cpu)], kilohertz * 1e3);
                }
            }
            let text = |file: &str| folder.read(file, &mut [0; 64]).map(str::to_owned);
            let Some(package) = text("topology/physical_package_id") else { continue };
            // Processors of one core share its counter, those of one package too.
            if let Some(core) = text("topology/core_id")
                && let Some(count) = folder.number("thermal_throttle/core_throttle_count")
                && cores.insert((package.clone(), core.clone()))
            {
                let labels = [("core", core.as_str()), ("package", package.as_str())];
                out.counter("node_cpu_core_throttles_total", &labels, count);
            }
            if let Some(count) = folder.number("thermal_throttle/package_throttle_count")
                && packages.insert(package.clone())
            {
                out.counter("node_cpu_package_throttles_total", &[("package", package.as_str())], count);
            }
        }
        Ok(())
    }
}
