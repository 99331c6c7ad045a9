//! Names in expressions: columns and calls, qualified or not.

use super::{Fault, Parse, Parser};
use crate::statement::facts::Name;
use crate::statement::mysql::token::Kind;

impl Parser<'_> {
    /// A name: a column or a call.
    pub(super) fn named(&mut self) -> Parse {
        if self.kind_at(1) == Kind::Open {
            return self.function();
        }
        let first = self.ident()?;
        self.column_path(Some(first))
    }

    /// A column that may be qualified.
    pub(super) fn column_path_start(&mut self) -> Parse {
        if self.eat_kind(Kind::Dot) {
            return self.column_path(None);
        }
        let first = self.ident()?;
        self.column_path(Some(first))
    }

    /// What follows the first part of a name: `.column`, `.table.column`, `.function(…)`, `.*`.
    pub(super) fn column_path(&mut self, first: Option<Box<str>>) -> Parse {
        let mut parts: smallvec::SmallVec<[Box<str>; 3]> = first.into_iter().collect();
        if parts.is_empty() {
            parts.push(self.ident()?);
        }
        while self.eat_kind(Kind::Dot) {
            if self.eat_kind(Kind::Star) {
                parts.push("*".into());
                break;
            }
            parts.push(self.ident()?);
        }
        let mut parts = parts.into_iter().rev();
        let (last, table, schema) = (parts.next(), parts.next(), parts.next());
        let Some(last) = last.filter(|_| parts.next().is_none()) else {
            return Err(Fault::Syntax);
        };
        if self.kind() == Kind::Open && schema.is_none() && &*last != "*" {
            // db.function(…)
            let name = Name {
                schema: table.map(|schema| self.table_case(schema)),
                name: super::names::fold(&last),
            };
            return self.call(name);
        }
        let column = super::names::fold(&last);
        match (schema, table) {
            (Some(schema), Some(table)) => {
                let table = self.relation(Some(schema), table);
                self.draft.column_of(Some(table), column);
            }
            (_, table) => {
                let table = table.map(|table| self.table_case(table));
                self.draft.column(table, column);
            }
        }
        Ok(())
    }
}
