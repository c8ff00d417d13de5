//! How far this host's clock is from a time server (SNTP, RFC 4330): `node_ntp_*`, with the server as a label. In
//! e-procurement the clock decides whether a bid came in time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;

use crate::collectors::round_to_micro;
use crate::config::services::TimeServer;
use crate::samples::Output;

const PORT: u16 = 123;
const PACKET_BYTES: usize = 48;
/// Version 4, client.
const REQUEST: u8 = 0x23;
const MODE_SERVER: u8 = 4;
/// Seconds from 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;

/// What a time server says.
#[derive(Debug, PartialEq)]
struct Told {
    /// Its clock minus this host's, seconds.
    offset: f64,
    rtt: Duration,
    stratum: u8,
    leap: u8,
}

/// Asks the server and records the difference; without an answer, only that there was none.
pub(super) async fn ask(server: &TimeServer, out: &mut Output) {
    let told = tokio::time::timeout(server.asked().timeout(), question(&server.address)).await;
    let told = told.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let label = [("server", server.address.as_str())];
    let sane = told.as_ref().is_ok_and(|told| (1..16).contains(&told.stratum) && told.leap != 3);
    out.gauge("node_ntp_sanity", &label, f64::from(u8::from(sane)));
    match told {
        Ok(told) => {
            out.gauge("node_ntp_offset_seconds", &label, (told.offset * 1e6).round() / 1e6);
            out.gauge("node_ntp_rtt_seconds", &label, round_to_micro(told.rtt));
            out.gauge("node_ntp_stratum", &label, f64::from(told.stratum));
            out.gauge("node_ntp_leap", &label, f64::from(told.leap));
        }
        Err(error) => tracing::debug!(server = server.address, error = crate::error_chain(&error), "no time"),
    }
}

async fn question(address: &str) -> std::io::Result<Told> {
    let address = super::resolve(address, PORT).await.map_err(std::io::Error::other)?;
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(address).await?;
    let mut packet = [0; PACKET_BYTES];
    packet[0] = REQUEST;
    // A number that only this question has comes back; it need not be the time.
    let nonce = rand::random::<u64>().to_be_bytes();
    packet[40..].copy_from_slice(&nonce);
    let (sent, started) = (SystemTime::now(), Instant::now());
    socket.send(&packet).await?;
    loop {
        let length = socket.recv(&mut packet).await?;
        let rtt = started.elapsed();
        // Others may answer too; the right answer holds the number.
        if length >= PACKET_BYTES && packet[24..32] == nonce {
            let sent = sent.duration_since(UNIX_EPOCH).unwrap_or_default();
            return read(&packet, sent, rtt).ok_or_else(|| std::io::ErrorKind::InvalidData.into());
        }
    }
}

/// `sent` is this host's time of the question since 1970.
fn read(packet: &[u8; PACKET_BYTES], sent: Duration, rtt: Duration) -> Option<Told> {
    if packet[0] & 7 != MODE_SERVER {
        return None;
    }
    let time = |at: usize| -> Option<f64> {
        let number = u64::from_be_bytes(packet.get(at..at + 8)?.try_into().ok()?);
        #[expect(clippy::cast_precision_loss, reason = "a quarter of a microsecond in the year 2100")]
        let seconds = (number >> 32).checked_sub(EPOCH)? as f64;
        #[expect(clippy::cast_precision_loss, reason = "less than 2^32")]
        let fraction = (number & 0xffff_ffff) as f64 / 4_294_967_296.0;
        Some(seconds + fraction)
    };
    let (received, answered) = (time(32)?, time(40)?);
    // Half of the way's time lies before the server's two times, half behind them.
    let way = (rtt.as_secs_f64() - (answered - received)).max(0.0);
    let offset = received - sent.as_secs_f64() - way / 2.0;
    Some(Told { offset, rtt: Duration::from_secs_f64(way), stratum: packet[1], leap: packet[0] >> 6 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Recorder;

    fn answer(request: &[u8; PACKET_BYTES], ahead: Duration) -> [u8; PACKET_BYTES] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + ahead;
        let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
        let time = (((now.as_secs() + EPOCH) << 32) | fraction).to_be_bytes();
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 0x20 | MODE_SERVER;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&request[40..]);
        packet[32..40].copy_from_slice(&time);
        packet[40..].copy_from_slice(&time);
        packet
    }

    async fn told(server: &str) -> String {
        let config = format!("address = \"{server}\"\ninterval_seconds = 60\ntimeout_seconds = 1\n");
        let (mut out, mut recorder) = (Output::default(), Recorder::default());
        ask(&toml::from_str(&config).unwrap(), &mut out).await;
        recorder.begin();
        recorder.take_up(&out);
        recorder.end();
        recorder.to_text()
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_shows_its_offset_and_a_dead_server_only_that() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let mut request = [0; PACKET_BYTES];
            let (_, from) = socket.recv_from(&mut request).await.unwrap();
            socket.send_to(&[0; PACKET_BYTES], from).await.unwrap(); // somebody else's answer
            socket.send_to(&answer(&request, Duration::from_secs(90)), from).await.unwrap();
        });
        let text = told(&address).await;
        let offset = text.lines().find(|line| line.starts_with("node_ntp_offset_seconds")).unwrap();
        let offset: f64 = offset.rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((offset - 90.0).abs() < 5.0, "{text}");
        assert!(text.contains(&format!("node_ntp_stratum{{server=\"{address}\"}} 2\n")), "{text}");
        assert!(text.contains(&format!("node_ntp_sanity{{server=\"{address}\"}} 1\n")), "{text}");
        server.await.unwrap();
        let text = told(&address).await;
        assert!(text.contains("node_ntp_sanity") && !text.contains("offset"), "{text}");
    }
}
