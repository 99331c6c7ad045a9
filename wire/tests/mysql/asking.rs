//! Questions of the caller's: the client never sees them, and waits for them.

use sqlward_wire::mysql::AskError;

use crate::support::*;

fn answer(seq: u8, ends: Ends, rows: &[&[u8]]) -> Vec<u8> {
    let (eof, ok) = (eof(), ok_eof(2));
    let deprecated = ends.client & DEPRECATE != 0;
    let head: &[u8] = if ends.client & CACHE != 0 {
        &[1, 1]
    } else {
        &[1]
    };
    let mut payloads = vec![head, COLUMN];
    if !deprecated {
        payloads.push(&eof);
    }
    payloads.extend(rows);
    payloads.push(if deprecated { &ok } else { &eof });
    ps(seq, &payloads)
}

#[test]
fn the_first_command_waits_for_what_is_asked_before_it() {
    for ends in [OLD, NEW, NAMED, MARIA] {
        let mut wire = Wire::new(plain());
        wire.question = Some("select @@sql_mode");
        wire.pump();
        wire.server(&p(0, &greeting(ends)));
        wire.client(&p(1, &login(ends.client, "", b"")));
        wire.clear();
        wire.server(&p(2, &ok()));
        let asked = match ends.client & ATTRIBUTES {
            0 => query("select @@sql_mode"),
            _ => query("\0\x01select @@sql_mode"),
        };
        assert_eq!(wire.sent(), asked);
        assert_eq!(wire.got(), p(2, &ok()));
        wire.client(&command(2, b"db"));
        assert!(wire.sent().is_empty());
        wire.clear();
        wire.server(&answer(1, ends, &[b"\x04ANSI", b"\xfb"]));
        assert!(wire.got().is_empty());
        assert_eq!(wire.told(), ["answered [\"ANSI\", \"NULL\"]", "init db db"]);
        assert_eq!(wire.sent(), command(2, b"db"));
        wire.server(&p(1, &ok()));
        assert_eq!(wire.got(), p(1, &ok()));
    }
}

#[test]
fn also_behind_a_reset() {
    let mut wire = Wire::ready(OLD);
    wire.question = Some("q");
    wire.client(&[command(0x1f, b""), query("next")].concat());
    wire.clear();
    wire.server(&p(1, &ok()));
    assert_eq!(wire.sent(), query("q"));
    wire.server(&p(1, &err(1064, b"42000")));
    assert_eq!(
        wire.told(),
        [
            "SessionReset",
            "answered Failed(1064 (42000))",
            "query next"
        ]
    );
    assert_eq!(wire.got(), p(1, &ok()));
}

#[test]
fn between_commands_and_while_one_is_held() {
    let mut wire = Wire::ready(OLD);
    wire.judging = false;
    // idle
    wire.session.ask(b"a").unwrap();
    wire.session.ask(b"b").unwrap();
    wire.pump();
    assert_eq!(wire.sent(), query("a"));
    wire.server(&p(1, &ok()));
    assert_eq!(wire.sent(), query("b"));
    wire.server(&answer(1, OLD, &[]));
    assert_eq!(wire.told(), ["answered []", "answered []"]);
    // held: the question overtakes, and the command is still held behind it
    wire.client(&query("held"));
    assert_eq!(wire.told(), ["query held"]);
    wire.session.ask(b"c").unwrap();
    wire.pump();
    assert_eq!(wire.sent(), query("c"));
    wire.server(&answer(1, OLD, &[b"\x011"]));
    assert_eq!(wire.told(), ["answered [\"1\"]"]);
    wire.judge("held");
    assert_eq!(wire.sent(), query("held"));
    // in flight: it waits
    wire.session.ask(b"d").unwrap();
    wire.pump();
    assert!(wire.sent().is_empty());
    wire.server(&p(1, &ok()));
    assert_eq!(wire.sent(), query("d"));
    assert!(!wire.session.is_idle());
}

#[test]
fn a_long_answer_is_thrown_away() {
    let mut wire = Wire::ready(OLD);
    wire.session.ask(b"a").unwrap();
    wire.pump();
    let long = sqlward_wire::mysql::encode::lenenc_bytes(&vec![b'x'; 70_000]);
    wire.server(&answer(1, OLD, &[b"\x011", &long, b"\x012"]));
    assert_eq!(wire.told(), ["answered TooLarge"]);
    wire.session.ask(b"a").unwrap();
    wire.pump();
    let rows = vec![&b"\x011"[..]; 1001];
    wire.server(&answer(1, OLD, &rows));
    assert_eq!(wire.told(), ["answered TooLarge"]);
    assert!(wire.got().is_empty());
    assert!(wire.session.is_idle());
}

#[test]
fn there_is_a_time_and_a_measure() {
    let mut wire = Wire::new(plain());
    assert_eq!(wire.session.ask(b"a"), Err(AskError::NotEstablished));
    let mut wire = Wire::ready(OLD);
    assert_eq!(
        wire.session.ask(&[b'x'; 16 * 1024 + 1]),
        Err(AskError::TooLong)
    );
    for _ in 0..17 {
        wire.session.ask(b"a").unwrap();
    }
    assert_eq!(wire.session.ask(b"a"), Err(AskError::TooMany));
}
