//! Objects that DDL and privilege statements name by type.

use pg_query::{NodeRef, protobuf as p};

use super::{Walk, names};
use crate::statement::facts::Name;
use crate::vocabulary::{Access, ObjectKind};

impl<'t> Walk<'t> {
    /// The object that a node names, given the type of objects that the statement is about.
    pub(super) fn typed_object(&mut self, kind: p::ObjectType, node: &'t p::Node, access: Access) {
        let Some(node) = names::node(Some(node)) else {
            return;
        };
        match (place(kind), node) {
            // The name of a part: the object is what it belongs to.
            (Place::Part, NodeRef::List(list)) => {
                if let Some((_, whole)) = list.items.split_last()
                    && let Some(name) = names::dotted(whole)
                {
                    self.object(ObjectKind::Relation, name, access);
                }
            }
            // An access method before the name.
            (Place::Method, NodeRef::List(list)) => {
                if let Some((_, name)) = list.items.split_first()
                    && let Some(name) = names::dotted(name)
                {
                    self.object(kind_of(kind), name, access);
                }
            }
            (_, NodeRef::List(list)) => match names::dotted(&list.items) {
                Some(name) => self.object(kind_of(kind), name, access),
                None => {
                    for item in &list.items {
                        self.typed_object(kind, item, access);
                    }
                }
            },
            (_, NodeRef::RangeVar(range)) => {
                self.object(kind_of(kind), names::relation(range), access);
            }
            (_, NodeRef::ObjectWithArgs(object)) => {
                if let Some(name) = names::dotted(&object.objname) {
                    self.object(kind_of(kind), name, access);
                }
            }
            (_, NodeRef::TypeName(name)) => {
                if let Some(name) = names::type_name(name) {
                    self.object(ObjectKind::Type, name, access);
                }
            }
            (_, NodeRef::String(string)) => {
                self.object(kind_of(kind), names::bare(&string.sval), access);
            }
            (_, NodeRef::RoleSpec(role)) => {
                self.object(ObjectKind::Role, names::role(role), access);
            }
            (_, NodeRef::Integer(number)) => {
                self.object(kind_of(kind), names::bare(&number.ival.to_string()), access);
            }
            (_, NodeRef::Float(number)) => {
                self.object(kind_of(kind), names::bare(&number.fval), access);
            }
            (_, other) => self.descend(other),
        }
    }

    /// Roles that a list names.
    pub(super) fn roles(&mut self, roles: &[p::Node], access: Access) {
        for role in roles {
            match names::node(Some(role)) {
                Some(NodeRef::RoleSpec(role)) => {
                    self.object(ObjectKind::Role, names::role(role), access);
                }
                Some(NodeRef::AccessPriv(role)) => {
                    self.object(ObjectKind::Role, names::bare(&role.priv_name), access);
                }
                _ => {}
            }
        }
    }

    /// A role named outside a list.
    pub(super) fn role(&mut self, role: Option<&p::RoleSpec>, access: Access) {
        if let Some(role) = role {
            self.object(ObjectKind::Role, names::role(role), access);
        }
    }

    /// An object of one word.
    pub(super) fn named(&mut self, kind: ObjectKind, name: &str, access: Access) {
        self.object(kind, names::bare(name), access);
    }

    /// An object with a dotted name.
    pub(super) fn named_list(&mut self, kind: ObjectKind, name: &[p::Node], access: Access) {
        if let Some(name) = names::dotted(name) {
            self.object(kind, name, access);
        }
    }

    /// A relation.
    pub(super) fn relation(
        &mut self,
        relation: Option<&p::RangeVar>,
        access: Access,
    ) -> Option<Name> {
        let name = names::relation(relation?);
        self.object(ObjectKind::Relation, name.clone(), access);
        Some(name)
    }
}

/// Where in a list of names the object's own name stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Part,
    Method,
}

fn place(kind: p::ObjectType) -> Place {
    use p::ObjectType as T;
    match kind {
        T::ObjectColumn
        | T::ObjectTabconstraint
        | T::ObjectPolicy
        | T::ObjectRule
        | T::ObjectTrigger => Place::Part,
        T::ObjectOpclass | T::ObjectOpfamily => Place::Method,
        _ => Place::Whole,
    }
}

/// The vocabulary's word for a type of objects.
pub(super) fn kind_of(kind: p::ObjectType) -> ObjectKind {
    use p::ObjectType as T;
    match kind {
        T::ObjectTable
        | T::ObjectView
        | T::ObjectMatview
        | T::ObjectIndex
        | T::ObjectSequence
        | T::ObjectForeignTable
        | T::ObjectColumn
        | T::ObjectTabconstraint
        | T::ObjectPolicy
        | T::ObjectRule
        | T::ObjectTrigger
        | T::ObjectDefault
        | T::ObjectPublicationRel => ObjectKind::Relation,
        T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine | T::ObjectAggregate => {
            ObjectKind::Routine
        }
        T::ObjectSchema | T::ObjectPublicationNamespace => ObjectKind::Schema,
        T::ObjectDatabase => ObjectKind::Database,
        T::ObjectRole => ObjectKind::Role,
        T::ObjectExtension | T::ObjectLanguage => ObjectKind::Extension,
        T::ObjectFdw
        | T::ObjectForeignServer
        | T::ObjectUserMapping
        | T::ObjectSubscription
        | T::ObjectPublication => ObjectKind::Foreign,
        T::ObjectParameterAcl => ObjectKind::Setting,
        T::ObjectType | T::ObjectDomain | T::ObjectDomconstraint | T::ObjectAttribute => {
            ObjectKind::Type
        }
        T::Undefined
        | T::ObjectAccessMethod
        | T::ObjectAmop
        | T::ObjectAmproc
        | T::ObjectCast
        | T::ObjectCollation
        | T::ObjectConversion
        | T::ObjectDefacl
        | T::ObjectEventTrigger
        | T::ObjectLargeobject
        | T::ObjectOpclass
        | T::ObjectOperator
        | T::ObjectOpfamily
        | T::ObjectStatisticExt
        | T::ObjectTablespace
        | T::ObjectTransform
        | T::ObjectTsconfiguration
        | T::ObjectTsdictionary
        | T::ObjectTsparser
        | T::ObjectTstemplate => ObjectKind::Other,
    }
}

/// The type of objects in a field of the tree.
pub(super) fn object_type(value: i32) -> p::ObjectType {
    p::ObjectType::try_from(value).unwrap_or(p::ObjectType::Undefined)
}
