//! How sessions end: who is told what, and that no tag is left without an outcome.

use crate::error::{Error, Misbehaviour, Unsupported};
use crate::mysql::errcode;
use crate::mysql::packet;
use crate::mysql::refuse::{self, Encoding};
use crate::mysql::response::{Kind, Way};
use crate::mysql::session::Session;
use crate::mysql::state::{Phase, Rest};
use crate::session::{Action, CloseReason, Completion, Fatal, Leg};
use crate::sqlstate::ErrorCode;

/// COM_QUIT.
const QUIT: [u8; 5] = [1, 0, 0, 0, 1];

impl<P, T: Clone> Session<P, T> {
    /// Ends the session for a violation, a limit or a requirement.
    pub(in crate::mysql) fn violated(&mut self, error: Error) {
        let (code, message) = client_error(error);
        self.close(
            CloseReason::Violation(error),
            Some(&Fatal { code, message }),
        );
    }

    /// Ends the session at the caller's wish.
    pub(super) fn abort(&mut self, fatal: Fatal) {
        let code = errcode::with_number(fatal.code);
        // the caller knows the reason by the code that it gave
        self.close(
            CloseReason::Aborted(fatal.code),
            Some(&Fatal { code, ..fatal }),
        );
    }

    /// Ends the session as soon as the message that the server is sending is through.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if self.server_rest.is_some() {
            self.ending = Some(reason);
        } else {
            self.close(reason, None);
        }
    }

    pub(super) fn server_closed(&mut self) {
        let told = match self.phase {
            Phase::ExpectGreeting
            | Phase::ExpectLogin
            | Phase::ExpectLoginVerdict
            | Phase::ExpectServerTls => Some(Fatal {
                code: errcode::SERVER_LOST,
                message: "the server closed the connection".into(),
            }),
            Phase::ExpectServer
            | Phase::ExpectClientTls
            | Phase::ExpectAuthentication
            | Phase::ExpectCommand
            | Phase::Closed => None,
        };
        self.close(CloseReason::ServerClosed, told.as_ref());
    }

    /// Ends the session now; `fatal` is for the client.
    pub(in crate::mysql) fn close(&mut self, reason: CloseReason, fatal: Option<&Fatal>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.client.drop_unjudged();
        self.server.drop_unjudged();
        if let Some(fatal) = fatal {
            let error = refuse::fatal(fatal, self.encoding());
            let blames_client = matches!(
                reason,
                CloseReason::Violation(
                    Error::InvalidMessage(_)
                        | Error::PeerMisbehaved {
                            peer: Leg::Client,
                            ..
                        }
                )
            );
            if self.phase == Phase::ExpectCommand && !blames_client && !self.client_waits() {
                self.numbers.client = 0; // it comes unasked
            }
            self.tell_client(&error);
        }
        if self.says_goodbye(&reason) {
            self.client.inject(&QUIT);
        }
        self.startup_ended(Completion::Lost, None);
        if let Some(refused) = self.refused.take()
            && let Some(judged) = refused.judged
        {
            self.out
                .ended(judged, Completion::Refused, Some(refused.code));
        }
        if self.current.is_some() {
            self.report(Completion::Lost);
        }
        self.front = None;
        // what the caller has not seen yet is not held any more
        self.out
            .actions
            .retain(|action| !matches!(action, Action::Inspect));
        self.own.clear();
        self.files.clear();
        self.phase = Phase::Closed;
        self.out.push(Action::Close(reason));
    }

    /// Gives the login's tag its outcome, unless it has it.
    pub(super) fn startup_ended(&mut self, completion: Completion, error: Option<ErrorCode>) {
        if let Some(judged) = self.startup.take() {
            self.out.ended(judged, completion, error);
        }
    }

    /// Sends the client an ERR packet of our own, unless that would tear a message of the server's, or a handshake.
    pub(super) fn tell_client(&mut self, error: &[u8]) {
        let torn = matches!(self.server_rest, Some(Rest { way: Way::Pass, .. }));
        if torn || self.phase == Phase::ExpectClientTls {
            return;
        }
        let (bytes, next) = packet::frame(error, self.numbers.client);
        self.numbers.client = next;
        self.server.inject(&bytes);
    }

    /// What the client reads text in.
    pub(super) fn encoding(&self) -> Encoding {
        let utf8 = match self.parameter(b"character_set_results") {
            Some(name) => name.starts_with(b"utf8"),
            None => matches!(
                self.agreement.collation,
                33 | 45 | 46 | 76 | 83 | 192..=247 | 255
            ),
        };
        if utf8 {
            Encoding::Utf8
        } else {
            Encoding::Other
        }
    }

    fn says_goodbye(&self, reason: &CloseReason) -> bool {
        let owed = match reason {
            CloseReason::Refused | CloseReason::Aborted(_) | CloseReason::Violation(_) => true,
            CloseReason::ClientTerminated
            | CloseReason::ClientClosed
            | CloseReason::ServerClosed
            | CloseReason::ServerFatal(_)
            | CloseReason::CancelRequest => false,
        };
        let torn = matches!(self.client_rest, Some(Rest { way: Way::Pass, .. }));
        owed && self.phase == Phase::ExpectCommand && self.current.is_none() && !torn
    }

    /// Tells whether the client has sent a command, or a part of one, and waits for its answer.
    pub(super) fn client_waits(&self) -> bool {
        let busy =
            matches!(&self.current, Some(current) if matches!(current.kind, Kind::Client(_)));
        busy || self.refused.is_some() || self.front.is_some() || self.client_rest.is_some()
    }

    /// Gives the command at the server its outcome.
    pub(super) fn report(&mut self, completion: Completion) {
        let Some(current) = self.current.take() else {
            return;
        };
        if current.kind == Kind::Ask && completion != Completion::Lost {
            let told = current.collected.told(current.answer.error);
            self.out.push(Action::Answered(told));
            return;
        }
        let Some(tag) = current.tag else {
            return;
        };
        let answer = current.answer;
        let told = matches!(completion, Completion::Done | Completion::Prepared);
        self.out.push(Action::Outcome(crate::session::Outcome {
            tag,
            completion,
            rows: answer.rows,
            affected: answer.affected,
            warnings: answer.warnings,
            results: answer.results,
            bytes: answer.bytes,
            request_bytes: current.request,
            error: answer.error,
            first_byte: answer.first_byte,
            ended: self.out.now,
            tx: self.tx_status().filter(|_| told),
        }));
    }
}

/// What the client is told about an error.
fn client_error(error: Error) -> (ErrorCode, String) {
    match error {
        Error::PeerMisbehaved {
            peer: Leg::Client,
            what: Misbehaviour::Sequence,
        } => (errcode::OUT_OF_ORDER, error.to_string()),
        Error::PeerMisbehaved {
            peer: Leg::Server, ..
        } => (errcode::SERVER_LOST, error.to_string()),
        Error::PeerMisbehaved {
            peer: Leg::Client,
            what: Misbehaviour::Capabilities,
        } => (errcode::HANDSHAKE, error.to_string()),
        Error::InvalidMessage(crate::error::InvalidMessage::Login) => {
            (errcode::HANDSHAKE, error.to_string())
        }
        Error::InvalidMessage(_) | Error::PeerMisbehaved { .. } => {
            (errcode::MALFORMED, error.to_string())
        }
        Error::TooLarge { .. } => (errcode::TOO_LARGE, error.to_string()),
        Error::Event => (errcode::UNKNOWN, error.to_string()),
        Error::Unsupported(what) => match what {
            Unsupported::ClientWithoutTls => (
                errcode::TLS_REQUIRED,
                "sqlward requires TLS on this listener: connect with ssl-mode=REQUIRED or stricter".into(),
            ),
            Unsupported::ServerWithoutTls => (
                errcode::UNREACHABLE,
                "sqlward requires TLS to the server, which does not offer it".into(),
            ),
            Unsupported::MixedTls => (
                errcode::HANDSHAKE,
                "this authentication sends the password in another form over TLS than without: use TLS both to \
                 sqlward and from sqlward to the server, or on neither side"
                    .into(),
            ),
            Unsupported::OldHandshake
            | Unsupported::Protocol(..)
            | Unsupported::ClientTlsDisabled
            | Unsupported::OnlyChannelBinding
            | Unsupported::ChannelBindingExpected
            | Unsupported::NonAsciiName => (errcode::HANDSHAKE, error.to_string()),
        },
    }
}
