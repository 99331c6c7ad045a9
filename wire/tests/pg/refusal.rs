//! Refusals: the server rejects a substitute, the client reads the policy's words.

use sqlward_wire::pg::encode;

use crate::support::*;

fn q(text: &str) -> Vec<u8> {
    encode::query(text.as_bytes())
}

fn p(name: &str, text: &str) -> Vec<u8> {
    encode::parse(name.as_bytes(), text.as_bytes(), &[])
}

fn b(name: &str) -> Vec<u8> {
    encode::bind(b"", name.as_bytes(), &[], &[])
}

fn e() -> Vec<u8> {
    encode::execute(b"", 0)
}

fn s() -> Vec<u8> {
    encode::SYNC.to_vec()
}

fn substitute(name: &str) -> Vec<u8> {
    encode::parse(name.as_bytes(), SUBSTITUTE, &[])
}

const OURS: &str = "sqlward_refused";

fn ended() -> Vec<u8> {
    let message = [(b'M', "terminating connection due to sqlward policy")];
    encode::error_response(
        "FATAL",
        sqlward_wire::pg::SqlState::ADMIN_SHUTDOWN,
        &message,
    )
}

#[test]
fn a_query_in_and_out_of_a_transaction() {
    for (status, tx) in [(b'I', "Idle"), (b'E', "Failed")] {
        let mut wire = Wire::ready();
        wire.client(&q("deny"));
        assert_eq!(wire.sent(), encode::query(SUBSTITUTE));
        assert!(
            wire.got().is_empty(),
            "the client is not told before the server"
        );
        wire.servers(&[&error("42601"), &ready(status)]);
        assert_eq!(wire.got(), [refused(), ready(status)].concat());
        assert_eq!(wire.told()[1], format!("[deny] Refused 42501 {tx}"));
        wire.client(&q("next"));
        wire.servers(&[&complete("X"), &ready(b'I')]);
        assert_eq!(wire.told(), ["query `next`", "[next] Done Idle"]);
    }
}

#[test]
fn queries_around_a_refused_one() {
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), q("deny"), q("b")]);
    assert_eq!(
        wire.sent(),
        [q("a"), encode::query(SUBSTITUTE), q("b")].concat()
    );
    wire.servers(&[&complete("A"), &ready(b'I'), &error("42601"), &ready(b'I')]);
    wire.servers(&[&error("42P01"), &ready(b'I')]);
    assert_eq!(
        wire.got(),
        [
            complete("A"),
            ready(b'I'),
            refused(),
            ready(b'I'),
            error("42P01"),
            ready(b'I')
        ]
        .concat()
    );
    assert_eq!(
        wire.told()[3..],
        [
            "[a] Done Idle",
            "[deny] Refused 42501 Idle",
            "[b] Failed 42P01 Idle"
        ]
    );
}

#[test]
fn at_parse() {
    for name in ["", "st"] {
        let mut wire = Wire::ready();
        wire.clients(&[p(name, "deny"), b(name), e(), s()]);
        // what uses the name is refused, too, as the script judges by the tag
        let ours = substitute(OURS);
        assert_eq!(
            wire.sent(),
            [substitute(name), ours.clone(), ours, s()].concat()
        );
        wire.servers(&[&error("42601"), &ready(b'I')]);
        assert_eq!(wire.got(), [refused(), ready(b'I')].concat());
        assert_eq!(
            wire.told()[3..],
            [
                "[deny] Refused 42501",
                "[b `deny` ] Refused",
                "[e `b `deny` `] Refused"
            ]
        );
    }
}

#[test]
fn at_bind_and_at_execute() {
    let mut wire = Wire::ready();
    wire.clients(&[
        p("st", "x"),
        encode::bind(b"", b"st", &[], &[Some(b"deny")]),
        e(),
        s(),
    ]);
    assert_eq!(
        wire.sent(),
        [p("st", "x"), substitute(OURS), substitute(OURS), s()].concat()
    );
    wire.servers(&[PARSED, &error("42601"), &ready(b'I')]);
    assert_eq!(wire.got(), [PARSED, &refused(), &ready(b'I')].concat());
    let told = wire.told();
    assert!(told[4].ends_with("] Refused 42501"));
    assert!(told[5].ends_with("] Refused"));

    let mut wire = Wire::ready();
    wire.clients(&[p("", "a"), b(""), e(), s()]);
    wire.servers(&[PARSED, BOUND, &complete("X"), &ready(b'I')]);
    wire.clear();
    // the unnamed statement survives a refusal at Bind
    wire.clients(&[encode::bind(b"", b"", &[], &[Some(b"deny")]), s()]);
    wire.servers(&[&error("42601"), &ready(b'I')]);
    wire.clear();
    wire.client(&b(""));
    assert_eq!(wire.told(), ["bind   `a` []"]);
}

#[test]
fn at_execute_after_a_change_of_mind() {
    let mut wire = Wire::ready();
    wire.clients(&[p("", "x"), b("")]);
    wire.judging = false;
    wire.clients(&[e(), s()]);
    wire.sent();
    wire.judge("deny".into());
    assert_eq!(wire.sent(), [substitute(OURS), s()].concat());
    wire.clear();
    wire.servers(&[PARSED, BOUND, &error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "[x] Prepared",
            "[deny] Refused 42501",
            "[b `x` ] Unexecuted"
        ]
    );
    assert_eq!(
        wire.got(),
        [PARSED, BOUND, &refused(), &ready(b'I')].concat()
    );
}

#[test]
fn first_and_last_in_a_pipeline() {
    let mut wire = Wire::ready();
    wire.clients(&[
        p("", "deny"),
        s(),
        p("", "a"),
        b(""),
        e(),
        s(),
        p("", "deny too"),
        s(),
    ]);
    assert_eq!(
        wire.sent(),
        [
            substitute(""),
            s(),
            p("", "a"),
            b(""),
            e(),
            s(),
            substitute(""),
            s()
        ]
        .concat()
    );
    wire.servers(&[
        &error("42601"),
        &ready(b'I'),
        PARSED,
        BOUND,
        &complete("X"),
        &ready(b'I'),
    ]);
    wire.servers(&[&error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.got(),
        [
            &refused()[..],
            &ready(b'I'),
            PARSED,
            BOUND,
            &complete("X"),
            &ready(b'I'),
            &refused(),
            &ready(b'I'),
        ]
        .concat()
    );
}

#[test]
fn behind_an_error_the_server_skips_the_substitute_too() {
    let mut wire = Wire::ready();
    wire.clients(&[p("", "bad"), p("", "deny"), s()]);
    wire.servers(&[&error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.got(),
        [error("42601"), ready(b'I')].concat(),
        "that error is not ours"
    );
    assert_eq!(wire.told()[2..], ["[bad] Failed 42601", "[deny] Refused"]);
}

#[test]
fn a_function_call() {
    let mut wire = Wire::ready();
    wire.client(&encode::function_call(1, &[], &[Some(b"deny")]));
    assert_eq!(wire.sent(), encode::query(SUBSTITUTE));
    wire.servers(&[&error("42601"), &ready(b'I')]);
    assert_eq!(wire.got(), [refused(), ready(b'I')].concat());
}

#[test]
fn a_copy_is_refused_before_it_begins() {
    let mut wire = Wire::ready();
    wire.client(&q("copy t from stdin -- deny"));
    wire.servers(&[&error("42601"), &ready(b'I')]);
    wire.clear();
    // data that was sent blindly is ignored by the server
    wire.clients(&[be(b'd', b"1\n"), encode::COPY_DONE.to_vec()]);
    assert!(wire.session.is_idle());
    assert!(wire.told().is_empty());
}

#[test]
fn a_server_that_obeys_a_substitute() {
    for answer in [
        complete("DROP TABLE"),
        be(b'I', b""),
        PARSED.to_vec(),
        ready(b'I'),
    ] {
        for refused in [q("deny"), p("", "deny")] {
            let mut wire = Wire::ready();
            wire.client(&refused);
            wire.server(&answer);
            let told = wire.told();
            assert!(told.last().unwrap().contains("peer: Server"), "{told:?}");
            assert_eq!(told[1], "[deny] Refused");
        }
    }
}

#[test]
fn a_fatal_error_is_not_rewritten() {
    let mut wire = Wire::ready();
    wire.client(&q("deny"));
    wire.server(&fatal("57P01"));
    assert_eq!(wire.got(), fatal("57P01"));
    assert_eq!(
        wire.told()[1..],
        ["[deny] Refused 57P01", "close ServerFatal(57P01)"]
    );
}

#[test]
fn a_refusal_that_ends_the_session() {
    for (sent, next) in [(q("kill"), ready(b'I')), (p("", "kill"), Vec::new())] {
        let mut wire = Wire::ready();
        wire.clients(&[q("a"), sent, q("b")]);
        assert_eq!(wire.told().len(), 2, "nothing is read behind it");
        wire.sent();
        wire.servers(&[&complete("A"), &ready(b'I')]);
        wire.clear();
        wire.servers(&[&error("42601"), &next]);
        assert_eq!(wire.got(), [refused(), ended()].concat());
        let told = wire.told();
        assert!(told[0].starts_with("[kill] Refused 42501"), "{told:?}");
        assert_eq!(told[1], "close Refused");
        assert_eq!(wire.sent(), encode::TERMINATE);
    }
}

#[test]
fn a_refusal_that_ends_the_session_though_the_server_skips_it() {
    // known to be skipped when it is refused
    let mut wire = Wire::ready();
    wire.client(&p("", "bad"));
    wire.server(&error("42601"));
    wire.clear();
    wire.client(&p("", "kill"));
    assert_eq!(wire.told()[1..], ["[kill] Refused", "close Refused"]);
    assert_eq!(wire.got(), ended());
    // known only when the error comes, here in two reads
    let mut wire = Wire::ready();
    wire.clients(&[p("", "bad"), p("", "kill"), s()]);
    wire.clear();
    let error = error("42601");
    wire.server(&error[..8]);
    wire.server(&error[8..]);
    assert_eq!(
        wire.told(),
        ["[bad] Failed 42601", "[kill] Refused", "close Refused"]
    );
    assert_eq!(wire.got(), [error, ended()].concat());
}

#[test]
fn a_long_error_about_a_substitute_is_replaced_as_a_whole() {
    let mut wire = Wire::ready();
    wire.chunk = 999;
    wire.client(&q("deny"));
    let long = "z".repeat(60_000);
    let code = sqlward_wire::pg::SqlState::SYNTAX_ERROR;
    wire.server(&encode::error_response("ERROR", code, &[(b'M', &long)]));
    wire.server(&ready(b'I'));
    assert_eq!(wire.got(), [refused(), ready(b'I')].concat());
}

#[test]
fn many_refusals_do_not_swell_the_pipe() {
    let mut wire = Wire::ready();
    wire.writing = false;
    let batch: Vec<_> = (0..10_000).map(|_| p("", "deny")).collect();
    let batch = batch.concat();
    let rest = wire.read(&batch, sqlward_wire::Leg::Client);
    assert!(rest > 0, "the client has to wait");
    assert!(
        wire.session.client.capacity() < 256 * 1024,
        "{}",
        wire.session.client.capacity()
    );
    wire.writing = true;
    wire.pump();
    let from = batch.len() - rest;
    wire.client(&batch[from..]);
    assert_eq!(wire.verdicts, 10_001, "and the startup's");
}
