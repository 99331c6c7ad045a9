//! The tree against the blocks, and the checkpoints against the tree.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::OptionalExtension;

use super::{Packed, SignedUpTo, Verifier};
use crate::chain::Hash;
use crate::embedded::entries::StoredBlock;
use crate::embedded::error::StoreError;
use crate::embedded::stored_days;
use crate::embedded::tree::{self, GONE, WHOLE};
use crate::event::{Seq, row_key};
use crate::proof::leaf::Leaf;
use crate::proof::merkle::leaf_hash;
use crate::proof::{Checkpoint, Handover, IN_PLACE_OF, Kept, PublicKey};
use crate::record::AdminAction;
use crate::time::Day;

/// What verification is held against, from outside of the store.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The public keys that are trusted; empty: signatures are not checked.
    pub keys: Vec<PublicKey>,
    /// Checkpoints that a witness kept, and where.
    pub witnessed: Vec<(PathBuf, Checkpoint)>,
    /// What records of signing keys say, beyond those of the store.
    pub key_records: Vec<String>,
}

/// A checkpoint, and where it was found.
struct Found {
    path: PathBuf,
    checkpoint: Checkpoint,
    standing: Standing,
}

/// What a checkpoint is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A trusted key signed it, or no key was given to check it with.
    Trusted,
    /// Records name its key as one that was replaced, but nothing is known that its signature could be checked with: it
    /// must fit, and proves nothing.
    Retired,
    /// It is a finding.
    Bad,
}

impl Verifier<'_> {
    /// Checks the tree by itself and against all checkpoints.
    pub(super) fn check_tree(&mut self, trust: &Trust) -> Result<(), StoreError> {
        let path = self.main_path.clone();
        let failed = || StoreError::sqlite(&path);
        let mut checkpoints = self.checkpoints(trust).map_err(failed())?;
        let keys = self.keys(trust)?;
        if !trust.keys.is_empty() {
            for found in &mut checkpoints {
                found.standing = self.standing(found, &keys);
            }
            checkpoints.retain(|found| found.standing != Standing::Bad);
        }
        checkpoints.sort_by_key(|found| found.checkpoint.size);
        let trusted = |found: &&Found| found.standing == Standing::Trusted;
        self.kept = match checkpoints.iter().rfind(trusted) {
            Some(newest) => newest.checkpoint.kept.clone(),
            // Nobody has signed what may be gone.
            None => Kept {
                gone: u64::MAX,
                ..tree::kept(&self.main).map_err(failed())?
            },
        };
        self.check_leaves(&checkpoints).map_err(failed())?;
        if !trust.keys.is_empty() && self.report.signed.is_none() && self.report.unsigned_blocks > 0
        {
            let what = "no checkpoint of a trusted key fits: nothing here is proved";
            self.report.add(&path, None, what);
        }
        let signed = self.report.signed.as_ref().map_or(0, |signed| signed.size);
        if !trust.keys.is_empty() && signed > 0 {
            let span = self.unsigned_span(signed).map_err(failed())?;
            if span > MOST_UNSIGNED_US {
                let what = format!(
                    "statements of {} minutes are behind the last checkpoint: later ones are missing, or nobody signed",
                    span / 60_000_000
                );
                self.report.add(&path, None, what);
            }
        }
        Ok(())
    }

    fn checkpoints(&mut self, trust: &Trust) -> rusqlite::Result<Vec<Found>> {
        let mut found: Vec<Found> = trust
            .witnessed
            .iter()
            .map(|(path, checkpoint)| Found {
                path: path.clone(),
                checkpoint: checkpoint.clone(),
                standing: Standing::Trusted,
            })
            .collect();
        for note in tree::checkpoints(&self.main)? {
            match Checkpoint::parse(&note) {
                Ok(checkpoint) => {
                    self.report.checkpoints += 1;
                    found.push(Found {
                        path: self.main_path.clone(),
                        checkpoint,
                        standing: Standing::Trusted,
                    });
                }
                Err(error) => {
                    let what = format!("a checkpoint of the store was changed: {error}");
                    self.report.add(&self.main_path, None, what);
                }
            }
        }
        Ok(found)
    }

    /// What the records of signing keys say.
    fn key_records(&self) -> Result<Vec<String>, StoreError> {
        let mut records = Vec::new();
        for day in stored_days(self.archive.dir())? {
            let opened;
            let (path, connection) = match self.days.get(&day) {
                Some(known) => known,
                None if self.scope.is_part() => match self.archive.day(day) {
                    Ok(Some(day)) => {
                        opened = day;
                        &opened
                    }
                    // What is behind the scope may be damaged.
                    Ok(None) | Err(_) => continue,
                },
                None => continue,
            };
            let read = || -> rusqlite::Result<Vec<String>> {
                connection
                    .prepare("SELECT detail FROM admin WHERE action = ? ORDER BY at_us, id")?
                    .query_map([AdminAction::SigningKey.as_str()], |row| row.get(0))?
                    .collect()
            };
            records.extend(read().map_err(StoreError::sqlite(path))?);
        }
        Ok(records)
    }

    /// The trusted keys, those that they handed over to, and those that records name as theirs before.
    fn keys(&mut self, trust: &Trust) -> Result<Vec<PublicKey>, StoreError> {
        let mut keys = trust.keys.clone();
        let mut handovers: Vec<Handover> = Vec::new();
        let stored = self.key_records()?;
        for record in stored.iter().chain(&trust.key_records) {
            let (line, handover) = record.split_once('\n').unwrap_or((record, ""));
            handovers.extend(handover.parse::<Handover>());
            if let Some((_, old)) = line.split_once(IN_PLACE_OF) {
                self.retired.insert(old.to_owned());
            }
        }
        // Each may vouch for the next.
        for _ in 0..handovers.len() {
            for handover in &handovers {
                let new = !keys.contains(&handover.to);
                if new && keys.iter().any(|key| handover.is_from(key)) {
                    keys.push(handover.to.clone());
                }
            }
        }
        Ok(keys)
    }

    fn standing(&mut self, found: &Found, keys: &[PublicKey]) -> Standing {
        let Found {
            path, checkpoint, ..
        } = found;
        if checkpoint.signed_by(keys).is_some() {
            return Standing::Trusted;
        }
        let (by, label) = (checkpoint.signers(), checkpoint.label());
        let what = if keys.iter().any(|key| by.contains(&key.label())) {
            format!("{label} was changed: its signature is not good")
        } else if self.retired.contains(&by) {
            return Standing::Retired;
        } else {
            format!("{label} is signed by another key: {by}")
        };
        self.report.add(path, None, what);
        Standing::Bad
    }

    /// Goes through all leaves in their order, and compares the root with each checkpoint on the way.
    fn check_leaves(&mut self, checkpoints: &[Found]) -> rusqlite::Result<()> {
        let path = self.main_path.clone();
        let mut edge = tree::edge(&self.main, GONE)?;
        if edge.size() > self.kept.gone && edge.size() > self.scope.first_leaf() {
            let what = format!(
                "the tree's first {} leaves are gone, and only {} were let go",
                edge.size(),
                self.kept.gone
            );
            self.report.add(&path, None, what);
        }
        let mut due = checkpoints.iter().peekable();
        while due
            .next_if(|found| found.checkpoint.size < edge.size())
            .is_some()
        {}
        let mut lanes: HashMap<u16, (Seq, Hash)> = HashMap::new();
        let mut good: Option<Checkpoint> = None;
        let mut broken = false;
        let mut select = self
            .main
            .prepare("SELECT id, block, data FROM leaf ORDER BY id")?;
        let mut rows = select.query([])?;
        let mut findings: Vec<(Option<i64>, String)> = Vec::new();
        loop {
            while let Some(found) = due.next_if(|found| found.checkpoint.size == edge.size()) {
                let checkpoint = &found.checkpoint;
                if checkpoint.root == edge.root() {
                    if found.standing == Standing::Trusted {
                        good = Some(checkpoint.clone());
                    }
                } else if !broken {
                    broken = true;
                    let since = since(good.as_ref());
                    let what = format!(
                        "{} does not fit: blocks were changed, reordered, added or removed {since}",
                        checkpoint.label()
                    );
                    findings.push((None, what));
                }
            }
            let Some(row) = rows.next()? else { break };
            let (id, block): (i64, i64) = (row.get(0)?, row.get(1)?);
            let data: Vec<u8> = row.get(2)?;
            if id as u64 != edge.size() {
                let what = format!(
                    "leaves {} to {} of the tree are missing",
                    edge.size(),
                    id - 1
                );
                findings.push((None, what));
                broken = true;
            }
            match Leaf::decode(&data) {
                None => findings.push((Some(block), format!("leaf {id} can't be read"))),
                Some(leaf) => {
                    let follows = lanes.get(&leaf.lane).is_none_or(|(last, head)| {
                        leaf.first > *last
                            && (leaf.first.0 != last.0.saturating_add(1) || leaf.previous == *head)
                    });
                    if leaf.block() != block || !follows {
                        let what = format!("leaf {id} was changed or is not in its place");
                        findings.push((Some(block), what));
                    }
                    lanes.insert(leaf.lane, (leaf.last, leaf.head));
                    if let Some(what) = self.missing(edge.size(), &leaf)? {
                        let signed = checkpoints
                            .iter()
                            .find(|found| found.checkpoint.size > id as u64);
                        let by = match signed {
                            Some(found) => format!("{} has it", found.checkpoint.label()),
                            None => "no checkpoint has it yet".to_owned(),
                        };
                        findings.push((Some(block), format!("{what}; {by}")));
                    }
                }
            }
            edge.push(leaf_hash(&data));
        }
        drop(rows);
        drop(select);
        if let Some(found) = due.next_back() {
            let newest = &found.checkpoint;
            let missing = newest.size.saturating_sub(edge.size());
            let what = format!(
                "the store was cut off or rolled back to an older copy: the newest {missing} blocks of {} are missing, \
                 all {}",
                newest.label(),
                since(good.as_ref())
            );
            self.report.add(&found.path, None, what);
        }
        if tree::edge(&self.main, WHOLE)? != edge && !broken {
            findings.push((None, "the tree's edge was changed".to_owned()));
        }
        for (key, what) in findings {
            self.report.add(&path, key, what);
        }
        let signed = good.as_ref().map_or(0, |checkpoint| checkpoint.size);
        self.report.unsigned_blocks = edge.size().saturating_sub(signed);
        self.report.signed = good.map(|checkpoint| SignedUpTo {
            size: checkpoint.size,
            checkpoint: checkpoint.label(),
            signer: checkpoint.signers(),
        });
        Ok(())
    }

    /// How much time lies between the statements of blocks that no checkpoint covers, in µs.
    fn unsigned_span(&self, signed: u64) -> rusqlite::Result<u64> {
        let (mut from, mut to) = (u64::MAX, 0);
        let mut select = self.main.prepare("SELECT data FROM leaf WHERE id >= ?")?;
        let mut rows = select.query([signed as i64])?;
        while let Some(row) = rows.next()? {
            let Some(leaf) = Leaf::decode(row.get_ref(0)?.as_blob()?) else {
                continue;
            };
            let Some((_, connection)) = self.days.get(&leaf.day) else {
                continue;
            };
            let span = connection
                .prepare_cached("SELECT from_us, to_us FROM block WHERE id = ? AND to_us > 0")?
                .query_row([leaf.block()], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
                })
                .optional()?;
            if let Some((first, last)) = span {
                from = from.min(first);
                to = to.max(last);
            }
        }
        Ok(to.saturating_sub(from))
    }

    /// Whether the block of a leaf is missing, and which it is.
    fn missing(&self, position: u64, leaf: &Leaf) -> rusqlite::Result<Option<String>> {
        if !self.scope.holds(position, leaf.day) {
            return Ok(None);
        }
        let there = match self.days.get(&leaf.day) {
            Some((_, connection)) => connection
                .prepare_cached("SELECT 1 FROM block WHERE id = ?")?
                .exists([leaf.block()])?,
            None if self.kept.let_go(leaf.day) => true,
            None => false,
        };
        Ok((!there).then(|| format!("a block is missing: {}", leaf.label())))
    }

    /// Whether retention took all blocks of a lane between an entry and a block: where the clock was set back, days
    /// that go can lie between days that stay.
    pub(super) fn is_let_go(
        &self,
        chain: Hash,
        (lane, last): (u16, Seq),
        behind: &StoredBlock,
    ) -> Result<bool, StoreError> {
        let read = || -> rusqlite::Result<bool> {
            let mut select = self.main.prepare_cached(
                "SELECT data FROM leaf WHERE block > ? AND block < ? ORDER BY block",
            )?;
            let range = [last, Seq(behind.first)].map(|seq| row_key(lane, seq));
            let mut rows = select.query(range)?;
            let (mut last, mut chain) = (last, chain);
            while let Some(row) = rows.next()? {
                match Leaf::decode(row.get_ref(0)?.as_blob()?) {
                    Some(leaf)
                        if (self.kept.let_go(leaf.day) || !self.scope.holds_day(leaf.day))
                            && leaf.first.0 == last.0.saturating_add(1)
                            && leaf.previous == chain =>
                    {
                        (last, chain) = (leaf.last, leaf.head);
                    }
                    Some(_) | None => return Ok(false),
                }
            }
            Ok(behind.first == last.0.saturating_add(1) && behind.previous == chain)
        };
        read().map_err(StoreError::sqlite(&self.main_path))
    }

    /// Whether a block lies where the proxy itself noticed that its journal was missing: such a block may have been
    /// stored, and not yet noted, when that was lost. Nobody can tell it from one that was added.
    fn is_in_gap(&self, packed: &Packed) -> Result<bool, StoreError> {
        let known = "SELECT count(*) FROM gap WHERE lane = ? AND after < ? AND next > ?";
        let range = (packed.lane, packed.first.0 as i64, packed.last.0 as i64);
        let count = self
            .main
            .query_row(known, range, |row| row.get::<_, i64>(0));
        count
            .map(|count| count > 0)
            .map_err(StoreError::sqlite(&self.main_path))
    }

    /// A block must be what its leaf says.
    pub(super) fn check_leaf(
        &mut self,
        path: &Path,
        packed: &Packed,
        day: Day,
    ) -> Result<(), StoreError> {
        let main = self.main_path.clone();
        let found = tree::leaf_of(&self.main, packed.id()).map_err(StoreError::sqlite(&main))?;
        let noted = self
            .heads
            .iter()
            .find(|noted| noted.head.lane == packed.lane)
            .map_or(Seq(0), |noted| noted.head.seq);
        let Some((id, data)) = found else {
            // Unless its shipment is not noted yet.
            if packed.first <= noted {
                let what = if self.is_in_gap(packed)? {
                    "the tree has no leaf for this block: the journal was lost before it was noted, or it was added"
                } else {
                    "the tree has no leaf for this block: it was added"
                };
                self.report.add(path, Some(packed.id()), what);
            }
            return Ok(());
        };
        if noted < packed.last {
            let what = "the lane's progress was changed: it ends before a block that the tree has";
            self.report.add(&main, Some(packed.id()), what);
        }
        let mut is = packed.leaf(day);
        let Some(must) = Leaf::decode(&data) else {
            return Ok(());
        };
        let mut resolved = None;
        if packed.is_vague() {
            // Sessions and texts from before the oldest day are as they are stored, if that is what was signed.
            resolved = self.resolve(packed, day, &must.context)?;
            is.context = must.context;
        }
        let mut differing = is.differing(&must);
        differing.extend(resolved);
        if !differing.is_empty() {
            let what = format!(
                "the block was changed since leaf {id} of the tree was made: {}",
                differing.join(", ")
            );
            let key = row_key(must.lane, must.first);
            self.report.add(path, Some(key), what);
        }
        Ok(())
    }
}

/// How much time can lie between statements that wait for a checkpoint: twice the longest interval.
const MOST_UNSIGNED_US: u64 = 2 * 3600 * 1_000_000;

fn since(good: Option<&Checkpoint>) -> String {
    match good {
        Some(good) => format!("after {}", good.label()),
        None => "after no checkpoint that still fits".to_owned(),
    }
}
