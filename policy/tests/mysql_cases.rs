//! MySQL and MariaDB texts on which readers of SQL are known to go wrong, with the facts that the servers' behaviour demands.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests"
)]

use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Analysis, ClientCharset, Flavour, LexState, Limits, MysqlLex,
    ObjectAccess, SqlMode, StatementFacts, analyse,
};
use sqlward_policy::vocabulary::{Access, Class, Egress, ObjectKind, Unreadable, Verb, WhereShape};

const MYSQL: MysqlLex = MysqlLex::new(Flavour::Mysql);
const MARIADB: MysqlLex = MysqlLex::new(Flavour::Mariadb);

/// Reads on a thread with the stack that the analysis asks for.
fn read(sql: &[u8], lex: MysqlLex) -> Analysis {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(ANALYSIS_STACK_BYTES)
            .spawn_scoped(scope, || {
                analyse(sql, &LexState::Mysql(lex), &Limits::default())
            })
            .expect("a thread")
            .join()
            .expect("no panic")
    })
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

/// `verb[;verb] [r=relations read] [w=relations changed]`, or the reason why it can't be read.
fn summary(analysis: &Analysis) -> String {
    if let Some(reason) = analysis.facts.unreadable {
        return format!("unreadable {reason}");
    }
    let facts = &analysis.facts.statements;
    let verbs: Vec<&str> = facts.iter().map(|facts| facts.verb.as_str()).collect();
    let mut text = verbs.join(";");
    let reads = relations(facts, |access| {
        matches!(access, Access::Read | Access::Refer)
    });
    let writes = relations(facts, |access| {
        !matches!(access, Access::Read | Access::Refer | Access::Execute)
    });
    for (label, names) in [("r", reads), ("w", writes)] {
        if !names.is_empty() {
            text.push_str(&format!(" {label}={names}"));
        }
    }
    text
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)], lex: MysqlLex) {
    let mut wrong = String::new();
    for (id, sql, expected) in cases {
        let found = summary(&read(sql.as_bytes(), lex));
        if found != *expected {
            wrong.push_str(&format!(
                "{id} {sql}\n  expected {expected}\n  found    {found}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

const SYNTAX: &str = "unreadable syntax";

/// Read in the same way by both families.
const BOTH: &[(&str, &str, &str)] = &[
    (
        "M01",
        "SELECT 1 /*!50000 UNION SELECT v FROM secret */",
        "select r=secret",
    ),
    (
        "M02",
        "SELECT v FROM secret /*!99999 WHERE 1=0 */",
        "select r=secret",
    ),
    (
        "M03",
        "DELETE FROM users /*!99999 WHERE id=1 */",
        "delete w=users",
    ),
    (
        "M05",
        "SELECT v FROM secret /*!500001 WHERE 1=0 */",
        "select r=secret",
    ),
    (
        "M06",
        "SELECT 1 /*!UNION SELECT v FROM secret*/",
        "select r=secret",
    ),
    ("M07", "SELECT 1 /*!1+1*/", SYNTAX),
    (
        "M11",
        "SELECT 1 /*! , '*/' UNION SELECT v,1 FROM secret -- */",
        SYNTAX,
    ),
    (
        "M13",
        "SELECT 1 /*!99999 /* */ UNION SELECT v FROM secret /* */ */",
        "select",
    ),
    (
        "M14",
        "SELECT 1 /* /* */ UNION SELECT v FROM secret -- */",
        "select r=secret",
    ),
    ("M15", "SELECT 1 /*! UNION SELECT v FROM secret", SYNTAX),
    ("M17", "SELECT 1--1", "select"),
    (
        "M18",
        "SELECT 1 --\x01 UNION SELECT 2 FROM secret",
        "select",
    ),
    (
        "M19",
        "SELECT 5 --\n UNION SELECT v FROM secret",
        "select r=secret",
    ),
    ("M21", "SELECT 1 #\r UNION SELECT v FROM secret", "select"),
    ("M22", "SELECT 1 -- \r UNION SELECT v FROM secret", "select"),
    (
        "M23",
        "SELECT 'a\\' UNION SELECT v FROM secret -- '",
        "select",
    ),
    (
        "M27",
        "SELECT name FROM users WHERE name='zz' || 1",
        "select r=users",
    ),
    (
        "M33",
        "SELECT 'a\0b' UNION SELECT v FROM secret",
        "select r=secret",
    ),
    ("M34", "SELECT\x0bv\x0cFROM\tsecret", "select r=secret"),
    (
        "M37",
        "SELECT v FROM `app` . `secret`",
        "select r=app.secret",
    ),
    ("M38", "SELECT {x v} FROM secret", "select r=secret"),
    (
        "M39",
        "SELECT * FROM {OJ users LEFT JOIN secret ON 1=1}",
        "select r=secret,users",
    ),
    (
        "M41",
        "SELECT 1.UNION SELECT v FROM secret",
        "select r=secret",
    ),
    (
        "M42",
        "SELECT 1 FROM users WHERE id=0x1UNION SELECT v FROM secret",
        SYNTAX,
    ),
    ("M45", "SELECT @'a' , v FROM secret", "select r=secret"),
    (
        "M46",
        "SELECT 'a' 'b' \"c\" , v FROM secret",
        "select r=secret",
    ),
    ("M49", "SELECT 2 */*!99999 x*/ 3", "select"),
    ("M50", "SELECT!0,v FROM secret", "select r=secret"),
    (
        "M51",
        "SELECT 1; DELETE FROM secret",
        "select;delete w=secret",
    ),
    ("M53", "DO (SELECT COUNT(*) FROM secret)", "do r=secret"),
    (
        "M55",
        "PREPARE s FROM 'SELECT v FROM secret'",
        "prepare r=secret",
    ),
    ("M57", "EXECUTE s USING @a", "execute"),
    (
        "M58",
        "SELECT v FROM secret INTO OUTFILE '/tmp/o1'",
        "select r=secret",
    ),
    (
        "M59",
        "SELECT v INTO OUTFILE '/tmp/o2' FROM secret",
        "select r=secret",
    ),
    ("M61", "SELECT v FROM secret INTO @x", "select r=secret"),
    (
        "M62",
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE secret",
        "load w=secret",
    ),
    ("M63", "SELECT LOAD_FILE('/etc/passwd')", "select"),
    (
        "M69",
        "DELETE FROM secret USING users JOIN secret",
        "delete r=secret,users w=secret",
    ),
    (
        "M70",
        "UPDATE users, secret SET secret.v=1",
        "update r=secret,users w=secret",
    ),
    (
        "M71",
        "UPDATE users u JOIN secret s ON 1=1 SET s.v=1",
        "update r=secret,users w=secret",
    ),
    (
        "M73",
        "INSERT INTO users VALUES (1,'x') ON DUPLICATE KEY UPDATE name=(SELECT v FROM secret LIMIT 1)",
        "insert r=secret w=users",
    ),
    (
        "M74",
        "INSERT users SET name=(SELECT v FROM secret LIMIT 1)",
        "insert r=secret w=users",
    ),
    (
        "M75",
        "REPLACE users SELECT id,v FROM secret",
        "insert r=secret w=users",
    ),
    ("M77", "CREATE TABLE x2 LIKE secret", "create r=secret w=x2"),
    (
        "M79",
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "select r=secret",
    ),
    ("M82", "DESC secret", "explain r=secret"),
    (
        "M83",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM secret",
        "create w=secret",
    ),
    (
        "M85",
        "CREATE PROCEDURE p1() BEGIN DELETE FROM secret; END",
        "create w=secret",
    ),
    (
        "M86",
        "CALL sys.execute_prepared_stmt('SELECT v FROM app.secret')",
        "call",
    ),
    (
        "M87",
        "SET @@sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "set",
    ),
    ("M89", "SET NAMES gbk", "set"),
    ("M90", "RENAME TABLE secret TO pub", "alter w=pub,secret"),
    (
        "M91",
        "CREATE FUNCTION sys_exec RETURNS INTEGER SONAME 'x.so'",
        "create",
    ),
    ("M93", "INSTALL PLUGIN x SONAME 'x.so'", "install"),
    (
        "M94",
        "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '1.2.3.4')",
        "create",
    ),
    ("M95", "SHUTDOWN", "shutdown"),
    ("M97", "GRANT ALL ON *.* TO root@localhost", "grant"),
    (
        "M98",
        "SELECT v FROM secret FOR UPDATE SKIP LOCKED",
        "select r=secret",
    ),
    (
        "M99",
        "SELECT SLEEP/**/(5) FROM users WHERE 0",
        "select r=users",
    ),
    (
        "M101",
        "SELECT /*+ SET_VAR(max_execution_time=1) */ v FROM secret",
        "select r=secret",
    ),
    (
        "M102",
        "SELECT v FROM secret PARTITION (p0)",
        "select r=secret",
    ),
    ("M105", "IMPORT TABLE FROM '/x.sdi'", "import"),
    ("M107", "SELECT v FROM secret LIMIT 0,1", "select r=secret"),
    ("M114", "UPDATE IGNORE secret SET v='1'", "update w=secret"),
    (
        "M115",
        "UPDATE LOW_PRIORITY secret SET v='1'",
        "update w=secret",
    ),
    (
        "M117",
        "INSERT IGNORE secret VALUES('x')",
        "insert w=secret",
    ),
    (
        "M118",
        "UPDATE LOW_PRIORITY IGNORE secret SET v='1'",
        "update w=secret",
    ),
    ("nul", "SELECT 1 \0 UNION SELECT v FROM secret", SYNTAX),
    ("hint", "SELECT /*+ QB_NAME(`*/`) */ 1", SYNTAX),
    (
        "dot",
        "SELECT a.select, a.1 FROM secret a",
        "select r=secret",
    ),
    (
        "number",
        "SELECT 1e5x, 1e, 0x1g FROM secret",
        "select r=secret",
    ),
    ("nested", "SELECT 1 /*!50000 +1 /*!50000 +1 */ */", SYNTAX),
];

#[test]
fn both_families_read_the_common_cases_alike() {
    check(BOTH, MYSQL);
    check(BOTH, MARIADB);
}

#[test]
fn mysql_reads_its_own() {
    check(
        &[
            (
                "M09",
                "SELECT 1 /*M!100000 UNION SELECT v FROM secret */",
                "select",
            ),
            (
                "M10",
                "SELECT 1 /*!80000 UNION SELECT v FROM secret */",
                "select r=secret",
            ),
            (
                "five digits",
                "SELECT 2-/*!500001,v FROM secret WHERE 1= */1",
                "select r=secret",
            ),
            (
                "six digits",
                "SELECT 2-/*!500001 ,v FROM secret WHERE 1= */1",
                "select",
            ),
            ("M43", "SELECT $$a UNION SELECT 2 FROM secret -- $$", SYNTAX),
            ("M65", "TABLE secret ORDER BY v LIMIT 1", "select r=secret"),
            ("M66", "VALUES ROW(1,2), ROW(3,4)", "select"),
            ("M67", "SELECT 1 UNION TABLE secret", "select r=secret"),
            (
                "M78",
                "WITH c AS (SELECT v FROM secret) UPDATE users, c SET users.name=c.v",
                "update r=secret,users w=users",
            ),
            (
                "M81",
                "EXPLAIN ANALYZE SELECT v FROM secret",
                "explain r=secret",
            ),
            ("explain", "EXPLAIN DELETE FROM secret", "explain r=secret"),
            (
                "M103",
                "SELECT * FROM JSON_TABLE('[1]','$[*]' COLUMNS(a INT PATH '$')) t, LATERAL (SELECT v FROM secret) l",
                "select r=secret",
            ),
            ("M110", "IF 1 THEN DELETE FROM secret; END IF", SYNTAX),
            ("null", "SELECT\\N", SYNTAX),
            ("bang", "SELECT 1=!0", SYNTAX),
        ],
        MYSQL,
    );
}

#[test]
fn mariadb_reads_its_own() {
    check(
        &[
            (
                "M09",
                "SELECT 1 /*M!100000 UNION SELECT v FROM secret */",
                "select r=secret",
            ),
            (
                "M10",
                "SELECT 1 /*!80000 UNION SELECT v FROM secret */",
                "select",
            ),
            (
                "digits",
                "SELECT 1 /*!050700 UNION SELECT v FROM secret */",
                "select",
            ),
            (
                "six digits",
                "SELECT 2-/*!500001,v FROM secret WHERE 1= */1",
                "select",
            ),
            (
                "M54",
                "EXECUTE IMMEDIATE 'SELECT v FROM secret'",
                "execute r=secret",
            ),
            (
                "M106",
                "SELECT name FROM users WHERE id=1 AND 1 IN (SELECT ASCII(v) FROM secret) PROCEDURE ANALYSE()",
                "select r=secret,users",
            ),
            (
                "M109",
                "INSERT INTO users VALUES (2,'y') RETURNING (SELECT v FROM secret LIMIT 1)",
                "insert r=secret w=users",
            ),
            (
                "M110",
                "BEGIN NOT ATOMIC DELETE FROM secret; END",
                "do w=secret",
            ),
            (
                "M111",
                "SELECT * FROM secret FOR SYSTEM_TIME ALL",
                "select r=secret",
            ),
            (
                "M113",
                "FOR i IN 1..2 DO DELETE FROM secret; END FOR",
                "do w=secret",
            ),
            (
                "statement",
                "SET STATEMENT max_statement_time=1 FOR DELETE FROM secret",
                "delete w=secret",
            ),
            ("analyze", "ANALYZE DELETE FROM secret", "explain w=secret"),
            ("null", "SELECT\\N FROM secret", "select r=secret"),
            ("bang", "SELECT 1=!0", "select"),
            (
                "sequence",
                "SELECT NEXTVAL(s), NEXT VALUE FOR t",
                "select w=s,t",
            ),
        ],
        MARIADB,
    );
}

#[test]
fn older_servers_run_fewer_version_comments() {
    let old = MysqlLex {
        version: 80_400,
        ..MYSQL
    };
    let sql = b"SELECT 1 /*!90000 UNION SELECT v FROM secret */";
    assert_eq!(summary(&read(sql, old)), "select");
    assert_eq!(summary(&read(sql, MYSQL)), "select r=secret");
    let old = MysqlLex {
        version: 101_100,
        ..MARIADB
    };
    let sql = b"SELECT 1 /*!110000 UNION SELECT v FROM secret */";
    assert_eq!(summary(&read(sql, old)), "select");
    assert_eq!(summary(&read(sql, MARIADB)), "select r=secret");
}

#[test]
fn sql_mode_changes_the_reading() {
    let with = |mode: &str| MysqlLex {
        sql_mode: SqlMode::parse(mode),
        ..MYSQL
    };
    let found = |sql: &str, mode: &str| summary(&read(sql.as_bytes(), with(mode)));
    // M25, M26
    let sql = "SELECT \"a\\\" UNION SELECT v FROM secret -- \"";
    assert_eq!(found(sql, ""), "select");
    assert_eq!(found(sql, "ANSI_QUOTES"), "select r=secret");
    assert_eq!(
        found("SELECT 1 AS \"x\" FROM \"secret\"", "ANSI"),
        "select r=secret"
    );
    assert_eq!(found("SELECT 1 AS \"x\" FROM \"secret\"", ""), SYNTAX);
    // M24
    let sql = "SELECT 'a\\' UNION SELECT v FROM secret -- '";
    assert_eq!(found(sql, "NO_BACKSLASH_ESCAPES"), "select r=secret");
    let oracle = MysqlLex {
        sql_mode: SqlMode::parse("ORACLE"),
        ..MARIADB
    };
    assert_eq!(summary(&read(b"SELECT 1", oracle)), SYNTAX);
}

#[test]
fn characters_may_end_in_a_backslash() {
    let with = |charset: &str| MysqlLex {
        charset: Some(ClientCharset::from_name(charset)),
        ..MYSQL
    };
    // M29, M30, M31
    for (charset, first, expected) in [
        ("gbk", 0xbf_u8, "select r=secret"),
        ("gb18030", 0xbf, "select r=secret"),
        ("big5", 0xbf, "select r=secret"),
        ("sjis", 0x95, "select r=secret"),
        ("cp932", 0x95, "select r=secret"),
        ("latin1", 0xbf, "select"),
        ("utf8mb4", 0xbf, "select"),
        ("gb2312", 0xbf, "select"),
        ("euckr", 0xbf, "select"),
        ("ucs2", 0xbf, "unreadable encoding"),
        ("swe7", 0xbf, "unreadable encoding"),
    ] {
        let mut sql = b"SELECT '?\\' UNION SELECT v FROM secret -- '".to_vec();
        *sql.get_mut(8).unwrap() = first;
        assert_eq!(summary(&read(&sql, with(charset))), expected, "{charset}");
    }
    // A space that only latin1 has, and a name in another character set.
    assert_eq!(
        summary(&read(b"SELECT\xa0v\xa0FROM secret", with("latin1"))),
        "select r=secret"
    );
    assert_eq!(
        summary(&read(b"SELECT v FROM \xb1\xed", with("gbk"))),
        "select r=\u{8868}"
    );
    assert_eq!(
        summary(&read(
            "SELECT v FROM\u{3000}secret".as_bytes(),
            with("utf8mb4")
        )),
        "select"
    );
    assert_eq!(
        summary(&read(b"SELECT v FROM a\xff", with("utf8mb4"))),
        "unreadable encoding"
    );
}

#[test]
fn what_is_not_known_makes_unsettled() {
    let unknown = MysqlLex {
        sql_mode: None,
        ..MARIADB
    };
    let reason = |sql: &str, lex| read(sql.as_bytes(), lex).facts.unreadable;
    assert_eq!(reason("SELECT 'a' FROM t", unknown), None);
    assert_eq!(
        reason("SELECT \"a\" FROM t", unknown),
        Some(Unreadable::Unsettled)
    );
    assert_eq!(reason("SELECT 'a\\'", unknown), Some(Unreadable::Unsettled));
    assert_eq!(reason("BEGIN", unknown), Some(Unreadable::Unsettled));
    let unknown = MysqlLex {
        charset: None,
        ..MYSQL
    };
    assert_eq!(reason("SELECT 'a\\''", unknown), None);
    assert_eq!(
        reason("SELECT '\u{e9}'", unknown),
        Some(Unreadable::Unsettled)
    );
    // A text that changes how its own later statements are read.
    let changing = |sql| reason(sql, MYSQL);
    assert_eq!(
        changing("SET sql_mode='ANSI_QUOTES'; SELECT \"a\""),
        Some(Unreadable::Unsettled)
    );
    assert_eq!(
        changing("SET sql_mode=@x; SELECT 'a\\''"),
        Some(Unreadable::Unsettled)
    );
    assert_eq!(
        changing("SET NAMES gbk; SELECT '\u{e9}'"),
        Some(Unreadable::Unsettled)
    );
    assert_eq!(changing("SET sql_mode=''; SELECT \"a\""), None);
    assert_eq!(changing("SET sql_mode='ANSI_QUOTES'; SELECT 'a'"), None);
}

#[test]
fn several_statements_need_leave() {
    let single = MysqlLex {
        multi_statements: false,
        ..MYSQL
    };
    assert_eq!(summary(&read(b"SELECT 1; DELETE FROM t", single)), SYNTAX);
    assert_eq!(summary(&read(b"SELECT 1;", single)), "select");
    // A database chosen in the text counts for what follows in it.
    let used = read(b"USE finance; DELETE FROM t", MYSQL);
    assert_eq!(summary(&used), "use;delete w=finance.t");
    // So does one that code chooses which the text does not show.
    for text in [
        "EXECUTE s; SELECT v FROM secret",
        "CALL app.p(); SELECT v FROM secret",
        "USE app; EXECUTE s; SELECT v FROM secret",
    ] {
        let reason = read(text.as_bytes(), MYSQL).facts.unreadable;
        assert_eq!(reason, Some(Unreadable::Unsettled), "{text}");
    }
    for text in [
        "EXECUTE s; SELECT v FROM app.secret",
        "EXECUTE s; USE app; SELECT v FROM secret",
        "SELECT v FROM secret; EXECUTE s",
    ] {
        assert_eq!(
            read(text.as_bytes(), MYSQL).facts.unreadable,
            None,
            "{text}"
        );
    }
}

#[test]
fn names_of_files_are_not_read() {
    for text in [
        "SELECT * FROM `#mysql50#secret`",
        "SELECT * FROM `#mysql50#app`.secret",
        "USE `#mysql50#app`",
    ] {
        assert_eq!(summary(&read(text.as_bytes(), MARIADB)), SYNTAX, "{text}");
    }
}

#[test]
fn defaults_of_parameters_are_not_read() {
    let with =
        |default: &str| format!("CREATE PROCEDURE p(IN x TEXT{default}, y DECIMAL(3,1)) SELECT x");
    assert_eq!(read(with("").as_bytes(), MARIADB).facts.unreadable, None);
    for default in [
        " DEFAULT load_file('/etc/passwd')",
        " := (SELECT v FROM secret)",
    ] {
        let text = with(default);
        assert_eq!(summary(&read(text.as_bytes(), MARIADB)), SYNTAX, "{text}");
    }
}

#[test]
fn what_is_perhaps_a_cte_is_perhaps_written() {
    for text in [
        "WITH Secret AS (SELECT 1) UPDATE secret SET v='x'",
        "WITH Secret AS (SELECT 1) DELETE secret FROM secret",
    ] {
        let analysis = read(text.as_bytes(), MYSQL);
        let mut objects = analysis.facts.statements.iter().flat_map(|s| &s.objects);
        let written = objects.any(|object| {
            &*object.name.name == "secret"
                && matches!(object.access, Access::Update | Access::Delete)
        });
        assert!(written, "{text}: {analysis:?}");
    }
}

#[test]
fn names_are_folded_as_the_server_does() {
    let folding = MysqlLex {
        folds_names: true,
        ..MYSQL
    };
    assert_eq!(
        summary(&read(b"SELECT V FROM App.Secret", MYSQL)),
        "select r=App.Secret"
    );
    assert_eq!(
        summary(&read(b"SELECT V FROM App.Secret", folding)),
        "select r=app.secret"
    );
    assert_eq!(
        summary(&read(b"SELECT * FROM INFORMATION_SCHEMA.TABLES", MYSQL)),
        "select r=information_schema.tables"
    );
    assert_eq!(
        summary(&read(b"SELECT * FROM .t, `a``b`", MYSQL)),
        "select r=a`b,t"
    );
}

#[test]
fn clauses_that_restrict_nothing_are_known() {
    let shape = |clause: &str| {
        let sql = format!("DELETE FROM t WHERE {clause}");
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{clause}");
        analysis.facts.statements[0].where_shape
    };
    for clause in [
        "1",
        "1=1",
        "true",
        "'a'='a'",
        "id=id",
        "t.id=id",
        "(id)=(`id`)",
        "NOT 0",
        "NOT false",
        "!0",
        "id=1 OR 1",
        "id=1 OR 1=1",
        "id=1 || 1",
        "1 AND 1",
        "2>1",
        "1<2",
        "1 IN (2,1)",
        "1 IN (1,2,3,4,5,6,7)",
        "id IN (id)",
        "id LIKE '%'",
        "name LIKE name",
        "name REGEXP '.*'",
        "id BETWEEN id AND id",
        "1 BETWEEN 0 AND 2",
        "0 IS NOT NULL",
        "NULL IS NULL",
        "id IS NULL OR id IS NOT NULL",
        "id=1 OR id<>1",
        "id=1 OR NOT id=1",
        "id>=5 OR id<5",
        "0x41",
        "'1'",
        "1.5",
        "-1",
        "1+1",
        "NOT 1=2",
        "1 XOR 0",
        "id <=> id",
        "(SELECT 1)",
        "EXISTS(SELECT 1)",
        "@a OR 1",
        "LENGTH('x')",
        "IF(1,1,0)",
        "CASE WHEN id=1 THEN 1 ELSE 1 END",
        "NOW() > '2020-01-01'",
        "1 IS TRUE",
        "NOT NULL IS NOT NULL",
        "id = id AND 1",
        "((((1))))",
        "1=1 -- x",
        "1 /*!50000 OR 1 */",
        "sleep(0)=0",
        "BINARY 1",
        "1 COLLATE utf8mb4_bin",
        "t.id = id",
        "db.t.id = `T`.id",
    ] {
        assert_eq!(shape(clause), WhereShape::AlwaysTrue, "{clause}");
    }
    for clause in [
        "id=1",
        "0",
        "1=0",
        "NULL",
        "false",
        "'a'",
        "id",
        "id>5 AND 1",
        "id=1 OR 0",
        "id IN (1,2)",
        "id LIKE 'a%'",
        "NOT id",
        "id=?",
        "?",
        "id IS NULL",
        "id = other",
        "rand() < 0.5",
        "EXISTS(SELECT 1 FROM u)",
        "1=2",
        "NOT 1",
        "id BETWEEN 1 AND 2",
        "1 IN (2,3)",
        "name='a' AND name='b'",
        "id=@x",
        "id=1 OR id=2",
        "t.id = u.id",
        "db.t.id = (`u`.id)",
    ] {
        assert_eq!(shape(clause), WhereShape::Restricting, "{clause}");
    }
    assert_eq!(
        read(b"DELETE FROM t", MYSQL).facts.statements[0].where_shape,
        WhereShape::Absent
    );
    let high = MysqlLex {
        sql_mode: SqlMode::parse("HIGH_NOT_PRECEDENCE"),
        ..MYSQL
    };
    let shape = |lex| read(b"DELETE FROM t WHERE NOT 1 = 0", lex).facts.statements[0].where_shape;
    assert_eq!(shape(MYSQL), WhereShape::AlwaysTrue);
    assert_eq!(shape(high), WhereShape::AlwaysTrue);
    let pipes = MysqlLex {
        sql_mode: SqlMode::parse("PIPES_AS_CONCAT"),
        ..MYSQL
    };
    let shape = |lex| {
        read(b"DELETE FROM t WHERE id = 1 || 1", lex)
            .facts
            .statements[0]
            .where_shape
    };
    assert_eq!(shape(MYSQL), WhereShape::AlwaysTrue);
    assert_eq!(shape(pipes), WhereShape::Restricting);
}

#[test]
fn administration_is_told_from_what_sessions_do() {
    let facts = |sql: &str| read(sql.as_bytes(), MARIADB).facts.statements.remove(0);
    for (sql, class) in [
        ("KILL QUERY 7", Class::Session),
        ("KILL SOFT QUERY ID 7", Class::Session),
        ("KILL 7", Class::Admin),
        ("KILL HARD CONNECTION 7", Class::Admin),
        ("KILL QUERY USER app", Class::Admin),
        ("SHOW BINLOG EVENTS", Class::Admin),
        ("SHOW RELAYLOG EVENTS IN 'x'", Class::Admin),
        ("SHOW EVENTS", Class::Session),
        (
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            Class::Admin,
        ),
        ("DROP EVENT IF EXISTS e", Class::Admin),
    ] {
        assert_eq!(facts(sql).class, class, "{sql}");
    }
    for (sql, account) in [
        ("SET PASSWORD = PASSWORD('p')", "current_user"),
        (
            "SET PASSWORD FOR app@localhost = PASSWORD('p')",
            "app@localhost",
        ),
        (
            "SET PASSWORD FOR CURRENT_USER() = PASSWORD('p')",
            "current_user",
        ),
        (
            "ALTER USER CURRENT_USER() IDENTIFIED BY 'p'",
            "current_user",
        ),
        ("ALTER USER USER() IDENTIFIED BY 'p'", "current_user"),
    ] {
        let facts = facts(sql);
        let mut roles = facts.objects.iter();
        assert!(
            roles.any(|object| object.kind == ObjectKind::Role
                && object.access == Access::Ddl
                && &*object.name.name == account),
            "{sql}: {facts:?}"
        );
    }
}

#[test]
fn ways_out_and_in_are_seen() {
    let egress = |sql: &str, lex| {
        let analysis = read(sql.as_bytes(), lex);
        assert_eq!(analysis.facts.unreadable, None, "{sql}");
        analysis.facts.statements[0].egress.to_vec()
    };
    for (sql, expected) in [
        (
            "SELECT v FROM secret INTO OUTFILE '/tmp/x'",
            Egress::IntoOutfile,
        ),
        (
            "SELECT v FROM secret INTO DUMPFILE '/tmp/x'",
            Egress::IntoOutfile,
        ),
        (
            "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
            Egress::LoadInfile,
        ),
        (
            "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t",
            Egress::LoadLocal,
        ),
        ("SELECT load_file('/etc/passwd')", Egress::ServerFile),
        (
            "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'",
            Egress::Code,
        ),
        ("INSTALL COMPONENT 'file://x'", Egress::Code),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'x')",
            Egress::Foreign,
        ),
        (
            "CREATE TABLE f (a INT) ENGINE=FEDERATED CONNECTION='mysql://u:p@h/d/t'",
            Egress::Foreign,
        ),
        (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='x'",
            Egress::Foreign,
        ),
    ] {
        assert_eq!(egress(sql, MYSQL), [expected], "{sql}");
    }
    let dynamic = |sql: &str, lex| read(sql.as_bytes(), lex).facts.statements[0].dynamic;
    assert!(dynamic("PREPARE s FROM @x", MYSQL));
    assert!(dynamic("CALL sys.execute_prepared_stmt('SELECT 1')", MYSQL));
    assert!(dynamic(
        "EXECUTE IMMEDIATE CONCAT('SELECT v FROM sec','ret')",
        MARIADB
    ));
    assert!(!dynamic("PREPARE s FROM 'SELECT 1'", MYSQL));
}

#[test]
fn kinds_of_statements_have_their_verb_and_class() {
    for (sql, verb, class) in [
        ("KILL 5", Verb::Kill, Class::Admin),
        ("KILL QUERY 5", Verb::Kill, Class::Session),
        ("FLUSH PRIVILEGES", Verb::Flush, Class::Admin),
        ("FLUSH TABLES t WITH READ LOCK", Verb::Flush, Class::Admin),
        ("RESET BINARY LOGS AND GTIDS", Verb::Reset, Class::Admin),
        ("PURGE BINARY LOGS TO 'x'", Verb::Purge, Class::Admin),
        ("STOP REPLICA", Verb::ChangeReplication, Class::Admin),
        (
            "START REPLICA USER='u' PASSWORD='p'",
            Verb::ChangeReplication,
            Class::Admin,
        ),
        ("HANDLER t READ FIRST", Verb::Handler, Class::Read),
        ("SET GLOBAL general_log=1", Verb::Set, Class::Admin),
        ("SET PERSIST max_connections=1", Verb::Set, Class::Admin),
        ("SET @@global.x=1", Verb::Set, Class::Admin),
        ("SET autocommit=0", Verb::Set, Class::Session),
        ("SET PASSWORD = 'x'", Verb::Alter, Class::Dcl),
        ("CREATE USER u IDENTIFIED BY 'x'", Verb::Create, Class::Dcl),
        ("DROP USER u", Verb::Drop, Class::Dcl),
        (
            "GRANT SELECT (a), UPDATE ON db.* TO u@'%'",
            Verb::Grant,
            Class::Dcl,
        ),
        ("REVOKE r FROM u", Verb::Revoke, Class::Dcl),
        ("START TRANSACTION READ ONLY", Verb::Begin, Class::Tcl),
        ("XA COMMIT 'x'", Verb::PrepareTransaction, Class::Tcl),
        ("ROLLBACK TO SAVEPOINT a", Verb::Savepoint, Class::Tcl),
        ("LOCK TABLES t WRITE", Verb::Lock, Class::Utility),
        ("ANALYZE TABLE t", Verb::Analyze, Class::Utility),
        ("OPTIMIZE TABLE t", Verb::Check, Class::Utility),
        ("TRUNCATE t", Verb::Truncate, Class::Write),
        ("SHOW TABLES", Verb::Show, Class::Session),
        (
            "CLONE INSTANCE FROM u@h:1 IDENTIFIED BY 'p'",
            Verb::Clone,
            Class::Admin,
        ),
        ("SELECT 1", Verb::Select, Class::Read),
        ("", Verb::Empty, Class::Utility),
        ("ALTER TABLE t ADD COLUMN a INT", Verb::Alter, Class::Ddl),
    ] {
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{sql}");
        let facts = &analysis.facts.statements[0];
        assert_eq!((facts.verb, facts.class), (verb, class), "{sql}");
    }
}

#[test]
fn secrets_are_found() {
    let hidden = |sql: &str, lex| {
        let analysis = read(sql.as_bytes(), lex);
        let shown: Vec<String> = analysis
            .secrets
            .iter()
            .map(|range| sql.get(range.clone()).unwrap().to_owned())
            .collect();
        shown.join(" ")
    };
    for (sql, expected) in [
        ("CREATE USER u IDENTIFIED BY 'p1'", "'p1'"),
        (
            "ALTER USER u IDENTIFIED WITH caching_sha2_password BY 'p1' REPLACE 'p2'",
            "'p1' 'p2'",
        ),
        ("ALTER USER u IDENTIFIED WITH 'x' AS 'hash'", "'hash'"),
        ("SET PASSWORD FOR u = 'p1'", "'p1'"),
        ("SET PASSWORD = PASSWORD('p1')", "'p1'"),
        ("GRANT ALL ON *.* TO u IDENTIFIED BY 'p1'", "'p1'"),
        (
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='h', SOURCE_PASSWORD='p1'",
            "'p1'",
        ),
        ("CHANGE MASTER TO MASTER_PASSWORD='p1'", "'p1'"),
        (
            "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'u', PASSWORD 'p1')",
            "'p1'",
        ),
        (
            "CREATE TABLE f (a INT) CONNECTION='mysql://u:p@h/d/t'",
            "'mysql://u:p@h/d/t'",
        ),
        (
            "SELECT PASSWORD('p1'), AES_ENCRYPT('a','k')",
            "'p1' 'a' 'k'",
        ),
        (
            "PREPARE s FROM 'CREATE USER u IDENTIFIED BY \"p\"'",
            "'CREATE USER u IDENTIFIED BY \"p\"'",
        ),
        ("CREATE USER u IDENTIFIED BY 'p1", " 'p1"),
        ("SET PASSWORD = _utf8mb4'p1'", "'p1'"),
        ("ALTER USER u IDENTIFIED BY _utf8'p1'", "'p1'"),
        (
            "SET GLOBAL a_password = concat('p', '1'), b = 'x'",
            "'p' '1'",
        ),
        (
            "SET @q = concat('CREATE USER u IDENTIFIED BY \"', 'p1', '\"'); SET @b = 'x'",
            "'CREATE USER u IDENTIFIED BY \"' 'p1' '\"'",
        ),
        ("SELECT 'password', name FROM t WHERE a='b'", ""),
        ("INSERT INTO t VALUES ('secret')", ""),
    ] {
        assert_eq!(hidden(sql, MYSQL), expected, "{sql}");
    }
    assert_eq!(
        hidden(
            "CREATE USER u IDENTIFIED VIA ed25519 USING PASSWORD('p1')",
            MARIADB
        ),
        "'p1'"
    );
}

#[test]
fn columns_find_their_tables() {
    let columns = |sql: &str| {
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{sql}");
        let facts = &analysis.facts.statements[0];
        let shown: Vec<String> = facts
            .columns
            .iter()
            .map(|column| {
                let table = column.table.as_ref().map_or("?", |table| &table.name);
                format!("{table}.{}:{}", column.column, column.usage)
            })
            .collect();
        shown.join(" ")
    };
    assert_eq!(
        columns("SELECT Name FROM users WHERE id=1"),
        "users.id:filter users.name:read"
    );
    assert_eq!(
        columns("SELECT u.name, s.* FROM users u JOIN secret s ON u.id=s.id"),
        "secret.*:read secret.id:filter users.id:filter users.name:read"
    );
    assert_eq!(columns("SELECT * FROM users"), "users.*:read");
    assert_eq!(
        columns("UPDATE users SET name=v WHERE id=1"),
        "users.id:filter users.name:write users.v:read"
    );
    assert_eq!(
        columns("INSERT INTO users (id, name) VALUES (1, 'x')"),
        "users.id:write users.name:write"
    );
    assert_eq!(
        columns("SELECT (SELECT v FROM secret s WHERE s.id = u.id) FROM users u"),
        "?.v:read secret.id:filter users.id:filter"
    );
}

#[test]
fn keys_over_expressions_name_their_columns() {
    let columns = |sql: &str| {
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{sql}");
        let mut names: Vec<String> = analysis
            .facts
            .statements
            .iter()
            .flat_map(|statement| &statement.columns)
            .map(|column| column.column.to_string())
            .collect();
        names.sort();
        names.dedup();
        names.join(" ")
    };
    for sql in [
        "CREATE INDEX i ON t ((lower(secret)))",
        "CREATE UNIQUE INDEX i USING BTREE ON t (a, (lower(secret)) DESC, b(3)) COMMENT 'x'",
        "CREATE TABLE t (a INT, secret TEXT, KEY k USING HASH ((lower(secret)), a DESC))",
        "CREATE TABLE t (a INT UNIQUE KEY COMMENT 'x', secret TEXT, UNIQUE ((lower(secret))))",
        "ALTER TABLE t ADD INDEX i ((lower(secret)))",
    ] {
        assert_eq!(columns(sql), "secret", "{sql}");
    }
    for sql in [
        "CREATE TABLE t (a INT PRIMARY KEY, b INT KEY DEFAULT (1), UNIQUE KEY u (b, a(10)), INDEX (b))",
        "CREATE TABLE t (a INT, b INT) PARTITION BY KEY ALGORITHM=2 (a) PARTITIONS 4",
        "ALTER TABLE t DROP KEY k, DROP PRIMARY KEY, RENAME INDEX a TO b, ADD KEY (a)",
        "CREATE INDEX i ON t (a)",
    ] {
        assert_eq!(columns(sql), "", "{sql}");
    }
}

/// Behind a WITH of its own, a query may not see the names of one around it: then the table is read.
#[test]
fn inner_with_may_not_see_names_around_it() {
    let cases = [
        (
            "subquery",
            "WITH secret AS (SELECT 1 AS v) SELECT (WITH c AS (SELECT v FROM secret) SELECT v FROM c)",
            "select r=secret",
        ),
        (
            "derived",
            "WITH secret AS (SELECT 1 AS v) SELECT * FROM (WITH c AS (SELECT v FROM secret) SELECT v FROM c) x",
            "select r=secret",
        ),
        (
            "later",
            "WITH secret AS (SELECT 1 AS v), b AS (SELECT (WITH c AS (SELECT 2), d AS (SELECT v FROM secret) \
             SELECT v FROM d) AS v) SELECT * FROM b",
            "select r=secret",
        ),
        (
            "own",
            "WITH a AS (SELECT 1) SELECT (WITH secret AS (SELECT 2 AS v), c AS (SELECT v FROM secret) SELECT v FROM c)",
            "select",
        ),
        (
            "plain",
            "WITH secret AS (SELECT 1 AS v), b AS (SELECT v FROM secret) SELECT (SELECT v FROM secret) FROM b",
            "select",
        ),
    ];
    check(&cases, MARIADB);
    check(&cases, MYSQL);
    check(
        &[(
            "values",
            "INSERT INTO users WITH secret AS (SELECT 1 AS v) VALUES ROW (2, (SELECT v FROM secret))",
            "insert r=secret w=users",
        )],
        MYSQL,
    );
}

/// What is kept of a body are its words without version comments: `sec/*!99999 */ret` runs as `secret`.
#[test]
fn bodies_run_without_their_version_comments() {
    let cases = [
        (
            "skipped",
            "CREATE FUNCTION f() RETURNS int READS SQL DATA RETURN (SELECT max(v) FROM sec/*!99999 */ret)",
            SYNTAX,
        ),
        (
            "run",
            "CREATE PROCEDURE p() SELECT v FROM sec/*!50000ret*/",
            SYNTAX,
        ),
        (
            "end",
            "CREATE PROCEDURE p() SELECT /*!50000 v FROM sec*/ret",
            SYNTAX,
        ),
        (
            "blank",
            "CREATE PROCEDURE p() SELECT v FROM /*!50000 secret */ WHERE 1 /*!99999 x*/ = 1",
            "create r=secret",
        ),
        (
            "dump",
            "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER t AFTER INSERT ON users \
             FOR EACH ROW DELETE FROM secret */",
            "create;delete w=secret,users",
        ),
    ];
    for lex in [MYSQL, MARIADB] {
        let dump: Vec<_> = cases
            .iter()
            .filter(|case| case.0 != "dump")
            .copied()
            .collect();
        check(&dump, lex);
        let (_, sql, _) = cases.last().copied().expect("a case");
        assert!(read(sql.as_bytes(), lex).facts.unreadable.is_none());
    }
}

/// Disguises of true that tokens show.
#[test]
fn more_disguises_of_true_are_seen_through() {
    let shape = |clause: &str| {
        let sql = format!("DELETE FROM t WHERE {clause}");
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{clause}");
        analysis.facts.statements[0].where_shape
    };
    for clause in [
        "id = +id",
        "id = id + 0",
        "id*1 = id",
        "0 + id = id",
        "id = (id) DIV 1",
        "id DIV id",
        "id / id",
        "id - id = 0",
        "RAND() < 2",
        "2 > RAND()",
        "ABS(id) >= 0",
        "id IS NOT FALSE OR id IS FALSE",
        "id IS TRUE OR id IS NOT TRUE",
        "id IN (SELECT id FROM u) OR 1=1",
        "MATCH (a) AGAINST ('x') OR 1=1",
        "(id IN (TABLE u) OR 'a' = 'a')",
        "id LIKE '_%'",
        "name REGEXP '.'",
    ] {
        assert_eq!(shape(clause), WhereShape::AlwaysTrue, "{clause}");
    }
    for clause in [
        "id = id + 1",
        "id DIV 2",
        "RAND() < 0.5",
        "ABS(id) >= 1",
        "LOWER(status) = 'open'",
        "IFNULL(type, 1) = 2",
        "id IS NOT FALSE OR id IS TRUE",
        "id = 5 AND EXISTS (SELECT * FROM t)",
        "EXISTS (SELECT * FROM u WHERE u.id = t.id)",
        "id IN (SELECT id FROM u) AND 1=1",
        "MATCH (a) AGAINST ('x')",
        "id LIKE '__%'",
        "id BETWEEN 1 AND 2 AND MATCH (a) AGAINST ('x')",
    ] {
        assert_eq!(shape(clause), WhereShape::Restricting, "{clause}");
    }
}

/// Most of what applications send is analysed once for all values of its literals.
#[test]
fn plain_comparisons_hold_for_every_value() {
    let read = |clause: &str| {
        let sql = format!("UPDATE t SET k = k + 1 WHERE {clause}");
        let analysis = read(sql.as_bytes(), MYSQL);
        assert_eq!(analysis.facts.unreadable, None, "{clause}");
        let shape = analysis.facts.statements[0].where_shape;
        (analysis.depends_on_literals, shape)
    };
    for clause in [
        "id = 5",
        "t.id >= -5",
        "`id` <> 'x' AND app.t.c < 1.5 && d = ?",
    ] {
        assert_eq!(read(clause), (false, WhereShape::Restricting), "{clause}");
    }
    for clause in [
        "id = 5 OR 1",
        "5 = id",
        "id = 'a' 'b'",
        "id = 5 + 0",
        "id IN (1, id)",
        "f(id) = 5",
        "id = 5 AND 1",
        "id = 1 = 1",
        "id = 5 IS TRUE",
    ] {
        assert!(read(clause).0, "{clause}");
    }
    for clause in ["1 = 1", "id IN (id)", "id = 5 OR 1 = 1", "id = 5 OR 1"] {
        assert_eq!(read(clause).1, WhereShape::AlwaysTrue, "{clause}");
    }
}
