//! PostgreSQL texts on which readers of SQL are known to go wrong, with the facts that the server's behaviour demands.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Analysis, LexState, Limits, Name, ObjectAccess, PostgresLex,
    StatementFacts, analyse,
};
use sqlward_policy::vocabulary::{Access, Egress, ObjectKind, Unreadable, Verb, WhereShape};

/// Runs `f` on a thread with the stack that the analysis asks for.
fn on_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(ANALYSIS_STACK_BYTES)
            .spawn_scoped(scope, f)
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

fn read(sql: &[u8], conforming: bool) -> Analysis {
    let lex = LexState::Postgres(PostgresLex {
        standard_conforming_strings: conforming,
        ..PostgresLex::default()
    });
    on_stack(|| analyse(sql, &lex, &Limits::default()))
}

fn relations(facts: &[StatementFacts], wanted: impl Fn(Access) -> bool) -> String {
    let mut names: Vec<String> = facts
        .iter()
        .flat_map(|facts| &facts.objects)
        .filter(|object: &&ObjectAccess| {
            object.kind == ObjectKind::Relation && wanted(object.access)
        })
        .map(|object| match &object.name.schema {
            Some(schema) => format!("{schema}.{}", object.name.name),
            None => object.name.name.to_string(),
        })
        .collect();
    names.sort();
    names.dedup();
    names.join(",")
}

/// `verb[;verb] [r=relations read] [w=relations changed] [f=functions]`, or the reason why it can't be read.
fn summary(analysis: &Analysis) -> String {
    if let Some(reason) = analysis.facts.unreadable {
        return format!("unreadable {reason}");
    }
    let facts = &analysis.facts.statements;
    let verbs: Vec<&str> = facts.iter().map(|facts| facts.verb.as_str()).collect();
    let mut text = verbs.join(";");
    let mut add = |label: &str, names: String| {
        if !names.is_empty() {
            text.push_str(&format!(" {label}={names}"));
        }
    };
    add(
        "r",
        relations(facts, |access| {
            matches!(access, Access::Read | Access::Refer)
        }),
    );
    add(
        "w",
        relations(facts, |access| {
            matches!(
                access,
                Access::Insert | Access::Update | Access::Delete | Access::Ddl | Access::Dcl
            )
        }),
    );
    let functions: Vec<String> = facts
        .iter()
        .flat_map(|facts| &facts.functions)
        .map(|name| match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.to_string(),
        })
        .collect();
    add("f", functions.join(","));
    text
}

const CASES: &[(&str, &str, &str)] = &[
    (
        "P01",
        "SELECT 1 /* /* */ UNION SELECT v FROM secret -- */",
        "select",
    ),
    (
        "P02",
        "SELECT 1 /* /* */ */ UNION SELECT v FROM secret",
        "select r=secret",
    ),
    (
        "P03",
        r"SELECT 'a\' UNION SELECT v FROM secret --'",
        "select r=secret",
    ),
    (
        "P05",
        r"SELECT E'a\' UNION SELECT v FROM secret --'",
        "select",
    ),
    (
        "P06",
        r"SELECT e'\\' UNION SELECT v FROM secret --'",
        "select r=secret",
    ),
    ("P07", r#"SELECT v FROM U&"\0073ecret""#, "select r=secret"),
    ("P09", r"SELECT U&'\0061', v FROM secret", "select r=secret"),
    (
        "P10",
        "SELECT $x$ ' $x$, v FROM secret -- '",
        "select r=secret",
    ),
    (
        "P11",
        "SELECT $$ $a$ $$, v FROM secret -- $a$",
        "select r=secret",
    ),
    (
        "P13",
        "SELECT v FROM secret WHERE v<>$_1$'$_1$",
        "select r=secret",
    ),
    ("P14", "SELECT V FROM SECRET", "select r=secret"),
    ("P15", r#"SELECT v FROM "SECRET""#, "select r=SECRET"),
    (
        "P17",
        "SELECT v FROM public/**/./* x */secret",
        "select r=public.secret",
    ),
    ("P18", "TABLE secret", "select r=secret"),
    ("P19", "TABLE public.secret", "select r=public.secret"),
    ("P21", "TABLE ONLY secret", "select r=secret"),
    ("P22", "VALUES (1,2),(3,4)", "select"),
    (
        "P23",
        "WITH x AS (DELETE FROM secret RETURNING *) SELECT * FROM x",
        "select w=secret",
    ),
    (
        "P25",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "select r=secret",
    ),
    (
        "P26",
        "SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) x, secret",
        "select r=secret",
    ),
    (
        "P27",
        "WITH secret AS (SELECT 1) SELECT * FROM public.secret",
        "select r=public.secret",
    ),
    (
        "P29",
        "SELECT v INTO newt FROM secret",
        "select r=secret w=newt",
    ),
    (
        "P30",
        "CREATE TABLE newt2 AS TABLE secret",
        "create r=secret w=newt2",
    ),
    ("P31", "COPY secret TO STDOUT", "copy r=secret"),
    ("P33", "COPY users FROM PROGRAM 'id'", "copy w=users"),
    (
        "P34",
        "COPY secret TO PROGRAM 'cat > /dev/null'",
        "copy r=secret",
    ),
    (
        "P35",
        "COPY secret (v) FROM '/etc/passwd' (FORMAT csv, HEADER)",
        "copy w=secret",
    ),
    (
        "P37",
        "SELECT lo_import('/etc/passwd')",
        "select f=lo_import",
    ),
    (
        "P38",
        "SELECT pg_read_file('/etc/passwd'), pg_ls_dir('/')",
        "select f=pg_ls_dir,pg_read_file",
    ),
    (
        "P39",
        "SELECT * FROM pg_read_file('/etc/passwd')",
        "select f=pg_read_file",
    ),
    (
        "P41",
        r#"SELECT "pg_read_file"('/etc/passwd'), pg_catalog.pg_sleep(1), pg_catalog . "pg_sleep"(0)"#,
        "select f=pg_read_file,pg_catalog.pg_sleep",
    ),
    (
        "P42",
        "SELECT * FROM dblink('dbname=x','DELETE FROM secret') AS t(a int)",
        "select f=dblink",
    ),
    (
        "P43",
        "SELECT query_to_xml('select * from secret',true,true,'')",
        "select f=query_to_xml",
    ),
    (
        "P45",
        "DO $$ BEGIN EXECUTE 'DROP TABLE secret'; END $$",
        "do",
    ),
    (
        "P46",
        "DO LANGUAGE plpgsql 'BEGIN DELETE FROM secret; END'",
        "do",
    ),
    (
        "P47",
        "EXPLAIN ANALYZE DELETE FROM secret",
        "explain w=secret",
    ),
    ("P49", "EXPLAIN ANALYZE VERBOSE EXECUTE s(1)", "explain"),
    (
        "P50",
        "CREATE RULE r AS ON INSERT TO users DO ALSO DELETE FROM secret",
        "create w=secret,users",
    ),
    (
        "P51",
        "CREATE FUNCTION f1() RETURNS void LANGUAGE sql AS 'DELETE FROM secret'",
        "create",
    ),
    ("P53", "SET search_path = evil, public", "set"),
    ("P54", "SET LOCAL search_path TO evil", "set"),
    ("P55", "SET standard_conforming_strings = off", "set"),
    ("P57", "SET ROLE postgres", "set"),
    ("P58", "ALTER ROLE app SET search_path = evil", "alter"),
    ("P59", "PREPARE s AS DELETE FROM secret", "prepare w=secret"),
    (
        "P61",
        "DECLARE c CURSOR FOR SELECT v FROM secret",
        "declare r=secret",
    ),
    ("P62", "FETCH ALL FROM c", "fetch"),
    (
        "P63",
        "MERGE INTO users u USING secret s ON u.id=1 WHEN MATCHED THEN DELETE",
        "merge r=secret w=users",
    ),
    ("P65", "SELECT v FROM\u{3000}secret", "select"),
    (
        "P66",
        "SELECT 1;;DELETE FROM secret",
        "select;delete w=secret",
    ),
    ("P67", "SELECT 5*/* x */3, v FROM secret", "select r=secret"),
    ("P69", "SELECT v FROM ONLY secret", "select r=secret"),
    ("P70", "SELECT v FROM secret *", "select r=secret"),
    ("P71", "SELECT secret FROM secret", "select r=secret"),
    ("P73", "SELECT 'a'\n'b', v FROM secret", "select r=secret"),
    ("P74", "SELECT 'a' 'b', v FROM secret", "unreadable syntax"),
    (
        "P75",
        "SELECT 1 \0 UNION SELECT v FROM secret",
        "unreadable syntax",
    ),
    ("P77", "SELECT 1a", "unreadable syntax"),
    ("P78", "SELECT 0x1F, 1_000, 0b11, 0o17", "select"),
    ("P79", "SELECT v FROM secret FOR UPDATE", "select r=secret"),
    (
        "P82",
        "UPDATE users SET (id,name) = (SELECT 1, v FROM secret LIMIT 1)",
        "update r=secret w=users",
    ),
    (
        "P83",
        "INSERT INTO users VALUES (1,'x') ON CONFLICT DO NOTHING RETURNING (SELECT v FROM secret LIMIT 1)",
        "insert r=secret w=users",
    ),
    ("P85", "LOAD 'evil.so'", "load"),
    ("P86", "CREATE EXTENSION dblink", "create"),
    (
        "P87",
        "ALTER SYSTEM SET archive_command = 'x'",
        "alter-system",
    ),
    ("P89", "REASSIGN OWNED BY a TO b", "reassign"),
    ("P90", "VACUUM FULL secret", "vacuum r=secret"),
    (
        "P91",
        "SELECT * FROM XMLTABLE('/a' PASSING (SELECT v::xml FROM secret) COLUMNS x text)",
        "select r=secret",
    ),
    (
        "P93",
        "SELECT 1 FROM users GROUP BY GROUPING SETS ((id),(SELECT 1 FROM secret LIMIT 1))",
        "select r=secret,users",
    ),
    (
        "P94",
        "SELECT sum(id) FILTER (WHERE EXISTS (SELECT 1 FROM secret)) OVER (ORDER BY (SELECT v FROM secret LIMIT 1)) FROM users",
        "select r=secret,users f=sum",
    ),
    (
        "P95",
        "SELECT id FROM users ORDER BY (SELECT v FROM secret) LIMIT (SELECT 1 FROM secret) OFFSET (SELECT 0 FROM secret)",
        "select r=secret,users",
    ),
    ("P97", "GRANT ALL ON secret TO public", "grant w=secret"),
    ("P98", "ALTER TABLE secret RENAME TO pub", "alter w=secret"),
    ("P99", "NOTIFY ch, 'x'", "notify"),
    (
        "P101",
        "CREATE TRIGGER t AFTER INSERT ON users EXECUTE FUNCTION evil()",
        "create w=users",
    ),
    (
        "P102",
        "SECURITY LABEL ON TABLE secret IS 'x'",
        "security-label w=secret",
    ),
    (
        "P103",
        "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
        "import",
    ),
    ("P105", "DROP OWNED BY app", "reassign"),
    (
        "P106",
        "DROP TABLE IF EXISTS users, secret",
        "drop w=secret,users",
    ),
    (
        "P107",
        "TRUNCATE users, ONLY secret",
        "truncate w=secret,users",
    ),
    ("P110", "DELETE FROM ONLY secret", "delete w=secret"),
    ("P111", "UPDATE ONLY secret SET v='x'", "update w=secret"),
    (
        "P113",
        "MERGE INTO users u USING (SELECT v FROM secret) s ON u.id=1 WHEN MATCHED THEN UPDATE SET name=s.v",
        "merge r=secret w=users",
    ),
    (
        "P114",
        "DELETE FROM users RETURNING (SELECT v FROM secret)",
        "delete r=secret w=users",
    ),
    ("P115", "SELECT v FROM ONLY (secret)", "select r=secret"),
    // CTE scopes.
    (
        "recursive CTE sees itself",
        "WITH RECURSIVE secret AS (SELECT 1 UNION ALL SELECT * FROM secret) SELECT * FROM secret",
        "select",
    ),
    (
        "CTE is no target",
        "WITH secret AS (SELECT 1) DELETE FROM secret",
        "delete w=secret",
    ),
    (
        "CTE of an inner query ends there",
        "SELECT (WITH secret AS (SELECT 1) SELECT * FROM secret), v FROM secret",
        "select r=secret",
    ),
    (
        "CTE in a branch",
        "(WITH secret AS (SELECT 1) SELECT * FROM secret) UNION SELECT v FROM secret",
        "select r=secret",
    ),
    (
        "CTE seen by a later one",
        "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b",
        "select",
    ),
    (
        "CTE not seen by an earlier one",
        "WITH b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM b",
        "select r=a",
    ),
    (
        "CTE around INSERT",
        "WITH a AS (SELECT 1) INSERT INTO users SELECT * FROM a",
        "insert w=users",
    ),
    (
        "data-modifying CTE",
        "WITH a AS (INSERT INTO t SELECT * FROM s RETURNING 1) UPDATE u SET x = 1 FROM a WHERE u.id = 1",
        "update r=s w=t,u",
    ),
    (
        "ON CONFLICT DO UPDATE",
        "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET v = (SELECT v FROM secret)",
        "insert r=secret w=t",
    ),
    (
        "EXPLAIN runs nothing",
        "EXPLAIN DELETE FROM secret",
        "explain r=secret",
    ),
    (
        "EXPLAIN with ANALYZE off",
        "EXPLAIN (ANALYZE off) DELETE FROM secret",
        "explain r=secret",
    ),
    (
        "EXPLAIN with ANALYZE",
        "EXPLAIN (COSTS off, ANALYZE) DELETE FROM secret",
        "explain w=secret",
    ),
    (
        "view body",
        "CREATE VIEW x AS SELECT * FROM secret",
        "create r=secret w=x",
    ),
    (
        "foreign key",
        "CREATE TABLE x (a int REFERENCES secret, LIKE y) INHERITS (z)",
        "create r=secret,y,z w=x",
    ),
    (
        "partition",
        "CREATE TABLE x PARTITION OF y FOR VALUES IN (1)",
        "create r=y w=x",
    ),
    (
        "attach",
        "ALTER TABLE x ATTACH PARTITION y FOR VALUES IN (1)",
        "alter w=x,y",
    ),
    (
        "SQL body",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC DELETE FROM secret; SELECT 1; END",
        "create w=secret",
    ),
    (
        "COPY of a query",
        "COPY (DELETE FROM secret RETURNING *) TO STDOUT",
        "copy w=secret",
    ),
    (
        "JSON_TABLE",
        "SELECT * FROM JSON_TABLE((SELECT v FROM secret), '$' COLUMNS (a int PATH '$'))",
        "select r=secret",
    ),
    (
        "TABLESAMPLE",
        "SELECT * FROM users TABLESAMPLE system ((SELECT 1 FROM secret))",
        "select r=secret,users",
    ),
    (
        "ROWS FROM",
        "SELECT * FROM ROWS FROM (f((SELECT v FROM secret)), g(1))",
        "select r=secret f=f,g",
    ),
    (
        "policy",
        "CREATE POLICY p ON users USING (EXISTS (SELECT 1 FROM secret))",
        "create r=secret w=users",
    ),
    (
        "publication",
        "CREATE PUBLICATION p FOR TABLE secret WHERE (v > 1)",
        "create r=secret",
    ),
    (
        "index expression",
        "CREATE INDEX ON users (lower(name)) WHERE (SELECT true FROM secret)",
        "create r=secret w=users f=lower",
    ),
    (
        "comment on a column",
        "COMMENT ON COLUMN public.secret.v IS 'x'",
        "comment w=public.secret",
    ),
    (
        "drop of a policy",
        "DROP POLICY p ON secret",
        "drop w=secret",
    ),
    ("empty", " ; /* nothing */ ;", "empty"),
    (
        "cursor on a write",
        "PREPARE s AS WITH a AS (DELETE FROM secret RETURNING v) SELECT * FROM a",
        "prepare w=secret",
    ),
];

#[test]
fn facts_are_what_the_server_does() {
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(id, sql, expected)| {
            let found = summary(&read(sql.as_bytes(), true));
            (found != *expected)
                .then(|| format!("{id}: {sql}\n  expected {expected}\n  found    {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn backslashes_end_nothing_when_strings_do_not_conform() {
    let sql = br"SELECT '\'' UNION SELECT v FROM secret --'";
    assert_eq!(summary(&read(sql, false)), "select r=secret", "P109");
    assert_eq!(
        summary(&read(sql, true)),
        "select",
        "P109 with conforming strings"
    );
}

#[test]
fn names_are_truncated_as_the_server_does() {
    let name = "a".repeat(63);
    let sql = format!("SELECT v FROM \"{name}zzz\"");
    assert_eq!(
        summary(&read(sql.as_bytes(), true)),
        format!("select r={name}"),
        "P81"
    );
}

#[test]
fn unreadable_texts_name_what_they_can() {
    let analysis = read(
        b"DELETE FROM Secret WHERE 'a' 'b' AND pg_read_file('x') /*",
        true,
    );
    let facts = analysis.facts.statements.first().expect("a statement");
    assert_eq!(analysis.facts.unreadable, Some(Unreadable::Syntax));
    assert_eq!(facts.verb, Verb::Delete);
    assert!(
        facts
            .objects
            .iter()
            .any(|object| &*object.name.name == "secret")
    );
    assert!(facts.egress.contains(&Egress::ServerFile));
}

fn shape(condition: &str) -> WhereShape {
    let sql = format!("DELETE FROM t WHERE {condition}");
    let analysis = read(sql.as_bytes(), true);
    assert_eq!(analysis.facts.unreadable, None, "{sql}");
    analysis
        .facts
        .statements
        .first()
        .expect("a statement")
        .where_shape
}

#[test]
fn disguises_of_true_are_seen_through() {
    let always = [
        "true",
        "1=1",
        "'a'='a'",
        "2>1",
        "NOT false",
        "'1'",
        "'t'",
        "1::int=1",
        "NULL IS NULL",
        "1 IN (1)",
        "1 IN (3, 2, 1)",
        "1 BETWEEN 0 AND 2",
        "EXISTS(SELECT 1)",
        "EXISTS (VALUES (1))",
        "id = 5 OR 1=1",
        "1=1 AND 2=2",
        "CASE WHEN 1=1 THEN true ELSE false END",
        "id = id",
        "t.id = id",
        "id IS NOT NULL OR id IS NULL",
        "name LIKE '%'",
        "name ILIKE '%%'",
        "name ~ '.*'",
        "length('a')>0",
        "coalesce(true)",
        "coalesce(NULL, true)",
        "random() < 2",
        "random() >= 0",
        "id = id + 0",
        "id >= id",
        "(SELECT true)",
        "(SELECT 1) = 1",
        "1=1 -- ",
        "NOT NOT true",
        "NOT (1=2)",
        "1<>2",
        "1!=2",
        "0x1 = 1",
        "1_0 = 10",
        "'a'||'b' = 'ab'",
        "lower('A') = 'a'",
        "ascii('a') = 97",
        "chr(97) = 'a'",
        "true IS TRUE",
        "(1=1) IS NOT FALSE",
        "1 = ANY(ARRAY[1,2])",
        "1 IS NOT DISTINCT FROM 1",
        "1 IS DISTINCT FROM 2",
        "id IS NOT DISTINCT FROM id",
        "ROW(1,2) = ROW(1,2)",
        "NULLIF(1,2) = 1",
        "0.1+0.2 = 0.3",
        "md5('a') <> 'x'",
        "now() > '2000-01-01'",
        "current_user = current_user",
        "NOT (id <> id)",
        "id IN (id, 5)",
        "id = $1 OR true",
        "$1 = $1",
        "id < 5 OR id >= 5",
        "id = 5 OR NOT (id = 5)",
        "id || '' = id",
        "true::boolean",
        "1::bool",
        "1 IN (SELECT 1)",
        "EXISTS (SELECT count(*) FROM t WHERE false)",
        "-1 < 0",
        "abs(id) >= 0",
        "length(name) >= 0",
        "id BETWEEN id AND id",
        "'x' LIKE 'x'",
        "1 = 1 AND (id = id)",
        "((((1=1))))",
        "(true, 1) = (true, 1)",
        "CASE 1 WHEN 1 THEN true END",
        "CASE WHEN id > 0 THEN true ELSE true END",
        "coalesce(id = id, false)",
    ];
    let wrong: Vec<&str> = always
        .into_iter()
        .filter(|sql| shape(sql) != WhereShape::AlwaysTrue)
        .collect();
    assert!(wrong.is_empty(), "not seen through: {wrong:#?}");
}

#[test]
fn restrictions_are_restrictions() {
    let restricting = [
        "id = 1",
        "id = $1",
        "1=1 AND id = 1",
        "id IS NOT NULL",
        "name LIKE 'a%'",
        "random() < 0.5",
        "1=2",
        "false",
        "NULL",
        "NULL = NULL",
        "id IN (1,2)",
        "id = other",
        "a.id = b.id",
        "EXISTS (SELECT 1 FROM s WHERE s.id = t.id)",
        "id = (SELECT max(id) FROM t)",
        "CURRENT OF c",
        "NOT (id = id)",
        "id <> id",
        "id = 1 OR id = 2",
        "id + 1 = 2",
        "NOT true",
        "1 IN (2,3)",
        "length(name) > 3",
        "f(id)",
        "f('x')",
        "active",
        "NOT active",
        "id = any($1)",
        "id = id + 1",
        "NOT (NULL = 1)",
        "id > 0 OR id > 5",
        "(NULL OR false)",
        "deleted_at < now()",
        "'f'",
        "name ~ '^a'",
    ];
    let wrong: Vec<&str> = restricting
        .into_iter()
        .filter(|sql| shape(sql) != WhereShape::Restricting)
        .collect();
    assert!(wrong.is_empty(), "taken for no restriction: {wrong:#?}");
}

#[test]
fn the_weakest_clause_counts() {
    let shape = |sql: &str| {
        read(sql.as_bytes(), true)
            .facts
            .statements
            .first()
            .expect("a statement")
            .where_shape
    };
    assert_eq!(shape("DELETE FROM t USING u"), WhereShape::Absent);
    assert_eq!(
        shape("UPDATE t SET a = 1 FROM u WHERE t.id = u.id"),
        WhereShape::Restricting
    );
    assert_eq!(
        shape("WITH x AS (DELETE FROM t RETURNING 1) UPDATE u SET a = 1 WHERE id = 1"),
        WhereShape::Absent
    );
    assert_eq!(shape("SELECT 1 WHERE true"), WhereShape::NotApplicable);
    assert_eq!(shape("INSERT INTO t SELECT 1"), WhereShape::NotApplicable);
    assert_eq!(shape("EXPLAIN DELETE FROM t"), WhereShape::NotApplicable);
    assert_eq!(shape("PREPARE x AS DELETE FROM t"), WhereShape::Absent);
}

/// The facts of a text of one statement.
fn facts(sql: &str) -> StatementFacts {
    let analysis = read(sql.as_bytes(), true);
    assert_eq!(analysis.facts.unreadable, None, "{sql}");
    analysis
        .facts
        .statements
        .into_iter()
        .next()
        .expect("a statement")
}

fn dotted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}

#[test]
fn relations_named_in_literals_are_objects() {
    let objects = |sql: &str| -> Vec<String> {
        let found = facts(sql).objects.into_iter();
        found
            .map(|one| {
                format!(
                    "{:?} {} {}",
                    one.kind,
                    dotted(&one.name),
                    one.access.as_str()
                )
            })
            .collect()
    };
    for (sql, expected) in [
        ("SELECT nextval('s')", "Relation s refer"),
        (
            "SELECT pg_catalog.setval('App.\"S 1\"', 1)",
            "Relation app.S 1 refer",
        ),
        ("SELECT currval('s'::regclass)", "Relation s refer"),
        ("SELECT 'secret'::regclass", "Relation secret refer"),
        (
            "SELECT CAST('\"a\"\"b\"' AS pg_catalog.regclass)",
            "Relation a\"b refer",
        ),
        ("INSERT INTO t VALUES (nextval('s'))", "Relation s refer"),
    ] {
        assert!(
            objects(sql).contains(&expected.to_owned()),
            "{sql}: {:?}",
            objects(sql)
        );
    }
    for sql in [
        "SELECT '1259'::regclass",
        "SELECT nextval($1)",
        "SELECT 'a'::text",
        "SELECT my.nextval('s')",
    ] {
        let found = objects(sql);
        assert!(
            found.iter().all(|one| !one.starts_with("Relation")),
            "{sql}: {found:?}"
        );
    }
}

#[test]
fn columns_that_go_are_written() {
    let written = |sql: &str| -> Vec<String> {
        let found = facts(sql).columns.into_iter();
        found
            .filter(|one| one.usage.as_str() == "write")
            .map(|one| format!("{:?} {}", one.table.as_ref().map(dotted), one.column))
            .collect()
    };
    assert_eq!(
        written("ALTER TABLE t DROP COLUMN c, ADD d int"),
        ["Some(\"t\") c"]
    );
    assert_eq!(
        written("ALTER TABLE a.t ALTER c TYPE int"),
        ["Some(\"a.t\") c"]
    );
    assert!(written("ALTER TABLE t ADD c int").is_empty());
}

#[test]
fn classes_are_the_strongest() {
    let classes = [
        ("SELECT 1", "read"),
        ("SELECT nextval('s')", "write"),
        ("SELECT a INTO t FROM b", "write"),
        (
            "WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x",
            "write",
        ),
        ("EXPLAIN DELETE FROM t", "read"),
        ("EXPLAIN ANALYZE DELETE FROM t", "write"),
        ("PREPARE x AS DELETE FROM t", "write"),
        ("PREPARE x AS SELECT 1", "read"),
        ("EXECUTE x", "session"),
        ("SELECT pg_terminate_backend(1)", "admin"),
        ("COPY t FROM STDIN", "write"),
        ("COPY t TO STDOUT", "read"),
        ("COPY t TO '/x'", "admin"),
        ("SELECT pg_read_file('x')", "admin"),
        ("CREATE TABLE t ()", "ddl"),
        ("GRANT a TO b", "dcl"),
        ("ALTER TABLE t DISABLE ROW LEVEL SECURITY", "dcl"),
        ("ALTER TABLE t OWNER TO x", "dcl"),
        ("ALTER TABLE t DISABLE TRIGGER g", "dcl"),
        ("ALTER TABLE t DISABLE TRIGGER ALL", "dcl"),
        ("ALTER TABLE t ENABLE REPLICA TRIGGER g", "dcl"),
        ("ALTER TABLE t DISABLE RULE r", "dcl"),
        ("ALTER TABLE t ENABLE TRIGGER g", "ddl"),
        ("ALTER TABLE t DROP COLUMN c", "ddl"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'x'",
            "dcl",
        ),
        ("ALTER FUNCTION f() SECURITY DEFINER", "dcl"),
        ("ALTER FUNCTION f() SECURITY INVOKER", "ddl"),
        ("COMMIT", "tcl"),
        ("SET a = 1", "session"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x'", "admin"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'x'",
            "ddl",
        ),
        ("DO LANGUAGE plpython3u 'x'", "admin"),
        ("DO 'x'", "write"),
        ("VACUUM", "utility"),
        ("CHECKPOINT", "admin"),
        ("CALL p()", "write"),
        ("CREATE ROLE x", "dcl"),
        ("DROP POLICY p ON t", "dcl"),
        (
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            "admin",
        ),
        ("", "utility"),
        (
            "MERGE INTO t USING s ON true WHEN MATCHED THEN DO NOTHING",
            "write",
        ),
        ("LOCK TABLE t", "utility"),
    ];
    for (sql, class) in classes {
        assert_eq!(facts(sql).class.as_str(), class, "{sql}");
    }
}

#[test]
fn ways_out_are_named() {
    let egress = [
        ("COPY t FROM PROGRAM 'x'", Egress::CopyProgram),
        ("COPY t TO '/x'", Egress::CopyFile),
        ("COPY t TO STDOUT", Egress::CopyOut),
        ("COPY t FROM STDIN", Egress::CopyIn),
        ("SELECT pg_ls_dir('x')", Egress::ServerFile),
        ("SELECT lo_export(1, 'x')", Egress::LargeObject),
        ("SELECT ext.dblink_exec('x', 'y')", Egress::Dblink),
        ("CREATE SERVER s FOREIGN DATA WRAPPER w", Egress::Foreign),
        ("CREATE FOREIGN TABLE t (a int) SERVER s", Egress::Foreign),
        ("CREATE EXTENSION x", Egress::Code),
        ("LOAD 'x'", Egress::Code),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE plperlu AS 'x'",
            Egress::Code,
        ),
        (
            "INSERT INTO t VALUES (pg_read_file('x'))",
            Egress::ServerFile,
        ),
        ("CREATE USER MAPPING FOR a SERVER s", Egress::Foreign),
        ("EXPLAIN SELECT pg_read_file('x')", Egress::ServerFile),
    ];
    for (sql, way) in egress {
        assert!(facts(sql).egress.contains(&way), "{sql}");
    }
    assert!(facts("SELECT a FROM t").egress.is_empty());
}

#[test]
fn sessions_change_as_statements_say() {
    use sqlward_policy::statement::SessionEffect as E;
    let set = |name: &str, value: Option<&str>, local| E::Set {
        name: name.into(),
        value: value.map(Into::into),
        local,
    };
    assert_eq!(
        facts("SET search_path = a, \"B\"").effects,
        [set("search_path", Some("a, B"), false)]
    );
    assert_eq!(
        facts("SET LOCAL Standard_Conforming_Strings TO off").effects,
        [set("standard_conforming_strings", Some("off"), true)]
    );
    assert_eq!(
        facts("SET NAMES 'latin1'").effects,
        [set("client_encoding", Some("latin1"), false)]
    );
    assert_eq!(
        facts("SET a.b TO DEFAULT").effects,
        [set("a.b", None, false)]
    );
    assert_eq!(facts("SET ROLE x").effects, [set("role", Some("x"), false)]);
    assert_eq!(facts("RESET ALL").effects, [E::Reset(None)]);
    assert_eq!(facts("RESET x").effects, [E::Reset(Some("x".into()))]);
    assert_eq!(facts("DISCARD ALL").effects, [E::Discard]);
    for what in ["PLANS", "SEQUENCES", "TEMP", "TEMPORARY"] {
        assert_eq!(facts(&format!("DISCARD {what}")).effects, [], "{what}");
    }
    assert_eq!(
        facts("EXECUTE S(1)").effects,
        [E::Execute("s".into()), E::MayChangeSettings]
    );
    assert_eq!(
        facts("EXPLAIN ANALYZE EXECUTE s").effects,
        [E::Execute("s".into()), E::MayChangeSettings]
    );
    assert_eq!(facts("DEALLOCATE ALL").effects, [E::Deallocate(None)]);
    assert_eq!(
        facts("FETCH 5 FROM c").effects,
        [E::Cursor("c".into()), E::MayChangeSettings]
    );
    assert_eq!(facts("CLOSE c").effects, [E::Cursor("c".into())]);
    assert_eq!(
        facts("SELECT set_config('A.b', 'C', false)").effects,
        [set("a.b", Some("C"), false), E::MayChangeSettings]
    );
    assert_eq!(
        facts("SELECT pg_catalog.set_config('a'::text, NULL, 't'), set_config('b', '', true)")
            .effects,
        [
            set("a", None, true),
            set("b", Some(""), true),
            E::MayChangeSettings
        ]
    );
    for sql in [
        "SELECT set_config('a', $1, false)",
        "SELECT set_config($1, 'b', false)",
        "SELECT set_config('a', 'b', $1)",
        "SELECT set_config('a', 'b'::char, false)",
        "SELECT set_config('a', 'b', false) WHERE false",
        "SELECT set_config('a', 'b', false) FROM t",
        "SELECT set_config('a', 'b', false) LIMIT 0",
        "SELECT CASE WHEN x() THEN set_config('a', 'b', false) END",
        "WITH w AS (SELECT set_config('a', 'b', false)) SELECT 1",
    ] {
        assert_eq!(facts(sql).effects, [E::MayChangeSettings], "{sql}");
        let analysis = read(sql.as_bytes(), true);
        assert!(analysis.depends_on_literals, "{sql}");
    }
    assert_eq!(facts("ROLLBACK").effects, [E::MayChangeSettings]);
    assert_eq!(facts("SELECT 1").effects, []);
    match facts("PREPARE p AS DELETE FROM secret").effects.as_slice() {
        [E::Prepare { name, body }] => {
            assert_eq!(&**name, "p");
            assert_eq!(
                (body.verb, body.where_shape),
                (Verb::Delete, WhereShape::Absent)
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_of_secret_calls_are_secrets() {
    let secret = |sql: &str| read(sql.as_bytes(), true).secret_parameters;
    assert!(secret("SELECT crypt($1, $2)"));
    assert!(secret("PREPARE p AS SELECT pgp_sym_encrypt($1, $2)"));
    assert!(!secret("SELECT a FROM t WHERE password = $1"));
    assert!(!secret("SELECT crypt('a', 'b')"));
    // Whether they are may depend on a literal, then the analysis holds for the exact text only.
    let named = read(b"SELECT set_config('app.password', $1, false)", true);
    assert!(named.secret_parameters && named.depends_on_literals);
    let plain = read(b"SELECT set_config('app.colour', $1, false)", true);
    assert!(!plain.secret_parameters && plain.depends_on_literals);
}

#[test]
fn unknown_code_may_change_settings() {
    let may = |sql: &str| {
        facts(sql)
            .effects
            .contains(&sqlward_policy::statement::SessionEffect::MayChangeSettings)
    };
    for sql in [
        "CALL p()",
        "DO 'x'",
        "EXECUTE s",
        "SELECT f(1)",
        "SELECT app.count(1)",
        "SELECT \"Count\"(1)",
        "SELECT * FROM t WHERE a = (SELECT f(b) FROM u)",
        "SELECT * FROM f() AS g",
        "INSERT INTO t VALUES (f(1))",
        "UPDATE t SET a = 1 WHERE f(a)",
        "SELECT query_to_xml('SELECT f()', true, false, '')",
        "EXPLAIN ANALYZE SELECT f(1)",
        "COPY (SELECT f(1)) TO STDOUT",
    ] {
        assert!(may(sql), "{sql}");
    }
    for sql in [
        "SELECT count(*), max(a), lower(b), now(), coalesce(a, b) FROM t",
        "SELECT pg_catalog.sum(a) OVER (ORDER BY b), extract(year FROM c), trim(d) FROM t",
        "SELECT a::text, CAST(b AS int), c AT TIME ZONE 'x', d LIKE 'a' ESCAPE 'b' FROM t",
        "SELECT substring(a FROM 1 FOR 2), position('a' IN b), nextval('s') FROM t",
        "SELECT * FROM generate_series(1, 2) JOIN unnest(a) ON true",
        "INSERT INTO t VALUES (1) RETURNING a",
        "UPDATE t SET a = jsonb_set(a, b, c) WHERE d = 1",
        "DELETE FROM t",
        "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
        "COPY t FROM STDIN",
        "EXPLAIN SELECT f(1)",
        "PREPARE p AS SELECT f(1)",
    ] {
        assert!(!may(sql), "{sql}");
    }
}

#[test]
fn limits_and_columns() {
    use sqlward_policy::vocabulary::LimitShape;
    assert_eq!(facts("SELECT * FROM t").limit, LimitShape::Absent);
    assert_eq!(facts("SELECT * FROM t LIMIT ALL").limit, LimitShape::Absent);
    assert_eq!(
        facts("SELECT * FROM t UNION SELECT 1 LIMIT 5").limit,
        LimitShape::Present
    );
    assert_eq!(
        facts("SELECT * FROM t FETCH FIRST 5 ROWS ONLY").limit,
        LimitShape::Present
    );
    assert_eq!(
        facts("WITH x AS (SELECT * FROM t LIMIT 1) SELECT * FROM x").limit,
        LimitShape::Absent
    );
    assert_eq!(facts("SELECT 1").limit, LimitShape::NotApplicable);
    assert_eq!(
        facts("INSERT INTO t SELECT * FROM s").limit,
        LimitShape::NotApplicable
    );
    let columns = |sql: &str| -> Vec<String> {
        let columns = facts(sql).columns;
        let table = |name: &Option<sqlward_policy::statement::Name>| {
            name.as_ref()
                .map_or("?".to_owned(), |name| name.name.to_string())
        };
        columns
            .iter()
            .map(|c| format!("{}.{} {}", table(&c.table), c.column, c.usage))
            .collect()
    };
    assert_eq!(
        columns("SELECT a FROM t x WHERE x.b = 1"),
        ["t.a read", "t.b filter"]
    );
    assert_eq!(columns("SELECT * FROM t, u v"), ["t.* read", "u.* read"]);
    assert_eq!(
        columns("SELECT v.a, b FROM t, u v"),
        ["?.b read", "u.a read"]
    );
    assert_eq!(
        columns("UPDATE t SET a = b WHERE c = 1"),
        ["t.a write", "t.b read", "t.c filter"]
    );
    assert_eq!(columns("INSERT INTO t (a) VALUES (1)"), ["t.a write"]);
}

#[test]
fn long_lists_are_read_in_full_where_it_matters() {
    let list = ", 7".repeat(5_000);
    assert_eq!(shape(&format!("1 IN (2{list}, 1)")), WhereShape::AlwaysTrue);
    assert_eq!(
        shape(&format!("id IN (2{list}, 1)")),
        WhereShape::Restricting
    );
    let rows = ", (1, 2)".repeat(5_000);
    let sql = format!("INSERT INTO t VALUES (1, 2){rows}, (3, (SELECT v FROM secret)){rows}");
    assert_eq!(summary(&read(sql.as_bytes(), true)), "insert r=secret w=t");
}

#[test]
fn replication_commands_are_known() {
    let replication = |sql: &str| {
        let lex = LexState::default();
        let limits = Limits::default();
        on_stack(|| {
            let analysis =
                sqlward_policy::statement::analyse_replication(sql.as_bytes(), &lex, &limits);
            summary(&analysis)
        })
    };
    let cases = [
        ("IDENTIFY_SYSTEM", "replication"),
        (
            "START_REPLICATION SLOT \"a\" LOGICAL 0/0 (proto_version '1')",
            "replication",
        ),
        ("BASE_BACKUP (label 'x;y');", "replication"),
        ("SHOW x", "replication"),
        ("SELECT 1", "select"),
        ("", "empty"),
        ("show x; DROP TABLE t", "show;drop w=t"),
        ("/**/SHOW x; DROP TABLE t", "show;drop w=t"),
        ("SHOW x; DROP TABLE t", "show;drop w=t"),
        ("base_backup (label 'x')", "unreadable syntax"),
        ("IDENTIFY_SYSTEM; DROP TABLE t", "unreadable syntax"),
        ("SHOW 'x", "unreadable syntax"),
    ];
    for (sql, expected) in cases {
        assert_eq!(replication(sql), expected, "{sql}");
    }
}
