//! A session between two scripts: what goes in at one end, what comes out at the other, and
//! what the caller is told on the way.

use std::rc::Rc;

use sqlward_wire::mysql::{
    Capabilities, ClientTls, Held, ServerTls, Session, Settings, encode, errcode,
};
use sqlward_wire::{
    Action, AfterRefusal, Answer, ErrorCode, Event, Leg, Outcome, Refusal, Verdict,
};

pub(crate) use crate::ends::*;

/// The proof that the script judged.
pub(crate) struct Permit;

/// What the script knows about a message by its tag.
pub(crate) type Tag = Rc<str>;

/// A session, what came out of it, and what was said about it.
pub(crate) struct Wire {
    pub(crate) session: Session<Permit, Tag>,
    pub(crate) to_server: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
    pub(crate) log: Vec<String>,
    /// How many bytes are read at once.
    pub(crate) chunk: usize,
    /// Whether verdicts are given at once.
    pub(crate) judging: bool,
    /// Whether what is ready is written at once.
    pub(crate) writing: bool,
    /// What is asked when the session is established, or begins anew.
    pub(crate) question: Option<&'static str>,
    /// The files that a Query may have.
    pub(crate) files: Vec<&'static [u8]>,
    pub(crate) now: u64,
    pub(crate) verdicts: usize,
    pub(crate) outcomes: usize,
    pub(crate) closed: bool,
}

/// Settings without TLS.
pub(crate) fn plain() -> Settings {
    Settings {
        client_tls: ClientTls::Disable,
        server_tls: ServerTls::Disable,
        ..Settings::default()
    }
}

/// One packet, or as many as its length takes, from a number on.
pub(crate) fn p(seq: u8, payload: &[u8]) -> Vec<u8> {
    encode::packets(payload, seq)
}

/// Packets of these payloads, from a number on.
pub(crate) fn ps(mut seq: u8, payloads: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        bytes.extend(p(seq, payload));
        seq = seq.wrapping_add(1);
    }
    bytes
}

/// A command.
pub(crate) fn command(number: u8, body: &[u8]) -> Vec<u8> {
    p(0, &[&[number], body].concat())
}

/// A COM_QUERY without attributes.
pub(crate) fn query(text: &str) -> Vec<u8> {
    command(3, text.as_bytes())
}

/// Status flags.
pub(crate) const AUTOCOMMIT: u16 = 2;
pub(crate) const IN_TRANS: u16 = 1;
pub(crate) const MORE: u16 = 8;
pub(crate) const CURSOR: u16 = 0x40;
pub(crate) const CHANGED: u16 = 0x4000;

pub(crate) fn ok() -> Vec<u8> {
    encode::ok(0, AUTOCOMMIT, 0)
}

pub(crate) fn eof() -> Vec<u8> {
    encode::eof(AUTOCOMMIT, 0)
}

/// An OK packet that ends rows where EOF packets are deprecated.
pub(crate) fn ok_eof(status: u16) -> Vec<u8> {
    let mut payload = encode::ok(0, status, 0);
    payload[0] = 0xfe;
    payload
}

pub(crate) fn err(errno: u16, sqlstate: &[u8; 5]) -> Vec<u8> {
    let [a, b] = errno.to_le_bytes();
    [&[0xff, a, b, b'#'], &sqlstate[..], b"no"].concat()
}

/// A column's definition; nobody reads it.
pub(crate) const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";

impl Wire {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(settings),
            to_server: Vec::new(),
            to_client: Vec::new(),
            log: Vec::new(),
            chunk: usize::MAX,
            judging: true,
            writing: true,
            question: None,
            files: Vec::new(),
            now: 0,
            verdicts: 0,
            outcomes: 0,
            closed: false,
        }
    }

    /// A session that is past its login; logs and outputs are empty.
    pub(crate) fn ready(ends: Ends) -> Self {
        Self::ready_with(ends, plain())
    }

    pub(crate) fn ready_with(ends: Ends, settings: Settings) -> Self {
        let mut wire = Self::new(settings);
        wire.start(ends);
        wire.clear();
        wire
    }

    /// Plays a login.
    pub(crate) fn start(&mut self, ends: Ends) {
        self.pump();
        self.server(&p(0, &greeting(ends)));
        self.client(&p(1, &login(ends.client, "mysql_native_password", b"x")));
        self.server(&p(2, &ok()));
    }

    pub(crate) fn clear(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.log.clear();
    }

    pub(crate) fn client(&mut self, bytes: &[u8]) {
        self.read(bytes, Leg::Client);
    }

    pub(crate) fn server(&mut self, bytes: &[u8]) {
        self.read(bytes, Leg::Server);
    }

    /// Reads bytes as long as there is room for them, and tells how many were not read.
    pub(crate) fn read(&mut self, mut bytes: &[u8], leg: Leg) -> usize {
        while !bytes.is_empty() && !self.closed {
            let pipe = match leg {
                Leg::Client => &mut self.session.client,
                Leg::Server => &mut self.session.server,
            };
            let space = pipe.space();
            let n = bytes.len().min(space.len()).min(self.chunk);
            if n == 0 {
                return bytes.len();
            }
            space[..n].copy_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            self.event(match leg {
                Leg::Client => Event::ClientBytes(n),
                Leg::Server => Event::ServerBytes(n),
            });
        }
        bytes.len()
    }

    pub(crate) fn event(&mut self, event: Event<Permit, Tag>) {
        self.handle(event);
        self.pump();
    }

    fn handle(&mut self, event: Event<Permit, Tag>) {
        self.now += 1;
        self.session.handle(event, self.now);
    }

    pub(crate) fn pump(&mut self) {
        loop {
            let mut moved = false;
            while let Some(action) = self.session.poll() {
                self.act(action);
                moved = true;
            }
            if self.writing {
                moved |= self.write();
            }
            if !moved {
                return;
            }
        }
    }

    pub(crate) fn write(&mut self) -> bool {
        let n = self.session.client.ready().len();
        self.to_server
            .extend_from_slice(self.session.client.ready());
        self.session.client.sent(n);
        let m = self.session.server.ready().len();
        self.to_client
            .extend_from_slice(self.session.server.ready());
        self.session.server.sent(m);
        n + m > 0
    }

    fn act(&mut self, action: Action<Tag>) {
        assert!(!self.closed, "{action:?} behind Close");
        match action {
            Action::Inspect => {
                let (said, tag) = describe(self.session.held().expect("something is held"));
                self.log.push(said);
                if self.judging {
                    self.give_verdict(tag);
                }
            }
            Action::Connect => {
                self.log.push("connect".into());
                self.handle(Event::ServerConnected);
            }
            Action::Outcome(outcome) => {
                self.outcomes += 1;
                self.log.push(told(&outcome));
            }
            Action::ParameterChanged(name) => {
                let value = self.session.parameter(&name).expect("it was reported");
                let (name, value) = (text(&name), text(value));
                self.log.push(format!("{name}={value}"));
            }
            Action::Answered(answer) => self.log.push(match answer {
                Answer::Rows(rows) => {
                    let row = |row: Vec<Option<Box<[u8]>>>| {
                        let values = row
                            .into_iter()
                            .map(|value| value.map_or("NULL".into(), |v| text(&v)));
                        values.collect::<Vec<_>>().join(",")
                    };
                    format!(
                        "answered {:?}",
                        rows.into_iter().map(row).collect::<Vec<_>>()
                    )
                }
                other => format!("answered {other:?}"),
            }),
            Action::Close(reason) => {
                self.closed = true;
                self.log.push(format!("close {reason:?}"));
            }
            Action::Rejected(rejected) => self.log.push(format!(
                "rejected {:#x} of {}: {}",
                rejected.command, rejected.bytes, rejected.code
            )),
            Action::FileRefused(name) => self.log.push(format!("file refused {}", text(&name))),
            Action::Established | Action::SessionReset => {
                self.log.push(format!("{action:?}"));
                if let Some(question) = self.question {
                    self.session.ask(question.as_bytes()).unwrap();
                }
            }
            action @ (Action::StartTls { .. }
            | Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::Thread(_)
            | Action::Tracked(_)) => self.log.push(format!("{action:?}")),
            action @ (Action::ReconnectPlain
            | Action::Cancel { .. }
            | Action::BackendKey { .. }
            | Action::CommitFailed { .. }
            | Action::Undone { .. }) => panic!("{action:?}"),
        }
    }

    /// Gives the verdict that the tag's text asks for.
    pub(crate) fn judge(&mut self, tag: &str) {
        self.give_verdict(tag.into());
        self.pump();
    }

    fn give_verdict(&mut self, tag: Tag) {
        self.verdicts += 1;
        for file in &self.files {
            self.session.expect_file(file);
        }
        let refused = tag.contains("deny") || tag.contains("kill");
        let verdict = if refused {
            Verdict::Refuse {
                refusal: refusal(&tag),
                tag,
            }
        } else {
            Verdict::Forward {
                permit: Permit,
                tag,
            }
        };
        self.handle(Event::Verdict(verdict));
    }

    /// Takes the log.
    pub(crate) fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Takes what went to the server.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.to_server)
    }

    /// Takes what went to the client.
    pub(crate) fn got(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.to_client)
    }

    /// A command and its answer: both must come through unchanged, and the log is given.
    pub(crate) fn through(&mut self, command: &[u8], answer: &[u8]) -> Vec<String> {
        self.client(command);
        assert_eq!(self.sent(), command);
        self.server(answer);
        assert_eq!(self.got(), answer);
        self.told()
    }
}

pub(crate) fn refusal(tag: &str) -> Refusal {
    Refusal {
        code: errcode::REFUSED,
        message: "refused by policy".into(),
        detail: "rule r".into(),
        hint: "event e".into(),
        then: if tag.contains("kill") {
            AfterRefusal::Terminate
        } else {
            AfterRefusal::Continue
        },
    }
}

/// The error that a client gets for a refused command.
pub(crate) fn refused(seq: u8) -> Vec<u8> {
    ours(seq, errcode::REFUSED, "refused by policy (rule r; event e)")
}

/// The error that a client gets for a held command that can't be read.
pub(crate) fn malformed() -> Vec<u8> {
    ours(1, errcode::MALFORMED, "malformed communication packet")
}

/// An error of our own.
pub(crate) fn ours(seq: u8, code: ErrorCode, message: &str) -> Vec<u8> {
    p(seq, &encode::error(code, message.as_bytes()))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn describe(held: Held<'_, Tag>) -> (String, Tag) {
    let said = match held {
        Held::Startup(login) => {
            let attributes: Vec<_> = login
                .attributes
                .clone()
                .map(|(name, value)| format!("{}={}", text(name), text(value)))
                .collect();
            format!(
                "login {}@{} {} {} {}",
                text(login.user),
                text(login.database),
                text(login.plugin),
                login.collation,
                attributes.join(" ")
            )
        }
        Held::ChangeUser(login) => format!(
            "change user {}@{} {} {}",
            text(login.user),
            text(login.database),
            text(login.plugin),
            login.collation
        ),
        Held::Query {
            text: sql,
            attributes,
        } => {
            let mut said = text(sql);
            for attribute in attributes {
                said += &format!(" {}={:?}", text(attribute.name), attribute.value);
            }
            return (format!("query {said}"), said.into());
        }
        Held::Prepare { text: sql } => return (format!("prepare {}", text(sql)), text(sql).into()),
        Held::Execute {
            statement,
            prepared,
            cursor,
            parameters,
            own,
        } => {
            let values: Vec<_> = parameters
                .map(|one| format!("{}{:?}", text(one.name), one.value))
                .collect();
            let said = format!("[{prepared}] {}", values.join(","));
            return (
                format!("execute {statement} {cursor:?} {own} {said}"),
                said.into(),
            );
        }
        Held::BulkExecute {
            statement,
            prepared,
            rows,
        } => {
            let values: Vec<_> = rows.collect();
            return (
                format!("bulk {statement} [{prepared}] {values:?}"),
                format!("bulk {prepared}").into(),
            );
        }
        Held::Fetch {
            statement,
            prepared,
            max_rows,
        } => format!("fetch {statement} [{prepared}] {max_rows}"),
        Held::InitDb { database } => format!("init db {}", text(database)),
        Held::CreateDb { database } => format!("create db {}", text(database)),
        Held::DropDb { database } => format!("drop db {}", text(database)),
        Held::FieldList { table, wildcard } => {
            format!("field list {} {}", text(table), text(wildcard))
        }
        Held::SetOption { option } => format!("set option {option}"),
        Held::ProcessKill { thread } => format!("kill thread {thread}").replace("kill", "end"),
        Held::Admin { command, body } => format!("admin {} {body:?}", command.name()),
        Held::Replication { command, body } => {
            format!("replication {} {}", command.name(), body.len())
        }
        Held::TooLarge {
            command,
            length,
            prefix,
        } => format!("too large {} {length} {}", command.name(), prefix.len()),
    };
    (said.clone(), said.into())
}

fn told(outcome: &Outcome<Tag>) -> String {
    let mut said = format!("[{}] {:?}", outcome.tag, outcome.completion);
    for (name, n) in [
        ("rows", outcome.rows),
        ("affected", outcome.affected),
        ("warnings", outcome.warnings),
        ("results", outcome.results),
    ] {
        if n > 0 {
            said += &format!(" {name}={n}");
        }
    }
    if let Some(error) = outcome.error {
        said += &format!(" {error}");
    }
    if let Some(tx) = outcome.tx {
        said += &format!(" {tx:?}");
    }
    said
}

/// The capabilities of these bits.
pub(crate) fn capabilities(flags: u64) -> Capabilities {
    Capabilities::new((flags & 0xffff_ffff) as u32, (flags >> 32) as u32)
}
