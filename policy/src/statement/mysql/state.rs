//! The session state on which the reading of a MySQL or MariaDB text depends.

use super::charset::ClientCharset;

/// Which of the two families a server belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// How a MySQL or MariaDB session reads its texts.
///
/// What is `None` is not known at the moment (a computed value, a routine): texts whose reading depends on it are unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MysqlLex {
    /// The server's family, from the handshake.
    pub flavour: Flavour,
    /// The server's version as its `/*!NNNNNN` comments count it: 9.7.4 is 90704, 10.11.6 is 101106.
    pub version: u32,
    /// `sql_mode`, as far as it matters here.
    pub sql_mode: Option<SqlMode>,
    /// `character_set_client`.
    pub charset: Option<ClientCharset>,
    /// Whether a text may hold several statements: CLIENT_MULTI_STATEMENTS or COM_SET_OPTION, never for prepared statements.
    pub multi_statements: bool,
    /// Whether names of tables and databases are folded to lower case: `lower_case_table_names` is not 0.
    pub folds_names: bool,
}

impl MysqlLex {
    /// The state of a fresh session with a server of this family, as its newest long-term release has it.
    #[must_use]
    pub const fn new(flavour: Flavour) -> Self {
        MysqlLex {
            flavour,
            version: match flavour {
                Flavour::Mysql => 90_700,
                Flavour::Mariadb => 110_800,
            },
            sql_mode: Some(SqlMode::EMPTY),
            charset: Some(ClientCharset::Utf8),
            multi_statements: true,
            folds_names: false,
        }
    }

    /// Takes flavour and version from the version text of the handshake (Protocol::HandshakeV10): `9.7.4`,
    /// `5.5.5-10.11.6-MariaDB-0+deb12u1`, `11.8.2-MariaDB`. `None` if it is neither.
    #[must_use]
    pub fn of_server(version_text: &[u8]) -> Option<(Flavour, u32)> {
        let mariadb = version_text
            .windows(7)
            .any(|window| window.eq_ignore_ascii_case(b"mariadb"));
        let text = match version_text.strip_prefix(b"5.5.5-") {
            Some(rest) if mariadb => rest,
            _ => version_text,
        };
        let flavour = if mariadb {
            Flavour::Mariadb
        } else {
            Flavour::Mysql
        };
        Some((flavour, version_number(text)?))
    }

    /// This state, reduced to what the reading of `text` depends on: a `sql_mode` or `charset` that does not matter is `None`.
    #[must_use]
    pub fn relevant_to(&self, text: &[u8]) -> MysqlLex {
        let without_mode = MysqlLex {
            sql_mode: None,
            charset: Some(ClientCharset::Utf8),
            ..*self
        };
        let depends = super::doubt(text, &without_mode).is_some();
        MysqlLex {
            sql_mode: self.sql_mode.filter(|_| depends),
            charset: self.charset.filter(|_| !text.is_ascii()),
            ..*self
        }
    }

    /// Whether a text for which this is the [relevant](Self::relevant_to) part of a state is read alike in state `now`.
    #[must_use]
    pub fn reads_alike_in(&self, now: &MysqlLex) -> bool {
        (self.sql_mode.is_none() || self.sql_mode == now.sql_mode)
            && (self.charset.is_none() || self.charset == now.charset)
    }

    /// Writes everything that tells two states apart.
    pub(crate) fn write_key(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.version.to_le_bytes());
        key.push(self.sql_mode.map_or(u8::MAX, |mode| mode.0));
        let charset = self.charset.map_or("", ClientCharset::key_name);
        key.extend_from_slice(charset.as_bytes());
        key.push(
            u8::from(self.flavour == Flavour::Mariadb)
                | u8::from(self.multi_statements) << 1
                | u8::from(self.folds_names) << 2,
        );
    }
}

/// `major.minor.patch` as one number.
fn version_number(text: &[u8]) -> Option<u32> {
    let mut parts = text.split(|byte| *byte == b'.').map(|part| {
        let digits = part.iter().take_while(|byte| byte.is_ascii_digit());
        let digits: Vec<u8> = digits.copied().take(3).collect();
        std::str::from_utf8(&digits).ok()?.parse::<u32>().ok()
    });
    let (major, minor) = (parts.next()??, parts.next()??);
    let patch = parts.next().flatten().unwrap_or(0);
    (major < 100 && minor < 100 && patch < 100).then(|| major * 10_000 + minor * 100 + patch)
}

/// The flags of `sql_mode` that change how a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct SqlMode(u8);

impl SqlMode {
    /// None of them.
    pub const EMPTY: SqlMode = SqlMode(0);
    /// `"…"` is an identifier.
    pub const ANSI_QUOTES: SqlMode = SqlMode(1);
    /// Backslashes are ordinary characters.
    pub const NO_BACKSLASH_ESCAPES: SqlMode = SqlMode(2);
    /// `||` concatenates.
    pub const PIPES_AS_CONCAT: SqlMode = SqlMode(4);
    /// NOT binds as `!` does.
    pub const HIGH_NOT_PRECEDENCE: SqlMode = SqlMode(8);
    /// Spaces may stand between a function's name and its bracket.
    pub const IGNORE_SPACE: SqlMode = SqlMode(16);
    /// MariaDB's other grammar.
    pub const ORACLE: SqlMode = SqlMode(32);

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: SqlMode) -> SqlMode {
        SqlMode(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn has(self, other: SqlMode) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads the value of the variable: names between commas. `None` if it holds a name that no server knows, or a number.
    #[must_use]
    pub fn parse(value: &str) -> Option<SqlMode> {
        let mut mode = SqlMode::EMPTY;
        for name in value
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            mode = mode.with(SqlMode::named(name)?);
        }
        Some(mode)
    }

    /// One name; compound ones bring what they stand for (MySQL manual, "Server SQL Modes"; MariaDB's "SQL_MODE").
    fn named(name: &str) -> Option<SqlMode> {
        let ansi = SqlMode::ANSI_QUOTES
            .with(SqlMode::PIPES_AS_CONCAT)
            .with(SqlMode::IGNORE_SPACE);
        Some(match name.to_ascii_uppercase().as_str() {
            "ANSI_QUOTES" => SqlMode::ANSI_QUOTES,
            "NO_BACKSLASH_ESCAPES" => SqlMode::NO_BACKSLASH_ESCAPES,
            "PIPES_AS_CONCAT" => SqlMode::PIPES_AS_CONCAT,
            "HIGH_NOT_PRECEDENCE" | "MYSQL323" | "MYSQL40" => SqlMode::HIGH_NOT_PRECEDENCE,
            "IGNORE_SPACE" => SqlMode::IGNORE_SPACE,
            "ANSI" | "POSTGRESQL" | "MSSQL" | "DB2" | "MAXDB" => ansi,
            "ORACLE" => ansi.with(SqlMode::ORACLE),
            "REAL_AS_FLOAT"
            | "IGNORE_BAD_TABLE_OPTIONS"
            | "ONLY_FULL_GROUP_BY"
            | "NO_UNSIGNED_SUBTRACTION"
            | "NO_DIR_IN_CREATE"
            | "NO_KEY_OPTIONS"
            | "NO_TABLE_OPTIONS"
            | "NO_FIELD_OPTIONS"
            | "NO_AUTO_VALUE_ON_ZERO"
            | "STRICT_TRANS_TABLES"
            | "STRICT_ALL_TABLES"
            | "NO_ZERO_IN_DATE"
            | "NO_ZERO_DATE"
            | "ALLOW_INVALID_DATES"
            | "ERROR_FOR_DIVISION_BY_ZERO"
            | "TRADITIONAL"
            | "NO_AUTO_CREATE_USER"
            | "NO_ENGINE_SUBSTITUTION"
            | "PAD_CHAR_TO_FULL_LENGTH"
            | "EMPTY_STRING_IS_NULL"
            | "SIMULTANEOUS_ASSIGNMENT"
            | "TIME_ROUND_FRACTIONAL"
            | "TIME_TRUNCATE_FRACTIONAL"
            | "DEFAULT" => SqlMode::EMPTY,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_depend_on_what_could_read_them_otherwise() {
        let then = MysqlLex::new(Flavour::Mysql);
        let quotes = MysqlLex {
            sql_mode: Some(SqlMode::ANSI_QUOTES),
            ..then
        };
        let gbk = MysqlLex {
            charset: Some(ClientCharset::from_name("gbk")),
            ..then
        };
        let unknown = MysqlLex {
            sql_mode: None,
            charset: None,
            ..then
        };
        for (text, [mode, charset]) in [
            ("SELECT 'x' FROM t", [true, true]),
            ("SELECT \"x\" FROM t", [false, true]),
            ("SELECT 'é' FROM t", [false, false]),
        ] {
            let relevant = then.relevant_to(text.as_bytes());
            assert!(relevant.reads_alike_in(&then), "{text}");
            assert_eq!(relevant.reads_alike_in(&quotes), mode, "{text}");
            assert_eq!(relevant.reads_alike_in(&gbk), charset, "{text}");
            assert_eq!(relevant.reads_alike_in(&unknown), mode && charset, "{text}");
        }
    }

    #[test]
    fn servers_are_told_by_their_version_text() {
        let of = |text: &str| MysqlLex::of_server(text.as_bytes());
        assert_eq!(of("9.7.4"), Some((Flavour::Mysql, 90_704)));
        assert_eq!(of("8.4.3-log"), Some((Flavour::Mysql, 80_403)));
        assert_eq!(
            of("5.5.5-10.11.6-MariaDB-0+deb12u1"),
            Some((Flavour::Mariadb, 101_106))
        );
        assert_eq!(of("11.8.2-MariaDB"), Some((Flavour::Mariadb, 110_802)));
        assert_eq!(of("hello"), None);
    }

    #[test]
    fn modes_are_read_by_name() {
        let mode = SqlMode::parse("STRICT_TRANS_TABLES, ansi_quotes").unwrap();
        assert!(mode.has(SqlMode::ANSI_QUOTES) && !mode.has(SqlMode::NO_BACKSLASH_ESCAPES));
        assert!(SqlMode::parse("ANSI").unwrap().has(SqlMode::IGNORE_SPACE));
        assert_eq!(SqlMode::parse(""), Some(SqlMode::EMPTY));
        assert_eq!(SqlMode::parse("4"), None);
    }
}
