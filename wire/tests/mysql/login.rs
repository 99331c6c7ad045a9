//! From the greeting to the first command.

use sqlward_wire::mysql::{Capabilities, ClientTls, ServerTls, Settings, errcode};
use sqlward_wire::{Event, Fatal, Leg, SqlState};

use crate::support::*;

#[test]
fn the_server_speaks_first_and_the_login_waits_for_its_verdict() {
    let mut wire = Wire::new(plain());
    wire.judging = false;
    wire.pump();
    assert_eq!(wire.told(), ["connect"]);
    wire.server(&p(0, &greeting(NEW)));
    assert_eq!(wire.got(), p(0, &greeting(NEW)));
    let login = p(1, &login(NEW.client, "caching_sha2_password", b"secret"));
    wire.client(&login);
    assert_eq!(
        wire.told(),
        [
            "Thread(7)",
            "login ann@db caching_sha2_password 45 program_name=app"
        ]
    );
    assert!(wire.sent().is_empty());
    wire.judge("l");
    assert_eq!(wire.sent(), login);
    wire.server(&p(2, &[1, 3]));
    wire.server(&p(3, &ok()));
    assert_eq!(wire.got(), ps(2, &[&[1, 3], &ok()]));
    assert_eq!(
        wire.told(),
        [
            "Authenticated { method: CachingSha2 }",
            "[l] Done",
            "Established"
        ]
    );
    assert_eq!(wire.session.server_version(), b"9.7.0");
    assert_eq!(wire.session.capabilities(), capabilities(NEW.client));
    assert_eq!(wire.session.is_autocommit(), Some(true));
    assert!(wire.session.is_idle());
}

#[test]
fn what_cannot_be_carried_is_not_offered() {
    let ends = Ends {
        server: MARIA.server | COMPRESS | ZSTD | SSL | 1 << 33 | 1 << 29 | 1 << 45,
        ..MARIA
    };
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(ends)));
    assert_eq!(wire.got(), p(0, &greeting(MARIA)));
    // MySQL's client library sets many flags whatever the server says: they are cleared
    let extra = MARIA.client | 1 << 27 | 1 << 25 | 1 << 31;
    wire.client(&p(1, &login(extra, "", b"")));
    let tracked = MARIA.client | TRACK;
    assert_eq!(wire.sent(), p(1, &login(tracked, "", b"")));
    assert_eq!(wire.session.capabilities(), capabilities(MARIA.client));
}

#[test]
fn a_mysql_client_of_a_mariadb_server_stays_one() {
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(MARIA)));
    let client = OLD.client;
    wire.client(&p(1, &login(client, "", b"")));
    assert_eq!(wire.sent(), p(1, &login(client | TRACK, "", b"")));
    assert!(!wire.session.capabilities().has(Capabilities::LONG_PASSWORD));
}

#[test]
fn flags_that_change_the_framing_need_an_offer() {
    for flag in [COMPRESS, ZSTD, SSL] {
        let mut wire = Wire::new(plain());
        wire.pump();
        wire.server(&p(0, &greeting(OLD)));
        wire.clear();
        wire.client(&p(1, &login(OLD.client | flag, "", b"")));
        assert!(wire.told()[0].contains("Capabilities"));
        assert_eq!(
            wire.got(),
            ours(
                2,
                errcode::HANDSHAKE,
                "protocol violation by the client: a capability that was not offered"
            )
        );
        assert!(wire.sent().is_empty());
    }
}

#[test]
fn each_leg_has_its_own_tls_and_numbers() {
    let ends = Ends {
        server: NEW.server | SSL,
        ..NEW
    };
    let mut wire = Wire::new(Settings::default());
    wire.pump();
    wire.server(&p(0, &greeting(ends)));
    assert_eq!(wire.got(), p(0, &greeting(ends)));
    let flags = NEW.client | SSL;
    wire.client(&p(1, &login_front(flags)));
    wire.event(Event::TlsUp(Leg::Client));
    wire.client(&p(2, &login(flags, "sha256_password", b"secret\0")));
    assert_eq!(wire.sent(), p(1, &login_front(flags)));
    wire.event(Event::TlsUp(Leg::Server));
    assert_eq!(
        wire.sent(),
        p(2, &login(flags, "sha256_password", b"secret\0"))
    );
    wire.server(&p(3, &ok()));
    assert_eq!(wire.got(), p(3, &ok()));
    assert!(wire.session.client_is_tls() && wire.session.server_is_tls());
    assert_eq!(
        wire.told(),
        [
            "connect",
            "Thread(7)",
            "StartTls { leg: Client, negotiation: Requested }",
            "login ann@db sha256_password 45 program_name=app",
            "StartTls { leg: Server, negotiation: Requested }",
            "Authenticated { method: Sha256 }",
            "[login ann@db sha256_password 45 program_name=app] Done",
            "Established"
        ]
    );
}

#[test]
fn numbers_differ_where_one_leg_has_tls() {
    // the client has TLS, the server's leg has none
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    let flags = NEW.client | SSL;
    wire.client(&p(1, &login_front(flags)));
    wire.event(Event::TlsUp(Leg::Client));
    wire.clear();
    wire.client(&p(2, &login(flags, "mysql_native_password", b"x")));
    assert_eq!(
        wire.sent(),
        p(1, &login(NEW.client, "mysql_native_password", b"x"))
    );
    let switch = b"\xfeclient_ed25519\0salt";
    wire.server(&p(2, switch));
    assert_eq!(wire.got(), p(3, switch));
    wire.client(&p(4, b"signature"));
    assert_eq!(wire.sent(), p(3, b"signature"));
    wire.server(&p(4, &ok()));
    assert_eq!(wire.got(), p(5, &ok()));
    // commands have the same numbers again
    wire.through(&query("select 1"), &p(1, &ok()));
}

#[test]
fn the_server_can_have_tls_alone() {
    let ends = Ends {
        server: NEW.server | SSL,
        ..NEW
    };
    let mut wire = Wire::new(Settings {
        client_tls: ClientTls::Disable,
        server_tls: ServerTls::Require,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(ends)));
    wire.client(&p(1, &login(NEW.client, "mysql_native_password", b"x")));
    wire.event(Event::TlsUp(Leg::Server));
    let flags = NEW.client | SSL;
    assert_eq!(
        wire.sent(),
        [
            p(1, &login_front(flags)),
            p(2, &login(flags, "mysql_native_password", b"x"))
        ]
        .concat()
    );
    wire.clear();
    wire.server(&p(3, &ok()));
    assert_eq!(wire.got(), p(2, &ok()));
    // but a server without it is no server
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Require,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    let told = "sqlward requires TLS to the server, which does not offer it";
    assert_eq!(wire.got(), ours(0, errcode::UNREACHABLE, told));
    assert!(wire.told()[1].contains("ServerWithoutTls"));
}

#[test]
fn passwords_whose_form_differs_are_refused_with_the_remedy() {
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    let flags = NEW.client | SSL;
    wire.client(&p(1, &login_front(flags)));
    wire.event(Event::TlsUp(Leg::Client));
    wire.client(&p(2, &login(flags, "caching_sha2_password", b"scramble")));
    wire.clear();
    wire.server(&p(2, &[1, 4]));
    let got = text(&wire.got());
    assert!(got.contains("use TLS both to sqlward and from sqlward to the server"));
    assert!(wire.closed && wire.sent().is_empty());
    assert_eq!(
        wire.told(),
        [
            "[login ann@db caching_sha2_password 45 program_name=app] Lost",
            "close Violation(Unsupported(MixedTls))"
        ]
    );
}

#[test]
fn a_clear_password_never_reaches_a_leg_without_tls() {
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    let flags = NEW.client | SSL;
    wire.client(&p(1, &login_front(flags)));
    wire.event(Event::TlsUp(Leg::Client));
    wire.client(&p(2, &login(flags, "mysql_clear_password", b"hunter2\0")));
    assert!(wire.closed && wire.sent().is_empty());
    assert!(!text(&wire.got()).contains("hunter2"));
    assert!(!format!("{:?} {:?}", wire.session, wire.log).contains("hunter2"));
}

#[test]
fn listeners_can_require_tls() {
    let mut wire = Wire::new(Settings {
        client_tls: ClientTls::Require,
        ..Settings::default()
    });
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.clear();
    wire.client(&p(1, &login(NEW.client, "", b"")));
    assert!(text(&wire.got()).contains("HY000sqlward requires TLS"));
    assert_eq!(
        wire.told(),
        ["close Violation(Unsupported(ClientWithoutTls))"]
    );
    assert!(wire.sent().is_empty());
}

#[test]
fn a_refused_login_is_told_so_and_the_server_never_hears_of_it() {
    let mut wire = Wire::new(plain());
    wire.judging = false;
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&p(1, &login(NEW.client, "", b"")));
    wire.clear();
    wire.judge("deny");
    assert_eq!(wire.got(), refused(2));
    assert_eq!(
        wire.told(),
        ["[deny] Refused 1227 (42000)", "close Refused"]
    );
    assert!(wire.sent().is_empty());
}

/// What the server asks, and what the client answers.
type Turn<'a> = (&'a [u8], &'a [u8]);

#[test]
fn every_way_to_authenticate_passes() {
    let signature = [7; 64];
    let scripts: [(&str, &[Turn]); 7] = [
        ("MysqlNative", &[]),
        (
            "Plugin(\"mysql_old_password\")",
            &[(b"\xfe", b"8 bytes.\0")],
        ),
        ("Ed25519", &[(b"\xfeclient_ed25519\0salt", &signature)]),
        (
            "Parsec",
            &[(b"\xfeparsec\0salt", b""), (b"\x01Pextsalt", &signature)],
        ),
        (
            "CachingSha2",
            &[
                (b"\xfecaching_sha2_password\0salt\0", b"scramble"),
                (b"\x01\x04", b"\x02"),
                (b"\x01-----BEGIN PUBLIC KEY", b"encrypted"),
            ],
        ),
        (
            "Plugin(\"mysql_native_password+mysql_clear_password\")",
            &[(b"\x02mysql_clear_password\0", b"second\0")],
        ),
        (
            "Plugin(\"dialog\")",
            &[
                (b"\xfedialog\0\x04Password: ", b"secret\0"),
                (b"\x02One more: ", b"y\0"),
            ],
        ),
    ];
    for (method, turns) in scripts {
        let mut wire = Wire::new(plain());
        wire.pump();
        wire.server(&p(0, &greeting(NEW)));
        wire.client(&p(1, &login(NEW.client, "mysql_native_password", b"x")));
        wire.clear();
        let mut seq = 2;
        for (server, client) in turns {
            wire.server(&p(seq, server));
            assert_eq!(wire.got(), p(seq, server));
            wire.client(&p(seq + 1, client));
            assert_eq!(wire.sent(), p(seq + 1, client));
            seq += 2;
        }
        wire.server(&p(seq, &ok()));
        assert_eq!(wire.got(), p(seq, &ok()));
        assert_eq!(
            wire.told()[0],
            format!("Authenticated {{ method: {method} }}")
        );
        wire.through(&query("select 1"), &p(1, &ok()));
    }
}

#[test]
fn failures_are_the_servers_own() {
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&p(1, &login(NEW.client, "mysql_native_password", b"x")));
    wire.clear();
    let denied = p(2, &err(1045, b"28000"));
    wire.server(&denied);
    assert_eq!(wire.got(), denied);
    assert_eq!(
        wire.told(),
        [
            "AuthFailed { code: 1045 (28000) }",
            "[login ann@db mysql_native_password 45 program_name=app] Failed 1045 (28000)",
            "close ServerFatal(1045 (28000))"
        ]
    );
    // a server that is full says so in place of its greeting
    let mut wire = Wire::new(plain());
    wire.pump();
    let full = p(0, b"\xff\x10\x04Too many connections");
    wire.server(&full);
    assert_eq!(wire.got(), full);
    assert_eq!(
        wire.told()[1..],
        ["close ServerFatal(1040 (HY000))".to_owned()]
    );
}

#[test]
fn the_callers_own_end_is_told_in_numbers_that_clients_know() {
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.event(Event::Abort(Fatal {
        code: SqlState::CONNECTION_FAILURE.into(),
        message: "can't reach the server".into(),
    }));
    assert_eq!(
        wire.got(),
        ours(0, errcode::UNREACHABLE, "can't reach the server")
    );
    assert_eq!(wire.told()[1..], ["close Aborted(08001)".to_owned()]);
}

#[test]
fn old_handshakes_are_refused() {
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, b"\x093.23.49\0\x01\0\0\0abcdefgh\0\0\0"));
    assert!(wire.told()[1].contains("OldHandshake"));
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(OLD)));
    wire.client(&p(1, b"\x05\x24\0\0\0ann\0secret"));
    assert!(wire.told()[2].contains("OldHandshake"));
}
