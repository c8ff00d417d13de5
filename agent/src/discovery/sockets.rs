//! Which TCP ports are listened on, from `/proc/net/tcp` and `tcp6`. A few lines of our own: the crates that read them
//! keep every connection of the host in memory, or leave out what belongs to other users.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Lines of a table that are read; the kernel writes listening sockets first.
const MAX_LINES: usize = 200_000;
/// Longest line that is understood, in bytes.
const MAX_LINE_BYTES: u64 = 512;
/// Ports that are told of a host, the lowest first.
const MAX_PORTS: usize = 256;
/// State `LISTEN`.
const LISTEN: &str = "0A";

/// A port in one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Port {
    /// Where it is listened on.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// User that opened it.
    pub(super) uid: u32,
    /// The kernel's numbers of its sockets: others after the program was started again.
    pub(super) inodes: BTreeSet<u64>,
}

/// All ports that are listened on; a table that cannot be read has none.
pub(super) fn read(root: &Path) -> BTreeMap<u16, Port> {
    let mut ports = BTreeMap::<u16, Port>::new();
    for table in ["proc/net/tcp", "proc/net/tcp6"] {
        let Ok(file) = File::open(root.join(table)) else { continue };
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        for _ in 0..MAX_LINES {
            line.clear();
            match file.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(1..) => {}
                _ => break,
            }
            let Some((address, number, uid, inode)) = std::str::from_utf8(&line).ok().and_then(parse) else {
                continue;
            };
            let port = ports.entry(number).or_insert_with(|| Port { uid, ..Port::default() });
            port.addresses.insert(address);
            port.inodes.insert(inode);
        }
    }
    ports.into_iter().take(MAX_PORTS).collect()
}

/// Address, port, user and inode of a line in state `LISTEN`.
fn parse(line: &str) -> Option<(IpAddr, u16, u32, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((parse_address(address)?, u16::from_str_radix(port, 16).ok()?, uid, inode))
}

/// The kernel writes words of four bytes in the order of this machine.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (place, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(place * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_by_port_and_connections_are_not() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/net")).unwrap();
        std::fs::write(
            root.path().join("proc/net/tcp"),
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 20873 1 0 100 0 0 10 0\n\
             \x20  1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19000 1 0 100 0 0 10 0\n\
             \x20  2: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   107        0 20999 1 0 20 4 30 10 -1\n\
             a broken line\n",
        )
        .unwrap();
        std::fs::write(
            root.path().join("proc/net/tcp6"),
            "header\n\
             \x20  0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 20872 1 0 100 0 0 10 0\n",
        )
        .unwrap();
        let ports = read(root.path());
        let local: BTreeSet<IpAddr> = ["127.0.0.1", "::1"].map(|text| text.parse().unwrap()).into();
        let postgres = Port { addresses: local, uid: 107, inodes: [20872, 20873].into() };
        assert_eq!(ports.keys().copied().collect::<Vec<_>>(), [22, 5432]);
        assert_eq!(ports[&5432], postgres);
        assert_eq!(ports[&22].addresses, [IpAddr::from([0, 0, 0, 0])].into());
    }

    #[test]
    fn this_hosts_own_sockets_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = &read(Path::new("/"))[&port];
        assert_eq!(found.addresses, [IpAddr::from([127, 0, 0, 1])].into());
        assert_eq!(found.uid, rustix::process::getuid().as_raw());
    }
}
