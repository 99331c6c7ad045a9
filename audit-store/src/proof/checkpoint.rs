//! Checkpoints, as in the C2SP specification `tlog-checkpoint`.
//!
//! ```text
//! example.org/audit                              the origin, which is the key's name
//! 1234                                           leaves of the tree
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    its root
//! time 2026-11-25T11:12:13.000000Z               when it was made
//! kept-from 2026-05-19                           retention has let the days before it go
//! also-kept 2026-03-01 2026-03-04                but not these, first to last
//! gone 700                                       so many leaves at the beginning are only known by their root
//!
//! — example.org/audit Az3grl…                    signatures
//! ```

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{PublicKey, Signer, label};
use super::note::{Note, NoteError};
use crate::chain::Hash;
use crate::time::{Day, rfc3339};

/// A signed root of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose tree.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// When it was made, as it says.
    pub time: Option<String>,
    pub(crate) kept: Kept,
    note: Note,
}

/// What retention has left of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The first day that it has not reached.
    pub(crate) from: Day,
    /// Earlier days that are kept all the same.
    pub(crate) also: BTreeSet<Day>,
    /// How many leaves at the beginning of the tree may be gone.
    pub(crate) gone: u64,
}

impl Kept {
    /// Whether a day may be gone.
    pub(crate) fn let_go(&self, day: Day) -> bool {
        day < self.from && !self.also.contains(&day)
    }

    /// The days of `also` as ranges.
    fn ranges(&self) -> Vec<(Day, Day)> {
        let mut ranges: Vec<(Day, Day)> = Vec::new();
        for day in &self.also {
            match ranges.last_mut() {
                Some((_, last)) if last.0.saturating_add(1) == day.0 => *last = *day,
                Some(_) | None => ranges.push((*day, *day)),
            }
        }
        ranges
    }

    fn read(&mut self, line: &str) -> Option<()> {
        match line.split_once(' ')? {
            ("kept-from", day) => self.from = Day::parse(day)?,
            ("also-kept", days) => {
                let (first, last) = days.split_once(' ')?;
                let (first, last) = (Day::parse(first)?, Day::parse(last)?);
                self.also.extend((first.0..=last.0).map(Day));
            }
            ("gone", leaves) => self.gone = leaves.parse().ok()?,
            (_, _) => {}
        }
        Some(())
    }
}

impl Checkpoint {
    pub(crate) fn sign(signer: &Signer, (size, root): (u64, Hash), at_us: u64, kept: Kept) -> Self {
        let (origin, root64) = (signer.public().name(), STANDARD.encode(root));
        let time = rfc3339(at_us);
        let mut text = format!("{origin}\n{size}\n{root64}\ntime {time}\n");
        text.push_str(&format!("kept-from {}\n", kept.from));
        for (first, last) in kept.ranges() {
            text.push_str(&format!("also-kept {first} {last}\n"));
        }
        text.push_str(&format!("gone {}\n", kept.gone));
        Self {
            origin: origin.to_owned(),
            size,
            root,
            time: Some(time),
            kept,
            note: Note::sign(text, signer),
        }
    }

    /// Reads a checkpoint; says nothing of its signatures.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let note = Note::parse(note)?;
        let mut lines = note.text.lines();
        let origin = lines.next().unwrap_or_default().to_owned();
        let size = lines.next().unwrap_or_default();
        let plain = !size.starts_with('0') || size == "0";
        let size = size
            .parse()
            .ok()
            .filter(|_| plain && !size.starts_with('+'))
            .ok_or(NoteError("no checkpoint: its second line is no size"))?;
        let root = STANDARD
            .decode(lines.next().unwrap_or_default())
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or(NoteError("no checkpoint: its third line is no root"))?;
        let (mut time, mut kept) = (None, Kept::default());
        for line in lines {
            if let Some(("time", at)) = line.split_once(' ') {
                time = Some(at.to_owned());
            }
            kept.read(line).ok_or(NoteError(
                "no checkpoint: a line behind its root can't be read",
            ))?;
        }
        Ok(Self {
            origin,
            size,
            root,
            time,
            kept,
            note,
        })
    }

    /// Which of `keys` has signed it.
    #[must_use]
    pub fn signed_by<'k>(&self, keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
        let origin = |key: &&PublicKey| key.name() == self.origin;
        keys.iter()
            .filter(origin)
            .find(|key| self.note.is_signed_by(key))
    }

    /// The keys that its signatures name.
    #[must_use]
    pub fn signers(&self) -> String {
        let names = self.note.signatures.iter();
        let names: Vec<String> = names.map(|one| label(&one.name, one.id)).collect();
        names.join(", ")
    }

    /// When it was made, as it says, µs since 1970.
    pub(crate) fn time_us(&self) -> Option<u64> {
        let time: jiff::Timestamp = self.time.as_ref()?.parse().ok()?;
        u64::try_from(time.as_microsecond()).ok()
    }

    /// Size and time, for people.
    #[must_use]
    pub fn label(&self) -> String {
        let time = self.time.as_deref().unwrap_or("an unknown time");
        format!("checkpoint {} of {time}", self.size)
    }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}

/// Reads the checkpoints of a file that they were appended to; a last one that is cut off does not count.
///
/// # Errors
/// Where something else is in it.
pub fn read_checkpoints(text: &str) -> Result<Vec<Checkpoint>, NoteError> {
    let (mut found, mut note) = (Vec::new(), String::new());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        note.push_str(line);
        let signature = line.starts_with('\u{2014}');
        let more = lines
            .peek()
            .is_some_and(|next| next.starts_with('\u{2014}'));
        if signature && line.ends_with('\n') && !more {
            found.push(Checkpoint::parse(note.trim_start_matches('\n'))?);
            note.clear();
        }
    }
    Ok(found)
}

/// A checkpoint in one line, for logs.
#[must_use]
pub fn in_one_line(note: &str) -> String {
    format!("{LINE}{}", STANDARD.encode(note))
}

/// Reads the checkpoints that a witness has kept: a file that they were appended to, or a log that has some in one line
/// each, whatever else is in it.
///
/// # Errors
/// Where a checkpoint is none, or something else is in a file of checkpoints.
pub fn read_witnessed(text: &str) -> Result<Vec<Checkpoint>, NoteError> {
    if !text.contains(LINE) {
        return read_checkpoints(text);
    }
    let lines = text.lines().filter_map(|line| line.split_once(LINE));
    lines.map(|(_, note)| one_line(note.trim_end())).collect()
}

fn one_line(note: &str) -> Result<Checkpoint, NoteError> {
    let none = NoteError("a line of the log holds no checkpoint");
    let bytes = STANDARD.decode(note).map_err(|_| none.clone())?;
    Checkpoint::parse(&String::from_utf8(bytes).map_err(|_| none)?)
}

/// What a checkpoint in one line begins with; base 64 of the note follows.
const LINE: &str = "sqlward-checkpoint:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_round_trip() {
        let signer = Signer::generate("example.org/audit").unwrap();
        let kept = Kept {
            from: Day(20_000),
            also: [7, 8, 10].map(Day).into(),
            gone: 3,
        };
        let made = |size| {
            let at = 1_795_413_599_123_456;
            Checkpoint::sign(&signer, (size, [7; 32]), at, kept.clone())
        };
        let (one, two) = (made(12), made(13));
        assert_eq!(Checkpoint::parse(&one.to_string()).unwrap(), one);
        let keys = [signer.public().clone()];
        assert_eq!(one.signed_by(&keys), Some(signer.public()));
        let file = format!("{one}{two}");
        assert_eq!(read_checkpoints(&file).unwrap(), [one.clone(), two]);
        let cut = file.strip_suffix('\n').unwrap();
        assert_eq!(read_checkpoints(cut).unwrap(), [one]);
        assert_eq!(read_checkpoints("").unwrap(), []);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let sign = |text: &str| {
            let signer = Signer::generate("a").unwrap();
            Note::sign(text.to_owned(), &signer).to_string()
        };
        for bad in [
            "a\n",
            "a\nx\n",
            "a\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "a\n+1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
            "a\n1\nAAAA\n",
        ] {
            assert!(Checkpoint::parse(&sign(bad)).is_err(), "{bad:?}");
        }
    }
}
