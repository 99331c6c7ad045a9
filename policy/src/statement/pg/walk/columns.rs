//! Columns, attributed to tables as far as the text alone allows.

use pg_query::{NodeRef, protobuf as p};
use smallvec::SmallVec;

use super::{Walk, names};
use crate::statement::facts::{ColumnAccess, Name};
use crate::vocabulary::ColumnUse;

/// What stands in the FROM of one query level.
#[derive(Debug, Default)]
pub(super) struct Frame<'t> {
    sources: SmallVec<[Source<'t>; 4]>,
}

/// One FROM item: what columns can call it, and its table if it is one.
#[derive(Debug)]
struct Source<'t> {
    alias: &'t str,
    table: Option<&'t p::RangeVar>,
}

impl<'t> Walk<'t> {
    /// Adds a DML target or FROM item to a frame; joins and samples are taken apart.
    pub(super) fn add_source(&self, frame: &mut Frame<'t>, item: NodeRef<'t>) {
        let mut pending: SmallVec<[NodeRef<'t>; 8]> = smallvec::smallvec![item];
        while let Some(item) = pending.pop() {
            match item {
                NodeRef::RangeVar(range) => self.add_table(frame, range),
                NodeRef::JoinExpr(join) => {
                    pending.extend(names::node(join.rarg.as_deref()));
                    pending.extend(names::node(join.larg.as_deref()));
                }
                NodeRef::RangeTableSample(sample) => {
                    pending.extend(names::node(sample.relation.as_deref()));
                }
                NodeRef::RangeSubselect(item) => add_alias(frame, item.alias.as_ref()),
                NodeRef::RangeFunction(item) => add_alias(frame, item.alias.as_ref()),
                NodeRef::RangeTableFunc(item) => add_alias(frame, item.alias.as_ref()),
                NodeRef::JsonTable(item) => add_alias(frame, item.alias.as_ref()),
                _ => add_alias(frame, None),
            }
        }
    }

    /// Adds a table, or a CTE of that name.
    pub(super) fn add_table(&self, frame: &mut Frame<'t>, range: &'t p::RangeVar) {
        let alias = match &range.alias {
            Some(alias) => alias.aliasname.as_str(),
            None => range.relname.as_str(),
        };
        let table = (!self.is_cte(range)).then_some(range);
        frame.sources.push(Source { alias, table });
    }

    /// Adds the target of a statement: never a CTE.
    pub(super) fn add_target(&self, frame: &mut Frame<'t>, range: &'t p::RangeVar) {
        let alias = match &range.alias {
            Some(alias) => alias.aliasname.as_str(),
            None => range.relname.as_str(),
        };
        frame.sources.push(Source {
            alias,
            table: Some(range),
        });
    }

    /// Adds the pseudo-table of ON CONFLICT.
    pub(super) fn add_excluded(frame: &mut Frame<'t>, target: &'t p::RangeVar) {
        frame.sources.push(Source {
            alias: "excluded",
            table: Some(target),
        });
    }

    /// Notes the use of a column by an expression.
    pub(super) fn column_ref(&mut self, column: &'t p::ColumnRef) {
        let Some((last, before)) = column.fields.split_last() else {
            return;
        };
        let name = match names::node(Some(last)) {
            Some(NodeRef::String(string)) => string.sval.as_str(),
            _ => "*",
        };
        let mut qualifiers = before.iter().rev().filter_map(names::string);
        let usage = self.usage;
        let tables: SmallVec<[Option<Name>; 2]> = match (qualifiers.next(), qualifiers.next()) {
            (Some(table), Some(schema)) => {
                smallvec::smallvec![Some(names::qualified(schema, table))]
            }
            (Some(alias), None) => smallvec::smallvec![self.table_called(alias)],
            (None, _) if name == "*" => self.tables_in_scope(),
            (None, _) => smallvec::smallvec![self.only_table()],
        };
        for table in tables {
            self.columns.push(ColumnAccess {
                table,
                column: name.into(),
                usage,
            });
        }
    }

    /// Notes that a column of a named table is read.
    pub(super) fn read_column(&mut self, table: Option<&p::RangeVar>, column: &str) {
        let table = table.map(names::relation);
        let usage = ColumnUse::Read;
        self.columns.push(ColumnAccess {
            table,
            column: column.into(),
            usage,
        });
    }

    /// Notes that a column of the statement's target is assigned.
    pub(super) fn assigned(&mut self, target: Option<&p::RangeVar>, column: &str) {
        let table = target.map(names::relation);
        let usage = if self.dormant {
            ColumnUse::Read
        } else {
            ColumnUse::Write
        };
        self.columns.push(ColumnAccess {
            table,
            column: column.into(),
            usage,
        });
    }

    /// The table that an alias stands for, innermost first.
    fn table_called(&self, alias: &str) -> Option<Name> {
        let sources = self.frames.iter().rev().flat_map(|frame| &frame.sources);
        let source = sources.into_iter().find(|source| source.alias == alias)?;
        source.table.map(names::relation)
    }

    /// The only table that any query level around has.
    pub(super) fn only_table(&self) -> Option<Name> {
        let mut sources = self.frames.iter().flat_map(|frame| &frame.sources);
        match (sources.next(), sources.next()) {
            (Some(source), None) => source.table.map(names::relation),
            _ => None,
        }
    }

    /// What `*` means: every table of this query level.
    fn tables_in_scope(&self) -> SmallVec<[Option<Name>; 2]> {
        let mut tables: SmallVec<[Option<Name>; 2]> = match self.frames.last() {
            Some(frame) => frame
                .sources
                .iter()
                .map(|source| source.table.map(names::relation))
                .collect(),
            None => SmallVec::new(),
        };
        if tables.is_empty() {
            tables.push(None);
        }
        tables
    }
}

fn add_alias<'t>(frame: &mut Frame<'t>, alias: Option<&'t p::Alias>) {
    let alias = alias.map_or("", |alias| alias.aliasname.as_str());
    frame.sources.push(Source { alias, table: None });
}
