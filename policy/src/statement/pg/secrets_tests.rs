use super::*;

fn secrets(text: &str) -> Vec<&str> {
    let found = find(text.as_bytes(), true, &Limits::default());
    found
        .ranges
        .into_iter()
        .map(|range| text.get(range).unwrap())
        .collect()
}

#[test]
fn passwords_of_roles_mappings_and_connections() {
    assert_eq!(secrets("ALTER ROLE app PASSWORD 'x'"), ["'x'"]);
    assert_eq!(
        secrets("create user a with encrypted password $$x$$ login"),
        ["$$x$$"]
    );
    assert_eq!(
        secrets("CREATE ROLE r PASSWORD 'a'\n'b' IN ROLE c"),
        ["'a'\n'b'"]
    );
    assert_eq!(
        secrets("CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'p')"),
        ["'p'"]
    );
    assert_eq!(
        secrets("CREATE SUBSCRIPTION s CONNECTION 'host=h password=p' PUBLICATION p"),
        ["'host=h password=p'"]
    );
    assert_eq!(
        secrets("SELECT * FROM dblink('host=a', 'SELECT 1')").len(),
        2
    );
    assert_eq!(secrets("SET app.password = 'x'"), ["'x'"]);
    assert_eq!(secrets("SET app.password TO 'x'"), ["'x'"]);
    assert_eq!(
        secrets("ALTER SYSTEM SET primary_conninfo = 'host=a'"),
        ["'host=a'"]
    );
    assert_eq!(
        secrets("DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END$$"),
        ["$$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END$$"]
    );
    assert_eq!(
        secrets("ALTER ROLE a PASSWORD 'unterminated"),
        ["'unterminated"]
    );
    assert_eq!(
        secrets("SELECT crypt('pw', gen_salt('bf'))"),
        ["'pw'", "'bf'"]
    );
}

#[test]
fn values_that_set_config_gives_to_secret_settings() {
    assert_eq!(
        secrets("SELECT set_config('app.password', 'x', false), 'y'"),
        ["'x'"]
    );
    assert_eq!(secrets("SELECT set_config('TOKEN.a', 'x', false)"), ["'x'"]);
    assert_eq!(
        secrets("SELECT set_config('app.pass' || 'word', 'x', false)"),
        ["'word'", "'x'"]
    );
    assert_eq!(
        secrets(r"SELECT set_config(E'app.p\x61ssword', 'x', false)"),
        ["'x'"]
    );
    assert_eq!(secrets("SELECT set_config(a, 'x', false)"), ["'x'"]);
    assert!(secrets("SELECT set_config('search_path', 'x', false)").is_empty());
}

#[test]
fn secret_calls_within_dynamic_ones() {
    assert_eq!(
        secrets("SELECT query_to_xml(crypt('a', 'b'), true)").len(),
        2
    );
}

#[test]
fn parameters_are_secrets_where_secrets_are_taken() {
    let parameters = |text: &str| find(text.as_bytes(), true, &Limits::default()).parameters;
    for text in [
        "SELECT crypt($1, gen_salt('bf'))",
        "UPDATE u SET p = ext.\"crypt\"($1, p) WHERE n = $2",
        "SELECT $1 WHERE crypt('a', 'b') = ''",
        "SELECT pgp_sym_decrypt(d, $1) FROM t",
        "SELECT * FROM dblink($1, 'SELECT 1') AS t(a int)",
        "SELECT query_to_xml(crypt($1, 'b'), true)",
        "SELECT set_config('app.password', $1, false)",
        "SELECT set_config($1, $2, false)",
        "SELECT set_config('a' || 'b', $2, false)",
        "PREPARE p AS SELECT crypt($1, 'x')",
        "SELECT U&\"cr\\0079pt\" UESCAPE '\\' ($1, 'x')",
        "ALTER ROLE a PASSWORD $1",
        "CREATE SUBSCRIPTION s CONNECTION $1 PUBLICATION p",
        "SET app.password = $1",
        "SELECT $1 /*",
    ] {
        assert!(parameters(text), "{text}");
    }
    for text in [
        "SELECT crypt('a', 'b')",
        "SELECT * FROM users WHERE password = $1",
        "INSERT INTO users (name, password) VALUES ($1, $2)",
        "SELECT set_config('search_path', $1, true)",
        "SELECT $1 FROM crypt",
        "SELECT 1 /*",
    ] {
        assert!(!parameters(text), "{text}");
    }
}

#[test]
fn ordinary_data_is_none() {
    assert!(secrets("SELECT * FROM users WHERE password = 'x'").is_empty());
    assert!(secrets("INSERT INTO t VALUES ('my password is')").is_empty());
    assert!(secrets("CREATE TABLE t (password text DEFAULT 1, a text DEFAULT 'x')").is_empty());
}
