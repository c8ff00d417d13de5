//! Whether the kernel enforces mandatory access control: `node_selinux_*`.

use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Selinux;

impl Collector for Selinux {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let enforces = source.folder("sys/fs/selinux").and_then(|folder| folder.number("enforce"));
        out.gauge("node_selinux_enabled", &[], f64::from(u8::from(enforces.is_some())));
        let Some(enforces) = enforces else { return Ok(()) };
        out.gauge("node_selinux_current_mode", &[], enforces);
        if source.exists("etc/selinux/config") {
            let text = source.read("etc/selinux/config")?;
            let mode = text.lines().find_map(|line| line.trim().strip_prefix("SELINUX="));
            let mode = match mode.map(str::trim) {
                Some("enforcing") => 1.0,
                Some("permissive") => 0.0,
                _ => -1.0,
            };
            out.gauge("node_selinux_config_mode", &[], mode);
        }
        Ok(())
    }
}
