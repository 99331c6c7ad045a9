//! Peers that break the protocol: an error within the limits, and no memory beyond them.

use sqlward_wire::pg::encode;

use crate::support::*;

fn client_is_thrown_out(bytes: &[u8], what: &str) {
    let mut wire = Wire::ready();
    wire.client(bytes);
    let told = wire.told();
    assert!(told.last().unwrap().contains(what), "{bytes:?}: {told:?}");
    assert_eq!(wire.sent(), encode::TERMINATE, "{bytes:?}");
    let got = wire.got();
    assert!(
        got[5..].starts_with(b"SFATAL\0VFATAL\0C08P01\0M"),
        "{bytes:?}"
    );
}

#[test]
fn client_messages_that_are_none() {
    for tag in 0..=u8::MAX {
        if !b"BCdcfDEHFPpQSX".contains(&tag) {
            client_is_thrown_out(&[tag], "UnknownTag");
        }
    }
    client_is_thrown_out(b"p\0\0\0\x04", "OutOfPlace");
}

#[test]
fn client_lengths() {
    for (bytes, what) in [
        (&b"Q\0\0\0\x03"[..], "Length(81)"),
        (b"Q\0\0\0\0", "Length(81)"),
        (b"Q\xff\xff\xff\xff", "Length(81)"),
        (b"Q\x40\0\0\0", "Length(81)"),
        (b"d\x7f\xff\xff\xff", "Length(100)"),
        (b"S\0\0\0\x05", "Length(83)"),
        (b"H\0\0\0\x05", "Length(72)"),
        (b"X\0\0\0\x05", "Length(88)"),
        (b"c\0\0\0\x05", "Length(99)"),
        (b"E\0\0\x80\0", "Length(69)"),
        (b"D\0\0\x80\0", "Length(68)"),
        (b"C\0\0\x80\0", "Length(67)"),
        (b"f\0\0\x80\0", "Length(102)"),
    ] {
        client_is_thrown_out(bytes, what);
    }
}

#[test]
fn client_bodies() {
    for (tag, body, what) in [
        (b'Q', &b""[..], "Layout(81)"),
        (b'Q', b"no end", "Layout(81)"),
        (b'Q', b"two\0ends\0", "Layout(81)"),
        (b'P', b"a\0b\0", "Layout(80)"),
        (b'P', b"a\0b\0\0\x01\0\0", "Layout(80)"),
        (b'P', b"a\0b\0\0\0x", "Layout(80)"),
        (b'P', b"a\0b\0\xff\xff", "Layout(80)"),
        (b'B', b"a\0b\0\0\0\0\0", "Layout(66)"),
        (b'B', b"a\0b\0\0\0\0\x01\0\0\0\x05x\0\0", "Layout(66)"),
        (b'B', b"a\0b\0\0\0\0\x01\xff\xff\xff\xfe\0\0", "Layout(66)"),
        (
            b'B',
            b"a\0b\0\0\x02\0\0\0\0\0\x01\xff\xff\xff\xff\0\0",
            "Layout(66)",
        ),
        (b'B', b"a\0b\0\0\0\0\0\0\0\0", "Layout(66)"),
        (b'E', b"a\0\0\0\0", "Layout(69)"),
        (b'E', b"a\0\0\0\0\0\0", "Layout(69)"),
        (b'D', b"Xa\0", "Layout(68)"),
        (b'D', b"S", "Layout(68)"),
        (b'C', b"Pa\0\0", "Layout(67)"),
        (b'F', b"\0\0\0\x01\0\0\0\0", "Layout(70)"),
        (b'f', b"why", "Layout(102)"),
    ] {
        client_is_thrown_out(&be(tag, body), what);
    }
}

#[test]
fn what_was_sent_before_a_violation_has_its_outcome() {
    let mut wire = Wire::ready();
    wire.clients(&[encode::query(b"a"), b"?".to_vec()]);
    assert_eq!(
        wire.told(),
        [
            "query `a`",
            "[a] Lost",
            "close Violation(InvalidMessage(UnknownTag(63)))"
        ]
    );
}

fn server_is_blamed(wire: &mut Wire, bytes: &[u8]) {
    wire.server(bytes);
    let told = wire.told();
    assert!(
        told.last()
            .unwrap()
            .contains("PeerMisbehaved { peer: Server"),
        "{bytes:?}: {told:?}"
    );
    assert!(wire.sent().ends_with(&encode::TERMINATE));
    assert!(wire.closed);
}

#[test]
fn an_idle_server_has_no_answers() {
    for tag in 0..=u8::MAX {
        // asynchronous ones are tested elsewhere
        if b"NAS".contains(&tag) {
            continue;
        }
        let body: &[u8] = match tag {
            b'E' => b"SERROR\0VERROR\0C42601\0Mx\0\0",
            b'Z' => b"I",
            b'C' => b"X\0",
            b'K' => b"\0\0\0\x01abcd",
            b'R' => b"\0\0\0\0",
            b'D' | b'T' | b't' => b"\0\0",
            b'G' | b'H' | b'W' => b"\0\0\0",
            b'V' | b'v' => b"\0\0\0\0",
            _ => b"",
        };
        server_is_blamed(&mut Wire::ready(), &be(tag, body));
    }
}

#[test]
fn answers_to_something_else() {
    let query = encode::query(b"x");
    let parse = encode::parse(b"", b"x", &[]);
    let describe = encode::describe(b'S', b"");
    for (sent, answer) in [
        (&query, PARSED.to_vec()),
        (&query, row()),
        (&query, be(b's', b"")),
        (&query, ready(b'I')),
        (&query, [columns(), columns()].concat()),
        (&query, [columns(), ready(b'I')].concat()),
        (&query, be(b'd', b"x")),
        (&query, [error("42601"), error("42601")].concat()),
        (&query, [error("42601"), complete("X")].concat()),
        (&query, be(b'V', b"\0\0\0\0")),
        (&parse, BOUND.to_vec()),
        (&parse, complete("X")),
        (&parse, ready(b'I')),
        (&describe, columns()),
        (&describe, [be(b't', b"\0\0"), be(b't', b"\0\0")].concat()),
    ] {
        let mut wire = Wire::ready();
        wire.client(sent);
        server_is_blamed(&mut wire, &answer);
    }
}

#[test]
fn server_lengths_and_bodies() {
    for bytes in [
        &b"Z\0\0\0\x04"[..],
        b"Z\0\0\0\x06II",
        b"Z\0\0\0\x05X",
        b"1\0\0\0\x05",
        b"D\0\0\0\x03",
        b"D\x7f\xff\xff\xff",
        b"C\0\xff\0\0",
        b"S\0\x20\0\0",
        b"S\0\0\0\x06a\0",
        b"S\0\0\0\x09a\0b\0c",
        b"E\0\0\0\x05\0",
        b"E\0\0\0\x06Sx",
        b"A\0\0\0\x04",
    ] {
        let mut wire = Wire::ready();
        wire.client(&encode::query(b"x"));
        server_is_blamed(&mut wire, bytes);
    }
}

#[test]
fn a_server_that_reports_without_end() {
    let mut wire = Wire::ready();
    for n in 0..10_000 {
        wire.server(&be(b'S', format!("p{n}\0v\0").as_bytes()));
        if wire.closed {
            assert!(n < 300);
            return;
        }
        wire.told();
    }
    panic!("it goes on");
}

#[test]
fn a_torn_message_is_not_mended_by_ours() {
    let mut wire = Wire::ready();
    wire.client(&encode::query(b"x"));
    wire.server(&columns());
    wire.server(b"D\0\0\x10\0half");
    wire.clear();
    wire.client(b"?");
    assert!(wire.got().is_empty(), "the client would read it as a row");
    assert!(wire.closed);

    let mut wire = Wire::ready();
    wire.client(b"d\0\0\x10\0half");
    wire.clear();
    wire.server(b"?");
    assert!(
        wire.sent().is_empty(),
        "the server would read it as COPY data"
    );
    assert!(wire.closed);
}

#[test]
fn nothing_is_read_beyond_what_may_wait() {
    let mut wire = Wire::ready();
    wire.judging = false;
    let bytes = encode::query(&[b'x'; 100]).repeat(10_000);
    let rest = wire.read(&bytes, sqlward_wire::Leg::Client);
    assert!(bytes.len() - rest <= 64 * 1024);
    assert!(wire.session.client.is_full());
    assert!(wire.session.client.capacity() <= 128 * 1024);
}
