//! Peers that don't keep to the protocol: they end, and take nothing along.

use sqlward_wire::mysql::encode;
use sqlward_wire::{Event, Leg, Pipe};

use crate::support::*;

/// What the session ends with when a client says this behind its login.
fn client_says(bytes: &[u8]) -> (String, Wire) {
    let mut wire = Wire::ready(MARIA);
    wire.client(bytes);
    let last = wire.told().pop().unwrap_or_default();
    (last, wire)
}

/// What the session ends with when a server answers a command with this.
fn server_says(ends: Ends, command: &[u8], bytes: &[u8]) -> String {
    let mut wire = Wire::ready(ends);
    wire.client(command);
    wire.server(bytes);
    assert!(wire.closed, "{bytes:?}");
    let log = wire.told();
    assert!(wire.outcomes == wire.verdicts, "{log:?}");
    log.last().unwrap().clone()
}

#[test]
fn clients_with_wrong_numbers() {
    for seq in [1, 2, 255] {
        let (log, wire) = client_says(&p(seq, b"\x03select"));
        assert!(log.contains("Sequence"), "{log}");
        assert!(
            text(&wire.to_client)
                .contains("#08S01protocol violation by the client: packets out of order")
        );
    }
    // in the packets of one command
    let long = p(0, &vec![3; 0xff_ffff + 9]);
    let mut bytes = long.clone();
    bytes[4 + 0xff_ffff + 3] = 2;
    let mut wire = Wire::ready_with(
        OLD,
        sqlward_wire::mysql::Settings {
            max_statement_bytes: 1 << 30,
            ..plain()
        },
    );
    wire.client(&bytes);
    assert!(wire.told()[0].contains("Sequence"));
}

#[test]
fn clients_with_malformed_commands() {
    for payload in [
        &b"\x0e!"[..],
        b"\x01 ",
        b"\x19\0\0\0",
        b"\x1a\0\0\0\0\0",
        b"\x1f\0\0\0\0\0\0\0\0",
        b"\x18\0\0\0\0\0",
    ] {
        let (log, wire) = client_says(&p(0, payload));
        assert!(log.contains("Layout"), "{payload:?}: {log}");
        assert_eq!(wire.to_server, command(1, b""));
        assert_eq!(wire.to_client[3], 1);
    }
}

/// What is told of a malformed command.
fn rejected(bytes: &[u8]) -> String {
    format!("rejected {:#x} of {}: 1835 (HY000)", bytes[4], bytes.len())
}

#[test]
fn clients_with_malformed_commands_that_would_wait() {
    for payload in [
        &b"\x1b\0"[..],
        b"\x0c\0\0\0",
        b"\x04table",
        b"\x11user",
        b"\x11user\0\x50short",
        b"\x07\0\0",
        b"\x09x!",
    ] {
        let mut wire = Wire::ready(MARIA);
        wire.client(&p(0, payload));
        assert_eq!(wire.got(), malformed(), "{payload:?}");
        assert!(wire.sent().is_empty());
        assert_eq!(wire.told(), [rejected(&p(0, payload))]);
        assert!(wire.session.is_idle());
    }
}

#[test]
fn clients_with_malformed_attributes() {
    for body in [
        &b""[..],
        b"\0",
        b"\0\0select",
        b"\0\x02select",
        b"\x01\x01",
        b"\x01\x01\0\0select",
        b"\x01\x01\0\x01\xfe\0\xff",
        b"\xfe\0\0\0\0\0\0\0\x80\x01",
        b"\xfd\xff\xff\xff\x01\0\x01",
        b"\x01\x01\0\x01\xfe\0\x01a\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut wire = Wire::ready(NAMED);
        wire.client(&command(3, body));
        assert_eq!(wire.got(), malformed(), "{body:?}");
        assert!(wire.sent().is_empty());
        assert_eq!(wire.told(), [rejected(&command(3, body))]);
    }
}

#[test]
fn clients_with_malformed_logins() {
    let good = login(NEW.client, "mysql_native_password", b"x");
    let mut bad = vec![[&good[..], b"more"].concat(), b"".to_vec(), vec![0; 40]];
    bad.extend(
        (32..good.len())
            .map(|end| good[..end].to_vec())
            .filter(|cut| {
                // a plugin's name may lack its NUL, but then the attributes are missing
                cut.len() != good.len()
            }),
    );
    for payload in bad {
        let mut wire = Wire::new(plain());
        wire.pump();
        wire.server(&p(0, &greeting(NEW)));
        wire.client(&p(1, &payload));
        assert!(wire.closed, "{payload:?}");
        assert!(wire.to_server.is_empty());
    }
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&p(0, &good));
    assert!(wire.told().last().unwrap().contains("Sequence"));
    // nobody sends what is too long to be a login
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&[0xff, 0xff, 0xff, 1]);
    assert!(wire.told().last().unwrap().contains("Handshake"));
    // or speaks before the greeting
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.client(b"GET / HTTP/1.1\r\n");
    assert!(wire.closed);
}

#[test]
fn what_follows_a_request_for_tls_is_for_the_handshake_alone() {
    let mut wire = Wire::new(sqlward_wire::mysql::Settings::default());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    let flags = NEW.client | SSL;
    // clients don't wait for an answer
    wire.client(&[&p(1, &login_front(flags))[..], b"\x16\x03\x01"].concat());
    assert!(!wire.closed);
    assert_eq!(wire.session.take_tls_preamble(), b"\x16\x03\x01");
    assert_eq!(wire.session.take_tls_preamble(), b"");
    let mut wire = Wire::new(sqlward_wire::mysql::Settings::default());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&p(1, &login_front(flags)));
    wire.client(b"x");
    assert!(wire.told().last().unwrap().contains("PlaintextBehindTls"));
}

#[test]
fn servers_with_wrong_numbers() {
    let q = query("q");
    for seq in [0, 2, 255] {
        assert!(server_says(NEW, &q, &p(seq, &ok())).contains("Sequence"));
    }
    let row = [ps(1, &[&[1], COLUMN]), p(4, b"\x011")].concat();
    assert!(server_says(NEW, &q, &row).contains("Sequence"));
    // in the packets of one row
    let mut long = p(3, &encode::lenenc_bytes(&vec![b'x'; 0xff_ffff]));
    long[4 + 0xff_ffff + 3] = 9;
    let long = [ps(1, &[&[1], COLUMN]), long].concat();
    assert!(server_says(NEW, &q, &long).contains("Sequence"));
}

#[test]
fn servers_with_malformed_answers() {
    let q = query("q");
    let huge = [&[0xfe][..], &(1_u64 << 63).to_le_bytes()].concat();
    for payload in [
        &b""[..],
        b"\0",
        b"\0\0\0",
        b"\0\xfe\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x02\0\0\0\x05abc",
        b"\0\0\0\x02\x40\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x02\0\0\0\0\0\0",
        b"\xff",
        b"\xff\x01\0#12",
        &huge,
        b"\xfd\xff\xff\xff",
        b"\x01\0",
        b"\x01more than a head may have",
    ] {
        let log = server_says(NEW, &q, &p(1, payload));
        assert!(
            log.contains("Server") || log.contains("Answer"),
            "{payload:?}: {log}"
        );
    }
    for (command, payload) in [
        (command(0x16, b"p"), &b"\0\x07\0\0\0"[..]),
        (command(0x16, b"p"), b"\0\x07\0\0\0\0\0\0\0\0\0\0\x01\x01"),
        (command(0x16, b"p"), b"\x01"),
        (command(2, b"db"), b"\x01"),
        (command(0x12, b""), b"\x07"),
    ] {
        let log = server_says(NEW, &command, &p(1, payload));
        assert!(
            log.contains("Server") || log.contains("Answer"),
            "{payload:?}: {log}"
        );
    }
    // behind definitions
    let early = ps(1, &[&[1], COLUMN, b"\x011"]);
    assert!(server_says(OLD, &q, &early).contains("OutOfPlace"));
    let none = ps(1, &[&[1], b""]);
    assert!(server_says(OLD, &q, &none).contains("Layout"));
    let empty = ps(1, &[&[1], COLUMN, b""]);
    assert!(server_says(NEW, &q, &empty).contains("Layout"));
}

#[test]
fn servers_that_speak_unasked() {
    for payload in [&ok()[..], &[1], b"\x011", &eof(), b""] {
        let mut wire = Wire::ready(NEW);
        wire.server(&p(0, payload));
        assert!(wire.told()[0].contains("OutOfPlace"), "{payload:?}");
    }
    // behind a complete answer
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&ps(1, &[&ok(), &ok()]));
    assert!(wire.told().last().unwrap().contains("OutOfPlace"));
    assert!(wire.got().starts_with(&p(1, &ok())));
}

#[test]
fn servers_with_malformed_greetings() {
    let good = greeting(MARIA);
    for end in 0..good.len() - 24 {
        let mut wire = Wire::new(plain());
        wire.pump();
        wire.server(&p(0, &good[..end]));
        assert!(wire.closed, "{end}");
        assert_eq!(wire.to_client[3], 0);
    }
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(1, &good));
    assert!(wire.told()[1].contains("Sequence"));
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&[0xff, 0xff, 0xff, 0, 10]);
    assert!(wire.told()[1].contains("Answer"));
}

#[test]
fn an_endless_handshake_ends() {
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&p(1, &login(NEW.client, "", b"")));
    let mut seq = 2;
    for _ in 0..100 {
        if wire.closed {
            break;
        }
        wire.server(&p(seq, b"\x01again"));
        wire.client(&p(seq + 1, b"again"));
        seq += 2;
    }
    assert!(wire.told().last().unwrap().contains("Handshake"));
    // a client that answers before it is asked has to wait
    let mut wire = Wire::new(plain());
    wire.pump();
    wire.server(&p(0, &greeting(NEW)));
    wire.client(&[p(1, &login(NEW.client, "", b"")), p(3, b"answer")].concat());
    wire.clear();
    wire.server(&p(2, b"\xfeparsec\0salt"));
    assert_eq!(wire.sent(), p(3, b"answer"));
}

#[test]
fn a_server_that_never_ends_its_packet_holds_no_memory() {
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&ps(1, &[&[1], COLUMN]));
    let mut row = p(3, &vec![8; 0xff_ffff]);
    row.truncate(0xff_ffff + 4);
    wire.server(&row);
    assert!(wire.session.server.capacity() <= 4 * Pipe::LARGE);
    // and an OK packet of that length is none
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&[0xff, 0xff, 0xf0, 1, 0]);
    assert!(wire.told().last().unwrap().contains("Answer"));
}

#[test]
fn a_slow_peer_stops_the_other() {
    let mut wire = Wire::ready(NEW);
    wire.client(&query("q"));
    wire.server(&ps(1, &[&[1], COLUMN]));
    wire.writing = false;
    let rows = ps(3, &vec![&[b'x'; 200][..]; 10_000]);
    let left = wire.read(&rows, Leg::Server);
    assert!(left > 0 && wire.session.server.is_full());
    assert!(wire.session.server.capacity() <= 3 * Pipe::LARGE);
    // long data that the server does not take
    let mut wire = Wire::ready(NEW);
    wire.through(
        &command(0x16, b"p"),
        &ps(1, &[b"\0\x07\0\0\0\0\0\x01\0\0\0\0", COLUMN]),
    );
    wire.writing = false;
    let data = command(0x18, &[b"\x07\0\0\0\0\0", &[b'x'; 1000][..]].concat()).repeat(1000);
    let left = wire.read(&data, Leg::Client);
    assert!(left > 0);
    assert!(wire.session.client.capacity() <= 3 * Pipe::LARGE);
    wire.writing = true;
    wire.pump();
    assert_eq!(wire.read(&data[data.len() - left..], Leg::Client), 0);
    assert!(wire.sent() == data && wire.session.is_idle());
}

#[test]
fn verdicts_out_of_order_end_the_session() {
    let mut wire = Wire::ready(NEW);
    wire.judge("nothing is held");
    assert!(wire.told()[0].contains("Event"));
    let mut wire = Wire::ready(OLD);
    wire.judging = false;
    wire.client(&query("q"));
    wire.session.ask(b"a").unwrap();
    wire.judge("before the answer");
    assert!(wire.told().last().unwrap().contains("Event"));
    for event in [
        Event::ServerConnected,
        Event::TlsUp(Leg::Client),
        Event::TlsUp(Leg::Server),
    ] {
        let mut wire = Wire::ready(OLD);
        wire.event(event);
        assert!(wire.told()[0].contains("Event"));
    }
}

#[test]
fn ends_that_go_away_leave_no_tag_behind() {
    for leg in [Leg::Client, Leg::Server] {
        let mut wire = Wire::ready(NEW);
        wire.client(&query("q"));
        wire.server(&ps(1, &[&[1], COLUMN, b"\x011"]));
        wire.event(match leg {
            Leg::Client => Event::ClientClosed,
            Leg::Server => Event::ServerClosed,
        });
        let log = wire.told();
        assert_eq!(log[1], "[q] Lost rows=1");
        assert!(log[2].contains("Closed"));
    }
}
