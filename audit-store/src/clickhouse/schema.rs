//! The tables: what they hold, how they are kept, and the statements that make them.

use super::target::identifier;

/// A table.
pub(crate) struct TableDefinition {
    pub(crate) name: &'static str,
    /// Columns that are written, in the order of the row.
    pub(crate) columns: &'static [Column],
    /// Computed columns and skip indexes.
    pub(crate) beside: &'static [&'static str],
    /// The day of a row; empty where rows are kept for ever.
    pub(crate) day: &'static str,
    order: &'static str,
}

/// A column: its name, type and codec.
pub(crate) struct Column(
    pub(crate) &'static str,
    pub(crate) &'static str,
    &'static str,
);

impl Column {
    /// The column as a select list has it, in the form of the row's field.
    pub(crate) fn select(&self) -> String {
        match (self.0, self.1) {
            ("session", _) => "toString(session) AS session".to_owned(),
            (name, _) => format!("{name} AS {name}"),
        }
    }
}

impl TableDefinition {
    /// The columns' names, as an insert lists them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.0).collect();
        names.join(", ")
    }

    fn body(&self) -> String {
        let mut lines: Vec<String> = self
            .columns
            .iter()
            .map(|Column(name, kind, codec)| format!("    {name} {kind} CODEC({codec})"))
            .collect();
        lines.extend(self.beside.iter().map(|line| format!("    {line}")));
        format!("(\n{}\n)", lines.join(",\n"))
    }

    fn keeping(&self, retention_days: u32) -> String {
        let (day, order) = (self.day, self.order);
        if day.is_empty() {
            return format!("ORDER BY ({order})");
        }
        format!("PARTITION BY {day}\nORDER BY ({order})\nTTL {day} + INTERVAL {retention_days} DAY")
    }
}

/// One step of the schema; steps are never changed, only added.
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) statements: Vec<String>,
}

/// Where the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout<'a> {
    /// On one server.
    Single,
    /// On every server of this cluster: replicated within a shard, distributed by session over the shards.
    Cluster(&'a str),
}

/// Every step, the oldest first.
pub(crate) fn migrations(
    database: &str,
    layout: Layout<'_>,
    retention_days: u32,
) -> Vec<Migration> {
    let mut tables = Vec::new();
    for table in TABLES {
        tables.extend(create(table, database, layout, retention_days));
    }
    vec![
        Migration {
            version: 1,
            name: "records and their proof",
            statements: tables,
        },
        Migration {
            version: 2,
            name: "sums per minute",
            statements: sums(database, layout, retention_days),
        },
        Migration {
            version: 3,
            name: "batches, the tree and its checkpoints",
            statements: shipping(database, layout, retention_days),
        },
        Migration {
            version: 4,
            name: "what is left out of records",
            statements: added(&STATEMENTS, &["detail", "redacted"], database, layout),
        },
        Migration {
            version: 5,
            name: "the edge of what the tree has let go",
            statements: added(&CHECKPOINTS, &["edge"], database, layout),
        },
    ]
}

/// Columns that stores of an older version lack.
fn added(
    table: &TableDefinition,
    columns: &[&str],
    database: &str,
    layout: Layout<'_>,
) -> Vec<String> {
    let (name, place) = (table.name, identifier(database));
    let tables = match layout {
        Layout::Single => vec![format!("{place}.{name}")],
        Layout::Cluster(cluster) => {
            let cluster = identifier(cluster);
            vec![
                format!("{place}.{name}_local ON CLUSTER {cluster}"),
                format!("{place}.{name} ON CLUSTER {cluster}"),
            ]
        }
    };
    let new: Vec<&Column> = (table.columns.iter())
        .filter(|column| columns.contains(&column.0))
        .collect();
    let alter = |place: &String| {
        let adds: Vec<String> = new
            .iter()
            .map(|Column(name, kind, _)| format!("ADD COLUMN IF NOT EXISTS {name} {kind}"))
            .collect();
        format!("ALTER TABLE {place} {}", adds.join(", "))
    };
    tables.iter().map(alter).collect()
}

/// What proxies need that ship by themselves: the batch of each row, the tree, and who ships.
fn shipping(database: &str, layout: Layout<'_>, retention_days: u32) -> Vec<String> {
    let place = identifier(database);
    let (on, suffixes): (String, &[&str]) = match layout {
        Layout::Single => (String::new(), &[""]),
        Layout::Cluster(cluster) => {
            let on = format!(" ON CLUSTER {}", identifier(cluster));
            (on, &["_local", ""])
        }
    };
    let mut statements = Vec::new();
    for table in TABLES {
        for suffix in suffixes {
            statements.push(format!(
                "ALTER TABLE {place}.{}{suffix}{on} ADD COLUMN IF NOT EXISTS batch UInt64{}",
                table.name,
                // A distributed table keeps nothing itself.
                if suffix.is_empty() && suffixes.len() > 1 {
                    ""
                } else {
                    " CODEC(ZSTD(1))"
                },
            ));
        }
    }
    for table in [&LEAVES, &CHECKPOINTS, &SENDERS] {
        statements.extend(create(table, database, layout, retention_days));
    }
    statements
}

fn create(
    table: &TableDefinition,
    database: &str,
    layout: Layout<'_>,
    retention_days: u32,
) -> Vec<String> {
    let (body, keeping) = (table.body(), table.keeping(retention_days));
    let name = table.name;
    let place = identifier(database);
    match layout {
        Layout::Single => vec![format!(
            "CREATE TABLE IF NOT EXISTS {place}.{name}\n{body}\nENGINE = MergeTree\n{keeping}\n\
             SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = {WINDOW}"
        )],
        Layout::Cluster(cluster) => {
            let cluster = identifier(cluster);
            vec![
                format!(
                    "CREATE TABLE IF NOT EXISTS {place}.{name}_local ON CLUSTER {cluster}\n{body}\n\
                     ENGINE = ReplicatedMergeTree\n{keeping}\n\
                     SETTINGS ttl_only_drop_parts = 1, replicated_deduplication_window = {WINDOW}"
                ),
                format!(
                    "CREATE TABLE IF NOT EXISTS {place}.{name} ON CLUSTER {cluster} AS {place}.{name}_local\n\
                     ENGINE = Distributed({cluster}, {place}, {name}_local, cityHash64(node, lane))"
                ),
            ]
        }
    }
}

fn sums(database: &str, layout: Layout<'_>, retention_days: u32) -> Vec<String> {
    let place = identifier(database);
    let (on, suffix, engine, window) = match layout {
        Layout::Single => (
            String::new(),
            "",
            "AggregatingMergeTree",
            "non_replicated_deduplication_window",
        ),
        Layout::Cluster(cluster) => (
            format!(" ON CLUSTER {}", identifier(cluster)),
            "_local",
            "ReplicatedAggregatingMergeTree",
            "replicated_deduplication_window",
        ),
    };
    let mut statements = vec![
        format!(
            "CREATE TABLE IF NOT EXISTS {place}.sums{suffix}{on}\n(
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    user LowCardinality(String),
    database LowCardinality(String),
    application LowCardinality(String),
    fingerprint String CODEC(ZSTD(1)),
    verb LowCardinality(String),
    decision LowCardinality(String),
    count SimpleAggregateFunction(sum, UInt64),
    errors SimpleAggregateFunction(sum, UInt64),
    denied SimpleAggregateFunction(sum, UInt64),
    rows SimpleAggregateFunction(sum, Int64),
    affected SimpleAggregateFunction(sum, Int64),
    bytes SimpleAggregateFunction(sum, Int64),
    total_duration_us SimpleAggregateFunction(sum, Int64),
    max_duration_us SimpleAggregateFunction(max, Int64)
)
ENGINE = {engine}
PARTITION BY toDate(minute)
ORDER BY (minute, user, database, application, fingerprint, verb, decision)
TTL toDate(minute) + INTERVAL {retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, {window} = {WINDOW}"
        ),
        format!(
            "CREATE MATERIALIZED VIEW IF NOT EXISTS {place}.sums_writer{on} TO {place}.sums{suffix} AS
SELECT toStartOfMinute(s.at) AS minute, ifNull(s.user, '') AS user, ifNull(s.database, '') AS database,
    ifNull(s.application, '') AS application, ifNull(s.fingerprint, '') AS fingerprint,
    ifNull(s.verb, '') AS verb, s.decision AS decision,
    count() AS count, count(s.error) AS errors, countIf(s.decision IN ('deny', 'terminate')) AS denied,
    sum(s.rows) AS rows, sum(s.affected) AS affected, sum(s.bytes) AS bytes,
    sum(s.duration_us) AS total_duration_us, max(s.duration_us) AS max_duration_us
FROM {place}.statements{suffix} AS s
WHERE NOT (s.kind = 'prepare' AND s.completion IN ('done', 'prepared'))
GROUP BY minute, user, database, application, fingerprint, verb, decision"
        ),
    ];
    if let Layout::Cluster(cluster) = layout {
        let cluster = identifier(cluster);
        statements.insert(
            1,
            format!(
                "CREATE TABLE IF NOT EXISTS {place}.sums{on} AS {place}.sums_local\n\
                 ENGINE = Distributed({cluster}, {place}, sums_local)"
            ),
        );
    }
    statements
}

/// The table of the steps that were taken.
pub(crate) fn versions(database: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.migrations\n(version UInt32, name String, program String, \
         at DateTime64(6, 'UTC') DEFAULT now64(6))\nENGINE = MergeTree ORDER BY version",
        identifier(database)
    )
}

/// Every table of records.
pub(crate) const TABLES: [&TableDefinition; 4] = [&STATEMENTS, &SESSIONS, &ADMINISTRATION, &BLOCKS];

/// Statements: [`crate::query::Row`].
pub(crate) const STATEMENTS: TableDefinition = TableDefinition {
    name: "statements",
    day: "toDate(at)",
    order: "toStartOfHour(at), ifNull(user, ''), session, at, node, lane, seq",
    columns: &[
        Column("event_id", "String", PLAIN),
        Column("at", "DateTime64(6, 'UTC')", TIME),
        Column("user", WORD_OR_NONE, PLAIN),
        Column("role", WORD_OR_NONE, PLAIN),
        Column("end_user", WORD_OR_NONE, PLAIN),
        Column("end_user_source", WORD_OR_NONE, PLAIN),
        Column("end_user_trust", WORD_OR_NONE, PLAIN),
        Column("application", WORD_OR_NONE, PLAIN),
        Column("client", WORD_OR_NONE, PLAIN),
        Column("client_port", NUMBER_OR_NONE, PLAIN),
        Column("database", WORD_OR_NONE, PLAIN),
        Column("verb", WORD_OR_NONE, PLAIN),
        Column("class", WORD_OR_NONE, PLAIN),
        Column("kind", WORD, PLAIN),
        Column("text", "Nullable(String)", TEXT),
        Column("text_state", WORD, PLAIN),
        Column("text_length", NUMBER_OR_NONE, SMALL),
        Column("text_hash", "Nullable(String)", PLAIN),
        Column("normal", WORD_OR_NONE, TEXT),
        Column("fingerprint", WORD_OR_NONE, PLAIN),
        Column("parameters", "Nullable(String)", TEXT),
        Column("detail", "LowCardinality(String) DEFAULT 'full'", PLAIN),
        Column("redacted", "Int64 DEFAULT 0", SMALL),
        Column("statements", NUMBER_OR_NONE, PLAIN),
        Column("verbs", WORD_OR_NONE, PLAIN),
        Column("objects", WORD_OR_NONE, PLAIN),
        Column("columns", WORD_OR_NONE, PLAIN),
        Column("functions", WORD_OR_NONE, PLAIN),
        Column("egress", WORD_OR_NONE, PLAIN),
        Column("where_shape", WORD_OR_NONE, PLAIN),
        Column("limit_shape", WORD_OR_NONE, PLAIN),
        Column("dynamic", "Nullable(Bool)", PLAIN),
        Column("decision", WORD, PLAIN),
        Column("judged", WORD, PLAIN),
        Column("mode", WORD, PLAIN),
        Column("rules", WORD, PLAIN),
        Column("severity", WORD_OR_NONE, PLAIN),
        Column("policy_generation", "Int64", SMALL),
        Column("unreadable", WORD_OR_NONE, PLAIN),
        Column("completion", WORD, PLAIN),
        Column("error", WORD_OR_NONE, PLAIN),
        Column("rows", "Int64", SMALL),
        Column("affected", "Int64", SMALL),
        Column("bytes", "Int64", SMALL),
        Column("first_byte_us", NUMBER_OR_NONE, SMALL),
        Column("duration_us", "Int64", SMALL),
        Column("completed_statements", "Int64", SMALL),
        Column("warnings", "Int64", SMALL),
        Column("session", "UInt64", SMALL),
        Column("number", "Int64", COUNTER),
        Column("transaction_number", "Int64", COUNTER),
        Column("transaction_status", WORD, PLAIN),
        Column("prepared_name", "Nullable(String)", PLAIN),
        Column("portal", "Nullable(String)", PLAIN),
        Column("continues", NUMBER_OR_NONE, PLAIN),
        Column("trace", "Nullable(String)", PLAIN),
        Column("mono_ns", "Int64", COUNTER),
        Column("backend_pid", NUMBER_OR_NONE, PLAIN),
        Column("auth_method", WORD_OR_NONE, PLAIN),
        Column("tls_version", WORD_OR_NONE, PLAIN),
        Column("tls_identity", WORD_OR_NONE, PLAIN),
        Column("dialect", WORD_OR_NONE, PLAIN),
        Column("protocol", WORD_OR_NONE, PLAIN),
        Column("listener", WORD_OR_NONE, PLAIN),
        Column("upstream", WORD_OR_NONE, PLAIN),
        Column("node", "UInt16", PLAIN),
        Column("lane", "UInt16", PLAIN),
        Column("seq", "UInt64", COUNTER),
        Column("chain", "String", PLAIN),
    ],
    beside: &[
        ADDRESS,
        "rule_names Array(LowCardinality(String)) MATERIALIZED JSONExtract(rules, 'Array(String)')",
        "verb_names Array(LowCardinality(String)) MATERIALIZED JSONExtract(ifNull(verbs, '[]'), 'Array(String)')",
        "object_names Array(LowCardinality(String)) MATERIALIZED arrayDistinct(arrayMap(o -> tupleElement(o, 'name'), \
         JSONExtract(ifNull(objects, '[]'), 'Array(Tuple(name String))')))",
        "qualified_names Array(LowCardinality(String)) MATERIALIZED arrayDistinct(arrayMap(o -> \
         if(isNull(tupleElement(o, 'schema')), tupleElement(o, 'name'), concat(assumeNotNull(tupleElement(o, 'schema')), '.', tupleElement(o, 'name'))), \
         JSONExtract(ifNull(objects, '[]'), 'Array(Tuple(schema Nullable(String), name String))')))",
        "INDEX text_parts lower(ifNull(text, '')) TYPE ngrambf_v1(3, 16384, 3, 0) GRANULARITY 1",
        "INDEX text_words lower(ifNull(text, '')) TYPE tokenbf_v1(8192, 3, 0) GRANULARITY 1",
        "INDEX by_session session TYPE bloom_filter(0.01) GRANULARITY 1",
        "INDEX by_fingerprint fingerprint TYPE bloom_filter(0.01) GRANULARITY 1",
        "INDEX by_end_user end_user TYPE bloom_filter(0.01) GRANULARITY 1",
        "INDEX by_user user TYPE bloom_filter(0.01) GRANULARITY 1",
        "INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1",
    ],
};

/// Steps of sessions: the day, then [`crate::query::SessionRow`].
pub(crate) const SESSIONS: TableDefinition = TableDefinition {
    name: "sessions",
    day: "day",
    order: "session, node, lane, seq, step",
    columns: &[
        Column("day", "Date", PLAIN),
        Column("at", "Nullable(DateTime64(6, 'UTC'))", PLAIN),
        Column("step", WORD, PLAIN),
        Column("session", "UInt64", SMALL),
        Column("user", WORD_OR_NONE, PLAIN),
        Column("role", WORD_OR_NONE, PLAIN),
        Column("end_user", WORD_OR_NONE, PLAIN),
        Column("end_user_source", WORD_OR_NONE, PLAIN),
        Column("end_user_trust", WORD_OR_NONE, PLAIN),
        Column("application", WORD_OR_NONE, PLAIN),
        Column("client", WORD_OR_NONE, PLAIN),
        Column("client_port", NUMBER_OR_NONE, PLAIN),
        Column("database", WORD_OR_NONE, PLAIN),
        Column("cause", WORD_OR_NONE, PLAIN),
        Column("error", WORD_OR_NONE, PLAIN),
        Column("client_bytes", NUMBER_OR_NONE, PLAIN),
        Column("server_bytes", NUMBER_OR_NONE, PLAIN),
        Column("auth_method", WORD_OR_NONE, PLAIN),
        Column("backend_pid", NUMBER_OR_NONE, PLAIN),
        Column("tls_version", WORD_OR_NONE, PLAIN),
        Column("tls_identity", WORD_OR_NONE, PLAIN),
        Column("dialect", WORD_OR_NONE, PLAIN),
        Column("protocol", WORD_OR_NONE, PLAIN),
        Column("listener", WORD_OR_NONE, PLAIN),
        Column("upstream", WORD_OR_NONE, PLAIN),
        Column("node", "UInt16", PLAIN),
        Column("lane", "UInt16", PLAIN),
        Column("seq", "UInt64", PLAIN),
        Column("chain", "Nullable(String)", PLAIN),
    ],
    beside: &[
        ADDRESS,
        "INDEX by_user user TYPE bloom_filter(0.01) GRANULARITY 1",
    ],
};

/// What happened to proxies: the node, then [`crate::query::AdminRow`].
pub(crate) const ADMINISTRATION: TableDefinition = TableDefinition {
    name: "administration",
    day: "toDate(at)",
    order: "at, node, lane, seq",
    columns: &[
        Column("node", "UInt16", PLAIN),
        Column("at", "DateTime64(6, 'UTC')", TIME),
        Column("action", WORD, PLAIN),
        Column("actor", "String", PLAIN),
        Column("detail", "String", PLAIN),
        Column("policy_generation", "Int64", PLAIN),
        Column("config_hash", "Nullable(String)", PLAIN),
        Column("count", "Int64", PLAIN),
        Column("lane", "UInt16", PLAIN),
        Column("seq", "UInt64", PLAIN),
        Column("chain", "String", PLAIN),
    ],
    beside: &[],
};

/// The proof: the journal's entries themselves, packed with zstd, with the chain's links around them, in
/// hexadecimal.
pub(crate) const BLOCKS: TableDefinition = TableDefinition {
    name: "blocks",
    day: "day",
    order: "node, lane, seq",
    columns: &[
        Column("day", "Date", PLAIN),
        Column("node", "UInt16", PLAIN),
        Column("lane", "UInt16", PLAIN),
        Column("seq", "UInt64", PLAIN),
        Column("last", "UInt64", PLAIN),
        Column("previous", "String", PLAIN),
        Column("head", "String", PLAIN),
        Column("length", "UInt64", PLAIN),
        Column("frames", "String", PLAIN),
    ],
    beside: &[],
};

/// The leaves of each node's Merkle tree, in hexadecimal.
pub(crate) const LEAVES: TableDefinition = TableDefinition {
    name: "leaves",
    day: "day",
    order: "node, id",
    columns: &[
        Column("batch", "UInt64", PLAIN),
        Column("day", "Date", PLAIN),
        Column("node", "UInt16", PLAIN),
        Column("id", "UInt64", COUNTER),
        Column("data", "String", PLAIN),
    ],
    beside: &[],
};

/// Signed roots of these trees.
pub(crate) const CHECKPOINTS: TableDefinition = TableDefinition {
    name: "checkpoints",
    day: "",
    order: "node, size, at",
    columns: &[
        Column("node", "UInt16", PLAIN),
        Column("size", "UInt64", PLAIN),
        Column("at", "DateTime64(6, 'UTC')", PLAIN),
        Column("note", "String", PLAIN),
        Column("edge", "String", PLAIN),
    ],
    beside: &[],
};

/// Which proxy was there when, as which node.
pub(crate) const SENDERS: TableDefinition = TableDefinition {
    name: "senders",
    day: "toDate(at)",
    order: "node, at",
    columns: &[
        Column("node", "UInt16", PLAIN),
        Column("sender", "String", PLAIN),
        Column("at", "DateTime64(6, 'UTC')", PLAIN),
    ],
    beside: &[],
};

const ADDRESS: &str = "address Nullable(IPv6) MATERIALIZED toIPv6OrNull(ifNull(client, ''))";
const WORD: &str = "LowCardinality(String)";
const WORD_OR_NONE: &str = "LowCardinality(Nullable(String))";
const NUMBER_OR_NONE: &str = "Nullable(Int64)";
const PLAIN: &str = "ZSTD(1)";
const TEXT: &str = "ZSTD(3)";
const TIME: &str = "DoubleDelta, ZSTD(1)";
const SMALL: &str = "T64, ZSTD(1)";
const COUNTER: &str = "Delta, ZSTD(1)";

/// How many batches a server remembers, so that a repeated one changes nothing.
const WINDOW: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{AdminRow, Row, SessionRow};

    #[test]
    fn tables_have_the_columns_of_the_rows() {
        let names = |table: &TableDefinition| -> Vec<&str> {
            table.columns.iter().map(|column| column.0).collect()
        };
        assert_eq!(names(&STATEMENTS), Row::COLUMNS);
        assert_eq!(names(&SESSIONS)[1..], *SessionRow::COLUMNS);
        assert_eq!(names(&ADMINISTRATION)[1..], *AdminRow::COLUMNS);
    }

    #[test]
    fn a_cluster_has_every_table_twice() {
        let steps = migrations("audit", Layout::Cluster("c1"), 30);
        let all: Vec<String> = steps.into_iter().flat_map(|step| step.statements).collect();
        for name in ["statements", "sessions", "administration", "blocks", "sums"] {
            let local = format!("`audit`.{name}_local ON CLUSTER `c1`");
            assert!(all.iter().any(|sql| sql.contains(&local)), "{name}");
            let whole = format!("Distributed(`c1`, `audit`, {name}_local");
            assert!(all.iter().any(|sql| sql.contains(&whole)), "{name}");
        }
        assert!(all.iter().all(|sql| sql.contains("ON CLUSTER")));
        assert!(all.iter().all(|sql| !sql.contains("INTERVAL 190")));
    }
}
