//! Which pieces of text a block's statements hold: a filter that says *no* for certain, or *perhaps*.
//!
//! Every run of three and of six bytes, ASCII letters in lower case, sets one bit. The filter is then folded to
//! the size that its number of pieces deserves. An empty filter says *perhaps* to everything.

/// A filter in the making.
#[derive(Clone)]
pub(crate) struct Grams {
    bits: Box<[u64]>,
    /// The latest texts by hash, so that a text seen before costs a comparison.
    seen: Box<[Vec<u8>]>,
    open: bool,
}

impl Grams {
    pub(crate) fn new() -> Self {
        Self {
            bits: vec![0; BITS / 64].into(),
            seen: vec![Vec::new(); SEEN].into(),
            open: false,
        }
    }

    /// Lets everything pass: a text is not known.
    pub(crate) fn admit_all(&mut self) {
        self.open = true;
    }

    pub(crate) fn add(&mut self, text: &[u8]) {
        if text.len() <= LONGEST_SEEN {
            let place = crc32c::crc32c(text) as usize % SEEN;
            match self.seen.get_mut(place) {
                Some(seen) if seen == text => return,
                Some(seen) => {
                    seen.clear();
                    seen.extend_from_slice(text);
                }
                None => {}
            }
        }
        let bits = &mut self.bits;
        pieces(text, |bit| {
            if let Some(word) = bits.get_mut(bit / 64 % (BITS / 64)) {
                *word |= 1 << (bit % 64);
            }
        });
    }

    /// The folded filter.
    pub(crate) fn finish(&self) -> Vec<u8> {
        if self.open {
            return Vec::new();
        }
        self.folded()
    }

    /// Itself, where it lets everything pass.
    pub(crate) fn opened(self) -> Option<Self> {
        self.open.then_some(self)
    }

    /// The folded filter of the texts that are known, as if these were all.
    pub(crate) fn folded(&self) -> Vec<u8> {
        let mut words = self.bits.to_vec();
        while words.len() > 1 {
            let ones: u32 = words.iter().map(|word| word.count_ones()).sum();
            // Folded once more, at most a quarter of the bits is set.
            if ones as usize * 8 > words.len() * 64 {
                break;
            }
            let (low, high) = words.split_at(words.len() / 2);
            words = low
                .iter()
                .zip(high)
                .map(|(one, other)| one | other)
                .collect();
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// Whether a text behind the filter may hold `wanted`, in either case of ASCII letters.
pub(crate) fn may_hold(filter: &[u8], wanted: &[u8]) -> bool {
    let bits = filter.len() * 8;
    if !bits.is_power_of_two() {
        return true;
    }
    let mut all = true;
    pieces(wanted, |bit| {
        let bit = bit % bits;
        all &= filter
            .get(bit / 8)
            .is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
    });
    all
}

/// The bits of a text's pieces.
#[inline]
fn pieces(text: &[u8], mut each: impl FnMut(usize)) {
    let mut window = 0u64;
    for (at, byte) in text.iter().enumerate() {
        window = (window << 8) | u64::from(byte.to_ascii_lowercase());
        if at >= 2 {
            each(place(window & 0xFF_FFFF));
        }
        if at >= 5 {
            each(place((window & 0xFFFF_FFFF_FFFF) | 1 << 48));
        }
    }
}

#[inline]
fn place(piece: u64) -> usize {
    (piece.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS.trailing_zeros())) as usize
}

/// How many bits an unfolded filter has.
const BITS: usize = 1 << 18;

/// How many texts are remembered as seen.
const SEEN: usize = 64;

/// How long a text may be to be remembered.
const LONGEST_SEEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_texts_apart() {
        let mut grams = Grams::new();
        for number in 0..4000 {
            grams.add(
                format!("SELECT * FROM t WHERE id = {}", number * 7919 % 1_000_000).as_bytes(),
            );
        }
        let filter = grams.finish();
        assert!(may_hold(&filter, b"id = 7919"));
        assert!(!may_hold(&filter, b"nowhere"));
        let wrong = (0..1000)
            .filter(|number| may_hold(&filter, format!("id = {}", 5_000_000 + number).as_bytes()))
            .count();
        assert!(wrong < 300, "{wrong} of 1000 pass in vain");
        assert!(filter.len() <= 16 << 10, "{} bytes", filter.len());
    }

    #[test]
    fn few_texts_make_a_small_filter() {
        let mut grams = Grams::new();
        for _ in 0..10 {
            grams.add(b"SELECT abalance FROM pgbench_accounts WHERE aid = $1");
        }
        assert!(grams.finish().len() <= 128);
        assert_eq!(Grams::new().finish().len(), 8);
    }

    #[test]
    fn what_is_unknown_passes() {
        let mut grams = Grams::new();
        grams.add(b"SELECT 1");
        grams.admit_all();
        assert!(may_hold(&grams.finish(), b"anything"));
        assert!(may_hold(&Grams::new().finish(), b"ab"), "too short to tell");
    }

    proptest! {
        #[test]
        fn every_piece_of_a_text_passes(texts in proptest::collection::vec(".{0,40}", 1..60), which: prop::sample::Index, from in 0usize..20, length in 0usize..20) {
            let mut grams = Grams::new();
            for text in &texts {
                grams.add(text.as_bytes());
            }
            let text = which.get(&texts).to_ascii_uppercase();
            let piece: Vec<u8> = text.bytes().skip(from).take(length).collect();
            prop_assert!(may_hold(&grams.finish(), &piece));
        }
    }
}
