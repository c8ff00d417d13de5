//! The host's clock, its source and its zone: `node_time_*`.

use super::{CollectError, Collector, SELDOM_ROUNDS, value};
use crate::clock;
use crate::samples::Output;
use crate::source::Source;

/// Seconds between two looks at the zone: it changes with the seasons at most.
const ZONE_SECONDS: i64 = 300;

#[derive(Default)]
pub(super) struct Time {
    zone: Option<(String, i32)>,
    zone_read_at: i64,
    sources: Vec<ClockSource>,
    round: u32,
}

/// Where the kernel takes the time from; it changes only where the hardware fails.
struct ClockSource {
    device: String,
    available: String,
    current: Option<String>,
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
        if self.round.is_multiple_of(SELDOM_ROUNDS) {
            self.sources = read_sources(source);
        }
        self.round = self.round.wrapping_add(1);
        for ClockSource { device, available, current } in &self.sources {
            for clocksource in available.split_whitespace() {
                let labels = [("clocksource", clocksource), ("device", device.as_str())];
                out.gauge("node_time_clocksource_available_info", &labels, 1.0);
            }
            if let Some(clocksource) = current {
                let labels = [("clocksource", clocksource.as_str()), ("device", device.as_str())];
                out.gauge("node_time_clocksource_current_info", &labels, 1.0);
            }
        }
        Ok(())
    }
}

fn read_sources(source: &Source) -> Vec<ClockSource> {
    let read = |name: String| {
        let device = name.strip_prefix("clocksource")?.to_owned();
        let folder = source.folder(&format!("sys/devices/system/clocksource/{name}"))?;
        let text = |file: &str| folder.read(file, &mut [0; 512]).map(str::to_owned);
        let available = text("available_clocksource").unwrap_or_default();
        Some(ClockSource { device, available, current: text("current_clocksource") })
    };
    source.names("sys/devices/system/clocksource").into_iter().filter_map(read).collect()
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
