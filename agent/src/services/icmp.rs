//! One echo request (ICMP, RFC 792 and 4443) through a ping socket, which needs no privilege where the host's
//! `net.ipv4.ping_group_range` lets the agent's group have one.
//!
//! The kernel fills in checksum and identifier, and hands over only answers to this socket's own requests.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

const REQUEST_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;
const HEAD_BYTES: usize = 8;
/// The request is sent again after this time without an answer.
const AGAIN: Duration = Duration::from_secs(1);

/// How long each phase took.
#[derive(Debug, Default)]
pub(super) struct Phases {
    pub(super) resolve: Duration,
    pub(super) setup: Duration,
    pub(super) rtt: Duration,
    /// 4 or 6 once an address was found, else 0.
    pub(super) ip_protocol: u8,
}

/// Asks `host` until it answers.
pub(super) async fn ask(host: &str, phases: &mut Phases) -> Result<(), String> {
    let started = Instant::now();
    let address = super::resolve(host, 0).await?;
    phases.resolve = started.elapsed();
    phases.ip_protocol = super::ip_protocol(address);
    let address = address.ip();
    let started = Instant::now();
    let socket = ping_socket(address)
        .map_err(|error| format!("no ping socket (see net.ipv4.ping_group_range): {error}"))?;
    phases.setup = started.elapsed();
    let (request, reply) = if address.is_ipv4() { (REQUEST_V4, REPLY_V4) } else { (REQUEST_V6, REPLY_V6) };
    let mut packet = [0; HEAD_BYTES + 8];
    packet[0] = request;
    let mut buffer = [0; 1_500];
    loop {
        let nonce = rand::random::<[u8; 8]>();
        packet[HEAD_BYTES..].copy_from_slice(&nonce);
        let started = Instant::now();
        socket.send(&packet).await.map_err(|e| e.to_string())?;
        let received = tokio::time::timeout(AGAIN, async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(|e| e.to_string())?;
                let answer = buffer.get(..length).unwrap_or_default();
                if answer.first() == Some(&reply) && answer.get(HEAD_BYTES..) == Some(&nonce) {
                    return Ok::<_, String>(());
                }
            }
        });
        if let Ok(result) = received.await {
            phases.rtt = started.elapsed();
            return result;
        }
    }
}

/// Any socket for datagrams serves as one of UDP here: only sending and receiving are asked of it.
fn ping_socket(address: IpAddr) -> std::io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.connect(&SocketAddr::new(address, 0).into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_host_answers_or_its_settings_are_named() {
        for host in ["127.0.0.1", "[::1]"] {
            let mut phases = Phases::default();
            let answer = tokio::time::timeout(Duration::from_secs(10), ask(host, &mut phases)).await.unwrap();
            match answer {
                Ok(()) => assert!(phases.rtt > Duration::ZERO),
                // A host without this protocol, or one that gives nobody a ping socket.
                Err(reason) => assert!(reason.starts_with("no ping socket"), "{host}: {reason}"),
            }
        }
    }
}
