//! TLS on both legs: rustls configurations from PEM files, and the stream that may or may not be encrypted.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The protocol name that direct TLS must negotiate (PostgreSQL manual, "SSL Session Encryption").
pub const ALPN: &[u8] = b"postgresql";

/// Why TLS material can't be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file can't be read or holds nothing usable.
    #[error("`{path}`: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The pieces don't fit together.
    #[error("tls: {0}")]
    Rustls(#[from] rustls::Error),
    /// Client certificates can't be verified with the given authorities.
    #[error("client certificate authorities: {0}")]
    ClientVerifier(String),
}

/// A listener's TLS material, loaded.
#[derive(Debug)]
pub struct ServerMaterial {
    /// What handshakes with clients use.
    pub config: Arc<ServerConfig>,
    /// The certificate that clients are shown and may bind their authentication to.
    pub leaf: CertificateDer<'static>,
}

/// What a listener shows to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authorities of client certificates, which are then demanded.
    pub client_ca: Option<PathBuf>,
}

impl ServerFiles {
    /// Read the files and build the listener's TLS configuration; `alpn` is the protocol to agree on.
    ///
    /// # Errors
    /// A file that can't be read or used.
    pub fn load(&self, alpn: Option<&[u8]>) -> Result<Arc<ServerMaterial>, TlsError> {
        let chain = certificates(&self.certificate)?;
        let leaf = chain.first().cloned().ok_or_else(|| TlsError::File {
            path: self.certificate.clone(),
            reason: "no certificate found, expected PEM".to_owned(),
        })?;
        let key = private_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots(path)?.into(), provider())
                        .build()
                        .map_err(|error| TlsError::ClientVerifier(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        Ok(Arc::new(ServerMaterial {
            config: Arc::new(config),
            leaf,
        }))
    }
}

/// How far the server's certificate is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Not at all: encryption against listeners only.
    None,
    /// It must come from a trusted authority.
    Authority,
    /// It must also carry the server's name.
    Full,
}

/// What the proxy shows to and expects from an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// Trusted authorities; the web's if absent.
    pub ca: Option<PathBuf>,
    /// Own certificate chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// Read the files and build the upstream's TLS configuration; `alpn` is the protocol to agree on.
    ///
    /// # Errors
    /// A file that can't be read or used.
    pub fn load(
        &self,
        verification: Verification,
        alpn: Option<&[u8]>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let trusted = match &self.ca {
            Some(path) => roots(path)?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match verification {
            Verification::Full => builder.with_root_certificates(trusted),
            Verification::Authority => {
                let inner = WebPkiServerVerifier::builder_with_provider(trusted.into(), provider())
                    .build()
                    .map_err(|error| TlsError::ClientVerifier(error.to_string()))?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Lenient {
                        authority: Some(inner),
                    }))
            }
            Verification::None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Lenient { authority: None })),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                builder.with_client_auth_cert(certificates(chain)?, private_key(key)?)?
            }
        };
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        Ok(Arc::new(config))
    }
}

/// Accepts certificates of any name, and of any origin where no authority is given. The handshake's
/// signatures are verified all the same.
#[derive(Debug)]
struct Lenient {
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName
                | rustls::CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A connection that is, or is not yet, encrypted.
#[derive(Debug)]
pub enum Stream {
    /// Plaintext.
    Plain(TcpStream),
    /// TLS, either side.
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
    /// Lost in a handshake that failed.
    Closed,
}

impl Stream {
    /// The name in the certificate that the peer showed: its subject as RFC 4514 writes it.
    #[must_use]
    pub fn peer_name(&self) -> Option<String> {
        let Self::Tls(tls) = self else { return None };
        let certificate = tls.get_ref().1.peer_certificates()?.first()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some(parsed.subject().to_string())
    }

    /// Whether the peer has shown, and proved to hold the key of, this very certificate.
    #[must_use]
    pub fn peer_is(&self, certificate: &CertificateDer<'_>) -> bool {
        let Self::Tls(tls) = self else { return false };
        let shown = tls.get_ref().1.peer_certificates();
        shown.and_then(<[_]>::first) == Some(certificate)
    }

    /// The TLS version in use, as OpenSSL spells it.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        let Self::Tls(tls) = self else { return None };
        match tls.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
            Some(rustls::ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
            _ => Some("TLS"),
        }
    }

    /// Read into `space`; `Ready(Ok(0))` is the end of the stream.
    ///
    /// # Errors
    /// The connection's.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(space);
        let polled = match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut buffer),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, &mut buffer),
            Self::Closed => Poll::Ready(Ok(())),
        };
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Write some of `bytes`.
    ///
    /// # Errors
    /// The connection's.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Bring what was written onto the wire.
    ///
    /// # Errors
    /// The connection's.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }

    /// End the sending direction, with a close notification where there is TLS.
    ///
    /// # Errors
    /// The connection's.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::File {
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| unusable(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable("no certificate found, expected PEM".to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        reason: format!("{error}, expected a private key in PEM"),
    })
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate)?;
    }
    Ok(store)
}
