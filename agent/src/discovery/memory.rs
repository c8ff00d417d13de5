//! What was found, and what of it is watched by order of the server. Kept in the agent's folder, so that a restart neither
//! forgets an order nor tells of everything anew.
//!
//! Invariants: a port counts once it stands in two looks one after the other, and no more when it is missing in three; an
//! order counts only if it was given after the last one for the same service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::proposal::Target;
use super::recognise::Kind;
use super::sockets::Port;

/// Looks after which a port counts.
const STAYS: u8 = 2;
/// Looks after which it does not any more: after a start of the host some services come late.
const GONE: u8 = 3;
/// Times that one is asked which does not answer.
pub(super) const MAX_ATTEMPTS: u8 = 3;
/// Services that are watched by order.
pub(super) const MAX_SWITCHED_ON: usize = 64;

/// A port that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) kind: Kind,
    pub(super) process: String,
    pub(super) user: String,
    pub(super) banner: String,
    /// What would be watched; none where nothing is proposed.
    pub(super) target: Option<Target>,
    /// The sockets that were asked.
    #[serde(skip)]
    asked: BTreeSet<u64>,
    /// Questions to them that had no answer.
    #[serde(skip)]
    unanswered: u8,
    /// Looks in which it was missing.
    #[serde(skip)]
    missed: u8,
}

/// What recognition says of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    pub(super) kind: Kind,
    pub(super) process: String,
    pub(super) user: String,
    pub(super) banner: String,
    pub(super) target: Option<Target>,
    /// Whether a question was asked and had no answer.
    pub(super) is_unanswered: bool,
}

/// What an order made of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Switched {
    pub(super) is_on: bool,
    /// End of the order's validity, milliseconds since the epoch: a later order has a later one.
    pub(super) until_ms: i64,
    pub(super) target: Target,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    pub(super) found: BTreeMap<u16, Found>,
    pub(super) switched: BTreeMap<String, Switched>,
    /// Ports that do not count yet, and how often they were seen.
    #[serde(skip)]
    new: BTreeMap<u16, u8>,
    /// Looks since the start, as far as they matter.
    #[serde(skip)]
    looks: u8,
}

impl Memory {
    /// Takes a look into account. Gives the ports that are to be asked.
    pub(super) fn note(&mut self, ports: &BTreeMap<u16, Port>) -> Vec<u16> {
        self.looks = self.looks.saturating_add(1);
        self.new.retain(|port, _| ports.contains_key(port));
        self.found.retain(|port, found| {
            found.missed = if ports.contains_key(port) { 0 } else { found.missed + 1 };
            found.missed < GONE
        });
        let mut to_ask = Vec::new();
        for (number, port) in ports {
            match self.found.get_mut(number) {
                Some(found) => {
                    found.addresses.clone_from(&port.addresses);
                    let again = (1..MAX_ATTEMPTS).contains(&found.unanswered);
                    if found.asked != port.inodes || again {
                        to_ask.push(*number);
                    }
                }
                None => {
                    let seen = self.new.entry(*number).or_default();
                    *seen += 1;
                    if *seen >= STAYS {
                        to_ask.push(*number);
                    }
                }
            }
        }
        to_ask
    }

    /// Whether there is something to tell, be it that nothing listens.
    pub(super) fn is_known(&self) -> bool {
        self.looks >= STAYS || !self.found.is_empty()
    }

    /// Puts down what a port was recognised as. One that was known and does not answer now stays what it was.
    pub(super) fn recognise(&mut self, number: u16, port: &Port, now: Recognised) {
        self.new.remove(&number);
        let found = self.found.entry(number).or_default();
        let is_same_program = found.process == now.process && found.user == now.user;
        if !(now.is_unanswered && is_same_program && found.target.is_some()) {
            found.kind = now.kind;
            found.banner = now.banner;
            found.target = now.target;
        }
        found.process = now.process;
        found.user = now.user;
        found.addresses.clone_from(&port.addresses);
        let asked_before = if found.asked == port.inodes { found.unanswered } else { 0 };
        found.unanswered = if now.is_unanswered { asked_before + 1 } else { 0 };
        found.asked.clone_from(&port.inodes);
    }

    /// Switches on what was found under this identifier, by an order that is valid until then.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn switch_on(&mut self, id: &str, until_ms: i64) -> Result<(), &'static str> {
        let found = self.found.values().filter_map(|found| found.target.as_ref()).find(|t| t.id() == id);
        let target = found.cloned().ok_or("this host has found no such service")?;
        self.is_new(id, until_ms)?;
        let others = self.switched.iter().filter(|(other, switched)| switched.is_on && *other != id);
        if others.count() >= MAX_SWITCHED_ON {
            return Err("too many services are watched by order");
        }
        self.switched.insert(id.to_owned(), Switched { is_on: true, until_ms, target });
        Ok(())
    }

    /// Switches off. What was never on is off.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn switch_off(&mut self, id: &str, until_ms: i64) -> Result<(), &'static str> {
        self.is_new(id, until_ms)?;
        if let Some(switched) = self.switched.get_mut(id) {
            switched.is_on = false;
            switched.until_ms = until_ms;
        }
        Ok(())
    }

    /// The same order may come again, until the server has its answer; an earlier one may not.
    fn is_new(&self, id: &str, until_ms: i64) -> Result<(), &'static str> {
        match self.switched.get(id) {
            Some(switched) if switched.until_ms > until_ms => Err("a later order was given"),
            _ => Ok(()),
        }
    }

    /// Forgets what is off and cannot be ordered again by an old order.
    pub(super) fn forget_old(&mut self, now_ms: i64) {
        self.switched.retain(|_, switched| switched.is_on || switched.until_ms > now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [u16; 0] = [];

    fn port(inode: u64) -> Port {
        Port { addresses: [IpAddr::from([127, 0, 0, 1])].into(), uid: 0, inodes: [inode].into() }
    }

    fn recognised(is_unanswered: bool) -> Recognised {
        let target = Target {
            kind: Kind::Exporter,
            port: 9100,
            address: IpAddr::from([127, 0, 0, 1]),
            page: "/metrics".into(),
            status: 0,
        };
        Recognised {
            kind: if is_unanswered { Kind::Unknown } else { Kind::Exporter },
            process: String::new(),
            user: "root".into(),
            banner: String::new(),
            target: Some(target).filter(|_| !is_unanswered),
            is_unanswered,
        }
    }

    #[test]
    fn a_port_counts_after_two_looks_and_is_gone_after_three_without_it() {
        let mut memory = Memory::default();
        let (none, one) = (BTreeMap::new(), BTreeMap::from([(9100, port(1))]));
        assert_eq!(memory.note(&one), NOTHING);
        assert_eq!(memory.note(&none), NOTHING, "one that was there only once is never told");
        assert_eq!(memory.note(&one), NOTHING);
        assert_eq!(memory.note(&one), [9100]);
        memory.recognise(9100, &port(1), recognised(false));
        assert_eq!(memory.note(&one), NOTHING, "the same sockets are not asked again");
        for _ in 0..2 {
            assert_eq!(memory.note(&none), NOTHING);
            assert_eq!(memory.found.len(), 1);
        }
        memory.note(&none);
        assert!(memory.found.is_empty());
    }

    #[test]
    fn one_that_was_started_again_is_asked_again_and_stays_known_while_it_does_not_answer() {
        let mut memory = Memory::default();
        let again = BTreeMap::from([(9100, port(2))]);
        memory.recognise(9100, &port(1), recognised(false));
        for attempt in 1..=MAX_ATTEMPTS {
            assert_eq!(memory.note(&again), [9100], "{attempt}");
            memory.recognise(9100, &port(2), recognised(true));
        }
        assert_eq!(memory.note(&again), NOTHING);
        assert_eq!(memory.found[&9100].kind, Kind::Exporter);
        let other = Recognised { process: "sshd".into(), ..recognised(true) };
        memory.recognise(9100, &port(3), other);
        assert_eq!((memory.found[&9100].kind, &memory.found[&9100].target), (Kind::Unknown, &None));
    }

    #[test]
    fn only_what_was_found_can_be_switched_on_and_old_orders_count_no_more() {
        let mut memory = Memory::default();
        assert!(memory.switch_on("exporter-9100", 10).is_err(), "nothing is found yet");
        memory.recognise(9100, &port(1), recognised(false));
        for id in ["ssh-9100", "exporter-9101", "http://10.0.0.1/"] {
            assert!(memory.switch_on(id, 10).is_err(), "{id}");
        }
        memory.switch_on("exporter-9100", 10).unwrap();
        memory.switch_on("exporter-9100", 10).unwrap();
        memory.switch_off("exporter-9100", 20).unwrap();
        assert!(
            memory.switch_on("exporter-9100", 10).is_err(),
            "an order that is sent again by somebody else"
        );
        assert!(!memory.switched["exporter-9100"].is_on);
        memory.forget_old(19);
        assert_eq!(memory.switched.len(), 1);
        memory.forget_old(20);
        assert!(memory.switched.is_empty());
    }
}
