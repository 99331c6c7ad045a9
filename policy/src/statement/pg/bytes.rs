//! Classes of bytes, as the scanner sees them.

/// The offset of the line break (or zero byte) that ends the line at `pos`, or of the end.
pub(super) fn line_end(text: &[u8], pos: usize) -> usize {
    let rest = text.get(pos..).unwrap_or_default();
    pos + rest
        .iter()
        .position(|&b| matches!(b, b'\n' | b'\r' | 0))
        .unwrap_or(rest.len())
}

/// White space, as the scanner knows it.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

pub(super) fn is_word_start(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..)
}

#[inline]
pub(super) fn is_word_byte(byte: u8) -> bool {
    matches!(
        CLASS_OF.get(usize::from(byte)),
        Some(ByteClass::Letter | ByteClass::Digit | ByteClass::Dollar)
    )
}

pub(super) fn is_operator_byte(byte: u8) -> bool {
    matches!(CLASS_OF.get(usize::from(byte)), Some(ByteClass::Operator))
}

/// What a byte can start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteClass {
    Blank,
    Letter,
    Digit,
    Quote,
    DoubleQuote,
    Operator,
    Punctuation,
    Dollar,
    Nul,
    Other,
}

pub(super) const CLASS_OF: [ByteClass; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn classes() -> [ByteClass; 256] {
    let mut table = [ByteClass::Other; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = match byte as u8 {
            0 => ByteClass::Nul,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => ByteClass::Blank,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => ByteClass::Letter,
            b'0'..=b'9' => ByteClass::Digit,
            b'\'' => ByteClass::Quote,
            b'"' => ByteClass::DoubleQuote,
            b'$' => ByteClass::Dollar,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*'
            | b'/' | b'%' | b'<' | b'>' | b'=' => ByteClass::Operator,
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => ByteClass::Punctuation,
            _ => ByteClass::Other,
        };
        byte += 1;
    }
    table
}
