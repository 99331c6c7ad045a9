//! Captured conversations of real clients and servers, from the corpora beside the project.

use std::fs;
use std::path::{Path, PathBuf};

use sqlward_wire::pg::{ClientTls, Settings};
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
    Some(corpora.join("pcaps/pg")).filter(|folder| folder.is_dir())
}

/// The payloads of the first TCP connection of a capture, in the order captured.
fn payloads(bytes: &[u8]) -> Vec<(Leg, Vec<u8>)> {
    let magic = &bytes[..4];
    let little = magic == [0xd4, 0xc3, 0xb2, 0xa1] || magic == [0x4d, 0x3c, 0xb2, 0xa1];
    let word = |at: usize| {
        let word: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        let value = if little {
            u32::from_le_bytes(word)
        } else {
            u32::from_be_bytes(word)
        };
        value as usize
    };
    let link = word(20);
    let mut turns = Vec::new();
    let mut client = None;
    let mut next = [None; 2];
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let length = word(at + 8);
        let frame = &bytes[at + 16..(at + 16 + length).min(bytes.len())];
        at += 16 + length;
        let ip = match link {
            0 => &frame[4..],
            1 => &frame[14..],
            113 => &frame[16..],
            276 => &frame[20..],
            other => panic!("link type {other}"),
        };
        let (tcp, end) = match ip[0] >> 4 {
            4 => {
                let end = usize::from(u16::from_be_bytes([ip[2], ip[3]])).min(ip.len());
                (&ip[usize::from(ip[0] & 15) * 4..end], ip[9])
            }
            6 => (&ip[40..], ip[6]),
            _ => continue,
        };
        if end != 6 {
            continue;
        }
        let ports = (tcp[0..2].to_vec(), tcp[2..4].to_vec());
        let seq = u32::from_be_bytes(tcp[4..8].try_into().unwrap());
        let data = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if tcp[13] & 2 != 0 && tcp[13] & 16 == 0 && client.is_none() {
            client = Some(ports.clone());
        }
        let Some((from, to)) = &client else { continue };
        let leg = match ports {
            (a, b) if (&a, &b) == (from, to) => Leg::Client,
            (a, b) if (&b, &a) == (from, to) => Leg::Server,
            _ => continue,
        };
        let slot = &mut next[usize::from(leg == Leg::Server)];
        if data.is_empty() || slot.is_some_and(|next| seq != next) {
            continue; // sent again
        }
        *slot = Some(seq.wrapping_add(data.len() as u32));
        turns.push((leg, data.to_vec()));
    }
    turns
}

/// Plays a capture as far as TLS or an end; the server's answer to an SSLRequest is our own.
fn play(turns: &[(Leg, Vec<u8>)], chunk: usize) -> Wire {
    let mut wire = Wire::new(Settings {
        client_tls: ClientTls::Disable,
        ..plain()
    });
    wire.chunk = chunk;
    let mut asked = false;
    for (leg, bytes) in turns {
        if *leg == Leg::Client && bytes[..] == sqlward_wire::pg::encode::SSL_REQUEST {
            asked = true;
        } else if asked && *leg == Leg::Server && bytes.len() == 1 {
            asked = false;
            if bytes[..] == *b"S" {
                return wire;
            }
            continue;
        }
        wire.read(bytes, *leg);
        if wire.closed {
            return wire;
        }
    }
    wire.event(Event::ClientClosed);
    wire
}

fn capture(name: &str) -> Option<Vec<(Leg, Vec<u8>)>> {
    let bytes = fs::read(folder()?.join(name)).expect("the capture is there");
    Some(payloads(&bytes))
}

#[test]
fn all_captures_end_the_same_however_they_are_cut() {
    let Some(folder) = folder() else { return };
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let turns = payloads(&fs::read(&path).unwrap());
        assert!(!turns.is_empty(), "{path:?} has no conversation");
        let whole = play(&turns, usize::MAX);
        for chunk in [1, 2, 3, 7, 100] {
            let cut = play(&turns, chunk);
            assert_eq!(cut.log, whole.log, "{path:?}");
            assert_eq!(cut.to_server, whole.to_server, "{path:?}");
            assert_eq!(cut.to_client, whole.to_client, "{path:?}");
        }
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}

#[test]
fn a_session_of_a_real_client() {
    let Some(turns) = capture("psql-create-insert-select-delete-drop.pcap") else {
        return;
    };
    let mut wire = play(&turns, usize::MAX);
    let told = wire.told();
    let done = told.iter().filter(|line| line.contains("] Done")).count();
    assert!(done >= 5, "{told:#?}");
    assert_eq!(told.last().unwrap(), "close ClientTerminated");
    assert_eq!(wire.verdicts, wire.outcomes);
}

#[test]
fn an_application_with_transactions() {
    let Some(turns) = capture("greenhouse-app.pcap") else {
        return;
    };
    let mut wire = play(&turns, usize::MAX);
    let told = wire.told();
    assert!(
        !told.iter().any(|line| line.contains("Violation")),
        "{told:#?}"
    );
    assert!(
        told.iter().filter(|line| line.contains("] Done")).count() > 10,
        "{told:#?}"
    );
}

#[test]
fn a_wrong_password() {
    let Some(turns) = capture("psql-login-fail.pcap") else {
        return;
    };
    let told = play(&turns, usize::MAX).told();
    assert!(
        told.iter().any(|line| line.starts_with("AuthFailed")),
        "{told:#?}"
    );
}

#[test]
fn other_protocols_on_the_port() {
    for name in [
        "http-on-port-5432.pcap",
        "mysql-on-port-5432.pcap",
        "bad-startup-message-1.pcap",
    ] {
        let Some(turns) = capture(name) else { return };
        let told = play(&turns, usize::MAX).told();
        assert!(
            told.last().unwrap().starts_with("close "),
            "{name}: {told:#?}"
        );
        assert!(
            !told.iter().any(|line| line.contains("Established")),
            "{name}: {told:#?}"
        );
    }
}

#[test]
fn a_server_that_sends_garbage() {
    let Some(turns) = capture("bad-backend-message-1.pcap") else {
        return;
    };
    let told = play(&turns, usize::MAX).told();
    assert!(told.last().unwrap().starts_with("close "), "{told:#?}");
}
