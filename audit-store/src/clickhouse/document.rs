//! `docs/audit-schema.md`: the tables for people who query them directly, made from the definitions themselves.

use std::fmt::Write;

use super::schema::{
    ADMINISTRATION, BLOCKS, CHECKPOINTS, LEAVES, SENDERS, SESSIONS, STATEMENTS, TableDefinition,
};
use crate::query::{AdminRow, Row, SessionRow};

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    let day: &[&str] = &["The UTC day."];
    let node: &[&str] = &["The node that recorded it."];
    for (table, about, meanings) in [
        (
            &STATEMENTS,
            "One row per statement.",
            Row::MEANINGS.to_vec(),
        ),
        (
            &SESSIONS,
            "One row per step in the life of a session.",
            [day, SessionRow::MEANINGS].concat(),
        ),
        (
            &ADMINISTRATION,
            "What happened to the proxies themselves.",
            [node, AdminRow::MEANINGS].concat(),
        ),
        (
            &BLOCKS,
            "The proof: the journal's entries themselves, of which the other tables are a reading.",
            BLOCK_MEANINGS.to_vec(),
        ),
        (
            &LEAVES,
            "What each node's Merkle tree says of its blocks.",
            LEAF_MEANINGS.to_vec(),
        ),
        (
            &CHECKPOINTS,
            "Signed roots of these trees. They are kept for ever.",
            CHECKPOINT_MEANINGS.to_vec(),
        ),
        (
            &SENDERS,
            "Which proxy was there when: each tells every half minute.",
            SENDER_MEANINGS.to_vec(),
        ),
    ] {
        add(&mut text, table, about, &meanings);
    }
    text.push_str(SUMS);
    for (title, sql) in USEFUL {
        // Writing into memory does not fail.
        let _ = write!(text, "\n{title}:\n\n```sql\n{sql}\n```\n");
    }
    text
}

fn add(text: &mut String, table: &TableDefinition, about: &str, meanings: &[&str]) {
    let _ = write!(
        text,
        "\n## `{}`\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n",
        table.name
    );
    for (column, meaning) in table.columns.iter().zip(meanings) {
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} |",
            column.0,
            column.1,
            meaning.trim()
        );
    }
    let computed = table
        .beside
        .iter()
        .filter(|line| line.contains(" MATERIALIZED "));
    let names: Vec<String> = computed
        .filter_map(|line| line.split_once(" MATERIALIZED "))
        .map(|(column, _)| format!("`{column}`"))
        .collect();
    if !names.is_empty() {
        let _ = write!(
            text,
            "\nComputed, and shown only where they are named: {}.\n",
            names.join(", ")
        );
    }
}

const INTRODUCTION: &str = "\
# The audit store on ClickHouse

<!-- Made from the code: UPDATE_EXPECT=1 cargo test -p sqlward-audit-store --lib document -->

`sqlward store migrate --store clickhouse://[user@]host[:port]/database` makes these tables, `sqlward store import`
moves an embedded store into them and verifies it there, and `sqlward audit search|session|top|sql` and `explain` answer
from them with `--store` as they do with `--data`. They may be queried directly; they are not to be written by hand.

* All times are UTC, to the microsecond. Tables are kept in one partition per day; `--retention-days` (190 unless
  told otherwise) says how many days stay. A clock that claims a day behind 2100-12-31 is recorded as that day.
* `node`, `lane` and `seq` name a record; a session belongs to one node. Columns named `verbs`, `objects`, `columns`,
  `functions`, `egress`, `rules` and `parameters` are JSON.
* Records come here straight from proxies that have `[audit.store]` in their configuration, or by `sqlward store import`
  from the files of one that has not, after it was stopped.
* Beside the columns shown, the first four tables have `batch`, the number of the shipment that brought the row; 0 for imported
  ones. No two rows have the same `node`, `lane` and `seq` (and `step`), whatever happened on the way.
* `clickhouses://` is HTTPS. It was tried with a proxy that ends TLS before the server; the server's own listener for it
  was not. `--cluster NAME --dry-run` shows the statements for a cluster (replicated, distributed by lane); these have not
  been tried either: the tests run ClickHouse's own engine on one node. Proxies can't ship to such tables straight, as a
  row that is taken back (a prepare that its execution takes over) would have to be deleted from a distributed table.
";

const SUMS: &str = "
## `sums`

Sums per minute, user, database, application, fingerprint, verb and decision, for dashboards; a materialised view keeps
them. Several rows may stand for the same minute: always `sum(count)`, `sum(errors)`, `sum(denied)`, `sum(rows)`,
`sum(affected)`, `sum(bytes)`, `sum(total_duration_us)`, `max(max_duration_us)`. Prepares that succeeded don't count.

## `migrations`

The versions of this schema that were applied: `version`, `name`, `program`, `at`.

## Useful queries
";

const BLOCK_MEANINGS: &[&str] = &[
    "The UTC day.",
    "The node that recorded it.",
    "The lane.",
    "The first entry.",
    "The last entry.",
    "The chain's link before the first entry, SHA-256 in hexadecimal.",
    "The link of the last entry.",
    "The length of the unpacked entries.",
    "The entries, packed with zstd, in hexadecimal; each is a length (u32), a kind (u8) and a payload.",
];

const LEAF_MEANINGS: &[&str] = &[
    "The shipment that brought it.",
    "The UTC day of the block.",
    "The node.",
    "Its number in the node's tree.",
    "The leaf, in hexadecimal; `docs/audit-contract.md` says what it holds.",
];

const CHECKPOINT_MEANINGS: &[&str] = &[
    "The node.",
    "How many leaves its tree had.",
    "When it was made.",
    "The signed note.",
    "The edge of the tree's leaves that retention has let go, in hexadecimal.",
];

const SENDER_MEANINGS: &[&str] = &[
    "The node.",
    "The proxy's data folder: a random name that it keeps.",
    "When.",
];

/// Queries that auditors ask, with their titles.
pub const USEFUL: &[(&str, &str)] = &[
    (
        "What was refused in the last day",
        "SELECT at, user, client, rules, text FROM statements
WHERE at > now() - INTERVAL 1 DAY AND decision IN ('deny', 'terminate') ORDER BY at DESC LIMIT 100",
    ),
    (
        "Everything of one session, in order",
        "SELECT at, number, decision, rows, affected, error, text FROM statements
WHERE session = 1 ORDER BY number",
    ),
    (
        "One event, as the client was told",
        "SELECT * FROM statements WHERE event_id = '01KAR3Q8V5000000001000000A'",
    ),
    (
        "What a user did in an hour",
        "SELECT at, session, text FROM statements
WHERE user = 'app' AND at >= toDateTime('2026-11-23 09:00:00', 'UTC') AND at < toDateTime('2026-11-23 10:00:00', 'UTC')
ORDER BY at",
    ),
    (
        "Statements with a piece of text, in either case",
        "SELECT at, user, text FROM statements
WHERE position(lower(ifNull(text, '')), 'salary') > 0 ORDER BY at DESC LIMIT 100",
    ),
    (
        "Who touched a table",
        "SELECT user, verb, count() AS n, min(at), max(at) FROM statements
WHERE has(qualified_names, 'finance.ledger') GROUP BY user, verb ORDER BY n DESC",
    ),
    (
        "The fingerprints that took most time in the last day",
        "SELECT fingerprint, sum(count) AS n, sum(total_duration_us) AS us FROM sums
WHERE minute > now() - INTERVAL 1 DAY GROUP BY fingerprint ORDER BY us DESC LIMIT 20",
    ),
    (
        "Statements per minute, allowed and refused",
        "SELECT minute, sum(count) AS statements, sum(denied) AS refused FROM sums
GROUP BY minute ORDER BY minute",
    ),
    (
        "The rules that matched, by how often",
        "SELECT arrayJoin(rule_names) AS rule, decision, count() AS n FROM statements
GROUP BY rule, decision ORDER BY n DESC",
    ),
    (
        "Failed logins by address",
        "SELECT client, count() AS n, max(at) AS last FROM sessions
WHERE step = 'end' AND cause = 'auth-failed' GROUP BY client ORDER BY n DESC",
    ),
    (
        "Users from an address never seen before this week",
        "SELECT user, client, min(at) AS first FROM sessions WHERE step = 'authenticated'
GROUP BY user, client HAVING first > now() - INTERVAL 7 DAY ORDER BY first",
    ),
    (
        "Statements that returned most rows",
        "SELECT at, user, rows, text FROM statements ORDER BY rows DESC LIMIT 20",
    ),
    (
        "Writes without a restricting WHERE",
        "SELECT at, user, affected, where_shape, text FROM statements
WHERE verb IN ('update', 'delete') AND where_shape IN ('absent', 'always-true') ORDER BY at DESC",
    ),
    (
        "Changes of the schema and of privileges",
        "SELECT at, user, class, text FROM statements WHERE class IN ('ddl', 'dcl') ORDER BY at DESC",
    ),
    (
        "Error codes by application",
        "SELECT application, error, count() AS n FROM statements
WHERE error IS NOT NULL GROUP BY application, error ORDER BY n DESC",
    ),
    (
        "End users behind one database user, and how far they can be believed",
        "SELECT end_user, end_user_trust, count() AS n FROM statements
WHERE user = 'app' GROUP BY end_user, end_user_trust ORDER BY n DESC",
    ),
    (
        "Statements that could not be read",
        "SELECT unreadable, decision, count() AS n FROM statements
WHERE unreadable IS NOT NULL GROUP BY unreadable, decision ORDER BY n DESC",
    ),
    (
        "Statements outside working hours",
        "SELECT user, count() AS n FROM statements
WHERE toHour(at) NOT BETWEEN 7 AND 18 GROUP BY user ORDER BY n DESC",
    ),
    (
        "Records that stand twice (there should be none)",
        "SELECT node, lane, seq, count() AS n FROM statements GROUP BY node, lane, seq HAVING n > 1",
    ),
    (
        "Starts, stops, reloads and gaps of the proxies",
        "SELECT at, node, action, actor, detail FROM administration ORDER BY at DESC LIMIT 100",
    ),
];

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    #[test]
    fn the_document_is_up_to_date() {
        expect_file!["../../../docs/audit-schema.md"].assert_eq(&super::document());
    }
}
