//! The embedded store's tables.
//!
//! Each day file stands alone: whatever its rows refer to is in it. Names, subjects and shapes
//! are kept once per file. There is no table of statements: [`super::statements`] reads them out of the blocks.

/// Tables of a day file.
pub(super) const DAY: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS name (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE) STRICT;

-- Who spoke, from where: the subject of a session as it was at some time.
CREATE TABLE IF NOT EXISTS who (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, node INTEGER NOT NULL,
    session INTEGER NOT NULL, started_us INTEGER,
    user INTEGER REFERENCES name, database INTEGER REFERENCES name,
    application INTEGER REFERENCES name,
    client TEXT, address BLOB, port INTEGER,
    listener INTEGER REFERENCES name, upstream INTEGER REFERENCES name, dialect TEXT,
    tls_version TEXT, tls_identity TEXT, method TEXT, backend_pid INTEGER, protocol TEXT) STRICT;
CREATE INDEX IF NOT EXISTS who_session ON who (session);

-- Analyses; verbs, objects, columns, functions and egress are JSON arrays.
CREATE TABLE IF NOT EXISTS shape (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, fingerprint BLOB NOT NULL,
    normal TEXT NOT NULL, statements INTEGER NOT NULL,
    verb TEXT NOT NULL, class TEXT NOT NULL, verbs TEXT NOT NULL, objects TEXT NOT NULL,
    columns TEXT NOT NULL, functions TEXT NOT NULL, egress TEXT NOT NULL,
    where_shape TEXT NOT NULL, limit_shape TEXT NOT NULL, dynamic INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS shape_object (
    shape INTEGER NOT NULL REFERENCES shape, kind TEXT NOT NULL, qualified TEXT NOT NULL,
    name TEXT NOT NULL, access TEXT NOT NULL,
    PRIMARY KEY (shape, qualified, kind, access)) STRICT, WITHOUT ROWID;

-- The statements, and the proof: the journal's entries themselves, compressed, with the chain's links around them.
-- `rows` names the statements that began and ended here, `speakers` who spoke in them. The span of their times, the
-- number of those that auditors look for first and the filter of their texts let questions pass a block by.
-- The id is lane << 48 | first; the id of a statement lane << 48 | seq of its intent.
CREATE TABLE IF NOT EXISTS block (
    id INTEGER PRIMARY KEY, last INTEGER NOT NULL, previous BLOB NOT NULL, head BLOB NOT NULL,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, statements INTEGER NOT NULL,
    flagged INTEGER NOT NULL, speakers BLOB NOT NULL, grams BLOB NOT NULL, rows BLOB NOT NULL,
    length INTEGER NOT NULL, frames BLOB NOT NULL) STRICT;
-- Which subjects spoke in which block.
CREATE TABLE IF NOT EXISTS block_who (
    who INTEGER NOT NULL REFERENCES who, block INTEGER NOT NULL, PRIMARY KEY (who, block)
) STRICT, WITHOUT ROWID;
-- Statements that no single block of this day holds, whole: begun before the block that ended them (then `block`
-- says which), on another day, or lost (then it is 0). `intent` and `outcome` are entries.
CREATE TABLE IF NOT EXISTS carried (
    id INTEGER PRIMARY KEY, block INTEGER NOT NULL, who INTEGER NOT NULL REFERENCES who,
    role INTEGER REFERENCES name, end_user INTEGER REFERENCES name, end_user_source INTEGER,
    end_user_trust INTEGER, intent BLOB NOT NULL, outcome BLOB NOT NULL, chain BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS carried_block ON carried (block);
-- Intents whose text statements have that end in a later block or stand in `carried`: once, for they may be long.
CREATE TABLE IF NOT EXISTS prepared (id INTEGER PRIMARY KEY, intent BLOB NOT NULL) STRICT;
-- Statements of a directory that are none: prepares that a later execution has taken over.
CREATE TABLE IF NOT EXISTS removed (id INTEGER PRIMARY KEY) STRICT;

-- Steps in the life of sessions.
CREATE TABLE IF NOT EXISTS session_event (
    id INTEGER NOT NULL, step TEXT NOT NULL, session INTEGER NOT NULL,
    who INTEGER NOT NULL REFERENCES who, at_us INTEGER,
    role INTEGER REFERENCES name, end_user INTEGER REFERENCES name,
    end_user_source INTEGER, end_user_trust INTEGER, cause TEXT, sqlstate TEXT,
    client_bytes INTEGER, server_bytes INTEGER, chain BLOB,
    PRIMARY KEY (id, step)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_event_session ON session_event (session);
CREATE INDEX IF NOT EXISTS session_event_step ON session_event (step, at_us);

CREATE TABLE IF NOT EXISTS admin (
    id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, action TEXT NOT NULL, actor TEXT NOT NULL,
    detail TEXT NOT NULL, generation INTEGER NOT NULL, config_hash BLOB, count INTEGER NOT NULL,
    chain BLOB NOT NULL) STRICT;

-- Sums per minute, kept at insert.
CREATE TABLE IF NOT EXISTS rollup (
    minute INTEGER NOT NULL, user INTEGER NOT NULL, database INTEGER NOT NULL,
    application INTEGER NOT NULL, fingerprint BLOB NOT NULL, verb TEXT NOT NULL,
    decision TEXT NOT NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL,
    denied INTEGER NOT NULL, rows INTEGER NOT NULL, affected INTEGER NOT NULL,
    bytes INTEGER NOT NULL, total_duration INTEGER NOT NULL, max_duration INTEGER NOT NULL,
    PRIMARY KEY (minute, user, database, application, fingerprint, verb, decision)
) STRICT, WITHOUT ROWID;
";

/// Tables of the main file.
pub(super) const MAIN: &str = "
-- 'kept_from' is the day behind the last that retention let go, 0 where it let none go.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('kept_from', 0);

-- How far each lane has been shipped.
CREATE TABLE IF NOT EXISTS lane (
    lane INTEGER PRIMARY KEY, seq INTEGER NOT NULL, chain BLOB NOT NULL,
    node INTEGER NOT NULL, day INTEGER NOT NULL) STRICT;

-- Entries that are still needed: open intents, prepared texts, live sessions.
CREATE TABLE IF NOT EXISTS kept (
    lane INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, chain BLOB,
    payload BLOB NOT NULL, open INTEGER NOT NULL, text INTEGER NOT NULL,
    written INTEGER NOT NULL, PRIMARY KEY (lane, seq)) STRICT;

-- Analyses by key, as the journal has them.
CREATE TABLE IF NOT EXISTS shape (
    key BLOB PRIMARY KEY, payload BLOB NOT NULL, last_day INTEGER NOT NULL) STRICT;

-- Day files that are over: their SHA-256, and how often a late record opened them again.
CREATE TABLE IF NOT EXISTS day (
    day INTEGER PRIMARY KEY, sealed_us INTEGER, sha256 BLOB, rows INTEGER,
    reopened INTEGER NOT NULL DEFAULT 0) STRICT;

-- Entries that are missing from a lane.
CREATE TABLE IF NOT EXISTS gap (
    lane INTEGER NOT NULL, after INTEGER NOT NULL, next INTEGER NOT NULL,
    noticed_us INTEGER NOT NULL, PRIMARY KEY (lane, after, next)) STRICT;
";

/// The version of both schemas.
pub(super) const VERSION: i64 = 4;
