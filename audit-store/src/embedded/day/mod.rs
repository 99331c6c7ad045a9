//! One day file, as its writer has it.

mod once;

use std::collections::HashMap;
use std::hash::Hash as StdHash;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::block::{Packed, put};
use super::error::StoreError;
use super::flat::{self, signed};
use super::rollup::{Rollups, Sums};
use super::{MINUTE_US, schema};
use crate::event::{Seq, row_key, split_row_key};
use crate::record::Entry;
use crate::ship::rows::{AdminRow, EventRow, StatementRow, TextRef};
use crate::ship::subject::Speaker;

/// What one batch adds to one day.
#[derive(Default)]
pub(crate) struct DayBatch {
    pub(crate) blocks: Vec<Packed>,
    /// Statements that are stored whole, each with the key of the block that ended it, or 0.
    pub(crate) carried: Vec<(i64, StatementRow)>,
    pub(crate) removals: Vec<i64>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) admins: Vec<AdminRow>,
    /// Every finished statement, for stores that keep rows.
    pub(crate) finished: Vec<StatementRow>,
    /// The prepares whose rows such stores must no longer show.
    pub(crate) taken_over: Vec<i64>,
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
    whos: HashMap<[u8; 16], i64>,
    /// Ids of speakers by their address; the `Arc`s keep the addresses theirs.
    speakers: HashMap<usize, (Arc<Speaker>, SpeakerIds)>,
    shapes: HashMap<[u8; 16], KnownShape>,
}

/// A speaker as a day file refers to it: who, role, end user, and how that one is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpeakerIds {
    pub(crate) who: i64,
    pub(crate) role: Option<i64>,
    pub(crate) end_user: Option<i64>,
    pub(crate) source: Option<u8>,
    pub(crate) trust: Option<u8>,
}

#[derive(Clone)]
struct KnownShape {
    fingerprint: [u8; 16],
    verb: Arc<str>,
}

impl SpeakerIds {
    fn write(&self, out: &mut Vec<u8>) {
        let optional = |id: Option<i64>| id.map_or(0, |id| id as u64 + 1);
        put(out, self.who as u64);
        put(out, optional(self.role));
        put(out, optional(self.end_user));
        put(out, u64::from(self.source.unwrap_or(0)));
        put(out, u64::from(self.trust.unwrap_or(0)));
    }

    /// The speakers in a block's column.
    ///
    /// # Errors
    /// Where it holds something else.
    pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Self>, crate::record::CodecError> {
        let mut reader = crate::record::Reader::new(bytes);
        let mut speakers = Vec::new();
        let optional = |id: u64| id.checked_sub(1).map(|id| id as i64);
        let code = |code: u64| u8::try_from(code).ok().filter(|code| *code != 0);
        while !reader.is_empty() {
            speakers.push(Self {
                who: reader.var("who")? as i64,
                role: optional(reader.var("role")?),
                end_user: optional(reader.var("end user")?),
                source: code(reader.var("end user source")?),
                trust: code(reader.var("end user trust")?),
            });
        }
        Ok(speakers)
    }
}

impl DayFile {
    pub(super) fn open(path: &Path, synced: bool) -> Result<Self, StoreError> {
        let connection = super::open_writable(path, schema::DAY, synced)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            ids: Ids::default(),
        })
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
            ids: &mut self.ids,
            path: &self.path,
            shapes,
            rollups: Rollups::default(),
        };
        let mut new = 0;
        for block in &batch.blocks {
            new += writer.block(block)?;
        }
        for (block, row) in &batch.carried {
            new += u64::from(writer.carried(*block, row)?);
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
        writer.rollups.write(&transaction).map_err(sqlite)?;
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
        trim(&mut self.whos, MOST_IDS);
        trim(&mut self.speakers, MOST_SPEAKERS);
        trim(&mut self.shapes, MOST_IDS);
    }
}

/// How many ids of each kind are remembered.
const MOST_IDS: usize = 50_000;

/// How many speakers are remembered with all that is known of them.
const MOST_SPEAKERS: usize = 20_000;

struct Writer<'w, 's> {
    transaction: &'w Transaction<'w>,
    ids: &'w mut Ids,
    path: &'w Path,
    shapes: &'w mut ShapeSource<'s>,
    rollups: Rollups,
}

impl Writer<'_, '_> {
    /// Answers how many statements are new: all of the block's, or, where it is known already, none.
    ///
    /// A known one must be the same to its end: what another cut holds more would be lost.
    fn block(&mut self, block: &Packed) -> Result<u64, StoreError> {
        let sqlite = |error| StoreError::Sqlite {
            path: self.path.to_owned(),
            source: error,
        };
        let known = self
            .transaction
            .prepare_cached("SELECT last, head FROM block WHERE id = ?")
            .and_then(|mut select| {
                let end = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
                select.query_row([block.id()], end).optional()
            })
            .map_err(sqlite)?;
        match known {
            None => {}
            Some(end) if end == (block.last.0 as i64, block.head) => return Ok(0),
            Some((last, _)) => {
                return Err(StoreError::Damaged {
                    path: self.path.to_owned(),
                    what: format!(
                        "the block of lane {} from entry {} ends at {last}, not at {}",
                        block.lane, block.first.0, block.last.0
                    ),
                });
            }
        }
        let mut shapes = Vec::new();
        for key in &block.shapes {
            shapes.push(match key {
                Some(key) => self.shape(*key)?,
                None => None,
            });
        }
        self.insert_block(block, &shapes).map_err(sqlite)?;
        Ok(block.statements)
    }

    fn insert_block(
        &mut self,
        block: &Packed,
        shapes: &[Option<KnownShape>],
    ) -> rusqlite::Result<()> {
        let mut speakers = Vec::new();
        let mut names = Vec::new();
        for speaker in &block.speakers {
            let ids = self.speaker(speaker)?;
            ids.write(&mut speakers);
            names.push(self.names_of(speaker)?);
            self.transaction
                .prepare_cached("INSERT OR IGNORE INTO block_who VALUES (?, ?)")?
                .execute([ids.who, block.id()])?;
        }
        for (seq, payload) in &block.prepared {
            self.prepared(block.lane, *seq, payload)?;
        }
        for (key, sums) in &block.sums {
            let names = names.get(key.speaker as usize).copied().unwrap_or_default();
            let shape = shapes.get(key.shape as usize).and_then(Option::as_ref);
            let shape = shape.map(|shape| (shape.fingerprint, Arc::clone(&shape.verb)));
            self.rollups.add(key.minute, names, shape, key.action, sums);
        }
        self.transaction
            .prepare_cached("INSERT INTO block VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)")?
            .execute(params![
                block.id(),
                block.last.0 as i64,
                block.previous,
                block.head,
                signed(block.span.from_us),
                signed(block.span.to_us),
                signed(block.statements),
                signed(block.span.flagged),
                speakers,
                block.grams,
                block.rows,
                signed(block.length),
                block.frames,
            ])
            .map(drop)
    }

    /// Answers whether the statement is new.
    fn carried(&mut self, block: i64, row: &StatementRow) -> Result<bool, StoreError> {
        let shape = match row.brief.shape {
            Some(key) => self.shape(key)?,
            None => None,
        };
        self.insert_carried(block, row, shape)
            .map_err(StoreError::sqlite(self.path))
    }

    fn insert_carried(
        &mut self,
        block: i64,
        row: &StatementRow,
        shape: Option<KnownShape>,
    ) -> rusqlite::Result<bool> {
        let ids = self.speaker(&row.speaker)?;
        match &row.text {
            TextRef::Of(seq, payload) => self.prepared(row.lane, *seq, payload)?,
            TextRef::Own | TextRef::Missing => {}
        }
        let inserted = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO carried VALUES (?,?,?,?,?,?,?,?,?,?)")?
            .execute(params![
                row.key(),
                block,
                ids.who,
                ids.role,
                ids.end_user,
                ids.source,
                ids.trust,
                row.payload,
                flat::outcome_payload(&row.outcome),
                row.chain,
            ])?;
        if inserted == 0 {
            return Ok(false);
        }
        if row.brief.counts(row.outcome.completion) {
            let mut sums = Sums::default();
            sums.add(&row.brief, &row.outcome);
            let names = self.names_of(&row.speaker)?;
            let shape = shape.map(|shape| (shape.fingerprint, shape.verb));
            let minute = row.brief.wall_us / MINUTE_US;
            self.rollups
                .add(minute, names, shape, row.brief.action, &sums);
        }
        Ok(true)
    }

    /// Stores an intent whose text others have, once however many they are.
    fn prepared(&self, lane: u16, seq: Seq, payload: &[u8]) -> rusqlite::Result<()> {
        let key = row_key(lane, seq);
        // SQLite copies what is bound, and a text may be long: asked first.
        let known = self
            .transaction
            .prepare_cached("SELECT 1 FROM prepared WHERE id = ?")?
            .exists([key])?;
        if !known {
            self.transaction
                .prepare_cached("INSERT INTO prepared VALUES (?, ?)")?
                .execute(params![key, payload])?;
        }
        Ok(())
    }

    /// User, database and application of a speaker, as sums know them.
    fn names_of(&mut self, speaker: &Speaker) -> rusqlite::Result<[i64; 3]> {
        let who = &speaker.who;
        let mut ids = [0; 3];
        let names = [&who.user, &who.database, &who.application];
        for (id, name) in ids.iter_mut().zip(names) {
            *id = self.name(name.as_deref())?.unwrap_or(0);
        }
        Ok(ids)
    }

    fn event(&mut self, row: &EventRow) -> rusqlite::Result<()> {
        let ids = self.speaker(&row.speaker)?;
        self.transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO session_event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            )?
            .execute(params![
                row.key,
                row.step.as_str(),
                row.speaker.who.session as i64,
                ids.who,
                row.at_us.map(signed),
                ids.role,
                ids.end_user,
                ids.source,
                ids.trust,
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

    /// Takes away the row of a prepare, which stands whole in `carried` or in some block's directory.
    fn remove(&mut self, key: i64) -> rusqlite::Result<()> {
        let deleted = self
            .transaction
            .prepare_cached("DELETE FROM carried WHERE id = ?")?
            .execute([key])?;
        if deleted == 0 {
            self.transaction
                .prepare_cached("INSERT OR IGNORE INTO removed VALUES (?)")?
                .execute([key])?;
        }
        Ok(())
    }

    /// The shape of that key; `None` where no entry ever told what it is.
    fn shape(&mut self, key: [u8; 16]) -> Result<Option<KnownShape>, StoreError> {
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

    fn stored_shape(&self, key: &[u8; 16]) -> rusqlite::Result<Option<KnownShape>> {
        self.transaction
            .prepare_cached("SELECT fingerprint, verb FROM shape WHERE key = ?")?
            .query_row([key], |row| {
                Ok(KnownShape {
                    fingerprint: row.get(0)?,
                    verb: row.get(1)?,
                })
            })
            .optional()
    }
}

/// An address as 16 bytes, IPv4 mapped into IPv6, so that ranges compare as bytes.
pub(crate) fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}
