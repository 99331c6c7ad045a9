//! Where parsers differ from servers: every case runs on a real server through the proxy, and the
//! objects in the audit hold `secret` exactly when the server would touch it.
//!
//! The cases are the PostgreSQL ones of a comparison of SQL parsers with servers: comments, quotes,
//! escapes, folding, CTE scopes, writes hidden in reads, and the clauses that walkers forget.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::Raw;
use sqlward_tests::server::{ADMIN, Options, Server};

/// What the record must say of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// The statement names the table `secret`.
    Secret,
    /// It does not.
    Nothing,
    /// It names another relation, this one.
    Other(&'static str),
    /// It calls this function.
    Function(&'static str),
    /// Its text hides SQL: the record says that it is dynamic.
    Dynamic,
    /// The server's grammar rejects it.
    Unreadable,
}

use Claim::{Dynamic, Function, Nothing, Other, Secret, Unreadable};

/// Number, text, claim.
type Case = (&'static str, &'static str, Claim);

const CASES: [Case; 92] = [
    (
        "P01",
        "SELECT 1 /* /* */ UNION SELECT v FROM secret -- */",
        Nothing,
    ),
    (
        "P02",
        "SELECT 1 /* /* */ */ UNION SELECT v FROM secret",
        Secret,
    ),
    ("P03", r"SELECT 'a\' UNION SELECT v FROM secret --'", Secret),
    (
        "P05",
        r"SELECT E'a\' UNION SELECT v FROM secret --'",
        Nothing,
    ),
    (
        "P06",
        r"SELECT e'\\' UNION SELECT v FROM secret --'",
        Secret,
    ),
    ("P07", r#"SELECT v FROM U&"\0073ecret""#, Secret),
    ("P09", r"SELECT U&'\0061', v FROM secret", Secret),
    ("P10", "SELECT $x$ ' $x$, v FROM secret -- '", Secret),
    ("P11", "SELECT $$ $a$ $$, v FROM secret -- $a$", Secret),
    ("P13", "SELECT v FROM secret WHERE v<>$_1$'$_1$", Secret),
    ("P14", "SELECT V FROM SECRET", Secret),
    ("P15", r#"SELECT v FROM "SECRET""#, Other("SECRET")),
    ("P17", "SELECT v FROM public/**/./* x */secret", Secret),
    ("P18", "TABLE secret", Secret),
    ("P19", "TABLE public.secret", Secret),
    ("P21", "TABLE ONLY secret", Secret),
    ("P22", "VALUES (1,2),(3,4)", Nothing),
    (
        "P23",
        "WITH x AS (DELETE FROM secret RETURNING *) SELECT * FROM x",
        Secret,
    ),
    (
        "P25",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        Secret,
    ),
    (
        "P26",
        "SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) x, secret",
        Secret,
    ),
    (
        "P26b",
        "WITH secret AS (SELECT 1) SELECT * FROM secret",
        Nothing,
    ),
    (
        "P27",
        "WITH secret AS (SELECT 1) SELECT * FROM public.secret",
        Secret,
    ),
    ("P29", "SELECT v INTO newt FROM secret", Secret),
    ("P30", "CREATE TABLE newt2 AS TABLE secret", Secret),
    ("P31", "COPY secret TO STDOUT", Secret),
    ("P33", "COPY users FROM PROGRAM 'id'", Other("users")),
    ("P34", "COPY secret TO PROGRAM 'cat > /dev/null'", Secret),
    (
        "P35",
        "COPY secret (v) FROM '/etc/passwd' (FORMAT csv, HEADER)",
        Secret,
    ),
    (
        "P37",
        "SELECT lo_import('/etc/passwd')",
        Function("lo_import"),
    ),
    (
        "P38",
        "SELECT pg_read_file('/etc/passwd'), pg_ls_dir('/')",
        Function("pg_ls_dir"),
    ),
    (
        "P39",
        "SELECT * FROM pg_read_file('/etc/passwd')",
        Function("pg_read_file"),
    ),
    (
        "P41",
        r#"SELECT "pg_read_file"('/etc/passwd'), pg_catalog . "pg_sleep"(0)"#,
        Function("pg_sleep"),
    ),
    (
        "P42",
        "SELECT * FROM dblink('dbname=x','DELETE FROM secret') AS t(a int)",
        Function("dblink"),
    ),
    (
        "P43",
        "SELECT query_to_xml('select * from secret',true,true,'')",
        Dynamic,
    ),
    (
        "P45",
        "DO $$ BEGIN EXECUTE 'DROP TABLE secret'; END $$",
        Dynamic,
    ),
    (
        "P46",
        "DO LANGUAGE plpgsql 'BEGIN DELETE FROM secret; END'",
        Dynamic,
    ),
    ("P47", "EXPLAIN ANALYZE DELETE FROM secret", Secret),
    ("P49", "EXPLAIN ANALYZE VERBOSE EXECUTE s(1)", Unreadable),
    (
        "P50",
        "CREATE RULE r AS ON INSERT TO users DO ALSO DELETE FROM secret",
        Secret,
    ),
    (
        "P51",
        "CREATE FUNCTION f1() RETURNS void LANGUAGE sql AS 'DELETE FROM secret'",
        Dynamic,
    ),
    ("P53", "SET search_path = evil, public", Nothing),
    ("P54", "SET LOCAL search_path TO evil", Nothing),
    ("P57", "SET ROLE postgres", Nothing),
    ("P58", "ALTER ROLE app SET search_path = evil", Nothing),
    ("P59", "PREPARE s AS DELETE FROM secret", Secret),
    ("P61", "DECLARE c CURSOR FOR SELECT v FROM secret", Secret),
    ("P62", "FETCH ALL FROM c", Nothing),
    (
        "P63",
        "MERGE INTO users u USING secret s ON u.id=1 WHEN MATCHED THEN DELETE",
        Secret,
    ),
    ("P65", "SELECT v FROM\u{3000}secret", Nothing),
    ("P66", "SELECT 1;;DELETE FROM secret", Secret),
    ("P67", "SELECT 5*/* x */3, v FROM secret", Secret),
    ("P69", "SELECT v FROM ONLY secret", Secret),
    ("P70", "SELECT v FROM secret *", Secret),
    ("P71", "SELECT secret FROM secret", Secret),
    ("P73", "SELECT 'a'\n'b', v FROM secret", Secret),
    ("P74", "SELECT 'a' 'b', v FROM secret", Unreadable),
    ("P77", "SELECT 1a", Unreadable),
    ("P78", "SELECT 0x1F, 1_000, 0b11, 0o17", Nothing),
    ("P79", "SELECT v FROM secret FOR UPDATE", Secret),
    (
        "P82",
        "UPDATE users SET (id,name) = (SELECT 1, v FROM secret LIMIT 1)",
        Secret,
    ),
    (
        "P83",
        "INSERT INTO users VALUES (1,'x') ON CONFLICT DO NOTHING RETURNING (SELECT v FROM secret LIMIT 1)",
        Secret,
    ),
    ("P85", "LOAD 'evil.so'", Nothing),
    ("P86", "CREATE EXTENSION dblink", Nothing),
    ("P87", "ALTER SYSTEM SET archive_command = 'x'", Nothing),
    ("P89", "REASSIGN OWNED BY a TO b", Nothing),
    ("P90", "VACUUM FULL secret", Secret),
    (
        "P91",
        "SELECT * FROM XMLTABLE('/a' PASSING (SELECT v::xml FROM secret) COLUMNS x text)",
        Secret,
    ),
    (
        "P93",
        "SELECT 1 FROM users GROUP BY GROUPING SETS ((id),(SELECT 1 FROM secret LIMIT 1))",
        Secret,
    ),
    (
        "P94",
        "SELECT sum(id) FILTER (WHERE EXISTS (SELECT 1 FROM secret)) OVER (ORDER BY (SELECT v FROM secret LIMIT 1)) FROM users",
        Secret,
    ),
    (
        "P95",
        "SELECT id FROM users ORDER BY (SELECT v FROM secret) LIMIT (SELECT 1 FROM secret) OFFSET (SELECT 0 FROM secret)",
        Secret,
    ),
    ("P97", "GRANT ALL ON secret TO public", Secret),
    ("P98", "ALTER TABLE secret RENAME TO pub", Secret),
    ("P99", "NOTIFY ch, 'x'", Nothing),
    (
        "P101",
        "CREATE TRIGGER t AFTER INSERT ON users EXECUTE FUNCTION evil()",
        Other("users"),
    ),
    ("P102", "SECURITY LABEL ON TABLE secret IS 'x'", Secret),
    (
        "P103",
        "IMPORT FOREIGN SCHEMA s FROM SERVER x INTO public",
        Nothing,
    ),
    ("P105", "DROP OWNED BY app", Nothing),
    ("P106", "DROP TABLE IF EXISTS users, secret", Secret),
    ("P107", "TRUNCATE users, ONLY secret", Secret),
    ("P110", "DELETE FROM ONLY secret", Secret),
    ("P111", "UPDATE ONLY secret SET v='x'", Secret),
    (
        "P113",
        "MERGE INTO users u USING (SELECT v FROM secret) s ON u.id=1 WHEN MATCHED THEN UPDATE SET name=s.v",
        Secret,
    ),
    (
        "P114",
        "DELETE FROM users RETURNING (SELECT v FROM secret)",
        Secret,
    ),
    ("P115", "SELECT v FROM ONLY (secret)", Secret),
    // Beyond the comparison: clauses where a walker may forget to look.
    (
        "X01",
        "SELECT * FROM users TABLESAMPLE bernoulli ((SELECT 1 FROM secret LIMIT 1))",
        Secret,
    ),
    (
        "X02",
        "SELECT id, rank() OVER w FROM users WINDOW w AS (ORDER BY (SELECT v FROM secret))",
        Secret,
    ),
    (
        "X03",
        "CREATE INDEX i ON users ((id + 1)) WHERE id > 1",
        Other("users"),
    ),
    ("X04", "CREATE VIEW w AS SELECT v FROM secret", Secret),
    ("X05", "INSERT INTO users SELECT 2, v FROM secret", Secret),
    (
        "X06",
        "CREATE MATERIALIZED VIEW m AS SELECT v FROM secret",
        Secret,
    ),
    (
        "X07",
        "SELECT ROW((SELECT v FROM secret)), ARRAY(SELECT v FROM secret)",
        Secret,
    ),
    (
        "X08",
        "SELECT CASE WHEN EXISTS (TABLE secret) THEN 1 END",
        Secret,
    ),
];

fn objects(row: &Value) -> String {
    row.get("objects").map(Value::to_string).unwrap_or_default()
}

fn field<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn names(row: &Value, name: &str) -> bool {
    // An object is listed with or without its schema and its access; the name is a word in it.
    objects(row)
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == name)
}

fn holds(claim: Claim, row: &Value) -> bool {
    let readable = field(row, "unreadable").is_empty();
    match claim {
        Secret => readable && names(row, "secret"),
        Nothing => readable && !names(row, "secret"),
        Other(name) => readable && names(row, name) && !names(row, "secret"),
        Function(name) => {
            let functions = row
                .get("functions")
                .map(Value::to_string)
                .unwrap_or_default();
            readable && functions.contains(name) && !names(row, "secret")
        }
        Dynamic => {
            let dynamic = row
                .get("dynamic")
                .is_some_and(|value| value.as_bool() == Some(true) || value.as_u64() == Some(1));
            readable && dynamic
        }
        Unreadable => !readable,
    }
}

fn check(setup: &[&str], cases: &[Case]) -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let mut proxy = Proxy::start(&[&server], &options)?;
    let mut raw = Raw::login(proxy.port(), ADMIN, &[])?;
    for sql in setup {
        raw.query(sql)?;
    }
    for (number, sql, _) in cases {
        // What a case changes is undone, except where the server forbids a transaction.
        let transactional = !sql.starts_with("VACUUM") && !sql.starts_with("ALTER SYSTEM");
        if transactional {
            raw.query("BEGIN")?;
        }
        let answer = raw.query(sql).with_context(|| (*number).to_owned())?;
        ensure!(
            answer.last().is_some_and(|one| one.tag == b'Z'),
            "{number}: {answer:?}"
        );
        if transactional {
            raw.query("ROLLBACK")?;
        }
    }
    drop(raw);
    proxy.stop()?;
    let rows = proxy.audit(&["sql", "SELECT * FROM statements", "--limit", "10000"])?;
    let recorded = |sql: &str| {
        // A record may hold `***` where the text has credentials.
        let (head, _) = sql.split_once("'dbname=").unwrap_or((sql, ""));
        rows.iter().find(|row| field(row, "text").starts_with(head))
    };
    let mut wrong = Vec::new();
    for (number, sql, claim) in cases {
        match recorded(sql) {
            None => wrong.push(format!("{number}: not in the audit: {sql}")),
            Some(row) if !holds(*claim, row) => wrong.push(format!(
                "{number}: {claim:?} expected, objects {}, functions {:?}, unreadable {:?}: {sql}",
                objects(row),
                row.get("functions"),
                field(row, "unreadable")
            )),
            Some(_) => {}
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn the_record_names_what_the_server_touches() -> Result<()> {
    check(&[], &CASES)
}

#[test]
fn strings_are_read_as_the_session_reads_them() -> Result<()> {
    let cases: [Case; 3] = [
        (
            "P109",
            r"SELECT '\'' UNION SELECT v FROM secret --'",
            Secret,
        ),
        (
            "P109b",
            r"SELECT 'a\' UNION SELECT v FROM secret --'",
            Nothing,
        ),
        (
            "P109c",
            r"SELECT E'a\' UNION SELECT v FROM secret -- b'",
            Nothing,
        ),
    ];
    check(&["SET standard_conforming_strings = off"], &cases)
}

#[test]
fn names_are_cut_as_the_server_cuts_them() -> Result<()> {
    let (table, long) = (
        "a".repeat(63),
        format!("SELECT v FROM \"{}zzz\"", "a".repeat(63)),
    );
    let create = format!("CREATE TABLE {table} (v text)");
    let (table, long): (&'static str, &'static str) = (table.leak(), long.leak());
    check(&[&create], &[("P81", long, Other(table))])
}

#[test]
fn a_nul_is_no_statement() -> Result<()> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let mut raw = Raw::login(proxy.port(), ADMIN, &[])?;
    raw.send(&sqlward_tests::raw::query(
        "SELECT 1 \0 UNION SELECT v FROM secret",
    ))?;
    let answer = raw.until_closed()?;
    let error = answer
        .iter()
        .find(|one| one.tag == b'E')
        .context("no error")?;
    ensure!(error.sqlstate() == "08P01", "{error:?}");
    Ok(())
}
