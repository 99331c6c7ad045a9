//! Rows on their way to ClickHouse, in its format `RowBinary`: values one after the other, in the order of the names
//! that stand beside them here. What many rows share (who speaks, what a text is) is written once and copied.
//!
//! ```text
//! String          length LEB128 | bytes
//! Nullable(T)     1, or 0 | T
//! numbers         little-endian; DateTime64(6) as Int64, Date as UInt16
//! ```

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use super::schema::{ADMINISTRATION, BLOCKS, CHECKPOINTS, LEAVES, SESSIONS, STATEMENTS};
use crate::chain::hex;
use crate::embedded::{
    FlatShape, Packed, Resolved, TextState, intent, name, parameters, readable, rules, shape,
    sqlstate,
};
use crate::event::{EventId, split_row_key};
use crate::proof::Checkpoint;
use crate::proof::leaf::Leaf;
use crate::record::{CodecError, Entry};
use crate::ship::rows::{AdminRow, EventRow, StatementRow, TextRef};
use crate::ship::subject::Speaker;
use crate::time::{DAY_US, Day};

/// The columns of a table in the order in which they are written here.
pub(super) fn names(table: &str) -> String {
    let groups: &[&[&str]] = match table {
        name if name == STATEMENTS.name => &[STATEMENT_ITSELF, SPEAKER, SHAPE],
        name if name == SESSIONS.name => &[STEP_ITSELF, SPEAKER],
        name if name == ADMINISTRATION.name => &[ADMIN],
        name if name == BLOCKS.name => &[BLOCK],
        name if name == LEAVES.name => &[LEAF],
        _ => &[CHECKPOINT],
    };
    let batch = (table != CHECKPOINTS.name).then_some("batch");
    let names: Vec<&str> = batch
        .into_iter()
        .chain(groups.iter().copied().flatten().copied())
        .collect();
    names.join(", ")
}

/// Rows of one table and day, packed.
pub(super) struct Body {
    batch: u64,
    packed: zstd::stream::Encoder<'static, Vec<u8>>,
    row: Vec<u8>,
    pub(super) rows: u64,
    pub(super) bytes: usize,
}

impl Body {
    pub(super) fn new(batch: u64) -> std::io::Result<Self> {
        Ok(Self {
            batch,
            packed: zstd::stream::Encoder::new(Vec::new(), LEVEL)?,
            row: Vec::with_capacity(2048),
            rows: 0,
            bytes: 0,
        })
    }

    /// Adds the row that `write` writes; it stands nowhere if that fails.
    pub(super) fn row<E: From<std::io::Error>>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.row.clear();
        self.row.extend_from_slice(&self.batch.to_le_bytes());
        write(&mut self.row)?;
        self.packed.write_all(&self.row)?;
        self.rows += 1;
        self.bytes += self.row.len();
        Ok(())
    }

    pub(super) fn finish(self) -> std::io::Result<Vec<u8>> {
        self.packed.finish()
    }
}

/// A checkpoint's row, packed; checkpoints belong to no batch.
pub(super) fn checkpoint(
    node: u16,
    at_us: u64,
    made: &Checkpoint,
    edge: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut row = Vec::new();
    row.extend_from_slice(&node.to_le_bytes());
    row.extend_from_slice(&made.size.to_le_bytes());
    time(&mut row, at_us);
    text(&mut row, made.to_string().as_bytes());
    text(&mut row, hex(edge).as_bytes());
    zstd::bulk::compress(&row, LEVEL)
}

const CHECKPOINT: &[&str] = &["node", "size", "at", "note", "edge"];

/// Writes rows, and remembers what they share.
#[derive(Default)]
pub(super) struct Encoder {
    /// By their address; the `Arc`s keep the addresses theirs.
    speakers: HashMap<usize, (Arc<Speaker>, Arc<[u8]>)>,
    shapes: HashMap<[u8; 16], Arc<KnownShape>>,
}

/// What a shape's columns are.
pub(super) struct KnownShape {
    columns: Vec<u8>,
    normal: String,
}

impl Encoder {
    /// Keeps memory bounded: what is forgotten is written anew.
    pub(super) fn forget_where_large(&mut self) {
        if self.speakers.len() > MOST_KNOWN {
            self.speakers.clear();
        }
        if self.shapes.len() > MOST_KNOWN {
            self.shapes.clear();
        }
    }

    /// The shape of that key, from what is remembered, or from its payload.
    pub(super) fn shape<E: From<CodecError>>(
        &mut self,
        key: Option<[u8; 16]>,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<Arc<[u8]>>, E>,
    ) -> Result<Option<Arc<KnownShape>>, E> {
        let Some(key) = key else { return Ok(None) };
        if let Some(known) = self.shapes.get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(payload) = find(&key)? else {
            return Ok(None);
        };
        let known = Arc::new(KnownShape::new(&payload)?);
        self.shapes.insert(key, Arc::clone(&known));
        Ok(Some(known))
    }

    fn speaker(&mut self, speaker: &Arc<Speaker>) -> Arc<[u8]> {
        let address = Arc::as_ptr(speaker).addr();
        if let Some((_, bytes)) = self.speakers.get(&address) {
            return Arc::clone(bytes);
        }
        let bytes: Arc<[u8]> = speaker_columns(speaker).into();
        self.speakers
            .insert(address, (Arc::clone(speaker), Arc::clone(&bytes)));
        bytes
    }

    /// Writes a statement.
    ///
    /// # Errors
    /// Where its intent can't be read.
    pub(super) fn statement(
        &mut self,
        row: &StatementRow,
        shape: Option<&KnownShape>,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let this = intent(&row.payload)?;
        let prepared = match &row.text {
            TextRef::Of(_, payload) => Some(intent(payload)?),
            TextRef::Own | TextRef::Missing => None,
        };
        let resolved = Resolved::new(&this, prepared.as_ref());
        let (outcome, judgement) = (&row.outcome, &this.judgement);
        let node = row.speaker.who.node;
        let id = EventId::new(this.wall_us / 1000, node, row.lane, row.seq);
        text(out, id.to_string().as_bytes());
        time(out, this.wall_us);
        text(out, this.kind.as_str().as_bytes());
        match (resolved.bytes, resolved.state) {
            (Some(bytes), _) => shown(out, bytes),
            (None, TextState::Normal) => nullable(out, shape.map(|shape| shape.normal.as_str())),
            (None, TextState::None | TextState::Sent | TextState::Prepared) => out.push(1),
        }
        text(out, state(resolved.state).as_bytes());
        nullable_number(out, resolved.length);
        nullable(out, resolved.hash.as_ref().map(|hash| hex(hash)).as_deref());
        nullable(out, parameters(&this.parameters).as_deref());
        text(out, this.reduction.detail.as_str().as_bytes());
        number(out, this.reduction.redacted.into());
        text(out, judgement.action.as_str().as_bytes());
        text(out, judgement.judged.as_str().as_bytes());
        text(out, judgement.mode.as_str().as_bytes());
        text(out, rules(&judgement.rules).as_bytes());
        nullable(out, judgement.severity.map(|severity| severity.as_str()));
        number(out, judgement.generation);
        nullable(out, judgement.unreadable.map(|reason| reason.as_str()));
        text(out, outcome.completion.as_str().as_bytes());
        nullable(out, outcome.sqlstate.map(sqlstate).as_deref());
        number(out, outcome.rows);
        number(out, outcome.affected);
        number(out, outcome.bytes);
        nullable_number(out, outcome.first_byte_us.map(signed));
        number(out, outcome.duration_us);
        number(out, outcome.statements.into());
        number(out, outcome.warnings);
        out.extend_from_slice(&this.session.0.to_le_bytes());
        number(out, this.number.into());
        number(out, this.transaction.into());
        text(out, this.status.as_str().as_bytes());
        nullable(out, name(this.prepared_name).as_deref());
        nullable(out, name(this.portal).as_deref());
        nullable_number(out, this.continues.map(|seq| signed(seq.0)));
        nullable(out, this.trace);
        number(out, this.mono_ns);
        out.extend_from_slice(&row.lane.to_le_bytes());
        out.extend_from_slice(&row.seq.0.to_le_bytes());
        text(out, hex(&row.chain).as_bytes());
        out.extend_from_slice(&self.speaker(&row.speaker));
        match shape {
            Some(shape) => out.extend_from_slice(&shape.columns),
            None => out.extend(SHAPE.iter().map(|_| 1)),
        }
        Ok(())
    }

    /// Writes a step of a session.
    pub(super) fn step(&mut self, row: &EventRow, out: &mut Vec<u8>) {
        let (lane, seq) = split_row_key(row.key);
        day(out, row.day);
        match row.at_us {
            Some(at) => {
                out.push(0);
                time(out, at);
            }
            None => out.push(1),
        }
        text(out, row.step.as_str().as_bytes());
        out.extend_from_slice(&row.speaker.who.session.to_le_bytes());
        nullable(out, row.cause.map(|cause| cause.as_str()));
        nullable(out, row.sqlstate.map(sqlstate).as_deref());
        nullable_number(out, row.client_bytes.map(signed));
        nullable_number(out, row.server_bytes.map(signed));
        out.extend_from_slice(&lane.to_le_bytes());
        out.extend_from_slice(&seq.0.to_le_bytes());
        nullable(out, row.chain.as_ref().map(|chain| hex(chain)).as_deref());
        out.extend_from_slice(&self.speaker(&row.speaker));
    }
}

const STATEMENT_ITSELF: &[&str] = &[
    "event_id",
    "at",
    "kind",
    "text",
    "text_state",
    "text_length",
    "text_hash",
    "parameters",
    "detail",
    "redacted",
    "decision",
    "judged",
    "mode",
    "rules",
    "severity",
    "policy_generation",
    "unreadable",
    "completion",
    "error",
    "rows",
    "affected",
    "bytes",
    "first_byte_us",
    "duration_us",
    "completed_statements",
    "warnings",
    "session",
    "number",
    "transaction_number",
    "transaction_status",
    "prepared_name",
    "portal",
    "continues",
    "trace",
    "mono_ns",
    "lane",
    "seq",
    "chain",
];

const STEP_ITSELF: &[&str] = &[
    "day",
    "at",
    "step",
    "session",
    "cause",
    "error",
    "client_bytes",
    "server_bytes",
    "lane",
    "seq",
    "chain",
];

const SPEAKER: &[&str] = &[
    "user",
    "role",
    "end_user",
    "end_user_source",
    "end_user_trust",
    "application",
    "client",
    "client_port",
    "database",
    "backend_pid",
    "auth_method",
    "tls_version",
    "tls_identity",
    "dialect",
    "protocol",
    "listener",
    "upstream",
    "node",
];

fn speaker_columns(speaker: &Speaker) -> Vec<u8> {
    let (who, end_user, mut out) = (&speaker.who, speaker.end_user.as_ref(), Vec::new());
    let out_ref = &mut out;
    nullable(out_ref, who.user.as_deref());
    nullable(out_ref, speaker.role.as_deref());
    nullable(out_ref, end_user.map(|end_user| &*end_user.name));
    nullable(out_ref, end_user.map(|end_user| end_user.source.as_str()));
    nullable(out_ref, end_user.map(|end_user| end_user.trust.as_str()));
    nullable(out_ref, who.application.as_deref());
    let ip = who.client.map(|client| client.ip().to_string());
    nullable(out_ref, ip.as_deref());
    nullable_number(out_ref, who.client.map(|client| client.port().into()));
    nullable(out_ref, who.database.as_deref());
    nullable_number(out_ref, who.backend_pid.map(Into::into));
    nullable(out_ref, who.method.as_deref());
    nullable(out_ref, who.tls_version.as_deref());
    nullable(out_ref, who.tls_identity.as_deref());
    nullable(out_ref, who.dialect.map(|dialect| dialect.as_str()));
    nullable(out_ref, who.protocol.as_deref());
    nullable(out_ref, who.listener.as_deref());
    nullable(out_ref, who.upstream.as_deref());
    out.extend_from_slice(&who.node.to_le_bytes());
    out
}

const SHAPE: &[&str] = &[
    "verb",
    "class",
    "normal",
    "fingerprint",
    "statements",
    "verbs",
    "objects",
    "columns",
    "functions",
    "egress",
    "where_shape",
    "limit_shape",
    "dynamic",
];

impl KnownShape {
    fn new(payload: &[u8]) -> Result<Self, CodecError> {
        let shape = shape(payload)?;
        let (lists, mut out) = (FlatShape::new(&shape), Vec::new());
        let some = |out: &mut Vec<u8>, text: &str| nullable(out, Some(text));
        some(&mut out, shape.verb.as_str());
        some(&mut out, shape.class.as_str());
        some(&mut out, shape.normal);
        some(&mut out, &hex(&shape.fingerprint));
        nullable_number(&mut out, Some(shape.statements.into()));
        for list in [
            &lists.verbs,
            &lists.objects,
            &lists.columns,
            &lists.functions,
            &lists.egress,
        ] {
            some(&mut out, list);
        }
        some(&mut out, shape.where_shape.as_str());
        some(&mut out, shape.limit.as_str());
        out.extend([0, u8::from(shape.dynamic)]);
        Ok(Self {
            columns: out,
            normal: shape.normal.to_owned(),
        })
    }
}

const ADMIN: &[&str] = &[
    "node",
    "at",
    "action",
    "actor",
    "detail",
    "policy_generation",
    "config_hash",
    "count",
    "lane",
    "seq",
    "chain",
];

/// Writes an administrative entry.
///
/// # Errors
/// Where it can't be read.
pub(super) fn admin(node: u16, row: &AdminRow, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let Entry::Admin(admin) = Entry::decode(9, &row.payload)? else {
        return Err(CodecError::Invalid("kind"));
    };
    let (lane, seq) = split_row_key(row.key);
    out.extend_from_slice(&node.to_le_bytes());
    time(out, admin.at_us);
    text(out, admin.action.as_str().as_bytes());
    text(out, admin.actor.as_bytes());
    text(out, admin.detail.as_bytes());
    number(out, admin.generation);
    nullable(
        out,
        admin.config_hash.as_ref().map(|hash| hex(hash)).as_deref(),
    );
    number(out, admin.count);
    out.extend_from_slice(&lane.to_le_bytes());
    out.extend_from_slice(&seq.0.to_le_bytes());
    text(out, hex(&row.chain).as_bytes());
    Ok(())
}

const BLOCK: &[&str] = &[
    "day", "node", "lane", "seq", "last", "previous", "head", "length", "frames",
];

/// Writes a block.
pub(super) fn block(of: Day, node: u16, block: &Packed, out: &mut Vec<u8>) {
    day(out, of);
    out.extend_from_slice(&node.to_le_bytes());
    out.extend_from_slice(&block.lane.to_le_bytes());
    out.extend_from_slice(&block.first.0.to_le_bytes());
    out.extend_from_slice(&block.last.0.to_le_bytes());
    text(out, hex(&block.previous).as_bytes());
    text(out, hex(&block.head).as_bytes());
    out.extend_from_slice(&block.length.to_le_bytes());
    text(out, hex(&block.frames).as_bytes());
}

const LEAF: &[&str] = &["day", "node", "id", "data"];

/// Writes a leaf of the tree.
pub(super) fn leaf(node: u16, id: u64, leaf: &Leaf, out: &mut Vec<u8>) {
    day(out, leaf.day);
    out.extend_from_slice(&node.to_le_bytes());
    out.extend_from_slice(&id.to_le_bytes());
    text(out, hex(&leaf.encode()).as_bytes());
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

fn nullable(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => {
            out.push(0);
            text(out, value.as_bytes());
        }
        None => out.push(1),
    }
}

/// A statement's text: bytes that are no UTF-8 as `\xNN`.
fn shown(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(valid) => nullable(out, Some(valid)),
        Err(_) => nullable(out, Some(&readable(bytes))),
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&signed(value).to_le_bytes());
}

fn nullable_number(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => {
            out.push(0);
            out.extend_from_slice(&value.to_le_bytes());
        }
        None => out.push(1),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A wall time that ClickHouse can hold.
fn time(out: &mut Vec<u8>, us: u64) {
    out.extend_from_slice(&signed(us.min(LAST_US)).to_le_bytes());
}

/// A day that ClickHouse can hold.
fn day(out: &mut Vec<u8>, day: Day) {
    let day = u16::try_from(u64::from(day.0).min(LAST_US / DAY_US)).unwrap_or(u16::MAX);
    out.extend_from_slice(&day.to_le_bytes());
}

fn state(state: TextState) -> &'static str {
    let code = state as i64;
    let word = TextState::ALL.iter().find(|(known, _)| *known == code);
    word.map_or("", |(_, word)| word)
}

/// 2100-12-31T23:59:59.999999Z, as in [`super::filter`].
const LAST_US: u64 = 47_847 * DAY_US - 1;

/// How hard bodies are packed: they are alike, so that little effort finds most of it.
const LEVEL: i32 = 1;

/// How many speakers and shapes are remembered.
const MOST_KNOWN: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_written_once() {
        for table in super::super::schema::TABLES {
            let mut wanted: Vec<&str> = table.columns.iter().map(|column| column.0).collect();
            wanted.push("batch");
            wanted.sort_unstable();
            let names = names(table.name);
            let mut written: Vec<&str> = names.split(", ").collect();
            written.sort_unstable();
            assert_eq!(written, wanted, "{}", table.name);
        }
    }

    #[test]
    fn the_last_moment_is_the_one_that_questions_know() {
        let said = crate::time::rfc3339(LAST_US);
        assert_eq!(said, super::super::filter::clamped("9999".to_owned()));
    }
}
