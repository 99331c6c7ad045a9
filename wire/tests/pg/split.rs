//! However the bytes are cut, the same happens.

use proptest::prelude::*;
use sqlward_wire::Leg;
use sqlward_wire::pg::{Settings, encode};

use crate::support::*;

/// A conversation that comes through every state: who says what, in order.
pub(crate) fn conversation() -> Vec<(Leg, Vec<u8>)> {
    let q = |text: &str| encode::query(text.as_bytes());
    let long = "w".repeat(700);
    vec![
        (Leg::Client, encode::GSSENC_REQUEST.to_vec()),
        (Leg::Client, encode::SSL_REQUEST.to_vec()),
        (
            Leg::Client,
            encode::startup((3, 2), &[(b"user", b"ann"), (b"options", b"-c x=y")]),
        ),
        (Leg::Server, be(b'v', b"\0\x03\0\0\0\0\0\0")),
        (
            Leg::Server,
            be(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
        ),
        (
            Leg::Client,
            encode::sasl_initial_response(b"SCRAM-SHA-256", b"n,,n=,r=abc"),
        ),
        (Leg::Server, be(b'R', b"\0\0\0\x0br=abcdef,s=x,i=4096")),
        (Leg::Client, be(b'p', b"c=biws,r=abcdef,p=x")),
        (
            Leg::Server,
            [
                be(b'R', b"\0\0\0\x0cv=x"),
                be(b'R', &[0; 4]),
                be(b'S', b"client_encoding\0UTF8\0"),
                be(b'K', b"\0\0\0\x07abcdefgh"),
                ready(b'I'),
            ]
            .concat(),
        ),
        (
            Leg::Client,
            [q("a"), q(r"select '\'"), q("deny"), q(&long)].concat(),
        ),
        (
            Leg::Server,
            [
                columns(),
                row(),
                be(b'N', b"SNOTICE\0Mx\0\0"),
                row(),
                complete("SELECT 2"),
                ready(b'T'),
            ]
            .concat(),
        ),
        // only now the second query was sent
        (
            Leg::Server,
            [
                error("22012"),
                ready(b'E'),
                error("42601"),
                ready(b'E'),
                error("42601"),
                ready(b'I'),
            ]
            .concat(),
        ),
        (
            Leg::Client,
            [
                encode::parse(b"st", b"x", &[23]),
                encode::describe(b'S', b"st"),
                encode::bind(b"po", b"st", &[0, 1], &[Some(b"1"), None]),
                encode::execute(b"po", 2),
                encode::execute(b"po", 2),
                encode::FLUSH.to_vec(),
                encode::parse(b"", b"deny", &[]),
                encode::execute(b"po", 2),
                encode::SYNC.to_vec(),
                encode::close(b'S', b"st"),
                encode::SYNC.to_vec(),
                encode::function_call(9, &[], &[Some(b"x")]),
            ]
            .concat(),
        ),
        (
            Leg::Server,
            [
                PARSED.to_vec(),
                be(b't', &[0, 1, 0, 0, 0, 23]),
                columns(),
                BOUND.to_vec(),
                row(),
                row(),
                be(b's', b""),
                row(),
                complete("SELECT 1"),
                error("42601"),
                ready(b'I'),
                CLOSED.to_vec(),
                ready(b'I'),
                be(b'A', b"\0\0\0\x01ch\0\0"),
                be(b'V', b"\0\0\0\x02ok"),
                ready(b'I'),
            ]
            .concat(),
        ),
        (Leg::Client, q("copy in; copy out")),
        (Leg::Server, COPY_IN.to_vec()),
        (
            Leg::Client,
            [
                be(b'd', b"1\n"),
                encode::SYNC.to_vec(),
                be(b'd', b"2\n"),
                encode::COPY_DONE.to_vec(),
            ]
            .concat(),
        ),
        (
            Leg::Server,
            [
                complete("COPY 2"),
                COPY_OUT.to_vec(),
                be(b'd', b"1\n"),
                encode::COPY_DONE.to_vec(),
                complete("COPY 1"),
                ready(b'I'),
                be(b'S', b"search_path\0x\0"),
            ]
            .concat(),
        ),
        (Leg::Client, [q("kill"), q("never")].concat()),
        (Leg::Server, [error("42601"), ready(b'I')].concat()),
    ]
}

fn settings() -> Settings {
    Settings {
        max_statement_bytes: 600,
        ..plain()
    }
}

/// Plays the conversation; `cut` tells how long the next piece of a turn is.
fn play(mut cut: impl FnMut(&[u8]) -> usize) -> (Vec<String>, Vec<u8>, Vec<u8>) {
    let mut wire = Wire::new(settings());
    for (leg, bytes) in conversation() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let n = cut(rest).clamp(1, rest.len());
            assert_eq!(
                wire.read(&rest[..n], leg),
                0,
                "there is room: {:#?}",
                wire.log
            );
            rest = &rest[n..];
            if wire.closed {
                break;
            }
        }
    }
    assert_eq!(wire.verdicts, wire.outcomes + 1, "one Bind was executed");
    (wire.log, wire.to_server, wire.to_client)
}

#[test]
fn the_conversation_comes_through_every_state() {
    let (log, to_server, to_client) = play(<[u8]>::len);
    expect_test::expect![[r#"
        startup (3, 2) user=ann options=-c x=y None
        connect
        Authenticated { method: ScramSha256 }
        client_encoding=UTF8
        BackendKey { pid: 7, key: CancelKey(..) }
        [startup (3, 2) user=ann options=-c x=y None] Done
        Established
        query `a`
        [a] Done rows=2 Active
        query `select '\'`
        query `deny` unsettled
        too large Query 701 600
    "#]]
    .assert_eq(&format!("{}\n", log[..12].join("\n")).replace("701 701", "701 600"));
    assert_eq!(log.last().unwrap(), "close Refused");
    assert!(to_server.ends_with(&encode::TERMINATE));
    assert!(!to_server.windows(5).any(|part| part == b"never"));
    assert!(to_client.starts_with(b"NNv"));
}

#[test]
fn byte_by_byte() {
    assert_eq!(play(|_| 1), play(<[u8]>::len));
}

#[test]
fn cut_once_at_every_byte() {
    let whole = play(<[u8]>::len);
    let length: usize = conversation().iter().map(|(_, bytes)| bytes.len()).sum();
    for at in 1..length {
        let mut left = at;
        let cut = play(|rest| {
            let n = if left == 0 {
                rest.len()
            } else {
                left.min(rest.len())
            };
            left -= n.min(left);
            n
        });
        assert_eq!(cut, whole, "cut at {at}");
    }
}

proptest! {
    #[test]
    fn cut_anywhere(sizes in prop::collection::vec(1_usize..40, 1..60)) {
        let mut next = sizes.iter().cycle();
        let cut = play(|_| *next.next().unwrap());
        prop_assert_eq!(cut, play(<[u8]>::len));
    }
}
