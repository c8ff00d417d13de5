//! Delivers the outbox to the relay: at least once, each message with an identity that stays the same, so that a reader's
//! program knows a second copy. What the relay does not take waits longer each time and is given up after
//! `[mail] give_up_after`; that is told in the log and in the outbox.

use std::time::Duration;

use anyhow::Context as _;
use lettre::message::header::ContentType;
use lettre::message::{Attachment as Attached, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Letter, Tokio1Executor};

use crate::app::App;
use crate::config::{Mail, MailTls};
use crate::records::mail_outbox::{self, Waiting};
use crate::time::{DAY_MS, Millis, millis, now_ms};

/// Messages of one run; further ones wait for the next.
const BATCH: u32 = 20;
/// Longest time of one exchange with the relay.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait before the next attempt.
const LONGEST_WAIT_MS: Millis = 6 * 3_600_000;
/// How long ended messages stay listed.
const LISTED_FOR_MS: Millis = 90 * DAY_MS;

/// Delivers what is due.
///
/// # Errors
/// If the records fail, or the relay cannot be set up; the messages stay.
pub(super) async fn run(app: &App) -> anyhow::Result<()> {
    let config = app.config.current();
    let mail = &config.mail;
    let now = now_ms();
    let due = app
        .records
        .run(move |db| {
            mail_outbox::prune(db, now - LISTED_FOR_MS)?;
            mail_outbox::due(db, now, BATCH)
        })
        .await?;
    if due.is_empty() || !mail.is_on() {
        return Ok(());
    }
    let relay = relay(mail).await;
    for one in due {
        if app.is_stopping() {
            break;
        }
        let outcome = match &relay {
            Ok(relay) => deliver(relay, mail, &one).await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        note(app, mail, one, outcome).await?;
    }
    Ok(())
}

/// Writes down what came of an attempt.
async fn note(app: &App, mail: &Mail, one: Waiting, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    let now = now_ms();
    let (id, give_up) = (one.id, millis(mail.give_up_after));
    match outcome {
        Ok(()) => {
            tracing::info!(mail.id = id, mail.attempts = one.attempts + 1, "mail delivered to the relay");
            app.records.run(move |db| mail_outbox::end(db, id, now, None)).await?;
        }
        Err(error) => {
            let error = format!("{error:#}");
            let next = now + wait_ms(millis(mail.retry_after), one.attempts);
            if next - one.queued_at_ms > give_up {
                tracing::error!(mail.id = id, error, "mail is given up");
                app.records.run(move |db| mail_outbox::end(db, id, now, Some(&error))).await?;
            } else {
                tracing::warn!(mail.id = id, error, "mail waits for another attempt");
                app.records.run(move |db| mail_outbox::put_off(db, id, next, &error)).await?;
            }
        }
    }
    Ok(())
}

/// Time before the next attempt, after so many that failed before this one.
fn wait_ms(first_ms: Millis, failed_before: u32) -> Millis {
    first_ms.max(1).saturating_mul(1 << failed_before.min(20)).min(LONGEST_WAIT_MS)
}

async fn relay(mail: &Mail) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let domain = mail.from.mailbox().email.domain().to_owned();
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(mail.server.as_str())
        .port(mail.port)
        .timeout(Some(TIMEOUT))
        .hello_name(ClientId::Domain(domain));
    builder = match mail.tls {
        MailTls::None => builder.tls(Tls::None),
        MailTls::StartTls => builder.tls(Tls::Required(tls(mail).await?)),
        MailTls::Tls => builder.tls(Tls::Wrapper(tls(mail).await?)),
    };
    if let (Some(user), Some(file)) = (&mail.user, &mail.password_file) {
        let password = tokio::fs::read_to_string(file)
            .await
            .with_context(|| format!("cannot read mail.password_file {}", file.display()))?;
        builder = builder.credentials(Credentials::new(user.clone(), password.trim_end().to_owned()));
    }
    Ok(builder.build())
}

async fn tls(mail: &Mail) -> anyhow::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(mail.server.clone());
    if let Some(file) = &mail.ca_file {
        let pem = tokio::fs::read(file)
            .await
            .with_context(|| format!("cannot read mail.ca_file {}", file.display()))?;
        let certificate = Certificate::from_pem(&pem).context("mail.ca_file holds no certificate")?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().context("cannot set up TLS for mail")
}

async fn deliver(
    relay: &AsyncSmtpTransport<Tokio1Executor>,
    mail: &Mail,
    one: &Waiting,
) -> anyhow::Result<()> {
    relay.send(letter(mail, one)?).await.context("the relay did not take it")?;
    Ok(())
}

fn letter(mail: &Mail, one: &Waiting) -> anyhow::Result<Letter> {
    let from = mail.from.mailbox();
    let message = &one.message;
    // The subject is one line, whatever a name in it holds.
    let subject: String = message.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let builder = Letter::builder()
        .from(from.clone())
        .to(one.recipient.parse().context("the recipient is no address")?)
        .subject(subject)
        .date(std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(one.queued_at_ms).unwrap_or(0)))
        .message_id(Some(format!("<{}.{}@{}>", one.id, one.queued_at_ms, from.email.domain())));
    let text = SinglePart::plain(message.body.clone());
    let Some(attachment) = &message.attachment else { return Ok(builder.singlepart(text)?) };
    let media_type = ContentType::parse(&attachment.media_type).context("the attachment's type is wrong")?;
    let attached = Attached::new(attachment.name.clone()).body(attachment.bytes.clone(), media_type);
    Ok(builder.multipart(MultiPart::mixed().singlepart(text).singlepart(attached))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::mail::{Attachment, Message};

    #[test]
    fn waits_grow_and_stay_bounded() {
        let waits: Vec<Millis> = [0, 1, 2, 8, 9, 40].map(|failed| wait_ms(60_000, failed)).to_vec();
        assert_eq!(waits, [60_000, 120_000, 240_000, 15_360_000, LONGEST_WAIT_MS, LONGEST_WAIT_MS]);
    }

    #[test]
    fn a_letter_has_one_identity_and_no_line_of_a_subject_becomes_a_header() {
        let one = Waiting {
            id: 9,
            recipient: "Ketua <k@example.go.id>".to_owned(),
            message: Message {
                key: "a".to_owned(),
                subject: "Laporan\r\nBcc: x@example.go.id".to_owned(),
                body: "≥ 90 %".to_owned(),
                attachment: Some(Attachment {
                    name: "laporan.pdf".to_owned(),
                    media_type: "application/pdf".to_owned(),
                    bytes: b"%PDF-".to_vec(),
                }),
            },
            attempts: 0,
            queued_at_ms: 1_000,
        };
        let letter = String::from_utf8(letter(&Mail::default(), &one).unwrap().formatted()).unwrap();
        let heads: Vec<&str> = letter.split("\r\n\r\n").next().unwrap().lines().collect();
        assert!(!heads.iter().any(|line| line.starts_with("Bcc")), "{heads:?}");
        assert!(heads.contains(&"Message-ID: <9.1000@localhost>"), "{heads:?}");
        assert!(letter.contains("filename=\"laporan.pdf\""), "{letter}");
    }
}
