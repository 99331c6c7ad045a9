//! Constants in the tree.

use pg_query::{NodeRef, protobuf as p};

use super::names;

/// The value of a SET: its items as text, separated by commas; `None` if one of them is not a constant.
pub(super) fn setting(arguments: &[p::Node]) -> Option<Box<str>> {
    let mut value = String::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            value.push_str(", ");
        }
        value.push_str(&text(argument)?);
    }
    Some(value.into_boxed_str())
}

/// A constant as text.
pub(super) fn text(node: &p::Node) -> Option<String> {
    match names::node(Some(node))? {
        NodeRef::AConst(constant) => const_text(constant),
        NodeRef::String(string) => Some(string.sval.clone()),
        NodeRef::Integer(integer) => Some(integer.ival.to_string()),
        NodeRef::Float(float) => Some(float.fval.clone()),
        NodeRef::Boolean(boolean) => Some(boolean.boolval.to_string()),
        NodeRef::TypeCast(cast) => text(cast.arg.as_deref()?),
        _ => None,
    }
}

/// A constant expression's value as text; `None` for NULL.
pub(super) fn const_text(constant: &p::AConst) -> Option<String> {
    use p::a_const::Val;
    if constant.isnull {
        return None;
    }
    Some(match constant.val.as_ref()? {
        Val::Ival(value) => value.ival.to_string(),
        Val::Fval(value) => value.fval.clone(),
        Val::Boolval(value) => value.boolval.to_string(),
        Val::Sval(value) => value.sval.clone(),
        Val::Bsval(value) => value.bsval.clone(),
    })
}

/// A constant as text, `Some(None)` for NULL; casts that may change the text make it none.
pub(super) fn exact_text(node: &p::Node) -> Option<Option<String>> {
    match names::node(Some(node))? {
        NodeRef::AConst(constant) if constant.isnull => Some(None),
        NodeRef::AConst(constant) => const_text(constant).map(Some),
        NodeRef::TypeCast(cast) => {
            let kind = cast.type_name.as_ref()?;
            let keeps = kind.typmods.is_empty()
                && kind.array_bounds.is_empty()
                && names::type_name(kind).is_some_and(|kind| {
                    matches!(kind.schema.as_deref(), None | Some("pg_catalog"))
                        && matches!(&*kind.name, "text" | "varchar" | "bool")
                });
            exact_text(cast.arg.as_deref()?).filter(|_| keeps)
        }
        _ => None,
    }
}

/// Whether an option without a value, or with this one, is on, as `defGetBoolean` reads it; what can't be read is on.
pub(super) fn option_is_on(argument: Option<&p::Node>) -> bool {
    let Some(argument) = argument else {
        return true;
    };
    match text(argument) {
        Some(text) => {
            let text = text.to_ascii_lowercase();
            !(matches!(text.as_str(), "false" | "off" | "0" | "no"))
        }
        None => true,
    }
}
