//! Doing without TLS to the server for a client that expects channel binding.

use sqlward_wire::pg::{ChannelBinding, ServerTls, Settings, encode};
use sqlward_wire::{Event, Leg};

use crate::support::{Wire, be, fatal, plain, ready};

const BOTH: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
const ONE: &[u8] = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
const HINT: &str = "set channel_binding=disable in the client, or give sqlward's listener the server's own certificate";

fn startup() -> Vec<u8> {
    encode::startup((3, 0), &[(b"user", b"ann"), (b"database", b"db")])
}

fn flagged() -> Vec<u8> {
    encode::sasl_initial_response(b"SCRAM-SHA-256", b"y,,n=,r=abc")
}

/// A session whose server has agreed to TLS and offers channel binding.
fn offered(server_tls: ServerTls, chunk: usize) -> Wire {
    let mut wire = Wire::new(Settings {
        server_tls,
        ..plain()
    });
    wire.chunk = chunk;
    wire.client(&startup());
    if server_tls != ServerTls::Direct {
        wire.server(b"S");
    }
    wire.event(Event::TlsUp(Leg::Server));
    wire.server(&be(b'R', BOTH));
    assert_eq!(wire.got(), be(b'R', ONE));
    wire.clear();
    wire
}

fn told_what_to_do(wire: &mut Wire) {
    let got = String::from_utf8_lossy(&wire.got()).into_owned();
    assert!(got.contains("28000") && got.contains(HINT), "{got}");
    let told = wire.told();
    assert_eq!(
        told.last().unwrap(),
        "close Violation(Unsupported(ChannelBindingExpected))"
    );
}

#[test]
fn the_session_begins_again_in_plaintext() {
    for chunk in [usize::MAX, 7, 1] {
        let mut wire = offered(ServerTls::Prefer, chunk);
        wire.client(&flagged());
        assert_eq!(wire.told(), ["reconnect"]);
        // no SSLRequest, and the client's answer waits for the server to ask for it
        assert_eq!(wire.sent(), startup());
        wire.server(&be(b'R', ONE));
        assert!(wire.got().is_empty(), "the client has had its offer");
        assert_eq!(wire.sent(), flagged());
        let more = be(b'R', b"\0\0\0\x0br=abcdef,s=x,i=4096");
        wire.server(&more);
        assert_eq!(wire.got(), more);
        let proof = be(b'p', b"c=eSws,r=abcdef,p=x");
        wire.client(&proof);
        assert_eq!(wire.sent(), proof);
        wire.server(&be(b'R', b"\0\0\0\x0cv=x"));
        wire.server(&be(b'R', &[0; 4]));
        wire.server(&ready(b'I'));
        assert_eq!(
            wire.told(),
            [
                "Authenticated { method: ScramSha256 }",
                "[startup (3, 0) user=ann database=db None] Done",
                "Established"
            ]
        );
        wire.client(&encode::query(b"select 1"));
        assert_eq!(wire.sent(), encode::query(b"select 1"));
    }
}

#[test]
fn an_unflagged_client_keeps_tls() {
    let mut wire = offered(ServerTls::Prefer, usize::MAX);
    let first = encode::sasl_initial_response(b"SCRAM-SHA-256", b"n,,n=,r=abc");
    wire.client(&first);
    assert!(wire.told().is_empty());
    assert_eq!(wire.sent(), first);
}

#[test]
fn where_tls_is_required_the_client_is_told_what_to_do() {
    for server_tls in [ServerTls::Require, ServerTls::Direct] {
        let mut wire = offered(server_tls, usize::MAX);
        wire.client(&flagged());
        assert_eq!(wire.sent(), encode::TERMINATE);
        told_what_to_do(&mut wire);
    }
}

#[test]
fn the_server_has_to_say_what_the_client_was_told() {
    for other in [
        be(b'R', &[0; 4]),
        be(b'R', b"\0\0\0\x03"),
        be(b'R', BOTH),
        be(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0"),
    ] {
        let mut wire = offered(ServerTls::Prefer, usize::MAX);
        wire.client(&flagged());
        wire.sent();
        wire.server(&other);
        assert_eq!(wire.sent(), encode::TERMINATE);
        told_what_to_do(&mut wire);
    }
    let mut wire = offered(ServerTls::Prefer, usize::MAX);
    wire.client(&flagged());
    wire.server(&ready(b'I'));
    assert!(wire.told().last().unwrap().contains("OutOfPlace(90)"));
}

#[test]
fn a_negotiation_is_told_once() {
    let negotiation = be(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0");
    let play = |again: &[u8]| {
        let mut wire = Wire::new(Settings {
            server_tls: ServerTls::Prefer,
            ..plain()
        });
        wire.client(&startup());
        wire.server(b"S");
        wire.event(Event::TlsUp(Leg::Server));
        wire.server(&[&negotiation[..], &be(b'R', BOTH)].concat());
        wire.clear();
        wire.client(&flagged());
        wire.clear();
        wire.server(again);
        wire
    };
    let mut wire = play(&[&negotiation[..], &be(b'R', ONE)].concat());
    assert!(wire.got().is_empty());
    assert_eq!(wire.sent(), flagged());
    told_what_to_do(&mut play(&be(b'R', ONE)));
}

#[test]
fn a_server_that_takes_no_plaintext() {
    let mut wire = offered(ServerTls::Prefer, usize::MAX);
    wire.client(&flagged());
    wire.told();
    wire.server(&fatal("28000"));
    assert_eq!(wire.got(), fatal("28000"));
    assert_eq!(
        wire.told(),
        [
            "AuthFailed { code: 28000 }",
            "[startup (3, 0) user=ann database=db None] Failed 28000",
            "close ServerFatal(28000)"
        ]
    );

    let mut wire = offered(ServerTls::Prefer, usize::MAX);
    wire.client(&flagged());
    wire.event(Event::ServerClosed);
    let got = String::from_utf8_lossy(&wire.got()).into_owned();
    assert!(got.contains("08001"), "{got}");
}

#[test]
fn what_was_meant_for_the_first_connection_stays_off_the_second() {
    let mut wire = offered(ServerTls::Prefer, usize::MAX);
    wire.judging = false;
    wire.server(&be(b'R', BOTH)[..9]);
    wire.client(&flagged());
    assert_eq!(wire.told(), ["reconnect"]);
    wire.event(Event::ServerConnected);
    assert_eq!(wire.sent(), startup());
    wire.server(&be(b'R', ONE));
    assert_eq!(wire.sent(), flagged());
    assert!(wire.got().is_empty());
}

#[test]
fn one_certificate_on_both_legs_lets_the_offer_through() {
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Require,
        ..plain()
    });
    wire.client(&startup());
    wire.server(b"S");
    wire.session.set_channel_binding(ChannelBinding::Offer);
    wire.event(Event::TlsUp(Leg::Server));
    wire.server(&be(b'R', BOTH));
    assert_eq!(wire.got(), be(b'R', BOTH));
    wire.clear();
    let first = encode::sasl_initial_response(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,");
    wire.client(&first);
    assert_eq!(wire.sent(), first);
    wire.server(&be(b'R', &[0; 4]));
    assert_eq!(wire.told(), ["Authenticated { method: ScramSha256Plus }"]);
}
