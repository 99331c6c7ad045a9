//! The functions, types and catalogues whose meaning detectors know, of both engines and of those that probes try.

/// Whether a function gives the same for the same arguments and asks nothing of the server.
pub(super) fn is_pure(name: &[u8]) -> bool {
    is(PURE, name) || is(EXTRACTING, name) || is(ENCODING, name) || is(CHOOSING, name)
}

/// Whether a function cuts a text into what can be compared: characters, codes, lengths.
pub(super) fn extracts(name: &[u8]) -> bool {
    is(EXTRACTING, name)
}

/// Whether a function builds text from numbers or from an encoding.
pub(super) fn encodes(name: &[u8]) -> bool {
    is(ENCODING, name)
}

/// Whether a function chooses by its first argument.
pub(super) fn chooses(name: &[u8]) -> bool {
    is(CHOOSING, name)
}

/// Whether a function or word tells about server, database or session.
pub(super) fn informs(name: &[u8]) -> bool {
    is(INFORMING, name)
}

/// Whether a function waits, or works for as long as it is told.
pub(super) fn waits(name: &[u8]) -> bool {
    is(WAITING, name)
}

/// Whether a function shows its argument in an error.
pub(super) fn complains(name: &[u8]) -> bool {
    is(COMPLAINING, name)
}

/// Whether a function reads or writes files, runs programs or speaks to other hosts.
pub(super) fn leaves(name: &[u8]) -> bool {
    is(LEAVING, name)
}

/// Whether a type is a number.
pub(super) fn is_number_type(name: &[u8]) -> bool {
    is(NUMBER_TYPES, name)
}

/// Whether a table, given by the first and last part of its name, belongs to a catalogue.
pub(super) fn is_catalogue(first: &[u8], last: &[u8]) -> bool {
    is(CATALOGUE_SCHEMAS, first) || first.starts_with(b"pg_") || is(CATALOGUES, last)
}

fn is(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|entry| entry.as_bytes() == name)
}

const PURE: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "concat_ws",
    "conv",
    "cos",
    "cot",
    "crc32",
    "degrees",
    "exp",
    "floor",
    "format",
    "greatest",
    "isnull",
    "least",
    "ln",
    "log",
    "lower",
    "lcase",
    "lpad",
    "ltrim",
    "md5",
    "mod",
    "oct",
    "pi",
    "pow",
    "power",
    "quote",
    "radians",
    "repeat",
    "replace",
    "reverse",
    "round",
    "rpad",
    "rtrim",
    "sha",
    "sha1",
    "sign",
    "sin",
    "soundex",
    "space",
    "sqrt",
    "tan",
    "trim",
    "truncate",
    "ucase",
    "upper",
    "quarter",
    "week",
    "json_depth",
    "json_length",
    "row",
    "interval",
    "field",
    "insert",
    "cast",
    "convert",
    "char_length",
];

const EXTRACTING: &[&str] = &[
    "ascii",
    "bin",
    "bit_length",
    "char_length",
    "character_length",
    "hex",
    "instr",
    "left",
    "length",
    "locate",
    "mid",
    "octet_length",
    "ord",
    "position",
    "right",
    "split_part",
    "strcmp",
    "strpos",
    "substr",
    "substring",
    "unicode",
];

const ENCODING: &[&str] = &[
    "char",
    "chr",
    "decode",
    "from_base64",
    "nchar",
    "unhex",
    "convert_from",
    "hextoraw",
    "to_char",
];

const CHOOSING: &[&str] = &[
    "elt", "if", "ifnull", "iif", "make_set", "nullif", "decode", "nvl",
];

const INFORMING: &[&str] = &[
    "connection_id",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "database",
    "inet_client_addr",
    "inet_server_addr",
    "last_insert_id",
    "pg_backend_pid",
    "schema",
    "session_user",
    "system_user",
    "user",
    "version",
    "load_file",
    "getpgusername",
];

const WAITING: &[&str] = &[
    "benchmark",
    "get_lock",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "sleep",
    "receive_message",
    "randomblob",
    "regexp_substring",
    "master_pos_wait",
    "wait_for_executed_gtid_set",
    "user_lock",
];

const COMPLAINING: &[&str] = &[
    "extractvalue",
    "updatexml",
    "gtid_subset",
    "gtid_subtract",
    "json_keys",
    "name_const",
    "st_latfromgeohash",
    "st_longfromgeohash",
    "st_pointfromgeohash",
    "uuid_to_bin",
    "bin_to_uuid",
    "geometrycollection",
    "multipoint",
    "polygon",
    "multipolygon",
    "linestring",
    "multilinestring",
    "get_host_address",
    "get_host_name",
    "xmltype",
    "sqlid_to_sqlhash",
    "drithsx",
    "query_to_xml",
    "sn",
    "analyse",
    "table_to_xml",
    "database_to_xml",
    "cursor_to_xml",
];

const LEAVING: &[&str] = &[
    "load_file",
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "pg_stat_file",
    "lo_import",
    "lo_export",
    "lo_from_bytea",
    "dblink",
    "dblink_connect",
    "dblink_exec",
    "dblink_send_query",
    "sys_exec",
    "sys_eval",
    "sys_get",
    "sys_set",
    "xp_cmdshell",
    "xp_dirtree",
    "httpuritype",
    "utl_http",
    "pg_file_write",
];

const NUMBER_TYPES: &[&str] = &[
    "bigint", "decimal", "double", "float", "float8", "int", "int4", "int8", "integer", "numeric",
    "real", "smallint", "signed", "unsigned", "bool", "boolean",
];

const CATALOGUE_SCHEMAS: &[&str] = &[
    "information_schema",
    "mysql",
    "performance_schema",
    "pg_catalog",
    "sys",
    "master",
    "sysibm",
    "syscat",
];

const CATALOGUES: &[&str] = &[
    "all_tables",
    "all_tab_columns",
    "all_users",
    "domain.domains",
    "msysaccessobjects",
    "msysobjects",
    "rdb$fields",
    "rdb$types",
    "rdb$database",
    "rdb$collations",
    "rdb$functions",
    "sqlite_master",
    "sysdatabases",
    "syscolumns",
    "sysobjects",
    "sysusers",
    "sysprocesses",
    "user_tables",
    "user_tab_columns",
    "v$version",
    "systables",
    "system_users",
];
