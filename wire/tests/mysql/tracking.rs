//! The session's state, as the server tells it.

use sqlward_wire::mysql::encode;

use crate::support::*;

/// An OK packet with changes in it.
fn changed(header: u8, info: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut payload = encode::ok(0, AUTOCOMMIT | CHANGED, 0);
    payload[0] = header;
    payload.extend(encode::lenenc_bytes(info));
    payload.extend(encode::lenenc_bytes(changes));
    payload
}

fn variable(name: &str, value: &str) -> Vec<u8> {
    let pair = [
        encode::lenenc_bytes(name.as_bytes()),
        encode::lenenc_bytes(value.as_bytes()),
    ]
    .concat();
    [vec![0], encode::lenenc_bytes(&pair)].concat()
}

fn changes() -> Vec<u8> {
    [
        &variable("sql_mode", "ANSI")[..],
        &variable("character_set_client", "gbk"),
        b"\x01\x03\x02db",
        b"\x02\x02\x011",
        b"\x03\x05\0\x03a:1",
        b"\x04\x06\x05BEGIN",
        b"\x05\x09\x08T_______",
        b"\x63\x02xx",
    ]
    .concat()
}

const TOLD: [&str; 7] = [
    "sql_mode=ANSI",
    "character_set_client=gbk",
    "Tracked(Schema([100, 98]))",
    "Tracked(Changed)",
    "Tracked(Gtids([97, 58, 49]))",
    "Tracked(Characteristics([66, 69, 71, 73, 78]))",
    "Tracked(Transaction([84, 95, 95, 95, 95, 95, 95, 95]))",
];

#[test]
fn a_client_that_tracks_gets_it_too() {
    let mut wire = Wire::ready(NEW);
    let log = wire.through(&query("set"), &p(1, &changed(0, b"info", &changes())));
    assert_eq!(log[1..8], TOLD);
    assert_eq!(wire.session.parameter(b"sql_mode"), Some(&b"ANSI"[..]));
    // the same value is no news
    let again = changed(0, b"", &variable("sql_mode", "ANSI"));
    let log = wire.through(&query("set"), &p(1, &again));
    assert_eq!(log[1], "[set] Done results=1 Idle");
    // rows may end in one, too
    let answer = ps(1, &[&[1], COLUMN, &changed(0xfe, b"", &variable("a", "b"))]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "a=b");
}

#[test]
fn a_client_that_does_not_gets_the_old_form() {
    let ends = Ends {
        client: NEW.client & !TRACK,
        ..NEW
    };
    let mut wire = Wire::ready(ends);
    wire.client(&query("set"));
    wire.clear();
    wire.server(&p(1, &changed(0, b"info", &changes())));
    let mut plain = ok();
    plain.extend(encode::lenenc_bytes(b"info"));
    assert_eq!(wire.got(), p(1, &plain));
    assert_eq!(wire.told()[..7], TOLD);
    // without changes nothing is rewritten
    let mut plain = encode::ok(1, AUTOCOMMIT, 0);
    plain.extend(encode::lenenc_bytes(b"Rows matched: 1"));
    wire.through(&query("update"), &p(1, &plain));
}

#[test]
fn variables_are_forgotten_when_the_session_begins_anew() {
    let mut wire = Wire::ready(NEW);
    wire.through(
        &query("set"),
        &p(1, &changed(0, b"", &variable("sql_mode", "ANSI"))),
    );
    // but for those that the same answer tells
    let reset = changed(0, b"", &variable("time_zone", "UTC"));
    let log = wire.through(&command(0x1f, b""), &p(1, &reset));
    assert_eq!(log, ["time_zone=UTC", "SessionReset"]);
    assert_eq!(wire.session.parameter(b"sql_mode"), None);
    assert_eq!(wire.session.parameter(b"time_zone"), Some(&b"UTC"[..]));
    let log = wire.through(
        &command(0x11, b"bob\0\0\0"),
        &p(1, &changed(0, b"", &variable("sql_mode", "ANSI"))),
    );
    assert_eq!(log[1], "sql_mode=ANSI");
    assert_eq!(wire.session.parameter(b"time_zone"), None);
}

#[test]
fn what_cannot_be_read_or_is_too_much_ends_the_session() {
    for bad in [
        &b"\x00\x05\x03ab"[..],
        b"\x01\x01\x02",
        b"\x05\x02\x01T",
        &b"\x02\x02\x011".repeat(1025),
    ] {
        let mut wire = Wire::ready(NEW);
        wire.client(&query("q"));
        wire.server(&p(1, &changed(0, b"", bad)));
        assert!(wire.closed, "{bad:?}");
    }
    let mut wire = Wire::ready(NEW);
    let many: Vec<u8> = (0..257)
        .flat_map(|n| variable(&format!("v{n}"), "x"))
        .collect();
    wire.client(&query("q"));
    wire.server(&p(1, &changed(0, b"", &many)));
    assert!(wire.told().last().unwrap().contains("Parameters"));
}
