//! Statements that are like those before cost no allocation.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a counting allocator can't be had otherwise, and a script that fails is a test that fails"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sqlward_wire::pg::{ClientTls, ServerTls, Session, Settings, encode};
use sqlward_wire::{Action, Event, Verdict};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn turn(session: &mut Session<(), u32>, event: fn(usize) -> Event<(), u32>, bytes: &[u8]) -> usize {
    let pipe = match event(0) {
        Event::ServerBytes(_) => &mut session.server,
        _ => &mut session.client,
    };
    pipe.space()[..bytes.len()].copy_from_slice(bytes);
    session.handle(event(bytes.len()), 1);
    let mut outcomes = 0;
    while let Some(action) = session.poll() {
        match action {
            Action::Inspect => {
                assert!(session.held().is_some());
                session.handle(Event::Verdict(Verdict::Forward { permit: (), tag: 7 }), 2);
            }
            Action::Connect | Action::ReconnectPlain => session.handle(Event::ServerConnected, 3),
            Action::Outcome(_) => outcomes += 1,
            Action::Close(reason) => panic!("{reason:?}"),
            _ => {}
        }
    }
    let n = session.client.ready().len();
    session.client.sent(n);
    let n = session.server.ready().len();
    session.server.sent(n);
    outcomes
}

fn started() -> Session<(), u32> {
    let mut session = Session::new(Settings {
        client_tls: ClientTls::Disable,
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    turn(
        &mut session,
        Event::ClientBytes,
        &encode::startup((3, 0), &[(b"user", b"ann")]),
    );
    let answer = [encode::message(b'R', &[0; 4]), encode::message(b'Z', b"I")].concat();
    turn(&mut session, Event::ServerBytes, &answer);
    session
}

fn steady(request: &[u8], answer: &[u8], outcomes: usize) {
    let mut session = started();
    let mut round = || {
        let before = COUNT.with(Cell::get);
        let n = turn(&mut session, Event::ClientBytes, request);
        let n = n + turn(&mut session, Event::ServerBytes, answer);
        assert_eq!(n, outcomes);
        COUNT.with(Cell::get) - before
    };
    for _ in 0..20 {
        round();
    }
    for _ in 0..100 {
        assert_eq!(round(), 0);
    }
}

fn m(tag: u8, body: &[u8]) -> Vec<u8> {
    encode::message(tag, body)
}

#[test]
fn simple_query() {
    let rows = m(b'D', b"\0\x01\0\0\0\x011").repeat(10);
    let answer = [
        m(b'T', &[0, 0]),
        rows,
        m(b'C', b"SELECT 10\0"),
        m(b'Z', b"I"),
    ]
    .concat();
    steady(
        &encode::query(b"select abalance from pgbench_accounts where aid = 1"),
        &answer,
        1,
    );
}

#[test]
fn extended_query() {
    let request = [
        encode::parse(
            b"",
            b"select abalance from pgbench_accounts where aid = $1",
            &[23],
        ),
        encode::bind(b"", b"", &[0], &[Some(b"1")]),
        encode::describe(b'P', b""),
        encode::execute(b"", 0),
        encode::SYNC.to_vec(),
    ]
    .concat();
    let answer = [
        m(b'1', b""),
        m(b'2', b""),
        m(b'T', &[0, 0]),
        m(b'D', &[0, 0]),
        m(b'C', b"SELECT 1\0"),
        m(b'Z', b"I"),
    ]
    .concat();
    steady(&request, &answer, 2);
}

#[test]
fn prepared_statement() {
    let mut session = started();
    let parse = [
        encode::parse(b"S_1", b"select 1", &[]),
        encode::SYNC.to_vec(),
    ]
    .concat();
    turn(&mut session, Event::ClientBytes, &parse);
    turn(
        &mut session,
        Event::ServerBytes,
        &[m(b'1', b""), m(b'Z', b"I")].concat(),
    );
    let request = [
        encode::bind(b"", b"S_1", &[], &[]),
        encode::execute(b"", 0),
        encode::SYNC.to_vec(),
    ]
    .concat();
    let answer = [m(b'2', b""), m(b'C', b"SELECT 0\0"), m(b'Z', b"I")].concat();
    let mut most = 0;
    for round in 0..100 {
        let before = COUNT.with(Cell::get);
        turn(&mut session, Event::ClientBytes, &request);
        turn(&mut session, Event::ServerBytes, &answer);
        if round > 20 {
            most = most.max(COUNT.with(Cell::get) - before);
        }
    }
    assert_eq!(most, 0);
}

mod mysql {
    use sqlward_wire::mysql::{ClientTls, ServerTls, Session, Settings, encode};
    use sqlward_wire::{Action, Event, Verdict};

    use super::COUNT;

    type Turn = fn(usize) -> Event<(), u32>;

    fn turn(session: &mut Session<(), u32>, event: Turn, bytes: &[u8]) -> usize {
        let pipe = match event(0) {
            Event::ServerBytes(_) => &mut session.server,
            _ => &mut session.client,
        };
        pipe.space()[..bytes.len()].copy_from_slice(bytes);
        session.handle(event(bytes.len()), 1);
        let mut outcomes = 0;
        while let Some(action) = session.poll() {
            match action {
                Action::Inspect => {
                    assert!(session.held().is_some());
                    session.handle(Event::Verdict(Verdict::Forward { permit: (), tag: 7 }), 2);
                }
                Action::Connect => session.handle(Event::ServerConnected, 3),
                Action::Outcome(_) => outcomes += 1,
                Action::Close(reason) => panic!("{reason:?}"),
                _ => {}
            }
        }
        let n = session.client.ready().len();
        session.client.sent(n);
        let n = session.server.ready().len();
        session.server.sent(n);
        outcomes
    }

    /// 4.1, plugins, no EOF packets, tracking at the server's leg only.
    const FLAGS: u32 = 0x0108_a201;
    const TRACK: u32 = 1 << 23;

    fn started() -> Session<(), u32> {
        let mut session = Session::new(Settings {
            client_tls: ClientTls::Disable,
            server_tls: ServerTls::Disable,
            ..Settings::default()
        });
        while let Some(Action::Connect) = session.poll() {
            session.handle(Event::ServerConnected, 0);
        }
        let [a, b, c, d] = (FLAGS | TRACK).to_le_bytes();
        let greeting = [
            &b"\x0a9.7.0\0\x07\0\0\x0012345678\0"[..],
            &[a, b, 45, 2, 0, c, d, 21],
            &[0; 10],
            b"123456789012\0mysql_native_password\0",
        ]
        .concat();
        turn(
            &mut session,
            Event::ServerBytes,
            &encode::packets(&greeting, 0),
        );
        let login = [
            &FLAGS.to_le_bytes()[..],
            &[0, 0, 0, 1, 45],
            &[0; 23],
            b"ann\0\x01xmysql_native_password\0",
        ]
        .concat();
        turn(
            &mut session,
            Event::ClientBytes,
            &encode::packets(&login, 1),
        );
        let ok = encode::packets(&encode::ok(0, 2, 0), 2);
        turn(&mut session, Event::ServerBytes, &ok);
        session
    }

    fn steady(session: &mut Session<(), u32>, request: &[u8], answer: &[u8]) {
        let mut round = || {
            let before = COUNT.with(std::cell::Cell::get);
            let n = turn(session, Event::ClientBytes, request);
            let n = n + turn(session, Event::ServerBytes, answer);
            assert_eq!(n, 1);
            COUNT.with(std::cell::Cell::get) - before
        };
        for _ in 0..20 {
            round();
        }
        for _ in 0..100 {
            assert_eq!(round(), 0);
        }
    }

    const COLUMN: &[u8] = b"\x03def\0\0\0\x01a\0\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";

    fn rows(row: &[u8]) -> Vec<u8> {
        let mut answer = [encode::packets(&[1], 1), encode::packets(COLUMN, 2)].concat();
        for seq in 3..13 {
            answer.extend(encode::packets(row, seq));
        }
        answer.extend(encode::packets(b"\xfe\0\0\x02\0\0\0", 13));
        answer
    }

    #[test]
    fn query() {
        let mut session = started();
        let request = encode::packets(b"\x03select c from sbtest1 where id = 1", 0);
        steady(&mut session, &request, &rows(b"\x011"));
        let request = encode::packets(b"\x03update sbtest1 set k = k + 1 where id = 1", 0);
        let ok = encode::packets(b"\0\x01\0\x02\0\0\0\x0fRows matched: 1", 1);
        steady(&mut session, &request, &ok);
    }

    #[test]
    fn prepared_statement() {
        let mut session = started();
        let prepare = encode::packets(b"\x16select c from sbtest1 where id = ?", 0);
        turn(&mut session, Event::ClientBytes, &prepare);
        let head = encode::packets(b"\0\x07\0\0\0\x01\0\x01\0\0\0\0", 1);
        let answer = [head, encode::packets(COLUMN, 2), encode::packets(COLUMN, 3)].concat();
        turn(&mut session, Event::ServerBytes, &answer);
        let request = b"\x17\x07\0\0\0\0\x01\0\0\0\0\x01\x03\0\x05\0\0\0";
        let request = encode::packets(request, 0);
        steady(&mut session, &request, &rows(b"\0\0\x05\0\0\0"));
    }
}
