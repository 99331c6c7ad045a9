//! How sessions end: who is told what, and that no tag is left without an outcome.

use crate::error::{Error, Misbehaviour, Unsupported};
use crate::pg::encode;
use crate::pg::refuse::{self, Encoding};
use crate::pg::session::{JudgedStartup, Session};
use crate::pg::state::{Ending, Phase, Rest};
use crate::session::{Action, CloseReason, Completion, Fatal, Leg};
use crate::sqlstate::SqlState;

impl<P, T: Clone> Session<P, T> {
    /// Ends the session for a violation, a limit or a requirement.
    pub(in crate::pg) fn violated(&mut self, error: Error) {
        self.close(CloseReason::Violation(error), client_error(error));
    }

    /// Ends the session at the caller's wish.
    pub(in crate::pg) fn abort(&mut self, fatal: Fatal) {
        self.close(CloseReason::Aborted(fatal.code), Some((fatal, "")));
    }

    /// Ends the session as soon as the message that the server is sending is through.
    pub(in crate::pg) fn end(&mut self, ending: Ending) {
        match (self.server_rest, ending) {
            (Rest::Pass(_) | Rest::Discard(_), ending) => self.ending = Some(ending),
            (Rest::Nothing, Ending::Close(reason)) => self.close(reason, None),
            (Rest::Nothing, Ending::Terminate) => {
                let fatal = Fatal {
                    code: SqlState::ADMIN_SHUTDOWN.into(),
                    message: "terminating connection due to sqlward policy".into(),
                };
                self.close(CloseReason::Refused, Some((fatal, "")));
            }
        }
    }

    /// Ends the session now; `fatal` and its hint are for the client.
    pub(in crate::pg) fn close(&mut self, reason: CloseReason, fatal: Option<(Fatal, &str)>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.client.drop_unjudged();
        self.server.drop_unjudged();
        if let Some((fatal, hint)) = fatal {
            self.tell_client(&refuse::fatal(&fatal, "", hint, self.encoding()));
        }
        if self.says_goodbye(&reason) {
            self.client.inject(&encode::TERMINATE);
        }
        self.front = None;
        self.fallback = None;
        self.startup_ended(Completion::Lost, None);
        self.commands.lose_all(&mut self.out);
        self.phase = Phase::Closed;
        self.out.push(Action::Close(reason));
    }

    /// Gives the startup's tag its outcome, unless it has it.
    pub(in crate::pg) fn startup_ended(&mut self, completion: Completion, error: Option<SqlState>) {
        if let Some(JudgedStartup { tag, request }) = self.startup.take() {
            self.out.ended(tag, completion, request, error);
        }
    }

    /// Sends the client bytes of our own, unless that would tear a message of the server's or a handshake.
    pub(in crate::pg) fn tell_client(&mut self, bytes: &[u8]) {
        match (self.phase, self.server_rest) {
            // the client expects TLS and would read anything else as garbage
            (Phase::ExpectClientTls(_), _) | (_, Rest::Pass(_)) => {}
            (_, Rest::Nothing | Rest::Discard(_)) => self.server.inject(bytes),
        }
    }

    /// What the client reads text in.
    pub(in crate::pg) fn encoding(&self) -> Encoding {
        match self.parameter(b"client_encoding") {
            None | Some(b"UTF8" | b"SQL_ASCII") => Encoding::Utf8,
            Some(_) => Encoding::Other,
        }
    }

    fn says_goodbye(&self, reason: &CloseReason) -> bool {
        let server_listens = match self.phase {
            Phase::ExpectAuthentication
            | Phase::ExpectSameOffer
            | Phase::ExpectFirstReady
            | Phase::ExpectCommand => true,
            Phase::ExpectStartup
            | Phase::ExpectClientTls(_)
            | Phase::ExpectStartupVerdict
            | Phase::ExpectServer
            | Phase::ExpectTlsAnswer
            | Phase::ExpectServerTls
            | Phase::ExpectLastAnswers
            | Phase::Closed => false,
        };
        let owed = match reason {
            CloseReason::Refused | CloseReason::Aborted(_) | CloseReason::Violation(_) => true,
            CloseReason::ClientTerminated
            | CloseReason::ClientClosed
            | CloseReason::ServerClosed
            | CloseReason::ServerFatal(_)
            | CloseReason::CancelRequest => false,
        };
        server_listens && owed && !matches!(self.client_rest, Rest::Pass(_))
    }
}

/// What the client is told about an error, and the hint.
fn client_error(error: Error) -> Option<(Fatal, &'static str)> {
    let (sqlstate, message, hint) = match error {
        Error::InvalidMessage(what) => (SqlState::PROTOCOL_VIOLATION, what.to_string(), ""),
        Error::PeerMisbehaved {
            peer: Leg::Server,
            what: Misbehaviour::TlsAnswer | Misbehaviour::PlaintextBehindTls,
        } => (SqlState::CONNECTION_FAILURE, error.to_string(), ""),
        Error::PeerMisbehaved { .. } => (SqlState::PROTOCOL_VIOLATION, error.to_string(), ""),
        Error::TooLarge { .. } => (SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string(), ""),
        Error::Event => (SqlState::INTERNAL_ERROR, error.to_string(), ""),
        Error::Unsupported(what) => match what {
            Unsupported::Protocol(major, minor) => (
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "unsupported frontend protocol {major}.{minor}: sqlward supports 3.0 to 3.2"
                ),
                "",
            ),
            Unsupported::NonAsciiName => (SqlState::FEATURE_NOT_SUPPORTED, what.to_string(), ""),
            Unsupported::ClientWithoutTls => (
                SqlState::INVALID_AUTHORIZATION,
                "sqlward requires TLS on this listener".into(),
                "Connect with sslmode=require or stricter.",
            ),
            Unsupported::ServerWithoutTls => (
                SqlState::CONNECTION_FAILURE,
                "sqlward requires TLS to the server, which does not offer it".into(),
                "",
            ),
            Unsupported::OnlyChannelBinding => (
                SqlState::INVALID_AUTHORIZATION,
                "the server offers only SCRAM-SHA-256-PLUS, which sqlward can't pass on".into(),
                "give sqlward's listener the server's own certificate",
            ),
            Unsupported::ChannelBindingExpected => (
                SqlState::INVALID_AUTHORIZATION,
                "the client expects channel binding, which sqlward can't pass on".into(),
                "set channel_binding=disable in the client, or give sqlward's listener the server's own certificate",
            ),
            // the client expects TLS and would read anything else as garbage; the others are MySQL's
            Unsupported::ClientTlsDisabled | Unsupported::OldHandshake | Unsupported::MixedTls => {
                return None;
            }
        },
    };
    let code = sqlstate.into();
    Some((Fatal { code, message }, hint))
}
