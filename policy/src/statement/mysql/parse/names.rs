//! Names of things.

use std::borrow::Cow;

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::state::Flavour;
use crate::statement::mysql::token::{Kind, Token};
use crate::statement::mysql::word::{Reserved, Word as W};
use crate::vocabulary::{Access, ObjectKind};

impl<'t> Parser<'t> {
    /// Whether an identifier comes next.
    pub(super) fn at_ident(&self) -> bool {
        self.is_ident(self.token())
    }

    pub(super) fn is_ident(&self, token: Token) -> bool {
        match token.kind {
            Kind::Quoted | Kind::Name => true,
            Kind::Introducer => true,
            Kind::Word => !self.is_reserved(token.word),
            _ => false,
        }
    }

    /// Whether a word can't be an identifier without quotes.
    pub(super) fn is_reserved(&self, word: W) -> bool {
        match (word.reserved(), self.lex.flavour) {
            (Reserved::Nowhere, _) => false,
            (Reserved::Both, _) => true,
            (Reserved::Mysql, flavour) => flavour == Flavour::Mysql,
            (Reserved::Mariadb, flavour) => flavour == Flavour::Mariadb,
        }
    }

    /// What a token says as a name: quotes removed, decoded.
    pub(super) fn spelling(&self, token: Token) -> Parse<Cow<'t, str>> {
        let charset = self
            .lex
            .charset
            .unwrap_or(super::super::charset::ClientCharset::Utf8);
        spelling(self.text, token, charset).ok_or(Fault::Encoding)
    }

    /// An identifier as written.
    pub(super) fn ident(&mut self) -> Parse<Box<str>> {
        if !self.at_ident() {
            return Err(Fault::Syntax);
        }
        let token = self.advance();
        let name = self.spelling(token)?;
        // What follows is the name of a file: another spelling of a table's or a database's name.
        if name.starts_with("#mysql50#") {
            return Err(Fault::Syntax);
        }
        Ok(name.into())
    }

    /// An identifier in lower case: names of columns, routines, variables, statements.
    pub(super) fn folded_ident(&mut self) -> Parse<Box<str>> {
        Ok(fold(&self.ident()?))
    }

    /// An identifier or a word of any kind, where no clause can follow.
    pub(super) fn any_word(&mut self) -> Parse<Box<str>> {
        let token = self.advance();
        match token.kind {
            Kind::Word | Kind::Name | Kind::Quoted | Kind::Introducer => {
                Ok(fold(&self.spelling(token)?))
            }
            _ => Err(Fault::Syntax),
        }
    }

    /// The name of a table or database, as the server compares it.
    pub(super) fn table_case(&self, name: Box<str>) -> Box<str> {
        if self.lex.folds_names {
            fold(&name)
        } else {
            name
        }
    }

    /// `table`, `db.table` or `.table`.
    pub(super) fn table_name(&mut self) -> Parse<Name> {
        if self.eat_kind(Kind::Dot) {
            let name = self.ident()?;
            return Ok(self.relation(None, name));
        }
        let first = self.ident()?;
        if self.eat_kind(Kind::Dot) {
            let second = self.ident()?;
            return Ok(self.relation(Some(first), second));
        }
        Ok(self.relation(None, first))
    }

    /// The name of a relation; that of a catalog of the server is not case sensitive.
    pub(super) fn relation(&self, schema: Option<Box<str>>, name: Box<str>) -> Name {
        let schema = schema.map(|schema| self.table_case(schema));
        let schema = schema.or_else(|| self.draft.schema.clone());
        match &schema {
            Some(known) if is_catalog(known) => Name {
                schema: Some(fold(known)),
                name: fold(&name),
            },
            _ => Name {
                schema,
                name: self.table_case(name),
            },
        }
    }

    /// `routine` or `db.routine`.
    pub(super) fn routine_name(&mut self) -> Parse<Name> {
        let first = self.ident()?;
        if self.eat_kind(Kind::Dot) {
            let second = self.folded_ident()?;
            return Ok(Name {
                schema: Some(self.table_case(first)),
                name: second,
            });
        }
        Ok(Name {
            schema: self.draft.schema.clone(),
            name: fold(&first),
        })
    }

    /// A table and what is done to it.
    pub(super) fn table_object(&mut self, access: Access) -> Parse<Name> {
        let name = self.table_name()?;
        self.draft
            .object(ObjectKind::Relation, name.clone(), access);
        Ok(name)
    }

    pub(super) fn table_objects(&mut self, access: Access) -> Parse {
        self.list(|parser| parser.table_object(access).map(|_| ()))
    }

    /// A database and what is done to it.
    pub(super) fn schema_object(&mut self, access: Access) -> Parse<Box<str>> {
        let name = self.ident()?;
        let name = self.table_case(name);
        self.draft.object(
            ObjectKind::Schema,
            Name {
                schema: None,
                name: name.clone(),
            },
            access,
        );
        Ok(name)
    }

    /// Something else with a name and what is done to it.
    pub(super) fn other_object(&mut self, kind: ObjectKind, access: Access) -> Parse {
        let token = self.token();
        let name = if token.kind.is_text() {
            self.at += 1;
            string_content(token.bytes(self.text))
        } else {
            self.ident()?
        };
        let name = Name { schema: None, name };
        self.draft.object(kind, name, access);
        Ok(())
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.eat_words(&[W::If, W::Exists])
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.eat_words(&[W::If, W::Not, W::Exists])
    }
}

/// What a token says as a name.
pub(in crate::statement::mysql) fn spelling(
    text: &[u8],
    token: Token,
    charset: super::super::charset::ClientCharset,
) -> Option<Cow<'_, str>> {
    let bytes = token.bytes(text);
    if token.kind != Kind::Quoted {
        return charset.decode(bytes);
    }
    let quote = *bytes.first()?;
    let inner = bytes
        .get(1..bytes.len().saturating_sub(1))
        .unwrap_or_default();
    if inner.contains(&quote) {
        let name = charset.decode(inner)?;
        let quote = char::from(quote);
        let doubled: String = [quote, quote].iter().collect();
        return Some(Cow::Owned(name.replace(&doubled, &quote.to_string())));
    }
    charset.decode(inner)
}

/// Names that are not case sensitive, in lower case.
pub(in crate::statement::mysql) fn fold(name: &str) -> Box<str> {
    if name.is_ascii() {
        name.to_ascii_lowercase().into()
    } else {
        name.to_lowercase().into()
    }
}

/// The databases that the server itself makes up.
fn is_catalog(schema: &str) -> bool {
    schema.eq_ignore_ascii_case("information_schema")
        || schema.eq_ignore_ascii_case("performance_schema")
}

/// What a string literal says, if it has no escapes worth a name; otherwise as written.
pub(in crate::statement::mysql) fn string_content(bytes: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches(['n', 'N']);
    let mut inner = text.chars();
    let quote = inner.next();
    inner.next_back();
    match quote {
        Some(quote @ ('\'' | '"')) => {
            let doubled: String = [quote, quote].iter().collect();
            inner.as_str().replace(&doubled, &quote.to_string()).into()
        }
        _ => text.into(),
    }
}
