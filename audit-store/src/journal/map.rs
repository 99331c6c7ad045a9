//! Mapped segment files: the only place of the project that touches memory by hand.
//!
//! A file is mapped once and shared by two kinds of hands. One `WriteHalf` owns everything behind the
//! published mark; any number of `ReadHalf`s see only what lies before it. The mark only grows, so the two
//! never meet. Another process that writes to or truncates these files is outside what any mapping can
//! defend against; the data directory is private (0700) for that reason.
#![expect(
    unsafe_code,
    reason = "memory-mapped files; each block says why it is sound"
)]

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

/// The bytes of a word that publishes a frame.
pub(super) const WORD: usize = 8;

struct Map {
    raw: MmapRaw,
    /// Bytes `..published` never change again. Grows only; stored by the one `WriteHalf`.
    published: AtomicUsize,
}

/// The writing end of a map: sole owner of the bytes behind the published mark.
pub(super) struct WriteHalf {
    map: Arc<Map>,
    /// A copy of the mark, so that the hot path loads nothing shared.
    published: usize,
}

/// A reading end of a map: sees published bytes only.
#[derive(Clone)]
pub(super) struct ReadHalf {
    map: Arc<Map>,
}

/// Maps a file of zeros for writing and reading.
///
/// The file's blocks must be allocated, or a full disk turns into SIGBUS.
pub(super) fn writable(file: &File, length: usize) -> io::Result<(WriteHalf, ReadHalf)> {
    let raw = MmapOptions::new().len(length).map_raw(file)?;
    let map = Arc::new(Map {
        raw,
        published: AtomicUsize::new(0),
    });
    Ok((
        WriteHalf {
            map: Arc::clone(&map),
            published: 0,
        },
        ReadHalf { map },
    ))
}

/// Maps a file that nobody writes any more; its first `length` bytes are readable.
pub(super) fn read_only(file: &File, length: usize) -> io::Result<ReadHalf> {
    let raw = MmapOptions::new().len(length).map_raw_read_only(file)?;
    let published = AtomicUsize::new(raw.len());
    Ok(ReadHalf {
        map: Arc::new(Map { raw, published }),
    })
}

impl WriteHalf {
    /// The bytes behind the published mark, the first word of them excepted: a frame's body goes here.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        let start = self.published.saturating_add(WORD).min(self.map.raw.len());
        let length = self.map.raw.len() - start;
        // SAFETY: `start + length` is the length of the mapping, so the range is inside it. It is writable: a
        // WriteHalf is made by `writable` only. It is unaliased: there is one WriteHalf per map (neither Clone
        // nor Copy), it lends the range mutably for as long as it is itself borrowed, and ReadHalves only make
        // references to `..published`, which ends before `start`. Any bytes are valid u8s.
        unsafe { std::slice::from_raw_parts_mut(self.map.raw.as_mut_ptr().add(start), length) }
    }

    /// Publishes the first `length` bytes of `room` under `word`, padded to a whole word.
    ///
    /// The word reaches the page cache after the body: whoever finds it non-zero, in this life or after a
    /// kill, finds the body whole. Does nothing and answers `false` where the length exceeds the room.
    #[inline]
    pub(super) fn publish(&mut self, word: u64, length: usize) -> bool {
        let Some(end) = length
            .checked_next_multiple_of(WORD)
            .and_then(|padded| padded.checked_add(WORD))
            .and_then(|framed| framed.checked_add(self.published))
            .filter(|end| *end <= self.map.raw.len())
        else {
            return false;
        };
        // SAFETY: `published + WORD <= end <= len`, so the word is inside the mapping. Mappings are page aligned
        // and `published` is a multiple of WORD (it starts at 0 and grows by multiples of WORD), so the pointer
        // is aligned for AtomicU64. It is writable, and no reference to these bytes exists: they are behind the
        // published mark, and `room` excludes the first word and is not borrowed now.
        let place = unsafe {
            AtomicU64::from_ptr(self.map.raw.as_mut_ptr().add(self.published).cast::<u64>())
        };
        place.store(word.to_le(), Ordering::Release);
        self.published = end;
        self.map.published.store(end, Ordering::Release);
        true
    }
}

impl ReadHalf {
    /// The published bytes.
    #[inline]
    pub(super) fn published(&self) -> &[u8] {
        let length = self.map.published.load(Ordering::Acquire);
        // SAFETY: `length` never exceeds the mapping's length (`publish` checks, `read_only` takes it from the
        // mapping). The bytes before the mark never change again: the WriteHalf writes behind it only, and the
        // Acquire load pairs with the Release store that moved it, so what was written before is seen. The
        // mapping lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.map.raw.as_ptr(), length) }
    }

    /// How many bytes are published.
    pub(super) fn published_len(&self) -> usize {
        self.map.published.load(Ordering::Acquire)
    }

    /// The length of the mapping.
    pub(super) fn len(&self) -> usize {
        self.map.raw.len()
    }

    /// Brings published bytes to the disk (msync(2), which takes the metadata along that reading them back needs).
    pub(super) fn flush(&self, offset: usize, length: usize) -> io::Result<()> {
        self.map.raw.flush_range(offset, length)
    }

    /// Brings pages behind the published mark into memory, writable, so that the writer takes no fault on them.
    ///
    /// A hint: where the kernel can't, the writer faults as usual.
    pub(super) fn populate(&self, offset: usize, length: usize) {
        let start = offset.min(self.len());
        let length = length.min(self.len() - start);
        if length > 0 {
            let _ = self
                .map
                .raw
                .advise_range(Advice::PopulateWrite, start, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(length: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        file
    }

    #[test]
    fn readers_see_published_bytes_only() {
        let (mut write, read) = writable(&file(4096), 4096).unwrap();
        write.room()[..3].copy_from_slice(b"abc");
        assert_eq!(read.published(), b"");
        assert!(write.publish(7, 3));
        assert_eq!(read.published(), b"\x07\0\0\0\0\0\0\0abc\0\0\0\0\0");
        assert_eq!(write.room().len(), 4096 - 16 - 8);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let (mut write, read) = writable(&file(4096), 4096).unwrap();
        assert!(!write.publish(1, 4096));
        assert!(!write.publish(1, usize::MAX));
        assert!(write.publish(1, 4088));
        assert_eq!(write.room().len(), 0);
        assert!(!write.publish(1, 0));
        assert_eq!(read.published_len(), 4096);
    }

    #[test]
    fn populating_past_the_end_is_harmless() {
        let (_write, read) = writable(&file(8192), 8192).unwrap();
        read.populate(4096, usize::MAX);
        read.populate(usize::MAX, 1);
        assert_eq!(read.published_len(), 0);
    }
}
