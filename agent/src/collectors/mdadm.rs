//! Software RAID, from `/proc/mdstat`: `node_md_*`.

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct Mdadm;

const FILE: &str = "proc/mdstat";
const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

/// One array.
#[derive(Debug, Default)]
struct Array<'a> {
    name: &'a str,
    state: &'static str,
    active: u64,
    required: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

impl Collector for Mdadm {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut lines = source.read(FILE)?.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(mut array) = Array::begin(line) else { continue };
            while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
                array.take(line);
            }
            array.tell(out);
        }
        Ok(())
    }
}

impl<'a> Array<'a> {
    /// `md0 : active raid1 sdb1[1] sda1[0](F)`
    fn begin(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_once(" : ")?;
        let state = rest.split_ascii_whitespace().next()?;
        let members = rest.matches('[').count() as u64;
        let is_active = state == "active";
        // Levels without redundancy do not say how many there are and must be.
        let plain = is_active && (rest.contains(" raid0 ") || rest.contains(" linear "));
        Some(Self {
            name: name.trim(),
            state: if is_active { "active" } else { "inactive" },
            active: if plain { members } else { 0 },
            required: if plain { members } else { 0 },
            failed: rest.matches("(F)").count() as u64,
            spare: rest.matches("(S)").count() as u64,
            ..Self::default()
        })
    }

    fn take(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        let first = words.next();
        if words.next() == Some("blocks") {
            self.blocks = number(first);
            self.synced = self.blocks;
            // [required/active]
            let pairs = line.split('[').skip(1).filter_map(|part| part.split_once(']')?.0.split_once('/'));
            for (required, active) in pairs {
                if let (Ok(required), Ok(active)) = (required.parse(), active.parse()) {
                    (self.required, self.active) = (required, active);
                }
            }
            return;
        }
        for (word, state) in [("recovery", "recovering"), ("resync", "resync"), ("check", "check")] {
            if line.contains(word) {
                self.state = state;
                // (done/all); one that waits for another has done nothing.
                let done = line.split_once('(').and_then(|(_, rest)| rest.split_once('/'));
                self.synced = done.map_or(0, |(done, _)| number(Some(done)));
            }
        }
    }

    fn tell(&self, out: &mut Output) {
        let device = ("device", self.name);
        out.gauge("node_md_blocks", &[device], value(self.blocks));
        out.gauge("node_md_blocks_synced", &[device], value(self.synced));
        out.gauge("node_md_disks_required", &[device], value(self.required));
        for (state, count) in [("active", self.active), ("failed", self.failed), ("spare", self.spare)] {
            out.gauge("node_md_disks", &[device, ("state", state)], value(count));
        }
        for state in STATES {
            let is = f64::from(u8::from(state == self.state));
            out.gauge("node_md_state", &[device, ("state", state)], is);
        }
    }
}
