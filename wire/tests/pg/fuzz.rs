//! The fuzz targets over mutated conversations, without a fuzzer.

use sqlward_wire::pg::encode;
use sqlward_wire::{Leg, fuzzing};

use crate::split::conversation;

/// A small deterministic generator.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }

    /// Changes bytes, repeats, drops and swaps parts.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.roll(bytes.len());
            let length = self.roll(bytes.len() - at).min(300);
            match self.roll(7) {
                0 => bytes[at] = self.byte(),
                1 => bytes[at] ^= 1 << self.roll(8),
                2 => drop(bytes.drain(at..at + length)),
                3 => {
                    let part = bytes[at..at + length].to_vec();
                    let to = self.roll(bytes.len());
                    bytes.splice(to..to, part);
                }
                4 => bytes.truncate(at),
                5 => bytes.insert(at, b"QPBDESCHFdcfXpRZTKNAGWVvnts123I"[self.roll(31)]),
                _ => {
                    let extreme = [0, 4, 5, 0x3fff_ffff, 0x7fff_ffff, u32::MAX][self.roll(6)];
                    let word: [u8; 4] = u32::to_be_bytes(extreme);
                    let end = (at + 4).min(bytes.len());
                    bytes.splice(at..end, word);
                }
            }
        }
    }
}

fn turns(leg: Leg) -> Vec<Vec<u8>> {
    conversation()
        .into_iter()
        .filter(|turn| turn.0 == leg)
        .map(|turn| turn.1)
        .collect()
}

/// `SQLWARD_FUZZ_ROUNDS` asks for more than the usual.
fn run(seed: u64, target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let rounds = std::env::var("SQLWARD_FUZZ_ROUNDS").ok();
    let rounds = rounds
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(6_000);
    let mut dice = Dice(seed);
    for seed in seeds {
        target(seed);
    }
    for _ in 0..rounds {
        let mut data = seeds[dice.roll(seeds.len())].clone();
        dice.mutate(&mut data);
        target(&data);
    }
}

fn with_mode(mode: u8, bytes: &[u8]) -> Vec<u8> {
    [&[mode][..], bytes].concat()
}

#[test]
fn frontend() {
    let all = turns(Leg::Client);
    let mut seeds: Vec<_> = all.iter().map(|turn| with_mode(0, turn)).collect();
    seeds.push(with_mode(0, &all[5..].concat()));
    seeds.push(with_mode(1, &all.concat()));
    seeds.push(with_mode(1, &encode::cancel_request(1, &[0; 32])));
    run(0x5eed, fuzzing::pg_frontend, &seeds);
}

#[test]
fn backend() {
    let all = turns(Leg::Server);
    let mut seeds = Vec::new();
    for mode in 0..10 {
        for turn in &all {
            seeds.push(with_mode(mode, turn));
        }
        seeds.push(with_mode(mode, &all.concat()));
    }
    run(0xbac4, fuzzing::pg_backend, &seeds);
}

#[test]
fn session() {
    let mut whole = vec![2 << 1, 0, 0];
    for (leg, bytes) in conversation() {
        for part in bytes.chunks(127) {
            whole.push((part.len() as u8) << 1 | u8::from(leg == Leg::Server));
            whole.extend_from_slice(part);
        }
    }
    let mut started = vec![0];
    for (leg, bytes) in conversation().into_iter().skip(9) {
        for part in bytes.chunks(127) {
            started.push((part.len() as u8) << 1 | u8::from(leg == Leg::Server));
            started.extend_from_slice(part);
        }
    }
    run(0x5e55, fuzzing::pg_session, &[whole, started]);
}
