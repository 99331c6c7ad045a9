//! A session between two scripts: what goes in at one end, what comes out at the other, and
//! what the caller is told on the way.

use std::rc::Rc;

use sqlward_wire::pg::{ClientTls, Held, ServerTls, Session, Settings, SqlState, encode};
use sqlward_wire::{Action, AfterRefusal, Event, Leg, Outcome, Refusal, Verdict};

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

/// A server's message.
pub(crate) fn be(tag: u8, body: &[u8]) -> Vec<u8> {
    encode::message(tag, body)
}

/// A server's ReadyForQuery.
pub(crate) fn ready(status: u8) -> Vec<u8> {
    be(b'Z', &[status])
}

/// A server's CommandComplete.
pub(crate) fn complete(tag: &str) -> Vec<u8> {
    be(b'C', format!("{tag}\0").as_bytes())
}

/// A server's error with this code.
pub(crate) fn error(code: &str) -> Vec<u8> {
    encode::error_response(
        "ERROR",
        SqlState::new(code.as_bytes()).unwrap(),
        &[(b'M', "no")],
    )
}

/// A server's last error with this code.
pub(crate) fn fatal(code: &str) -> Vec<u8> {
    encode::error_response(
        "FATAL",
        SqlState::new(code.as_bytes()).unwrap(),
        &[(b'M', "no")],
    )
}

/// A RowDescription of no columns.
pub(crate) fn columns() -> Vec<u8> {
    be(b'T', &[0, 0])
}

/// A DataRow of no columns.
pub(crate) fn row() -> Vec<u8> {
    be(b'D', &[0, 0])
}

pub(crate) const PARSED: &[u8] = b"1\0\0\0\x04";
pub(crate) const BOUND: &[u8] = b"2\0\0\0\x04";
pub(crate) const CLOSED: &[u8] = b"3\0\0\0\x04";
pub(crate) const NO_DATA: &[u8] = b"n\0\0\0\x04";
pub(crate) const COPY_IN: &[u8] = b"G\0\0\0\x07\0\0\0";
pub(crate) const COPY_OUT: &[u8] = b"H\0\0\0\x07\0\0\0";
pub(crate) const COPY_BOTH: &[u8] = b"W\0\0\0\x07\0\0\0";

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
            now: 0,
            verdicts: 0,
            outcomes: 0,
            closed: false,
        }
    }

    /// A session that is past its startup; logs and outputs are empty.
    pub(crate) fn ready() -> Self {
        Self::ready_with(plain())
    }

    pub(crate) fn ready_with(settings: Settings) -> Self {
        let mut wire = Self::new(settings);
        wire.start();
        wire.clear();
        wire
    }

    /// Plays a startup without a password.
    pub(crate) fn start(&mut self) {
        self.client(&encode::startup(
            (3, 0),
            &[(b"user", b"ann"), (b"database", b"db")],
        ));
        self.server(&be(b'R', &[0; 4]));
        self.server(&be(b'S', b"client_encoding\0UTF8\0"));
        self.server(&be(b'K', b"\0\0\0\x07keys"));
        self.server(&ready(b'I'));
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

    pub(crate) fn clients(&mut self, messages: &[Vec<u8>]) {
        self.client(&messages.concat());
    }

    pub(crate) fn servers(&mut self, messages: &[&[u8]]) {
        self.server(&messages.concat());
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
            Action::ReconnectPlain => {
                self.log.push("reconnect".into());
                self.to_server.clear();
                if self.judging {
                    self.handle(Event::ServerConnected);
                }
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
            Action::Close(reason) => {
                self.closed = true;
                self.log.push(format!("close {reason:?}"));
            }
            action @ (Action::StartTls { .. }
            | Action::Cancel { .. }
            | Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::BackendKey { .. }
            | Action::CommitFailed { .. }
            | Action::Undone { .. }
            | Action::Established
            | Action::Thread(_)
            | Action::SessionReset
            | Action::Tracked(_)
            | Action::Answered(_)
            | Action::FileRefused(_)
            | Action::Rejected(_)) => self.log.push(format!("{action:?}")),
        }
    }

    /// Gives the verdict that the tag's text asks for.
    pub(crate) fn judge(&mut self, tag: Tag) {
        self.give_verdict(tag);
        self.pump();
    }

    fn give_verdict(&mut self, tag: Tag) {
        self.verdicts += 1;
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
}

pub(crate) fn refusal(tag: &str) -> Refusal {
    Refusal {
        code: SqlState::INSUFFICIENT_PRIVILEGE.into(),
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

/// The error that a client gets for a refused statement.
pub(crate) fn refused() -> Vec<u8> {
    let fields = [
        (b'M', "refused by policy"),
        (b'D', "rule r"),
        (b'H', "event e"),
    ];
    encode::error_response("ERROR", SqlState::INSUFFICIENT_PRIVILEGE, &fields)
}

pub(crate) const SUBSTITUTE: &[u8] =
    b"sqlward refused this statement: rule r event e refused by policy ";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn describe(held: Held<'_, Tag>) -> (String, Tag) {
    match held {
        Held::Startup {
            protocol,
            parameters,
            replication,
        } => {
            let all: Vec<_> = parameters
                .map(|(name, value)| format!("{}={}", text(name), text(value)))
                .collect();
            let said = format!("startup {protocol:?} {} {replication:?}", all.join(" "));
            (said.clone(), said.into())
        }
        Held::Query {
            text: query,
            unsettled,
        } => {
            let said = format!("query `{}`{}", text(query), mark(unsettled));
            (said, text(query).into())
        }
        Held::Parse {
            name,
            text: query,
            parameter_types,
            unsettled,
        } => {
            let types: Vec<_> = parameter_types.collect();
            let said = format!(
                "parse {} `{}` {types:?}{}",
                text(name),
                text(query),
                mark(unsettled)
            );
            (said, text(query).into())
        }
        Held::Bind {
            portal,
            name,
            prepared,
            parameters,
        } => {
            let of = prepared.map_or("?".into(), |tag| format!("`{tag}`"));
            let values: Vec<_> = parameters
                .map(|(format, value)| format!("{format:?} {:?}", value.map(text)))
                .collect();
            let said = format!("bind {} {} {of} {values:?}", text(portal), text(name));
            (said, format!("b {of} {}", values.join(",")).into())
        }
        Held::Execute {
            portal,
            max_rows,
            bound,
            first,
        } => {
            let of = bound.map_or("?".into(), |tag| format!("`{tag}`"));
            let said = format!("execute {} {max_rows} {of} first={first}", text(portal));
            (said, format!("e {of}").into())
        }
        Held::FunctionCall { oid, arguments } => {
            let values: Vec<_> = arguments
                .map(|(format, value)| format!("{format:?} {:?}", value.map(text)))
                .collect();
            (
                format!("function {oid} {values:?}"),
                format!("f {oid} {}", values.join(",")).into(),
            )
        }
        Held::TooLarge {
            kind,
            length,
            prefix,
        } => {
            let said = format!("too large {kind:?} {length} {}", prefix.len());
            (said, format!("too large {kind:?}").into())
        }
    }
}

fn mark(unsettled: bool) -> &'static str {
    if unsettled { " unsettled" } else { "" }
}

fn told(outcome: &Outcome<Tag>) -> String {
    let mut said = format!("[{}] {:?}", outcome.tag, outcome.completion);
    if outcome.rows > 0 {
        said += &format!(" rows={}", outcome.rows);
    }
    if outcome.affected > 0 {
        said += &format!(" affected={}", outcome.affected);
    }
    if let Some(error) = outcome.error {
        said += &format!(" {error}");
    }
    if let Some(tx) = outcome.tx {
        said += &format!(" {tx:?}");
    }
    said
}
