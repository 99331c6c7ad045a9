//! A statement's text for facts, where a plain one has them.

use super::probe::Probe;
use crate::rule::statement::show;
use crate::statement::facts::{Name, SessionEffect};
use crate::vocabulary::{Dialect, LimitShape, ObjectKind, Verb, WhereShape};

/// A text that should read as the facts do; whether it does is for the reader to say.
pub(super) fn text(probe: &Probe) -> Option<String> {
    let facts = &probe.facts;
    let plain = probe.unreadable.is_none()
        && facts.egress.is_empty()
        && facts.detections.is_empty()
        && !facts.dynamic
        && facts
            .objects
            .iter()
            .all(|object| object.kind == ObjectKind::Relation);
    if !plain {
        return None;
    }
    let quote = if probe.subject.dialect == Dialect::Postgres {
        '"'
    } else {
        '`'
    };
    let named = |name: &Name| {
        let part = |part: &str| {
            let simple =
                part.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !part.is_empty();
            if simple {
                part.to_owned()
            } else {
                let doubled = part.replace(quote, &format!("{quote}{quote}"));
                format!("{quote}{doubled}{quote}")
            }
        };
        match &name.schema {
            Some(schema) => format!("{}.{}", part(schema), part(&name.name)),
            None => part(&name.name),
        }
    };
    let objects: Vec<String> = facts
        .objects
        .iter()
        .map(|object| named(&object.name))
        .collect();
    let first = objects.first();
    let column = facts
        .columns
        .first()
        .map_or("some_column", |column| &*column.column);
    let condition = match facts.where_shape {
        WhereShape::Absent | WhereShape::NotApplicable => "",
        WhereShape::AlwaysTrue => " WHERE 1 = 1",
        WhereShape::Restricting => " WHERE some_key = 7",
    };
    let limit = match facts.limit {
        LimitShape::NotApplicable | LimitShape::Absent => "",
        LimitShape::Present => " LIMIT 10",
    };
    let calls: Vec<String> = facts
        .functions
        .iter()
        .map(|name| format!("{}()", show(name)))
        .collect();
    let mut text = match facts.verb {
        Verb::Select => {
            let what = if calls.is_empty() {
                column.to_owned()
            } else {
                calls.join(", ")
            };
            match objects.as_slice() {
                [] => format!("SELECT {}", if calls.is_empty() { "1" } else { &what }),
                some => format!("SELECT {what} FROM {}{limit}", some.join(", ")),
            }
        }
        Verb::Insert => format!("INSERT INTO {} ({column}) VALUES (1)", first?),
        Verb::Update => format!("UPDATE {} SET {column} = 1{condition}", first?),
        Verb::Delete => format!("DELETE FROM {}{condition}", first?),
        Verb::Truncate => format!("TRUNCATE TABLE {}", first?),
        Verb::Drop => format!("DROP TABLE {}", first?),
        Verb::Create => format!("CREATE TABLE {} ({column} int)", first?),
        Verb::Alter => format!("ALTER TABLE {} ADD {column} int", first?),
        Verb::Grant => "GRANT some_role TO someone_else".to_owned(),
        Verb::Begin => "BEGIN".to_owned(),
        Verb::Commit => "COMMIT".to_owned(),
        Verb::Rollback => "ROLLBACK".to_owned(),
        Verb::Set => match facts.effects.first() {
            Some(SessionEffect::Set { name, value, .. }) => format!(
                "SET {name} = '{}'",
                value.as_deref().unwrap_or_default().replace('\'', "''")
            ),
            _ => return None,
        },
        _ => return None,
    };
    if probe.several {
        text.push_str("; SELECT 1");
    }
    Some(text)
}
