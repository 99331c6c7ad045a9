use super::*;
use crate::compile;
use crate::vocabulary::Dialect;

const POLICY: &str = r#"
schema = 1
[defaults]
action = "allow"
[[redact]]
id = "ssn"
columns = ["hr.people.ssn", "people.tax_*"]
how = "hash"
[[redact]]
id = "pin"
columns = ["pin"]
how = "mask"
[[redact]]
id = "letters"
tables = ["letters"]
how = "mask"
[[redact]]
id = "lookup"
functions = ["crm.find_person"]
how = "hash"
[[redact]]
id = "cards"
pattern = '\b4[0-9]{15}\b'
how = "mask"
"#;

fn rules() -> Redactions {
    let policy = compile(vec![("p".into(), POLICY.into())]).unwrap();
    policy.redactions.unwrap()
}

fn check(dialect: Dialect, cases: &[(&str, &str)]) {
    let rules = rules();
    let lex = LexState::of_dialect(dialect);
    for (sql, expected) in cases {
        let hidden = rules.find(sql.as_bytes(), &lex);
        assert_eq!(
            hidden.preview(sql.as_bytes()),
            *expected,
            "{dialect}: {sql}"
        );
    }
}

/// What both dialects read alike.
const BOTH: &[(&str, &str)] = &[
    // Nothing of an entry is named: everything stays, comments too.
    (
        "SELECT 'x' FROM t WHERE a = 1 /* why */",
        "SELECT 'x' FROM t WHERE a = 1 /* why */",
    ),
    (
        "SELECT ssn FROM t WHERE ssn = '1'",
        "SELECT ssn FROM t WHERE ssn = '1'",
    ),
    // Comparisons: the column's value goes, others stay.
    (
        "SELECT name FROM people WHERE ssn = '1' AND id = 5",
        "SELECT name FROM people WHERE ssn = 'hmac' AND id = 5",
    ),
    (
        "select 1 from hr.people p where p.SSN <> '1' or p.name like 'A%' limit 7",
        "select '***' from hr.people p where p.SSN <> 'hmac' or p.name like 'A%' limit 7",
    ),
    (
        "SELECT id FROM people WHERE ssn IN ('1', '2') AND id NOT IN (3, -4)",
        "SELECT id FROM people WHERE ssn IN ('hmac', 'hmac') AND id NOT IN (3, -4)",
    ),
    (
        "SELECT id FROM people WHERE tax_no BETWEEN 1 AND 2 AND id BETWEEN 3 AND 4",
        "SELECT id FROM people WHERE tax_no BETWEEN 'hmac' AND 'hmac' AND id BETWEEN 3 AND 4",
    ),
    (
        "DELETE FROM people WHERE (ssn = '1') AND (id = 5)",
        "DELETE FROM people WHERE (ssn = 'hmac') AND (id = 5)",
    ),
    (
        "SELECT id FROM t WHERE pin = 7 AND id = 5",
        "SELECT id FROM t WHERE pin = '***' AND id = 5",
    ),
    // What is no plain comparison is hidden.
    (
        "SELECT id FROM people WHERE concat(ssn, 'a') = 'b'",
        "SELECT id FROM people WHERE concat(ssn, '***') = '***'",
    ),
    (
        "SELECT id FROM people WHERE '1' = ssn",
        "SELECT id FROM people WHERE '***' = ssn",
    ),
    (
        "SELECT id FROM people WHERE (ssn, id) = ('1', 5)",
        "SELECT id FROM people WHERE (ssn, id) = ('***', '***')",
    ),
    (
        "SELECT 'a' FROM people GROUP BY id HAVING max(ssn) = 'b'",
        "SELECT '***' FROM people GROUP BY id HAVING max(ssn) = '***'",
    ),
    (
        "SELECT q FROM (SELECT ssn AS q FROM people) x WHERE q = '1'",
        "SELECT q FROM (SELECT ssn AS q FROM people) x WHERE q = '***'",
    ),
    (
        "WITH p AS (SELECT ssn s FROM people) SELECT * FROM p WHERE s = '1'",
        "WITH p AS (SELECT ssn s FROM people) SELECT * FROM p WHERE s = '***'",
    ),
    (
        "SELECT 1 FROM people UNION SELECT '2'",
        "SELECT '***' FROM people UNION SELECT '***'",
    ),
    // Rows.
    (
        "INSERT INTO people (id, ssn, name) VALUES (1, '2', 'a'), (3, '4', upper('b'))",
        "INSERT INTO people (id, ssn, name) VALUES (1, 'hmac', 'a'), (3, 'hmac', upper('b'))",
    ),
    (
        "INSERT INTO people (id, ssn) VALUES (1, concat('2', '3'))",
        "INSERT INTO people (id, ssn) VALUES (1, concat('***', '***'))",
    ),
    (
        "INSERT INTO people VALUES (1, '2')",
        "INSERT INTO people VALUES ('***', '***')",
    ),
    (
        "INSERT INTO t VALUES (1, '2')",
        "INSERT INTO t VALUES ('***', '***')",
    ),
    (
        "INSERT INTO people (id, ssn) SELECT 1, '2'",
        "INSERT INTO people (id, ssn) SELECT '***', '***'",
    ),
    (
        "INSERT INTO t (id, pin) VALUES (1, 2)",
        "INSERT INTO t (id, pin) VALUES (1, '***')",
    ),
    // Assignments.
    (
        "UPDATE people SET ssn = '1', name = 'b' WHERE id = 5",
        "UPDATE people SET ssn = 'hmac', name = 'b' WHERE id = 5",
    ),
    (
        "UPDATE people SET name = 'b' || ssn WHERE id = 5",
        "UPDATE people SET name = '***' || ssn WHERE id = 5",
    ),
    // Several statements: one that can't be told hides all.
    (
        "SELECT ssn FROM people WHERE id = 5; SELECT 'x'",
        "SELECT ssn FROM people WHERE id = 5; SELECT '***'",
    ),
    (
        "CREATE TABLE x (a int DEFAULT 3); DELETE FROM people WHERE id = 5",
        "CREATE TABLE x (a int DEFAULT '***'); DELETE FROM people WHERE id = '***'",
    ),
    // Comments of what is hidden.
    (
        "SELECT id FROM people WHERE id = 5 /* for 123 */ -- 456",
        "SELECT id FROM people WHERE id = 5 /***/",
    ),
    // Tables, functions, patterns.
    (
        "SELECT 1 FROM letters WHERE id = 5",
        "SELECT '***' FROM letters WHERE id = '***'",
    ),
    (
        "SELECT crm.find_person('a', lower('b')), 'c'",
        "SELECT crm.find_person('hmac', lower('hmac')), 'c'",
    ),
    (
        "SELECT 4111111111111111, '4111111111111111', 'x' /* 4111111111111111 */",
        "SELECT '***', '***', 'x' /***/",
    ),
    // SQL in strings.
    (
        "PREPARE p FROM 'SELECT * FROM people WHERE ssn = 1'",
        "PREPARE p FROM '***'",
    ),
    ("EXECUTE p", "EXECUTE p"),
    // What can't be scanned.
    (
        "SELECT id FROM people WHERE ssn = 'abc",
        "SELECT id FROM people WHERE ssn ='***'",
    ),
    ("SELECT 5, 'abc", "SELECT 5, 'abc"),
];

#[test]
fn both_dialects() {
    for dialect in [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb] {
        check(dialect, BOTH);
    }
}

#[test]
fn postgres() {
    check(
        Dialect::Postgres,
        &[
            (
                r"SELECT id FROM people WHERE ssn = E'1\'2'",
                "SELECT id FROM people WHERE ssn = 'hmac'",
            ),
            (
                "SELECT id FROM people WHERE ssn = $$12$$",
                "SELECT id FROM people WHERE ssn = 'hmac'",
            ),
            (
                "SELECT id FROM people WHERE ssn = N'12'",
                "SELECT id FROM people WHERE ssn = N'hmac'",
            ),
            (
                "SELECT id FROM people WHERE ssn = U&'12'",
                "SELECT id FROM people WHERE ssn = '***'",
            ),
            (
                "SELECT id FROM people WHERE ssn = '12'::text AND id = 5::bigint",
                "SELECT id FROM people WHERE ssn = 'hmac'::text AND id = 5::bigint",
            ),
            (
                "SELECT id FROM people WHERE id = CAST('5' AS int)",
                "SELECT id FROM people WHERE id = CAST('***' AS int)",
            ),
            (
                "SELECT id FROM people WHERE ssn = 'a'\n'b'",
                "SELECT id FROM people WHERE ssn = '***'",
            ),
            (
                r#"SELECT id FROM "people" WHERE "ssn" = '1'"#,
                r#"SELECT id FROM "people" WHERE "ssn" = 'hmac'"#,
            ),
            (
                r#"SELECT id FROM U&"peop\006ce" WHERE a = '1'"#,
                r#"SELECT id FROM U&"peop\006ce" WHERE a = '***'"#,
            ),
            (
                "INSERT INTO people (id, ssn) VALUES (1, '2') ON CONFLICT (id) DO UPDATE SET ssn = '3', name = 'x' WHERE people.id = 4 RETURNING 'y'",
                "INSERT INTO people (id, ssn) VALUES (1, 'hmac') ON CONFLICT (id) DO UPDATE SET ssn = 'hmac', name = 'x' WHERE people.id = 4 RETURNING '***'",
            ),
            (
                "MERGE INTO people USING (VALUES (1,'2')) v(a, b) ON id = a WHEN MATCHED THEN UPDATE SET ssn = '3'",
                "MERGE INTO people USING (VALUES ('***','***')) v(a, b) ON id = a WHEN MATCHED THEN UPDATE SET ssn = '***'",
            ),
            (
                "SELECT s FROM people AS p(i, s) WHERE s = '1'",
                "SELECT s FROM people AS p(i, s) WHERE s = '***'",
            ),
            ("EXECUTE p(1, '2')", "EXECUTE p('***', '***')"),
            ("SET app.ssn = '1'", "SET app.ssn = '***'"),
            ("SET work_mem = '1MB'", "SET work_mem = '1MB'"),
            (
                "SELECT set_config('app.x', '1', false)",
                "SELECT set_config('***', '***', false)",
            ),
            (
                "DO $$ BEGIN UPDATE people SET ssn = '1'; END $$",
                "DO '***'",
            ),
            (
                "COPY people (ssn) FROM PROGRAM 'echo 1'",
                "COPY people (ssn) FROM PROGRAM '***'",
            ),
            (
                "EXPLAIN SELECT * FROM people WHERE id = 5",
                "EXPLAIN SELECT * FROM people WHERE id = '***'",
            ),
            (
                "SELECT format('UPDATE people SET ssn = %L', '1')",
                "SELECT format('***', '***')",
            ),
            (
                "BEGIN; UPDATE people SET ssn = '1' WHERE id = 2; COMMIT",
                "BEGIN; UPDATE people SET ssn = 'hmac' WHERE id = 2; COMMIT",
            ),
        ],
    );
}

#[test]
fn mysql() {
    for dialect in [Dialect::Mysql, Dialect::Mariadb] {
        check(
            dialect,
            &[
                (
                    "SELECT id FROM `people` WHERE `ssn` = \"1\"",
                    "SELECT id FROM `people` WHERE `ssn` = 'hmac'",
                ),
                (
                    r"SELECT id FROM people WHERE ssn = 'a\'b'",
                    "SELECT id FROM people WHERE ssn = 'hmac'",
                ),
                (
                    "SELECT id FROM people WHERE ssn = _utf8mb4'1' AND id = 5",
                    "SELECT id FROM people WHERE ssn = _utf8mb4'hmac' AND id = 5",
                ),
                (
                    "SELECT id FROM people WHERE ssn = N'1'",
                    "SELECT id FROM people WHERE ssn = 'hmac'",
                ),
                (
                    "SELECT id FROM people WHERE ssn = x'31' OR ssn = 0x31",
                    "SELECT id FROM people WHERE ssn = 'hmac' OR ssn = 'hmac'",
                ),
                (
                    "SELECT id FROM people WHERE ssn = 'a' 'b'",
                    "SELECT id FROM people WHERE ssn = '***' '***'",
                ),
                (
                    "INSERT INTO people SET id = 1, ssn = '2'",
                    "INSERT INTO people SET id = 1, ssn = 'hmac'",
                ),
                (
                    "INSERT INTO people (id, ssn) VALUES (1, '2') ON DUPLICATE KEY UPDATE ssn = '3', id = 4",
                    "INSERT INTO people (id, ssn) VALUES (1, 'hmac') ON DUPLICATE KEY UPDATE ssn = 'hmac', id = 4",
                ),
                (
                    "INSERT INTO people (id, ssn) VALUES (1, '2') AS new(a, b) ON DUPLICATE KEY UPDATE id = '3'",
                    "INSERT INTO people (id, ssn) VALUES ('***', '***') AS new(a, b) ON DUPLICATE KEY UPDATE id = '***'",
                ),
                (
                    "REPLACE INTO people (ssn, id) VALUE ('1', 2)",
                    "REPLACE INTO people (ssn, id) VALUE ('hmac', 2)",
                ),
                (
                    "SELECT id FROM people /*!50000 WHERE ssn = '1' */ LIMIT 5, 10",
                    "SELECT id FROM people /***/ WHERE ssn = 'hmac' /***/ LIMIT 5, 10",
                ),
                ("SET @a = '1'", "SET @a = '***'"),
                ("SELECT @a := '1'", "SELECT @a := '***'"),
                ("SELECT '1' INTO @a", "SELECT '***' INTO @a"),
                ("SET NAMES 'utf8mb4'", "SET NAMES 'utf8mb4'"),
                (
                    "SELECT ssn AS s FROM people HAVING s = '1'",
                    "SELECT ssn AS s FROM people HAVING s = '***'",
                ),
                (
                    "SELECT ssn AS s FROM people ORDER BY s = '1'",
                    "SELECT ssn AS s FROM people ORDER BY s = '***'",
                ),
                (
                    "SELECT id FROM people WHERE id = 5 # 123",
                    "SELECT id FROM people WHERE id = 5 /***/",
                ),
            ],
        );
    }
}

#[test]
fn parameters_share_the_fate_of_literals() {
    let rules = rules();
    let fates = |sql: &str, dialect, count: usize| {
        let hidden = rules.find(sql.as_bytes(), &LexState::of_dialect(dialect));
        (0..count)
            .map(|number| hidden.parameters.of(number, 0))
            .collect::<Vec<_>>()
    };
    use Fate::{Hash, Keep, Mask};
    let pg = Dialect::Postgres;
    assert_eq!(
        fates(
            "UPDATE people SET ssn = $2, tax_id = $3 || 'x' WHERE id = $1",
            pg,
            3
        ),
        [Keep, Hash, Mask]
    );
    assert_eq!(
        fates("SELECT 1 FROM people WHERE ssn = $1 OR name = $1", pg, 1),
        [Hash]
    );
    assert_eq!(
        fates(
            "SELECT id FROM people WHERE id = ANY($1) AND ssn = ANY ($2::text[])",
            pg,
            2
        ),
        [Keep, Hash]
    );
    assert_eq!(fates("SELECT crm.find_person($1), $2", pg, 2), [Hash, Keep]);
    assert_eq!(fates("SELECT $1", pg, 2), [Keep, Keep]);
    let my = Dialect::Mysql;
    assert_eq!(
        fates("INSERT INTO people (id, ssn) VALUES (?, ?), (?, ?)", my, 4),
        [Keep, Hash, Keep, Hash]
    );
    assert_eq!(
        fates("INSERT INTO people VALUES (?, ?)", my, 2),
        [Mask, Mask]
    );
    // What comes beside the parameters of a text that names something is hidden, too.
    assert_eq!(
        fates("SELECT id FROM people WHERE id = ?", my, 2),
        [Keep, Mask]
    );
    // A bulk execution's rows come one after another.
    let hidden = rules.find(
        b"INSERT INTO people (id, ssn) VALUES (?, ?)",
        &LexState::of_dialect(my),
    );
    assert_eq!(
        (0..4)
            .map(|number| hidden.parameters.of(number, 2))
            .collect::<Vec<_>>(),
        [Keep, Hash, Keep, Hash]
    );
}

#[test]
fn equal_values_have_equal_contents() {
    let rules = rules();
    let value = |sql: &str, dialect| {
        let hidden = rules.find(sql.as_bytes(), &LexState::of_dialect(dialect));
        match &hidden.places.first().unwrap().stand_in {
            StandIn::Hash(value) => value.clone(),
            other => panic!("{other:?}"),
        }
    };
    for literal in ["'a''b'", r"E'a\'b'", "$x$a'b$x$", "N'a''b'"] {
        let sql = format!("SELECT FROM people WHERE ssn = {literal}");
        assert_eq!(value(&sql, Dialect::Postgres), b"a'b", "{literal}");
    }
    for literal in [
        "'a''b'",
        r"'a\'b'",
        "\"a'b\"",
        "N'a''b'",
        "_latin1'a''b'",
        "0x612762",
        "x'612762'",
    ] {
        let sql = format!("SELECT 2 + id FROM people WHERE ssn = {literal}").replace("2 + ", "");
        assert_eq!(value(&sql, Dialect::Mysql), b"a'b", "{literal}");
    }
}

#[test]
fn what_cannot_hide_anything_is_refused() {
    let refused = |entry: &str, expected: &str| {
        let text = format!("schema = 1\n[defaults]\naction = \"allow\"\n{entry}");
        let problems = compile(vec![("p".into(), text)]).unwrap_err();
        assert!(
            problems.to_string().contains(expected),
            "{entry}: {problems}"
        );
    };
    refused("[[redact]]\nid = 'a'\nhow = 'mask'", "names nothing");
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\ncolumns = ['*']",
        "names everything",
    );
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\ntables = ['hr.*']",
        "names everything",
    );
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\npattern = '('",
        "no regular expression",
    );
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\npattern = 'x*'",
        "matches the empty text",
    );
    refused("[[redact]]\nid = 'a'\nhow = 'hide'\npattern = 'x'", "mask");
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\ncolums = ['x']",
        "unknown field `colums`",
    );
    refused(
        &format!(
            "[[redact]]\nid = 'a'\nhow = 'mask'\ncolumns = ['{}']",
            "x".repeat(65)
        ),
        "no name is that long",
    );
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\ncolumns = ['x', 'X']",
        "redacted already",
    );
    refused(
        "[[redact]]\nid = 'a'\nhow = 'mask'\ncolumns = ['x']\n[[redact]]\nid = 'a'\nhow = 'mask'\ncolumns = ['y']",
        "defined twice",
    );
    refused(
        "[[redact_test]]\nsql = 'SELECT 1'\nhides = ['2']",
        "no piece of",
    );
    refused("[[redact_test]]\nsql = 'SELECT 1'", "expects nothing");
}

#[test]
fn cases_are_run() {
    let case = |expectation: &str| {
        let text = format!(
            "{POLICY}[[redact_test]]\nsql = \"SELECT id FROM people WHERE ssn = '12' AND id = 5 OR a = $1\"\n{expectation}"
        );
        let results = compile(vec![("p".into(), text)])
            .unwrap()
            .run_tests()
            .unwrap();
        assert_eq!(results.run, 1);
        results
            .failures
            .into_iter()
            .next()
            .map(|failure| failure.expected)
    };
    assert_eq!(
        case("hides = [\"'12'\"]\nkeeps = ['5']\nparameters = ['keep']"),
        None
    );
    assert_eq!(case("hides = ['5']").unwrap(), "`5` hidden");
    assert_eq!(case("keeps = ['12']").unwrap(), "`12` kept");
    assert_eq!(case("parameters = ['hash']").unwrap(), "parameters [Hash]");
}

/// What the manual shows works.
#[test]
fn the_manual_is_right() {
    let manual = include_str!("../../../docs/redaction.md");
    let blocks = manual.split("```toml\n").skip(1);
    let examples: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let text = format!("schema = 1\n[defaults]\naction = \"allow\"\n{example}");
        let policy = compile(vec![("manual".into(), text)]).unwrap();
        assert!(policy.reduces || policy.redactions.is_some());
        let results = policy.run_tests().unwrap();
        assert!(results.passed(), "{results}");
    }
}

#[test]
fn less_is_recorded_only_of_what_is_allowed() {
    let text = "schema = 1\n[defaults]\naction = \"allow\"\n[[rule]]\nid = 'a'\nwhen = { verb = ['drop'] }\naction = 'deny'\nrecord = 'digest'";
    let problems = compile(vec![("p".into(), text.into())]).unwrap_err();
    assert!(
        problems.to_string().contains("recorded in full"),
        "{problems}"
    );
}
