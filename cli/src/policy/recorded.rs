//! The audit store's statements as the policy's replay takes them.

use std::{ops::ControlFlow, sync::Arc};

use anyhow::Result;
use jiff::Timestamp;
use sqlward_audit_store::{
    query::{Seen, SeenQuery, SeenShape, SeenSubject, SeenText},
    record::{EndUserSource, IntentKind, UNKNOWN_ROLE},
};
use sqlward_policy::{
    Subject,
    replay::{Entry, Recorded, RecordedFacts, Unknown},
    rule::subject::{EndUser, SessionPath},
    statement::{ColumnAccess, Name, ObjectAccess, StatementFacts},
    vocabulary::{Dialect, Verb},
};

use crate::source::Source;

/// Show the statements of a span of time, a batch at a time.
pub(crate) fn each_batch(
    source: &Source,
    query: &SeenQuery,
    mut visit: impl FnMut(Vec<Recorded>) -> Result<()>,
) -> Result<()> {
    let mut failed = None;
    source.seen(query, &mut |batch| {
        let batch = batch.into_iter().filter_map(recorded).collect();
        match visit(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// `None`: the record has no client address, so that no session ever sent it.
pub(crate) fn recorded(seen: Seen) -> Option<Recorded> {
    let facts = seen.shape.as_deref().map(facts);
    let verb = facts
        .as_ref()
        .and_then(|facts| facts.together())
        .map(|one| one.verb);
    let entry = match (seen.kind, verb) {
        (IntentKind::Startup, _) => Entry::Start,
        (IntentKind::Command, Some(Verb::Empty)) => Entry::ChangeUser,
        (
            IntentKind::Simple
            | IntentKind::Prepare
            | IntentKind::Execute
            | IntentKind::Fetch
            | IntentKind::FunctionCall
            | IntentKind::Command,
            _,
        ) => Entry::Statement,
    };
    let by_id = matches!(seen.kind, IntentKind::Execute | IntentKind::Fetch);
    let of_statement = match seen.by.end_user {
        Some((_, source)) => match source {
            EndUserSource::Comment | EndUserSource::Traceparent | EndUserSource::Attribute => true,
            EndUserSource::Setting | EndUserSource::Application | EndUserSource::Tls => false,
        },
        None => false,
    };
    Some(Recorded {
        subject: Arc::new(subject(&seen.by)?),
        unknown: Unknown {
            end_user: of_statement,
            database: by_id && seen.by.moved && seen.by.dialect != Dialect::Postgres,
        },
        entry,
        facts: facts.map(Arc::new),
        unreadable: seen.unreadable,
        text: match &seen.text {
            SeenText::Whole(text) => Some(Arc::clone(text)),
            SeenText::Cut(_) | SeenText::Gone => None,
        },
        at: Timestamp::from_microsecond(i64::try_from(seen.first_us).unwrap_or(i64::MAX))
            .unwrap_or(Timestamp::MAX),
        action: seen.action,
        count: seen.count,
        events: vec![seen.first.to_string(), seen.last.to_string()],
    })
}

fn subject(by: &SeenSubject) -> Option<Subject> {
    let role = match by.role.as_deref() {
        Some(UNKNOWN_ROLE) => None,
        Some(role) => Some(role.to_owned()),
        None => Some(by.user.clone()),
    };
    Some(Subject {
        dialect: by.dialect,
        server_version: None,
        user: by.user.clone(),
        role,
        database: by.database.clone(),
        client: by.client?,
        application: by.application.clone(),
        listener: by.listener.clone(),
        end_user: by.end_user.as_ref().map(|(name, source)| EndUser {
            name: name.clone(),
            trust: source.as_str().to_owned(),
        }),
        search_path: SessionPath::Policy,
        tls_identity: by.tls_identity.clone(),
    })
}

fn facts(shape: &SeenShape) -> RecordedFacts {
    let name = |schema: &Option<String>, name: &str| Name {
        schema: schema.as_deref().map(Into::into),
        name: name.into(),
    };
    let objects = shape.objects.iter().map(|object| ObjectAccess {
        kind: object.kind,
        name: name(&object.schema, &object.name),
        access: object.access,
    });
    let columns = shape.columns.iter().map(|column| ColumnAccess {
        table: column
            .table
            .as_ref()
            .map(|table| name(&column.schema, table)),
        column: column.column.as_str().into(),
        usage: column.usage,
    });
    let functions = shape
        .functions
        .iter()
        .map(|function| match function.split_once('.') {
            Some((schema, name)) => Name {
                schema: Some(schema.into()),
                name: name.into(),
            },
            None => Name {
                schema: None,
                name: function.as_str().into(),
            },
        });
    let together = StatementFacts {
        verb: shape.verb,
        verbs: shape.verbs.iter().copied().collect(),
        class: shape.class,
        objects: objects.collect(),
        columns: columns.collect(),
        functions: functions.collect(),
        where_shape: shape.where_shape,
        limit: shape.limit,
        egress: shape.egress.iter().copied().collect(),
        dynamic: shape.dynamic,
        effects: Vec::new(),
        detections: Vec::new(),
    };
    RecordedFacts::new(
        (shape.fingerprint, &shape.normal),
        shape.statements,
        together,
    )
}
