//! PostgreSQL's.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::pg::{ClientTls, Held, ServerTls, Session, Settings, SqlState, check, encode};
use crate::pipe::Pipe;
use crate::session::{Action, AfterRefusal, Event, Leg, Refusal, Verdict};

/// A client's bytes: behind a startup, or from the first byte on if the first one of `data` is odd.
pub fn pg_frontend(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else {
        return;
    };
    let play = |chunk| {
        let mut player = Player::new(chunk);
        if mode & 1 == 0 {
            player.start();
        }
        player.read(bytes, Leg::Client);
        player.end()
    };
    let (whole, cut) = (play(usize::MAX), play(1));
    // what comes together with an SSLRequest is a violation, what comes behind its answer is not
    let requests_tls = bytes.windows(8).any(|part| part == encode::SSL_REQUEST);
    assert!(
        whole == cut || (mode & 1 == 1 && requests_tls),
        "the cuts matter"
    );
}

/// A server's bytes: the first byte of `data` chooses what it has to answer.
pub fn pg_backend(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else {
        return;
    };
    let play = |chunk| {
        let mut player = Player::new(usize::MAX);
        if mode & 1 == 0 {
            player.start();
            player.read(&pipeline(mode), Leg::Client);
        } else {
            player.read(&encode::startup((3, 0), &[(b"user", b"ann")]), Leg::Client);
        }
        player.chunk = chunk;
        player.read(bytes, Leg::Server);
        player.end()
    };
    assert_eq!(play(usize::MAX), play(1), "the cuts matter");
}

/// Both in turns: a byte tells who speaks and how long, then come so many bytes.
pub fn pg_session(data: &[u8]) {
    let mut player = Player::new(usize::MAX);
    let mut cursor = Cursor::new(data);
    if data.first().is_some_and(|byte| byte & 2 == 0) {
        player.start();
    }
    while let Ok(turn) = cursor.u8() {
        let length = usize::from(turn >> 1).min(cursor.remaining());
        let Ok(bytes) = cursor.take(length) else {
            break;
        };
        player.read(
            bytes,
            if turn & 1 == 0 {
                Leg::Client
            } else {
                Leg::Server
            },
        );
    }
    player.end();
}

fn pipeline(mode: u8) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        &encode::query(b"select"),
        &encode::parse(b"", b"select", &[]),
        &encode::bind(b"", b"", &[], &[]),
        &encode::describe(b'P', b""),
        &encode::execute(b"", 0),
        &encode::SYNC,
    ];
    match (mode >> 1) % 5 {
        0 => parts.concat(),
        1 => parts.iter().skip(1).copied().collect::<Vec<_>>().concat(),
        2 => encode::query(b"copy"),
        3 => [
            &encode::function_call(1, &[], &[])[..],
            &encode::query(b"x"),
        ]
        .concat(),
        _ => parts.concat().repeat(20),
    }
}

/// What came out: to the server, to the client, and how many verdicts and outcomes there were.
type Played = (Vec<u8>, Vec<u8>, usize, usize);

struct Player {
    session: Session<(), usize>,
    chunk: usize,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    verdicts: usize,
    binds: usize,
    outcomes: BTreeSet<usize>,
    read: usize,
    closed: bool,
}

const MAX_STATEMENT: u32 = 4096;

impl Player {
    fn new(chunk: usize) -> Self {
        let settings = Settings {
            max_statement_bytes: MAX_STATEMENT,
            client_tls: ClientTls::Disable,
            server_tls: ServerTls::Disable,
            max_names: 8,
            max_pending: 4096,
            ..Settings::default()
        };
        Self {
            session: Session::new(settings),
            chunk,
            to_server: Vec::new(),
            to_client: Vec::new(),
            verdicts: 0,
            binds: 0,
            outcomes: BTreeSet::new(),
            read: 0,
            closed: false,
        }
    }

    fn start(&mut self) {
        self.read(&encode::startup((3, 0), &[(b"user", b"ann")]), Leg::Client);
        let answer = [encode::message(b'R', &[0; 4]), encode::message(b'Z', b"I")].concat();
        self.read(&answer, Leg::Server);
    }

    fn read(&mut self, mut bytes: &[u8], leg: Leg) {
        while !bytes.is_empty() && !self.closed {
            let pipe = match leg {
                Leg::Client => &mut self.session.client,
                Leg::Server => &mut self.session.server,
            };
            let space = pipe.space();
            let n = bytes.len().min(space.len()).min(self.chunk);
            let (Some(to), Some((from, rest))) = (space.get_mut(..n), bytes.split_at_checked(n))
            else {
                return;
            };
            to.copy_from_slice(from);
            bytes = rest;
            if n == 0 {
                return; // it waits for the other side, which has no more to say
            }
            self.read = self.read.saturating_add(n);
            self.session.handle(
                match leg {
                    Leg::Client => Event::ClientBytes(n),
                    Leg::Server => Event::ServerBytes(n),
                },
                0,
            );
            self.pump();
        }
    }

    fn pump(&mut self) {
        loop {
            while let Some(action) = self.session.poll() {
                self.act(action);
            }
            let n = take(&mut self.session.client, &mut self.to_server);
            let m = take(&mut self.session.server, &mut self.to_client);
            if n == 0 && m == 0 {
                break;
            }
        }
        let bound = 4 * Pipe::LARGE + 3 * usize::try_from(MAX_STATEMENT).unwrap_or(0);
        assert!(
            self.session.client.capacity() <= bound,
            "the client's pipe is not bounded"
        );
        assert!(
            self.session.server.capacity() <= bound,
            "the server's pipe is not bounded"
        );
    }

    fn act(&mut self, action: Action<usize>) {
        assert!(!self.closed, "something follows the close");
        match action {
            Action::Inspect => {
                let startup = match self.session.held() {
                    None => unreachable!("nothing is held"),
                    Some(Held::Startup { parameters, .. }) => {
                        parameters.for_each(drop);
                        true
                    }
                    Some(Held::Bind { parameters, .. }) => {
                        let count = parameters.len();
                        assert_eq!(parameters.count(), count, "parameters are missing");
                        self.binds = self.binds.saturating_add(1);
                        false
                    }
                    Some(
                        Held::Query { .. }
                        | Held::Parse { .. }
                        | Held::Execute { .. }
                        | Held::FunctionCall { .. }
                        | Held::TooLarge { .. },
                    ) => false,
                };
                self.judge(if startup {
                    Judged::Startup
                } else {
                    Judged::Statement
                });
            }
            Action::Connect | Action::ReconnectPlain => {
                self.session.handle(Event::ServerConnected, 0)
            }
            Action::Outcome(outcome) => {
                assert!(outcome.tag < self.verdicts, "a tag that was never given");
                assert!(
                    self.outcomes.insert(outcome.tag),
                    "two outcomes for one verdict"
                );
            }
            Action::Close(_) => self.closed = true,
            Action::StartTls { .. } => self.session.handle(Event::TlsUp(Leg::Client), 0),
            Action::Cancel { .. }
            | Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::BackendKey { .. }
            | Action::CommitFailed { .. }
            | Action::Undone { .. }
            | Action::Established
            | Action::ParameterChanged(_)
            | Action::Thread(_)
            | Action::SessionReset
            | Action::Tracked(_)
            | Action::Answered(_)
            | Action::FileRefused(_)
            | Action::Rejected(_) => {}
        }
    }

    fn judge(&mut self, judged: Judged) {
        let tag = self.verdicts;
        let lot = tag.wrapping_mul(0x9e37_79b9) >> 28 & 15;
        let verdict = match (judged, lot) {
            (Judged::Startup, _) | (Judged::Statement, 0..=11) => {
                Verdict::Forward { permit: (), tag }
            }
            (Judged::Statement, _) => Verdict::Refuse {
                refusal: Refusal {
                    code: SqlState::INSUFFICIENT_PRIVILEGE.into(),
                    message: "refused".into(),
                    detail: String::new(),
                    hint: String::new(),
                    then: if lot == 15 {
                        AfterRefusal::Terminate
                    } else {
                        AfterRefusal::Continue
                    },
                },
                tag,
            },
        };
        self.verdicts = self.verdicts.saturating_add(1);
        self.session.handle(Event::Verdict(verdict), 0);
    }

    fn end(mut self) -> Played {
        self.session.handle(Event::ClientClosed, 0);
        self.pump();
        assert!(self.closed, "it does not end");
        let silent = self.verdicts.saturating_sub(self.outcomes.len());
        assert!(silent <= self.binds, "a verdict without an outcome");
        assert!(
            check::is_well_formed(&self.to_server),
            "the server gets what is no message"
        );
        (
            self.to_server,
            self.to_client,
            self.verdicts,
            self.outcomes.len(),
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Startup,
    Statement,
}

fn take(pipe: &mut Pipe, out: &mut Vec<u8>) -> usize {
    let n = pipe.ready().len();
    out.extend_from_slice(pipe.ready());
    pipe.sent(n);
    n
}
