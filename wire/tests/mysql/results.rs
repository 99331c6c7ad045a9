//! Results of COM_QUERY: rows, several results, progress, and what is not a result.

use sqlward_wire::mysql::encode;

use crate::support::*;

#[test]
fn rows_with_and_without_eof_packets() {
    let mut wire = Wire::ready(OLD);
    let answer = ps(1, &[&[1], COLUMN, &eof(), b"\x011", b"\x012", &eof()]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log, ["query q", "[q] Done rows=2 results=1 Idle"]);
    let mut wire = Wire::ready(NEW);
    let answer = ps(1, &[&[1], COLUMN, b"\x011", b"\xfb", &ok_eof(IN_TRANS)]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Done rows=2 results=1 Active");
    assert_eq!(wire.session.is_autocommit(), Some(false));
}

#[test]
fn several_results() {
    let mut wire = Wire::ready(OLD);
    let answer = ps(
        1,
        &[
            &encode::ok(3, AUTOCOMMIT | MORE, 2),
            &[1],
            COLUMN,
            &eof(),
            b"\x011",
            &encode::eof(AUTOCOMMIT | MORE, 1),
            &encode::ok(4, IN_TRANS, 0),
        ],
    );
    let log = wire.through(&query("a;b;c"), &answer);
    assert_eq!(
        log[1],
        "[a;b;c] Done rows=1 affected=7 warnings=3 results=3 Active"
    );
    // an error ends them all
    let answer = ps(
        1,
        &[&encode::ok(3, AUTOCOMMIT | MORE, 0), &err(1146, b"42S02")],
    );
    let log = wire.through(&query("a;b;c"), &answer);
    assert_eq!(log[1], "[a;b;c] Failed affected=3 results=1 1146 (42S02)");
    wire.through(&query("next"), &p(1, &ok()));
}

#[test]
fn an_error_behind_rows() {
    let mut wire = Wire::ready(NEW);
    let answer = ps(1, &[&[1], COLUMN, b"\x011", &err(1317, b"70100")]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Failed rows=1 1317 (70100)");
}

#[test]
fn rows_longer_than_a_packet() {
    for length in [0xff_ffff - 9, 0xff_ffff - 8, 0x1ff_fffe - 9, 20_000_000] {
        let value = vec![b'x'; length];
        let row = encode::lenenc_bytes(&value);
        let row = if length == 20_000_000 {
            [&row[..], &row].concat()
        } else {
            row
        };
        let (packets, next) = {
            let bytes = p(3, &row);
            let count = row.len() / 0xff_ffff + 1;
            (bytes, 3 + count as u8)
        };
        let mut wire = Wire::ready(NEW);
        wire.client(&query("q"));
        wire.clear();
        wire.server(&ps(1, &[&[1], COLUMN]));
        wire.server(&packets);
        assert!(wire.session.server.capacity() <= 4 * sqlward_wire::Pipe::LARGE);
        wire.server(&ps(next, &[b"\x011", &ok_eof(2)]));
        let log = wire.told();
        assert_eq!(log, ["[q] Done rows=2 results=1 Idle"]);
        assert!(wire.got().starts_with(&ps(1, &[&[1], COLUMN])));
        wire.through(&query("next"), &p(1, &ok()));
    }
}

#[test]
fn numbers_wrap_in_long_results() {
    let mut wire = Wire::ready(NEW);
    let mut payloads: Vec<&[u8]> = vec![&[1], COLUMN];
    payloads.extend(std::iter::repeat_n(&b"\x011"[..], 1000));
    let end = ok_eof(2);
    payloads.push(&end);
    let log = wire.through(&query("q"), &ps(1, &payloads));
    assert_eq!(log[1], "[q] Done rows=1000 results=1 Idle");
}

#[test]
fn reports_of_progress_are_no_errors() {
    let mut wire = Wire::ready(MARIA);
    let progress = b"\xff\xff\xff\x01\x01\x02\0\0\0\x04copy";
    let log = wire.through(&query("alter"), &ps(1, &[progress, progress, &ok()]));
    assert_eq!(log[1], "[alter] Done results=1 Idle");
}

#[test]
fn definitions_may_be_left_out() {
    // MariaDB's way
    let mut wire = Wire::ready(MARIA);
    let answer = ps(1, &[&[1, 0], b"\x011", &ok_eof(2)]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Done rows=1 results=1 Idle");
    let answer = ps(1, &[&[1, 1], COLUMN, b"\x011", &ok_eof(2)]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Done rows=1 results=1 Idle");
    // MySQL's
    let mut wire = Wire::ready(Ends {
        client: NEW.client | OPTIONAL,
        ..NEW
    });
    let answer = ps(1, &[&[0, 1], b"\x011", &ok_eof(2)]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Done rows=1 results=1 Idle");
    let answer = ps(1, &[&[1, 1], COLUMN, b"\x011", &ok_eof(2)]);
    let log = wire.through(&query("q"), &answer);
    assert_eq!(log[1], "[q] Done rows=1 results=1 Idle");
}

#[test]
fn query_attributes_are_shown() {
    let mut wire = Wire::ready(NAMED);
    let with = |payload: &[u8]| command(3, &[payload, b"select 1"].concat());
    let log = wire.through(&with(b"\0\x01"), &p(1, &ok()));
    assert_eq!(log[0], "query select 1");
    let attributes = [
        &b"\x03\x01\x02\x01"[..],
        b"\xfe\0\x01a\xfe\0\x01b\x08\x80\x01c",
        b"\x03one",
        b"\x07\0\0\0\0\0\0\x80",
    ]
    .concat();
    let log = wire.through(&with(&attributes), &p(1, &ok()));
    assert_eq!(
        log[0],
        "query select 1 a=Bytes([111, 110, 101]) b=Null c=UInt(9223372036854775815)"
    );
}

#[test]
fn commands_may_be_pipelined_and_are_answered_in_order() {
    let mut wire = Wire::ready(NEW);
    let all = [query("a"), query("deny"), query("b"), command(14, b"")].concat();
    wire.client(&all);
    assert_eq!(wire.sent(), query("a"));
    assert_eq!(wire.told(), ["query a"]);
    wire.server(&p(1, &ok()));
    assert_eq!(wire.sent(), query("b"));
    assert_eq!(wire.got(), [p(1, &ok()), refused(1)].concat());
    wire.server(&p(1, &ok()));
    assert_eq!(wire.sent(), command(14, b""));
    wire.server(&p(1, &ok()));
    assert_eq!(wire.got(), [p(1, &ok()), p(1, &ok())].concat());
    assert!(wire.session.is_idle());
}

#[test]
fn a_pipelining_client_waits_in_bounded_memory() {
    let mut wire = Wire::ready(NEW);
    let left = wire.read(&query("a").repeat(100_000), sqlward_wire::Leg::Client);
    assert!(left > 0);
    assert!(wire.session.client.capacity() <= 2 * sqlward_wire::Pipe::LARGE);
    assert_eq!(wire.sent(), query("a"));
}

#[test]
fn a_server_says_goodbye_unasked() {
    let mut wire = Wire::ready(NEW);
    let bye = p(0, &err(4031, b"HY000"));
    wire.server(&bye);
    assert_eq!(wire.got(), bye);
    assert_eq!(wire.told(), ["close ServerFatal(4031 (HY000))"]);
    // and when the client has just spoken, as the answer
    let mut wire = Wire::ready(NEW);
    wire.judging = false;
    wire.client(&query("q"));
    wire.server(&bye);
    assert_eq!(wire.got(), p(1, &err(4031, b"HY000")));
}

#[test]
fn a_routine_with_a_cursor_sends_its_rows() {
    let mut wire = Wire::ready(OLD);
    let mark = encode::eof(AUTOCOMMIT | CURSOR | MORE, 0);
    let answer = ps(1, &[&[1], COLUMN, &mark, b"\x011", &mark, &ok()]);
    let log = wire.through(&query("for"), &answer);
    assert_eq!(log[1], "[for] Done rows=1 results=2 Idle");
}
