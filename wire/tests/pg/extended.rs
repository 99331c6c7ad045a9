//! The extended protocol: names, portals, pipelines and what an error skips.

use sqlward_wire::Event;
use sqlward_wire::pg::{Settings, encode};

use crate::support::*;

fn p(name: &str, text: &str) -> Vec<u8> {
    encode::parse(name.as_bytes(), text.as_bytes(), &[])
}

fn b(portal: &str, name: &str) -> Vec<u8> {
    encode::bind(portal.as_bytes(), name.as_bytes(), &[], &[])
}

fn e(portal: &str) -> Vec<u8> {
    encode::execute(portal.as_bytes(), 0)
}

fn d(portal: &str) -> Vec<u8> {
    encode::describe(b'P', portal.as_bytes())
}

fn s() -> Vec<u8> {
    encode::SYNC.to_vec()
}

fn q(text: &str) -> Vec<u8> {
    encode::query(text.as_bytes())
}

/// Lets the session forget what it was told up to here.
fn quietly(wire: &mut Wire, client: &[Vec<u8>], server: &[&[u8]]) {
    wire.clients(client);
    wire.servers(server);
    wire.clear();
}

#[test]
fn a_statement_in_one_batch() {
    let mut wire = Wire::ready();
    let batch = [
        encode::parse(b"", b"select $1", &[23, 0]),
        encode::bind(b"", b"", &[1], &[Some(b"x"), None]),
        d(""),
        encode::execute(b"", 5),
        s(),
    ];
    wire.clients(&batch);
    assert_eq!(
        wire.told(),
        [
            "parse  `select $1` [23, 0]",
            "bind   `select $1` [\"Binary Some(\\\"x\\\")\", \"Binary None\"]",
            "execute  5 `b `select $1` Binary Some(\"x\"),Binary None` first=true",
        ]
    );
    assert_eq!(wire.sent(), batch.concat());
    let answer = [
        PARSED,
        BOUND,
        &columns(),
        &row(),
        &complete("SELECT 1"),
        &ready(b'I'),
    ]
    .concat();
    wire.server(&answer);
    let told = wire.told();
    assert_eq!(
        told.len(),
        2,
        "a Bind that was executed has no outcome: {told:?}"
    );
    assert_eq!(told[0], "[select $1] Prepared");
    assert!(told[1].starts_with("[e ") && told[1].ends_with("] Done rows=1"));
    assert_eq!(wire.got(), answer);
}

#[test]
fn a_prepared_statement_is_known_again() {
    let mut wire = Wire::ready();
    wire.clients(&[p("st", "x"), encode::describe(b'S', b"st"), s()]);
    wire.servers(&[PARSED, &be(b't', &[0, 0]), NO_DATA, &ready(b'I')]);
    assert_eq!(wire.told(), ["parse st `x` []", "[x] Prepared"]);
    wire.clients(&[b("po", "st"), e("po"), e("po"), s()]);
    assert_eq!(
        wire.told(),
        [
            "bind po st `x` []",
            "execute po 0 `b `x` ` first=true",
            "execute po 0 `b `x` ` first=false",
        ]
    );
    wire.servers(&[
        BOUND,
        &row(),
        &be(b's', b""),
        &complete("SELECT 0"),
        &ready(b'I'),
    ]);
    assert_eq!(
        wire.told(),
        ["[e `b `x` `] Suspended rows=1", "[e `b `x` `] Done"]
    );
}

#[test]
fn names_that_mean_nothing() {
    let mut wire = Wire::ready();
    wire.clients(&[b("", "ghost"), e("cursor"), s()]);
    assert_eq!(
        wire.told(),
        ["bind  ghost ? []", "execute cursor 0 ? first=true"]
    );
    wire.servers(&[&error("26000"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[b ? ] Failed 26000", "[e ?] Skipped"]);
}

#[test]
fn an_error_skips_to_the_sync() {
    let mut wire = Wire::ready();
    wire.clients(&[
        p("", "bad"),
        b("", ""),
        e(""),
        s(),
        p("", "good"),
        b("", ""),
        e(""),
        s(),
    ]);
    wire.clear();
    wire.servers(&[&error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "[bad] Failed 42601",
            "[b `bad` ] Skipped",
            "[e `b `bad` `] Skipped"
        ]
    );
    wire.servers(&[PARSED, BOUND, &complete("INSERT 0 1"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        ["[good] Prepared", "[e `b `good` `] Done affected=1"]
    );
}

#[test]
fn what_comes_behind_an_error_without_a_sync_is_skipped() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("a", "bad"), encode::FLUSH.to_vec()],
        &[&error("42601")],
    );
    // the server skips a Query too
    wire.clients(&[p("b", "x"), q("y")]);
    assert_eq!(
        wire.told(),
        ["parse b `x` []", "[x] Skipped", "query `y`", "[y] Skipped"]
    );
    assert_eq!(wire.sent(), [p("b", "x"), q("y")].concat());
    wire.clients(&[s(), b("", "b"), s()]);
    wire.servers(&[&ready(b'I'), &error("26000"), &ready(b'I')]);
    assert_eq!(wire.told(), ["bind  b ? []", "[b ? ] Failed 26000"]);
}

#[test]
fn a_name_in_flight_counts_within_its_batch() {
    let mut wire = Wire::ready();
    quietly(&mut wire, &[p("a", "old"), s()], &[PARSED, &ready(b'I')]);
    wire.clients(&[
        encode::close(b'S', b"a"),
        b("", "a"),
        p("a", "new"),
        b("", "a"),
        s(),
    ]);
    assert_eq!(
        wire.told(),
        ["bind  a ? []", "parse a `new` []", "bind  a `new` []"]
    );
}

#[test]
fn a_name_in_flight_is_waited_for_behind_a_sync() {
    let mut wire = Wire::ready();
    quietly(&mut wire, &[p("a", "old"), s()], &[PARSED, &ready(b'I')]);
    // the server will not let the name be taken twice: the old one stays
    wire.clients(&[p("a", "new"), s(), b("", "a"), e(""), s()]);
    assert_eq!(wire.told(), ["parse a `new` []"]);
    assert_eq!(wire.sent(), [p("a", "new"), s()].concat());
    wire.servers(&[&error("42P05"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "[new] Failed 42P05",
            "bind  a `old` []",
            "execute  0 `b `old` ` first=true"
        ]
    );
}

#[test]
fn the_unnamed_statement_is_fragile() {
    // a failing Parse destroys it, a skipped one does not
    let mut wire = Wire::ready();
    quietly(&mut wire, &[p("", "old"), s()], &[PARSED, &ready(b'I')]);
    quietly(
        &mut wire,
        &[b("", "ghost"), p("", "skipped"), s()],
        &[&error("26000"), &ready(b'I')],
    );
    quietly(&mut wire, &[], &[]);
    wire.client(&b("", ""));
    assert_eq!(wire.told(), ["bind   `old` []"]);
    quietly(&mut wire, &[s()], &[BOUND, &ready(b'I')]);
    quietly(
        &mut wire,
        &[p("", "bad"), s()],
        &[&error("42601"), &ready(b'I')],
    );
    wire.client(&b("", ""));
    assert_eq!(wire.told(), ["bind   ? []"]);
    quietly(&mut wire, &[s()], &[&error("26000"), &ready(b'I')]);
    // a simple query destroys it too
    quietly(&mut wire, &[p("", "again"), s()], &[PARSED, &ready(b'I')]);
    quietly(&mut wire, &[q("x")], &[&complete("X"), &ready(b'I')]);
    wire.client(&b("", ""));
    assert_eq!(wire.told(), ["bind   ? []"]);
}

#[test]
fn portals_die_with_their_transaction() {
    let mut wire = Wire::ready();
    quietly(&mut wire, &[p("a", "x"), s()], &[PARSED, &ready(b'T')]);
    wire.clients(&[b("c", "a"), s()]);
    wire.servers(&[BOUND, &ready(b'T')]);
    wire.clear();
    wire.client(&e("c"));
    assert_eq!(wire.told(), ["execute c 0 `b `x` ` first=true"]);
    quietly(
        &mut wire,
        &[b("d", "a"), s()],
        &[&complete("SELECT 0"), BOUND],
    );
    wire.server(&ready(b'I'));
    assert_eq!(wire.told(), ["[b `x` ] Unexecuted"]);
    wire.clients(&[e("c"), e("d")]);
    assert_eq!(
        wire.told(),
        ["execute c 0 ? first=true", "execute d 0 ? first=true"]
    );
}

#[test]
fn portals_that_are_closed_or_bound_again() {
    let mut wire = Wire::ready();
    quietly(&mut wire, &[p("a", "x"), s()], &[PARSED, &ready(b'I')]);
    wire.clients(&[b("", "a"), b("", "a"), encode::close(b'P', b""), s()]);
    wire.clear();
    wire.servers(&[BOUND, BOUND]);
    assert_eq!(wire.told(), ["[b `x` ] Unexecuted"]);
    wire.servers(&[CLOSED]);
    assert_eq!(wire.told(), ["[b `x` ] Unexecuted"]);
    wire.server(&ready(b'I'));
    assert!(wire.told().is_empty());
}

#[test]
fn every_verdict_has_one_outcome_when_the_connection_ends() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("a", "x"), b("c", "a"), s()],
        &[PARSED, BOUND, &ready(b'T')],
    );
    wire.clients(&[p("", "y"), b("", ""), e(""), s(), q("z")]);
    wire.clear();
    wire.event(Event::ServerClosed);
    assert_eq!(
        wire.told(),
        [
            "[y] Lost",
            "[b `y` ] Lost",
            "[e `b `y` `] Lost",
            "[z] Lost",
            "[b `x` ] Unexecuted",
            "close ServerClosed",
        ]
    );
    assert_eq!(wire.verdicts, wire.outcomes);
}

#[test]
fn executes_leave_the_settings_open_until_the_sync() {
    let mut wire = Wire::ready();
    wire.clients(&[
        p("", "set"),
        b("", ""),
        e(""),
        p("", r"'\'"),
        s(),
        p("", r"'\''"),
        s(),
    ]);
    let told = wire.told();
    assert_eq!(told[3], r"parse  `'\'` [] unsettled");
    assert_eq!(told.len(), 4, "the last one waits for the Sync's answer");
    wire.servers(&[PARSED, BOUND, &complete("SET"), PARSED, &ready(b'I')]);
    assert_eq!(wire.told().last().unwrap(), r"parse  `'\''` []");
}

#[test]
fn an_error_at_the_sync_itself() {
    let mut wire = Wire::ready();
    wire.clients(&[p("", "x"), b("", ""), e(""), s()]);
    wire.clear();
    wire.servers(&[
        PARSED,
        BOUND,
        &complete("INSERT 0 1"),
        &error("23503"),
        &ready(b'I'),
    ]);
    assert_eq!(
        wire.told(),
        [
            "[x] Prepared",
            "[e `b `x` `] Done affected=1",
            "CommitFailed { sqlstate: 23503 }",
            "Undone { sqlstate: 23503, tags: [\"e `b `x` `\"], more: 0 }"
        ]
    );
    assert!(wire.session.is_idle());
}

#[test]
fn what_a_failing_pipeline_takes_back_is_told() {
    let mut wire = Wire::ready();
    let insert = [p("", "x"), b("", ""), e("")];
    let bad = [p("", "bad"), s()];
    wire.clients(&[insert.concat(), insert.concat(), bad.concat()]);
    let inserted = [PARSED, BOUND, &complete("INSERT 0 1")].concat();
    wire.clear();
    wire.servers(&[&inserted, &inserted, &error("42601"), &ready(b'I')]);
    let told = wire.told();
    let tag = "\"e `b `x` `\"";
    assert_eq!(
        told.last().unwrap(),
        &format!("Undone {{ sqlstate: 42601, tags: [{tag}, {tag}], more: 0 }}")
    );
    // In a block, its end will tell; behind a Sync, what it has committed stays.
    wire.clients(&[insert.concat(), bad.concat()]);
    wire.clear();
    wire.servers(&[&inserted, &error("42601"), &ready(b'E')]);
    assert!(wire.told().iter().all(|line| !line.starts_with("Undone")));
    wire.clients(&[insert.concat(), s(), bad.concat()]);
    wire.clear();
    wire.servers(&[&inserted, &ready(b'I'), &error("42601"), &ready(b'I')]);
    assert!(wire.told().iter().all(|line| !line.starts_with("Undone")));
    // A long one tells its end, and how much there was before.
    for _ in 0..300 {
        wire.client(&insert.concat());
    }
    wire.clients(&[bad.concat()]);
    for _ in 0..300 {
        wire.server(&inserted);
    }
    wire.clear();
    wire.servers(&[&error("42601"), &ready(b'I')]);
    let told = wire.told();
    let last = told.last().unwrap();
    assert_eq!(last.matches(tag).count(), 256);
    assert!(last.ends_with("more: 44 }"), "{last}");
}

#[test]
fn part_of_a_message_leaves_the_turn_to_the_client() {
    let mut wire = Wire::ready();
    assert!(wire.session.awaits_client());
    wire.client(b"Q\0\0");
    assert!(!wire.session.is_idle());
    assert!(wire.session.awaits_client());
    wire.client(b"\0\x06x\0");
    assert!(!wire.session.awaits_client(), "the server owes an answer");
}

#[test]
fn names_that_sql_may_have_changed() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("a", "x"), p("b", "y"), s()],
        &[PARSED, PARSED, &ready(b'I')],
    );
    wire.client(&p("c", "z"));
    wire.session.forget_prepared(Some(b"a"));
    wire.session.forget_prepared(Some(b"c"));
    wire.clients(&[b("", "a"), b("", "b"), s()]);
    wire.servers(&[PARSED, BOUND, BOUND, &ready(b'I')]);
    wire.told();
    wire.client(&b("", "c"));
    assert_eq!(wire.told(), ["bind  c ? []"]);
    wire.session.forget_prepared(None);
    wire.client(&b("", "b"));
    assert_eq!(wire.told(), ["bind  b ? []"]);
}

#[test]
fn portals_that_sql_may_have_changed() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("a", "x"), b("c", "a"), s()],
        &[PARSED, BOUND, &ready(b'T')],
    );
    wire.client(&b("d", "a"));
    wire.session.forget_portals(None);
    wire.pump();
    assert_eq!(wire.told(), ["bind d a `x` []", "[b `x` ] Unexecuted"]);
    wire.servers(&[BOUND]);
    assert_eq!(wire.told(), ["[b `x` ] Unexecuted"]);
    wire.clients(&[e("c"), e("d")]);
    assert_eq!(
        wire.told(),
        ["execute c 0 ? first=true", "execute d 0 ? first=true"]
    );
}

#[test]
fn a_full_pipeline_waits() {
    let mut wire = Wire::ready_with(Settings {
        max_pending: 4,
        ..plain()
    });
    let batch: Vec<_> = (0..10).map(|_| s()).collect();
    wire.clients(&batch);
    assert_eq!(wire.sent().len(), 4 * 5);
    wire.server(&ready(b'I'));
    assert_eq!(wire.sent().len(), 5);
    wire.clear();
    wire.client(&q("x"));
    wire.servers(&[&ready(b'I'), &ready(b'I'), &ready(b'I'), &ready(b'I')]);
    assert!(wire.told().is_empty());
    for _ in 0..5 {
        wire.server(&ready(b'I'));
    }
    assert_eq!(wire.told(), ["query `x` unsettled"]);
}

#[test]
fn too_many_names() {
    let mut wire = Wire::ready_with(Settings {
        max_names: 2,
        ..plain()
    });
    wire.clients(&[
        p("a", "x"),
        p("b", "x"),
        p("", "x"),
        p("a", "y"),
        p("c", "x"),
    ]);
    let told = wire.told();
    assert_eq!(
        told.last().unwrap(),
        "close Violation(TooLarge { what: Names, limit: 2 })"
    );
    assert!(String::from_utf8_lossy(&wire.got()).contains("C54000"));
    assert_eq!(wire.verdicts, wire.outcomes);
}

#[test]
fn a_bind_that_is_too_large() {
    let mut wire = Wire::ready_with(Settings {
        max_statement_bytes: 5_000,
        ..plain()
    });
    let long = vec![b'x'; 9_000];
    wire.clients(&[
        p("", "x"),
        encode::bind(b"", b"", &[], &[Some(&long)]),
        encode::parse(b"na", &long, &[]),
        s(),
    ]);
    assert_eq!(
        wire.told(),
        [
            "parse  `x` []",
            "too large Bind 9012 4096",
            "too large Parse 9006 4093",
        ]
    );
    wire.servers(&[PARSED, &error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "[x] Prepared",
            "[too large Bind] Refused 54000",
            "[too large Parse] Refused"
        ]
    );
}
