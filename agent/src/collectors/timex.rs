//! How well the clock is kept, as the kernel sees it (`adjtimex(2)`): `node_timex_*`.

use super::{CollectError, Collector};
use crate::samples::{Kind, Output};
use crate::source::Source;

pub(super) struct Timex;

/// State of a clock that no time service keeps.
const TIME_ERROR: i32 = 5;
/// Flag: the kernel counts in nanoseconds, not in microseconds.
const STA_NANO: i32 = 0x2000;
/// Frequencies are told in 2^-16 parts per million.
const PPM_UNITS: f64 = 65_536.0;

impl Collector for Timex {
    fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let (state, timex) = read().map_err(|source| {
            // Containers often forbid it.
            CollectError::System { operation: "ask the kernel for the state of its clock", source }
        })?;
        let divisor = if timex.status & STA_NANO == 0 { 1e6 } else { 1e9 };
        // The C types differ between machines; all of these are far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let figure = |number: i64| number as f64;
        for (kind, name, amount) in [
            (Kind::Gauge, "node_timex_sync_status", f64::from(u8::from(state != TIME_ERROR))),
            (Kind::Gauge, "node_timex_offset_seconds", figure(timex.offset) / divisor),
            (
                Kind::Gauge,
                "node_timex_frequency_adjustment_ratio",
                1.0 + figure(timex.freq) / PPM_UNITS / 1e6,
            ),
            (Kind::Gauge, "node_timex_maxerror_seconds", figure(timex.maxerror) / 1e6),
            (Kind::Gauge, "node_timex_estimated_error_seconds", figure(timex.esterror) / 1e6),
            (Kind::Gauge, "node_timex_status", f64::from(timex.status)),
            (Kind::Gauge, "node_timex_loop_time_constant", figure(timex.constant)),
            (Kind::Gauge, "node_timex_tick_seconds", figure(timex.tick) / 1e6),
            (Kind::Gauge, "node_timex_pps_frequency_hertz", figure(timex.ppsfreq) / PPM_UNITS / 1e6),
            (Kind::Gauge, "node_timex_pps_jitter_seconds", figure(timex.jitter) / divisor),
            (Kind::Gauge, "node_timex_pps_shift_seconds", f64::from(timex.shift)),
            (Kind::Gauge, "node_timex_pps_stability_hertz", figure(timex.stabil) / PPM_UNITS / 1e6),
            (Kind::Counter, "node_timex_pps_jitter_total", figure(timex.jitcnt)),
            (Kind::Counter, "node_timex_pps_calibration_total", figure(timex.calcnt)),
            (Kind::Counter, "node_timex_pps_error_total", figure(timex.errcnt)),
            (Kind::Counter, "node_timex_pps_stability_exceeded_total", figure(timex.stbcnt)),
            (Kind::Gauge, "node_timex_tai_offset_seconds", f64::from(timex.tai)),
        ] {
            out.record(kind, name, &[], amount);
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "no safe wrapper of adjtimex gives all its fields")]
fn read() -> std::io::Result<(i32, libc::timex)> {
    // SAFETY: `timex` is plain numbers, for which all bits zero is a value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `timex` that lives through the call; `modes` is 0, so the kernel only writes
    // to it and changes nothing of the clock.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 { Err(std::io::Error::last_os_error()) } else { Ok((state, timex)) }
}
