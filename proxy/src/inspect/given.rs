//! What is sent beside a statement's text, as rules see it: read only if a rule asks.

use std::borrow::Cow;

use sqlward_policy::rule::{
    moment::{Bound, Counting, Wording},
    subject::EndUser,
    value::{Parameters, Value},
};
use sqlward_wire::pg::{self, Format};

/// What belongs to a statement and is not in its analysis.
pub(super) struct Given<'a> {
    /// Its parameters.
    pub(super) parameters: Bound<'a>,
    /// Its literals.
    pub(super) text: Wording<'a>,
    /// The end user that it claims.
    pub(super) end_user: Option<EndUser>,
    /// Whether it is in the session's history already.
    pub(super) counting: Counting,
}

impl Given<'_> {
    /// Nothing that is known.
    pub(super) const NOTHING: Self = Self {
        parameters: Bound::Unknown,
        text: Wording::Unknown,
        end_user: None,
        counting: Counting::Anew,
    };
}

/// No parameters.
pub(super) const NONE: &&[Value<'static>] = &(&[] as &[Value<'static>]);

/// The parameters of a Bind, and the types that the Parse has fixed.
pub(super) struct BoundPg<'a> {
    pub(super) parameters: pg::Parameters<'a>,
    pub(super) types: &'a [u32],
    /// How texts are encoded.
    pub(super) encoding: Utf8,
}

/// Whether texts are sent in UTF-8; if not, only ASCII says the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Utf8 {
    Yes,
    No,
}

impl Parameters for BoundPg<'_> {
    fn each(&self, show: &mut dyn FnMut(Value<'_>)) {
        let types = self.types.iter().copied().chain(std::iter::repeat(0));
        for ((format, value), kind) in self.parameters.clone().zip(types) {
            show(match (format, value) {
                (_, None) => Value::Null,
                (_, Some(bytes)) if self.encoding == Utf8::No && !bytes.is_ascii() => Value::Opaque,
                (Format::Text, Some(bytes)) => text(bytes),
                (_, Some(bytes)) => binary(kind, bytes),
            });
        }
    }
}

/// Bytes as text, if they are.
pub(super) fn text(bytes: &[u8]) -> Value<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Plain(Cow::Borrowed(text)),
        Err(_) => Value::Opaque,
    }
}

/// A value in the binary format, by the type's identity (PostgreSQL's pg_type.dat).
fn binary(kind: u32, bytes: &[u8]) -> Value<'_> {
    fn number<const N: usize, T: ToString>(
        bytes: &[u8],
        read: impl Fn([u8; N]) -> T,
    ) -> Value<'static> {
        match bytes.try_into() {
            Ok(bytes) => Value::Plain(read(bytes).to_string().into()),
            Err(_) => Value::Opaque,
        }
    }
    match kind {
        16 => number(bytes, |[byte]: [u8; 1]| byte),
        20 => number(bytes, i64::from_be_bytes),
        21 => number(bytes, i16::from_be_bytes),
        23 => number(bytes, i32::from_be_bytes),
        26 => number(bytes, u32::from_be_bytes),
        700 => number(bytes, f32::from_be_bytes),
        701 => number(bytes, f64::from_be_bytes),
        // Text, name, json, bpchar, varchar, unknown.
        25 | 19 | 114 | 1042 | 1043 | 705 => text(bytes),
        _ => Value::Opaque,
    }
}
