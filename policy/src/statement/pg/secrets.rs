//! Literals that must not be recorded, found by tokens alone so that unreadable texts are covered too.

use std::ops::Range;

use super::functions;
use super::lex::Lexer;
use super::token::{Kind, Token};
use crate::statement::Limits;

/// The secrets of a text.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    /// Where they stand, in order and disjoint.
    pub(crate) ranges: Vec<Range<usize>>,
    /// Whether the content of a literal was looked at.
    pub(crate) looked: bool,
}

/// Finds the secrets of a text.
pub(crate) fn find(text: &[u8], conforming: bool, limits: &Limits) -> Secrets {
    let mut finder = Finder::new(text);
    let mut lexer = Lexer::new(text, conforming, limits);
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => finder.push(&token),
            Ok(None) => break,
            Err(_) => {
                finder.rest(lexer.position());
                break;
            }
        }
    }
    finder.found
}

/// What the statement at hand makes of its literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// Literals are data.
    Data,
    /// Literals may be definitions, bodies or settings: their content is looked at.
    Definition,
    /// A setting whose name speaks of secrets: every literal is one.
    Secret,
}

struct Finder<'t> {
    text: &'t [u8],
    found: Secrets,
    context: Context,
    /// Number of tokens of the statement at hand.
    index: usize,
    setting: bool,
    /// A literal that comes now is a secret.
    announced: bool,
    /// Open brackets, and the level at which a sensitive call was opened.
    depth: u32,
    call: Option<(u32, Call)>,
    named: Option<Call>,
    previous_dot: bool,
}

/// What the literals of a call are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Secret,
    Content,
}

impl<'t> Finder<'t> {
    fn new(text: &'t [u8]) -> Self {
        Finder {
            text,
            found: Secrets::default(),
            context: Context::Data,
            index: 0,
            setting: false,
            announced: false,
            depth: 0,
            call: None,
            named: None,
            previous_dot: false,
        }
    }

    fn push(&mut self, token: &Token) {
        let bytes = token.bytes(self.text);
        let named = self.named.take();
        match token.kind {
            Kind::Semicolon => {
                // A body may hold semicolons: keep looking if it might be one.
                self.index = 0;
                self.setting = false;
                if self.depth == 0 && self.context == Context::Secret {
                    self.context = Context::Definition;
                }
                return;
            }
            Kind::Word | Kind::QuotedIdent | Kind::UnicodeIdent => self.name(token, bytes),
            Kind::Text | Kind::UnicodeText => self.literal(token, bytes),
            Kind::OpenParen | Kind::OpenBracket => {
                self.depth = self.depth.saturating_add(1);
                if let (Some(call), None) = (named, self.call) {
                    self.call = Some((self.depth, call));
                }
            }
            Kind::CloseParen | Kind::CloseBracket => {
                if self.call.is_some_and(|(depth, _)| depth == self.depth) {
                    self.call = None;
                }
                self.depth = self.depth.saturating_sub(1);
                self.announced = false;
            }
            Kind::Comma => self.announced = false,
            Kind::Operator => self.announced &= bytes == b"=",
            Kind::National => {}
            Kind::Integer
            | Kind::Float
            | Kind::Bits
            | Kind::HexBits
            | Kind::Param
            | Kind::Dot
            | Kind::DotDot
            | Kind::Colon
            | Kind::Cast
            | Kind::Assign
            | Kind::Arrow
            | Kind::Other => {}
        }
        self.previous_dot = token.kind == Kind::Dot;
        self.index = self.index.saturating_add(1);
    }

    fn name(&mut self, token: &Token, bytes: &[u8]) {
        let mut folded = [0_u8; MAX_KNOWN_NAME];
        let quoted = token.kind != Kind::Word;
        let open = if quoted {
            bytes.iter().position(|&b| b == b'"').map_or(0, |at| at + 1)
        } else {
            0
        };
        let end = bytes.len().saturating_sub(usize::from(quoted));
        let mut length = 0;
        for (slot, byte) in folded
            .iter_mut()
            .zip(bytes.get(open..end).unwrap_or_default())
        {
            *slot = byte.to_ascii_lowercase();
            length += 1;
        }
        let name =
            std::str::from_utf8(folded.get(..length).unwrap_or_default()).unwrap_or_default();
        if self.index == 0 {
            self.context = context_of(name);
            self.setting = name == "set";
        }
        let secret = is_secret_name(name);
        if secret && self.setting {
            self.context = Context::Secret;
        }
        let definition = self.context != Context::Data;
        // `to` stands between a setting's name and its value.
        if name != "to" {
            self.announced = definition && (secret || name == "connection");
        }
        self.named =
            functions::mark(None, name).and_then(|mark| match (mark.secret, mark.dynamic) {
                (true, true) => Some(Call::Secret),
                (true, false) => Some(Call::Secret),
                (false, true) => Some(Call::Content),
                (false, false) => None,
            });
    }

    fn literal(&mut self, token: &Token, bytes: &[u8]) {
        let call = self.call.map(|(_, call)| call);
        let certain =
            self.announced || self.context == Context::Secret || call == Some(Call::Secret);
        let looked = self.context != Context::Data || call.is_some();
        self.found.looked |= looked;
        if certain || (looked && speaks_of_secrets(bytes)) {
            self.found.ranges.push(token.range());
        }
    }

    /// What can't be scanned is a secret as a whole if it might hold one.
    fn rest(&mut self, from: usize) {
        let rest = self.text.get(from..).unwrap_or_default();
        self.found.looked = true;
        if self.announced
            || self.context == Context::Secret
            || self.call.is_some()
            || contains_word(rest, b"passw")
        {
            self.found.ranges.push(from..self.text.len());
        }
    }
}

/// No name that matters is longer.
const MAX_KNOWN_NAME: usize = 64;

/// Commands whose literals are not mere data.
fn context_of(first: &str) -> Context {
    match first {
        "select" | "insert" | "update" | "delete" | "merge" | "values" | "table" | "with"
        | "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release"
        | "declare" | "fetch" | "move" | "close" | "explain" | "prepare" | "execute"
        | "deallocate" | "lock" | "show" | "truncate" | "vacuum" | "analyze" | "listen"
        | "unlisten" | "notify" => Context::Data,
        _ => Context::Definition,
    }
}

/// Names of options and settings whose value is a secret.
fn is_secret_name(name: &str) -> bool {
    name.contains("passw")
        || name.contains("secret")
        || matches!(
            name,
            "primary_conninfo"
                | "conninfo"
                | "passfile"
                | "sslkey"
                | "sslpassword"
                | "passcode"
                | "api_key"
                | "apikey"
                | "access_key"
                | "token"
                | "credentials"
        )
}

/// Whether a literal looks like a connection string or a definition with a password.
fn speaks_of_secrets(literal: &[u8]) -> bool {
    contains_word(literal, b"password")
        || contains_word(literal, b"passwd")
        || contains_word(literal, b"passfile")
        || contains_url_password(literal)
}

/// Case-insensitive search.
fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// `scheme://user:password@host`
fn contains_url_password(text: &[u8]) -> bool {
    let Some(scheme) = text.windows(3).position(|window| window == b"://") else {
        return false;
    };
    let rest = text.get(scheme + 3..).unwrap_or_default();
    let authority = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
    let Some(at) = authority.iter().rposition(|&byte| byte == b'@') else {
        return false;
    };
    authority.get(..at).unwrap_or_default().contains(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(text: &str) -> Vec<&str> {
        let found = find(text.as_bytes(), true, &Limits::default());
        found
            .ranges
            .into_iter()
            .map(|range| text.get(range).unwrap())
            .collect()
    }

    #[test]
    fn passwords_of_roles_mappings_and_connections() {
        assert_eq!(secrets("ALTER ROLE app PASSWORD 'x'"), ["'x'"]);
        assert_eq!(
            secrets("create user a with encrypted password $$x$$ login"),
            ["$$x$$"]
        );
        assert_eq!(
            secrets("CREATE ROLE r PASSWORD 'a'\n'b' IN ROLE c"),
            ["'a'\n'b'"]
        );
        assert_eq!(
            secrets("CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'p')"),
            ["'p'"]
        );
        assert_eq!(
            secrets("CREATE SUBSCRIPTION s CONNECTION 'host=h password=p' PUBLICATION p"),
            ["'host=h password=p'"]
        );
        assert_eq!(
            secrets("SELECT * FROM dblink('host=a', 'SELECT 1')").len(),
            2
        );
        assert_eq!(secrets("SET app.password = 'x'"), ["'x'"]);
        assert_eq!(secrets("SET app.password TO 'x'"), ["'x'"]);
        assert_eq!(
            secrets("ALTER SYSTEM SET primary_conninfo = 'host=a'"),
            ["'host=a'"]
        );
        assert_eq!(
            secrets("DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END$$"),
            ["$$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END$$"]
        );
        assert_eq!(
            secrets("ALTER ROLE a PASSWORD 'unterminated"),
            ["'unterminated"]
        );
        assert_eq!(
            secrets("SELECT crypt('pw', gen_salt('bf'))"),
            ["'pw'", "'bf'"]
        );
    }

    #[test]
    fn ordinary_data_is_none() {
        assert!(secrets("SELECT * FROM users WHERE password = 'x'").is_empty());
        assert!(secrets("INSERT INTO t VALUES ('my password is')").is_empty());
        assert!(secrets("CREATE TABLE t (password text DEFAULT 1, a text DEFAULT 'x')").is_empty());
    }
}
