//! Roles, privileges, ownership, policies, settings of the server.

use pg_query::{NodeRef, protobuf as p};

use super::objects::{kind_of, object_type};
use super::{Walk, names};
use crate::vocabulary::{Access, Class, ColumnUse, ObjectKind, Verb};

impl<'t> Walk<'t> {
    pub(super) fn grant(&mut self, grant: &'t p::GrantStmt) {
        use p::GrantTargetType as G;
        let verb = if grant.is_grant {
            Verb::Grant
        } else {
            Verb::Revoke
        };
        self.command(verb, Class::Dcl);
        let kind = object_type(grant.objtype);
        let in_schema = G::try_from(grant.targtype) == Ok(G::AclTargetAllInSchema);
        for object in &grant.objects {
            if in_schema {
                self.typed_object(p::ObjectType::ObjectSchema, object, Access::Dcl);
            } else {
                self.typed_object(kind, object, Access::Dcl);
            }
        }
        self.roles(&grant.grantees, Access::Dcl);
        self.role(grant.grantor.as_ref(), Access::Refer);
        for privilege in &grant.privileges {
            if let Some(NodeRef::AccessPriv(privilege)) = names::node(Some(privilege)) {
                self.granted_columns(grant, privilege);
            }
        }
    }

    fn granted_columns(&mut self, grant: &'t p::GrantStmt, privilege: &'t p::AccessPriv) {
        let relation = grant
            .objects
            .iter()
            .find_map(|object| match names::node(Some(object)) {
                Some(NodeRef::RangeVar(range)) => Some(range),
                _ => None,
            });
        for column in privilege.cols.iter().filter_map(names::string) {
            self.read_column(relation, column);
        }
    }

    pub(super) fn grant_role(&mut self, grant: &'t p::GrantRoleStmt) {
        let verb = if grant.is_grant {
            Verb::Grant
        } else {
            Verb::Revoke
        };
        self.command(verb, Class::Dcl);
        self.roles(&grant.granted_roles, Access::Dcl);
        self.roles(&grant.grantee_roles, Access::Dcl);
        self.role(grant.grantor.as_ref(), Access::Refer);
    }

    pub(super) fn default_privileges(&mut self, alter: &'t p::AlterDefaultPrivilegesStmt) {
        self.command(Verb::Alter, Class::Dcl);
        for option in &alter.options {
            let Some(NodeRef::DefElem(option)) = names::node(Some(option)) else {
                continue;
            };
            let Some(NodeRef::List(list)) = names::node(option.arg.as_deref()) else {
                continue;
            };
            match option.defname.as_str() {
                "schemas" => {
                    for schema in list.items.iter().filter_map(names::string) {
                        self.named(ObjectKind::Schema, schema, Access::Dcl);
                    }
                }
                _ => self.roles(&list.items, Access::Dcl),
            }
        }
        if let Some(action) = &alter.action {
            self.grant(action);
        }
    }

    pub(super) fn create_role(&mut self, create: &'t p::CreateRoleStmt) {
        self.command(Verb::Create, Class::Dcl);
        self.named(ObjectKind::Role, &create.role, Access::Dcl);
        self.role_options(&create.options);
    }

    pub(super) fn alter_role(&mut self, alter: &'t p::AlterRoleStmt) {
        self.command(Verb::Alter, Class::Dcl);
        self.role(alter.role.as_ref(), Access::Dcl);
        self.role_options(&alter.options);
    }

    fn role_options(&mut self, options: &'t [p::Node]) {
        for option in options {
            if let Some(NodeRef::DefElem(option)) = names::node(Some(option))
                && let Some(NodeRef::List(list)) = names::node(option.arg.as_deref())
            {
                self.roles(&list.items, Access::Dcl);
            }
        }
    }

    pub(super) fn alter_role_set(&mut self, alter: &'t p::AlterRoleSetStmt) {
        self.command(Verb::Alter, Class::Dcl);
        match &alter.role {
            Some(role) => self.role(Some(role), Access::Dcl),
            None => self.named(ObjectKind::Role, "all", Access::Dcl),
        }
        if !alter.database.is_empty() {
            self.named(ObjectKind::Database, &alter.database, Access::Refer);
        }
        self.setting_of_other(alter.setstmt.as_ref());
    }

    pub(super) fn drop_role(&mut self, drop: &'t p::DropRoleStmt) {
        self.command(Verb::Drop, Class::Dcl);
        self.roles(&drop.roles, Access::Dcl);
    }

    pub(super) fn drop_owned(&mut self, drop: &'t p::DropOwnedStmt) {
        self.command(Verb::Reassign, Class::Dcl);
        self.roles(&drop.roles, Access::Dcl);
    }

    pub(super) fn reassign_owned(&mut self, reassign: &'t p::ReassignOwnedStmt) {
        self.command(Verb::Reassign, Class::Dcl);
        self.roles(&reassign.roles, Access::Dcl);
        self.role(reassign.newrole.as_ref(), Access::Dcl);
    }

    pub(super) fn alter_owner(&mut self, alter: &'t p::AlterOwnerStmt) {
        self.command(Verb::Alter, Class::Dcl);
        self.relation(alter.relation.as_ref(), Access::Dcl);
        if let Some(object) = alter.object.as_deref() {
            self.typed_object(object_type(alter.object_type), object, Access::Dcl);
        }
        self.role(alter.newowner.as_ref(), Access::Dcl);
    }

    pub(super) fn security_label(&mut self, label: &'t p::SecLabelStmt) {
        self.command(Verb::SecurityLabel, Class::Dcl);
        if let Some(object) = label.object.as_deref() {
            self.typed_object(object_type(label.objtype), object, Access::Dcl);
        }
    }

    pub(super) fn create_policy(&mut self, policy: &'t p::CreatePolicyStmt) {
        self.command(Verb::Create, Class::Dcl);
        self.relation(policy.table.as_ref(), Access::Dcl);
        self.roles(&policy.roles, Access::Dcl);
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&policy.qual);
            walk.visit_box(&policy.with_check);
        });
    }

    pub(super) fn alter_policy(&mut self, policy: &'t p::AlterPolicyStmt) {
        self.command(Verb::Alter, Class::Dcl);
        self.relation(policy.table.as_ref(), Access::Dcl);
        self.roles(&policy.roles, Access::Dcl);
        self.using(ColumnUse::Filter, |walk| {
            walk.visit_box(&policy.qual);
            walk.visit_box(&policy.with_check);
        });
    }

    pub(super) fn alter_system(&mut self, alter: &'t p::AlterSystemStmt) {
        self.command(Verb::AlterSystem, Class::Admin);
        match alter.setstmt.as_ref().filter(|set| set.name.is_empty()) {
            Some(_) => self.named(ObjectKind::Setting, "all", Access::Ddl),
            None => self.setting_of_other(alter.setstmt.as_ref()),
        }
    }

    pub(super) fn comment(&mut self, comment: &'t p::CommentStmt) {
        self.command(Verb::Comment, Class::Ddl);
        if let Some(object) = comment.object.as_deref() {
            self.typed_object(object_type(comment.objtype), object, Access::Ddl);
        }
    }

    pub(super) fn drop_objects(&mut self, drop: &'t p::DropStmt) {
        let kind = object_type(drop.remove_type);
        let class = match kind {
            p::ObjectType::ObjectPolicy => Class::Dcl,
            _ => Class::Ddl,
        };
        self.command(Verb::Drop, class);
        for object in &drop.objects {
            self.typed_object(kind, object, Access::Ddl);
        }
        if kind_of(kind) == ObjectKind::Foreign {
            self.open_egress(crate::vocabulary::Egress::Foreign);
        }
    }
}
