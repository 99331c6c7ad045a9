//! The few keywords that the guard and the normal form act upon.

/// A keyword with a meaning before parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    And,
    Array,
    As,
    Atomic,
    Between,
    Case,
    Default,
    Else,
    End,
    Except,
    False,
    Float,
    In,
    Intersect,
    Join,
    Null,
    Or,
    Then,
    True,
    Union,
    Values,
    When,
    /// Any other word.
    Other,
}

impl Word {
    /// Recognises an unquoted word, in any case.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Word {
        if bytes.len() > 8 {
            let long = bytes.len() == 9 && bytes.eq_ignore_ascii_case(b"intersect");
            return if long { Word::Intersect } else { Word::Other };
        }
        match pack(bytes) {
            AND => Word::And,
            ARRAY => Word::Array,
            AS => Word::As,
            ATOMIC => Word::Atomic,
            BETWEEN => Word::Between,
            CASE => Word::Case,
            DEFAULT => Word::Default,
            ELSE => Word::Else,
            END => Word::End,
            EXCEPT => Word::Except,
            FALSE => Word::False,
            FLOAT => Word::Float,
            IN => Word::In,
            JOIN => Word::Join,
            NULL => Word::Null,
            OR => Word::Or,
            THEN => Word::Then,
            TRUE => Word::True,
            UNION => Word::Union,
            VALUES => Word::Values,
            WHEN => Word::When,
            _ => Word::Other,
        }
    }
}

/// Up to eight bytes as one number; letters are folded to lower case, other bytes are mapped to what no keyword has.
#[inline]
const fn pack(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut packed = 0_u64;
    while let [first, tail @ ..] = rest {
        // Setting the bit folds letters and leaves digits; `_` becomes 0x7f and `$` 0x24.
        packed = packed << 8 | (*first | 0x20) as u64;
        rest = tail;
    }
    packed
}

const AND: u64 = pack(b"and");
const ARRAY: u64 = pack(b"array");
const AS: u64 = pack(b"as");
const ATOMIC: u64 = pack(b"atomic");
const BETWEEN: u64 = pack(b"between");
const CASE: u64 = pack(b"case");
const DEFAULT: u64 = pack(b"default");
const ELSE: u64 = pack(b"else");
const END: u64 = pack(b"end");
const EXCEPT: u64 = pack(b"except");
const FALSE: u64 = pack(b"false");
const FLOAT: u64 = pack(b"float");
const IN: u64 = pack(b"in");
const JOIN: u64 = pack(b"join");
const NULL: u64 = pack(b"null");
const OR: u64 = pack(b"or");
const THEN: u64 = pack(b"then");
const TRUE: u64 = pack(b"true");
const UNION: u64 = pack(b"union");
const VALUES: u64 = pack(b"values");
const WHEN: u64 = pack(b"when");
