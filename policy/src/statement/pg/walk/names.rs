//! Names in the tree, as the parser has folded and truncated them.

use pg_query::{NodeRef, protobuf as p};

use crate::statement::facts::Name;

/// The node in an optional field.
pub(super) fn node(node: Option<&p::Node>) -> Option<NodeRef<'_>> {
    node?.node.as_ref().map(pg_query::NodeEnum::to_ref)
}

/// The text of a String node.
pub(super) fn string(node: &p::Node) -> Option<&str> {
    match self::node(Some(node))? {
        NodeRef::String(string) => Some(&string.sval),
        _ => None,
    }
}

/// An unqualified name.
pub(super) fn bare(name: &str) -> Name {
    Name {
        schema: None,
        name: name.into(),
    }
}

/// A name with an optional qualifier.
pub(super) fn qualified(schema: &str, name: &str) -> Name {
    Name {
        schema: (!schema.is_empty()).then(|| schema.into()),
        name: name.into(),
    }
}

/// The name in a text, as the server reads the input of regclass: dots between identifiers, quoted or folded. A number
/// is an OID, and what is no name is none.
pub(super) fn in_text(text: &str) -> Option<Name> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut rest = text.trim().chars().peekable();
    while let Some(letter) = rest.next() {
        let part = parts.last_mut()?;
        match letter {
            '"' => loop {
                match rest.next()? {
                    '"' if rest.peek() == Some(&'"') => part.extend(rest.next()),
                    '"' => break,
                    letter => part.push(letter),
                }
            },
            '.' => parts.push(String::new()),
            letter if letter.is_whitespace() => {}
            letter => part.push(letter.to_ascii_lowercase()),
        }
    }
    let name = parts.pop().filter(|name| !name.is_empty())?;
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(qualified(&parts.pop().unwrap_or_default(), &name))
}

/// The name of a relation.
pub(super) fn relation(relation: &p::RangeVar) -> Name {
    qualified(&relation.schemaname, &relation.relname)
}

/// A dotted name: its last two parts.
pub(super) fn dotted(parts: &[p::Node]) -> Option<Name> {
    let (last, before) = parts.split_last()?;
    let schema = before.last().and_then(string).unwrap_or_default();
    Some(qualified(schema, string(last)?))
}

/// The whole of a dotted name as one text, as settings are called.
pub(super) fn type_name(name: &p::TypeName) -> Option<Name> {
    dotted(&name.names)
}

/// The name that a definition's argument holds, be it a string, a type or a list.
pub(super) fn of_argument(argument: Option<&p::Node>) -> Option<Name> {
    match node(argument)? {
        NodeRef::String(string) => Some(bare(&string.sval)),
        NodeRef::TypeName(name) => type_name(name),
        NodeRef::List(list) => dotted(&list.items),
        NodeRef::ObjectWithArgs(object) => dotted(&object.objname),
        NodeRef::RangeVar(range) => Some(relation(range)),
        _ => None,
    }
}

/// The role that a specification names, in words where it is not a name.
pub(super) fn role(spec: &p::RoleSpec) -> Name {
    use p::RoleSpecType as T;
    bare(match T::try_from(spec.roletype).unwrap_or(T::Undefined) {
        T::RolespecCstring | T::Undefined => &spec.rolename,
        T::RolespecCurrentRole => "current_role",
        T::RolespecCurrentUser => "current_user",
        T::RolespecSessionUser => "session_user",
        T::RolespecPublic => "public",
    })
}
