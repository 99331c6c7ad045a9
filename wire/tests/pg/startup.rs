//! From the first byte to the first ReadyForQuery.

use crate::support::*;
use sqlward_wire::pg::{ChannelBinding, ClientTls, ServerTls, Settings, SqlState, encode};
use sqlward_wire::{Event, Fatal, Leg};

fn startup() -> Vec<u8> {
    encode::startup((3, 0), &[(b"user", b"ann")])
}

fn with(client_tls: ClientTls, server_tls: ServerTls) -> Wire {
    Wire::new(Settings {
        client_tls,
        server_tls,
        ..Settings::default()
    })
}

#[test]
fn a_startup_without_tls() {
    let mut wire = Wire::new(plain());
    wire.start();
    assert_eq!(
        wire.told(),
        [
            "startup (3, 0) user=ann database=db None",
            "connect",
            "Authenticated { method: Trust }",
            "client_encoding=UTF8",
            "BackendKey { pid: 7, key: CancelKey(..) }",
            "[startup (3, 0) user=ann database=db None] Done",
            "Established",
        ]
    );
    let startup = encode::startup((3, 0), &[(b"user", b"ann"), (b"database", b"db")]);
    assert_eq!(wire.sent(), startup);
    assert!(wire.got().ends_with(&ready(b'I')));
    assert!(wire.session.is_idle());
}

#[test]
fn nothing_goes_to_the_server_before_the_verdict() {
    let mut wire = Wire::new(plain());
    wire.judging = false;
    wire.client(&startup());
    assert_eq!(wire.told(), ["startup (3, 0) user=ann None"]);
    assert!(wire.sent().is_empty());
}

#[test]
fn a_refused_startup() {
    let mut wire = Wire::new(plain());
    wire.client(&encode::startup((3, 0), &[(b"user", b"deny")]));
    assert_eq!(
        wire.told(),
        [
            "startup (3, 0) user=deny None",
            "[startup (3, 0) user=deny None] Refused 42501",
            "close Refused"
        ]
    );
    let fields = [
        (b'M', "refused by policy"),
        (b'D', "rule r"),
        (b'H', "event e"),
    ];
    let fatal = encode::error_response("FATAL", SqlState::INSUFFICIENT_PRIVILEGE, &fields);
    assert_eq!(wire.got(), fatal);
    assert!(wire.sent().is_empty());
}

#[test]
fn tls_on_both_legs() {
    let mut wire = with(ClientTls::Prefer, ServerTls::Prefer);
    wire.client(&encode::SSL_REQUEST);
    assert_eq!(
        wire.told(),
        ["StartTls { leg: Client, negotiation: Requested }"]
    );
    assert_eq!(wire.got(), b"S");
    wire.event(Event::TlsUp(Leg::Client));
    wire.client(&startup());
    assert_eq!(wire.told(), ["startup (3, 0) user=ann None", "connect"]);
    assert_eq!(wire.sent(), encode::SSL_REQUEST);
    wire.server(b"S");
    assert_eq!(
        wire.told(),
        ["StartTls { leg: Server, negotiation: Requested }"]
    );
    assert!(wire.sent().is_empty() && wire.got().is_empty());
    wire.event(Event::TlsUp(Leg::Server));
    assert_eq!(wire.sent(), startup());
    assert!(wire.session.client_is_tls());
}

#[test]
fn tls_declined_on_both_legs() {
    let mut wire = with(ClientTls::Disable, ServerTls::Prefer);
    wire.client(&encode::GSSENC_REQUEST);
    assert_eq!(wire.got(), b"N");
    wire.client(&encode::SSL_REQUEST);
    assert_eq!(wire.got(), b"N");
    wire.client(&startup());
    wire.sent();
    wire.server(b"N");
    assert_eq!(wire.sent(), startup());
    assert!(wire.got().is_empty());
}

#[test]
fn direct_tls_on_both_legs() {
    let mut wire = with(ClientTls::Require, ServerTls::Direct);
    wire.client(b"\x16\x03\x01");
    assert_eq!(
        wire.told(),
        ["StartTls { leg: Client, negotiation: Direct }"]
    );
    assert_eq!(wire.session.take_tls_preamble(), b"\x16\x03\x01");
    wire.event(Event::TlsUp(Leg::Client));
    wire.client(&startup());
    wire.told();
    assert!(wire.sent().is_empty());
    wire.event(Event::TlsUp(Leg::Server));
    assert_eq!(wire.sent(), startup());
}

fn violation(wire: &mut Wire, what: &str, code: &str) {
    let told = wire.told();
    let last = told.last().expect("it closes");
    assert!(
        last.starts_with("close Violation") && last.contains(what),
        "{told:?}"
    );
    let got = wire.got();
    let at = got
        .iter()
        .position(|&b| b == b'E')
        .expect("the client is told");
    let body = &got[at + 5..];
    assert!(
        body.starts_with(format!("SFATAL\0VFATAL\0C{code}\0M").as_bytes()),
        "{body:?}"
    );
}

#[test]
fn violations_at_the_start() {
    for (bytes, what, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "StartupLength", "08P01"),
        (b"\0\0\0\0".to_vec(), "StartupLength", "08P01"),
        (b"\0\0\x27\x11\0\x03\0\0".to_vec(), "StartupLength", "08P01"),
        (encode::startup((2, 0), &[]), "Protocol(2, 0)", "0A000"),
        (
            encode::startup((3, 0), &[(b"user", b"a"), (b"user", b"b")]),
            "StartupLayout",
            "08P01",
        ),
        (
            [startup(), encode::query(b"select 1")].concat(),
            "OutOfPlace(81)",
            "08P01",
        ),
        (
            [encode::GSSENC_REQUEST; 2].concat(),
            "Protocol(1234, 5680)",
            "0A000",
        ),
        (
            [&encode::SSL_REQUEST[..], b"x"].concat(),
            "PlaintextBehindTls",
            "08P01",
        ),
    ] {
        let mut wire = Wire::new(plain());
        wire.client(&bytes);
        violation(&mut wire, what, code);
    }
    let mut wire = Wire::new(plain());
    wire.client(&encode::SSL_REQUEST);
    wire.client(&encode::SSL_REQUEST);
    violation(&mut wire, "Protocol(1234, 5679)", "0A000");
}

#[test]
fn plaintext_behind_an_accepted_request_for_tls() {
    let mut wire = with(ClientTls::Prefer, ServerTls::Disable);
    wire.client(&encode::SSL_REQUEST);
    wire.client(&startup());
    // it expects TLS: what else it got would be garbage to it
    assert!(wire.told().last().unwrap().contains("PlaintextBehindTls"));
    assert_eq!(wire.got(), b"S");
}

#[test]
fn tls_where_it_is_demanded() {
    let mut wire = with(ClientTls::Require, ServerTls::Disable);
    wire.client(&startup());
    violation(&mut wire, "ClientWithoutTls", "28000");
    let mut wire = with(ClientTls::Disable, ServerTls::Require);
    wire.client(&startup());
    wire.server(b"N");
    violation(&mut wire, "ServerWithoutTls", "08001");
    let mut wire = with(ClientTls::Disable, ServerTls::Disable);
    wire.client(b"\x16\x03\x01");
    assert_eq!(
        wire.told(),
        ["close Violation(Unsupported(ClientTlsDisabled))"]
    );
    assert!(wire.got().is_empty());
}

#[test]
fn servers_that_answer_the_request_for_tls_wrongly() {
    for (answer, what) in [
        (&b"Sx"[..], "PlaintextBehindTls"),
        (b"NR", "PlaintextBehindTls"),
        (b"E\0\0\0\x10", "ServerWithoutTls"),
        (b"R", "TlsAnswer"),
    ] {
        let mut wire = with(ClientTls::Disable, ServerTls::Prefer);
        wire.client(&startup());
        wire.server(answer);
        violation(&mut wire, what, "08001");
    }
    let mut wire = with(ClientTls::Disable, ServerTls::Prefer);
    wire.client(&startup());
    wire.server(b"S");
    wire.server(b"R");
    violation(&mut wire, "PlaintextBehindTls", "08001");
    let mut wire = with(ClientTls::Disable, ServerTls::Prefer);
    wire.client(&startup());
    wire.event(Event::ServerClosed);
    assert_eq!(wire.told().last().unwrap(), "close ServerClosed");
    assert!(wire.got().starts_with(b"E"));
}

#[test]
fn cancel_requests() {
    for key in [&b"abcd"[..], &[9; 32]] {
        let mut wire = with(ClientTls::Prefer, ServerTls::Prefer);
        wire.client(&encode::cancel_request(77, key));
        assert_eq!(
            wire.told(),
            [
                "Cancel { pid: 77, key: CancelKey(..) }",
                "close CancelRequest"
            ]
        );
        assert!(wire.got().is_empty() && wire.sent().is_empty());
    }
}

#[test]
fn a_password_passes_untouched() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.clear();
    let ask = be(b'R', b"\0\0\0\x05salt");
    wire.server(&ask);
    assert_eq!(wire.got(), ask);
    let answer = be(b'p', b"md5secret\0");
    wire.client(&answer);
    assert_eq!(wire.sent(), answer);
    wire.server(&be(b'R', &[0; 4]));
    assert_eq!(wire.told(), ["Authenticated { method: Md5 }"]);
}

#[test]
fn scram_passes_without_its_channel_binding_offer() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.clear();
    wire.server(&be(
        b'R',
        b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    ));
    assert_eq!(wire.got(), be(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
    let first = encode::sasl_initial_response(b"SCRAM-SHA-256", b"n,,n=,r=abc");
    wire.client(&first);
    let more = be(b'R', b"\0\0\0\x0br=abcdef,s=x,i=4096");
    wire.server(&more);
    let proof = be(b'p', b"c=biws,r=abcdef,p=x");
    wire.client(&proof);
    wire.server(&be(b'R', b"\0\0\0\x0cv=x"));
    wire.server(&be(b'R', &[0; 4]));
    assert_eq!(wire.sent(), [first, proof].concat());
    assert_eq!(wire.told(), ["Authenticated { method: ScramSha256 }"]);
}

#[test]
fn a_client_that_expects_channel_binding_is_told_what_to_do() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(
        b'R',
        b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    ));
    wire.clear();
    wire.client(&encode::sasl_initial_response(
        b"SCRAM-SHA-256",
        b"y,,n=,r=abc",
    ));
    let got = String::from_utf8_lossy(&wire.to_client).into_owned();
    assert!(got.contains("channel_binding=disable"), "{got}");
    violation(&mut wire, "ChannelBindingExpected", "28000");
    assert_eq!(wire.sent(), encode::TERMINATE);

    let settings = Settings {
        channel_binding: ChannelBinding::Offer,
        ..plain()
    };
    let mut wire = Wire::new(settings);
    wire.client(&startup());
    wire.server(&be(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"));
    wire.clear();
    let first = encode::sasl_initial_response(b"SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,");
    wire.client(&first);
    assert_eq!(wire.sent(), first);
}

#[test]
fn only_answers_are_taken_before_the_client_is_in() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.client(&be(b'p', b"unasked\0"));
    violation(&mut wire, "OutOfPlace(112)", "08P01");

    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(b'R', b"\0\0\0\x03"));
    wire.clear();
    wire.client(&encode::query(b"select 1"));
    violation(&mut wire, "OutOfPlace(81)", "08P01");

    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(b'R', b"\0\0\0\x03"));
    wire.clear();
    wire.client(b"p\x00\x01\x00\x05");
    violation(&mut wire, "Length(112)", "08P01");
}

#[test]
fn commands_behind_the_authentication_wait_for_the_server() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(b'R', &[0; 4]));
    wire.clear();
    wire.client(&encode::query(b"select 1"));
    assert!(wire.told().is_empty() && wire.sent().is_empty());
    wire.server(&ready(b'I'));
    assert_eq!(
        wire.told(),
        [
            "[startup (3, 0) user=ann None] Done",
            "Established",
            "query `select 1`"
        ]
    );
    assert_eq!(wire.sent(), encode::query(b"select 1"));
}

#[test]
fn a_failed_authentication() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(b'R', b"\0\0\0\x03"));
    wire.client(&be(b'p', b"wrong\0"));
    wire.clear();
    wire.server(&fatal("28P01"));
    assert_eq!(
        wire.told(),
        [
            "AuthFailed { code: 28P01 }",
            "[startup (3, 0) user=ann None] Failed 28P01",
            "close ServerFatal(28P01)"
        ]
    );
    assert_eq!(wire.got(), fatal("28P01"));
}

#[test]
fn a_database_that_does_not_exist() {
    let mut wire = Wire::new(plain());
    wire.client(&startup());
    wire.server(&be(b'R', &[0; 4]));
    wire.clear();
    wire.server(&fatal("3D000"));
    assert_eq!(
        wire.told(),
        [
            "[startup (3, 0) user=ann None] Failed 3D000",
            "close ServerFatal(3D000)"
        ]
    );
    assert_eq!(wire.got(), fatal("3D000"));
}

#[test]
fn protocol_negotiation_passes() {
    let mut wire = Wire::new(plain());
    let startup = encode::startup((3, 2), &[(b"user", b"ann"), (b"_pq_.x", b"y")]);
    wire.client(&startup);
    assert_eq!(wire.sent(), startup);
    let negotiate = be(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0");
    wire.server(&negotiate);
    assert_eq!(wire.got(), negotiate);
    wire.server(&be(b'R', &[0; 4]));
    wire.clear();
    wire.server(&be(b'K', &[&[0, 0, 0, 7][..], &[8; 256]].concat()));
    assert_eq!(wire.told(), ["BackendKey { pid: 7, key: CancelKey(..) }"]);
}

#[test]
fn servers_that_speak_out_of_turn() {
    for message in [
        ready(b'I'),
        complete("SELECT 1"),
        be(b'S', b"a\0b\0"),
        be(b'?', b""),
    ] {
        let mut wire = Wire::new(plain());
        wire.client(&startup());
        wire.server(&message);
        let told = wire.told();
        assert!(told.last().unwrap().contains("peer: Server"), "{told:?}");
        assert!(wire.got().starts_with(b"E"));
        assert!(wire.sent().ends_with(&encode::TERMINATE));
    }
}

#[test]
fn the_caller_ends_a_session_that_has_no_server() {
    let mut wire = Wire::new(plain());
    wire.judging = false;
    wire.client(&startup());
    let fatal = Fatal {
        code: SqlState::CONNECTION_FAILURE.into(),
        message: "the server can't be reached".into(),
    };
    wire.event(Event::Abort(fatal));
    assert_eq!(wire.told().last().unwrap(), "close Aborted(08001)");
    let got = wire.got();
    assert!(String::from_utf8_lossy(&got).contains("can't be reached"));
    assert!(wire.sent().is_empty());
}

#[test]
fn events_that_can_not_be() {
    let mut wire = Wire::new(plain());
    wire.event(Event::ServerConnected);
    assert_eq!(wire.told(), ["close Violation(Event)"]);
    let mut wire = Wire::new(plain());
    wire.event(Event::TlsUp(Leg::Client));
    assert_eq!(wire.told(), ["close Violation(Event)"]);
    let mut wire = Wire::ready();
    wire.judge("t".into());
    assert_eq!(wire.told(), ["close Violation(Event)"]);
}

#[test]
fn a_startup_that_is_lost() {
    let ends: [fn(&mut Wire); 4] = [
        |wire| wire.event(Event::ServerClosed),
        |wire| wire.event(Event::ClientClosed),
        |wire| wire.client(b"garbage"),
        |wire| wire.server(b"garbage"),
    ];
    for end in ends {
        for accepted in [false, true] {
            let mut wire = Wire::new(plain());
            wire.client(&startup());
            if accepted {
                wire.server(&be(b'R', &[0; 4]));
            }
            wire.clear();
            end(&mut wire);
            wire.event(Event::ClientClosed);
            let told = wire.told();
            assert_eq!(told[0], "[startup (3, 0) user=ann None] Lost");
            assert!(told.len() == 2 && told[1].starts_with("close"), "{told:?}");
            assert_eq!((wire.verdicts, wire.outcomes), (1, 1));
        }
    }
}
