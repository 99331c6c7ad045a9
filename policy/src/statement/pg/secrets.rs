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
    /// Whether it has parameters, and a function or clause that takes secrets: their values are secrets.
    pub(crate) parameters: bool,
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
    finder.found.parameters = finder.takes_secrets && finder.parameterised;
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
    /// No name of the statement at hand was seen yet.
    at_start: bool,
    setting: bool,
    /// A literal that comes now is a secret.
    announced: bool,
    /// Open brackets, and the level at which a sensitive call was opened.
    depth: u32,
    call: Option<(u32, Call)>,
    /// The name right before.
    named: Option<Token>,
    /// A function or clause that takes secrets was seen.
    takes_secrets: bool,
    /// A parameter was seen.
    parameterised: bool,
}

/// What the literals of a call are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Secret,
    Content,
    /// Of `set_config`, up to the comma behind the setting's name.
    Setting(Setting),
}

/// What is known about the setting's name in a call of `set_config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// Nothing yet.
    Awaited,
    /// It is this kind of setting if a comma follows.
    Named { secret: bool },
    /// It does not speak of secrets.
    Plain,
}

impl<'t> Finder<'t> {
    fn new(text: &'t [u8]) -> Self {
        Finder {
            text,
            found: Secrets::default(),
            context: Context::Data,
            at_start: true,
            setting: false,
            announced: false,
            depth: 0,
            call: None,
            named: None,
            takes_secrets: false,
            parameterised: false,
        }
    }

    fn push(&mut self, token: &Token) {
        let bytes = token.bytes(self.text);
        let named = self.named.take();
        self.parameterised |= token.kind == Kind::Param;
        self.setting_named(token, bytes);
        match token.kind {
            Kind::Semicolon => {
                // A body may hold semicolons: keep looking if it might be one.
                self.at_start = true;
                self.setting = false;
                if self.depth == 0 && self.context == Context::Secret {
                    self.context = Context::Definition;
                }
            }
            Kind::Word | Kind::QuotedIdent | Kind::UnicodeIdent => self.name(token, bytes),
            Kind::Text | Kind::UnicodeText => self.literal(token, bytes),
            Kind::OpenParen | Kind::OpenBracket => {
                self.depth = self.depth.saturating_add(1);
                if let Some(name) = named {
                    self.open_call(&name);
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
            Kind::Operator => {
                self.announced &= bytes == b"=" && self.context != Context::Data;
            }
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
    }

    fn name(&mut self, token: &Token, bytes: &[u8]) {
        self.named = Some(*token);
        let first = std::mem::take(&mut self.at_start);
        // In everyday statements only `password '…'` matters.
        if self.context == Context::Data && !first {
            self.announced = starts_like_password(bytes);
            // Escapes may spell any name.
            self.takes_secrets |= token.kind == Kind::UnicodeIdent;
            return;
        }
        let folded = Folded::new(token, bytes);
        let name = folded.as_str();
        if first {
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
            self.takes_secrets |= self.announced;
        }
        self.takes_secrets |= token.kind == Kind::UnicodeIdent;
    }

    /// A bracket behind `name` opens; of calls in one another, the outermost counts, but for one that takes secrets.
    fn open_call(&mut self, name: &Token) {
        let Some(call) = self.call_of(name) else {
            return;
        };
        self.takes_secrets |= call == Call::Secret;
        match &mut self.call {
            None => self.call = Some((self.depth, call)),
            Some((_, outer)) if call != Call::Content => *outer = Call::Secret,
            Some(_) => {}
        }
    }

    /// Reads the first argument of `set_config`: what is no plain literal may name any setting.
    fn setting_named(&mut self, token: &Token, bytes: &[u8]) {
        let Some((_, Call::Setting(setting))) = &mut self.call else {
            return;
        };
        let secret = match (*setting, token.kind) {
            (Setting::Plain, _) => return,
            (Setting::Awaited, Kind::Text) => {
                self.found.looked = true;
                let quotes = bytes.iter().filter(|&&byte| byte == b'\'').count();
                let plain = bytes.first() == Some(&b'\'') && quotes == 2 && !bytes.contains(&b'\\');
                let secret = !plain || is_secret_setting(bytes);
                *setting = Setting::Named { secret };
                return;
            }
            (Setting::Named { secret }, Kind::Comma) => secret,
            (Setting::Awaited | Setting::Named { .. }, _) => true,
        };
        if secret {
            self.takes_secrets = true;
            if let Some((_, call)) = &mut self.call {
                *call = Call::Secret;
            }
        } else {
            *setting = Setting::Plain;
        }
    }

    /// What the literals are in the call that a bracket behind `name` opens.
    fn call_of(&self, name: &Token) -> Option<Call> {
        if name.kind == Kind::UnicodeIdent {
            return Some(Call::Secret);
        }
        let folded = Folded::new(name, name.bytes(self.text));
        if folded.as_str() == "set_config" {
            return Some(Call::Setting(Setting::Awaited));
        }
        let mark = functions::mark(None, folded.as_str())?;
        match (mark.secret, mark.dynamic) {
            (true, _) => Some(Call::Secret),
            (false, true) => Some(Call::Content),
            (false, false) => None,
        }
    }

    fn literal(&mut self, token: &Token, bytes: &[u8]) {
        let call = self.call.map(|(_, call)| call);
        let certain =
            self.announced || self.context == Context::Secret || call == Some(Call::Secret);
        let looked =
            self.context != Context::Data || matches!(call, Some(Call::Secret | Call::Content));
        self.found.looked |= looked;
        if certain || (looked && speaks_of_secrets(bytes)) {
            self.found.ranges.push(token.range());
        }
    }

    /// What can't be scanned is a secret as a whole if it might hold one.
    fn rest(&mut self, from: usize) {
        let rest = self.text.get(from..).unwrap_or_default();
        self.found.looked = true;
        self.takes_secrets = true;
        self.parameterised |= rest.contains(&b'$');
        if self.announced
            || self.context == Context::Secret
            || self.call.is_some()
            || contains_word(rest, b"passw")
        {
            self.found.ranges.push(from..self.text.len());
        }
    }
}

/// A name in lower case and without quotes, cut where no name that matters goes on.
struct Folded {
    bytes: [u8; MAX_KNOWN_NAME],
    length: usize,
}

impl Folded {
    fn new(token: &Token, bytes: &[u8]) -> Self {
        let quoted = token.kind != Kind::Word;
        let open = match bytes.iter().position(|&byte| byte == b'"') {
            Some(quote) if quoted => quote + 1,
            _ => 0,
        };
        let end = bytes.len().saturating_sub(usize::from(quoted));
        let mut folded = Folded {
            bytes: [0; MAX_KNOWN_NAME],
            length: 0,
        };
        for (slot, byte) in folded
            .bytes
            .iter_mut()
            .zip(bytes.get(open..end).unwrap_or_default())
        {
            *slot = byte.to_ascii_lowercase();
            folded.length += 1;
        }
        folded
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or_default()
    }
}

/// No name that matters is longer.
const MAX_KNOWN_NAME: usize = 64;

/// Whether an unquoted word is `password` or one that starts so.
fn starts_like_password(word: &[u8]) -> bool {
    word.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"passw"))
}

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

/// Whether a literal names a setting whose value is a secret, in any of its parts.
fn is_secret_setting(literal: &[u8]) -> bool {
    let name = String::from_utf8_lossy(literal).to_ascii_lowercase();
    name.trim_matches('\'').split('.').any(is_secret_name)
}

/// Whether a literal looks like a connection string or a definition with a password.
pub(crate) fn speaks_of_secrets(literal: &[u8]) -> bool {
    contains_word(literal, b"password")
        || contains_passwd(literal)
        || contains_word(literal, b"passfile")
        || contains_url_password(literal)
}

/// Case-insensitive search.
fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

/// `passwd` as a key; the file `/etc/passwd` is evidence, not a secret.
fn contains_passwd(text: &[u8]) -> bool {
    let word = b"passwd";
    let mut starts = (0..).zip(text.windows(word.len()));
    starts.any(|(start, window): (usize, &[u8])| {
        let before = start.checked_sub(1).and_then(|before| text.get(before));
        window.eq_ignore_ascii_case(word) && before != Some(&b'/')
    })
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
#[path = "secrets_tests.rs"]
mod tests;
