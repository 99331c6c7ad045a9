//! MySQL's and MariaDB's.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::error::{Error, Misbehaviour};
use crate::mysql::{ClientTls, Held, ServerTls, Session, Settings, check, encode, errcode};
use crate::pipe::Pipe;
use crate::session::{Action, AfterRefusal, CloseReason, Event, Leg, Refusal, Verdict};

/// A client's bytes: behind a login, or from the first byte on if the first one of `data` is odd.
pub fn mysql_frontend(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else {
        return;
    };
    let play = |chunk| {
        let mut player = Player::new(chunk);
        if mode & 1 == 0 {
            player.start(mode);
        } else {
            player.read(&encode::packets(&greeting(mode), 0), Leg::Server);
        }
        player.read(bytes, Leg::Client);
        player.end()
    };
    assert!(play(usize::MAX) == play(1), "the cuts matter");
}

/// A server's bytes: the first byte of `data` chooses what it has to answer.
pub fn mysql_backend(data: &[u8]) {
    let Some((&mode, bytes)) = data.split_first() else {
        return;
    };
    let play = |chunk| {
        let mut player = Player::new(usize::MAX);
        if mode & 1 == 0 {
            player.start(mode);
            player.read(&commands(mode), Leg::Client);
        }
        player.chunk = chunk;
        player.read(bytes, Leg::Server);
        let unasked = player.unasked;
        (player.end(), unasked)
    };
    let ((whole, unasked), (cut, _)) = (play(usize::MAX), play(1));
    // what comes unasked may come before or behind the verdict on the next command
    assert!(
        unasked || is_pipelined(mode) || whole == cut,
        "the cuts matter: {mode} {}",
        bytes.escape_ascii()
    );
}

/// Both in turns: a byte tells who speaks and how long, then come so many bytes.
pub fn mysql_session(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let mut player = Player::new(usize::MAX);
    let mut cursor = Cursor::new(data);
    if mode & 1 == 0 {
        player.start(mode);
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

/// The flags of the ends: with EOF packets or without, MariaDB's or MySQL's.
fn flags(mode: u8) -> (u32, u32) {
    let base = 0x00bf_a20c;
    match mode >> 1 & 3 {
        0 => (base | 1, 0),
        1 => (base | 1 | 1 << 24 | 1 << 27, 0),
        2 => (base | 1 << 24, 0x15),
        _ => (base | 1 | 1 << 25, 0),
    }
}

fn greeting(mode: u8) -> Vec<u8> {
    let (low, high) = flags(mode);
    let [a, b, c, d] = low.to_le_bytes();
    [
        &b"\x0a9.7.0\0\x07\0\0\x0012345678\0"[..],
        &[a, b, 45, 2, 0, c, d, 21, 0, 0, 0, 0, 0, 0],
        &high.to_le_bytes(),
        b"123456789012\0mysql_native_password\0",
    ]
    .concat()
}

fn login(mode: u8) -> Vec<u8> {
    let (low, high) = flags(mode);
    [
        &low.to_le_bytes()[..],
        &[0, 0, 0, 1, 45],
        &[0; 19],
        &high.to_le_bytes(),
        b"ann\0\x01xdb\0mysql_native_password\0\0",
    ]
    .concat()
}

fn commands(mode: u8) -> Vec<u8> {
    let command = |payload: &[u8]| encode::packets(payload, 0);
    let query = if mode >> 1 & 3 == 1 {
        command(b"\x03\0\x01select")
    } else {
        command(b"\x03select")
    };
    match mode >> 3 & 7 {
        0 => query.repeat(20),
        1 => [
            command(b"\x16p"),
            command(b"\x17\xff\xff\xff\xff\0\x01\0\0\0"),
            command(b"\x1c\x07\0\0\0\x01\0\0\0"),
        ]
        .concat(),
        2 => command(b"\x04t\0"),
        3 => command(b"\x12\0\0"),
        4 => command(b"\x11u\0\0d\0"),
        5 => query,
        6 => [query, encode::packets(b"data", 2), encode::packets(b"", 3)].concat(),
        _ => command(b"\x16p"),
    }
}

/// Whether another command waits for a verdict, or the caller's question for a change of the user.
fn is_pipelined(mode: u8) -> bool {
    mode & 1 == 0 && matches!(mode >> 3 & 7, 0 | 1 | 4)
}

/// What came out: to the server, to the client, and how many verdicts and outcomes there were.
type Played = (Vec<u8>, Vec<u8>, usize, usize);

struct Player {
    session: Session<(), usize>,
    chunk: usize,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    verdicts: usize,
    asked: usize,
    outcomes: BTreeSet<usize>,
    closed: bool,
    /// Whether the server has said what nobody asked for.
    unasked: bool,
}

const MAX_STATEMENT: u32 = 4096;

impl Player {
    fn new(chunk: usize) -> Self {
        let settings = Settings {
            max_statement_bytes: MAX_STATEMENT,
            client_tls: ClientTls::Disable,
            server_tls: ServerTls::Disable,
            max_names: 8,
        };
        let mut player = Self {
            session: Session::new(settings),
            chunk,
            to_server: Vec::new(),
            to_client: Vec::new(),
            verdicts: 0,
            asked: 0,
            outcomes: BTreeSet::new(),
            closed: false,
            unasked: false,
        };
        player.pump();
        player
    }

    fn start(&mut self, mode: u8) {
        self.read(&encode::packets(&greeting(mode), 0), Leg::Server);
        self.read(&encode::packets(&login(mode), 1), Leg::Client);
        let ok = encode::ok(0, 2, 0);
        self.read(&encode::packets(&ok, 2), Leg::Server);
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
            let event = match leg {
                Leg::Client => Event::ClientBytes(n),
                Leg::Server => Event::ServerBytes(n),
            };
            self.session.handle(event, 0);
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
        // the longest packets that are seen whole: a login, an OK packet
        let bound = 4 * Pipe::LARGE + 2 * 256 * 1024;
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
            Action::Inspect => self.inspect(),
            Action::Connect => self.session.handle(Event::ServerConnected, 0),
            Action::Outcome(outcome) => {
                assert!(outcome.tag < self.verdicts, "a tag that was never given");
                assert!(
                    self.outcomes.insert(outcome.tag),
                    "two outcomes for one verdict"
                );
            }
            Action::Close(reason) => {
                self.closed = true;
                self.unasked = matches!(
                    reason,
                    CloseReason::ServerFatal(_)
                        | CloseReason::Violation(Error::PeerMisbehaved {
                            peer: Leg::Server,
                            what: Misbehaviour::OutOfPlace(_) | Misbehaviour::FileRequest
                        })
                );
            }
            Action::SessionReset => {
                // it may have closed meanwhile
                if self.session.ask(b"q").is_ok() {
                    self.asked = self.asked.saturating_add(1);
                }
            }
            Action::Answered(_) => {
                assert!(self.asked > 0, "an answer to nothing");
                self.asked = self.asked.saturating_sub(1);
            }
            Action::StartTls { .. }
            | Action::ReconnectPlain
            | Action::Cancel { .. }
            | Action::BackendKey { .. }
            | Action::CommitFailed { .. }
            | Action::Undone { .. } => unreachable!("nobody asked for it"),
            Action::Authenticated { .. }
            | Action::AuthFailed { .. }
            | Action::Established
            | Action::ParameterChanged(_)
            | Action::Thread(_)
            | Action::Tracked(_)
            | Action::FileRefused(_)
            | Action::Rejected(_) => {}
        }
    }

    fn inspect(&mut self) {
        let startup = match self.session.held() {
            None => unreachable!("nothing is held"),
            Some(Held::Startup(login) | Held::ChangeUser(login)) => {
                login.attributes.for_each(drop);
                self.verdicts == 0
            }
            Some(Held::Query { attributes, .. }) => {
                assert_eq!(attributes.len(), attributes.count(), "one is missing");
                self.session.expect_file(b"file");
                false
            }
            Some(Held::Execute { parameters, .. }) => {
                assert_eq!(parameters.len(), parameters.count(), "one is missing");
                false
            }
            Some(Held::BulkExecute { rows, .. }) => {
                let width = rows.types().len();
                assert_eq!(rows.count() % width, 0, "half a row");
                false
            }
            Some(_) => false,
        };
        let tag = self.verdicts;
        let lot = tag.wrapping_mul(0x9e37_79b9) >> 28 & 15;
        let verdict = if startup || lot <= 11 {
            Verdict::Forward { permit: (), tag }
        } else {
            let then = if lot == 15 {
                AfterRefusal::Terminate
            } else {
                AfterRefusal::Continue
            };
            Verdict::Refuse {
                refusal: Refusal {
                    code: errcode::REFUSED,
                    message: "refused".into(),
                    detail: String::new(),
                    hint: String::new(),
                    then,
                },
                tag,
            }
        };
        self.verdicts = self.verdicts.saturating_add(1);
        self.session.handle(Event::Verdict(verdict), 0);
    }

    fn end(mut self) -> Played {
        self.session.handle(Event::ClientClosed, 0);
        self.pump();
        assert!(self.closed, "it does not end");
        assert_eq!(
            self.verdicts,
            self.outcomes.len(),
            "a verdict without an outcome"
        );
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

fn take(pipe: &mut Pipe, out: &mut Vec<u8>) -> usize {
    let n = pipe.ready().len();
    out.extend_from_slice(pipe.ready());
    pipe.sent(n);
    n
}
