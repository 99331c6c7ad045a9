//! The two legs: TLS with the client, the way to the server, TLS with the server.

use std::{sync::Arc, task::Poll};

use sqlward_wire::{Event, Leg, Negotiation, SqlState};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{
    Session,
    protocol::{Core, Protocol},
    pump::Socket,
};
use crate::{tls::Stream, upstream::ConnectError};

impl<P: Protocol> Session<P> {
    pub(super) async fn encrypt_client(&mut self, negotiation: Negotiation) {
        let Some(material) = self.listener.tls() else {
            return self.abort(SqlState::INVALID_AUTHORIZATION, "TLS is not configured");
        };
        let preamble = P::take_tls_preamble(&mut self.wire);
        // The answer to the request has to be there before the handshake.
        if std::future::poll_fn(|cx| self.client.say(self.wire.server(), cx))
            .await
            .is_err()
        {
            return self.tell(Event::ClientClosed);
        }
        let Some(tcp) = self.take_client() else {
            return self.abort(SqlState::PROTOCOL_VIOLATION, "TLS was already started");
        };
        let handshake =
            TlsAcceptor::from(Arc::clone(&material.config)).accept_with(tcp, |connection| {
                let mut unread = preamble.as_slice();
                // Processed here, since the handshake waits for the socket first. What does not fit or does not parse
                // fails the handshake itself.
                while !unread.is_empty()
                    && matches!(connection.read_tls(&mut unread), Ok(1..))
                    && connection.process_new_packets().is_ok()
                {}
            });
        let limit = self.worker.shared.config.limits.authentication_timeout;
        match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(tls)) => {
                let named = tls.get_ref().1.alpn_protocol() == Some(crate::tls::ALPN);
                self.client = Socket::new(Stream::Tls(Box::new(tls.into())));
                self.shown = Some(material);
                self.record.encrypted(&self.client.stream);
                self.context.subject.tls_identity = self.record.tls_identity().map(String::from);
                if negotiation == Negotiation::Direct && !named {
                    let message = "direct TLS needs the ALPN protocol `postgresql`";
                    return self.abort(SqlState::PROTOCOL_VIOLATION, message);
                }
                self.tell(Event::TlsUp(Leg::Client));
            }
            Ok(Err(error)) => {
                tracing::info!(session = self.id.0, %error, "TLS handshake with a client failed");
                self.tell(Event::ClientClosed);
            }
            Err(_) => self.tell(Event::ClientClosed),
        }
    }

    /// The client's TCP stream, out of the session for the time of a handshake.
    fn take_client(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.client.stream, Stream::Closed) {
            Stream::Plain(tcp) => Some(tcp),
            other => {
                self.client.stream = other;
                None
            }
        }
    }

    pub(super) async fn connect(&mut self) {
        let limit = self.worker.shared.config.limits.connect_timeout;
        match self.listener.upstream.dial(limit).await {
            Ok(tcp) => {
                self.server = Some(Socket::new(Stream::Plain(tcp)));
                self.tick();
                self.tell(Event::ServerConnected);
            }
            Err(error) => self.unreachable(&error),
        }
    }

    /// Leaves the encrypted connection for one in plaintext, over which the client can be authenticated.
    pub(super) async fn reconnect_plain(&mut self) {
        if let Some(mut server) = self.server.take() {
            // A courtesy to the server's log: whether it could be said does not matter.
            let _said =
                std::future::poll_fn(|cx| Poll::Ready(server.stream.poll_shutdown(cx))).await;
        }
        let metrics = &self.worker.shared.metrics;
        metrics.upstream_plaintext_fallbacks_total.inc();
        let upstream = &*self.listener.upstream.config.name;
        tracing::info!(
            session = self.id.0,
            upstream,
            "no TLS to the upstream: the client expects channel binding, which can't be passed on"
        );
        self.connect().await;
    }

    pub(super) async fn encrypt_server(&mut self) {
        // The request has to be there before the handshake.
        if let Some(server) = &mut self.server
            && std::future::poll_fn(|cx| server.say(self.wire.client(), cx))
                .await
                .is_err()
        {
            return self.tell(Event::ServerClosed);
        }
        let Some(Stream::Plain(tcp)) = self.server.take().map(|socket| socket.stream) else {
            return self.abort(
                SqlState::CONNECTION_FAILURE,
                "the server's TLS was already up",
            );
        };
        let limit = self.worker.shared.config.limits.connect_timeout;
        match tokio::time::timeout(limit, self.listener.upstream.encrypt(tcp)).await {
            Ok(Ok(stream)) => {
                P::server_encrypted(self, &stream);
                self.server = Some(Socket::new(stream));
                self.tell(Event::TlsUp(Leg::Server));
            }
            Ok(Err(error)) => self.unreachable(&error),
            Err(_) => self.unreachable(&ConnectError::Timeout),
        }
    }

    fn unreachable(&mut self, error: &ConnectError) {
        self.worker.shared.metrics.upstream_failures_total.inc();
        let upstream = &self.listener.upstream.config;
        let name = &upstream.name;
        tracing::warn!(session = self.id.0, upstream = &**name, address = &*upstream.address, %error, "upstream unreachable");
        let message = format!("sqlward can't reach the server `{name}`: {error}");
        self.abort(SqlState::CONNECTION_FAILURE, message);
    }
}
