//! What a day file keeps once: names, texts, subjects, judgements, shapes.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::{KnownShape, Writer, address};
use crate::chain::short_digest;
use crate::embedded::error::StoreError;
use crate::embedded::flat::{self, FlatJudgement, FlatShape, signed};
use crate::ship::subject::{KnownEndUser, Who};

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

    pub(super) fn end_user(
        &mut self,
        end_user: Option<&KnownEndUser>,
    ) -> rusqlite::Result<Option<i64>> {
        self.name(end_user.map(|end_user| &*end_user.name))
    }

    pub(super) fn text(&mut self, body: &[u8]) -> rusqlite::Result<i64> {
        let digest = short_digest(body);
        if let Some(id) = self.ids.texts.get(&digest) {
            return Ok(*id);
        }
        let readable = std::str::from_utf8(body)
            .ok()
            .filter(|text| !text.contains('\0'));
        // Tried first: a text that is not remembered is a new one nearly always.
        let inserted = match readable {
            Some(text) => self.insert_text.execute(params![digest, text])?,
            None => self.insert_text.execute(params![digest, body])?,
        };
        let id = if inserted == 0 {
            self.transaction
                .prepare_cached("SELECT id FROM text WHERE digest = ?")?
                .query_row([digest], |row| row.get(0))?
        } else {
            self.transaction.last_insert_rowid()
        };
        self.ids.texts.insert(digest, id);
        Ok(id)
    }

    pub(super) fn who(&mut self, who: &Arc<Who>) -> rusqlite::Result<i64> {
        if let Some((_, id)) = self.ids.subjects.get(&Arc::as_ptr(who).addr()) {
            return Ok(*id);
        }
        let id = self.find_who(who)?;
        self.ids
            .subjects
            .insert(Arc::as_ptr(who).addr(), (Arc::clone(who), id));
        Ok(id)
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

    pub(super) fn judgement(&mut self, judgement: &FlatJudgement) -> rusqlite::Result<i64> {
        if let Some(id) = self.ids.judgements.get(judgement) {
            return Ok(*id);
        }
        let digest = short_digest(format!("{judgement:?}").as_bytes());
        let id = self.once(
            "SELECT id FROM judgement WHERE digest = ?",
            "INSERT INTO judgement (digest, action, judged, mode, rules, severity, severity_rank,
                generation, unreadable) VALUES (?,?,?,?,?,?,?,?,?)",
            params![digest],
            params![
                digest,
                judgement.action,
                judgement.judged,
                judgement.mode,
                judgement.rules,
                judgement.severity,
                judgement.severity_rank,
                judgement.generation,
                judgement.unreadable,
            ],
        )?;
        self.ids.judgements.insert(judgement.clone(), id);
        Ok(id)
    }

    /// The shape of that key; `None` where no entry ever told what it is.
    pub(super) fn shape(&mut self, key: [u8; 16]) -> Result<Option<KnownShape>, StoreError> {
        if let Some(known) = self.ids.shapes.get(&key) {
            return Ok(Some(known.clone()));
        }
        let stored = self
            .stored_shape(&key)
            .map_err(StoreError::sqlite(self.path))?;
        let known = match stored {
            Some(known) => known,
            None => match (self.shapes)(&key)? {
                Some(payload) => self.add_shape(&payload)?,
                None => return Ok(None),
            },
        };
        self.ids.shapes.insert(key, known.clone());
        Ok(Some(known))
    }

    pub(super) fn stored_shape(&self, key: &[u8; 16]) -> rusqlite::Result<Option<KnownShape>> {
        self.transaction
            .prepare_cached("SELECT id, normal, fingerprint, verb FROM shape WHERE key = ?")?
            .query_row([key], |row| {
                Ok(KnownShape {
                    id: row.get(0)?,
                    normal: row.get(1)?,
                    fingerprint: row.get(2)?,
                    verb: row.get(3)?,
                })
            })
            .optional()
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
        let normal = self.text(shape.normal.as_bytes())?;
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
                normal,
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
        let (fingerprint, verb) = (shape.fingerprint, shape.verb.as_str().into());
        Ok(KnownShape {
            id,
            normal,
            fingerprint,
            verb,
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
