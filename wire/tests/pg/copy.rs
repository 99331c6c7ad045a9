//! COPY in every direction, and what drivers pipeline around it.

use sqlward_wire::pg::encode;

use crate::support::*;

fn q(text: &str) -> Vec<u8> {
    encode::query(text.as_bytes())
}

fn data(bytes: &[u8]) -> Vec<u8> {
    be(b'd', bytes)
}

fn done() -> Vec<u8> {
    encode::COPY_DONE.to_vec()
}

fn s() -> Vec<u8> {
    encode::SYNC.to_vec()
}

/// Parse, Bind and Execute of a COPY.
fn extended() -> Vec<Vec<u8>> {
    vec![
        encode::parse(b"", b"copy", &[]),
        encode::bind(b"", b"", &[], &[]),
        encode::execute(b"", 0),
    ]
}

fn behind_a_simple_copy() -> Wire {
    let mut wire = Wire::ready();
    wire.client(&q("copy"));
    wire.server(COPY_IN);
    wire.clear();
    wire
}

fn behind_an_extended_copy(early: &[Vec<u8>]) -> Wire {
    let mut wire = Wire::ready();
    wire.clients(&extended());
    wire.clients(early);
    wire.servers(&[PARSED, BOUND, COPY_IN]);
    wire.clear();
    wire
}

#[test]
fn copy_in() {
    let mut wire = behind_a_simple_copy();
    let sent = [data(b"1\n"), encode::FLUSH.to_vec(), s(), data(b""), done()];
    wire.clients(&sent);
    assert_eq!(wire.sent(), sent.concat());
    wire.servers(&[&complete("COPY 2"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[copy] Done affected=2 Idle"]);
    assert!(wire.session.is_idle());
}

#[test]
fn copy_data_streams() {
    let mut wire = behind_a_simple_copy();
    let long = data(&vec![7; 2_000_000]);
    let mut most = 0;
    for part in long.chunks(40_000) {
        wire.client(part);
        most = most.max(wire.session.client.capacity());
    }
    assert!(most <= 128 * 1024, "{most}");
    assert_eq!(wire.sent(), long);
}

#[test]
fn copy_in_that_the_client_gives_up() {
    let mut wire = behind_a_simple_copy();
    wire.clients(&[data(b"1\n"), encode::copy_fail(b"no more")]);
    wire.servers(&[&error("57014"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[copy] Failed 57014 Idle"]);
}

#[test]
fn copy_in_that_the_server_gives_up() {
    let mut wire = behind_a_simple_copy();
    wire.client(&data(b"x\n"));
    wire.servers(&[&error("22P02"), &ready(b'I')]);
    // strays, which the server ignores
    let strays = [data(b"y\n"), done(), encode::copy_fail(b"z")];
    wire.clients(&strays);
    assert_eq!(wire.sent(), [data(b"x\n"), strays.concat()].concat());
    wire.client(&q("next"));
    wire.servers(&[&complete("X"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "[copy] Failed 22P02 Idle",
            "query `next`",
            "[next] Done Idle"
        ]
    );
}

#[test]
fn strays_between_commands() {
    let mut wire = Wire::ready();
    wire.clients(&[q("a"), done(), q("b"), data(b"x"), s()]);
    wire.servers(&[
        &complete("A"),
        &ready(b'I'),
        &complete("B"),
        &ready(b'I'),
        &ready(b'I'),
    ]);
    assert!(
        wire.told()
            .ends_with(&["[a] Done Idle".to_owned(), "[b] Done Idle".to_owned()])
    );
    assert!(wire.session.is_idle());
}

#[test]
fn commands_during_copy_in() {
    for command in [
        q("x"),
        encode::parse(b"", b"x", &[]),
        encode::execute(b"", 0),
    ] {
        let mut wire = behind_a_simple_copy();
        wire.client(&command);
        let told = wire.told();
        assert_eq!(told[0], "[copy] Lost");
        assert!(told[1].contains("OutOfPlace"), "{told:?}");
        assert_eq!(wire.sent(), encode::TERMINATE);
    }
}

#[test]
fn a_sync_that_the_copy_ignores() {
    let mut wire = behind_an_extended_copy(&[s()]);
    wire.clients(&[data(b"1\n"), done(), s()]);
    wire.server(&complete("COPY 1"));
    assert_eq!(wire.told(), ["[e `b `copy` `] Done affected=1"]);
    assert!(!wire.session.is_idle());
    wire.server(&ready(b'I'));
    assert!(wire.session.is_idle());
    // no second answer is owed
    wire.server(&ready(b'I'));
    assert!(wire.told()[0].contains("OutOfPlace(90)"));
}

#[test]
fn a_copy_whose_data_was_sent_before_it_began() {
    let early = [s(), data(b"1\n"), done(), s(), q("next")];
    let mut wire = behind_an_extended_copy(&early);
    wire.servers(&[
        &complete("COPY 1"),
        &ready(b'I'),
        &complete("X"),
        &ready(b'I'),
    ]);
    assert_eq!(
        wire.told(),
        ["[e `b `copy` `] Done affected=1", "[next] Done Idle"]
    );
    assert!(wire.session.is_idle());
}

#[test]
fn two_copies_in_one_query_with_all_their_data() {
    let mut wire = Wire::ready();
    wire.clients(&[q("copy; copy"), data(b"1\n"), done(), data(b"2\n"), done()]);
    wire.servers(&[
        COPY_IN,
        &complete("COPY 1"),
        COPY_IN,
        &complete("COPY 1"),
        &ready(b'I'),
    ]);
    assert_eq!(wire.told()[1], "[copy; copy] Done affected=2 Idle");
}

#[test]
fn commands_behind_what_turns_out_to_be_a_copy() {
    let mut wire = Wire::ready();
    wire.clients(&extended());
    wire.clients(&[s(), q("next")]);
    wire.servers(&[PARSED, BOUND, COPY_IN]);
    let told = wire.told();
    assert!(
        told.last()
            .unwrap()
            .contains("peer: Client, what: PipelinedBehindCopy"),
        "{told:?}"
    );
    assert_eq!(
        wire.verdicts,
        wire.outcomes + 1,
        "an executed Bind has no outcome"
    );
}

#[test]
fn a_failing_extended_copy_skips_to_the_sync() {
    let mut wire = behind_an_extended_copy(&[s()]);
    wire.client(&data(b"x\n"));
    wire.server(&error("22P02"));
    assert_eq!(wire.told(), ["[e `b `copy` `] Failed 22P02"]);
    wire.clients(&[data(b"y\n"), done(), s()]);
    wire.server(&ready(b'I'));
    assert!(wire.session.is_idle());
    wire.client(&q("next"));
    wire.servers(&[&complete("X"), &ready(b'I')]);
    assert_eq!(wire.told(), ["query `next`", "[next] Done Idle"]);
}

#[test]
fn a_copy_that_fails_before_it_comes_to_the_sync() {
    let mut wire = behind_an_extended_copy(&[s()]);
    // cancelled at once: the early Sync is answered, and so is the later one
    wire.servers(&[&error("57014"), &ready(b'I')]);
    wire.clients(&[done(), s(), q("next")]);
    wire.servers(&[&ready(b'I'), &complete("X"), &ready(b'I')]);
    assert_eq!(wire.told().last().unwrap(), "[next] Done Idle");
    assert!(wire.session.is_idle());
}

#[test]
fn commands_while_nobody_knows_what_is_skipped() {
    let mut wire = behind_an_extended_copy(&[s()]);
    wire.server(&error("57014"));
    wire.clear();
    wire.client(&encode::parse(b"", b"x", &[]));
    assert!(wire.told()[0].contains("PipelinedBehindCopy"));
}

#[test]
fn a_copy_that_succeeds_without_its_end() {
    let mut wire = behind_a_simple_copy();
    wire.server(&complete("COPY 0"));
    assert!(wire.told().last().unwrap().contains("OutOfPlace(67)"));
}

#[test]
fn copy_out() {
    let mut wire = Wire::ready();
    wire.client(&q("copy to"));
    let answer = [
        COPY_OUT,
        &data(b"1\n"),
        &data(b"2\n"),
        &done(),
        &complete("COPY 2"),
        &ready(b'I'),
    ]
    .concat();
    wire.server(&answer);
    assert_eq!(wire.told()[1], "[copy to] Done rows=2 Idle");
    assert_eq!(wire.got(), answer);
    // an error in the middle
    wire.client(&q("copy to"));
    wire.clear();
    wire.servers(&[COPY_OUT, &data(b"1\n"), &error("57014"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[copy to] Failed 57014 Idle"]);
    // data behind its end
    wire.client(&q("copy to"));
    wire.clear();
    wire.servers(&[COPY_OUT, &done(), &data(b"1\n")]);
    assert!(wire.told()[1].contains("OutOfPlace(100)"));
}

#[test]
fn a_base_backup() {
    let mut wire = Wire::ready();
    wire.client(&q("BASE_BACKUP"));
    wire.clear();
    wire.servers(&[
        &columns(),
        &row(),
        &complete("SELECT"),
        COPY_OUT,
        &data(b"tar"),
        &done(),
    ]);
    wire.servers(&[
        COPY_OUT,
        &data(b"tar"),
        &done(),
        &columns(),
        &row(),
        &complete("SELECT"),
    ]);
    wire.servers(&[&complete("BASE_BACKUP"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[BASE_BACKUP] Done rows=2 Idle"]);
}

#[test]
fn replication_streams_both_ways() {
    let mut wire = Wire::ready();
    wire.client(&q("START_REPLICATION"));
    wire.server(COPY_BOTH);
    wire.clear();
    wire.server(&data(b"w1"));
    wire.client(&data(b"r1"));
    wire.server(&data(b"w2"));
    wire.client(&done());
    wire.server(&data(b"w3"));
    wire.servers(&[&done(), &complete("COPY 0"), &ready(b'I')]);
    assert_eq!(wire.told(), ["[START_REPLICATION] Done Idle"]);

    // the server is first to end: then comes the next timeline
    wire.client(&q("START_REPLICATION"));
    wire.servers(&[COPY_BOTH, &done()]);
    wire.client(&done());
    wire.clear();
    wire.servers(&[
        &columns(),
        &row(),
        &complete("SELECT"),
        &complete("X"),
        &ready(b'I'),
    ]);
    assert_eq!(wire.told(), ["[START_REPLICATION] Done rows=1 Idle"]);

    wire.client(&q("START_REPLICATION"));
    wire.server(COPY_BOTH);
    wire.clear();
    wire.client(&q("x"));
    assert!(wire.told()[1].contains("OutOfPlace(81)"));
}
