//! What entries hold, as the columns that auditors see.

use serde_json::{Map, Value, json};
use sqlward_policy::vocabulary::Severity;

use crate::chain::hex;
use crate::record::{
    CodecError, Entry, ErrorCode, Intent, Outcome, Parameter, ParameterFormat, Shape, Text,
};

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

/// The text of a statement, wherever it stands.
#[derive(Clone, Copy)]
pub(crate) struct Resolved<'a> {
    pub(crate) state: TextState,
    pub(crate) bytes: Option<&'a [u8]>,
    pub(crate) length: Option<i64>,
    pub(crate) hash: Option<[u8; 32]>,
}

impl<'a> Resolved<'a> {
    /// Finds the text of `intent`; `prepared` is the intent that it has its text from, where that is known.
    pub(crate) fn new(intent: &Intent<'a>, prepared: Option<&Intent<'a>>) -> Self {
        let (state, text) = match (intent.text, prepared) {
            (Text::None, _) => (TextState::None, Text::None),
            (Text::Sent { .. }, _) => (TextState::Sent, intent.text),
            (Text::Of(_), Some(prepared)) => (TextState::Prepared, prepared.text),
            (Text::Of(_), None) => (TextState::Normal, Text::None),
        };
        match text {
            Text::Sent {
                bytes,
                full_len,
                full_hash,
            } => Self {
                state,
                bytes: Some(bytes),
                length: Some(signed(full_len)),
                hash: full_hash,
            },
            Text::None | Text::Of(_) => Self {
                state: match state {
                    TextState::Prepared => TextState::Normal,
                    TextState::None | TextState::Sent | TextState::Normal => state,
                },
                bytes: None,
                length: None,
                hash: None,
            },
        }
    }
}

/// The kind of intents in the journal.
pub(crate) const INTENT: u8 = 7;

/// The kind of outcomes in the journal.
pub(crate) const OUTCOME: u8 = 8;

/// The intent in a payload.
pub(crate) fn intent(payload: &[u8]) -> Result<Intent<'_>, CodecError> {
    match Entry::decode(INTENT, payload)? {
        Entry::Intent(intent) => Ok(intent),
        _ => Err(CodecError::Invalid("kind")),
    }
}

/// The outcome in a payload.
pub(crate) fn outcome(payload: &[u8]) -> Result<Outcome, CodecError> {
    match Entry::decode(OUTCOME, payload)? {
        Entry::Outcome(outcome) => Ok(outcome),
        _ => Err(CodecError::Invalid("kind")),
    }
}

/// The payload of an outcome.
pub(crate) fn outcome_payload(outcome: &Outcome) -> Vec<u8> {
    let mut room = [0; 128];
    let mut writer = crate::record::Writer::new(&mut room);
    Entry::Outcome(*outcome).encode(&mut writer);
    // The longest outcome takes less.
    let length = writer.finish().unwrap_or(0);
    room.get(..length).unwrap_or_default().to_vec()
}

/// The shape in a payload.
pub(crate) fn shape(payload: &[u8]) -> Result<Shape<'_>, CodecError> {
    match Entry::decode(6, payload)? {
        Entry::Shape(shape) => Ok(shape),
        _ => Err(CodecError::Invalid("kind")),
    }
}

/// Names of rules as a JSON array.
pub(crate) fn rules(rules: &[&str]) -> String {
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

/// A name, or nothing where there is none.
pub(crate) fn name(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| text(bytes))
}

/// Parameter values as a JSON array, or nothing where there are none.
pub(crate) fn parameters(parameters: &[Parameter<'_>]) -> Option<String> {
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
