//! Captured conversations of real clients and servers, from the corpora beside the project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sqlward_wire::mysql::{Command, ServerTls, Settings};
use sqlward_wire::{Event, Leg};

use crate::support::*;

fn folder() -> Option<PathBuf> {
    let corpora = std::env::var_os("SQLWARD_CORPORA")
        .map(PathBuf::from)
        .or_else(|| {
            let up = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
            up.map(|folder| folder.join("shared/corpora"))
                .find(|folder| folder.is_dir())
        })?;
    Some(corpora.join("pcaps/mysql")).filter(|folder| folder.is_dir())
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The frames of a little-endian capture of either format, and their link type.
fn frames(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut frames = Vec::new();
    if bytes[..4] == [0xd4, 0xc3, 0xb2, 0xa1] {
        let link = word(bytes, 20);
        let mut at = 24;
        while at + 16 <= bytes.len() {
            let length = word(bytes, at + 8);
            frames.push((link, &bytes[at + 16..(at + 16 + length).min(bytes.len())]));
            at += 16 + length;
        }
        return frames;
    }
    assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a capture");
    let (mut at, mut link) = (0, 1);
    while at + 12 <= bytes.len() {
        let (kind, length) = (word(bytes, at), word(bytes, at + 4));
        match kind {
            1 => link = word(bytes, at + 8) & 0xffff,
            6 => {
                let captured = word(bytes, at + 20);
                frames.push((link, &bytes[at + 28..at + 28 + captured]));
            }
            _ => {}
        }
        at += length;
    }
    frames
}

type Turns = Vec<(Leg, Vec<u8>)>;

/// The client's and the server's.
type Ports = (Vec<u8>, Vec<u8>);

/// The payloads of each TCP connection that was captured from its beginning, in the order captured.
fn conversations(bytes: &[u8]) -> Vec<Turns> {
    let mut all = BTreeMap::<Ports, (Turns, [Option<u32>; 2])>::new();
    for (link, frame) in frames(bytes) {
        let ip = match link {
            0 => &frame[4..],
            1 => &frame[14..],
            101 => frame,
            113 => &frame[16..],
            276 => &frame[20..],
            other => panic!("link type {other}"),
        };
        let (tcp, protocol) = match ip[0] >> 4 {
            4 => {
                let end = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                let end = if end == 0 {
                    ip.len()
                } else {
                    end.min(ip.len())
                };
                (&ip[usize::from(ip[0] & 15) * 4..end], ip[9])
            }
            6 => (&ip[40..], ip[6]),
            _ => continue,
        };
        if protocol != 6 {
            continue;
        }
        let (from, to) = (tcp[0..2].to_vec(), tcp[2..4].to_vec());
        let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if tcp[13] & 2 != 0 && tcp[13] & 16 == 0 {
            all.insert((from.clone(), to.clone()), (Vec::new(), [None; 2]));
        }
        let ports = [(from.clone(), to.clone()), (to, from)];
        let (leg, key) = match ports {
            [key, _] if all.contains_key(&key) => (Leg::Client, key),
            [_, key] if all.contains_key(&key) => (Leg::Server, key),
            _ => continue,
        };
        let Some((turns, next)) = all.get_mut(&key) else {
            continue;
        };
        let slot = &mut next[usize::from(leg == Leg::Server)];
        if data.is_empty() || slot.is_some_and(|next| seq != next) {
            continue; // sent again
        }
        *slot = Some(seq.wrapping_add(data.len() as u32));
        turns.push((leg, data.to_vec()));
    }
    let all = all.into_values().map(|(turns, _)| turns);
    all.filter(|turns| !turns.is_empty()).collect()
}

/// Plays a conversation as far as TLS or an end.
fn play(turns: &Turns, chunk: usize) -> Wire {
    let mut wire = Wire::new(Settings {
        server_tls: ServerTls::Disable,
        ..Settings::default()
    });
    wire.pump();
    wire.chunk = chunk;
    for (leg, bytes) in turns {
        wire.read(bytes, *leg);
        let tls = wire
            .log
            .last()
            .is_some_and(|said| said.contains("StartTls"));
        if wire.closed || tls {
            break;
        }
    }
    if !wire.closed {
        wire.event(Event::ClientClosed);
    }
    wire
}

/// What goes to the server behind the login is whole commands that are known.
fn check_forwarded(wire: &Wire) {
    let mut rest = &wire.to_server[..];
    while rest.len() > 4 {
        let length = word(rest, 0) & 0xff_ffff;
        let whole = &rest[4..(4 + length).min(rest.len())];
        if rest[3] == 0 {
            assert!(Command::from_number(whole[0]).is_some(), "{whole:?}");
        }
        rest = rest.get(4 + length..).unwrap_or_default();
    }
}

#[test]
fn all_captures_end_the_same_however_they_are_cut() {
    let Some(folder) = folder() else { return };
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let all = conversations(&fs::read(&path).unwrap());
        assert!(!all.is_empty(), "{path:?} has no conversation");
        for turns in &all {
            let whole = play(turns, usize::MAX);
            check_forwarded(&whole);
            if std::env::var_os("SQLWARD_SHOW").is_some() {
                println!("{path:?} {} {:#?}", turns.len(), whole.log);
            }
            for chunk in [1, 2, 3, 7, 100] {
                let cut = play(turns, chunk);
                assert_eq!(cut.log, whole.log, "{path:?}");
                assert_eq!(cut.to_server, whole.to_server, "{path:?}");
                assert_eq!(cut.to_client, whole.to_client, "{path:?}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 16);
}

fn log_of(name: &str) -> Option<String> {
    let bytes = fs::read(folder()?.join(name)).expect("the capture is there");
    let all = conversations(&bytes);
    Some(play(&all[0], usize::MAX).log.join("\n"))
}

#[test]
fn logins_are_read_as_their_clients_meant_them() {
    let Some(log) = log_of("caching_sha2_password-after-auth-switch.pcapng") else {
        return;
    };
    assert!(
        log.contains("Authenticated { method: CachingSha2 }"),
        "{log}"
    );
    let log = log_of("mysql8-navicat-login-failed.pcap").unwrap();
    assert!(log.contains("AuthFailed { code: 1045 (28000) }"), "{log}");
    let log = log_of("encrypted.pcap").unwrap();
    assert!(log.contains("StartTls { leg: Client"), "{log}");
    // a server so old that it does not know of plugins, and clients that do
    let bytes = fs::read(folder().unwrap().join("auth.pcap")).unwrap();
    let logs: Vec<_> = conversations(&bytes)
        .iter()
        .map(|turns| play(turns, usize::MAX).log.join("\n"))
        .collect();
    let ended = |reason| logs.iter().filter(|log| log.contains(reason)).count();
    assert_eq!(ended("Violation"), 0, "{logs:#?}");
    assert!(ended("ServerFatal(1130 (HY000))") > 0 && ended("AuthFailed") > 0);
}

#[test]
fn commands_are_read_as_their_clients_meant_them() {
    let Some(log) = log_of("change-user-success.pcap") else {
        return;
    };
    assert!(
        log.contains("change user ") && log.contains("SessionReset"),
        "{log}"
    );
    let log = log_of("change-user-error.pcap").unwrap();
    assert!(log.contains("Failed 1045 (28000)"), "{log}");
    let log = log_of("many-query-attrs.pcap").unwrap();
    assert!(log.contains("n1=Bytes([52, 50]) n2="), "{log}");
    let log = log_of("mysql.pcap").unwrap();
    assert!(
        log.contains(
            "[insert into foo (animal, name) values (\"dog\", \"Goofy\")] Done affected=1"
        )
    );
    assert!(log.contains("[select * from foo] Done rows=2"), "{log}");
}
