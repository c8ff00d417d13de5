//! One question to a name server over UDP (RFC 1035), for a probe: whether it answers, how, and with how many records.
//!
//! Only the head of the answer is read, whose place is fixed. The question is sent again while there is time: a datagram
//! may be lost.

use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

const PORT: u16 = 53;
/// Largest answer that is taken up, in bytes; a server cuts off what does not fit.
const MAX_ANSWER_BYTES: usize = 4_096;
const HEAD_BYTES: usize = 12;
/// Longest name and part of one, bytes.
const MAX_NAME: usize = 253;
const MAX_PART: usize = 63;
/// The question is sent again after this time without an answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Recursion is wanted.
const FLAGS: [u8; 2] = [1, 0];
const IS_ANSWER: u8 = 0x80;
const CLASS_IN: [u8; 2] = [0, 1];

/// Kinds of records that can be asked for, with their numbers.
const TYPES: [(&str, u16); 9] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];

/// What the server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// RFC 1035, section 4.1.1; 0 means that all is well.
    pub(super) rcode: u8,
    pub(super) answers: u16,
    pub(super) authorities: u16,
    pub(super) additionals: u16,
}

/// How long each phase took.
#[derive(Debug, Default)]
pub(super) struct Phases {
    pub(super) resolve: Duration,
    pub(super) connect: Duration,
    pub(super) request: Duration,
    /// 4 or 6 once an address was found, else 0.
    pub(super) ip_protocol: u8,
}

/// Asks `server`, with port where it is not 53, until it answers.
pub(super) async fn ask(server: &str, name: &str, kind: &str, phases: &mut Phases) -> Result<Answer, String> {
    let id = rand::random::<[u8; 2]>();
    let question = question(id, name, kind)?;
    let started = Instant::now();
    let address = super::resolve(server, PORT).await?;
    phases.resolve = started.elapsed();
    phases.ip_protocol = super::ip_protocol(address);
    let started = Instant::now();
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await.map_err(|e| e.to_string())?;
    // From here on only this server's datagrams come in.
    socket.connect(address).await.map_err(|e| e.to_string())?;
    phases.connect = started.elapsed();
    let started = Instant::now();
    let mut buffer = [0; MAX_ANSWER_BYTES];
    loop {
        socket.send(&question).await.map_err(|e| e.to_string())?;
        let received = tokio::time::timeout(AGAIN, async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(|e| e.to_string())?;
                if let Some(answer) = read(buffer.get(..length).unwrap_or_default(), &question) {
                    return Ok::<_, String>(answer);
                }
            }
        });
        let received = received.await;
        phases.request = started.elapsed();
        if let Ok(answer) = received {
            return answer;
        }
    }
}

/// Whether a name and a kind of record can be asked for.
pub(crate) fn check(name: &str, kind: &str) -> Result<(), String> {
    question([0; 2], name, kind).map(drop)
}

fn question(id: [u8; 2], name: &str, kind: &str) -> Result<Vec<u8>, String> {
    let known = TYPES.iter().find(|(text, _)| *text == kind);
    let (_, number) = known.ok_or_else(|| {
        let known: Vec<_> = TYPES.iter().map(|(text, _)| *text).collect();
        format!("{kind:?} is no kind of record that can be asked for; there are {}", known.join(", "))
    })?;
    let mut packet = Vec::with_capacity(HEAD_BYTES + name.len() + 6);
    packet.extend(id);
    packet.extend(FLAGS);
    // One question, nothing else.
    packet.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    for part in name.split('.') {
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        if name.len() > MAX_NAME || part.is_empty() || part.len() > MAX_PART || !part.is_ascii() {
            return Err(format!("{name:?} is no name of a host"));
        }
        packet.push(length);
        packet.extend(part.as_bytes());
    }
    packet.push(0);
    packet.extend(number.to_be_bytes());
    packet.extend(CLASS_IN);
    Ok(packet)
}

/// The head of an answer to this question; none if it is another datagram.
fn read(packet: &[u8], question: &[u8]) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let asked = question.get(HEAD_BYTES..)?;
    let repeated = packet.get(HEAD_BYTES..HEAD_BYTES + asked.len());
    let is_answer = packet.get(..2) == question.get(..2) && packet.get(2)? & IS_ANSWER != 0;
    // A server that does not understand the question may leave it out.
    let is_this = repeated.is_some_and(|text| text.eq_ignore_ascii_case(asked)) || number(4)? == 0;
    (is_answer && is_this).then_some(Answer {
        rcode: packet.get(3)? & 0x0f,
        answers: number(6)?,
        authorities: number(8)?,
        additionals: number(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_written_as_the_standard_says_and_its_answer_told_from_others() {
        let question = question([7, 9], "lpse.go.id.", "AAAA").unwrap();
        let expected = b"\x07\x09\x01\0\0\x01\0\0\0\0\0\0\x04lpse\x02go\x02id\0\0\x1c\0\x01";
        assert_eq!(question, expected);
        let mut packet = question.clone();
        packet[2..12].copy_from_slice(&[0x81, 0x83, 0, 1, 0, 2, 0, 3, 0, 4]);
        let answer = Answer { rcode: 3, answers: 2, authorities: 3, additionals: 4 };
        assert_eq!(read(&packet, &question), Some(answer));
        packet[13] = b'L';
        assert_eq!(read(&packet, &question), Some(answer), "case does not matter");
        for (place, byte) in [(0, 8), (2, 0x01), (14, b'x')] {
            let mut other = packet.clone();
            other[place] = byte;
            assert_eq!(read(&other, &question), None, "{place}");
        }
        assert_eq!(read(&packet[..8], &question), None);
    }

    #[test]
    fn names_and_kinds_that_cannot_be_asked_for_are_refused() {
        for (name, kind) in [("", "A"), ("a..b", "A"), ("ä", "A"), ("a", "HINFO")] {
            assert!(check(name, kind).is_err(), "{name} {kind}");
        }
        assert!(check(&"a".repeat(64), "A").is_err() && check(&"a.".repeat(130), "A").is_err());
    }
}
