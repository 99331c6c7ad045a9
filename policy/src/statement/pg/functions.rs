//! The functions of PostgreSQL and its extensions that do more than compute: a flat table.

use super::harmless::HARMLESS;
use crate::vocabulary::{Class, Egress};

/// What calling a function means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The class of a statement that calls it, at least.
    pub(crate) class: Option<Class>,
    /// The way out or in that it opens.
    pub(crate) egress: Option<Egress>,
    /// It runs SQL from its arguments, or reads relations that they name.
    pub(crate) dynamic: bool,
    /// It may change settings of the session.
    pub(crate) settings: bool,
    /// Its arguments may hold credentials or connection strings.
    pub(crate) secret: bool,
}

const PLAIN: Mark = Mark {
    class: None,
    egress: None,
    dynamic: false,
    settings: false,
    secret: false,
};
const WRITE: Mark = Mark {
    class: Some(Class::Write),
    ..PLAIN
};
const ADMIN: Mark = Mark {
    class: Some(Class::Admin),
    ..PLAIN
};
const DYNAMIC: Mark = Mark {
    dynamic: true,
    ..PLAIN
};
const DYNAMIC_WRITE: Mark = Mark {
    dynamic: true,
    class: Some(Class::Write),
    ..PLAIN
};
const SETTINGS: Mark = Mark {
    settings: true,
    ..PLAIN
};
const FILE: Mark = Mark {
    egress: Some(Egress::ServerFile),
    class: Some(Class::Admin),
    ..PLAIN
};
const LARGE_READ: Mark = Mark {
    egress: Some(Egress::LargeObject),
    ..PLAIN
};
const LARGE_WRITE: Mark = Mark {
    egress: Some(Egress::LargeObject),
    class: Some(Class::Write),
    ..PLAIN
};
const LARGE_FILE: Mark = Mark {
    egress: Some(Egress::LargeObject),
    class: Some(Class::Admin),
    ..PLAIN
};
const DBLINK: Mark = Mark {
    egress: Some(Egress::Dblink),
    dynamic: true,
    secret: true,
    ..PLAIN
};
const FOREIGN: Mark = Mark {
    egress: Some(Egress::Foreign),
    ..PLAIN
};
const CODE: Mark = Mark {
    egress: Some(Egress::Code),
    class: Some(Class::Admin),
    ..PLAIN
};
const CRYPT: Mark = Mark {
    secret: true,
    ..PLAIN
};

/// The mark of a function, by its folded name and the schema that the text names, if any.
pub(crate) fn mark(schema: Option<&str>, name: &str) -> Option<Mark> {
    let core = matches!(schema, None | Some("pg_catalog"));
    let found = if core { core_mark(name) } else { None };
    found.or_else(|| extension_mark(name))
}

/// Functions of the server itself.
fn core_mark(name: &str) -> Option<Mark> {
    Some(match name {
        // Sequences.
        "nextval" | "setval" => WRITE,
        // Server files.
        "pg_read_file"
        | "pg_read_file_old"
        | "pg_read_binary_file"
        | "pg_stat_file"
        | "pg_ls_dir"
        | "pg_ls_logdir"
        | "pg_ls_waldir"
        | "pg_ls_tmpdir"
        | "pg_ls_archive_statusdir"
        | "pg_ls_summariesdir"
        | "pg_ls_logicalsnapdir"
        | "pg_ls_logicalmapdir"
        | "pg_ls_replslotdir"
        | "pg_hba_file_rules"
        | "pg_ident_file_mappings"
        | "pg_show_all_file_settings"
        | "pg_current_logfile"
        | "pg_get_wal_summary_contents"
        | "pg_export_snapshot" => FILE,
        // Large objects.
        "lo_import" | "lo_export" => LARGE_FILE,
        "lo_get" | "loread" | "lo_open" | "lo_close" | "lo_lseek" | "lo_lseek64" | "lo_tell"
        | "lo_tell64" => LARGE_READ,
        "lo_put" | "lowrite" | "lo_creat" | "lo_create" | "lo_unlink" | "lo_from_bytea"
        | "lo_truncate" | "lo_truncate64" => LARGE_WRITE,
        // SQL or relation names in strings.
        "query_to_xml"
        | "query_to_xmlschema"
        | "query_to_xml_and_xmlschema"
        | "cursor_to_xml"
        | "cursor_to_xmlschema"
        | "table_to_xml"
        | "table_to_xmlschema"
        | "table_to_xml_and_xmlschema"
        | "schema_to_xml"
        | "schema_to_xmlschema"
        | "schema_to_xml_and_xmlschema"
        | "database_to_xml"
        | "database_to_xmlschema"
        | "database_to_xml_and_xmlschema"
        | "ts_stat"
        | "ts_rewrite" => DYNAMIC,
        "pg_restore_relation_stats"
        | "pg_restore_attribute_stats"
        | "pg_clear_relation_stats"
        | "pg_clear_attribute_stats" => WRITE,
        // Session settings.
        "set_config" => SETTINGS,
        // Administration.
        "pg_terminate_backend"
        | "pg_cancel_backend"
        | "pg_reload_conf"
        | "pg_rotate_logfile"
        | "pg_rotate_logfile_old"
        | "pg_switch_wal"
        | "pg_create_restore_point"
        | "pg_backup_start"
        | "pg_backup_stop"
        | "pg_start_backup"
        | "pg_stop_backup"
        | "pg_promote"
        | "pg_wal_replay_pause"
        | "pg_wal_replay_resume"
        | "pg_log_standby_snapshot"
        | "pg_log_backend_memory_contexts"
        | "pg_get_process_memory_contexts"
        | "pg_stat_reset"
        | "pg_stat_reset_shared"
        | "pg_stat_reset_single_table_counters"
        | "pg_stat_reset_single_function_counters"
        | "pg_stat_reset_slru"
        | "pg_stat_reset_replication_slot"
        | "pg_stat_reset_subscription_stats"
        | "pg_stat_reset_backend_stats"
        | "pg_create_physical_replication_slot"
        | "pg_create_logical_replication_slot"
        | "pg_copy_physical_replication_slot"
        | "pg_copy_logical_replication_slot"
        | "pg_drop_replication_slot"
        | "pg_replication_slot_advance"
        | "pg_sync_replication_slots"
        | "pg_logical_slot_get_changes"
        | "pg_logical_slot_peek_changes"
        | "pg_logical_slot_get_binary_changes"
        | "pg_logical_slot_peek_binary_changes"
        | "pg_logical_emit_message"
        | "pg_replication_origin_create"
        | "pg_replication_origin_drop"
        | "pg_replication_origin_advance"
        | "pg_replication_origin_session_setup"
        | "pg_replication_origin_session_reset"
        | "pg_replication_origin_xact_setup"
        | "pg_replication_origin_xact_reset"
        | "pg_import_system_collations"
        | "pg_extension_config_dump"
        | "pg_nextoid"
        | "pg_stop_making_pinned_objects"
        | "binary_upgrade_set_next_pg_type_oid" => ADMIN,
        "gin_clean_pending_list"
        | "brin_summarize_new_values"
        | "brin_summarize_range"
        | "brin_desummarize_range" => WRITE,
        _ => return None,
    })
}

/// Functions of extensions, which may live in any schema.
fn extension_mark(name: &str) -> Option<Mark> {
    Some(match name {
        "dblink"
        | "dblink_connect"
        | "dblink_connect_u"
        | "dblink_disconnect"
        | "dblink_exec"
        | "dblink_open"
        | "dblink_fetch"
        | "dblink_close"
        | "dblink_send_query"
        | "dblink_get_result"
        | "dblink_is_busy"
        | "dblink_cancel_query"
        | "dblink_build_sql_insert"
        | "dblink_build_sql_update"
        | "dblink_build_sql_delete"
        | "dblink_get_connections"
        | "dblink_get_notify"
        | "dblink_error_message"
        | "dblink_get_pkey"
        | "dblink_fdw_validator" => DBLINK,
        "postgres_fdw_disconnect"
        | "postgres_fdw_disconnect_all"
        | "postgres_fdw_get_connections" => FOREIGN,
        "http" | "http_get" | "http_post" | "http_put" | "http_patch" | "http_delete"
        | "http_head" | "http_post_form" => FOREIGN,
        // adminpack, pageinspect, file_fdw's kin.
        "pg_file_write" | "pg_file_sync" | "pg_file_rename" | "pg_file_unlink" | "pg_file_read"
        | "pg_file_length" | "pg_logdir_ls" => FILE,
        "get_raw_page" => FILE,
        "sys_exec" | "sys_eval" | "sys_fileread" | "sys_bineval" => CODE,
        // tablefunc, xml2 and lo: SQL or relation names in strings.
        "crosstab" | "crosstab2" | "crosstab3" | "crosstab4" | "crosstabn" | "connectby"
        | "xpath_table" => DYNAMIC,
        "lo_manage" => LARGE_WRITE,
        "cron_schedule" => DYNAMIC_WRITE,
        // pgcrypto: passwords and keys among the arguments.
        "crypt"
        | "pgp_sym_encrypt"
        | "pgp_sym_encrypt_bytea"
        | "pgp_sym_decrypt"
        | "pgp_sym_decrypt_bytea"
        | "pgp_pub_decrypt"
        | "pgp_pub_decrypt_bytea"
        | "hmac"
        | "encrypt"
        | "encrypt_iv"
        | "decrypt"
        | "decrypt_iv" => CRYPT,
        _ => return None,
    })
}

/// Whether a function is one of the server's own that runs no code of anyone else and changes no setting.
pub(crate) fn is_harmless(schema: Option<&str>, name: &str) -> bool {
    let core = matches!(schema, None | Some("pg_catalog"));
    core && (STEADY.binary_search(&name).is_ok() || HARMLESS.binary_search(&name).is_ok())
}

/// Whether a function always gives the same result for all rows of a statement, its arguments being constant.
pub(crate) fn is_steady(schema: Option<&str>, name: &str) -> bool {
    matches!(schema, None | Some("pg_catalog")) && STEADY.binary_search(&name).is_ok()
}

/// Functions without side effects whose value does not change within a statement; sorted.
const STEADY: &[&str] = &[
    "abs",
    "acos",
    "age",
    "array_append",
    "array_cat",
    "array_length",
    "array_ndims",
    "array_position",
    "array_prepend",
    "array_to_string",
    "array_upper",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "bit_count",
    "bit_length",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "convert",
    "convert_from",
    "convert_to",
    "cos",
    "cot",
    "current_catalog",
    "current_database",
    "current_query",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "date_part",
    "date_trunc",
    "decode",
    "degrees",
    "div",
    "encode",
    "erf",
    "exp",
    "extract",
    "factorial",
    "float4",
    "float8",
    "floor",
    "format",
    "gcd",
    "get_bit",
    "get_byte",
    "has_table_privilege",
    "host",
    "inet_client_addr",
    "inet_server_addr",
    "initcap",
    "int2",
    "int4",
    "int8",
    "isfinite",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "justify_days",
    "lcm",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "md5",
    "mod",
    "now",
    "num_nonnulls",
    "num_nulls",
    "numeric",
    "octet_length",
    "overlay",
    "pg_backend_pid",
    "pg_client_encoding",
    "pg_postmaster_start_time",
    "pg_typeof",
    "pi",
    "position",
    "pow",
    "power",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "radians",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "scale",
    "session_user",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sign",
    "sin",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "tan",
    "text",
    "timezone",
    "to_ascii",
    "to_char",
    "to_date",
    "to_hex",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "transaction_timestamp",
    "translate",
    "trim_array",
    "trunc",
    "txid_current",
    "upper",
    "version",
    "width_bucket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_names_are_sorted() {
        assert!(STEADY.is_sorted());
    }

    #[test]
    fn harmless_names_are_sorted_and_in_one_table() {
        assert!(HARMLESS.is_sorted_by(|a, b| a < b));
        for name in HARMLESS {
            assert!(STEADY.binary_search(name).is_err(), "{name}");
            assert_eq!(mark(None, name), None, "{name}");
        }
    }

    #[test]
    fn harmless_functions_are_core_only() {
        assert!(is_harmless(None, "count"));
        assert!(is_harmless(Some("pg_catalog"), "lower"));
        assert!(!is_harmless(Some("app"), "count"));
        assert!(!is_harmless(None, "set_config"));
        assert!(!is_harmless(None, "anything"));
    }

    #[test]
    fn core_functions_are_core_only_extension_functions_are_anywhere() {
        assert_eq!(mark(None, "pg_read_file"), Some(FILE));
        assert_eq!(mark(Some("pg_catalog"), "pg_read_file"), Some(FILE));
        assert_eq!(mark(Some("app"), "pg_read_file"), None);
        assert_eq!(mark(Some("ext"), "dblink_exec"), Some(DBLINK));
        assert_eq!(mark(None, "length"), None);
    }
}
