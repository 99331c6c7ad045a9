//! However the bytes are cut, the same happens.

use proptest::prelude::*;
use sqlward_wire::Leg;
use sqlward_wire::mysql::encode;

use crate::support::*;

/// The ends of the conversation.
pub(crate) const ENDS: Ends = Ends {
    server: MARIA.server | ATTRIBUTES,
    client: MARIA.client | ATTRIBUTES,
    version: MARIA.version,
};

/// A conversation that comes through every state: who says what, in order.
pub(crate) fn conversation() -> Vec<(Leg, Vec<u8>)> {
    use Leg::{Client, Server};
    let q = |text: &str| command(3, format!("\0\x01{text}").as_bytes());
    let long = "w".repeat(700);
    let end = ok_eof(AUTOCOMMIT);
    let more = encode::ok(3, AUTOCOMMIT | MORE, 1);
    let changed = [
        &encode::ok(0, AUTOCOMMIT | CHANGED, 0)[..],
        b"\0\x14\0\x0c\x03abc\x07def ghi\x02\x02\x011\x63\0",
    ]
    .concat();
    let mut changed_short = encode::ok(0, AUTOCOMMIT | CHANGED, 0);
    changed_short.extend_from_slice(b"\x04info\x05\x01\x03\x02db");
    drop(changed);
    let progress = b"\xff\xff\xff\x01\x01\x02\0\0\0\x04copy";
    vec![
        (Server, p(0, &greeting(ENDS))),
        (
            Client,
            p(1, &login(ENDS.client, "mysql_native_password", b"x")),
        ),
        (Server, p(2, b"\xfeclient_ed25519\0salt")),
        (Client, p(3, &[7; 64])),
        (Server, p(4, &changed_short)),
        (Server, ps(1, &[&[1, 1], COLUMN, b"\x04ANSI", &end])),
        (
            Client,
            [q("a"), q("deny"), q(&long), command(0x0e, b"")].concat(),
        ),
        (
            Server,
            ps(
                1,
                &[&[2, 1], COLUMN, COLUMN, b"\x011\xfb", b"\x012\x013", &end],
            ),
        ),
        (Server, ps(1, &[&more, &[1, 0], b"\x01x", &end])),
        (Server, p(1, &changed_short)),
        (Client, command(0x16, b"select ?")),
        (
            Server,
            ps(
                1,
                &[b"\0\x07\0\0\0\x01\0\x02\0\0\0\0", COLUMN, COLUMN, COLUMN],
            ),
        ),
        (
            Client,
            [
                command(0x18, b"\x07\0\0\0\x01\0long data"),
                command(
                    0x17,
                    b"\x07\0\0\0\0\x01\0\0\0\x02\0\x01\x03\0\0\xfc\0\0\x05\0\0\0",
                ),
                command(0x17, b"\xff\xff\xff\xff\x01\x01\0\0\0\x02\x03\0"),
                command(0x1c, b"\x07\0\0\0\x02\0\0\0"),
                command(0x1a, b"\x07\0\0\0"),
                command(
                    0xfa,
                    b"\x07\0\0\0\x80\0\x03\0\xfd\0\0\x05\0\0\0\x01\x03\x02",
                ),
                command(0x19, b"\x07\0\0\0"),
                command(0x17, b"\x07\0\0\0\0\x01\0\0\0"),
            ]
            .concat(),
        ),
        (Server, ps(1, &[&[1, 1], COLUMN, b"\0\0\x05\0\0\0", &end])),
        (
            Server,
            ps(1, &[&[1, 1], COLUMN, &ok_eof(AUTOCOMMIT | CURSOR)]),
        ),
        (Server, ps(1, &[b"\0\0\x05\0\0\0", &end])),
        (Server, p(1, &ok())),
        (Server, ps(1, &[progress, &encode::ok(2, IN_TRANS, 0)])),
        (Client, [q("load"), p(2, b"1\n2\n"), p(3, b"")].concat()),
        (Server, p(1, b"\xfbfile")),
        (Server, p(4, &encode::ok(2, AUTOCOMMIT, 0))),
        (Client, q("other")),
        (Server, p(1, b"\xfb/etc/passwd")),
        (Server, ps(3, &[&more, &ok()])),
        (
            Client,
            command(0x11, b"bob\0\x03abcdb2\0\x2d\0mysql_native_password\0\0"),
        ),
        (Server, p(1, b"\xfeparsec\0salt")),
        (Client, p(2, b"")),
        (Server, p(3, b"\x01salt")),
        (Client, p(4, b"signature")),
        (Server, p(5, &ok())),
        (Server, p(1, &err(1064, b"42000"))),
        (
            Client,
            [
                command(0x20, b"clone"),
                command(2, b"db"),
                command(4, b"t\0%"),
                command(9, b""),
                command(10, b""),
                command(0x1b, b"\0\0"),
                command(0x12, &[0; 10]),
                command(0x1f, b""),
                p(0, &[3; 5000]),
                command(1, b""),
            ]
            .concat(),
        ),
        (Server, p(1, &ok())),
        (Server, ps(1, &[COLUMN, &end])),
        (Server, p(1, b"Uptime: 7")),
        (Server, ps(1, &[&[1, 1], COLUMN, b"\x011", &end])),
        (Server, p(1, &end)),
        (Server, ps(1, &[b"\0event", &eof()])),
        (Server, p(1, &ok())),
        (Server, p(1, &err(1064, b"42000"))),
    ]
}

fn begin() -> Wire {
    let mut wire = Wire::new(sqlward_wire::mysql::Settings {
        max_statement_bytes: 4096,
        ..plain()
    });
    wire.question = Some("ask");
    wire.files = vec![b"file"];
    wire.pump();
    wire
}

/// Plays the conversation in reads of the lengths that `cuts` gives in turn.
fn play(cuts: &[usize]) -> Wire {
    let mut wire = begin();
    let mut cuts = cuts.iter().copied().cycle();
    for (leg, bytes) in conversation() {
        let mut rest = &bytes[..];
        while !rest.is_empty() && !wire.closed {
            let n = cuts.next().unwrap_or(1).clamp(1, rest.len());
            wire.read(&rest[..n], leg);
            rest = &rest[n..];
        }
    }
    wire
}

#[test]
fn the_conversation_is_what_it_should_be() {
    let wire = play(&[usize::MAX]);
    expect_test::expect_file!["conversation.txt"].assert_eq(&(wire.log.join("\n") + "\n"));
}

#[test]
fn every_cut_gives_the_same() {
    let whole = play(&[usize::MAX]);
    for cut in 1..80 {
        let parts = play(&[cut]);
        assert_eq!(parts.log, whole.log, "{cut}");
        assert!(parts.to_server == whole.to_server, "{cut}");
        assert!(parts.to_client == whole.to_client, "{cut}");
    }
}

#[test]
fn every_single_cut_gives_the_same() {
    let whole = play(&[usize::MAX]);
    for (turn, (_, bytes)) in conversation().iter().enumerate() {
        for at in 1..bytes.len().min(300) {
            let mut wire = begin();
            for (n, (leg, bytes)) in conversation().iter().enumerate() {
                if n == turn {
                    wire.read(&bytes[..at], *leg);
                    wire.read(&bytes[at..], *leg);
                } else {
                    wire.read(bytes, *leg);
                }
            }
            assert_eq!(wire.log, whole.log, "{turn} {at}");
            assert!(wire.to_server == whole.to_server, "{turn} {at}");
            assert!(wire.to_client == whole.to_client, "{turn} {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_cuts_give_the_same(cuts in prop::collection::vec(1_usize..400, 1..40)) {
        let (whole, parts) = (play(&[usize::MAX]), play(&cuts));
        prop_assert_eq!(parts.log, whole.log);
        prop_assert!(parts.to_server == whole.to_server);
        prop_assert!(parts.to_client == whole.to_client);
    }
}
