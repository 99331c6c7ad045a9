//! The fuzz targets over mutated conversations, without a fuzzer.

use sqlward_wire::{Leg, fuzzing};

use crate::split::{ENDS, conversation};
use crate::support::*;

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
                5 => bytes.insert(
                    at,
                    b"\x00\x01\x03\x07\x16\x17\xfa\xfb\xfc\xfd\xfe\xff\x80#"[self.roll(14)],
                ),
                _ => {
                    let extreme =
                        [0, 1, 0x00ff_ffff, 0x01ff_ffff, 0x01ff_fffe, u32::MAX][self.roll(6)];
                    let word: [u8; 4] = u32::to_le_bytes(extreme);
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
    let mut seeds = vec![with_mode(1, &all.concat())];
    for mode in [0, 2, 4, 6] {
        seeds.extend(all.iter().map(|turn| with_mode(mode, turn)));
        seeds.push(with_mode(mode, &all[2..].concat()));
        seeds.push(with_mode(mode, &query("select").repeat(9)));
    }
    seeds.push(with_mode(1, &p(1, &login(ENDS.client, "dialog", b"x"))));
    run(0x5eed, fuzzing::mysql_frontend, &seeds);
}

#[test]
fn backend() {
    let all = turns(Leg::Server);
    let mut seeds = vec![with_mode(1, &all.concat())];
    for mode in (0..64).step_by(2) {
        for turn in &all[2..] {
            seeds.push(with_mode(mode, turn));
        }
        seeds.push(with_mode(mode, &all[3..].concat()));
    }
    run(0xbac4, fuzzing::mysql_backend, &seeds);
}

#[test]
fn session() {
    let script = |mode: u8, skip: usize| {
        let mut data = vec![mode];
        for (leg, bytes) in conversation().into_iter().skip(skip) {
            for part in bytes.chunks(127) {
                data.push((part.len() as u8) << 1 | u8::from(leg == Leg::Server));
                data.extend_from_slice(part);
            }
        }
        data
    };
    let seeds = [script(1, 0), script(4, 6), script(0, 6), script(2, 6)];
    run(0x5e55, fuzzing::mysql_session, &seeds);
}
