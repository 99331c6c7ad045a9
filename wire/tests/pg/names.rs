//! Names that SQL changes, uses or may read otherwise than the protocol does.

use sqlward_wire::Event;
use sqlward_wire::pg::encode;

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

/// A session that holds the first Execute of the portal `po`, which closes all portals.
fn executing(name: Option<&[u8]>, bound: &[u8], early: bool) -> Wire {
    let mut wire = Wire::ready();
    wire.clients(&[p("", "close all"), b("po", ""), b("other", "")]);
    wire.server(bound);
    wire.judging = false;
    wire.client(&e("po"));
    wire.clear();
    let tag: Tag = "b `close all` ".into();
    if early {
        wire.session.forget_portals(name);
    }
    wire.judge(tag);
    if !early {
        wire.session.forget_portals(name);
    }
    wire.judging = true;
    wire.pump();
    wire
}

#[test]
fn a_portal_that_closes_itself_has_its_outcome() {
    let all = [PARSED, BOUND, BOUND].concat();
    for early in [true, false] {
        for answered in [0, PARSED.len(), PARSED.len() + BOUND.len(), all.len()] {
            for name in [None, Some(&b"po"[..])] {
                let (before, behind) = all.split_at(answered);
                let mut wire = executing(name, before, early);
                wire.servers(&[behind, &complete("CLOSE CURSOR ALL")]);
                let told = wire.told();
                let own = told.iter().filter(|told| told.starts_with("[b "));
                let own: Vec<_> = own.map(String::as_str).collect();
                let done = "[b `close all` ] Done";
                let unexecuted = "[b `close all` ] Unexecuted"; // that of `other`
                match name {
                    None => assert_eq!(own, [unexecuted, done], "{early} {answered}"),
                    Some(_) => assert_eq!(own, [done], "{early} {answered}"),
                }
                wire.client(&e("po"));
                assert_eq!(wire.told(), ["execute po 0 ? first=true"]);
            }
        }
    }
}

#[test]
fn a_portal_forgotten_before_its_execute_is_shown() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("", "close all"), b("a", ""), b("c", "")],
        &[PARSED, BOUND, BOUND],
    );
    wire.judging = false;
    wire.clients(&[e("a"), e("c")]);
    wire.clear();
    let verdict = sqlward_wire::Verdict::Forward {
        permit: Permit,
        tag: "first".into(),
    };
    wire.session.handle(Event::Verdict(verdict), 0);
    wire.session.forget_portals(None);
    wire.pump();
    assert_eq!(
        wire.told(),
        ["execute c 0 ? first=true", "[b `close all` ] Unexecuted"]
    );
}

#[test]
fn an_execute_that_is_skipped_speaks_for_its_portal() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[q("begin"), p("", "x"), b("po", ""), encode::FLUSH.to_vec()],
        &[&complete("BEGIN"), &ready(b'T'), PARSED, BOUND],
    );
    quietly(
        &mut wire,
        &[p("bad", "bad"), encode::FLUSH.to_vec()],
        &[&error("42601")],
    );
    wire.clients(&[e("po"), s()]);
    wire.servers(&[&ready(b'E')]);
    wire.event(Event::ServerClosed);
    assert_eq!(
        wire.told(),
        [
            "execute po 0 `b `x` ` first=true",
            "[e `b `x` `] Skipped",
            "close ServerClosed"
        ]
    );
}

#[test]
fn a_portal_that_sql_fetches_from() {
    for late in [true, false] {
        let mut wire = Wire::ready();
        wire.clients(&[q("begin"), p("", "x"), b("po", ""), b("other", "")]);
        if !late {
            wire.session.mark_portal_executed(b"po");
        }
        wire.servers(&[&complete("BEGIN"), &ready(b'T'), PARSED, BOUND, BOUND]);
        if late {
            wire.session.mark_portal_executed(b"po");
        }
        wire.session.mark_portal_executed(b"ghost");
        wire.clear();
        wire.clients(&[s(), q("fetch po; commit")]);
        wire.servers(&[&ready(b'T'), &complete("COMMIT"), &ready(b'I')]);
        assert_eq!(
            wire.told(),
            [
                "query `fetch po; commit` unsettled",
                "[b `x` ] Unexecuted",
                "[b `x` ] Done",
                "[fetch po; commit] Done Idle",
            ]
        );
        assert_eq!(wire.verdicts, wire.outcomes);
    }
}

#[test]
fn a_portal_that_sql_and_the_protocol_execute() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[q("begin"), p("", "x"), b("po", ""), s()],
        &[
            &complete("BEGIN"),
            &ready(b'T'),
            PARSED,
            BOUND,
            &ready(b'T'),
        ],
    );
    wire.session.mark_portal_executed(b"po");
    wire.client(&e("po"));
    wire.session.mark_portal_executed(b"po");
    wire.servers(&[&complete("SELECT 1")]);
    wire.event(Event::ServerClosed);
    assert_eq!(
        wire.told(),
        [
            "execute po 0 `b `x` ` first=true",
            "[e `b `x` `] Done affected=1",
            "close ServerClosed"
        ]
    );
}

#[test]
fn the_tag_of_a_portal() {
    let mut wire = Wire::ready();
    let tag = |wire: &Wire| wire.session.portal_tag(b"po").map(|tag| tag.to_string());
    assert_eq!(tag(&wire), None);
    wire.clients(&[q("begin"), p("", "x"), b("po", ""), s()]);
    assert_eq!(tag(&wire).as_deref(), Some("b `x` "), "it is in flight");
    wire.servers(&[
        &complete("BEGIN"),
        &ready(b'T'),
        PARSED,
        BOUND,
        &ready(b'T'),
    ]);
    assert_eq!(tag(&wire).as_deref(), Some("b `x` "));
    wire.client(&encode::close(b'P', b"po"));
    assert_eq!(tag(&wire), None);
    wire.servers(&[CLOSED]);
    assert_eq!(tag(&wire), None);
    wire.clients(&[b("po", "")]);
    wire.session.forget_portals(Some(b"po"));
    assert_eq!(tag(&wire), None);
}

#[test]
fn refused_names_are_known_up_to_the_sync() {
    // with and without the server's answer in between
    for answered in [false, true] {
        let mut wire = Wire::ready();
        quietly(
            &mut wire,
            &[p("st", "old"), b("po", "st"), e("po"), s()],
            &[PARSED, BOUND, &complete("X"), &ready(b'T')],
        );
        wire.client(&p("st", "deny"));
        if answered {
            wire.server(&error("42601"));
        }
        wire.clear();
        wire.clients(&[b("po", "st"), e("po"), q("x"), b("", "st"), e("")]);
        let mut told = wire.told();
        told.retain(|told| !told.starts_with('['));
        assert_eq!(
            told,
            [
                "bind po st `deny` []",
                "execute po 0 `b `deny` ` first=true",
                "query `x`",
                "bind  st `deny` []",
                "execute  0 `b `deny` ` first=true",
            ]
        );
        if !answered {
            wire.server(&error("42601"));
        }
        wire.client(&s());
        wire.server(&ready(b'T'));
        assert_eq!(wire.got().last_chunk(), Some(b"Z\0\0\0\x05T"));
        wire.clear();
        wire.clients(&[b("", "st"), e("po")]);
        assert_eq!(
            wire.told(),
            ["bind  st `old` []", "execute po 0 `b `old` ` first=false"]
        );
    }
}

#[test]
fn a_refused_bind_does_not_use_up_the_portal_of_its_name() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("st", "x"), b("po", "st"), s()],
        &[PARSED, BOUND, &ready(b'T')],
    );
    let deny = encode::bind(b"po", b"st", &[], &[Some(b"deny")]);
    wire.judging = false;
    wire.client(&deny);
    wire.judge("deny".into());
    wire.client(&e("po"));
    wire.judge("forwarded all the same".into());
    wire.clients(&[s()]);
    wire.servers(&[&error("42601"), &ready(b'I')]);
    assert_eq!(
        wire.told(),
        [
            "bind po st `x` [\"Text Some(\\\"deny\\\")\"]",
            "execute po 0 `deny` first=true",
            "[deny] Refused 42501",
            "[forwarded all the same] Skipped",
            "[b `x` ] Unexecuted",
        ]
    );
    assert_eq!(wire.verdicts, wire.outcomes);
}

#[test]
fn refused_names_are_counted() {
    let mut wire = Wire::ready_with(sqlward_wire::pg::Settings {
        max_names: 2,
        ..plain()
    });
    quietly(
        &mut wire,
        &[p("", "bad"), encode::FLUSH.to_vec()],
        &[&error("42601")],
    );
    wire.clients(&[p("a", "deny"), p("b", "deny"), p("c", "deny")]);
    wire.clear();
    wire.clients(&[b("", "b"), b("", "c"), p("b", "x"), b("", "b")]);
    let mut told = wire.told();
    told.retain(|told| told.starts_with("bind"));
    assert_eq!(told, ["bind  b `deny` []", "bind  c ? []", "bind  b ? []"]);
}

/// A session whose client writes in this encoding.
fn encoded(encoding: &str) -> Wire {
    let mut wire = Wire::ready();
    wire.server(&be(
        b'S',
        format!("client_encoding\0{encoding}\0").as_bytes(),
    ));
    wire.clear();
    wire
}

#[test]
fn names_beyond_ascii_need_utf8() {
    let (good, bad) = ("n\u{e9}".as_bytes(), &b"n\xe9"[..]);
    let messages = |name: &[u8]| {
        [
            encode::parse(name, b"x", &[]),
            encode::bind(name, b"", &[], &[]),
            encode::bind(b"", name, &[], &[]),
            encode::execute(name, 0),
            encode::describe(b'S', name),
            encode::describe(b'P', name),
            encode::close(b'S', name),
            encode::close(b'P', name),
        ]
    };
    for (encoding, name, supported) in [
        ("UTF8", good, true),
        ("SQL_ASCII", good, true),
        ("SQL_ASCII", bad, false),
        ("LATIN1", good, false),
        ("LATIN1", bad, false),
        ("LATIN1", b"ne", true),
    ] {
        for message in messages(name) {
            let mut wire = encoded(encoding);
            wire.client(&message);
            assert_eq!(!wire.closed, supported, "{encoding} {message:?}");
            if supported {
                assert_eq!(wire.sent(), message);
                continue;
            }
            assert_eq!(wire.told(), ["close Violation(Unsupported(NonAsciiName))"]);
            let got = String::from_utf8(wire.got()).unwrap();
            let said = "C0A000\0Mnon-ASCII statement names need client_encoding UTF8\0";
            assert!(got.contains(said), "{got}");
            assert!(!wire.sent().starts_with(&message));
        }
    }
}

#[test]
fn another_encoding_makes_names_unknown() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[
            p("\u{e9}", "x"),
            p("e", "y"),
            b("\u{e9}", "e"),
            b("e", "e"),
            s(),
        ],
        &[PARSED, PARSED, BOUND, BOUND, &ready(b'T')],
    );
    // what is written in the old encoding waits for the new one
    wire.clients(&[q("set"), encode::describe(b'S', "\u{e9}".as_bytes())]);
    assert_eq!(wire.sent().last_chunk(), Some(b"set\0"));
    wire.clear();
    wire.server(&be(b'S', b"client_encoding\0SQL_ASCII\0"));
    assert_eq!(
        wire.told(),
        ["[b `y` ] Unexecuted", "client_encoding=SQL_ASCII"]
    );
    wire.servers(&[&complete("SET"), &ready(b'T')]);
    wire.clear();
    wire.clients(&[b("", "\u{e9}"), b("", "e"), e("\u{e9}"), e("e")]);
    assert_eq!(
        wire.told(),
        [
            "bind  \u{e9} ? []",
            "bind  e `y` []",
            "execute \u{e9} 0 ? first=true",
            "execute e 0 `b `y` ` first=true",
        ]
    );
}

#[test]
fn names_behind_an_execute_that_may_change_the_encoding() {
    let mut wire = Wire::ready();
    quietly(
        &mut wire,
        &[p("\u{e9}", "old"), p("", "set"), s()],
        &[PARSED, PARSED, &ready(b'I')],
    );
    // there and back, so that the server has nothing to report
    wire.clients(&[b("", ""), e(""), p("\u{e9}", "new"), b("p", "\u{e9}"), s()]);
    assert_eq!(
        wire.told(),
        [
            "bind   `set` []",
            "execute  0 `b `set` ` first=true",
            "parse \u{e9} `new` [] unsettled",
            "bind p \u{e9} ? []",
        ]
    );
    wire.client(&b("", "\u{e9}"));
    assert!(wire.told().is_empty(), "it waits");
    wire.servers(&[BOUND, &complete("SET"), PARSED, BOUND, &ready(b'I')]);
    assert_eq!(wire.told().last().unwrap(), "bind  \u{e9} ? []");
}
