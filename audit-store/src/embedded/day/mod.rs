//! One day file, as its writer has it.

mod once;

use std::collections::HashMap;
use std::hash::Hash as StdHash;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Transaction, params};

use super::block::Block;
use super::error::StoreError;
use super::flat::{self, Flat, FlatJudgement, TextState, signed};
use super::rollup::Rollups;
use super::schema;
use crate::event::split_row_key;
use crate::record::Entry;
use crate::ship::rows::{AdminRow, EventRow, StatementRow, TextRef};
use crate::ship::subject::Who;

/// What one batch adds to one day.
#[derive(Default)]
pub(crate) struct DayBatch {
    pub(crate) statements: Vec<StatementRow>,
    pub(crate) removals: Vec<i64>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) admins: Vec<AdminRow>,
    pub(crate) blocks: Vec<Block>,
}

/// Finds the payload of a shape entry by its key.
pub(super) type ShapeSource<'s> =
    dyn FnMut(&[u8; 16]) -> Result<Option<Arc<[u8]>>, StoreError> + 's;

/// A day file that is open for writing.
pub(super) struct DayFile {
    path: PathBuf,
    connection: Connection,
    ids: Ids,
}

/// Ids of what is kept once, as far as remembered. Forgotten when a transaction fails.
#[derive(Default)]
struct Ids {
    names: HashMap<Arc<str>, i64>,
    texts: HashMap<[u8; 16], i64>,
    whos: HashMap<[u8; 16], i64>,
    /// Ids of subjects by their address; the `Arc`s keep the addresses theirs.
    subjects: HashMap<usize, (Arc<Who>, i64)>,
    judgements: HashMap<FlatJudgement, i64>,
    shapes: HashMap<[u8; 16], KnownShape>,
}

#[derive(Clone)]
struct KnownShape {
    id: i64,
    normal: i64,
    fingerprint: [u8; 16],
    verb: Arc<str>,
}

impl DayFile {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = super::open_writable(path, schema::DAY)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            ids: Ids::default(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Adds a batch in one transaction; what is there already stays as it is.
    ///
    /// Answers how many statements were new.
    pub(super) fn insert(
        &mut self,
        batch: &DayBatch,
        shapes: &mut ShapeSource<'_>,
    ) -> Result<u64, StoreError> {
        self.ids.forget_where_large();
        let result = self.try_insert(batch, shapes);
        if result.is_err() {
            self.ids = Ids::default();
        }
        result
    }

    fn try_insert(
        &mut self,
        batch: &DayBatch,
        shapes: &mut ShapeSource<'_>,
    ) -> Result<u64, StoreError> {
        let sqlite = |error| StoreError::Sqlite {
            path: self.path.clone(),
            source: error,
        };
        let transaction = self.connection.transaction().map_err(sqlite)?;
        let mut writer = Writer {
            transaction: &transaction,
            insert_statement: transaction
                .prepare_cached(INSERT_STATEMENT)
                .map_err(sqlite)?,
            insert_text: transaction.prepare_cached(INSERT_TEXT).map_err(sqlite)?,
            ids: &mut self.ids,
            path: &self.path,
            shapes,
        };
        let mut rollups = Rollups::default();
        let mut new = 0;
        for row in &batch.statements {
            new += u64::from(writer.statement(row, &mut rollups)?);
        }
        for row in &batch.events {
            writer.event(row).map_err(sqlite)?;
        }
        for row in &batch.admins {
            writer.admin(row)?;
        }
        for key in &batch.removals {
            writer.remove(*key).map_err(sqlite)?;
        }
        for block in &batch.blocks {
            block.insert(&transaction).map_err(sqlite)?;
        }
        drop(writer);
        rollups.write(&transaction).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        Ok(new)
    }
}

impl Ids {
    /// Keeps memory bounded: what is forgotten is looked up again.
    fn forget_where_large(&mut self) {
        fn trim<K: Eq + StdHash, V>(map: &mut HashMap<K, V>, most: usize) {
            if map.len() > most {
                map.clear();
            }
        }
        trim(&mut self.names, MOST_IDS);
        trim(&mut self.texts, MOST_IDS);
        trim(&mut self.whos, MOST_IDS);
        trim(&mut self.subjects, MOST_SUBJECTS);
        trim(&mut self.judgements, MOST_IDS);
        trim(&mut self.shapes, MOST_IDS);
    }
}

/// How many ids of each kind are remembered.
const MOST_IDS: usize = 100_000;

/// How many subjects are remembered with all that is known of them.
const MOST_SUBJECTS: usize = 4096;

struct Writer<'w, 's> {
    transaction: &'w Transaction<'w>,
    /// Prepared once per batch: their look-up costs as much as a small row.
    insert_statement: CachedStatement<'w>,
    insert_text: CachedStatement<'w>,
    ids: &'w mut Ids,
    path: &'w Path,
    shapes: &'w mut ShapeSource<'s>,
}

impl Writer<'_, '_> {
    /// Answers whether the row is new.
    fn statement(&mut self, row: &StatementRow, rollups: &mut Rollups) -> Result<bool, StoreError> {
        let damaged = |_| StoreError::Damaged {
            path: self.path.to_owned(),
            what: format!("the intent of row {} can't be read", row.key),
        };
        let intent = flat::intent(&row.payload).map_err(damaged)?;
        let prepared = match &row.text {
            TextRef::Of(payload) => Some(flat::intent(payload).map_err(damaged)?),
            TextRef::Own | TextRef::Missing => None,
        };
        let flat = Flat::new(row, &intent, prepared.as_ref());
        let shape = match intent.shape {
            Some(key) => self.shape(key)?,
            None => None,
        };
        self.insert_statement(row, &flat, shape.as_ref(), rollups)
            .map_err(StoreError::sqlite(self.path))
    }

    fn insert_statement(
        &mut self,
        row: &StatementRow,
        flat: &Flat<'_>,
        shape: Option<&KnownShape>,
        rollups: &mut Rollups,
    ) -> rusqlite::Result<bool> {
        let intent = flat.intent;
        let outcome = &row.outcome;
        let text = match (flat.text, flat.text_state) {
            (Some(text), _) => Some(self.text(text)?),
            (None, TextState::Normal) => shape.map(|shape| shape.normal),
            (None, _) => None,
        };
        let who = self.who(&row.who)?;
        let judgement = self.judgement(&flat.judgement)?;
        let end_user = self.end_user(row.end_user.as_ref())?;
        let role = self.name(row.role.as_deref())?;
        let inserted = self.insert_statement.execute(params![
            row.key,
            who,
            intent.session.0 as i64,
            intent.number,
            intent.kind.code(),
            text,
            flat.text_state as i64,
            flat.text_len,
            flat.text_hash,
            shape.map(|shape| shape.id),
            flat.parameters,
            flat.prepared_name,
            flat.portal,
            signed(intent.wall_us),
            signed(intent.mono_ns),
            intent.transaction,
            intent.status.code(),
            judgement,
            end_user,
            row.end_user.as_ref().map(|user| user.source.code()),
            row.end_user.as_ref().map(|user| user.trust.code()),
            role,
            intent.trace,
            intent.continues.map(|seq| signed(seq.0)),
            outcome.completion.code(),
            signed(outcome.rows),
            signed(outcome.affected),
            signed(outcome.bytes),
            flat.sqlstate,
            outcome.first_byte_us.map(signed),
            signed(outcome.duration_us),
            outcome.statements,
            flat.flagged,
            row.chain,
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        let names = [&row.who.user, &row.who.database, &row.who.application];
        let mut ids = [0; 3];
        for (id, name) in ids.iter_mut().zip(names) {
            *id = self.name(name.as_deref())?.unwrap_or(0);
        }
        let shape = shape.map(|shape| (shape.fingerprint, Arc::clone(&shape.verb)));
        rollups.add(ids, shape, flat, outcome);
        Ok(true)
    }

    fn event(&mut self, row: &EventRow) -> rusqlite::Result<()> {
        let who = self.who(&row.who)?;
        let role = self.name(row.role.as_deref())?;
        let end_user = self.end_user(row.end_user.as_ref())?;
        self.transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO session_event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )?
            .execute(params![
                row.key,
                row.step.as_str(),
                row.who.session as i64,
                who,
                row.at_us.map(signed),
                role,
                end_user,
                row.end_user.as_ref().map(|user| user.source.code()),
                row.end_user.as_ref().map(|user| user.trust.code()),
                row.cause.map(|cause| cause.as_str()),
                row.sqlstate.map(flat::sqlstate),
                row.client_bytes.map(signed),
                row.server_bytes.map(signed),
                row.chain,
            ])
            .map(drop)
    }

    fn admin(&mut self, row: &AdminRow) -> Result<(), StoreError> {
        let (_, seq) = split_row_key(row.key);
        let Ok(Entry::Admin(admin)) = Entry::decode(9, &row.payload) else {
            let what = format!("the administrative entry {} can't be read", seq.0);
            return Err(StoreError::Damaged {
                path: self.path.to_owned(),
                what,
            });
        };
        let values = params![
            row.key,
            signed(admin.at_us),
            admin.action.as_str(),
            admin.actor,
            admin.detail,
            signed(admin.generation),
            admin.config_hash,
            signed(admin.count),
            row.chain,
        ];
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO admin VALUES (?,?,?,?,?,?,?,?,?)")
            .and_then(|mut insert| insert.execute(values))
            .map(drop)
            .map_err(StoreError::sqlite(self.path))
    }

    fn remove(&mut self, key: i64) -> rusqlite::Result<()> {
        self.transaction
            .prepare_cached("DELETE FROM statement WHERE id = ?")?
            .execute([key])
            .map(drop)
    }
}

/// An address as 16 bytes, IPv4 mapped into IPv6, so that ranges compare as bytes.
pub(crate) fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

const INSERT_TEXT: &str = "INSERT OR IGNORE INTO text (digest, body) VALUES (?, ?)";

const INSERT_STATEMENT: &str = "
INSERT OR IGNORE INTO statement (id, who, session, number, kind, text, text_state, text_len,
    text_hash, shape, parameters, prepared_name, portal, start_us, mono_ns, tx, tx_status,
    judgement, end_user, end_user_source, end_user_trust, role, trace, continues, completion, rows,
    affected, bytes, sqlstate, first_byte_us, duration_us, statements, flagged, chain)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
