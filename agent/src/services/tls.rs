//! TLS for probes: the connection, and until when the certificates of the other side are valid. The dates are noted
//! before the certificates are judged, so that one that has run out is still told.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::der;

/// Largest file of certificates, in bytes.
const MAX_CA_BYTES: u64 = 1024 * 1024;

/// What is known of the other side's certificates.
#[derive(Debug, Default)]
pub(super) struct Seen {
    expiry: Mutex<Option<i64>>,
    version: OnceLock<&'static str>,
}

impl Seen {
    /// When the first of them runs out, Unix seconds.
    pub(super) fn earliest_expiry(&self) -> Option<i64> {
        *self.expiry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Version of TLS that both sides agreed on.
    pub(super) fn version(&self) -> Option<&'static str> {
        self.version.get().copied()
    }
}

/// Begins TLS on a connection. What was seen stays in `seen`, also when it fails.
pub(super) async fn begin(
    stream: TcpStream,
    host: &str,
    ca_file: Option<&Path>,
    seen: &Arc<Seen>,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|e| e.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = match ca_file {
        Some(path) => from_file(path, &provider)?,
        None => system(&provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| crate::error_chain(&e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Noting { inner, seen: Arc::clone(seen) }))
        .with_no_client_auth();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.map_err(|e| crate::error_chain(&e))?;
    if let Some(version) = stream.get_ref().1.protocol_version() {
        let name = if version == ProtocolVersion::TLSv1_3 { "TLS 1.3" } else { "TLS 1.2" };
        // After a redirect, that of the first connection.
        let _ = seen.version.set(name);
    }
    Ok(stream)
}

/// The system's certificates, read once.
fn system(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    static SYSTEM: OnceLock<Result<Arc<rustls_platform_verifier::Verifier>, String>> = OnceLock::new();
    let made = SYSTEM.get_or_init(|| {
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(provider));
        verifier.map(Arc::new).map_err(|e| crate::error_chain(&e))
    });
    Ok(Arc::clone(made.as_ref().map_err(Clone::clone)?) as Arc<dyn ServerCertVerifier>)
}

fn from_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    use rustls::pki_types::pem::PemObject;
    let failed = |reason: String| format!("{}: {reason}", path.display());
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_CA_BYTES {
        return Err(failed(format!("larger than {MAX_CA_BYTES} bytes")));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))? {
        let certificate = certificate.map_err(|e| failed(e.to_string()))?;
        roots.add(certificate).map_err(|e| failed(e.to_string()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    Ok(verifier.map_err(|e| failed(e.to_string()))? as Arc<dyn ServerCertVerifier>)
}

/// Notes the dates, and lets another one judge.
#[derive(Debug)]
struct Noting {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let dates = std::iter::once(end_entity).chain(intermediates).filter_map(|c| der::not_after(c));
        *self.seen.expiry.lock().unwrap_or_else(PoisonError::into_inner) = dates.min();
        self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
