//! The host's clock, its source and its zone: `node_time_*`.

use super::{CollectError, Collector, value};
use crate::clock;
use crate::samples::Output;
use crate::source::Source;

/// Seconds between two looks at the zone: it changes with the seasons at most.
const ZONE_SECONDS: i64 = 300;

#[derive(Default)]
pub(super) struct Time {
    zone: Option<(String, i32)>,
    zone_read_at: i64,
}

impl Collector for Time {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let now_ms = clock::now_ms();
        out.gauge("node_time_seconds", &[], value(now_ms.unsigned_abs()) / 1_000.0);
        let now = now_ms / 1_000;
        if self.zone_read_at == 0 || (now - self.zone_read_at).abs() >= ZONE_SECONDS {
            (self.zone, self.zone_read_at) = (read_zone(source, now), now);
        }
        if let Some((name, offset)) = &self.zone {
            out.gauge("node_time_zone_offset_seconds", &[("time_zone", name)], f64::from(*offset));
        }
        for name in source.names("sys/devices/system/clocksource") {
            let Some(device) = name.strip_prefix("clocksource") else { continue };
            let Some(folder) = source.folder(&format!("sys/devices/system/clocksource/{name}")) else {
                continue;
            };
            let (mut buffer, mut labels) = ([0; 512], [("clocksource", ""), ("device", device)]);
            for clocksource in
                folder.read("available_clocksource", &mut buffer).unwrap_or_default().split_whitespace()
            {
                labels[0].1 = clocksource;
                out.gauge("node_time_clocksource_available_info", &labels, 1.0);
            }
            if let Some(clocksource) = folder.read("current_clocksource", &mut buffer) {
                let labels = [("clocksource", clocksource), ("device", device)];
                out.gauge("node_time_clocksource_current_info", &labels, 1.0);
            }
        }
        Ok(())
    }
}

/// Name and offset of the zone in `/etc/localtime`; a host without that file keeps UTC.
fn read_zone(source: &Source, now: i64) -> Option<(String, i32)> {
    let path = source.path("etc/localtime");
    if !path.exists() {
        return Some(("UTC".to_owned(), 0));
    }
    let zone = tz::TimeZone::from_tz_data(&std::fs::read(path).ok()?).ok()?;
    let local = zone.find_local_time_type(now).ok()?;
    Some((local.time_zone_designation().to_owned(), local.ut_offset()))
}
