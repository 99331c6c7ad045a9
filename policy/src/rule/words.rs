//! Small sets of vocabulary words, as bit masks.

use std::fmt;
use std::marker::PhantomData;

use super::personal::PersonalData;
use crate::vocabulary::{
    Access, Action, Class, ColumnUse, Detector, Dialect, Egress, EndUserTrust, Isolation,
    LimitShape, Mode, ObjectKind, RecordDetail, Refused, Severity, Trait, TransactionAccess,
    TransactionState, Unreadable, Verb, WhereShape,
};

/// A vocabulary enum of at most 64 words.
pub trait Word: Copy + fmt::Display + 'static {
    /// Every word.
    const WORDS: &'static [Self];

    /// The bit of this word.
    fn bit(self) -> u64;

    /// The spelling of this word.
    fn text(self) -> &'static str;

    /// The word spelled `text`.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! impl_word {
    ($($name:ident),+ $(,)?) => { $(
        impl Word for $name {
            const WORDS: &'static [Self] = Self::ALL;

            fn bit(self) -> u64 {
                1u64.wrapping_shl(self as u32)
            }

            fn text(self) -> &'static str {
                self.as_str()
            }

            fn parse(text: &str) -> Option<Self> {
                Self::from_word(text)
            }
        }

        // A word's bit is its position: more than 64 words would share bits.
        const _: () = assert!($name::ALL.len() <= 64);
    )+ };
}

impl_word!(
    Access,
    Action,
    Class,
    ColumnUse,
    Detector,
    Dialect,
    Egress,
    EndUserTrust,
    Isolation,
    LimitShape,
    Mode,
    ObjectKind,
    PersonalData,
    RecordDetail,
    Refused,
    Severity,
    Trait,
    TransactionAccess,
    TransactionState,
    Unreadable,
    Verb,
    WhereShape,
);

/// A set of words.
pub struct Words<T> {
    bits: u64,
    word: PhantomData<T>,
}

impl<T: Word> Default for Words<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Word> Words<T> {
    /// The set without words.
    pub const EMPTY: Self = Self {
        bits: 0,
        word: PhantomData,
    };

    /// The set of every word.
    #[must_use]
    pub fn all() -> Self {
        T::WORDS.iter().copied().collect()
    }

    /// Whether `word` is in the set.
    #[must_use]
    pub fn contains(self, word: T) -> bool {
        self.bits & word.bit() != 0
    }

    /// Adds `word`.
    pub fn insert(&mut self, word: T) {
        self.bits |= word.bit();
    }

    /// Whether the set has no word.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The words of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
            word: PhantomData,
        }
    }

    /// The words in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
            word: PhantomData,
        }
    }

    /// The words of this set that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self {
            bits: self.bits & !other.bits,
            word: PhantomData,
        }
    }

    /// Whether the sets share a word.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.bits & other.bits != 0
    }

    /// The words, in declaration order.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::WORDS
            .iter()
            .copied()
            .filter(move |word| self.contains(*word))
    }
}

impl<T> Clone for Words<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Words<T> {}

impl<T> PartialEq for Words<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<T> Eq for Words<T> {}

impl<T: Word> FromIterator<T> for Words<T> {
    fn from_iter<I: IntoIterator<Item = T>>(words: I) -> Self {
        let mut set = Self::EMPTY;
        for word in words {
            set.insert(word);
        }
        set
    }
}

impl<T: Word> fmt::Display for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for word in self.iter() {
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            f.write_str(word.text())?;
        }
        Ok(())
    }
}

impl<T: Word> fmt::Debug for Words<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}
