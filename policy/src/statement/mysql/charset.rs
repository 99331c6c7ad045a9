//! `character_set_client`: where characters end, and what names in it say.

use std::borrow::Cow;

use encoding_rs as enc;

use crate::statement::Charset;

/// A client character set, by what a scanner must know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCharset {
    /// utf8mb3, utf8mb4.
    Utf8,
    /// latin1: cp1252 with the five missing places filled.
    Latin1,
    /// binary and ascii: bytes beyond ASCII stand in strings and quoted names only.
    Bytes,
    /// A character set of single bytes that a table is there for; beyond ASCII likewise.
    Single(Charset),
    /// A character set of single bytes without a table: names beyond ASCII can't be read.
    SingleUnknown,
    /// A character set in which an ASCII byte may be part of a character, or with longer characters.
    Multi(MultiByte),
    /// One that can't be read: unknown, or not a superset of ASCII.
    Refused,
}

/// The multi-byte character sets other than UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MultiByte {
    /// gbk.
    Gbk,
    /// gb2312.
    Gb2312,
    /// gb18030.
    Gb18030,
    /// big5.
    Big5,
    /// sjis and cp932.
    Sjis,
    /// euckr.
    Euckr,
    /// ujis and eucjpms.
    Ujis,
}

impl ClientCharset {
    /// The character set of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let single = |table| ClientCharset::Single(Charset::of(table));
        match name.to_ascii_lowercase().as_str() {
            "utf8" | "utf8mb3" | "utf8mb4" => ClientCharset::Utf8,
            "latin1" => ClientCharset::Latin1,
            "binary" | "ascii" => ClientCharset::Bytes,
            "latin2" => single(enc::ISO_8859_2),
            "latin5" => single(enc::WINDOWS_1254),
            "latin7" => single(enc::ISO_8859_13),
            "greek" => single(enc::ISO_8859_7),
            "hebrew" => single(enc::ISO_8859_8),
            "cp1250" => single(enc::WINDOWS_1250),
            "cp1251" => single(enc::WINDOWS_1251),
            "cp1256" => single(enc::WINDOWS_1256),
            "cp1257" => single(enc::WINDOWS_1257),
            "koi8r" => single(enc::KOI8_R),
            "koi8u" => single(enc::KOI8_U),
            "cp866" => single(enc::IBM866),
            "macroman" => single(enc::MACINTOSH),
            "tis620" => single(enc::WINDOWS_874),
            "armscii8" | "cp850" | "cp852" | "dec8" | "geostd8" | "hp8" | "keybcs2" | "macce" => {
                ClientCharset::SingleUnknown
            }
            "gbk" => ClientCharset::Multi(MultiByte::Gbk),
            "gb2312" => ClientCharset::Multi(MultiByte::Gb2312),
            "gb18030" => ClientCharset::Multi(MultiByte::Gb18030),
            "big5" => ClientCharset::Multi(MultiByte::Big5),
            "sjis" | "cp932" => ClientCharset::Multi(MultiByte::Sjis),
            "euckr" => ClientCharset::Multi(MultiByte::Euckr),
            "ujis" | "eucjpms" => ClientCharset::Multi(MultiByte::Ujis),
            // swe7 has letters in the places of brackets and backslash; ucs2, utf16 and utf32 are refused by the servers.
            _ => ClientCharset::Refused,
        }
    }

    /// The character set of a collation, by the number that HandshakeResponse41 and COM_CHANGE_USER carry
    /// (`information_schema.collations`).
    #[must_use]
    pub fn from_collation(id: u16) -> Self {
        // MariaDB: the NO PAD twin of a collation is 1024 higher; the UCA 14 collations have 256 places per character set.
        let id = match id {
            1025..=1999 => id - 1024,
            2048..=2303 => 33,
            2304..=2559 => 45,
            other => other,
        };
        ClientCharset::from_name(match id {
            1 | 84 => "big5",
            2 | 9 | 21 | 27 | 77 => "latin2",
            3 | 69 => "dec8",
            4 | 80 => "cp850",
            5 | 8 | 15 | 31 | 47..=49 | 94 => "latin1",
            6 | 72 => "hp8",
            7 | 74 => "koi8r",
            11 | 65 => "ascii",
            12 | 91 => "ujis",
            13 | 88 => "sjis",
            14 | 23 | 50..=52 => "cp1251",
            16 | 71 => "hebrew",
            18 | 89 => "tis620",
            19 | 85 => "euckr",
            20 | 41 | 42 | 79 => "latin7",
            22 | 75 => "koi8u",
            24 | 86 => "gb2312",
            25 | 70 => "greek",
            26 | 34 | 44 | 66 | 99 => "cp1250",
            28 | 87 => "gbk",
            29 | 58 | 59 => "cp1257",
            30 | 78 => "latin5",
            32 | 64 => "armscii8",
            33 | 76 | 83 | 192..=215 | 223 => "utf8mb3",
            36 | 68 => "cp866",
            37 | 73 => "keybcs2",
            38 | 43 => "macce",
            39 | 53 => "macroman",
            40 | 81 => "cp852",
            45 | 46 | 224..=247 | 255..=323 => "utf8mb4",
            57 | 67 => "cp1256",
            63 => "binary",
            92 | 93 => "geostd8",
            95 | 96 => "cp932",
            97 | 98 => "eucjpms",
            248..=250 => "gb18030",
            _ => "",
        })
    }

    /// Tells character sets apart in cache keys.
    pub(crate) fn key_name(self) -> &'static str {
        match self {
            ClientCharset::Utf8 => "utf8",
            ClientCharset::Latin1 => "latin1",
            ClientCharset::Bytes => "bytes",
            ClientCharset::SingleUnknown => "single",
            ClientCharset::Refused => "refused",
            ClientCharset::Multi(multi) => match multi {
                MultiByte::Gbk => "gbk",
                MultiByte::Gb2312 => "gb2312",
                MultiByte::Gb18030 => "gb18030",
                MultiByte::Big5 => "big5",
                MultiByte::Sjis => "sjis",
                MultiByte::Euckr => "euckr",
                MultiByte::Ujis => "ujis",
            },
            ClientCharset::Single(table) => table.encoding().name(),
        }
    }

    /// How many bytes the character of several bytes at the start of `bytes` has; 0 if there is none.
    #[inline]
    pub(crate) fn char_len(self, bytes: &[u8]) -> usize {
        match self {
            ClientCharset::Utf8 => utf8_len(bytes),
            ClientCharset::Multi(multi) => multi.char_len(bytes),
            ClientCharset::Latin1
            | ClientCharset::Bytes
            | ClientCharset::Single(_)
            | ClientCharset::SingleUnknown
            | ClientCharset::Refused => 0,
        }
    }

    /// Reads a name; `None` if its bytes mean nothing.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        if bytes.is_ascii() {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        let table = match self {
            ClientCharset::Utf8 | ClientCharset::Bytes => {
                return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
            }
            ClientCharset::Latin1 => enc::WINDOWS_1252,
            ClientCharset::Single(table) => table.encoding(),
            ClientCharset::Multi(multi) => multi.table(),
            ClientCharset::SingleUnknown | ClientCharset::Refused => return None,
        };
        table.decode_without_bom_handling_and_without_replacement(bytes)
    }
}

impl MultiByte {
    fn table(self) -> &'static enc::Encoding {
        match self {
            MultiByte::Gbk | MultiByte::Gb2312 => enc::GBK,
            MultiByte::Gb18030 => enc::GB18030,
            MultiByte::Big5 => enc::BIG5,
            MultiByte::Sjis => enc::SHIFT_JIS,
            MultiByte::Euckr => enc::EUC_KR,
            MultiByte::Ujis => enc::EUC_JP,
        }
    }

    fn char_len(self, bytes: &[u8]) -> usize {
        let (&first, second) = match bytes {
            [first, second, ..] => (first, *second),
            _ => return 0,
        };
        let two = match self {
            MultiByte::Gbk => {
                matches!(first, 0x81..=0xfe) && matches!(second, 0x40..=0x7e | 0x80..=0xfe)
            }
            MultiByte::Gb2312 => matches!(first, 0xa1..=0xf7) && matches!(second, 0xa1..=0xfe),
            MultiByte::Gb18030 => {
                if !matches!(first, 0x81..=0xfe) {
                    return 0;
                }
                if let [_, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, ..] = bytes {
                    return 4;
                }
                matches!(second, 0x40..=0x7e | 0x80..=0xfe)
            }
            MultiByte::Big5 => {
                matches!(first, 0xa1..=0xf9) && matches!(second, 0x40..=0x7e | 0xa1..=0xfe)
            }
            MultiByte::Sjis => {
                matches!(first, 0x81..=0x9f | 0xe0..=0xfc)
                    && matches!(second, 0x40..=0x7e | 0x80..=0xfc)
            }
            MultiByte::Euckr => {
                matches!(first, 0x81..=0xfe)
                    && matches!(second, 0x41..=0x5a | 0x61..=0x7a | 0x81..=0xfe)
            }
            MultiByte::Ujis => match first {
                0x8e => matches!(second, 0xa0..=0xdf),
                0x8f => {
                    let third = bytes.get(2).copied().unwrap_or_default();
                    let three = matches!(second, 0xa1..=0xfe) && matches!(third, 0xa1..=0xfe);
                    return if three { 3 } else { 0 };
                }
                0xa1..=0xfe => matches!(second, 0xa1..=0xfe),
                _ => false,
            },
        };
        if two { 2 } else { 0 }
    }
}

/// The length of the well-formed character of several bytes at the start.
fn utf8_len(bytes: &[u8]) -> usize {
    let length = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return 0,
    };
    match bytes.get(..length) {
        Some(character) if std::str::from_utf8(character).is_ok() => length,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_bytes_may_be_backslashes() {
        for name in ["gbk", "sjis", "big5", "gb18030", "cp932"] {
            let charset = ClientCharset::from_name(name);
            assert_eq!(charset.char_len(b"\xe1\\'"), 2, "{name}");
        }
        for name in ["utf8mb4", "latin1", "ujis", "gb2312", "euckr", "binary"] {
            assert_eq!(
                ClientCharset::from_name(name).char_len(b"\xe1\\'"),
                0,
                "{name}"
            );
        }
    }

    #[test]
    fn collations_name_their_character_set() {
        assert_eq!(ClientCharset::from_collation(255), ClientCharset::Utf8);
        assert_eq!(ClientCharset::from_collation(8), ClientCharset::Latin1);
        assert_eq!(
            ClientCharset::from_collation(28),
            ClientCharset::Multi(MultiByte::Gbk)
        );
        assert_eq!(ClientCharset::from_collation(35), ClientCharset::Refused);
        assert_eq!(ClientCharset::from_collation(2304), ClientCharset::Utf8);
    }

    #[test]
    fn names_are_decoded() {
        let gbk = ClientCharset::from_name("gbk");
        assert_eq!(gbk.decode(b"\xb1\xed").as_deref(), Some("\u{8868}"));
        assert_eq!(ClientCharset::Utf8.decode(b"\xff"), None);
        assert_eq!(
            ClientCharset::Latin1.decode(b"\xe9").as_deref(),
            Some("\u{e9}")
        );
    }
}
