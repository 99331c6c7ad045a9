//! MySQL's and MariaDB's commands: the texts that they bring, refer to or amount to.

mod values;

use std::rc::Rc;

use sqlward_audit_store::record::{EndUserSource, IntentKind, Text};
use sqlward_policy::{
    decide_startup,
    rule::{
        moment::{Bound, Counting},
        subject::SessionPath,
    },
    statement::{ClientCharset, Known, LexState},
    vocabulary::{Unreadable, Verb},
};
use sqlward_wire::{mysql, mysql::Command};

use super::{Bench, Filing, Judged, given::Given, protocol::protocol_request, text_of};
use crate::{
    audit::Secrecy,
    end_user::{self, Claims},
    enforce::Verdict,
    redaction::{self, Screen},
    session::{FirstRole, Introduction, Tag},
};

/// Whether a text whose reading depends on what is not known may wait for the server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The server is asked first, however the text reads: it may have stopped to report what changes.
    Unreported,
    /// The server is asked first.
    Asks,
    /// It was asked, or there is nothing to ask.
    Stands,
}

/// How a prepared text reads in another state of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reread {
    /// As it was read.
    Alike,
    /// Perhaps in another way.
    Differs,
    /// The state is not known.
    Unknown,
}

impl Bench<'_> {
    /// Judge what a MySQL session holds; `analysed` is what an analysis elsewhere has found. Whom a COM_CHANGE_USER would make
    /// of the session is put into `next`.
    pub(crate) fn judge_mysql(
        &mut self,
        held: mysql::Held<'_, Tag>,
        doubt: Doubt,
        analysed: Option<Rc<Known>>,
        next: &mut Option<Introduction>,
    ) -> Judged {
        let asks = match held {
            mysql::Held::Startup(_) | mysql::Held::ChangeUser(_) => false,
            // What they say decides.
            mysql::Held::Query { .. } | mysql::Held::Prepare { .. } => false,
            mysql::Held::Execute { .. }
            | mysql::Held::BulkExecute { .. }
            | mysql::Held::Fetch { .. }
            | mysql::Held::InitDb { .. }
            | mysql::Held::CreateDb { .. }
            | mysql::Held::DropDb { .. }
            | mysql::Held::FieldList { .. }
            | mysql::Held::SetOption { .. }
            | mysql::Held::ProcessKill { .. }
            | mysql::Held::Admin { .. }
            | mysql::Held::Replication { .. }
            | mysql::Held::TooLarge { .. } => doubt == Doubt::Unreported,
        };
        if asks {
            return Judged::Ask;
        }
        let verdict = match held {
            mysql::Held::Startup(login) => {
                self.record.protocol("10".to_owned());
                self.context.introduce(self.introduction(&login));
                self.start(false)
            }
            mysql::Held::ChangeUser(login) => self.change_user(&login, next),
            mysql::Held::Query { text, attributes } => {
                return self.command((IntentKind::Simple, text), attributes, doubt, analysed);
            }
            mysql::Held::Prepare { text } => {
                return self.command(
                    (IntentKind::Prepare, text),
                    mysql::Parameters::default(),
                    doubt,
                    analysed,
                );
            }
            mysql::Held::Execute {
                statement,
                prepared,
                parameters,
                own,
                ..
            } => {
                let attributes = parameters.clone().skip(own.into());
                let own = parameters.take(own.into()).map(|one| (one.kind, one.value));
                let given = (own, 0, attributes);
                return self.execution((IntentKind::Execute, statement), prepared, given, doubt);
            }
            mysql::Held::BulkExecute {
                statement,
                prepared,
                rows,
            } => {
                let kinds = rows.types().iter().copied().cycle();
                let values = kinds.zip(rows.clone()).take(values::MAX_BULK_VALUES);
                let row = rows.types().len();
                let given = (values, row, mysql::Parameters::default());
                return self.execution((IntentKind::Execute, statement), prepared, given, doubt);
            }
            mysql::Held::Fetch {
                statement,
                prepared,
                ..
            } => {
                let given = (std::iter::empty(), 0, mysql::Parameters::default());
                return self.execution((IntentKind::Fetch, statement), prepared, given, doubt);
            }
            mysql::Held::InitDb { database } => {
                return self.as_sql(b"USE ", database, b"", doubt);
            }
            mysql::Held::CreateDb { database } => {
                return self.as_sql(b"CREATE DATABASE ", database, b"", doubt);
            }
            mysql::Held::DropDb { database } => {
                return self.as_sql(b"DROP DATABASE ", database, b"", doubt);
            }
            // The columns of all names that fit the wildcard; it narrows nothing that matters here.
            mysql::Held::FieldList { table, .. } => {
                return self.as_sql(b"SHOW COLUMNS FROM ", table, b"", doubt);
            }
            mysql::Held::ProcessKill { thread } => {
                let text = format!("KILL {thread}");
                return self.sql(text.as_bytes(), None, doubt);
            }
            mysql::Held::SetOption { option } => {
                let text = match option {
                    0 => "COM_SET_OPTION multi-statements on",
                    1 => "COM_SET_OPTION multi-statements off",
                    _ => "COM_SET_OPTION",
                };
                let known = protocol_request(Verb::Set, text);
                let decision = self.decide(&known, None, &Given::NOTHING);
                self.conclude(known, decision, request(text), None)
            }
            mysql::Held::Admin { command, .. } => self.privileged(Verb::FunctionCall, command),
            mysql::Held::Replication { command, .. } => self.privileged(Verb::Replication, command),
            mysql::Held::TooLarge {
                command,
                length,
                prefix,
            } => self.command_too_large(command, length, prefix),
        };
        Judged::Verdict(verdict)
    }

    /// A text to run or to prepare.
    fn command(
        &mut self,
        (kind, text): (IntentKind, &[u8]),
        attributes: mysql::Parameters<'_>,
        doubt: Doubt,
        analysed: Option<Rc<Known>>,
    ) -> Judged {
        let Some(found) = self.read(text, analysed) else {
            return Judged::Long;
        };
        if asks(text, &found.0, doubt) {
            return Judged::Ask;
        }
        let rendered = values::render_attributes(attributes.clone(), self.parameter_limit());
        let parameters = values::parameters(&rendered, Secrecy::of(&found.0));
        let given = (None, self.attribute_claims(attributes));
        Judged::Verdict(self.statement_with((kind, b""), text, found, given, &parameters))
    }

    /// A command that amounts to SQL about something named.
    fn as_sql(&mut self, head: &[u8], name: &[u8], tail: &[u8], doubt: Doubt) -> Judged {
        let quoted: Vec<u8> = name
            .iter()
            .flat_map(|&byte| std::iter::repeat_n(byte, if byte == b'`' { 2 } else { 1 }))
            .collect();
        let text = [head, b"`", &quoted, b"`", tail].concat();
        // Where a backquote may be half a character, doubling it may change the name.
        let torn = name.contains(&b'`') && !name.is_ascii() && !self.is_ascii_safe();
        self.sql(&text, torn.then_some(Unreadable::Encoding), doubt)
    }

    fn sql(&mut self, text: &[u8], unreadable: Option<Unreadable>, doubt: Doubt) -> Judged {
        let Some(found) = self.read(text, None) else {
            return Judged::Long;
        };
        if asks(text, &found.0, doubt) {
            return Judged::Ask;
        }
        let given = (unreadable, Claims::default());
        Judged::Verdict(self.statement((IntentKind::Command, b""), text, found, given))
    }

    /// A prepared statement to be executed, or fetched from: judged again, where its unqualified names were resolved.
    fn execution<'v>(
        &mut self,
        (kind, statement): (IntentKind, u32),
        prepare: &Tag,
        (values, row, attributes): (
            impl Iterator<Item = (mysql::Type, mysql::Value<'v>)>,
            usize,
            impl Iterator<Item = mysql::Parameter<'v>> + Clone,
        ),
        doubt: Doubt,
    ) -> Judged {
        let unreadable = match self.reread(prepare) {
            Reread::Alike => None,
            Reread::Unknown if doubt == Doubt::Asks => return Judged::Ask,
            Reread::Unknown | Reread::Differs => Some(Unreadable::Unsettled),
        };
        let known = Rc::clone(&prepare.known);
        let limit = self.parameter_limit();
        let claims = self.attribute_claims(attributes.clone());
        let rules = (self.policy, self.redaction_key());
        let screen = Screen::new(rules, &known, prepare.fates.as_deref(), row);
        let mut rendered = values::render(values, limit, &screen);
        let own_count = rendered.len();
        let left = limit.saturating_sub(rendered.iter().map(values::Rendered::recorded).sum());
        let mut beside = values::render_attributes(attributes, left);
        values::screen_attributes(&mut beside, &screen);
        rendered.extend(beside);
        let parameters = values::parameters(&rendered, Secrecy::of(&known));
        let own = values::Sent(rendered.get(..own_count).unwrap_or_default());
        let end_user = self.claimed(&claims, None);
        let name = statement.to_string();
        let filing = Filing {
            parameters: &parameters,
            prepared_name: name.as_bytes(),
            claims,
            ..Filing::new(kind, text_of(prepare))
        };
        let here = self.context.put_in_database(&prepare.database);
        let given = Given {
            parameters: match kind {
                IntentKind::Fetch => Bound::Later,
                _ => Bound::Given(&own),
            },
            end_user,
            counting: match kind {
                IntentKind::Fetch => Counting::Already,
                _ => Counting::Anew,
            },
            ..self.kept(prepare)
        };
        let decision = self.decide(&known, unreadable, &given);
        if let Some(here) = here {
            self.context.put_in_database(&here);
        }
        Judged::Verdict(self.conclude(known, decision, filing, Some(prepare)))
    }

    /// How a prepared statement's text reads now, should the server read it again.
    fn reread(&self, prepare: &Tag) -> Reread {
        match (&prepare.reading, self.lex) {
            (Some(then), LexState::Mysql(now)) if !then.reads_alike_in(&now) => {
                if now.sql_mode.is_none() || now.charset.is_none() {
                    Reread::Unknown
                } else {
                    Reread::Differs
                }
            }
            (Some(_), LexState::Mysql(_)) | (None, _) | (_, LexState::Postgres(_)) => Reread::Alike,
        }
    }

    /// COM_CHANGE_USER: another session begins in this one's place.
    fn change_user(
        &mut self,
        login: &mysql::Login<'_>,
        next: &mut Option<Introduction>,
    ) -> Verdict {
        let introduction = self.introduction(login);
        let subject = introduction.over(&self.context.subject);
        let decision = decide_startup(self.policy, &subject, false, self.now.timestamp());
        let text = format!("COM_CHANGE_USER {}", introduction.user);
        let known = protocol_request(Verb::Empty, "COM_CHANGE_USER");
        *next = Some(introduction);
        let text = redaction::name(self.policy, &text);
        self.conclude(known, decision, request(&text), None)
    }

    /// A command that no SQL says, and that no rule allows unless it names the verb.
    fn privileged(&mut self, verb: Verb, command: Command) -> Verdict {
        let known = protocol_request(verb, command.name());
        let decision = self.decide(&known, None, &Given::NOTHING);
        self.conclude(known, decision, request(command.name()), None)
    }

    fn command_too_large(&mut self, command: Command, length: u64, prefix: &[u8]) -> Verdict {
        // Only texts may be looked at: what is bound is not for the record of a statement.
        let (kind, glance) = match command {
            Command::Query => (IntentKind::Simple, prefix),
            Command::Prepare => (IntentKind::Prepare, prefix),
            Command::Execute | Command::BulkExecute => (IntentKind::Execute, &[][..]),
            Command::Fetch => (IntentKind::Fetch, &[][..]),
            Command::Quit
            | Command::InitDb
            | Command::FieldList
            | Command::CreateDb
            | Command::DropDb
            | Command::Refresh
            | Command::Shutdown
            | Command::Statistics
            | Command::ProcessInfo
            | Command::ProcessKill
            | Command::Debug
            | Command::Ping
            | Command::ChangeUser
            | Command::BinlogDump
            | Command::RegisterSlave
            | Command::SendLongData
            | Command::Close
            | Command::Reset
            | Command::SetOption
            | Command::BinlogDumpGtid
            | Command::ResetConnection => (IntentKind::Command, &[][..]),
        };
        self.refuse_too_large(kind, length, glance)
    }

    /// Who the client says it is.
    fn introduction(&self, login: &mysql::Login<'_>) -> Introduction {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let keys = &self.worker.shared.config.end_user.attribute_keys;
        let end_user = keys
            .iter()
            .find_map(|key| login.attributes.value(key.as_bytes()))
            .and_then(end_user::name_in);
        Introduction {
            user: text(login.user),
            database: text(login.database),
            application: login
                .attributes
                .value(b"program_name")
                .map_or(String::new(), text),
            role: FirstRole::User,
            end_user,
            path: SessionPath::Policy,
        }
    }

    /// What the attributes of a query say.
    fn attribute_claims<'v>(
        &self,
        attributes: impl Iterator<Item = mysql::Parameter<'v>>,
    ) -> Claims<'v> {
        let keys = &self.worker.shared.config.end_user.attribute_keys;
        let mut claims = Claims {
            source: EndUserSource::Attribute,
            ..Claims::default()
        };
        for attribute in attributes {
            let mysql::Value::Bytes(value) = attribute.value else {
                continue;
            };
            let Ok(value) = std::str::from_utf8(value) else {
                continue;
            };
            claims.take(attribute.name, value, keys);
        }
        claims
    }

    fn parameter_limit(&self) -> usize {
        self.worker
            .shared
            .config
            .limits
            .max_recorded_parameter_bytes
    }

    fn is_ascii_safe(&self) -> bool {
        match self.lex {
            LexState::Mysql(lex) => !matches!(lex.charset, None | Some(ClientCharset::Multi(_))),
            LexState::Postgres(_) => true,
        }
    }
}

/// A request of the protocol that is no SQL, on its way to the journal.
fn request(text: &str) -> Filing<'_> {
    Filing::new(IntentKind::Command, Text::whole(text.as_bytes()))
}

/// Texts that only look at what the statement before has left: a question of ours would take its place. Nothing in them
/// depends on the session's state.
const DIAGNOSTICS: [&str; 6] = [
    "SHOW WARNINGS",
    "SHOW ERRORS",
    "SHOW COUNT(*) WARNINGS",
    "SELECT @@warning_count",
    "SELECT ROW_COUNT()",
    "SELECT FOUND_ROWS()",
];

/// Whether the server is asked before a text is judged.
fn asks(text: &[u8], known: &Known, doubt: Doubt) -> bool {
    match doubt {
        Doubt::Unreported => !DIAGNOSTICS
            .iter()
            .any(|one| one.as_bytes().eq_ignore_ascii_case(text)),
        Doubt::Asks => known.analysis.facts.unreadable == Some(Unreadable::Unsettled),
        Doubt::Stands => false,
    }
}
