//! What analysis said of a statement, read back from the store's columns.

use serde::Deserialize;
use sqlward_policy::vocabulary::{
    Access, Class, ColumnUse, Egress, LimitShape, ObjectKind, Verb, WhereShape,
};

/// What analysis said of a statement's text: of several statements in one text, together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenShape {
    /// Names the normal form.
    pub fingerprint: [u8; 16],
    /// The normal form.
    pub normal: String,
    /// How many statements the text holds.
    pub statements: u32,
    /// The verb of the first statement.
    pub verb: Verb,
    /// The strongest class.
    pub class: Class,
    /// Every verb in the text.
    pub verbs: Vec<Verb>,
    /// Objects by access.
    pub objects: Vec<SeenObject>,
    /// Columns by use.
    pub columns: Vec<SeenColumn>,
    /// Functions called, qualified where the text qualifies them.
    pub functions: Vec<String>,
    /// Ways out of the database.
    pub egress: Vec<Egress>,
    /// The weakest WHERE.
    pub where_shape: WhereShape,
    /// The outermost LIMIT.
    pub limit: LimitShape,
    /// It runs SQL built at run time.
    pub dynamic: bool,
}

/// An object and what is done to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenObject {
    /// What kind of thing it is.
    pub kind: ObjectKind,
    /// The schema, if the text names one.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// What is done to it.
    pub access: Access,
}

/// A column and how it is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenColumn {
    /// The table's schema, if known.
    pub schema: Option<String>,
    /// The table, if known.
    pub table: Option<String>,
    /// The column; `*` for all.
    pub column: String,
    /// How it is used.
    pub usage: ColumnUse,
}

/// The columns as the store has them: words, and lists as JSON.
pub(super) struct Columns<'a> {
    pub(super) fingerprint: [u8; 16],
    pub(super) normal: &'a str,
    pub(super) statements: i64,
    pub(super) verb: &'a str,
    pub(super) class: &'a str,
    pub(super) verbs: &'a str,
    pub(super) objects: &'a str,
    pub(super) columns: &'a str,
    pub(super) functions: &'a str,
    pub(super) egress: &'a str,
    pub(super) where_shape: &'a str,
    pub(super) limit: &'a str,
    pub(super) dynamic: bool,
}

#[derive(Deserialize)]
struct ObjectText {
    kind: String,
    schema: Option<String>,
    name: String,
    access: String,
}

#[derive(Deserialize)]
struct ColumnText {
    schema: Option<String>,
    table: Option<String>,
    column: String,
    #[serde(rename = "use")]
    usage: String,
}

impl Columns<'_> {
    /// The shape; `None` where a word is not known to this program.
    pub(super) fn read(&self) -> Option<SeenShape> {
        let verbs: Vec<String> = serde_json::from_str(self.verbs).ok()?;
        let egress: Vec<String> = serde_json::from_str(self.egress).ok()?;
        let objects: Vec<ObjectText> = serde_json::from_str(self.objects).ok()?;
        let columns: Vec<ColumnText> = serde_json::from_str(self.columns).ok()?;
        let object = |text: ObjectText| {
            Some(SeenObject {
                kind: ObjectKind::from_word(&text.kind)?,
                schema: text.schema,
                name: text.name,
                access: Access::from_word(&text.access)?,
            })
        };
        let column = |text: ColumnText| {
            Some(SeenColumn {
                schema: text.schema,
                table: text.table,
                column: text.column,
                usage: ColumnUse::from_word(&text.usage)?,
            })
        };
        Some(SeenShape {
            fingerprint: self.fingerprint,
            normal: self.normal.to_owned(),
            statements: u32::try_from(self.statements).ok()?,
            verb: Verb::from_word(self.verb)?,
            class: Class::from_word(self.class)?,
            verbs: verbs
                .iter()
                .map(|word| Verb::from_word(word))
                .collect::<Option<_>>()?,
            objects: objects.into_iter().map(object).collect::<Option<_>>()?,
            columns: columns.into_iter().map(column).collect::<Option<_>>()?,
            functions: serde_json::from_str(self.functions).ok()?,
            egress: egress
                .iter()
                .map(|word| Egress::from_word(word))
                .collect::<Option<_>>()?,
            where_shape: WhereShape::from_word(self.where_shape)?,
            limit: LimitShape::from_word(self.limit)?,
            dynamic: self.dynamic,
        })
    }
}
