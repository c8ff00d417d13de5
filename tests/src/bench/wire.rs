//! HTTP/1.1 over one kept connection, without anything that would cost the sender time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// A server that does not answer for this long has failed.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    /// Connects. `authorization` is sent with every request when it is not empty.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn open(address: SocketAddr, authorization: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut head = format!("Host: {address}\r\n");
        if !authorization.is_empty() {
            head += &format!("Authorization: {authorization}\r\n");
        }
        Ok(Self { stream: BufReader::with_capacity(1 << 16, stream), head })
    }

    /// Asks, and gives status and body.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn get(&mut self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let head = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    /// Sends a body, and gives status and body of the answer.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\n{}{headers}Content-Length: {length}\r\n\r\n", self.head);
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        self.answer()
    }

    fn answer(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16)?;
                self.append(size, &mut body)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.append(length, &mut body)?;
        }
        Ok((status, body))
    }

    fn append(&mut self, size: usize, body: &mut Vec<u8>) -> anyhow::Result<()> {
        let from = body.len();
        body.resize(from + size, 0);
        let Some(room) = body.get_mut(from..) else { bail!("no room") };
        Ok(self.stream.read_exact(room)?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the server closed the connection");
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
