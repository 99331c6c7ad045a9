//! The estimated risk of a statement: a number from 0 to 100 that is the sum of what its facts add.
//!
//! The number is the same for the same facts, everywhere and always. It estimates what a statement could do, not
//! whether its sender is an attacker.

use super::statement::StatementView;
use crate::statement::facts::StatementFacts;
use crate::vocabulary::{Access, Class, Egress, LimitShape, ObjectKind, WhereShape};

/// The greatest risk.
pub const MOST: u32 = 100;

/// Something that adds to the risk.
#[derive(Debug)]
pub struct Factor {
    /// How much it adds.
    pub points: u32,
    /// What it is.
    pub doc: &'static str,
    applies: fn(&StatementView<'_>) -> bool,
}

/// Everything that adds to the risk. Of the classes, only the statement's own counts.
pub static FACTORS: &[Factor] = &[
    Factor {
        points: 5,
        doc: "It reads (class `read`).",
        applies: |view| view.statement.class == Class::Read,
    },
    Factor {
        points: 5,
        doc: "It changes the session (class `session`).",
        applies: |view| view.statement.class == Class::Session,
    },
    Factor {
        points: 15,
        doc: "It writes (class `write`).",
        applies: |view| view.statement.class == Class::Write,
    },
    Factor {
        points: 35,
        doc: "It changes definitions (class `ddl`).",
        applies: |view| view.statement.class == Class::Ddl,
    },
    Factor {
        points: 45,
        doc: "It changes rights (class `dcl`).",
        applies: |view| view.statement.class == Class::Dcl,
    },
    Factor {
        points: 50,
        doc: "It administers the server (class `admin`).",
        applies: |view| view.statement.class == Class::Admin,
    },
    Factor {
        points: 40,
        doc: "It updates or deletes without a WHERE clause, or with one that holds for every row.",
        applies: |view| match view.statement.where_shape {
            WhereShape::Absent | WhereShape::AlwaysTrue => true,
            WhereShape::NotApplicable | WhereShape::Restricting => false,
        },
    },
    Factor {
        points: 30,
        doc: "It drops or truncates a relation, a schema or a database.",
        applies: |view| destroys(view.statement),
    },
    Factor {
        points: 10,
        doc: "It reads a relation without LIMIT and without a column in any condition.",
        applies: |view| reads_all(view.statement),
    },
    Factor {
        points: 10,
        doc: "It returns all columns (`*`).",
        applies: |view| view.statement.columns.iter().any(|c| &*c.column == "*"),
    },
    Factor {
        points: 15,
        doc: "It reads or changes catalogs: `pg_catalog`, `information_schema`, `mysql`, `performance_schema`, `sys`.",
        applies: |view| {
            view.statement.objects.iter().any(|object| {
                object.kind == ObjectKind::Relation
                    && (object
                        .name
                        .schema
                        .as_deref()
                        .is_some_and(|s| CATALOGS.contains(&s))
                        || (object.name.schema.is_none() && object.name.name.starts_with("pg_")))
            })
        },
    },
    Factor {
        points: 10,
        doc: "It touches more than five relations.",
        applies: |view| {
            let relations = view.statement.objects.iter();
            relations
                .filter(|object| object.kind == ObjectKind::Relation)
                .count()
                > 5
        },
    },
    Factor {
        points: 15,
        doc: "It touches roles or users.",
        applies: |view| {
            let mut objects = view.statement.objects.iter();
            objects.any(|object| object.kind == ObjectKind::Role && object.access != Access::Refer)
        },
    },
    Factor {
        points: 25,
        doc: "It runs SQL that is hidden in a string (`dynamic`).",
        applies: |view| view.statement.dynamic,
    },
    Factor {
        points: 20,
        doc: "It moves data through the connection or to another server (egress `copy-in`, `copy-out`, `load-local`, `dblink`, `foreign`, `large-object`).",
        applies: |view| view.statement.egress.iter().any(|way| !into_server(*way)),
    },
    Factor {
        points: 50,
        doc: "It reaches the server's files, programs or code (every other egress).",
        applies: |view| view.statement.egress.iter().any(|way| into_server(*way)),
    },
    Factor {
        points: 15,
        doc: "Its message holds several statements.",
        applies: |view| view.statements > 1,
    },
    Factor {
        points: 60,
        doc: "It can't be read exactly.",
        applies: |view| view.unreadable.is_some(),
    },
];

const CATALOGS: [&str; 5] = [
    "pg_catalog",
    "information_schema",
    "mysql",
    "performance_schema",
    "sys",
];

/// The risk of a statement.
#[must_use]
pub fn risk(view: &StatementView<'_>) -> u32 {
    let applying = FACTORS.iter().filter(|factor| (factor.applies)(view));
    applying.map(|factor| factor.points).sum::<u32>().min(MOST)
}

const fn into_server(way: Egress) -> bool {
    match way {
        Egress::CopyIn
        | Egress::CopyOut
        | Egress::LargeObject
        | Egress::Dblink
        | Egress::Foreign
        | Egress::LoadLocal => false,
        Egress::CopyProgram
        | Egress::CopyFile
        | Egress::ServerFile
        | Egress::IntoOutfile
        | Egress::LoadInfile
        | Egress::Code => true,
    }
}

fn destroys(statement: &StatementFacts) -> bool {
    use crate::vocabulary::Verb;
    let destroys = statement
        .verbs_all()
        .any(|verb| matches!(verb, Verb::Drop | Verb::Truncate));
    destroys
        && statement.objects.iter().any(|object| {
            matches!(
                object.kind,
                ObjectKind::Relation | ObjectKind::Schema | ObjectKind::Database
            )
        })
}

fn reads_all(statement: &StatementFacts) -> bool {
    use crate::vocabulary::ColumnUse;
    let reads = statement
        .objects
        .iter()
        .any(|object| object.kind == ObjectKind::Relation && object.access == Access::Read);
    let filters = statement
        .columns
        .iter()
        .any(|c| c.usage == ColumnUse::Filter);
    reads && !filters && statement.limit == LimitShape::Absent
}
