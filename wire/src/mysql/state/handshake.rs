//! From the connection to the server to the end of the first authentication; and COM_CHANGE_USER's.

use crate::error::{Error, InvalidMessage, Limit, Misbehaviour, Unsupported};
use crate::mysql::auth::{Auth, Said};
use crate::mysql::capabilities::Capabilities;
use crate::mysql::command::Command;
use crate::mysql::login::{self, FRONT};
use crate::mysql::ok;
use crate::mysql::packet::{self, HEADER, Packet};
use crate::mysql::response::Way;
use crate::mysql::session::Session;
use crate::mysql::settings::{ClientTls, ServerTls};
use crate::mysql::state::{Awaits, Front, Hook, Phase, Size, Step};
use crate::session::{Action, CloseReason, Completion, Event, Leg, Negotiation};

/// The longest packet of a handshake.
const MAX_PACKET: usize = 256 * 1024;

/// The longest version of a server that is kept.
const MAX_VERSION: usize = 256;

impl<P, T: Clone> Session<P, T> {
    pub(in crate::mysql) fn take(&mut self, event: Event<P, T>) -> Result<(), Error> {
        match event {
            Event::ClientBytes(n) => {
                self.client.filled(n);
                self.client_bytes()
            }
            Event::ServerBytes(n) => {
                self.server.filled(n);
                self.server_bytes()
            }
            Event::ServerConnected => match self.phase {
                Phase::ExpectServer => {
                    self.phase = Phase::ExpectGreeting;
                    Ok(())
                }
                _ => Err(Error::Event),
            },
            Event::TlsUp(Leg::Client) => match self.phase {
                Phase::ExpectClientTls => {
                    self.legs.client = true;
                    self.phase = Phase::ExpectLogin;
                    self.read_login()
                }
                _ => Err(Error::Event),
            },
            Event::TlsUp(Leg::Server) => match self.phase {
                Phase::ExpectServerTls => {
                    self.legs.server = true;
                    self.send_login()
                }
                _ => Err(Error::Event),
            },
            Event::Verdict(verdict) => self.judged(verdict),
            Event::ClientClosed => {
                self.close(CloseReason::ClientClosed, None);
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
            Phase::ExpectLogin => self.read_login(),
            Phase::ExpectClientTls if !self.client.unjudged().is_empty() => {
                Err(client(Misbehaviour::PlaintextBehindTls))
            }
            Phase::ExpectAuthentication => {
                while self.phase == Phase::ExpectAuthentication
                    && self.read_authentication()? == Step::Continue
                {}
                Ok(())
            }
            Phase::ExpectCommand => self.read_commands(),
            // no client speaks before the greeting
            Phase::ExpectServer | Phase::ExpectGreeting => Err(client(Misbehaviour::Sequence)),
            Phase::ExpectClientTls
            | Phase::ExpectLoginVerdict
            | Phase::ExpectServerTls
            | Phase::Closed => Ok(()),
        }
    }

    fn server_bytes(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::ExpectServerTls if !self.server.unjudged().is_empty() => {
                Err(server(Misbehaviour::PlaintextBehindTls))
            }
            // what it says meanwhile waits until the client can hear it
            Phase::ExpectClientTls | Phase::ExpectServerTls | Phase::Closed => Ok(()),
            Phase::ExpectGreeting
            | Phase::ExpectLogin
            | Phase::ExpectLoginVerdict
            | Phase::ExpectAuthentication
            | Phase::ExpectCommand => self.read_answers(),
            Phase::ExpectServer => Err(Error::Event),
        }
    }

    /// Takes the greeting, which goes on to the client with the flags that are offered.
    pub(super) fn greet(&mut self, packet: Packet) -> Result<Step, Error> {
        if !self.has_whole(packet, MAX_PACKET)? {
            return Ok(Step::Stop);
        }
        let payload = packet.payload(self.server.unjudged());
        if payload.first() == Some(&0xff) {
            return self.refused_by_server(packet);
        }
        if packet.seq != 0 {
            return Err(server(Misbehaviour::Sequence));
        }
        let greeting =
            login::greeting(payload).map_err(|_| Error::Unsupported(Unsupported::OldHandshake))?;
        let has_tls = greeting.capabilities.has(Capabilities::SSL);
        if self.settings.server_tls == ServerTls::Require && !has_tls {
            return Err(Error::Unsupported(Unsupported::ServerWithoutTls));
        }
        let offer = match self.settings.client_tls {
            ClientTls::Disable => greeting.capabilities.offer(),
            ClientTls::Prefer | ClientTls::Require => {
                greeting.capabilities.offer().with(Capabilities::SSL)
            }
        };
        let version = greeting.version;
        self.agreement.version = version.get(..MAX_VERSION).unwrap_or(version).to_vec();
        self.agreement.server = greeting.capabilities;
        self.agreement.offer = offer;
        let at = HEADER.saturating_add(greeting.at);
        let thread = greeting.thread;
        let [a, b, c, d] = offer.low().to_le_bytes();
        self.server.overwrite(at, &[a, b]);
        self.server.overwrite(at.saturating_add(5), &[c, d]);
        if !greeting_is_mysql(self.agreement.server) {
            self.server
                .overwrite(at.saturating_add(14), &offer.high().to_le_bytes());
        }
        self.numbers.server = 0;
        self.move_answer(packet, Way::Pass);
        self.out.push(Action::Thread(thread));
        self.phase = Phase::ExpectLogin;
        Ok(Step::Continue)
    }

    fn read_login(&mut self) -> Result<(), Error> {
        let bytes = self.client.unjudged();
        let Some(packet) = packet::peek(bytes) else {
            return Ok(());
        };
        if packet.seq != self.numbers.client {
            return Err(client(Misbehaviour::Sequence));
        }
        if packet.length > MAX_PACKET {
            return Err(crate::mysql::auth::too_long());
        }
        if bytes.len() < packet.total() {
            self.client.need(packet.total());
            return Ok(());
        }
        self.numbers.client = self.numbers.client.wrapping_add(1);
        let payload = packet.payload(bytes);
        let Some(front) = login::front(payload) else {
            return Err(Error::Unsupported(Unsupported::OldHandshake));
        };
        if !front.capabilities.may_follow(self.agreement.offer) {
            return Err(client(Misbehaviour::Capabilities));
        }
        let asks_tls = front.capabilities.has(Capabilities::SSL);
        if asks_tls && !self.legs.client {
            if packet.length != FRONT {
                return Err(InvalidMessage::Login.into());
            }
            // clients don't wait: what follows is the beginning of the handshake
            self.client.swallow(packet.total());
            self.phase = Phase::ExpectClientTls;
            self.out.push(Action::StartTls {
                leg: Leg::Client,
                negotiation: Negotiation::Requested,
            });
            return Ok(());
        }
        if self.settings.client_tls == ClientTls::Require && !self.legs.client {
            return Err(Error::Unsupported(Unsupported::ClientWithoutTls));
        }
        let agreed = front.capabilities.and(self.agreement.offer);
        login::login(payload, agreed).map_err(|_| InvalidMessage::Login)?;
        self.agree(agreed, front);
        self.front = Some(Front {
            // a login of the kind that COM_CHANGE_USER is, too
            command: Command::ChangeUser,
            total: packet.total(),
            packets: 1,
            awaits: Awaits::Notice,
            size: Size::Fits,
        });
        self.phase = Phase::ExpectLoginVerdict;
        self.out.push(Action::Inspect);
        Ok(())
    }

    fn agree(&mut self, agreed: Capabilities, front: login::Front) {
        let tracking = self.agreement.server.and(Capabilities::SESSION_TRACK);
        self.agreement.client = agreed;
        self.agreement.both = agreed.with(tracking);
        self.agreement.collation = front.collation.into();
        self.agreement.multi_statements = agreed.has(Capabilities::MULTI_STATEMENTS);
    }

    /// The login may go to the server: over TLS, if that is how.
    pub(super) fn login_permitted(&mut self) -> Result<(), Error> {
        let offered = self.agreement.server.has(Capabilities::SSL);
        let tls = match self.settings.server_tls {
            ServerTls::Disable => false,
            ServerTls::Prefer => self.legs.client && offered,
            ServerTls::Require => true,
        };
        self.rewrite_login(tls);
        self.numbers.server = 1;
        if !tls {
            return self.send_login();
        }
        let bytes = self.client.unjudged();
        let front = bytes
            .get(HEADER..HEADER.saturating_add(FRONT))
            .unwrap_or_default();
        let (request, next) = packet::frame(front, self.numbers.server);
        self.numbers.server = next;
        self.client.inject(&request);
        self.phase = Phase::ExpectServerTls;
        self.out.push(Action::StartTls {
            leg: Leg::Server,
            negotiation: Negotiation::Requested,
        });
        Ok(())
    }

    /// Puts the flags that the server's leg follows into the login.
    fn rewrite_login(&mut self, tls: bool) {
        let payload = self.client.unjudged().get(HEADER..).unwrap_or_default();
        let Some(front) = login::front(payload) else {
            return;
        };
        // this flag tells what the client is, whatever the server says
        let mysql = front.capabilities.and(Capabilities::LONG_PASSWORD);
        let mut flags = self.agreement.both.with(mysql).without(Capabilities::SSL);
        if tls {
            flags = flags.with(Capabilities::SSL);
        }
        self.client.overwrite(HEADER, &flags.low().to_le_bytes());
        if !greeting_is_mysql(front.capabilities) {
            let at = HEADER.saturating_add(FRONT - 4);
            self.client.overwrite(at, &flags.high().to_le_bytes());
        }
    }

    fn send_login(&mut self) -> Result<(), Error> {
        let Some(front) = self.front.take() else {
            return Err(Error::Event);
        };
        let payload = self.client.unjudged().get(HEADER..front.total);
        let read = login::login(payload.unwrap_or_default(), self.agreement.client)
            .map_err(|_| InvalidMessage::Login)?;
        self.auth = Auth::begin(read.login.plugin, read.answer, self.legs)?;
        self.client.overwrite(3, &[self.numbers.server]);
        self.numbers.server = self.numbers.server.wrapping_add(1);
        self.client.pass(front.total);
        self.phase = Phase::ExpectAuthentication;
        Ok(())
    }

    /// Lets the client answer what the server asked, and nothing else.
    pub(super) fn read_authentication(&mut self) -> Result<Step, Error> {
        if !self.auth.is_asked() {
            return Ok(Step::Stop);
        }
        let bytes = self.client.unjudged();
        let Some(packet) = packet::peek(bytes) else {
            return Ok(Step::Stop);
        };
        if packet.seq != self.numbers.client {
            return Err(client(Misbehaviour::Sequence));
        }
        if packet.length > MAX_PACKET {
            return Err(crate::mysql::auth::too_long());
        }
        if bytes.len() < packet.total() {
            self.client.need(packet.total());
            return Ok(Step::Stop);
        }
        self.numbers.client = self.numbers.client.wrapping_add(1);
        self.auth.client(packet.payload(bytes), self.legs)?;
        self.client.overwrite(3, &[self.numbers.server]);
        self.numbers.server = self.numbers.server.wrapping_add(1);
        self.client.pass(packet.total());
        Ok(Step::Continue)
    }

    /// Takes a packet of the server's in an authentication: the login's, or COM_CHANGE_USER's.
    pub(super) fn authentication(&mut self, packet: Packet) -> Result<Step, Error> {
        if !self.has_whole(packet, MAX_PACKET)? {
            return Ok(Step::Stop);
        }
        let payload = packet.payload(self.server.unjudged());
        if packet.seq != self.numbers.server && payload.first() != Some(&0xff) {
            return Err(server(Misbehaviour::Sequence));
        }
        let said = self.auth.server(payload, self.legs)?;
        match (said, self.phase) {
            (Said::More, _) => self.move_answer(packet, Way::Pass),
            (Said::Failed(code), Phase::ExpectAuthentication) => {
                self.out.push(Action::AuthFailed { code });
                return self.refused_by_server(packet);
            }
            (Said::Failed(code), _) => self.answer_failed(packet, code),
            (Said::Accepted, phase) => {
                let payload = payload.to_vec();
                let done = ok::ok(&payload, self.agreement.both)
                    .map_err(|_| server(Misbehaviour::Layout(0)))?;
                self.variables.clear();
                self.take_status(&done)?;
                self.pass_done(packet, &done);
                let method = self.auth.method();
                self.out.push(Action::Authenticated { method });
                if phase == Phase::ExpectAuthentication {
                    self.phase = Phase::ExpectCommand;
                    self.startup_ended(Completion::Done, None);
                    self.out.push(Action::Established);
                    self.hook = Hook::Told;
                } else {
                    self.complete(Completion::Done)?;
                }
            }
        }
        // the client may have spoken before it was asked
        if self.phase == Phase::ExpectAuthentication {
            self.client_bytes()?;
        }
        Ok(Step::Continue)
    }

    /// Passes an error that ends the session.
    pub(super) fn refused_by_server(&mut self, packet: Packet) -> Result<Step, Error> {
        let wanted = packet.total().min(HEADER.saturating_add(ok::ERROR_PREFIX));
        let Some(payload) = self.server.unjudged().get(HEADER..wanted) else {
            self.server.need(wanted);
            return Ok(Step::Stop);
        };
        let code = ok::error(payload).map_err(|_| server(Misbehaviour::Layout(0xff)))?;
        self.startup_ended(Completion::Failed, Some(code));
        self.move_answer(packet, Way::Pass);
        self.end(CloseReason::ServerFatal(code));
        Ok(Step::Continue)
    }

    /// Tells whether a packet that has to be seen whole is there.
    pub(super) fn has_whole(&mut self, packet: Packet, limit: usize) -> Result<bool, Error> {
        if packet.length > limit {
            return Err(Error::TooLarge {
                what: Limit::Answer,
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
            });
        }
        let there = self.server.unjudged().len() >= packet.total();
        if !there {
            self.server.need(packet.total());
        }
        Ok(there)
    }
}

/// Tells whether an end is MySQL's, so that its MariaDB flags mean nothing.
fn greeting_is_mysql(capabilities: Capabilities) -> bool {
    capabilities.has(Capabilities::LONG_PASSWORD)
}

fn client(what: Misbehaviour) -> Error {
    Error::PeerMisbehaved {
        peer: Leg::Client,
        what,
    }
}

pub(super) fn server(what: Misbehaviour) -> Error {
    Error::PeerMisbehaved {
        peer: Leg::Server,
        what,
    }
}
