//! Shipping straight from the journal: batches are noted in the outbox together with the progress that they stand
//! for, go to the server under a name that is always the same, and leave the outbox when the server has acknowledged
//! them. What might have arrived already is counted afterwards, so that nothing rests on the server's memory alone.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::encode::{self, Body, Encoder};
use super::link::{ClickHouseError, Link, Question};
use super::migrate;
use super::schema::{ADMINISTRATION, BLOCKS, CHECKPOINTS, LEAVES, SENDERS, SESSIONS, STATEMENTS};
use super::target::{Target, identifier};
use crate::embedded::{Batch, Outgoing, Store, StoreError, What, batch_id};
use crate::event::split_row_key;
use crate::proof::{Checkpoint, Signer};
use crate::time::{Day, now_us};

/// Where a proxy ships to, and how.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// The servers of one store, in the order in which they are tried.
    pub targets: Vec<Target>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The proxy's number.
    pub node: u16,
    /// How many days the store keeps.
    pub retention_days: u32,
}

/// The way to a ClickHouse store.
pub(crate) struct Delivery {
    pub(crate) local: Store,
    links: Vec<Link>,
    /// The server that is asked.
    at: usize,
    /// Whether that one's schema is known to be right.
    checked: bool,
    node: u16,
    retention_days: u32,
    /// The name of this data folder.
    sender: String,
    encoder: Encoder,
    /// Whether the batch at hand is in the outbox.
    noted: bool,
    /// What is numbered below may have been sent by an earlier life.
    sent_before: u64,
    /// What was sent without an answer.
    unanswered: Option<u64>,
    /// How many things have arrived.
    pub(crate) delivered: u64,
    /// The first day that is kept for sure.
    kept_from: Option<Day>,
}

impl Delivery {
    /// Goes on with what `local` remembers.
    ///
    /// # Errors
    /// Where the local store can't be read, or a server answers and is of another version.
    pub(crate) fn open(local: Store, settings: &DeliverySettings) -> Result<Self, ClickHouseError> {
        let mut links = Vec::new();
        for target in &settings.targets {
            links.push(Link::with_wait(target.clone(), settings.timeout)?);
        }
        let sender = local.open_outbox()?;
        let mut delivery = Self {
            sent_before: local.next_outgoing()?,
            local,
            links,
            at: 0,
            checked: false,
            node: settings.node,
            retention_days: settings.retention_days,
            sender,
            encoder: Encoder::default(),
            noted: false,
            unanswered: None,
            delivered: 0,
            kept_from: None,
        };
        for _ in 0..delivery.links.len() {
            match delivery.check() {
                Ok(()) => break,
                Err(error @ ClickHouseError::Version { .. }) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "the audit store does not answer; the journal keeps the records");
                    delivery.turn();
                }
            }
        }
        Ok(delivery)
    }

    fn link(&self) -> Result<&Link, ClickHouseError> {
        let none = || ClickHouseError::Runtime(std::io::Error::other("no server is named"));
        self.links.get(self.at).ok_or_else(none)
    }

    /// Goes on to the next server.
    fn turn(&mut self) {
        let next = (self.at + 1) % self.links.len().max(1);
        self.checked &= next == self.at;
        self.at = next;
    }

    /// Sees to it that the server has the right schema, and tells it who is here.
    fn check(&mut self) -> Result<(), ClickHouseError> {
        if !self.checked {
            migrate::check(self.link()?)?;
            self.checked = true;
            self.sign_on()?;
        }
        Ok(())
    }

    /// Notes that this proxy is there; answers whether another one is, under the same number.
    ///
    /// # Errors
    /// Where the server can't be asked.
    pub(crate) fn sign_on(&self) -> Result<(), ClickHouseError> {
        let link = self.link()?;
        let place = place(link, SENDERS.name);
        let (node, sender) = (self.node, &self.sender);
        let mut question = Question::new("");
        let own = question.value(sender.as_str(), "String");
        question.sql = format!(
            "SELECT toString(max(at)) FROM {place} WHERE node = {node} AND sender != {own}
             AND at > now() - INTERVAL {THERE_SECS} SECOND HAVING count() > 0"
        );
        let others = link.ask(&question)?;
        link.execute(&format!(
            "INSERT INTO {place} (node, sender, at) VALUES ({node}, '{sender}', now64(6))"
        ))?;
        match others.first().and_then(|row| row.first()?.as_str()) {
            None => Ok(()),
            Some(at) => Err(ClickHouseError::SameNode {
                target: link.target.to_string(),
                node,
                at: at.to_owned(),
            }),
        }
    }

    /// Delivers a batch; answers how many statements it held. What could not be delivered stays in the outbox, and
    /// the same batch goes on from there when it comes again.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<u64, ClickHouseError> {
        if !self.noted {
            self.flush()?;
            self.local.remember(&batch.shapes)?;
            let outgoing = self.pack(batch)?;
            self.local.note(batch, &outgoing)?;
            self.noted = true;
        }
        self.flush()?;
        self.noted = false;
        let days = batch.days.values();
        Ok(days.map(|day| day.finished.len() as u64).sum())
    }

    /// Whether something is in the outbox.
    pub(crate) fn is_waiting(&self) -> Result<bool, StoreError> {
        Ok(self.local.outgoing()?.is_some())
    }

    /// Delivers what is in the outbox: each server is tried once.
    pub(crate) fn flush(&mut self) -> Result<(), ClickHouseError> {
        let mut turns = 1;
        while let Some(outgoing) = self.local.outgoing()? {
            match self.deliver(&outgoing) {
                Ok(()) => {
                    self.local.delivered(outgoing.id)?;
                    self.delivered += 1;
                }
                Err(error) if turns < self.links.len() => {
                    tracing::warn!(%error, "the next server of the audit store is tried");
                    self.turn();
                    turns += 1;
                }
                Err(error) => {
                    self.turn();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, outgoing: &Outgoing) -> Result<(), ClickHouseError> {
        match self.check() {
            // It is told and counted when the proxy signs on anew; records are never held back for it.
            Ok(()) | Err(ClickHouseError::SameNode { .. }) => {}
            Err(error) => return Err(error),
        }
        let unsure = outgoing.id < self.sent_before || self.unanswered == Some(outgoing.id);
        self.unanswered = Some(outgoing.id);
        let link = self.link()?;
        match &outgoing.what {
            What::TakeAway => self.take_away(link, outgoing)?,
            What::Rows(table) => {
                let batch = batch_id(&self.sender, outgoing.id);
                let names = encode::names(table);
                let to = place(link, table);
                let token = format!("{batch:016x}");
                link.insert_packed(&to, &names, outgoing.body.clone(), &token)?;
                if unsure && table != CHECKPOINTS.name {
                    // A server that died between noting the name and the rows would take them for known.
                    if count(link, table, outgoing.day, batch)? == 0 {
                        let token = format!("{token}-again");
                        link.insert_packed(&to, &names, outgoing.body.clone(), &token)?;
                    }
                    let found = count(link, table, outgoing.day, batch)?;
                    if found != outgoing.rows {
                        return Err(ClickHouseError::Lost {
                            target: link.target.to_string(),
                            table: table.clone(),
                            batch,
                            rows: outgoing.rows,
                            found,
                        });
                    }
                }
            }
        }
        self.unanswered = None;
        Ok(())
    }

    /// Takes away the rows of prepares that executions have taken over.
    fn take_away(&self, link: &Link, outgoing: &Outgoing) -> Result<(), ClickHouseError> {
        let keys = String::from_utf8_lossy(&outgoing.body);
        link.execute(&format!(
            "DELETE FROM {} WHERE {} = toDate({}) AND node = {} AND (lane, seq) IN ({keys})",
            place(link, STATEMENTS.name),
            STATEMENTS.day,
            outgoing.day.0,
            self.node,
        ))
    }

    fn pack(&mut self, batch: &Batch) -> Result<Vec<Outgoing>, ClickHouseError> {
        self.encoder.forget_where_large();
        let nodes: BTreeMap<u16, u16> = batch
            .lanes
            .iter()
            .map(|progress| (progress.head.lane, progress.node))
            .collect();
        let node_of = |lane: u16| nodes.get(&lane).copied().unwrap_or(self.node);
        let mut packing = Packing {
            sender: &self.sender,
            next: self.local.next_outgoing()?,
            done: Vec::new(),
        };
        let (local, encoder) = (&self.local, &mut self.encoder);
        for (day, rows) in &batch.days {
            let mut taken: HashSet<i64> = rows.taken_over.iter().copied().collect();
            let finished = rows.finished.iter();
            let standing: Vec<_> = finished.filter(|row| !taken.remove(&row.key())).collect();
            packing.table(STATEMENTS.name, *day, standing, |row, out| {
                let find = |key: &[u8; 16]| local.shape(key, *day).map_err(ClickHouseError::from);
                let shape = encoder.shape(row.brief.shape, find)?;
                Ok(encoder.statement(row, shape.as_deref(), out)?)
            })?;
            packing.table(SESSIONS.name, *day, &rows.events, |row, out| {
                encoder.step(row, out);
                Ok(())
            })?;
            packing.table(ADMINISTRATION.name, *day, &rows.admins, |row, out| {
                let (lane, _) = split_row_key(row.key);
                Ok(encode::admin(node_of(lane), row, out)?)
            })?;
            let mut taken: Vec<i64> = taken.into_iter().collect();
            taken.sort_unstable();
            for keys in taken.chunks(MOST_KEYS) {
                packing.take_away(*day, keys);
            }
        }
        // The proof comes last, so that it stands only where its records do.
        let mut leaves: BTreeMap<Day, Vec<_>> = BTreeMap::new();
        for (id, leaf) in self.local.leaves_of(batch)? {
            leaves.entry(leaf.day).or_default().push((id, leaf));
        }
        for (day, rows) in &batch.days {
            packing.table(BLOCKS.name, *day, &rows.blocks, |block, out| {
                encode::block(*day, node_of(block.lane), block, out);
                Ok(())
            })?;
        }
        for (day, leaves) in &leaves {
            packing.table(LEAVES.name, *day, leaves, |(id, leaf), out| {
                encode::leaf(self.node, *id, leaf, out);
                Ok(())
            })?;
        }
        Ok(packing.done)
    }

    /// Makes a checkpoint as the local store does, to be delivered too.
    pub(crate) fn checkpoint(&mut self, signer: &Signer) -> Result<Option<Checkpoint>, StoreError> {
        let Some(made) = self.local.checkpoint(signer)? else {
            return Ok(None);
        };
        let edge = self.local.gone_edge(&made)?;
        let body = encode::checkpoint(self.node, now_us(), &made, &edge);
        let body = body.map_err(StoreError::io(std::path::Path::new(CHECKPOINTS.name)))?;
        self.local.send_later(&[Outgoing {
            id: self.local.next_outgoing()?,
            what: What::Rows(CHECKPOINTS.name.to_owned()),
            day: Day::of(now_us()),
            rows: 1,
            body,
        }])?;
        Ok(Some(made))
    }

    /// Notes which days the server will have let go before the next day is over; answers whether these are more than
    /// before.
    pub(crate) fn let_go(&mut self) -> Result<bool, StoreError> {
        let kept = self.retention_days.saturating_sub(2);
        let from = Day(Day::of(now_us()).0.saturating_sub(kept));
        if self.kept_from == Some(from) {
            return Ok(false);
        }
        self.local.let_go_before(from)?;
        self.kept_from = Some(from);
        Ok(true)
    }
}

/// Bodies in the making.
struct Packing<'p> {
    sender: &'p str,
    next: u64,
    done: Vec<Outgoing>,
}

impl Packing<'_> {
    /// Packs rows of one day for one table: a body is one part there, so that it arrives whole or not at all.
    fn table<T>(
        &mut self,
        table: &str,
        day: Day,
        rows: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&T, &mut Vec<u8>) -> Result<(), ClickHouseError>,
    ) -> Result<(), ClickHouseError> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut body = Body::new(batch_id(self.sender, self.next))?;
            while body.rows < MOST_ROWS
                && body.bytes < MOST_BYTES
                && let Some(row) = rows.next()
            {
                body.row(|out| write(&row, out))?;
            }
            let count = body.rows;
            let what = What::Rows(table.to_owned());
            self.put(what, day, count, body.finish()?);
        }
        Ok(())
    }

    fn take_away(&mut self, day: Day, keys: &[i64]) {
        let keys = keys.iter().map(|key| {
            let (lane, seq) = split_row_key(*key);
            format!("({lane}, {})", seq.0)
        });
        let keys: Vec<String> = keys.collect();
        let (count, keys) = (keys.len() as u64, keys.join(", "));
        self.put(What::TakeAway, day, count, keys.into_bytes());
    }

    fn put(&mut self, what: What, day: Day, rows: u64, body: Vec<u8>) {
        self.done.push(Outgoing {
            id: self.next,
            what,
            day,
            rows,
            body,
        });
        self.next += 1;
    }
}

fn place(link: &Link, table: &str) -> String {
    format!("{}.{table}", identifier(&link.target.database))
}

/// How many rows of a batch are there.
fn count(link: &Link, table: &str, day: Day, batch: u64) -> Result<u64, ClickHouseError> {
    let known = [&STATEMENTS, &SESSIONS, &ADMINISTRATION, &BLOCKS, &LEAVES];
    let known = known.iter().find(|known| known.name == table);
    let column = known.map_or("day", |table| table.day);
    link.number(&Question::new(format!(
        "SELECT count() FROM {} WHERE {column} = toDate({}) AND batch = {batch}",
        place(link, table),
        day.0,
    )))
}

/// How many rows and unpacked bytes go into one body at most: well below what a server splits into several parts.
const MOST_ROWS: u64 = 200_000;
const MOST_BYTES: usize = 128 << 20;

/// How many keys one statement takes away at most.
const MOST_KEYS: usize = 2_000;

/// How long ago another proxy of the same number must have been there to be there no longer.
const THERE_SECS: u32 = 90;
