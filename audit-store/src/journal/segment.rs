//! Segment files: names, headers, preallocation.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::map::{ReadHalf, WORD, WriteHalf};
use crate::chain::Hash;
use crate::event::Seq;

/// Bytes of a header, its publishing word included.
pub(super) const HEADER: usize = 80;

const MAGIC: u64 = u64::from_le_bytes(*b"SQLWARDJ");
const VERSION: u32 = 1;

/// What a segment says about itself at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) node: u16,
    pub(super) lane: u16,
    pub(super) first_seq: Seq,
    /// The chain's link before the first frame.
    pub(super) previous: Hash,
}

impl Header {
    /// The header without its first word (the magic number), as `write` publishes it.
    fn body(&self) -> [u8; HEADER - WORD] {
        let mut body = [0; HEADER - WORD];
        let mut writer = crate::record::Writer::new(&mut body);
        writer.put(&VERSION.to_le_bytes());
        writer.put(&self.node.to_le_bytes());
        writer.put(&self.lane.to_le_bytes());
        writer.u64(self.first_seq.0);
        writer.put(&self.previous);
        let _ = writer.finish();
        let crc = crc32c::crc32c(body.get(..CRC_AT).unwrap_or_default());
        if let Some(place) = body.get_mut(CRC_AT..CRC_AT + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        body
    }

    /// Publishes the header at the beginning of a fresh map.
    pub(super) fn write(&self, map: &mut WriteHalf) -> bool {
        let body = self.body();
        let Some(place) = map.room().get_mut(..body.len()) else {
            return false;
        };
        place.copy_from_slice(&body);
        map.publish(MAGIC, body.len())
    }

    /// Reads the header of a segment's bytes; `None` where there is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<WORD>()?;
        let body: &[u8; HEADER - WORD] = rest.first_chunk()?;
        let (version, rest) = body.split_first_chunk::<4>()?;
        let (node, rest) = rest.split_first_chunk::<2>()?;
        let (lane, rest) = rest.split_first_chunk::<2>()?;
        let (first_seq, rest) = rest.split_first_chunk::<8>()?;
        let (previous, _) = rest.split_first_chunk::<32>()?;
        let header = Self {
            node: u16::from_le_bytes(*node),
            lane: u16::from_le_bytes(*lane),
            first_seq: Seq(u64::from_le_bytes(*first_seq)),
            previous: *previous,
        };
        let genuine = u64::from_le_bytes(*magic) == MAGIC
            && u32::from_le_bytes(*version) == VERSION
            && header.body() == *body;
        genuine.then_some(header)
    }
}

/// Where the checksum stands in the header's body.
const CRC_AT: usize = 4 + 2 + 2 + 8 + 32;

/// A segment that can be read: being written, or left by an earlier life.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) read: ReadHalf,
    /// Bytes it takes on the disk.
    pub(super) size: u64,
}

/// The name of the segment that begins with `first_seq`.
pub(super) fn file_name(first_seq: Seq) -> String {
    format!("{:020}.seg", first_seq.0)
}

/// The sequence number in a segment's name.
pub(super) fn parse_name(path: &Path) -> Option<Seq> {
    let name = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (name.len() == 20)
        .then(|| name.parse().ok().map(Seq))
        .flatten()
}

/// Makes a file of `size` zeros whose blocks are really there, so that writing through a map can't fail.
///
/// Where the filesystem has no `fallocate`, zeros are written instead. A filesystem that copies on write
/// without reserving (and only such a one) may still run out of space later.
pub(super) fn preallocate(path: &Path, size: u64) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let made = match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&file, size),
        Err(error) => Err(io::Error::from(error)),
    };
    match made {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = std::fs::remove_file(path);
            Err(error)
        }
    }
}

fn fill(mut file: &File, size: u64) -> io::Result<()> {
    let zeros = [0u8; 64 * 1024];
    let mut left = size;
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(zeros.get(..step).unwrap_or(&zeros))?;
        left -= step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::map;

    #[test]
    fn header_round_trips_and_every_byte_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = preallocate(&dir.path().join("a"), 4096).unwrap();
        let (mut write, read) = map::writable(&file, 4096).unwrap();
        let header = Header {
            node: 3,
            lane: 4,
            first_seq: Seq(5),
            previous: [6; 32],
        };
        assert!(header.write(&mut write));
        assert_eq!(read.published_len(), HEADER);
        assert_eq!(Header::read(read.published()), Some(header));
        let bytes = read.published().to_vec();
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            assert_eq!(Header::read(&bent), None, "byte {at}");
        }
    }

    #[test]
    fn names_sort_by_sequence() {
        assert_eq!(parse_name(Path::new(&file_name(Seq(77)))), Some(Seq(77)));
        assert_eq!(parse_name(Path::new("spare.tmp")), None);
        assert!(file_name(Seq(9)) < file_name(Seq(10)));
    }

    #[test]
    fn filling_makes_the_size() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("a")).unwrap();
        fill(&file, 100_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100_000);
    }
}
