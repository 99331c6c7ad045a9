//! Witnesses behind HTTP.

use std::{fmt, io, str::FromStr};

use http_body_util::Full;
use hyper::{Request, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::PATIENCE;

/// A server that takes checkpoints by POST, and answers 2xx for each that it keeps.
///
/// Without TLS: checkpoints are no secret, and nobody on the way can change them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    url: Uri,
    address: String,
}

impl FromStr for Http {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Uri = text.parse().map_err(|_| EXPECTED)?;
        let host = url.host().filter(|_| url.scheme_str() == Some("http"));
        let address = format!("{}:{}", host.ok_or(EXPECTED)?, url.port_u16().unwrap_or(80));
        if url.authority().is_some_and(|at| at.as_str().contains('@')) {
            return Err("expected no user or password: a checkpoint is no secret");
        }
        Ok(Self { url, address })
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Http {
    pub(super) fn hand(&self, note: &str) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let late = |_| io::Error::from(io::ErrorKind::TimedOut);
            timeout(PATIENCE, self.post(note)).await.map_err(late)?
        })
    }

    async fn post(&self, note: &str) -> io::Result<()> {
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(connection);
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header(
                header::HOST,
                self.url.authority().map_or("", |at| at.as_str()),
            )
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(header::USER_AGENT, "sqlward")
            .body(Full::new(Bytes::copy_from_slice(note.as_bytes())))
            .map_err(io::Error::other)?;
        let response = sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let status = response.status();
        // What it says beside is of no interest, and may be endless.
        driver.abort();
        if status.is_success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("it answered {status}")))
        }
    }
}

const EXPECTED: &str = "expected http://HOST[:PORT]/PATH";
