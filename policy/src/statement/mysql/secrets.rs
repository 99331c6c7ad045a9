//! Literals that must not be recorded, found by tokens alone so that unreadable texts are covered too.

use std::ops::Range;

use super::lex::Lexer;
use super::state::MysqlLex;
use super::token::{Kind, Token};
use super::word::Word as W;
use crate::statement::pg::speaks_of_secrets;

/// The secrets of a text.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Where they stand, in order and disjoint.
    pub(super) ranges: Vec<Range<usize>>,
    /// Whether the content of a literal was looked at.
    pub(super) looked: bool,
    /// Whether it has parameters, and something in it takes secrets: their values are secrets.
    pub(super) parameters: bool,
}

/// Finds the secrets of a text.
pub(super) fn find(text: &[u8], lex: &MysqlLex) -> Secrets {
    let mut finder = Finder {
        text,
        found: Secrets::default(),
        at_start: true,
        definition: false,
        announced: false,
        setting: false,
        value: None,
        spoken: false,
        depth: 0,
        call: None,
        previous: W::None,
        named: false,
        takes_secrets: false,
        parameterised: false,
        read: 0,
    };
    if text.len() >= u32::MAX as usize {
        finder.found.ranges.push(0..text.len());
        return finder.found;
    }
    let mut lexer = Lexer::new(text, lex);
    loop {
        match lexer.next_token() {
            Ok(Some(token)) => {
                finder.push(&token);
                finder.read = token.end as usize;
            }
            Ok(None) => break,
            Err(_) => {
                finder.rest();
                break;
            }
        }
    }
    finder.found.parameters = finder.takes_secrets && finder.parameterised;
    finder.found
}

struct Finder<'t> {
    text: &'t [u8],
    found: Secrets,
    at_start: bool,
    /// Literals may be passwords, definitions or bodies.
    definition: bool,
    /// A literal that comes now is a secret.
    announced: bool,
    /// A setting whose name speaks of secrets waits for its value.
    setting: bool,
    /// The depth of brackets at which the value of such a setting runs.
    value: Option<u32>,
    /// A literal of this statement speaks of secrets: what is joined to it may be one.
    spoken: bool,
    depth: u32,
    /// The depth of a call that takes secrets.
    call: Option<u32>,
    previous: W,
    /// The name right before takes secrets if a bracket follows.
    named: bool,
    takes_secrets: bool,
    parameterised: bool,
    /// How far the text was read.
    read: usize,
}

impl Finder<'_> {
    fn push(&mut self, token: &Token) {
        let named = std::mem::take(&mut self.named);
        match token.kind {
            Kind::Semicolon => {
                self.at_start = true;
                self.announced = false;
                self.setting = false;
                self.value = None;
                self.spoken = false;
            }
            Kind::Word | Kind::Name | Kind::Quoted | Kind::UserVar => self.word(token),
            Kind::Text | Kind::National | Kind::Dollar | Kind::Hex => self.literal(token),
            Kind::Param => {
                self.parameterised = true;
                self.takes_secrets |= self.announced || self.call.is_some() || self.value.is_some();
            }
            Kind::Open => {
                self.depth = self.depth.saturating_add(1);
                if named && self.call.is_none() {
                    self.call = Some(self.depth);
                    self.takes_secrets = true;
                }
            }
            Kind::Close => {
                if self.call == Some(self.depth) {
                    self.call = None;
                }
                self.depth = self.depth.saturating_sub(1);
                self.announced = false;
                self.value = self.value.filter(|depth| *depth <= self.depth);
            }
            Kind::Comma => {
                self.announced = false;
                if self.value.is_none_or(|depth| depth == self.depth) {
                    self.setting = false;
                    self.value = None;
                }
            }
            Kind::Eq | Kind::Assign if self.setting && self.value.is_none() => {
                self.announced = true;
                self.value = Some(self.depth);
            }
            _ => {}
        }
        if token.kind != Kind::Introducer {
            self.previous = token.word;
        }
    }

    fn word(&mut self, token: &Token) {
        if std::mem::take(&mut self.at_start) {
            self.definition = !matches!(
                token.word,
                W::Select
                    | W::Insert
                    | W::Replace
                    | W::Update
                    | W::Delete
                    | W::With
                    | W::Values
                    | W::Table
                    | W::Show
                    | W::Explain
                    | W::Describe
                    | W::Desc
                    | W::Begin
                    | W::Commit
                    | W::Rollback
                    | W::Use
                    | W::Truncate
            );
        }
        let bytes = token.bytes(self.text);
        self.named = SECRET_CALLS
            .iter()
            .any(|known| bytes.eq_ignore_ascii_case(known));
        if !self.definition {
            return;
        }
        let speaks = contains(bytes, b"passw")
            || contains(bytes, b"secret")
            || contains(bytes, b"passphrase");
        self.announced = match token.word {
            W::Identified | W::With | W::Via => false,
            // IDENTIFIED BY, IDENTIFIED WITH plugin BY | AS | USING, REPLACE 'current'.
            W::By => {
                self.previous != W::Starting
                    && self.previous != W::Terminated
                    && self.previous != W::Enclosed
                    && self.previous != W::Escaped
                    && self.previous != W::Order
            }
            W::As | W::Using | W::Replace | W::Connection | W::Encryption => true,
            _ => speaks || token.word == W::Authentication,
        };
        self.setting |= speaks;
        self.takes_secrets |= speaks || token.word == W::Identified;
    }

    fn literal(&mut self, token: &Token) {
        let bytes = token.bytes(self.text);
        self.found.looked |= self.definition || self.call.is_some();
        let speaks =
            self.definition && (speaks_of_secrets(bytes) || contains(bytes, b"identified"));
        self.spoken |= speaks;
        if self.announced || self.call.is_some() || self.value.is_some() || self.spoken {
            self.found
                .ranges
                .push(token.start as usize..token.end as usize);
        }
    }

    /// What can't be scanned is a secret as a whole if it might hold one.
    fn rest(&mut self) {
        // A string without end starts right behind the last token.
        let rest = self.text.get(self.read..).unwrap_or_default();
        self.found.looked = true;
        self.takes_secrets = true;
        self.parameterised |= rest.contains(&b'?');
        if self.announced
            || self.call.is_some()
            || self.value.is_some()
            || self.spoken
            || contains(rest, b"passw")
            || contains(rest, b"identified")
        {
            self.found.ranges.push(self.read..self.text.len());
        }
    }
}

/// Functions whose literals are secrets.
const SECRET_CALLS: &[&[u8]] = &[
    b"password",
    b"old_password",
    b"encrypt",
    b"aes_encrypt",
    b"aes_decrypt",
    b"des_encrypt",
    b"des_decrypt",
    b"encode",
    b"decode",
    b"kdf",
    b"ed25519_password",
    b"create_asymmetric_priv_key",
];

/// Case-insensitive search.
fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
