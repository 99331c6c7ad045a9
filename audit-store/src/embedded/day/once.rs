//! What a day file keeps once: names, subjects, shapes.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::{KnownShape, SpeakerIds, Writer, address};
use crate::embedded::error::StoreError;
use crate::embedded::flat::{self, FlatShape, signed};
use crate::ship::subject::{Speaker, Who};

impl Writer<'_, '_> {
    pub(super) fn name(&mut self, value: Option<&str>) -> rusqlite::Result<Option<i64>> {
        let Some(value) = value else { return Ok(None) };
        if let Some(id) = self.ids.names.get(value) {
            return Ok(Some(*id));
        }
        let id = self.once(
            "SELECT id FROM name WHERE value = ?",
            "INSERT INTO name (value) VALUES (?)",
            params![value],
            params![value],
        )?;
        self.ids.names.insert(value.into(), id);
        Ok(Some(id))
    }

    pub(super) fn speaker(&mut self, speaker: &Arc<Speaker>) -> rusqlite::Result<SpeakerIds> {
        if let Some((_, ids)) = self.ids.speakers.get(&Arc::as_ptr(speaker).addr()) {
            return Ok(*ids);
        }
        let end_user = speaker.end_user.as_ref();
        let ids = SpeakerIds {
            who: self.find_who(&speaker.who)?,
            role: self.name(speaker.role.as_deref())?,
            end_user: self.name(end_user.map(|end_user| &*end_user.name))?,
            source: end_user.map(|end_user| end_user.source.code()),
            trust: end_user.map(|end_user| end_user.trust.code()),
        };
        self.ids
            .speakers
            .insert(Arc::as_ptr(speaker).addr(), (Arc::clone(speaker), ids));
        Ok(ids)
    }

    pub(super) fn find_who(&mut self, who: &Who) -> rusqlite::Result<i64> {
        let digest = who.digest();
        if let Some(id) = self.ids.whos.get(&digest) {
            return Ok(*id);
        }
        let mut names = [None; 5];
        let values = [
            &who.user,
            &who.database,
            &who.application,
            &who.listener,
            &who.upstream,
        ];
        for (id, value) in names.iter_mut().zip(values) {
            *id = self.name(value.as_deref())?;
        }
        let [user, database, application, listener, upstream] = names;
        let id = self.once(
            "SELECT id FROM who WHERE digest = ?",
            INSERT_WHO,
            params![digest],
            params![
                digest,
                who.node,
                who.session as i64,
                who.started_us.map(signed),
                user,
                database,
                application,
                who.client.map(|client| client.ip().to_string()),
                who.client.map(|client| address(client.ip())),
                who.client.map(|client| client.port()),
                listener,
                upstream,
                who.dialect.map(|dialect| dialect.as_str()),
                who.tls_version,
                who.tls_identity,
                who.method,
                who.backend_pid,
                who.protocol,
            ],
        )?;
        self.ids.whos.insert(digest, id);
        Ok(id)
    }

    pub(super) fn add_shape(&mut self, payload: &[u8]) -> Result<KnownShape, StoreError> {
        let shape = flat::shape(payload).map_err(|_| StoreError::Damaged {
            path: self.path.to_owned(),
            what: "a shape can't be read".to_owned(),
        })?;
        self.insert_shape(&shape)
            .map_err(StoreError::sqlite(self.path))
    }

    pub(super) fn insert_shape(
        &mut self,
        shape: &crate::record::Shape<'_>,
    ) -> rusqlite::Result<KnownShape> {
        let lists = FlatShape::new(shape);
        self.transaction
            .prepare_cached(
                "INSERT INTO shape (key, fingerprint, normal, statements, verb, class, verbs,
                    objects, columns, functions, egress, where_shape, limit_shape, dynamic)
                VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )?
            .execute(params![
                shape.key,
                shape.fingerprint,
                shape.normal,
                shape.statements,
                shape.verb.as_str(),
                shape.class.as_str(),
                lists.verbs,
                lists.objects,
                lists.columns,
                lists.functions,
                lists.egress,
                shape.where_shape.as_str(),
                shape.limit.as_str(),
                shape.dynamic,
            ])?;
        let id = self.transaction.last_insert_rowid();
        let mut insert = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO shape_object VALUES (?,?,?,?,?)")?;
        for object in shape.objects.iter() {
            let qualified = flat::qualified(object.schema, object.name);
            let (kind, access) = (object.kind.as_str(), object.access.as_str());
            insert.execute(params![id, kind, qualified, object.name, access])?;
        }
        Ok(KnownShape {
            fingerprint: shape.fingerprint,
            verb: shape.verb.as_str().into(),
        })
    }

    /// The id of a row that is kept once.
    pub(super) fn once(
        &self,
        select: &str,
        insert: &str,
        key: &[&dyn rusqlite::ToSql],
        values: &[&dyn rusqlite::ToSql],
    ) -> rusqlite::Result<i64> {
        let known = self
            .transaction
            .prepare_cached(select)?
            .query_row(key, |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.transaction.prepare_cached(insert)?.execute(values)?;
        Ok(self.transaction.last_insert_rowid())
    }
}

const INSERT_WHO: &str = "
INSERT INTO who (digest, node, session, started_us, user, database, application, client, address,
    port, listener, upstream, dialect, tls_version, tls_identity, method, backend_pid, protocol)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
