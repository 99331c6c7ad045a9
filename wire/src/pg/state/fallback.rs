//! Doing without TLS to the server, where it is only preferred and the client can't be let in over it.
//!
//! A client that could bind the TLS channel and was not offered to says so by a flag, which the server
//! takes for the sign of a downgrade if it made that offer. Without TLS it makes none. So its
//! connection is dropped and another one made in plaintext: the client's startup is sent again, and
//! if the server offers what the client was offered, the client's answer goes to it.

use crate::error::{Error, Unsupported};
use crate::pg::backend::Backend;
use crate::pg::session::Session;
use crate::pg::settings::ServerTls;
use crate::pg::state::server::misplaced;
use crate::pg::state::{Phase, Rest};
use crate::session::Action;

/// What it takes to begin again with a server: what it was sent, and what it made the client believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fallback {
    /// The client's startup message.
    startup: Vec<u8>,
    /// The negotiation of the protocol that the client was sent.
    negotiation: Vec<u8>,
    /// The offer that the client was sent.
    offer: Vec<u8>,
}

impl Fallback {
    /// Keeps the offer that the client is sent.
    pub(crate) fn offered(&mut self, message: Vec<u8>) {
        self.offer = message;
    }

    /// Keeps the negotiation that the client is sent; a second one would not be the server's way.
    pub(crate) fn negotiated(&mut self, message: &[u8]) {
        self.negotiation = message.to_vec();
    }
}

impl<P, T: Clone> Session<P, T> {
    /// Keeps the startup, which is at most a packet of 10,000 bytes, if TLS may be done without.
    pub(in crate::pg) fn prepare_fallback(&mut self) {
        let (ServerTls::Prefer, Some(front)) = (self.settings.server_tls, &self.front) else {
            return;
        };
        let startup = self.client.unjudged().get(..front.total);
        self.fallback = startup.map(|startup| {
            Box::new(Fallback {
                startup: startup.to_vec(),
                negotiation: Vec::new(),
                offer: Vec::new(),
            })
        });
    }

    /// Asks for a connection without TLS; the client's answer stays where it is.
    pub(in crate::pg) fn fall_back(&mut self) -> Result<(), Error> {
        if self.fallback.is_none() || self.server_rest != Rest::Nothing {
            return Err(EXPECTED);
        }
        self.settings.server_tls = ServerTls::Disable;
        self.client.drop_unsent();
        self.server.drop_unjudged();
        self.phase = Phase::ExpectServer;
        self.out.push(Action::ReconnectPlain);
        Ok(())
    }

    /// Sends the startup again, before the client's answer.
    pub(in crate::pg) fn begin_again(&mut self) {
        if let Some(fallback) = &self.fallback {
            self.client.inject(&fallback.startup);
            self.phase = Phase::ExpectSameOffer;
        }
    }

    /// Checks that the server says again what the client was told, which therefore isn't told again.
    pub(in crate::pg) fn same_offer(
        &mut self,
        message: Backend,
        total: usize,
    ) -> Result<(), Error> {
        let said = self.server.unjudged().get(..total);
        let Some(fallback) = &mut self.fallback else {
            return Err(Error::Event);
        };
        match message {
            Backend::NegotiateProtocolVersion => {
                let expected = std::mem::take(&mut fallback.negotiation);
                if expected.is_empty() || said != Some(expected.as_slice()) {
                    return Err(EXPECTED);
                }
                self.server.swallow(total);
                Ok(())
            }
            Backend::Authentication => {
                if !fallback.negotiation.is_empty() || said != Some(fallback.offer.as_slice()) {
                    return Err(EXPECTED);
                }
                self.server.swallow(total);
                self.fallback = None;
                self.auth.offered_again();
                self.phase = Phase::ExpectAuthentication;
                self.read_authentication()
            }
            Backend::NoticeResponse => {
                self.pass_answer(total);
                Ok(())
            }
            Backend::ErrorResponse => self.authentication_failed(total),
            other => Err(misplaced(other)),
        }
    }
}

const EXPECTED: Error = Error::Unsupported(Unsupported::ChannelBindingExpected);
