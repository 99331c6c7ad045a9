//! A finished statement as the columns of its row: what is inserted, and what verification expects to find.

use serde_json::{Map, Value, json};
use sqlward_policy::vocabulary::{Action, Severity};

use crate::chain::hex;
use crate::record::{
    CodecError, Completion, Entry, ErrorCode, Intent, Parameter, ParameterFormat, Shape, Text,
};
use crate::ship::rows::{StatementRow, TextRef};

/// Where the text of a row comes from, as stored in `text_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextState {
    /// There is none.
    None = 0,
    /// It was sent with this statement.
    Sent = 1,
    /// It was sent with the prepare.
    Prepared = 2,
    /// It is forgotten; the normal form stands in.
    Normal = 3,
}

impl TextState {
    pub(crate) const ALL: &'static [(i64, &'static str)] = &[
        (0, "none"),
        (1, "sent"),
        (2, "prepared"),
        (3, "normal-form"),
    ];
}

/// The columns of a judgement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlatJudgement {
    pub(crate) action: &'static str,
    pub(crate) judged: &'static str,
    pub(crate) mode: &'static str,
    pub(crate) rules: String,
    pub(crate) severity: Option<&'static str>,
    pub(crate) severity_rank: i64,
    pub(crate) generation: i64,
    pub(crate) unreadable: Option<&'static str>,
}

/// The columns of a statement, names and texts not yet replaced by ids.
pub(crate) struct Flat<'a> {
    pub(crate) intent: &'a Intent<'a>,
    pub(crate) text: Option<&'a [u8]>,
    pub(crate) text_state: TextState,
    pub(crate) text_len: Option<i64>,
    pub(crate) text_hash: Option<[u8; 32]>,
    pub(crate) parameters: Option<String>,
    pub(crate) prepared_name: Option<String>,
    pub(crate) portal: Option<String>,
    pub(crate) judgement: FlatJudgement,
    pub(crate) sqlstate: Option<String>,
    pub(crate) flagged: bool,
}

/// The intent in a payload.
pub(crate) fn intent(payload: &[u8]) -> Result<Intent<'_>, CodecError> {
    match Entry::decode(7, payload)? {
        Entry::Intent(intent) => Ok(intent),
        _ => Err(CodecError::Invalid("kind")),
    }
}

/// The shape in a payload.
pub(crate) fn shape(payload: &[u8]) -> Result<Shape<'_>, CodecError> {
    match Entry::decode(6, payload)? {
        Entry::Shape(shape) => Ok(shape),
        _ => Err(CodecError::Invalid("kind")),
    }
}

impl<'a> Flat<'a> {
    /// Spreads a row out; `intent` is its payload's, `prepared` that of the intent it has its text from.
    pub(crate) fn new(
        row: &'a StatementRow,
        intent: &'a Intent<'a>,
        prepared: Option<&'a Intent<'a>>,
    ) -> Self {
        let (state, text) = match (&row.text, prepared) {
            (TextRef::Own, _) => (TextState::Sent, intent.text),
            (TextRef::Of(_), Some(prepared)) => (TextState::Prepared, prepared.text),
            (TextRef::Of(_), None) | (TextRef::Missing, _) => (TextState::Normal, Text::None),
        };
        let (text, text_len, text_hash, state) = match text {
            Text::Sent {
                bytes,
                full_len,
                full_hash,
            } => (Some(bytes), Some(signed(full_len)), full_hash, state),
            Text::None | Text::Of(_) if state == TextState::Sent => {
                (None, None, None, TextState::None)
            }
            Text::None | Text::Of(_) => (None, None, None, TextState::Normal),
        };
        let judged = &intent.judgement;
        let refused = judged.action >= Action::Deny || judged.judged > Action::Allow;
        let judgement = FlatJudgement {
            action: judged.action.as_str(),
            judged: judged.judged.as_str(),
            mode: judged.mode.as_str(),
            rules: rules(&judged.rules),
            severity: judged.severity.map(Severity::as_str),
            severity_rank: rank(judged.severity),
            generation: signed(judged.generation),
            unreadable: judged.unreadable.map(|reason| reason.as_str()),
        };
        let failed = matches!(
            row.outcome.completion,
            Completion::Failed | Completion::Refused
        );
        Self {
            intent,
            text,
            text_state: state,
            text_len,
            text_hash,
            parameters: parameters(&intent.parameters),
            prepared_name: name(intent.prepared_name),
            portal: name(intent.portal),
            judgement,
            sqlstate: row.outcome.sqlstate.map(sqlstate),
            flagged: refused || failed || row.outcome.sqlstate.is_some(),
        }
    }
}

/// Names of rules as a JSON array.
fn rules(rules: &[&str]) -> String {
    // Strings always can be written.
    serde_json::to_string(rules).unwrap_or_default()
}

/// The place of a severity in their order; 0 for none.
pub(crate) fn rank(severity: Option<Severity>) -> i64 {
    severity.map_or(0, |severity| {
        Severity::ALL
            .iter()
            .position(|known| *known == severity)
            .map_or(0, |at| at as i64 + 1)
    })
}

/// An error code as text: `42501`, or `1146 (42S02)` where it has a number.
pub(crate) fn sqlstate(code: ErrorCode) -> String {
    let sqlstate = text(&code.sqlstate);
    match code.errno {
        0 => sqlstate,
        errno => format!("{errno} ({sqlstate})"),
    }
}

/// A count as SQLite has them.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Bytes as text that loses nothing: what is no UTF-8 is written `\xNN`.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

fn name(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| text(bytes))
}

/// Parameter values as a JSON array, or nothing where there are none.
fn parameters(parameters: &[Parameter<'_>]) -> Option<String> {
    if parameters.is_empty() {
        return None;
    }
    let values: Vec<Value> = parameters.iter().map(parameter).collect();
    Some(Value::from(values).to_string())
}

fn parameter(parameter: &Parameter<'_>) -> Value {
    let mut object = Map::new();
    match (parameter.value, parameter.format) {
        (None, _) => {
            object.insert("value".to_owned(), Value::Null);
        }
        (Some(value), ParameterFormat::Text) if std::str::from_utf8(value).is_ok() => {
            object.insert("value".to_owned(), json!(text(value)));
        }
        (Some(value), _) => {
            object.insert("hex".to_owned(), json!(hex(value)));
        }
    }
    object.insert("format".to_owned(), json!(parameter.format.as_str()));
    if parameter.type_oid != 0 {
        object.insert("type".to_owned(), json!(parameter.type_oid));
    }
    let recorded = parameter.value.map_or(0, |value| value.len() as u64);
    if parameter.full_len != recorded {
        object.insert("full_length".to_owned(), json!(parameter.full_len));
    }
    if parameter.redacted {
        object.insert("redacted".to_owned(), json!(true));
    }
    Value::Object(object)
}

/// The columns of a shape that are JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FlatShape {
    pub(crate) verbs: String,
    pub(crate) objects: String,
    pub(crate) columns: String,
    pub(crate) functions: String,
    pub(crate) egress: String,
}

impl FlatShape {
    pub(crate) fn new(shape: &Shape<'_>) -> Self {
        let verbs: Vec<&str> = shape.verbs.iter().map(|verb| verb.as_str()).collect();
        let egress: Vec<&str> = shape.egress.iter().map(|egress| egress.as_str()).collect();
        let objects: Vec<Value> = shape
            .objects
            .iter()
            .map(|object| {
                json!({
                    "kind": object.kind.as_str(), "schema": object.schema, "name": object.name,
                    "access": object.access.as_str(),
                })
            })
            .collect();
        let columns: Vec<Value> = shape
            .columns
            .iter()
            .map(|column| {
                json!({
                    "schema": column.schema, "table": column.table, "column": column.column,
                    "use": column.usage.as_str(),
                })
            })
            .collect();
        Self {
            verbs: Value::from(verbs).to_string(),
            objects: Value::from(objects).to_string(),
            columns: Value::from(columns).to_string(),
            functions: Value::from(shape.functions.to_vec()).to_string(),
            egress: Value::from(egress).to_string(),
        }
    }
}

/// `schema.name`, or the name alone where the text names no schema.
pub(crate) fn qualified(schema: Option<&str>, name: &str) -> String {
    schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"))
}
