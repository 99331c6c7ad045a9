//! From the client's first byte to the server's first ReadyForQuery.

use crate::error::{Error, Misbehaviour, Unsupported};
use crate::pg::auth::Answer;
use crate::pg::encode;
use crate::pg::frame;
use crate::pg::frontend::Frontend;
use crate::pg::held::HeldKind;
use crate::pg::session::Session;
use crate::pg::settings::{ClientTls, ServerTls};
use crate::pg::startup::{self, Startup};
use crate::pg::state::{Awaits, Front, Phase, Reading, Size};
use crate::session::{Action, CancelKey, CloseReason, Event, Fatal, Leg, Negotiation};

impl<P, T: Clone> Session<P, T> {
    pub(in crate::pg) fn take(&mut self, event: Event<P, T>) -> Result<(), Error> {
        match event {
            Event::ClientBytes(n) => {
                self.client.filled(n);
                self.client_bytes()
            }
            Event::ServerBytes(n) => {
                self.server.filled(n);
                self.server_bytes()
            }
            Event::ServerConnected => self.server_connected(),
            Event::TlsUp(Leg::Client) => self.client_tls_up(),
            Event::TlsUp(Leg::Server) => match self.phase {
                Phase::ExpectServerTls => {
                    self.prepare_fallback();
                    self.begin_authentication()
                }
                _ => Err(Error::Event),
            },
            Event::Verdict(verdict) => self.judged(verdict),
            Event::ClientClosed => {
                let reason = match self.phase {
                    Phase::ExpectLastAnswers => CloseReason::ClientTerminated,
                    _ => CloseReason::ClientClosed,
                };
                self.close(reason, None);
                Ok(())
            }
            Event::ServerClosed => {
                self.server_closed();
                Ok(())
            }
            Event::Abort(fatal) => {
                self.abort(fatal);
                Ok(())
            }
        }
    }

    fn client_bytes(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::ExpectStartup => self.read_startup(),
            Phase::ExpectClientTls(Negotiation::Requested)
                if !self.client.unjudged().is_empty() =>
            {
                Err(Error::PeerMisbehaved {
                    peer: Leg::Client,
                    what: Misbehaviour::PlaintextBehindTls,
                })
            }
            Phase::ExpectAuthentication => self.read_authentication(),
            Phase::ExpectCommand => self.read_commands(),
            Phase::ExpectLastAnswers => {
                self.client.drop_unjudged();
                Ok(())
            }
            Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectTlsAnswer
            | Phase::ExpectServerTls
            | Phase::ExpectSameOffer
            | Phase::ExpectFirstReady
            | Phase::Closed => Ok(()),
        }
    }

    fn server_bytes(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::ExpectTlsAnswer => self.read_tls_answer(),
            Phase::ExpectServerTls if !self.server.unjudged().is_empty() => {
                Err(Error::PeerMisbehaved {
                    peer: Leg::Server,
                    what: Misbehaviour::PlaintextBehindTls,
                })
            }
            Phase::ExpectServerTls | Phase::Closed => Ok(()),
            Phase::ExpectAuthentication
            | Phase::ExpectSameOffer
            | Phase::ExpectFirstReady
            | Phase::ExpectCommand
            | Phase::ExpectLastAnswers => self.read_answers(),
            Phase::ExpectStartup
            | Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer => Err(Error::Event),
        }
    }

    fn read_startup(&mut self) -> Result<(), Error> {
        while self.phase == Phase::ExpectStartup {
            let bytes = self.client.unjudged();
            let shake = &mut self.handshake;
            if bytes.first() == Some(&startup::TLS_HANDSHAKE)
                && !(shake.client_is_tls || shake.ssl_asked || shake.gss_asked)
            {
                if self.settings.client_tls == ClientTls::Disable {
                    return Err(Error::Unsupported(Unsupported::ClientTlsDisabled));
                }
                self.start_client_tls(Negotiation::Direct);
                return Ok(());
            }
            let Some(total) = startup::length(bytes)? else {
                return Ok(());
            };
            let Some(packet) = bytes.get(..total) else {
                self.client.need(total);
                return Ok(());
            };
            match startup::packet(packet)? {
                Startup::SslRequest if !(shake.client_is_tls || shake.ssl_asked) => {
                    shake.ssl_asked = true;
                    if bytes.len() > total {
                        return Err(Error::PeerMisbehaved {
                            peer: Leg::Client,
                            what: Misbehaviour::PlaintextBehindTls,
                        });
                    }
                    self.client.swallow(total);
                    if self.settings.client_tls == ClientTls::Disable {
                        self.server.inject(b"N");
                    } else {
                        self.server.inject(b"S");
                        self.start_client_tls(Negotiation::Requested);
                    }
                }
                Startup::GssEncRequest if !(shake.client_is_tls || shake.gss_asked) => {
                    shake.gss_asked = true;
                    self.client.swallow(total);
                    self.server.inject(b"N");
                }
                // as the server does: a second request is an unknown protocol
                Startup::SslRequest => {
                    return Err(Error::Unsupported(Unsupported::Protocol(1234, 5679)));
                }
                Startup::GssEncRequest => {
                    return Err(Error::Unsupported(Unsupported::Protocol(1234, 5680)));
                }
                Startup::CancelRequest { pid, key } => {
                    self.out.push(Action::Cancel {
                        pid,
                        key: CancelKey::new(key),
                    });
                    self.close(CloseReason::CancelRequest, None);
                }
                Startup::Message(_) => {
                    if self.settings.client_tls == ClientTls::Require && !shake.client_is_tls {
                        return Err(Error::Unsupported(Unsupported::ClientWithoutTls));
                    }
                    self.front = Some(Front {
                        kind: HeldKind::Startup,
                        total,
                        awaits: Awaits::Notice,
                        size: Size::Fits,
                        reading: Reading::Plain,
                    });
                    self.phase = Phase::ExpectStartupVerdict;
                    self.out.push(Action::Inspect);
                }
            }
        }
        Ok(())
    }

    fn start_client_tls(&mut self, negotiation: Negotiation) {
        self.phase = Phase::ExpectClientTls(negotiation);
        self.out.push(Action::StartTls {
            leg: Leg::Client,
            negotiation,
        });
    }

    fn client_tls_up(&mut self) -> Result<(), Error> {
        let Phase::ExpectClientTls(_) = self.phase else {
            return Err(Error::Event);
        };
        self.handshake.client_is_tls = true;
        self.phase = Phase::ExpectStartup;
        self.read_startup()
    }

    fn server_connected(&mut self) -> Result<(), Error> {
        if self.phase != Phase::ExpectServer {
            return Err(Error::Event);
        }
        match self.settings.server_tls {
            ServerTls::Disable if self.fallback.is_some() => {
                self.begin_again();
                Ok(())
            }
            ServerTls::Disable => self.begin_authentication(),
            ServerTls::Prefer | ServerTls::Require => {
                self.client.inject(&encode::SSL_REQUEST);
                self.phase = Phase::ExpectTlsAnswer;
                Ok(())
            }
            ServerTls::Direct => {
                self.start_server_tls(Negotiation::Direct);
                Ok(())
            }
        }
    }

    fn start_server_tls(&mut self, negotiation: Negotiation) {
        self.phase = Phase::ExpectServerTls;
        self.out.push(Action::StartTls {
            leg: Leg::Server,
            negotiation,
        });
    }

    fn read_tls_answer(&mut self) -> Result<(), Error> {
        let misbehaved = |what| {
            Err(Error::PeerMisbehaved {
                peer: Leg::Server,
                what,
            })
        };
        match self.server.unjudged() {
            [] => Ok(()),
            [b'S'] => {
                self.server.swallow(1);
                self.start_server_tls(Negotiation::Requested);
                Ok(())
            }
            [b'S' | b'N', ..] if self.server.unjudged().len() > 1 => {
                misbehaved(Misbehaviour::PlaintextBehindTls)
            }
            [b'N', ..] => {
                self.server.swallow(1);
                match self.settings.server_tls {
                    ServerTls::Prefer => self.begin_authentication(),
                    ServerTls::Disable | ServerTls::Require | ServerTls::Direct => {
                        Err(Error::Unsupported(Unsupported::ServerWithoutTls))
                    }
                }
            }
            // what an unauthenticated server says in plaintext is not for the client
            [b'E', ..] => Err(Error::Unsupported(Unsupported::ServerWithoutTls)),
            _ => misbehaved(Misbehaviour::TlsAnswer),
        }
    }

    fn begin_authentication(&mut self) -> Result<(), Error> {
        let Some(front) = self.front.take() else {
            return Err(Error::Event);
        };
        self.client.pass(front.total);
        self.phase = Phase::ExpectAuthentication;
        self.read_authentication()
    }

    /// Lets the client answer what the server asked, and nothing else.
    pub(in crate::pg) fn read_authentication(&mut self) -> Result<(), Error> {
        while self.phase == Phase::ExpectAuthentication {
            let bytes = self.client.unjudged();
            let Some(&tag) = bytes.first() else {
                return Ok(());
            };
            let misbehaved = |what| Error::PeerMisbehaved {
                peer: Leg::Client,
                what,
            };
            let message = match Frontend::from_tag(tag) {
                Some(message @ Frontend::Terminate) => message,
                Some(message @ Frontend::Password) if self.auth.is_asked() => message,
                Some(_) => return Err(misbehaved(Misbehaviour::OutOfPlace(tag))),
                None => return Err(crate::error::InvalidMessage::UnknownTag(tag).into()),
            };
            let Some(frame) = frame::peek(bytes) else {
                return Ok(());
            };
            let total = frame::total(message.check_length(frame.body)?);
            if bytes.len() < total {
                self.client.need(total);
                return Ok(());
            }
            if message == Frontend::Terminate {
                self.client.pass(total);
                self.close(CloseReason::ClientTerminated, None);
                return Ok(());
            }
            match self.auth.response(frame::body(bytes, total))? {
                Answer::Pass => self.client.pass(total),
                Answer::ExpectsBinding => self.fall_back()?,
            }
        }
        Ok(())
    }

    fn server_closed(&mut self) {
        match self.phase {
            Phase::ExpectTlsAnswer | Phase::ExpectServerTls | Phase::ExpectSameOffer => {
                let fatal = Fatal {
                    code: crate::sqlstate::SqlState::CONNECTION_FAILURE.into(),
                    message: "the server closed the connection".into(),
                };
                self.close(CloseReason::ServerClosed, Some((fatal, "")));
            }
            Phase::ExpectLastAnswers => self.close(CloseReason::ClientTerminated, None),
            Phase::ExpectStartup
            | Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectAuthentication
            | Phase::ExpectFirstReady
            | Phase::ExpectCommand
            | Phase::Closed => self.close(CloseReason::ServerClosed, None),
        }
    }
}
