//! Recovery: what an earlier life left, up to the last whole frame.
//!
//! A kill leaves whole frames and, behind them, perhaps the body of one that was never published. Anything
//! else (a frame that fails its checksum, its chain or its sequence) is damage: reading of that segment stops
//! there, the rest is set aside in a `.torn` file, never thrown away, and the report says so.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, Broken, Place};
use super::map;
use super::segment::{HEADER, Header, Segment, parse_name};
use super::{JournalError, LaneHead, LaneShared};
use crate::chain::{GENESIS, Hash};
use crate::event::{MAX_LANE, MAX_SEQ, Seq};

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// One report per lane that exists.
    pub lanes: Vec<LaneRecovery>,
}

impl Recovery {
    /// Whether every lane was whole: nothing torn, nothing missing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lanes
            .iter()
            .all(|lane| lane.torn.is_empty() && lane.gaps.is_empty())
    }
}

/// What recovery found in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRecovery {
    /// The lane.
    pub lane: u16,
    /// How many segments it has.
    pub segments: usize,
    /// How many entries they hold.
    pub entries: u64,
    /// The last entry; 0 where there is none.
    pub last: Seq,
    /// Bytes behind the last whole frame of a segment.
    pub torn: Vec<Torn>,
    /// Places where the chain does not connect.
    pub gaps: Vec<Gap>,
}

/// Bytes of a segment that are no whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub segment: PathBuf,
    /// Where they begin.
    pub offset: u64,
    /// How many bytes, trailing zeros not counted.
    pub bytes: u64,
    /// What is wrong; `None` for the body of a frame that was never published, as a kill leaves it.
    pub damage: Option<Broken>,
    /// Where they were set aside.
    pub saved: PathBuf,
}

/// A place where the chain does not connect: entries between are missing, or the segments don't belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last entry before.
    pub after: Seq,
    /// The first entry behind.
    pub next: Seq,
}

type Found = Vec<(LaneShared, LaneHead)>;

/// Recovers every lane below `dir`.
pub(super) fn recover(dir: &Path) -> Result<(Found, Recovery), JournalError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(JournalError::io(dir))? {
        let entry = entry.map_err(JournalError::io(dir))?;
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u16>().ok());
        if let Some(number) = number.filter(|number| *number <= MAX_LANE) {
            numbers.push((number, entry.path()));
        }
    }
    numbers.sort();
    let mut found = Vec::new();
    let mut recovery = Recovery::default();
    for (number, path) in numbers {
        let (lane, head, report) = recover_lane(number, &path).map_err(JournalError::io(&path))?;
        found.push((lane, head));
        recovery.lanes.push(report);
    }
    Ok((found, recovery))
}

fn recover_lane(number: u16, dir: &Path) -> io::Result<(LaneShared, LaneHead, LaneRecovery)> {
    let lane = LaneShared::new(number, dir.to_owned());
    let mut head = LaneHead {
        lane: number,
        seq: Seq(0),
        chain: GENESIS,
    };
    let mut report = LaneRecovery {
        lane: number,
        segments: 0,
        entries: 0,
        last: Seq(0),
        torn: Vec::new(),
        gaps: Vec::new(),
    };
    for path in segment_files(dir)? {
        let Some(scan) = scan(&path, number, head.seq)? else {
            report.torn.extend(discard(&path)?);
            continue;
        };
        let first = scan.header.first_seq;
        let linked = first.0 == head.seq.0 + 1 && scan.header.previous == head.chain;
        // What the oldest segment is linked to has been shipped and removed.
        if report.segments > 0 && !linked {
            report.gaps.push(Gap {
                after: head.seq,
                next: first,
            });
        }
        report.entries += scan.last.0 + 1 - first.0;
        report.segments += 1;
        head.seq = scan.last;
        head.chain = scan.chain;
        let (segment, torn) = settle(path, &scan)?;
        report.torn.extend(torn);
        lane.lock_segments().push_back(segment);
    }
    report.last = head.seq;
    Ok((lane, head, report))
}

/// The lane's segments in order; what was prepared but never used is removed.
fn segment_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(&path)?;
        } else if parse_name(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What a segment holds.
struct Scan {
    header: Header,
    /// The last whole frame; one less than the first sequence number where there is none.
    last: Seq,
    chain: Hash,
    /// Where the last whole frame ends.
    end: usize,
    damage: Option<Broken>,
    /// Bytes behind `end` up to the last that is not zero; none where the segment was closed.
    torn: usize,
}

/// Reads a segment; `None` where it has no header that fits its name, its lane and its predecessors.
fn scan(path: &Path, lane: u16, after: Seq) -> io::Result<Option<Scan>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if length < HEADER {
        return Ok(None);
    }
    let map = map::read_only(&file, length)?;
    let bytes = map.published();
    let Some(header) = Header::read(bytes) else {
        return Ok(None);
    };
    let first = header.first_seq;
    let fits = header.lane == lane && parse_name(path) == Some(first) && first > after;
    if !fits || first.0 > MAX_SEQ {
        return Ok(None);
    }
    let mut scan = Scan {
        header,
        last: Seq(first.0 - 1),
        chain: header.previous,
        end: HEADER,
        damage: None,
        torn: 0,
    };
    let closed = loop {
        match frame::read(bytes, scan.end) {
            Place::Frame(frame, next) => {
                if let Some(damage) = misfit(&frame, &scan) {
                    scan.damage = Some(damage);
                    break false;
                }
                scan.last = frame.seq;
                scan.chain = frame.chain;
                scan.end = next.min(length);
            }
            Place::Empty => break false,
            Place::Closed => break true,
            Place::Broken(damage) => {
                scan.damage = Some(damage);
                break false;
            }
        }
    };
    if !closed {
        let rest = bytes.get(scan.end..).unwrap_or_default();
        scan.torn = without_trailing_zeros(rest).len();
    }
    Ok(Some(scan))
}

fn misfit(frame: &frame::Frame<'_>, scan: &Scan) -> Option<Broken> {
    if frame.seq.0 != scan.last.0 + 1 || frame.seq.0 > MAX_SEQ {
        Some(Broken::Sequence)
    } else if !frame.follows(&scan.chain) {
        Some(Broken::Chain)
    } else {
        None
    }
}

/// Sets the torn tail aside, cuts the file behind its last whole frame and opens it for readers.
fn settle(path: PathBuf, scan: &Scan) -> io::Result<(Segment, Option<Torn>)> {
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let end = scan.end as u64;
    let mut torn = None;
    if scan.torn > 0 {
        let length = scan.end + scan.torn;
        let map = map::read_only(&file, length)?;
        let saved = set_aside(&path, map.published().get(scan.end..).unwrap_or_default())?;
        torn = Some(Torn {
            segment: path.clone(),
            offset: end,
            bytes: scan.torn as u64,
            damage: scan.damage,
            saved,
        });
    }
    file.set_len(end)?;
    let read = map::read_only(&file, scan.end)?;
    Ok((
        Segment {
            path,
            header: scan.header,
            read,
            size: end,
        },
        torn,
    ))
}

/// Writes torn bytes beside their segment, under a name that is not taken.
fn set_aside(segment: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = free_name(segment);
    let temporary = path.with_extension("tmp");
    let mut file = crate::files::private_file(&temporary)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, &path)?;
    Ok(path)
}

fn free_name(segment: &Path) -> PathBuf {
    let mut path = segment.with_extension("torn");
    let mut number = 1u32;
    while path.exists() {
        path = segment.with_extension(format!("{number}.torn"));
        number = number.saturating_add(1);
    }
    path
}

/// Removes a segment that never got its header; sets one aside that holds anything.
fn discard(path: &Path) -> io::Result<Option<Torn>> {
    let bytes = std::fs::read(path)?;
    let held = without_trailing_zeros(&bytes);
    if held.is_empty() {
        std::fs::remove_file(path)?;
        return Ok(None);
    }
    let saved = free_name(path);
    std::fs::rename(path, &saved)?;
    Ok(Some(Torn {
        segment: path.to_owned(),
        offset: 0,
        bytes: held.len() as u64,
        damage: Some(Broken::Header),
        saved,
    }))
}

/// The bytes up to the last that is not zero. Most of a segment is zeros that nothing was written to: they are compared
/// by blocks, since looking at each would take seconds per lane where the code is not optimised or the machine is busy.
fn without_trailing_zeros(mut bytes: &[u8]) -> &[u8] {
    while let Some((front, block)) = bytes.split_last_chunk::<BLOCK>()
        && *block == [0; BLOCK]
    {
        bytes = front;
    }
    let end = bytes.iter().rposition(|byte| *byte != 0);
    bytes
        .get(..end.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

const BLOCK: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_zeros_are_told_from_bytes() {
        for length in [0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            for zeros in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 3] {
                let mut bytes = vec![0; length];
                if let Some(last) = bytes.last_mut() {
                    *last = 7;
                }
                bytes.extend(std::iter::repeat_n(0, zeros));
                assert_eq!(
                    without_trailing_zeros(&bytes).len(),
                    length,
                    "{zeros} zeros"
                );
            }
        }
    }
}
