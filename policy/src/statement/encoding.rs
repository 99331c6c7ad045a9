//! Client encodings of PostgreSQL, and the strict reading of texts in them.

use std::borrow::Cow;

/// The encoding of the texts that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// No conversion at all; read if the bytes happen to be UTF-8.
    SqlAscii,
    /// ISO 8859-1: each byte is the character of that number.
    Latin1,
    /// ISO 8859-9: ISO 8859-1 but for six letters.
    Latin5,
    /// An encoding that a decoder is there for, in which bytes below 0x80 are always ASCII.
    Table(Charset),
    /// An encoding of clients only, in which an ASCII byte may be the second half of a character.
    ClientOnly(Charset),
    /// An encoding whose characters beyond ASCII can't be read.
    Unreadable,
}

/// A decoder for one character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Charset(&'static encoding_rs::Encoding);

impl Charset {
    /// The character set that a decoder is for.
    pub(crate) const fn of(encoding: &'static encoding_rs::Encoding) -> Self {
        Charset(encoding)
    }

    /// Its decoder.
    pub(crate) const fn encoding(self) -> &'static encoding_rs::Encoding {
        self.0
    }
}

impl Encoding {
    /// The encoding that PostgreSQL calls `name`; spelling is as lenient as the server's.
    #[must_use]
    pub fn from_postgres_name(name: impl AsRef<[u8]>) -> Self {
        let mut folded = [0_u8; 24];
        let mut length = 0;
        for byte in name
            .as_ref()
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
        {
            let Some(slot) = folded.get_mut(length) else {
                return Encoding::Unreadable;
            };
            *slot = byte.to_ascii_lowercase();
            length += 1;
        }
        let name = folded.get(..length).unwrap_or_default();
        named(std::str::from_utf8(name).unwrap_or_default())
    }

    /// Whether a byte below 0x80 always is the ASCII character of that number.
    #[must_use]
    pub fn is_ascii_safe(self) -> bool {
        match self {
            Encoding::Utf8
            | Encoding::SqlAscii
            | Encoding::Latin1
            | Encoding::Latin5
            | Encoding::Table(_) => true,
            Encoding::ClientOnly(_) | Encoding::Unreadable => false,
        }
    }

    /// Decodes a text, or says that it has bytes that mean nothing in this encoding.
    pub(crate) fn decode(self, text: &[u8]) -> Option<Cow<'_, str>> {
        if text.is_ascii() {
            return std::str::from_utf8(text).ok().map(Cow::Borrowed);
        }
        match self {
            Encoding::Utf8 | Encoding::SqlAscii => {
                std::str::from_utf8(text).ok().map(Cow::Borrowed)
            }
            Encoding::Latin1 => Some(text.iter().copied().map(char::from).collect()),
            Encoding::Latin5 => Some(text.iter().copied().map(latin5).collect()),
            Encoding::Table(Charset(charset)) | Encoding::ClientOnly(Charset(charset)) => {
                charset.decode_without_bom_handling_and_without_replacement(text)
            }
            Encoding::Unreadable => None,
        }
    }
}

/// A character of ISO 8859-9.
fn latin5(byte: u8) -> char {
    match byte {
        0xd0 => '\u{11e}',
        0xdd => '\u{130}',
        0xde => '\u{15e}',
        0xf0 => '\u{11f}',
        0xfd => '\u{131}',
        0xfe => '\u{15f}',
        _ => char::from(byte),
    }
}

/// Looks up a folded name; the aliases are those of `src/common/encnames.c`.
fn named(name: &str) -> Encoding {
    let table = |charset: &'static encoding_rs::Encoding| Encoding::Table(Charset(charset));
    let client_only = |charset| Encoding::ClientOnly(Charset(charset));
    match name {
        "utf8" | "unicode" => Encoding::Utf8,
        "sqlascii" => Encoding::SqlAscii,
        "latin1" | "iso88591" => Encoding::Latin1,
        "latin2" | "iso88592" => table(encoding_rs::ISO_8859_2),
        "latin3" | "iso88593" => table(encoding_rs::ISO_8859_3),
        "latin4" | "iso88594" => table(encoding_rs::ISO_8859_4),
        "latin5" | "iso88599" => Encoding::Latin5,
        "latin6" | "iso885910" => table(encoding_rs::ISO_8859_10),
        "latin7" | "iso885913" => table(encoding_rs::ISO_8859_13),
        "latin8" | "iso885914" => table(encoding_rs::ISO_8859_14),
        "latin9" | "iso885915" => table(encoding_rs::ISO_8859_15),
        "latin10" | "iso885916" => table(encoding_rs::ISO_8859_16),
        "iso88595" => table(encoding_rs::ISO_8859_5),
        "iso88596" => table(encoding_rs::ISO_8859_6),
        "iso88597" => table(encoding_rs::ISO_8859_7),
        "iso88598" => table(encoding_rs::ISO_8859_8),
        "koi8" | "koi8r" => table(encoding_rs::KOI8_R),
        "koi8u" => table(encoding_rs::KOI8_U),
        "win866" | "windows866" | "alt" => table(encoding_rs::IBM866),
        "win874" | "windows874" => table(encoding_rs::WINDOWS_874),
        "win1250" | "windows1250" => table(encoding_rs::WINDOWS_1250),
        "win" | "win1251" | "windows1251" => table(encoding_rs::WINDOWS_1251),
        "win1252" | "windows1252" => table(encoding_rs::WINDOWS_1252),
        "win1253" | "windows1253" => table(encoding_rs::WINDOWS_1253),
        "win1254" | "windows1254" => table(encoding_rs::WINDOWS_1254),
        "win1255" | "windows1255" => table(encoding_rs::WINDOWS_1255),
        "win1256" | "windows1256" => table(encoding_rs::WINDOWS_1256),
        "win1257" | "windows1257" => table(encoding_rs::WINDOWS_1257),
        "win1258" | "windows1258" | "abc" | "tcvn" | "tcvn5712" | "vscii" => {
            table(encoding_rs::WINDOWS_1258)
        }
        "eucjp" => table(encoding_rs::EUC_JP),
        // GBK and the Windows form of EUC-KR hold more than EUC_CN and EUC_KR, with second bytes below 0x80.
        "euccn" => client_only(encoding_rs::GBK),
        "euckr" => client_only(encoding_rs::EUC_KR),
        "sjis" | "shiftjis" | "mskanji" | "win932" | "windows932" => {
            client_only(encoding_rs::SHIFT_JIS)
        }
        "big5" | "win950" | "windows950" => client_only(encoding_rs::BIG5),
        "gbk" | "win936" | "windows936" => client_only(encoding_rs::GBK),
        "gb18030" => client_only(encoding_rs::GB18030),
        "uhc" | "win949" | "windows949" => client_only(encoding_rs::EUC_KR),
        // EUC_TW, EUC_JIS_2004, SHIFT_JIS_2004, JOHAB, MULE_INTERNAL, and what no server knows.
        _ => Encoding::Unreadable,
    }
}

impl Encoding {
    /// Tells encodings apart in cache keys.
    pub(crate) fn key_name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "utf8",
            Encoding::SqlAscii => "sql_ascii",
            Encoding::Latin1 => "latin1",
            Encoding::Latin5 => "latin5",
            Encoding::Table(Charset(charset)) | Encoding::ClientOnly(Charset(charset)) => {
                charset.name()
            }
            Encoding::Unreadable => "",
        }
    }
}
