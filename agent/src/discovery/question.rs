//! The questions that confirm what a port is. Each goes to the loopback, takes bounded time, sends a few bytes and reads
//! a bounded answer.

use std::net::SocketAddr;
use std::time::Duration;

use siaga_protocol::exposition::{self, Line, TimeUnit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::recognise::{Guess, Kind, Question};

/// Longest time for one question.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest part of an HTTP answer that is read, in bytes.
const MAX_PAGE_BYTES: u64 = 64 * 1024;
/// Longest first line of another protocol, in bytes.
const MAX_LINE_BYTES: u64 = 255;
/// Longest text of a server about itself that is told.
const MAX_BANNER_CHARS: usize = 120;
/// SSLRequest: its length and code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Where nginx' `stub_status` usually stands.
const NGINX_PAGES: [&str; 3] = ["/stub_status", "/nginx_status", "/basic_status"];
const APACHE_PAGE: &str = "/server-status";

/// What a service said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) kind: Kind,
    /// What it says of itself.
    pub(super) banner: String,
    /// Path of its page of figures; empty if none was found.
    pub(super) page: String,
    /// Status of its first page; 0 where that was not asked for.
    pub(super) status: u16,
}

/// Asks. `None` without an answer that makes sense.
pub(super) async fn ask(address: SocketAddr, question: Question, guess: Guess) -> Option<Confirmed> {
    let of =
        |kind, banner: &[u8]| Some(Confirmed { kind, banner: printable(banner), ..Confirmed::default() });
    match question {
        Question::Ssh => {
            let line = exchange(address, &[], MAX_LINE_BYTES, |read| read.contains(&b'\n')).await?;
            let line = line.split(|byte| *byte == b'\n').next()?;
            line.starts_with(b"SSH-").then(|| of(Kind::Ssh, line)).flatten()
        }
        Question::Postgres => {
            let answer = exchange(address, &SSL_REQUEST, 1, |read| !read.is_empty()).await?;
            matches!(answer.as_slice(), b"S" | b"N").then(|| of(Kind::Postgresql, b"")).flatten()
        }
        Question::Redis => {
            let line = exchange(address, b"PING\r\n", MAX_LINE_BYTES, |read| read.contains(&b'\n')).await?;
            let known = ["+PONG", "-NOAUTH", "-DENIED"];
            known.iter().any(|word| line.starts_with(word.as_bytes())).then(|| of(Kind::Redis, b"")).flatten()
        }
        Question::Http => http(address, guess).await,
    }
}

async fn http(address: SocketAddr, guess: Guess) -> Option<Confirmed> {
    let metrics = get(address, "/metrics").await?;
    let banner = printable(metrics.server.as_bytes());
    if metrics.status == 200 && is_exposition(&metrics) {
        return Some(Confirmed { kind: Kind::Exporter, banner, page: "/metrics".into(), status: 0 });
    }
    let kind = kind_of(&metrics, guess);
    let page = match kind {
        Kind::Nginx => first_page(address, &NGINX_PAGES, "", "Active connections:").await,
        Kind::Apache => first_page(address, &[APACHE_PAGE], "?auto", "BusyWorkers:").await,
        _ => None,
    };
    let status = match page {
        Some(_) => 0,
        None => get(address, "/").await.map_or(0, |front| front.status),
    };
    Some(Confirmed { kind, banner, page: page.unwrap_or_default().to_owned(), status })
}

/// The first of these pages that holds a line of figures.
async fn first_page(
    address: SocketAddr,
    pages: &[&'static str],
    query: &str,
    line: &str,
) -> Option<&'static str> {
    for page in pages {
        let answer = get(address, &format!("{page}{query}")).await;
        if answer.is_some_and(|a| a.status == 200 && a.body.lines().any(|l| l.starts_with(line))) {
            return Some(page);
        }
    }
    None
}

fn kind_of(answer: &Page, guess: Guess) -> Kind {
    let server = answer.server.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| server.contains(word));
    if has(&[
        "coyote",
        "tomcat",
        "jetty",
        "play",
        "akka",
        "pekko",
        "netty",
        "undertow",
        "wildfly",
        "payara",
        "glassfish",
    ]) || answer.body.contains("Apache Tomcat")
    {
        Kind::Jvm
    } else if has(&["nginx", "openresty"]) && guess.kind != Kind::Jvm {
        Kind::Nginx
    } else if server.starts_with("apache") && guess.kind != Kind::Jvm {
        Kind::Apache
    } else if guess.by_program {
        guess.kind
    } else {
        Kind::Http
    }
}

/// An answer over HTTP.
#[derive(Debug, Default)]
struct Page {
    status: u16,
    /// Header `Server`.
    server: String,
    body: String,
    /// Whether there was more than is read.
    is_cut: bool,
}

async fn get(address: SocketAddr, path: &str) -> Option<Page> {
    // Version 1.0 has the server end the answer and send it in one piece.
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: siaga-agent/{}\r\nAccept: text/plain, */*\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    read_page(&exchange(address, request.as_bytes(), MAX_PAGE_BYTES, |_| false).await?)
}

fn read_page(bytes: &[u8]) -> Option<Page> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let server = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("server").then(|| value.trim().to_owned())
    });
    let is_cut = bytes.len() as u64 >= MAX_PAGE_BYTES;
    Some(Page { status, server: server.unwrap_or_default(), body: body.to_owned(), is_cut })
}

/// Whether a page holds figures as Prometheus reads them, and nothing else.
fn is_exposition(page: &Page) -> bool {
    let whole = match page.body.rfind('\n') {
        Some(end) if page.is_cut => &page.body[..end],
        _ => &page.body,
    };
    let mut samples = 0_usize;
    for line in whole.lines() {
        match exposition::parse_line(line, TimeUnit::Milliseconds) {
            Ok(Line::Sample(_)) => samples += 1,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    samples > 0
}

/// Sends and reads until `enough`, the end or `limit` bytes. What came before the time was over counts.
async fn exchange(
    address: SocketAddr,
    request: &[u8],
    limit: u64,
    enough: impl Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request).await.ok()?;
        let mut stream = stream.take(limit);
        while !enough(&read) {
            match stream.read_buf(&mut read).await {
                Ok(1..) => {}
                _ => break,
            }
        }
        Some(())
    };
    match tokio::time::timeout(TIMEOUT, talk).await {
        Ok(None) => None,
        _ if read.is_empty() => None,
        _ => Some(read),
    }
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().filter(|c| !c.is_control()).take(MAX_BANNER_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Guess = Guess { kind: Kind::Unknown, by_program: false, question: None };

    /// A server that answers every connection with what the request deserves.
    async fn server(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let greeting = answer(b"");
                if !greeting.is_empty() {
                    let _ = stream.write_all(&greeting).await;
                    continue;
                }
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let _ = stream.write_all(&answer(&request[..length])).await;
            }
        });
        address
    }

    fn http_server(
        name: &'static str,
        pages: &'static [(&'static str, &'static str)],
    ) -> impl Fn(&[u8]) -> Vec<u8> + Send + 'static {
        move |request| {
            if request.is_empty() {
                return Vec::new();
            }
            let request = String::from_utf8_lossy(request);
            let path = request.split(' ').nth(1).unwrap_or_default();
            let page = pages.iter().find(|(wanted, _)| *wanted == path);
            let (status, body) = page.map_or(("404 Not Found", "no"), |(_, body)| ("200 OK", *body));
            format!("HTTP/1.1 {status}\r\nServer: {name}\r\n\r\n{body}").into_bytes()
        }
    }

    #[tokio::test]
    async fn services_are_told_apart_by_what_they_answer() {
        let ssh = server(|_| b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()).await;
        let found = ask(ssh, Question::Ssh, NOTHING).await.unwrap();
        assert_eq!((found.kind, found.banner.as_str()), (Kind::Ssh, "SSH-2.0-OpenSSH_9.2p1"));
        let postgres =
            server(|request| if request == SSL_REQUEST { b"N".to_vec() } else { Vec::new() }).await;
        assert_eq!(ask(postgres, Question::Postgres, NOTHING).await.unwrap().kind, Kind::Postgresql);
        let redis = server(|r| if r.is_empty() { Vec::new() } else { b"-NOAUTH wait\r\n".to_vec() }).await;
        assert_eq!(ask(redis, Question::Redis, NOTHING).await.unwrap().kind, Kind::Redis);
        assert_eq!(ask(redis, Question::Ssh, NOTHING).await, None);

        let status = "Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0\n";
        let workers = "localhost\nBusyWorkers: 1\nIdleWorkers: 2\n";
        type Pages = &'static [(&'static str, &'static str)];
        let table: [(&'static str, Pages, Kind, &str, u16); 6] = [
            ("x", &[("/metrics", "# TYPE a gauge\na 1\n")], Kind::Exporter, "/metrics", 0),
            ("x", &[("/metrics", "<html>a 1</html>"), ("/", "")], Kind::Http, "", 200),
            ("nginx/1.22", Box::leak(Box::new([("/nginx_status", status)])), Kind::Nginx, "/nginx_status", 0),
            ("nginx", &[("/stub_status", "<html>")], Kind::Nginx, "", 404),
            (
                "Apache/2.4",
                Box::leak(Box::new([("/server-status?auto", workers)])),
                Kind::Apache,
                "/server-status",
                0,
            ),
            ("Apache-Coyote/1.1", &[], Kind::Jvm, "", 404),
        ];
        for (name, pages, kind, page, code) in table {
            let address = server(http_server(name, pages)).await;
            let found = ask(address, Question::Http, NOTHING).await.unwrap();
            assert_eq!(
                (found.kind, found.page.as_str(), found.status),
                (kind, page, code),
                "{name} {pages:?}"
            );
            assert_eq!(found.banner, name);
        }
        let by_program = Guess { kind: Kind::Jvm, by_program: true, question: None };
        let address = server(http_server("", &[])).await;
        assert_eq!(ask(address, Question::Http, by_program).await.unwrap().kind, Kind::Jvm);
    }

    #[test]
    fn a_page_that_was_cut_is_judged_without_its_last_line() {
        let page = |body: &str, is_cut| Page { status: 200, body: body.into(), is_cut, ..Page::default() };
        assert!(is_exposition(&page("a 1\nb{x=\"", true)));
        assert!(!is_exposition(&page("a 1\nb{x=\"", false)));
        assert!(!is_exposition(&page("# nothing\n", false)));
    }
}
