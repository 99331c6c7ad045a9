//! What a verdict does to the message that waited for it, and refusals of our own.

use crate::error::{Error, InvalidMessage};
use crate::mysql::auth::Auth;
use crate::mysql::command::Command;
use crate::mysql::errcode;
use crate::mysql::held::Held;
use crate::mysql::login;
use crate::mysql::packet::{self, HEADER};
use crate::mysql::refuse;
use crate::mysql::response::{Current, Kind, Way};
use crate::mysql::session::Session;
use crate::mysql::state::client::number_behind;
use crate::mysql::state::own::Own;
use crate::mysql::state::{Front, Hook, Phase, Rest, Size};
use crate::mysql::view::{Types, Unread};
use crate::session::{Action, AfterRefusal, CloseReason, Completion, Refusal, Rejected, Verdict};
use crate::sqlstate::ErrorCode;

/// What the client is told when its refused command is through.
#[derive(Debug)]
pub(crate) struct Refused<T> {
    /// The ERR packet's payload.
    pub(crate) error: Vec<u8>,
    pub(crate) code: ErrorCode,
    /// The tag and the length of the command, if it had a verdict.
    pub(crate) judged: Option<(T, u64)>,
    pub(crate) then: AfterRefusal,
}

impl<P, T: Clone> Session<P, T> {
    pub(super) fn judged(&mut self, verdict: Verdict<P, T>) -> Result<(), Error> {
        let Some(front) = self.front else {
            return Err(Error::Event);
        };
        match (self.phase, verdict) {
            (Phase::ExpectLoginVerdict, Verdict::Forward { permit, tag }) => {
                drop(permit);
                self.startup = Some((tag, length(front.total)));
                return self.login_permitted();
            }
            (Phase::ExpectLoginVerdict, Verdict::Refuse { refusal, tag }) => {
                let code = errcode::with_number(refusal.code);
                self.startup = Some((tag, length(front.total)));
                let error = refuse::refusal(&refusal, self.encoding());
                self.tell_client(&error);
                self.startup_ended(Completion::Refused, Some(code));
                self.close(CloseReason::Refused, None);
                return Ok(());
            }
            (Phase::ExpectCommand, _)
                if self.current.is_some() || !self.own.is_empty() || self.hook != Hook::Idle =>
            {
                return Err(Error::Event);
            }
            (Phase::ExpectCommand, Verdict::Forward { tag, .. })
                if front.size == Size::TooLarge =>
            {
                let refusal = self.too_large(front);
                self.refuse(front, &refusal, tag)?;
            }
            (Phase::ExpectCommand, Verdict::Forward { permit, tag }) => {
                drop(permit);
                self.forward(front, tag)?;
            }
            (Phase::ExpectCommand, Verdict::Refuse { refusal, tag }) => {
                self.files.clear();
                self.refuse(front, &refusal, tag)?;
            }
            (_, _) => return Err(Error::Event),
        }
        self.read_commands()
    }

    fn forward(&mut self, front: Front, tag: T) -> Result<(), Error> {
        let layout = |_: Unread| InvalidMessage::Layout(front.command.number());
        let mut current = Current::new(Kind::Client(front.command), Some(tag), front.total);
        let mut statement = None;
        match self.view().map_err(layout)? {
            Some(Held::Execute {
                statement: id,
                cursor,
                ..
            }) => {
                statement = Some(id);
                current.rows = cursor;
            }
            Some(Held::BulkExecute { statement: id, .. } | Held::Fetch { statement: id, .. }) => {
                statement = Some(id)
            }
            Some(Held::SetOption { option }) => current.option = Some(option),
            Some(Held::ChangeUser(_)) => {
                let body = self.payload(front).get(1..).unwrap_or_default();
                let read = login::change_user(body, self.agreement.client);
                let read = read.map_err(|error| layout(error.into()))?;
                self.auth = Auth::begin(read.login.plugin, read.answer, self.legs)?;
            }
            Some(_) => {}
            None => return Err(Error::Event),
        }
        if front.command != Command::Query {
            self.files.clear();
        }
        let packets = number_behind(front.packets);
        self.numbers = super::Numbers {
            client: packets,
            server: packets,
        };
        if let Some(id) = statement {
            // what was judged is what runs, whatever the server takes −1 for
            self.client
                .overwrite(HEADER.saturating_add(1), &id.to_le_bytes());
            if front.packets > 1
                && let Some(to) = self.joined.get_mut(1..5)
            {
                to.copy_from_slice(&id.to_le_bytes());
            }
            if front.command != Command::Fetch {
                self.forward_execution(front, id).map_err(layout)?;
            }
        }
        if let Some(rest) = self.front.take() {
            self.client.pass(rest.total);
        }
        self.joined = Vec::new();
        self.current = Some(current);
        Ok(())
    }

    /// Makes sure that the server has the types that the client has given.
    fn forward_execution(&mut self, front: Front, id: u32) -> Result<(), Unread> {
        let types = self.learn_types(front)?;
        let Some(statement) = self.statements.find_mut(id) else {
            return Err(Unread::UnknownStatement);
        };
        let settled = std::mem::replace(&mut statement.settled, true) || types == Types::Sent;
        statement.long.clear();
        if settled || statement.types.is_empty() {
            return Ok(());
        }
        let payload = self.with_types(front)?;
        let (bytes, next) = packet::frame(&payload, 0);
        self.numbers.server = next;
        self.client.replace(front.total, &bytes);
        if let Some(front) = &mut self.front {
            front.total = 0;
        }
        Ok(())
    }

    fn refuse(&mut self, front: Front, refusal: &Refusal, tag: T) -> Result<(), Error> {
        let layout = |_: Unread| InvalidMessage::Layout(front.command.number());
        if front.size == Size::Fits {
            let view = self.view().map_err(layout)?;
            if let Some(Held::Execute { statement, .. } | Held::BulkExecute { statement, .. }) =
                view
            {
                let types = self.learn_types(front).map_err(layout)?;
                if let Some(known) = self.statements.find_mut(statement) {
                    known.settled &= types == Types::Remembered;
                    if !known.long.is_empty() {
                        known.long.clear();
                        self.own.push_back(Own::Reset(statement));
                    }
                }
            }
        }
        if front.command == Command::Prepare {
            self.statements.not_prepared();
        }
        let code = match refusal.then {
            AfterRefusal::Continue => errcode::with_number(refusal.code),
            AfterRefusal::Terminate => errcode::SHUTDOWN,
        };
        self.front = None;
        self.joined = Vec::new();
        self.discard();
        self.refused = Some(Refused {
            error: refuse::refusal(refusal, self.encoding()),
            code,
            judged: Some((tag, length(front.total))),
            then: refusal.then,
        });
        Ok(())
    }

    /// Refuses the command at the front, whatever a policy says.
    pub(super) fn answer_ourselves(&mut self, code: ErrorCode, message: &'static str) {
        let packet = packet::peek(self.client.unjudged());
        let number = self.client.unjudged().get(packet::HEADER).copied();
        self.out.push(Action::Rejected(Rejected {
            command: number.unwrap_or_default(),
            bytes: packet.map_or(0, |packet| length(packet.total())),
            code,
            reason: message,
        }));
        self.discard();
        self.refused = Some(Refused {
            error: crate::mysql::encode::error(code, message.as_bytes()),
            code,
            judged: None,
            then: AfterRefusal::Continue,
        });
    }

    /// Tells the client that its command, which is through, was refused.
    pub(super) fn deliver(&mut self, refused: Refused<T>) {
        self.tell_client(&refused.error);
        if let Some(judged) = refused.judged {
            self.out
                .ended(judged, Completion::Refused, Some(refused.code));
        }
        match refused.then {
            AfterRefusal::Continue => {}
            AfterRefusal::Terminate => self.close(CloseReason::Refused, None),
        }
    }

    /// Throws the command at the front away, as it comes.
    fn discard(&mut self) {
        if let Some(packet) = packet::peek(self.client.unjudged()) {
            self.numbers.client = 1;
            self.client_rest = Rest::of(packet, 0, Way::Discard);
        }
    }

    fn too_large(&self, front: Front) -> Refusal {
        Refusal {
            code: errcode::TOO_LARGE,
            message: format!(
                "a command of {} bytes or more exceeds max_statement_bytes ({})",
                front.total, self.settings.max_statement_bytes
            ),
            detail: String::new(),
            hint: String::new(),
            then: AfterRefusal::Continue,
        }
    }
}

fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
