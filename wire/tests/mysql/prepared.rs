//! Prepared statements: what their executions are shown with, and which reach the server.

use sqlward_wire::mysql::{Settings, encode, errcode};

use crate::support::*;

/// The answer to a Prepare with the id 7.
fn prepared(ends: Ends, parameters: u8, columns: u8) -> Vec<u8> {
    let eof = eof();
    let head = [0, 7, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
    let mut payloads: Vec<&[u8]> = vec![&head];
    for n in [parameters, columns] {
        payloads.extend(std::iter::repeat_n(COLUMN, n.into()));
        if n > 0 && ends.client & DEPRECATE == 0 {
            payloads.push(&eof);
        }
    }
    ps(1, &payloads)
}

fn prepare(wire: &mut Wire, ends: Ends, text: &str, parameters: u8) {
    let log = wire.through(
        &command(0x16, text.as_bytes()),
        &prepared(ends, parameters, 1),
    );
    assert_eq!(log[1], format!("[{text}] Prepared results=1 Idle"));
}

const EXECUTE: &[u8] = b"\x07\0\0\0\0\x01\0\0\0";

fn execute(rest: &[u8]) -> Vec<u8> {
    command(0x17, &[EXECUTE, rest].concat())
}

#[test]
fn parameters_are_shown_with_the_types_that_were_sent_once() {
    for ends in [OLD, NEW] {
        let mut wire = Wire::ready(ends);
        prepare(&mut wire, ends, "p", 2);
        let sent = execute(b"\0\x01\x03\0\xfd\0\xff\xff\xff\xff\x02hi");
        let log = wire.through(&sent, &p(1, &encode::ok(1, AUTOCOMMIT, 0)));
        assert_eq!(
            log,
            [
                "execute 7 Sent 2 [p] Int(-1),Bytes([104, 105])",
                "[[p] Int(-1),Bytes([104, 105])] Done affected=1 results=1 Idle"
            ]
        );
        let again = execute(b"\x02\0\x05\0\0\0");
        let log = wire.through(&again, &p(1, &ok()));
        assert_eq!(log[0], "execute 7 Sent 2 [p] Int(5),Null");
    }
}

#[test]
fn every_type_is_read() {
    let values: [(u8, u8, &[u8], &str); 15] = [
        (1, 0, b"\xff", "Int(-1)"),
        (1, 0x80, b"\xff", "UInt(255)"),
        (2, 0, b"\0\x80", "Int(-32768)"),
        (13, 0x80, b"\xe9\x07", "UInt(2025)"),
        (9, 0, b"\x01\0\0\0", "Int(1)"),
        (8, 0, &[0xff; 8], "Int(-1)"),
        (4, 0, b"\0\0\x80\x3f", "Float(1.0)"),
        (5, 0, b"\0\0\0\0\0\0\xf0\x3f", "Double(1.0)"),
        (
            10,
            0,
            b"\x04\xe9\x07\x01\x02",
            "Date { year: 2025, month: 1, day: 2, time: (0, 0, 0), micros: 0 }",
        ),
        (
            12,
            0,
            b"\x0b\xe9\x07\x01\x02\x03\x04\x05\x06\0\0\0",
            "Date { year: 2025, month: 1, day: 2, time: (3, 4, 5), micros: 6 }",
        ),
        (
            7,
            0,
            b"\0",
            "Date { year: 0, month: 0, day: 0, time: (0, 0, 0), micros: 0 }",
        ),
        (
            11,
            0,
            b"\x08\x01\x02\0\0\0\x03\x04\x05",
            "Time { negative: true, days: 2, time: (3, 4, 5), micros: 0 }",
        ),
        (245, 0, b"\x02{}", "Bytes([123, 125])"),
        (246, 0, b"\x011", "Bytes([49])"),
        (252, 0, b"\0", "Bytes([])"),
    ];
    for (number, flags, bytes, shown) in values {
        let mut wire = Wire::ready(NEW);
        prepare(&mut wire, NEW, "p", 1);
        let sent = execute(&[&[0, 1, number, flags], bytes].concat());
        let log = wire.through(&sent, &p(1, &ok()));
        assert_eq!(log[0], format!("execute 7 Sent 1 [p] {shown}"));
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let bad: [&[u8]; 10] = [
        b"",
        b"\0\x01\x06\0",
        b"\0",
        b"\0\0\x01",
        b"\0\x01\x03\0\x01\0\0",
        b"\0\x01\x03\0\x01\0\0\0extra",
        b"\0\x01\x14\0\x01",
        b"\0\x02\x03\0\x01\0\0\0",
        b"\0\x01\xfd\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\x01\x0c\0\x05\0\0\0\0\0",
    ];
    for rest in bad {
        let mut wire = Wire::ready(NEW);
        prepare(&mut wire, NEW, "p", 1);
        wire.client(&execute(rest));
        assert!(wire.sent().is_empty(), "{rest:?}");
        let rejected = format!("rejected 0x17 of {}: 1835 (HY000)", execute(rest).len());
        assert_eq!(wire.told(), [rejected]);
        assert_eq!(wire.got(), malformed());
        wire.through(&command(14, b""), &p(1, &ok()));
    }
}

#[test]
fn query_attributes_beside_parameters() {
    let mut wire = Wire::ready(NAMED);
    prepare(&mut wire, NAMED, "p", 1);
    let rest = b"\x02\0\x01\x01\0\0\xfe\0\x02id\x09\x03abc";
    let sent = command(0x17, &[b"\x07\0\0\0\x08\x01\0\0\0", &rest[..]].concat());
    let log = wire.through(&sent, &p(1, &ok()));
    assert_eq!(log[0], "execute 7 Sent 1 [p] Int(9),idBytes([97, 98, 99])");
}

#[test]
fn long_data_is_counted_and_not_kept() {
    let mut wire = Wire::ready(NEW);
    prepare(&mut wire, NEW, "p", 2);
    let part = |n: usize| command(0x18, &[b"\x07\0\0\0\x01\0", &vec![b'x'; n][..]].concat());
    let parts = [part(10), part(0), part(17_000_000), part(0xff_ffff - 7)].concat();
    wire.client(&parts);
    assert_eq!(wire.sent(), parts);
    assert!(wire.told().is_empty());
    assert!(wire.session.client.capacity() <= 4 * sqlward_wire::Pipe::LARGE);
    let sent = execute(b"\0\x01\x03\0\xfc\0\x01\0\0\0");
    let log = wire.through(&sent, &p(1, &ok()));
    let all = 10 + 17_000_000 + 0xff_ffff - 7;
    assert_eq!(log[0], format!("execute 7 Sent 2 [p] Int(1),Long({all})"));
    // an execution uses it up
    let log = wire.through(&execute(b"\0\0\x01\0\0\0\x01x"), &p(1, &ok()));
    assert_eq!(log[0], "execute 7 Sent 2 [p] Int(1),Bytes([120])");
    // and so does a reset
    wire.client(&part(3));
    wire.clear();
    assert!(
        wire.through(&command(0x1a, b"\x07\0\0\0"), &p(1, &ok()))
            .is_empty()
    );
    let log = wire.through(&execute(b"\0\0\x01\0\0\0\x01x"), &p(1, &ok()));
    assert_eq!(log[0], "execute 7 Sent 2 [p] Int(1),Bytes([120])");
}

#[test]
fn a_refused_execution_leaves_no_trace_at_the_server() {
    let mut wire = Wire::ready(NEW);
    prepare(&mut wire, NEW, "p", 1);
    wire.judging = false;
    wire.client(&command(0x18, b"\x07\0\0\0\0\0long"));
    wire.client(&execute(b"\0\x01\xfc\0"));
    wire.clear();
    wire.judge("deny");
    assert_eq!(wire.got(), refused(1));
    // the long data would go into the next execution
    let reset = command(0x1a, b"\x07\0\0\0");
    assert_eq!(wire.sent(), reset);
    // the client has sent its types and won't send them again: the server gets them with the next execution
    wire.client(&execute(b"\0\0\x02hi"));
    assert!(wire.sent().is_empty());
    wire.server(&p(1, &ok()));
    assert!(wire.got().is_empty());
    let held = "execute 7 Sent 1 [p] Bytes([104, 105])";
    assert_eq!(wire.told(), ["[deny] Refused 1227 (42000)", held]);
    wire.judge("fine");
    assert_eq!(wire.sent(), execute(b"\0\x01\xfc\0\x02hi"));
    wire.server(&p(1, &ok()));
    assert_eq!(wire.got(), p(1, &ok()));
    wire.client(&execute(b"\0\0\x02ho"));
    wire.judge("fine");
    assert_eq!(wire.sent(), execute(b"\0\0\x02ho"));
}

#[test]
fn cursors_and_fetches() {
    for ends in [OLD, NEW] {
        let mut wire = Wire::ready(ends);
        prepare(&mut wire, ends, "p", 0);
        let open = command(0x17, b"\x07\0\0\0\x01\x01\0\0\0");
        let last = encode::eof(AUTOCOMMIT | CURSOR, 0);
        let end = if ends.client & DEPRECATE == 0 {
            last
        } else {
            ok_eof(AUTOCOMMIT | CURSOR)
        };
        let log = wire.through(&open, &ps(1, &[&[1], COLUMN, &end]));
        assert_eq!(
            log,
            ["execute 7 InCursor 0 [p] ", "[[p] ] Done results=1 Idle"]
        );
        let fetch = command(0x1c, b"\x07\0\0\0\x02\0\0\0");
        let end = if ends.client & DEPRECATE == 0 {
            eof()
        } else {
            ok_eof(2)
        };
        let log = wire.through(&fetch, &ps(1, &[b"\0\0\x011", b"\0\0\x012", &end]));
        assert_eq!(
            log,
            [
                "fetch 7 [p] 2",
                "[fetch 7 [p] 2] Done rows=2 results=1 Idle"
            ]
        );
        let log = wire.through(&fetch, &p(1, &err(1421, b"HY000")));
        assert_eq!(log[1], "[fetch 7 [p] 2] Failed 1421 (HY000)");
    }
}

#[test]
fn unknown_statements_are_told_what_the_server_tells() {
    let mut wire = Wire::ready(MARIA);
    let unknown = ours(1, errcode::UNKNOWN_STATEMENT, "unknown prepared statement");
    for bytes in [
        execute(b""),
        command(0x1c, b"\x07\0\0\0\x02\0\0\0"),
        command(0x1a, b"\x07\0\0\0"),
        command(0xfa, b"\x07\0\0\0\0\0"),
        command(0x17, b"\xff\xff\xff\xff\0\x01\0\0\0"),
    ] {
        wire.client(&bytes);
        assert_eq!(wire.got(), unknown);
        let (number, length) = (bytes[4], bytes.len());
        let rejected = format!("rejected {number:#x} of {length}: 1243 (HY000)");
        assert_eq!(wire.told(), [rejected]);
    }
    wire.client(&command(0x19, b"\x07\0\0\0"));
    wire.client(&command(0x18, b"\x07\0\0\0\0\0long"));
    assert!(wire.got().is_empty() && wire.sent().is_empty() && wire.told().is_empty());
    // closing is not answered
    prepare(&mut wire, MARIA, "p", 0);
    wire.client(&command(0x19, b"\x07\0\0\0"));
    assert_eq!(wire.sent(), command(0x19, b"\x07\0\0\0"));
    wire.client(&execute(b""));
    assert_eq!(wire.got(), unknown);
    wire.told();
    // a reset of the connection closes all
    prepare(&mut wire, MARIA, "p", 0);
    wire.through(&command(0x1f, b""), &p(1, &ok()));
    wire.client(&execute(b""));
    assert_eq!(wire.got(), unknown);
}

const LAST: &[u8] = b"\xff\xff\xff\xff\0\x01\0\0\0";

#[test]
fn the_last_statement_may_be_executed_behind_its_prepare() {
    let mut wire = Wire::ready(MARIA);
    let both = [command(0x16, b"p"), command(0x17, LAST)].concat();
    wire.client(&both);
    assert_eq!(wire.sent(), command(0x16, b"p"));
    wire.server(&prepared(MARIA, 0, 0));
    // what was judged is what runs: the statement is named
    assert_eq!(wire.sent(), execute(b""));
    wire.server(&p(1, &ok()));
    assert_eq!(wire.got(), [prepared(MARIA, 0, 0), p(1, &ok())].concat());
    assert_eq!(wire.told()[2], "execute 7 Sent 0 [p] ");
}

#[test]
fn nothing_runs_behind_a_prepare_that_was_refused_or_failed() {
    for text in ["deny", "fails"] {
        let mut wire = Wire::ready(MARIA);
        prepare(&mut wire, MARIA, "earlier", 0);
        wire.client(&[command(0x16, text.as_bytes()), command(0x17, LAST)].concat());
        let mut expected = refused(1);
        if text == "fails" {
            assert_eq!(wire.sent(), command(0x16, b"fails"));
            wire.server(&p(1, &err(1064, b"42000")));
            expected = p(1, &err(1064, b"42000"));
        }
        assert!(wire.sent().is_empty());
        let unknown = ours(1, errcode::UNKNOWN_STATEMENT, "unknown prepared statement");
        assert_eq!(wire.got(), [expected, unknown].concat());
        // the earlier one is still there by its id
        wire.through(&execute(b""), &p(1, &ok()));
    }
}

#[test]
fn bulk_executions_show_their_rows() {
    let mut wire = Wire::ready(MARIA);
    prepare(&mut wire, MARIA, "p", 2);
    let rows = b"\0\x01\0\0\0\0\x02hi\x01\x02\x03\0\0";
    let sent = command(0xfa, &[b"\x07\0\0\0\x80\0\x03\0\xfd\0", &rows[..]].concat());
    let log = wire.through(&sent, &p(1, &encode::ok(3, AUTOCOMMIT, 0)));
    assert_eq!(
        log,
        [
            "bulk 7 [p] [Int(1), Bytes([104, 105]), Null, Default, Ignore, Bytes([])]",
            "[bulk p] Done affected=3 results=1 Idle"
        ]
    );
    let again = command(0xfa, &[b"\x07\0\0\0\0\0", &rows[..]].concat());
    let log = wire.through(&again, &p(1, &ok()));
    assert!(log[0].contains("Int(1), Bytes([104, 105])"));
    // half a row
    wire.client(&command(0xfa, b"\x07\0\0\0\0\0\0\x01\0\0\0"));
    assert_eq!(wire.got(), malformed());
}

#[test]
fn statements_are_counted() {
    let settings = Settings {
        max_names: 1,
        ..plain()
    };
    let mut wire = Wire::ready_with(NEW, settings);
    prepare(&mut wire, NEW, "p", 0);
    wire.client(&command(0x16, b"q"));
    assert!(text(&wire.got()).contains("too many prepared statements"));
    assert_eq!(wire.told(), ["rejected 0x16 of 6: 1461 (42000)"]);
    assert!(wire.sent().is_empty());
    wire.client(&command(0x19, b"\x07\0\0\0"));
    wire.clear();
    prepare(&mut wire, NEW, "q", 0);
}
