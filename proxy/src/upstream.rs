//! The way to a database server: TCP, and TLS where the session's protocol core asks for it.

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    config,
    config::TlsMode,
    tls::{ALPN, Stream, TlsError},
};

/// SSLRequest (PostgreSQL manual, "Message Formats"): length 8, code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Why a server can't be reached.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The network's or the server's answer.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The server has no TLS, and the configuration demands it.
    #[error("the server does not offer TLS, which the configuration requires")]
    NoTls,
    /// The configured name is no server name.
    #[error("`{0}` is no server name")]
    ServerName(String),
}

/// A configured server with its current TLS material.
#[derive(Debug)]
pub struct Upstream {
    /// The configuration.
    pub config: Arc<config::Upstream>,
    tls: ArcSwapOption<ClientConfig>,
}

impl Upstream {
    /// Load the TLS material of `config`.
    ///
    /// # Errors
    /// Files that can't be read or used.
    pub fn new(config: Arc<config::Upstream>) -> Result<Self, TlsError> {
        let upstream = Self {
            config,
            tls: ArcSwapOption::empty(),
        };
        upstream.use_tls(upstream.load_tls()?);
        Ok(upstream)
    }

    /// Read the TLS files.
    ///
    /// # Errors
    /// Files that can't be read or used.
    pub fn load_tls(&self) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        let tls = &self.config.tls;
        // Only a handshake that nothing announces has to say what it is for.
        let alpn = tls.direct.then_some(ALPN);
        match tls.mode {
            TlsMode::Disable => Ok(None),
            TlsMode::Prefer | TlsMode::Require => tls.files.load(tls.verification, alpn).map(Some),
        }
    }

    /// Sessions to come use this.
    pub fn use_tls(&self, config: Option<Arc<ClientConfig>>) {
        self.tls.store(config);
    }

    /// Open a TCP connection.
    ///
    /// Cancel safe: a dropped call leaves nothing behind.
    ///
    /// # Errors
    /// Nobody answers, or not in `timeout`.
    pub async fn dial(&self, timeout: Duration) -> Result<TcpStream, ConnectError> {
        let address: &str = &self.config.address;
        let tcp = tokio::time::timeout(timeout, TcpStream::connect(address))
            .await
            .map_err(|_| ConnectError::Timeout)??;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    /// Encrypt a connection on which the server has agreed to TLS.
    ///
    /// # Errors
    /// The handshake's, a certificate that does not verify among them.
    pub async fn encrypt(&self, tcp: TcpStream) -> Result<Stream, ConnectError> {
        let Some(config) = self.tls.load_full() else {
            return Err(ConnectError::NoTls);
        };
        let name = &self.config.tls.server_name;
        let name = ServerName::try_from(name.clone())
            .map_err(|_| ConnectError::ServerName(name.clone()))?;
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        Ok(Stream::Tls(Box::new(tls.into())))
    }

    /// Deliver a CancelRequest, encrypted as sessions are, and wait until the server has taken it.
    ///
    /// # Errors
    /// The server can't be reached in `timeout`.
    pub async fn cancel(&self, request: &[u8], timeout: Duration) -> Result<(), ConnectError> {
        let delivery = async {
            let mut tcp = self.dial(timeout).await?;
            let mode = self.config.tls.mode;
            let mut encrypted = self.config.tls.direct;
            if mode != TlsMode::Disable && !encrypted {
                tcp.write_all(&SSL_REQUEST).await?;
                let mut answer = [0];
                tcp.read_exact(&mut answer).await?;
                encrypted = answer == *b"S";
                if !encrypted && mode == TlsMode::Require {
                    return Err(ConnectError::NoTls);
                }
            }
            let mut rest = [0; 64];
            if encrypted {
                let Stream::Tls(mut tls) = self.encrypt(tcp).await? else {
                    return Ok(());
                };
                tls.write_all(request).await?;
                tls.flush().await?;
                // The server closes without a word, often without TLS's own farewell.
                let _closed = tls.read(&mut rest).await;
            } else {
                tcp.write_all(request).await?;
                let _closed = tcp.read(&mut rest).await;
            }
            Ok(())
        };
        tokio::time::timeout(timeout, delivery)
            .await
            .map_err(|_| ConnectError::Timeout)?
    }
}
