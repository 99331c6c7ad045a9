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
    pub(crate) fn of(bytes: &[u8]) -> Word {
        let Some(packed) = pack(bytes) else {
            return Word::Other;
        };
        match packed {
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
            INTERSECT => Word::Intersect,
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

/// Up to nine bytes, folded to lower case, as one number.
const fn pack(bytes: &[u8]) -> Option<u128> {
    if bytes.len() > 9 {
        return None;
    }
    let mut rest = bytes;
    let mut packed = 0_u128;
    while let [first, tail @ ..] = rest {
        packed = packed << 8 | first.to_ascii_lowercase() as u128;
        rest = tail;
    }
    Some(packed)
}

/// `pack` for the constants below.
const fn word(text: &str) -> u128 {
    match pack(text.as_bytes()) {
        Some(packed) => packed,
        None => 0,
    }
}

const AND: u128 = word("and");
const ARRAY: u128 = word("array");
const AS: u128 = word("as");
const ATOMIC: u128 = word("atomic");
const BETWEEN: u128 = word("between");
const CASE: u128 = word("case");
const DEFAULT: u128 = word("default");
const ELSE: u128 = word("else");
const END: u128 = word("end");
const EXCEPT: u128 = word("except");
const FALSE: u128 = word("false");
const FLOAT: u128 = word("float");
const IN: u128 = word("in");
const INTERSECT: u128 = word("intersect");
const JOIN: u128 = word("join");
const NULL: u128 = word("null");
const OR: u128 = word("or");
const THEN: u128 = word("then");
const TRUE: u128 = word("true");
const UNION: u128 = word("union");
const VALUES: u128 = word("values");
const WHEN: u128 = word("when");
