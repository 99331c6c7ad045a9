//! Functions and procedures of the servers that do more than compute, and which functions are the servers' own.

use crate::vocabulary::{Class, Egress};

/// What calling a function means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The class of a statement that calls it, at least.
    pub(super) class: Option<Class>,
    /// The way out or in that it opens.
    pub(super) egress: Option<Egress>,
    /// It runs SQL from its arguments.
    pub(super) dynamic: bool,
    /// Its argument is the name of a sequence.
    pub(super) sequence: bool,
}

const PLAIN: Mark = Mark {
    class: None,
    egress: None,
    dynamic: false,
    sequence: false,
};
const SEQUENCE: Mark = Mark {
    class: Some(Class::Write),
    sequence: true,
    ..PLAIN
};
const ADMIN: Mark = Mark {
    class: Some(Class::Admin),
    ..PLAIN
};
const DYNAMIC: Mark = Mark {
    dynamic: true,
    class: Some(Class::Write),
    ..PLAIN
};

/// The mark of a function or procedure, by its folded name.
pub(super) fn mark(schema: Option<&str>, name: &str) -> Option<Mark> {
    let sys = matches!(schema, Some("sys" | "mysql"));
    Some(match name {
        "load_file" if schema.is_none() => Mark {
            egress: Some(Egress::ServerFile),
            class: Some(Class::Admin),
            ..PLAIN
        },
        // MariaDB; in MySQL these would be stored functions with ordinary arguments.
        "nextval" | "lastval" | "setval" if schema.is_none() => SEQUENCE,
        "execute_prepared_stmt"
        | "ps_trace_statement_digest"
        | "ps_trace_thread"
        | "diagnostics"
        | "create_synonym_db"
        | "table_exists"
        | "statement_performance_analyzer"
            if sys || schema.is_none() =>
        {
            DYNAMIC
        }
        // User-defined functions that run commands or open connections.
        "sys_exec" | "sys_eval" | "sys_set" | "sys_bineval" | "http_get" | "http_post" => Mark {
            egress: Some(Egress::Code),
            class: Some(Class::Admin),
            ..PLAIN
        },
        "spider_direct_sql" | "spider_bg_direct_sql" | "spider_copy_tables" => Mark {
            egress: Some(Egress::Foreign),
            ..DYNAMIC
        },
        "group_replication_set_as_primary"
        | "group_replication_switch_to_single_primary_mode"
        | "group_replication_switch_to_multi_primary_mode"
        | "group_replication_set_write_concurrency"
        | "group_replication_set_communication_protocol"
        | "asynchronous_connection_failover_add_source"
        | "asynchronous_connection_failover_delete_source"
        | "asynchronous_connection_failover_add_managed"
        | "asynchronous_connection_failover_delete_managed"
        | "audit_log_filter_set_filter"
        | "audit_log_filter_remove_filter"
        | "audit_log_filter_set_user"
        | "audit_log_filter_flush"
        | "keyring_key_store"
        | "keyring_key_remove"
        | "keyring_key_generate"
        | "keyring_key_fetch"
        | "set_firewall_mode"
        | "mysql_firewall_flush_status"
        | "wsrep_set_load_data_splitting" => ADMIN,
        _ => return None,
    })
}

/// Whether a function of that name, unqualified, is the server's own.
pub(super) fn is_native(name: &str) -> bool {
    NATIVE.binary_search(&name).is_ok()
}

/// The functions that both servers bring, sorted.
#[rustfmt::skip]
const NATIVE: &[&str] = &[
    "abs", "acos", "add_months", "adddate", "addmonths", "addtime", "aes_decrypt", "aes_encrypt", "any_value", "area",
    "asbinary", "ascii", "asin", "astext", "aswkb", "aswkt", "atan", "atan2", "avg", "benchmark", "bin",
    "bin_to_uuid", "binlog_gtid_pos", "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "boundary", "buffer",
    "can_access_column", "can_access_database", "can_access_table", "cast", "ceil", "ceiling", "centroid", "char",
    "char_length", "character_length", "charset", "chr", "coalesce", "coercibility", "collation", "column_add",
    "column_check", "column_create", "column_delete", "column_exists", "column_get", "column_json", "column_list",
    "compress", "concat", "concat_operator_oracle", "concat_ws", "connection_id", "contains", "conv", "convert",
    "convert_tz", "convexhull", "cos", "cot", "count", "crc32", "crc32c", "crosses", "cume_dist", "curdate",
    "current_date", "current_role", "current_time", "current_timestamp", "current_user", "curtime", "database",
    "date", "date_add", "date_format", "date_sub", "datediff", "day", "dayname", "dayofmonth", "dayofweek",
    "dayofyear", "decode", "decode_histogram", "decode_oracle", "default", "degrees", "dense_rank", "des_decrypt",
    "des_encrypt", "dimension", "disjoint", "distance", "elt", "encode", "encrypt", "endpoint", "envelope", "equals",
    "etag", "exp", "export_set", "exteriorring", "extract", "extractvalue", "field", "find_in_set", "first_value",
    "floor", "format", "format_bytes", "format_pico_time", "found_rows", "from_base64", "from_days", "from_unixtime",
    "from_vector", "geomcollection", "geomcollfromtext", "geometrycollection", "geometryfromtext", "geometryn",
    "geometrytype", "geomfromtext", "geomfromwkb", "get_format", "get_lock", "glength", "greatest", "group_concat",
    "group_replication_get_communication_protocol", "grouping", "gtid_subset", "gtid_subtract", "hex", "hour",
    "icu_version", "if", "ifnull", "in", "inet6_aton", "inet6_ntoa", "inet_aton", "inet_ntoa", "insert", "instr",
    "interiorringn", "intersects", "interval", "is_free_lock", "is_ipv4", "is_ipv4_compat", "is_ipv4_mapped",
    "is_ipv6", "is_used_lock", "is_uuid", "isclosed", "isempty", "isnull", "isring", "issimple", "json_array",
    "json_array_append", "json_array_insert", "json_array_intersect", "json_arrayagg", "json_compact",
    "json_contains", "json_contains_path", "json_depth", "json_detailed", "json_duality_object", "json_equals",
    "json_exists", "json_extract", "json_insert", "json_key_value", "json_keys", "json_length", "json_loose",
    "json_merge", "json_merge_patch", "json_merge_preserve", "json_normalize", "json_object",
    "json_object_filter_keys", "json_object_to_array", "json_objectagg", "json_overlaps", "json_pretty", "json_query",
    "json_quote", "json_remove", "json_replace", "json_schema_valid", "json_schema_validation_report", "json_search",
    "json_set", "json_storage_free", "json_storage_size", "json_table", "json_type", "json_unquote", "json_valid",
    "json_value", "kdf", "lag", "last_day", "last_insert_id", "last_value", "lastval", "lcase", "lead", "least",
    "left", "length", "lengthb", "linefromtext", "linestring", "linestringfromtext", "ln", "load_file", "localtime",
    "localtimestamp", "locate", "log", "log10", "log2", "lower", "lpad", "lpad_oracle", "ltrim", "ltrim_oracle",
    "make_set", "makedate", "maketime", "master_gtid_wait", "master_pos_wait", "max", "mbrcontains", "mbrcoveredby",
    "mbrcovers", "mbrdisjoint", "mbrequals", "mbrintersects", "mbroverlaps", "mbrtouches", "mbrwithin", "md5",
    "median", "microsecond", "mid", "min", "minute", "mlinefromtext", "mod", "month", "monthname", "months_between",
    "mpointfromtext", "mpolyfromtext", "multilinestring", "multipoint", "multipolygon", "name_const",
    "natural_sort_key", "nextval", "now", "nth_value", "ntile", "nullif", "numgeometries", "numinteriorrings",
    "numpoints", "nvl", "nvl2", "oct", "octet_length", "old_password", "ora_hash", "ord", "overlaps", "password",
    "percent_rank", "percentile_cont", "percentile_disc", "period_add", "period_diff", "pi", "point", "pointfromtext",
    "pointn", "pointonsurface", "polyfromtext", "polygon", "polygonfromtext", "position", "pow", "power", "procedure",
    "ps_current_thread_id", "ps_thread_id", "quarter", "quote", "radians", "rand", "random_bytes", "rank",
    "regexp_count", "regexp_instr", "regexp_like", "regexp_replace", "regexp_substr", "release_all_locks",
    "release_lock", "repeat", "replace", "replace_oracle", "reverse", "right", "roles_graphml", "round", "row",
    "row_count", "row_number", "rownum", "rpad", "rpad_oracle", "rtrim", "rtrim_oracle", "schema", "schemas",
    "sec_to_time", "second", "session_user", "setval", "sformat", "sha", "sha1", "sha2", "sign", "sin", "sleep",
    "soundex", "source_pos_wait", "space", "sqrt", "srid", "st_area", "st_asbinary", "st_asgeojson", "st_astext",
    "st_aswkb", "st_aswkt", "st_boundary", "st_buffer", "st_buffer_strategy", "st_centroid", "st_collect",
    "st_contains", "st_convexhull", "st_crosses", "st_difference", "st_dimension", "st_disjoint", "st_distance",
    "st_distance_sphere", "st_endpoint", "st_envelope", "st_equals", "st_exteriorring", "st_frechetdistance",
    "st_geohash", "st_geomcollfromtext", "st_geomcollfromtxt", "st_geomcollfromwkb", "st_geometrycollectionfromtext",
    "st_geometrycollectionfromwkb", "st_geometryfromtext", "st_geometryfromwkb", "st_geometryn", "st_geometrytype",
    "st_geomfromgeojson", "st_geomfromtext", "st_geomfromwkb", "st_hausdorffdistance", "st_interiorringn",
    "st_intersection", "st_intersects", "st_isclosed", "st_isempty", "st_isring", "st_issimple", "st_isvalid",
    "st_latfromgeohash", "st_latitude", "st_length", "st_linefromtext", "st_linefromwkb", "st_lineinterpolatepoint",
    "st_lineinterpolatepoints", "st_linestringfromtext", "st_linestringfromwkb", "st_longfromgeohash", "st_longitude",
    "st_makeenvelope", "st_mlinefromtext", "st_mlinefromwkb", "st_mpointfromtext", "st_mpointfromwkb",
    "st_mpolyfromtext", "st_mpolyfromwkb", "st_multilinestringfromtext", "st_multipointfromtext",
    "st_multipolygonfromtext", "st_numgeometries", "st_numinteriorring", "st_numinteriorrings", "st_numpoints",
    "st_overlaps", "st_pointatdistance", "st_pointfromgeohash", "st_pointfromtext", "st_pointfromwkb", "st_pointn",
    "st_pointonsurface", "st_polyfromtext", "st_polyfromwkb", "st_polygonfromtext", "st_polygonfromwkb", "st_relate",
    "st_simplify", "st_srid", "st_startpoint", "st_swapxy", "st_symdifference", "st_touches", "st_transform",
    "st_union", "st_validate", "st_within", "st_x", "st_y", "startpoint", "statement_digest", "statement_digest_text",
    "std", "stddev", "stddev_pop", "stddev_samp", "str_to_date", "strcmp", "string_to_vector", "subdate", "substr",
    "substr_oracle", "substring", "substring_index", "subtime", "sum", "sys_guid", "sysdate", "system_user", "tan",
    "time", "time_format", "time_to_sec", "timediff", "timestamp", "timestampadd", "timestampdiff", "to_base64",
    "to_char", "to_date", "to_days", "to_number", "to_seconds", "to_vector", "touches", "trim", "trim_oracle",
    "truncate", "ucase", "uncompress", "uncompressed_length", "unhex", "unix_timestamp", "updatexml", "upper", "user",
    "utc_date", "utc_time", "utc_timestamp", "uuid", "uuid_short", "uuid_to_bin", "uuid_v4", "uuid_v7",
    "validate_password_strength", "values", "var_pop", "var_samp", "variance", "vec_distance", "vec_distance_cosine",
    "vec_distance_euclidean", "vec_fromtext", "vec_totext", "vector_dim", "vector_to_string", "version",
    "wait_for_executed_gtid_set", "week", "weekday", "weekofyear", "weight_string", "within", "wsrep_last_seen_gtid",
    "wsrep_last_written_gtid", "wsrep_sync_wait_upto_gtid", "x", "y", "year", "yearweek",
];
