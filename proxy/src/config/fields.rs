//! The fields of every table of a configuration file: what is not here is an error, and all such errors are told at once.

use sqlward_policy::{Problem, problem::Source};
use toml::de::{DeTable, DeValue};

/// A table and its fields.
struct Table {
    /// Its path; the root's is empty.
    path: &'static str,
    /// Its fields.
    fields: &'static [&'static str],
}

const TABLES: [Table; 10] = [
    Table {
        path: "",
        fields: &[
            "data_dir",
            "policy",
            "node",
            "workers",
            "worker_priority",
            "admin",
            "log",
            "limits",
            "audit",
            "end_user",
            "listener",
            "upstream",
        ],
    },
    Table {
        path: "admin",
        fields: &["listen"],
    },
    Table {
        path: "log",
        fields: &["format"],
    },
    Table {
        path: "limits",
        fields: &[
            "max_connections",
            "max_connections_per_client",
            "authentication_timeout_secs",
            "connect_timeout_secs",
            "idle_timeout_secs",
            "max_statement_bytes",
            "max_recorded_parameter_bytes",
            "drain_timeout_secs",
        ],
    },
    Table {
        path: "audit",
        fields: &[
            "durability",
            "sync_interval_ms",
            "retention_days",
            "legal_minimum_days",
            "below_legal_minimum",
            "max_journal_bytes",
            "max_text_bytes",
            "signing_key",
            "checkpoint_interval_secs",
            "witness_file",
            "redaction_key",
            "witness_url",
            "witness_syslog",
            "store",
        ],
    },
    Table {
        path: "store",
        fields: &[
            "urls",
            "user",
            "password_file",
            "password_env",
            "ca",
            "timeout_secs",
            "batch_entries",
            "batch_bytes",
        ],
    },
    Table {
        path: "end_user",
        fields: &[
            "comment_keys",
            "attribute_keys",
            "application_name",
            "setting",
        ],
    },
    Table {
        path: "listener",
        fields: &["name", "address", "upstream", "protocol", "tls"],
    },
    Table {
        path: "upstream",
        fields: &["name", "address", "tls"],
    },
    Table {
        path: "tls",
        fields: &[
            "mode",
            "certificate",
            "key",
            "client_ca",
            "ca",
            "server_name",
            "direct",
        ],
    },
];

/// Take every field that no table has out of `root`, and tell it.
pub(super) fn take_unknown(source: &Source, root: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    table(source, "", root, problems);
}

fn table(source: &Source, path: &str, values: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    let Some(known) = TABLES.iter().find(|table| table.path == path) else {
        return;
    };
    let mut unknown = Vec::new();
    for (name, value) in values.iter_mut() {
        let field: &str = name.get_ref();
        if known.fields.contains(&field) {
            nested(source, field, value.get_mut(), problems);
            continue;
        }
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" in [{path}]")
        };
        let message = format!("unknown field `{field}`{place}");
        let fields = known.fields.iter().copied();
        problems.push(Problem::at(source, name.span(), message).one_of(field, fields));
        unknown.push(name.clone());
    }
    for name in &unknown {
        values.remove(name);
    }
}

fn nested(source: &Source, path: &str, value: &mut DeValue<'_>, problems: &mut Vec<Problem>) {
    match value {
        DeValue::Table(values) => table(source, path, values, problems),
        DeValue::Array(items) => {
            items
                .iter_mut()
                .for_each(|item| nested(source, path, item.get_mut(), problems));
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}
