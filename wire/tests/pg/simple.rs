//! Simple queries, function calls, and what a server may say at any time.

use sqlward_wire::pg::{Settings, encode};
use sqlward_wire::{Event, Fatal, TxStatus};

use crate::support::*;

fn q(text: &str) -> Vec<u8> {
    encode::query(text.as_bytes())
}

#[test]
fn a_query_and_its_rows() {
    let mut wire = Wire::ready();
    wire.client(&q("select 1"));
    assert_eq!(wire.told(), ["query `select 1`"]);
    assert_eq!(wire.sent(), q("select 1"));
    let answer = [columns(), row(), row(), complete("SELECT 2"), ready(b'I')].concat();
    wire.server(&answer);
    assert_eq!(wire.told(), ["[select 1] Done rows=2 Idle"]);
    assert_eq!(wire.got(), answer);
    assert_eq!(wire.session.tx_status(), Some(TxStatus::Idle));
    assert!(wire.session.is_idle());
}

#[test]
fn several_statements_in_one_query() {
    let mut wire = Wire::ready();
    wire.client(&q("begin; insert; select; update"));
    let answer = [
        complete("BEGIN"),
        complete("INSERT 0 2"),
        columns(),
        row(),
        complete("SELECT 1"),
        complete("UPDATE 3"),
        ready(b'T'),
    ]
    .concat();
    wire.server(&answer);
    assert_eq!(
        wire.told()[1],
        "[begin; insert; select; update] Done rows=1 affected=5 Active"
    );
}

#[test]
fn what_counts_as_written() {
    for (tags, said) in [
        (vec!["SELECT 7"], " affected=7"), // CREATE TABLE AS
        (vec!["SELECT 0", "FETCH 3", "MOVE 2"], ""),
        (vec!["MERGE 1", "DELETE 2"], " affected=3"),
        (vec!["COPY 4"], " affected=4"),
        (vec!["CREATE TABLE"], ""),
    ] {
        let mut wire = Wire::ready();
        wire.client(&q("x"));
        for tag in tags {
            wire.server(&complete(tag));
        }
        wire.server(&ready(b'I'));
        assert_eq!(wire.told()[1], format!("[x] Done{said} Idle"));
    }
}

#[test]
fn an_error_in_a_transaction() {
    let mut wire = Wire::ready();
    wire.client(&q("oops"));
    wire.server(&error("42601"));
    wire.server(&ready(b'E'));
    assert_eq!(wire.told()[1], "[oops] Failed 42601 Failed");
}

#[test]
fn an_empty_query() {
    let mut wire = Wire::ready();
    wire.client(&q(""));
    wire.servers(&[&be(b'I', b""), &ready(b'I')]);
    assert_eq!(wire.told()[1], "[] Done Idle");
}

#[test]
fn queries_are_matched_in_order() {
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), q("b"), q("c")]);
    assert_eq!(
        wire.told(),
        ["query `a`", "query `b` unsettled", "query `c` unsettled"]
    );
    wire.servers(&[
        &complete("INSERT 0 1"),
        &ready(b'I'),
        &error("22012"),
        &ready(b'I'),
    ]);
    assert_eq!(
        wire.told(),
        ["[a] Done affected=1 Idle", "[b] Failed 22012 Idle"]
    );
    wire.event(Event::ServerClosed);
    assert_eq!(wire.told(), ["[c] Lost", "close ServerClosed"]);
}

#[test]
fn a_text_that_reads_by_settings_waits_for_them() {
    let mut wire = Wire::ready();
    wire.clients(&[q("set x"), q(r"select '\'"), q("plain")]);
    assert_eq!(wire.told(), ["query `set x`"]);
    assert_eq!(wire.sent(), q("set x"));
    wire.server(&complete("SET"));
    wire.server(&be(b'S', b"standard_conforming_strings\0off\0"));
    assert_eq!(wire.told(), ["standard_conforming_strings=off"]);
    wire.server(&ready(b'I'));
    assert_eq!(
        wire.told(),
        [
            "[set x] Done Idle",
            r"query `select '\'`",
            "query `plain` unsettled"
        ]
    );
    assert_eq!(
        wire.session.parameter(b"standard_conforming_strings"),
        Some(&b"off"[..])
    );

    let mut wire = Wire::ready();
    wire.clients(&[q("a"), q("\u{e9}")]);
    assert_eq!(wire.told().len(), 1);
    wire.servers(&[&complete("X"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[a] Done Idle", "query `\u{e9}`"]);
}

#[test]
fn a_function_call() {
    let mut wire = Wire::ready();
    let call = encode::function_call(12, &[1], &[Some(b"x"), None]);
    wire.client(&call);
    assert_eq!(
        wire.told(),
        ["function 12 [\"Binary Some(\\\"x\\\")\", \"Binary None\"]"]
    );
    assert_eq!(wire.sent(), call);
    wire.servers(&[&be(b'V', b"\0\0\0\x01y"), &ready(b'I')]);
    let told = wire.told();
    assert!(told[0].ends_with("] Done Idle"), "{told:?}");
}

#[test]
fn what_a_server_may_say_at_any_time() {
    let mut wire = Wire::ready();
    let said = [
        be(b'N', b"SNOTICE\0\0"),
        be(b'A', b"\0\0\0\x01ch\0payload\0"),
        be(b'S', b"search_path\0public\0"),
    ]
    .concat();
    wire.server(&said);
    assert_eq!(wire.told(), ["search_path=public"]);
    wire.server(&be(b'S', b"search_path\0public\0"));
    assert!(wire.told().is_empty());
    wire.client(&q("x"));
    wire.server(&columns());
    wire.server(&said);
    wire.servers(&[&row(), &complete("SELECT 1"), &said, &ready(b'I')]);
    assert_eq!(wire.told()[1], "[x] Done rows=1 Idle");
}

#[test]
fn the_server_ends_an_idle_session() {
    let mut wire = Wire::ready();
    wire.server(&fatal("57P01"));
    assert_eq!(wire.told(), ["close ServerFatal(57P01)"]);
    assert_eq!(wire.got(), fatal("57P01"));
    assert!(wire.sent().is_empty());
}

#[test]
fn the_server_ends_a_busy_session() {
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), q("b")]);
    wire.server(&fatal("57P01"));
    assert_eq!(
        wire.told()[2..],
        ["[a] Failed 57P01", "[b] Lost", "close ServerFatal(57P01)"]
    );
}

#[test]
fn goodbyes() {
    let mut wire = Wire::ready();
    wire.client(&encode::TERMINATE);
    assert_eq!(wire.told(), ["close ClientTerminated"]);
    assert_eq!(wire.sent(), encode::TERMINATE);

    // what was sent before still runs
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), encode::TERMINATE.to_vec(), b"junk".to_vec()]);
    assert_eq!(wire.sent(), [&q("a")[..], &encode::TERMINATE].concat());
    assert_eq!(wire.told(), ["query `a`"]);
    wire.servers(&[&complete("DELETE 9"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        ["[a] Done affected=9 Idle", "close ClientTerminated"]
    );

    // and if the client does not wait for it, it is lost
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), encode::TERMINATE.to_vec()]);
    wire.event(Event::ClientClosed);
    assert_eq!(wire.told()[1..], ["[a] Lost", "close ClientTerminated"]);

    let mut wire = Wire::ready();
    wire.client(&q("a"));
    wire.event(Event::ClientClosed);
    assert_eq!(wire.told(), ["query `a`", "[a] Lost", "close ClientClosed"]);
    wire.client(b"more");
    assert!(wire.told().is_empty());
}

#[test]
fn the_caller_ends_a_session() {
    let mut wire = Wire::ready();
    wire.client(&q("a"));
    wire.sent();
    let fatal = Fatal {
        code: sqlward_wire::pg::SqlState::ADMIN_SHUTDOWN.into(),
        message: "shutting down".into(),
    };
    wire.event(Event::Abort(fatal));
    assert_eq!(
        wire.told(),
        ["query `a`", "[a] Lost", "close Aborted(57P01)"]
    );
    assert_eq!(wire.sent(), encode::TERMINATE);
    assert!(wire.got().starts_with(b"E"));
}

#[test]
fn an_error_of_any_length_streams() {
    let mut wire = Wire::ready();
    wire.chunk = 1000;
    wire.client(&q("x"));
    let long = "y".repeat(100_000);
    let code = sqlward_wire::pg::SqlState::new(b"22P02").unwrap();
    let error = encode::error_response("ERROR", code, &[(b'M', &long)]);
    wire.server(&error);
    wire.server(&ready(b'I'));
    assert_eq!(wire.told()[1], "[x] Failed 22P02 Idle");
    assert_eq!(wire.got(), [error, ready(b'I')].concat());
}

#[test]
fn a_row_of_any_length_streams() {
    let mut wire = Wire::ready();
    wire.client(&q("x"));
    wire.server(&columns());
    let row = be(b'D', &vec![7; 3_000_000]);
    let mut most = 0;
    for part in row.chunks(50_000) {
        wire.server(part);
        most = most.max(wire.session.server.capacity());
    }
    assert!(most <= 128 * 1024, "{most}");
    wire.servers(&[&complete("SELECT 1"), &ready(b'I')]);
    assert_eq!(wire.told()[1], "[x] Done rows=1 Idle");
    assert_eq!(wire.got().len(), columns().len() + row.len() + 14 + 6);
}

#[test]
fn a_statement_that_is_too_large() {
    let settings = Settings {
        max_statement_bytes: 10_000,
        ..plain()
    };
    let mut wire = Wire::ready_with(settings);
    let long = "x".repeat(1_000_000);
    wire.chunk = 5_000;
    wire.clients(&[q(&long), q("b")]);
    assert_eq!(
        wire.told(),
        ["too large Query 1000001 4096", "query `b` unsettled"]
    );
    let sent = wire.sent();
    assert!(sent.starts_with(b"Q"));
    assert!(sent.len() < 300, "{}", sent.len());
    assert!(wire.session.client.capacity() <= 128 * 1024);
    wire.servers(&[&error("42601"), &ready(b'I'), &complete("X"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        ["[too large Query] Refused 54000 Idle", "[b] Done Idle"]
    );
    let got = String::from_utf8_lossy(&wire.to_client).into_owned();
    assert!(
        got.contains("C54000") && got.contains("max_statement_bytes (10000)"),
        "{got}"
    );
}

#[test]
fn a_statement_of_the_greatest_length_is_buffered() {
    let settings = Settings {
        max_statement_bytes: 1_000_001,
        ..plain()
    };
    let mut wire = Wire::ready_with(settings);
    let long = "x".repeat(1_000_000);
    wire.chunk = 5_000;
    wire.client(&q(&long));
    assert_eq!(wire.told().len(), 1);
    assert_eq!(wire.sent(), q(&long));
    wire.servers(&[&complete("X"), &ready(b'I')]);
    assert!(
        wire.session.client.capacity() <= 128 * 1024,
        "the memory is given back"
    );
}

#[test]
fn memory_of_an_idle_session() {
    let mut wire = Wire::ready();
    wire.client(&q("a"));
    wire.servers(&[&complete("X"), &ready(b'I')]);
    wire.session.release_idle();
    assert_eq!(
        wire.session.client.capacity() + wire.session.server.capacity(),
        0
    );
    assert!(
        size_of_val(&wire.session) < 2048,
        "{}",
        size_of_val(&wire.session)
    );
}

#[test]
fn an_announced_length_costs_nothing() {
    let mut wire = Wire::ready_with(Settings {
        max_statement_bytes: u32::MAX,
        ..plain()
    });
    wire.client(b"Q\x3f\xff\xff\xf0select");
    assert!(wire.session.client.capacity() <= 16 * 1024);
    assert!(wire.told().is_empty());
}
