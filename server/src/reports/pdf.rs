//! A PDF from an HTML document, by a program of its own: Debian's weasyprint, or what `[reports] pdf_renderer` names.
//!
//! Invariants: the built-in renderer fetches nothing, neither from the network nor from files; the program is named as a
//! list of arguments, gets the document on its standard input and an environment without anything of the server's; its
//! time, the size of what goes in and comes out, and how many run or wait at once are bounded; it never outlives its
//! call.

use std::process::Stdio;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::config::Reports;
use crate::http::ApiError;

/// Renderers that run at once: each takes a processor and some 100 MB.
const CONCURRENT: usize = 2;
/// Documents that are worked on or wait for their turn; further ones are refused.
const WAITING: usize = 10;
/// Largest document, bytes.
const MAX_HTML_BYTES: usize = 16 << 20;
/// Largest PDF, bytes.
const MAX_PDF_BYTES: u64 = 32 << 20;
/// What is kept of a renderer's complaints, bytes.
const MAX_COMPLAINT_BYTES: u64 = 4 << 10;
/// Status with which the built-in renderer says that weasyprint is missing (`EX_UNAVAILABLE`).
const MISSING_STATUS: i32 = 69;
/// The built-in renderer. Debian's own interpreter is named, because weasyprint is one of its packages.
const BUILT_IN: [&str; 4] = ["/usr/bin/python3", "-I", "-c", include_str!("render.py")];

/// Turns at the renderer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PdfTurns {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for PdfTurns {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(CONCURRENT)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdfError {
    /// The program is not there.
    #[error(
        "no PDF can be made on this server: install Debian's package weasyprint (apt-get install weasyprint), \
         or name another renderer in [reports] pdf_renderer"
    )]
    NotInstalled,
    /// Too many documents are being made.
    #[error("too many documents are being made now")]
    Busy,
    /// The document is too large.
    #[error("the document is larger than {MAX_HTML_BYTES} bytes")]
    TooLarge,
    /// It takes too long.
    #[error("the renderer of PDF took longer than {limit_seconds} s")]
    TooLong {
        /// The limit.
        limit_seconds: u64,
    },
    /// It cannot be run or read.
    #[error("cannot run the renderer of PDF")]
    Run(#[source] std::io::Error),
    /// It failed, or gave what is no PDF.
    #[error("the renderer of PDF failed ({status}): {complaint}")]
    Failed {
        /// How it ended.
        status: String,
        /// What it said.
        complaint: String,
    },
}

impl From<PdfError> for ApiError {
    fn from(error: PdfError) -> Self {
        match error {
            PdfError::NotInstalled => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            PdfError::Busy | PdfError::TooLong { .. } => Self::busy(error.to_string(), 30),
            other => anyhow::Error::from(other).into(),
        }
    }
}

/// The PDF of a document that stands on its own (its style is inside; what it would fetch is missing in the PDF).
///
/// # Errors
/// Why there is none; as [`ApiError`] it is 503 where another try or an installation helps.
pub async fn render(app: &App, html: &str) -> Result<Vec<u8>, PdfError> {
    let config = app.config.current();
    render_with(&app.pdf_turns, &config.reports, html).await
}

async fn render_with(turns: &PdfTurns, config: &Reports, html: &str) -> Result<Vec<u8>, PdfError> {
    if html.len() > MAX_HTML_BYTES {
        return Err(PdfError::TooLarge);
    }
    let limit = config.pdf_timeout;
    let too_long = PdfError::TooLong { limit_seconds: limit.as_secs() };
    let _place = turns.waiting.try_acquire().map_err(|_| PdfError::Busy)?;
    let _turn = match tokio::time::timeout(limit, turns.running.acquire()).await {
        Ok(Ok(turn)) => turn,
        Ok(Err(_)) | Err(_) => return Err(PdfError::Busy),
    };
    let built_in = config.pdf_renderer.is_empty();
    let arguments: Vec<&str> =
        if built_in { BUILT_IN.to_vec() } else { config.pdf_renderer.iter().map(String::as_str).collect() };
    tokio::time::timeout(limit, run(&arguments, built_in, html)).await.map_err(|_| too_long)?
}

/// The process group of a renderer that has not ended. A call that is given up, for its time or because nobody waits for
/// it, takes along whatever the program started.
struct Group(Option<Pid>);

impl Group {
    fn of(child: Option<u32>) -> Self {
        Self(child.and_then(|child| Pid::from_raw(i32::try_from(child).ok()?)))
    }

    /// The program was waited for: its number may be another's from now on.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that nothing of it is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(arguments: &[&str], built_in: bool, html: &str) -> Result<Vec<u8>, PdfError> {
    let [program, rest @ ..] = arguments else { return Err(PdfError::NotInstalled) };
    let mut child = Command::new(program)
        .args(rest)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => PdfError::NotInstalled,
            _ => PdfError::Run(error),
        })?;
    let mut group = Group::of(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that ends before it has read everything says why by its status.
            let _ = stdin.write_all(html.as_bytes()).await;
        }
    };
    let read_pdf = async {
        let mut pdf = Vec::new();
        match stdout {
            Some(stdout) => stdout.take(MAX_PDF_BYTES + 1).read_to_end(&mut pdf).await.map(|_| pdf),
            None => Ok(pdf),
        }
    };
    let read_complaint = async {
        let mut complaint = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = (&mut stderr).take(MAX_COMPLAINT_BYTES).read_to_end(&mut complaint).await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        String::from_utf8_lossy(&complaint).into_owned()
    };
    let ((), pdf, complaint) = tokio::join!(write, read_pdf, read_complaint);
    let pdf = pdf.map_err(PdfError::Run)?;
    if pdf.len() as u64 > MAX_PDF_BYTES {
        return Err(failed("too large".to_owned(), format!("more than {MAX_PDF_BYTES} bytes")));
    }
    let status = child.wait().await.map_err(PdfError::Run)?;
    group.ended();
    match status.code() {
        Some(0) if pdf.starts_with(b"%PDF-") => Ok(pdf),
        Some(0) => Err(failed("status 0".to_owned(), format!("what it gave is no PDF; {complaint}"))),
        Some(MISSING_STATUS) if built_in => Err(PdfError::NotInstalled),
        _ => Err(failed(status.to_string(), complaint)),
    }
}

fn failed(status: String, complaint: String) -> PdfError {
    PdfError::Failed { status, complaint }
}

/// The answer with a PDF. `file_name` is what a browser keeps it as: letters, digits, `-`, `_` and `.` of it are taken.
#[must_use]
pub fn answer(file_name: &str, pdf: Vec<u8>) -> Response {
    let plain: String =
        file_name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    let disposition = HeaderValue::from_str(&format!("inline; filename=\"{plain}\""))
        .unwrap_or(HeaderValue::from_static("inline"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/pdf")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, pdf).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn with(renderer: &[&str], timeout: Duration, html: &str) -> Result<Vec<u8>, PdfError> {
        let renderer = renderer.iter().map(|&part| part.to_owned()).collect();
        let config = Reports { pdf_renderer: renderer, pdf_timeout: timeout };
        render_with(&PdfTurns::default(), &config, html).await
    }

    /// Waits until no process has this argument.
    async fn gone(argument: &str) {
        let runs = || {
            std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes())
            })
        };
        for _ in 0..500 {
            if !runs() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("what the renderer started is still there");
    }

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_document_becomes_a_pdf_and_what_it_names_elsewhere_is_never_fetched() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.css");
        std::fs::write(&file, "@page { size: 1234px 777px }").unwrap();
        let html = format!(
            "<!doctype html><html lang=\"id\"><head><title>Uji ≥ ü</title>\
             <link rel=\"stylesheet\" href=\"http://{address}/a.css\"><link rel=\"stylesheet\" href=\"file://{}\">\
             <style>@import url(http://{address}/b.css); @page {{ size: A4 }}</style></head>\
             <body><h1>Laporan</h1><img src=\"http://{address}/c.png\"><img src=\"{}\"></body></html>",
            file.display(),
            file.display()
        );
        let pdf = with(&[], SOON, &html).await.unwrap();
        assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 1_000, "{}", pdf.len());
        let asked = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(asked.is_err(), "somebody came to fetch");
        let page = String::from_utf8_lossy(&pdf);
        assert!(page.contains("595.27"), "the page has the size that a file elsewhere gave it");
    }

    #[tokio::test]
    async fn a_renderer_that_is_not_there_is_told_with_what_to_install() {
        let error = with(&["/nowhere/renderer"], SOON, "").await.unwrap_err();
        let answer = ApiError::from(error);
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.message().contains("apt-get install weasyprint"), "{}", answer.message());
    }

    #[tokio::test]
    async fn a_renderer_that_fails_hangs_floods_or_gives_something_else_is_an_error() {
        let sh = |script: &'static str| ["/bin/sh", "-c", script];
        let error = with(&sh("echo broken >&2; exit 3"), SOON, "x").await.unwrap_err();
        assert!(
            matches!(&error, PdfError::Failed { complaint, .. } if complaint.contains("broken")),
            "{error}"
        );
        let error = with(&sh("cat"), SOON, "no pdf").await.unwrap_err();
        assert!(error.to_string().contains("no PDF"), "{error}");
        let error = with(&sh("yes"), SOON, "x").await.unwrap_err();
        assert!(matches!(&error, PdfError::Failed { status, .. } if status == "too large"), "{error}");
        let error = with(&sh("sleep 600.25; true"), Duration::from_millis(50), "x").await.unwrap_err();
        assert!(matches!(error, PdfError::TooLong { .. }), "{error}");
        gone("600.25").await;
        let large = "x".repeat(MAX_HTML_BYTES + 1);
        assert!(matches!(with(&sh("cat"), SOON, &large).await, Err(PdfError::TooLarge)));
    }

    #[tokio::test]
    async fn a_renderer_sees_nothing_of_the_servers_environment_and_its_document_whole() {
        let script = "printf %%PDF-; env | grep -c CARGO; cat";
        let given = with(&["/bin/sh", "-c", script], SOON, "dokumen").await.unwrap();
        assert_eq!(String::from_utf8(given).unwrap(), "%PDF-0\ndokumen");
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_refused_at_once() {
        let turns = PdfTurns::default();
        let all = turns.waiting.acquire_many(u32::try_from(WAITING).unwrap()).await.unwrap();
        let config = Reports { pdf_renderer: vec!["/bin/cat".to_owned()], pdf_timeout: SOON };
        let refused = render_with(&turns, &config, "x").await;
        assert!(matches!(refused, Err(PdfError::Busy)));
        drop(all);
        assert!(matches!(render_with(&turns, &config, "%PDF-1").await, Ok(pdf) if pdf == b"%PDF-1"));
    }
}
