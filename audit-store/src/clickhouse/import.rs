//! Moving an embedded store into ClickHouse: day by day, in batches, resumable at any point.
//!
//! What the store holds already is asked first and left alone, and every batch bears a token made of its content, so
//! that a repeated one changes nothing. A day is done when ClickHouse holds exactly its records, and its entries,
//! read back, hash to the chain that the records name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;

use serde_json::Value;

use super::filter::clamped;
use super::link::{ClickHouseError, Link, Question, write_row};
use super::migrate;
use super::move_tree::move_tree;
use super::schema::{BLOCKS, SESSIONS, STATEMENTS, TABLES, TableDefinition};
use super::target::{Target, identifier};
use crate::chain::{Hash, digest, hex};
use crate::embedded::StoredBlock;
use crate::query::{Archive, Cell, Thing};
use crate::time::Day;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many days were looked at.
    pub days: u64,
    /// Statements, steps of sessions, administrative records and blocks that are new in ClickHouse.
    pub new: u64,
    /// Those that had been there before.
    pub known: u64,
    /// How often a batch had to be repeated.
    pub retries: u64,
    /// Entries whose chain was recomputed from what ClickHouse holds.
    pub entries: u64,
}

/// Moves what `archive` holds into the store at `target`, and verifies it there.
///
/// # Errors
/// Where a store can't be read or written, or what ClickHouse holds afterwards is not what the archive holds.
pub fn import(
    archive: &Archive,
    target: &Target,
    mut progress: impl FnMut(&str, &Imported),
) -> Result<Imported, ClickHouseError> {
    let _held = archive.hold()?;
    let link = Link::new(target.clone())?;
    migrate::check(&link)?;
    let mut done = Imported::default();
    let nodes = archive.nodes()?;
    for day in archive.all_days()? {
        let mut moving = Moving::new(&link, day, &nodes)?;
        let mut failed = None;
        archive.whole_day(day, |thing| match moving.take(thing) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        moving.flush()?;
        done.new += moving.new;
        done.known += moving.known;
        done.retries += moving
            .tables
            .iter()
            .map(|filling| filling.retries)
            .sum::<u64>();
        done.entries += moving.verify()?;
        done.days += 1;
        progress(&moving.day, &done);
    }
    // Records of several nodes have no tree of their own each.
    let whose: BTreeSet<u16> = nodes.into_values().collect();
    if let (Some(node), 1) = (whose.first(), whose.len()) {
        move_tree(&link, archive, *node)?;
    }
    Ok(done)
}

/// A table's key: node, lane, sequence number, and the step of a session.
type Key = (u16, u16, u64, String);

/// One day on its way.
struct Moving<'l> {
    link: &'l Link,
    nodes: &'l HashMap<u16, u16>,
    day: String,
    tables: [Filling; 4],
    new: u64,
    known: u64,
}

struct Filling {
    table: &'static TableDefinition,
    there: HashSet<Key>,
    /// How many the day has.
    expected: u64,
    rows: Vec<u8>,
    waiting: u64,
    retries: u64,
}

impl<'l> Moving<'l> {
    fn new(
        link: &'l Link,
        day: Day,
        nodes: &'l HashMap<u16, u16>,
    ) -> Result<Self, ClickHouseError> {
        let day = clamped(day.to_string());
        let day = day.get(..10).unwrap_or(&day).to_owned();
        let mut tables = TABLES.map(|table| Filling {
            table,
            there: HashSet::new(),
            expected: 0,
            rows: Vec::new(),
            waiting: 0,
            retries: 0,
        });
        for filling in &mut tables {
            for row in link.ask(&keys(link, filling.table, &day, nodes))? {
                let key = key(&row).ok_or_else(|| link.odd("a key that is none"))?;
                filling.there.insert(key);
            }
        }
        Ok(Self {
            link,
            nodes,
            day,
            tables,
            new: 0,
            known: 0,
        })
    }

    fn take(&mut self, thing: Thing) -> Result<(), ClickHouseError> {
        let node = |lane: u16| self.nodes.get(&lane).copied().unwrap_or_default();
        let short = |number: i64| u16::try_from(number).unwrap_or_default();
        let long = |number: i64| u64::try_from(number).unwrap_or_default();
        let (table, key, cells) = match thing {
            Thing::Statement(mut row) => {
                row.at = clamped(row.at);
                let key = (
                    short(row.node),
                    short(row.lane),
                    long(row.seq),
                    String::new(),
                );
                (0, key, row.cells())
            }
            Thing::Step(mut row) => {
                row.at = row.at.map(clamped);
                let key = (
                    short(row.node),
                    short(row.lane),
                    long(row.seq),
                    row.step.clone(),
                );
                let mut cells = vec![Cell::Text(self.day.clone())];
                cells.extend(row.cells());
                (1, key, cells)
            }
            Thing::Admin(mut row) => {
                row.at = clamped(row.at);
                let node = node(short(row.lane));
                let key = (node, short(row.lane), long(row.seq), String::new());
                let mut cells = vec![Cell::Integer(node.into())];
                cells.extend(row.cells());
                (2, key, cells)
            }
            Thing::Block(block) => {
                let node = node(block.lane);
                let mut cells = vec![
                    Cell::Text(self.day.clone()),
                    Cell::Integer(node.into()),
                    Cell::Integer(block.lane.into()),
                    Cell::Integer(i64::try_from(block.first).unwrap_or(i64::MAX)),
                ];
                cells.extend(block.cells);
                (3, (node, block.lane, block.first, String::new()), cells)
            }
        };
        let Some(filling) = self.tables.get_mut(table) else {
            return Ok(());
        };
        filling.expected += 1;
        if filling.there.contains(&key) {
            self.known += 1;
            return Ok(());
        }
        write_row(&cells, &mut filling.rows);
        filling.waiting += 1;
        self.new += 1;
        if filling.waiting >= BATCH_ROWS || filling.rows.len() >= BATCH_BYTES {
            filling.flush(self.link)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ClickHouseError> {
        for filling in &mut self.tables {
            filling.flush(self.link)?;
        }
        Ok(())
    }

    fn differs(&self, what: String) -> ClickHouseError {
        ClickHouseError::Import {
            day: self.day.clone(),
            what,
        }
    }

    /// Compares what is there now with what was read; answers how many entries were hashed.
    fn verify(&self) -> Result<u64, ClickHouseError> {
        for filling in &self.tables {
            let name = filling.table.name;
            let keys = keys(self.link, filling.table, &self.day, self.nodes).sql;
            let question = Question::new(format!(
                "SELECT count() FROM ({keys}) UNION ALL SELECT count() FROM (SELECT DISTINCT * FROM ({keys}))"
            ));
            for row in self.link.ask(&question)? {
                let found = row.first().and_then(Value::as_u64);
                if found != Some(filling.expected) {
                    let found = found.map_or_else(|| "?".to_owned(), |count| count.to_string());
                    let expected = filling.expected;
                    return Err(
                        self.differs(format!("{expected} {name} were read, {found} are there"))
                    );
                }
            }
        }
        self.verify_chain()
    }

    /// Reads the day's blocks and links back, and recomputes the chain.
    fn verify_chain(&self) -> Result<u64, ClickHouseError> {
        let place = self.place(&STATEMENTS);
        let links = Question::new(format!("SELECT lane, seq, chain FROM {place}"));
        let mut claimed: HashMap<(u16, u64), String> = HashMap::new();
        for row in self.link.ask(&links)? {
            let read = |place: usize| row.get(place).and_then(Value::as_u64);
            let lane = read(0).and_then(|lane| u16::try_from(lane).ok());
            let chain = row.get(2).and_then(Value::as_str).map(str::to_owned);
            if let (Some(lane), Some(seq), Some(chain)) = (lane, read(1), chain) {
                claimed.insert((lane, seq), chain);
            }
        }
        let place = self.place(&BLOCKS);
        let places = Question::new(format!("SELECT lane, seq FROM {place} ORDER BY lane, seq"));
        let mut entries = 0;
        for row in self.link.ask(&places)? {
            let [lane, seq] = [0, 1].map(|place| row.get(place).and_then(Value::as_u64));
            let (Some(lane), Some(seq)) = (lane.and_then(|lane| u16::try_from(lane).ok()), seq)
            else {
                return Err(self.differs("a block without a place".to_owned()));
            };
            entries += self.verify_block(&place, lane, seq, &claimed)?;
        }
        Ok(entries)
    }

    fn verify_block(
        &self,
        place: &str,
        lane: u16,
        seq: u64,
        claimed: &HashMap<(u16, u64), String>,
    ) -> Result<u64, ClickHouseError> {
        let question = Question::new(format!(
            "SELECT last, length, previous, head, frames FROM {place} AND lane = {lane} AND seq = {seq}"
        ));
        let bad = |what: &str| self.differs(format!("the block of lane {lane} from {seq}: {what}"));
        let rows = self.link.ask(&question)?;
        let [row] = rows.as_slice() else {
            return Err(bad("not there once"));
        };
        let block = stored(seq, row).ok_or_else(|| bad("not readable"))?;
        let mut differing = None;
        block
            .replay(|frame| {
                if let Some(chain) = claimed.get(&(lane, frame.seq.0))
                    && *chain != hex(&frame.chain)
                {
                    differing = Some(frame.seq.0);
                }
            })
            .map_err(|error| bad(&error.to_string()))?;
        match differing {
            Some(seq) => Err(self.differs(format!(
                "the statement of lane {lane}, entry {seq} names another link of the chain"
            ))),
            None => Ok(block.last.saturating_sub(block.first) + 1),
        }
    }

    fn place(&self, table: &TableDefinition) -> String {
        place(self.link, table, &self.day, self.nodes)
    }
}

impl Filling {
    fn flush(&mut self, link: &Link) -> Result<(), ClickHouseError> {
        if self.waiting == 0 {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        self.waiting = 0;
        let token = hex(&digest(&rows));
        let place = format!("{}.{}", identifier(&link.target.database), self.table.name);
        let mut pause = FIRST_PAUSE;
        loop {
            match link.insert(&place, &self.table.names(), rows.clone(), &token) {
                Ok(()) => return Ok(()),
                Err(error) if pause > LAST_PAUSE => return Err(error),
                Err(error) => tracing::warn!(%error, "ClickHouse took no batch; trying again"),
            }
            self.retries += 1;
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
}

/// What asks for the keys that are there.
fn keys(link: &Link, table: &TableDefinition, day: &str, nodes: &HashMap<u16, u16>) -> Question {
    let step = if table.name == SESSIONS.name {
        "step"
    } else {
        "''"
    };
    let place = place(link, table, day, nodes);
    Question::new(format!(
        "SELECT node, lane, seq, {step} AS step FROM {place}"
    ))
}

/// The rows of a table that these nodes recorded on that day; what follows may add `AND`.
fn place(link: &Link, table: &TableDefinition, day: &str, nodes: &HashMap<u16, u16>) -> String {
    let mut nodes: Vec<String> = nodes.values().map(u16::to_string).collect();
    nodes.sort();
    nodes.dedup();
    // A store that no lane has written yet holds no records.
    let nodes = if nodes.is_empty() {
        "0".to_owned()
    } else {
        nodes.join(", ")
    };
    format!(
        "{}.{} WHERE {} = toDate('{day}') AND node IN ({nodes})",
        identifier(&link.target.database),
        table.name,
        table.day,
    )
}

fn key(row: &[Value]) -> Option<Key> {
    let [node, lane, seq, step] = row else {
        return None;
    };
    let short = |value: &Value| u16::try_from(value.as_u64()?).ok();
    Some((
        short(node)?,
        short(lane)?,
        seq.as_u64()?,
        step.as_str()?.to_owned(),
    ))
}

pub(super) fn stored(first: u64, row: &[Value]) -> Option<StoredBlock> {
    let [last, length, previous, head, frames] = row else {
        return None;
    };
    let link = |value: &Value| -> Option<Hash> { unhex(value.as_str()?)?.try_into().ok() };
    Some(StoredBlock {
        first,
        last: last.as_u64()?,
        previous: link(previous)?,
        head: link(head)?,
        length: length.as_u64()?,
        frames: unhex(frames.as_str()?)?,
    })
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// How many rows and bytes go into one batch.
const BATCH_ROWS: u64 = 50_000;
const BATCH_BYTES: usize = 32 << 20;

/// How long a batch that was not taken waits: six times, doubled each time.
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
const LAST_PAUSE: std::time::Duration = std::time::Duration::from_secs(6);
