//! Canaries: what `[[redact]]` names stands nowhere on the disk, however a statement says it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{self, Raw, bind, execute, parse, sync};
use sqlward_tests::server::{self, DATABASE, TRUSTED_USER};

const POLICY: &str = r#"schema = 1
[defaults]
action = "allow"
unreadable = "allow"

[[redact]]
id = "ssn"
columns = ["people.ssn"]
how = "hash"

[[redact]]
id = "letters"
tables = ["letters"]
how = "mask"

[[redact]]
id = "lookup"
functions = ["find_person"]
how = "mask"

[[redact]]
id = "token"
pattern = 'tok_kanarie[0-9]+'
how = "mask"
"#;

/// What no file may hold: the canaries as text, as hexadecimal digits, as escapes, and as numbers.
const CANARIES: [&str; 6] = [
    "kanarie",
    "KANARIE",
    "6b616e61726965",
    "6B616E61726965",
    r"\x6b\x61\x6e",
    "98765",
];

/// What both products take. `§` is replaced by a number of its own for each statement.
const BOTH: &[&str] = &[
    "INSERT INTO people (id, ssn, name) VALUES (1§, 'kanarie§', 'open')",
    "INSERT INTO people (id, ssn, name) VALUES (2§, 'kanarie§', 'a'), (3§, 98765§, 'b'), (4§, NULL, 'c')",
    "INSERT INTO people VALUES (5§, 'kanarie§', 'd')",
    "INSERT INTO people (id, ssn) SELECT 6§, 'kanarie§'",
    "INSERT INTO people (ssn, id) VALUES (concat('kanarie', '§'), 7§)",
    "UPDATE people SET ssn = 'kanarie§' WHERE id = 1",
    "UPDATE people SET name = 'x', ssn = concat('kanarie§', name) WHERE id < 3",
    "SELECT name FROM people WHERE ssn = 'kanarie§'",
    "SELECT name FROM people p WHERE p.ssn <> 'kanarie§' AND p.id = 5",
    "SELECT name FROM people WHERE 'kanarie§' = ssn",
    "SELECT name FROM people WHERE ssn IN ('kanarie§', 'kanarie§x') OR ssn LIKE 'kanarie§%'",
    "SELECT name FROM people WHERE ssn BETWEEN 'kanarie§' AND 'kanarie§x'",
    "SELECT name FROM people WHERE upper(ssn) = upper('kanarie§')",
    "SELECT name FROM people WHERE CAST('kanarie§' AS CHAR(20)) = ssn",
    "SELECT name FROM people WHERE (id, ssn) = (1, 'kanarie§')",
    "SELECT CASE WHEN ssn = 'kanarie§' THEN 'kanarie§y' ELSE 'n' END FROM people",
    "SELECT coalesce(ssn, 'kanarie§') FROM people",
    "SELECT q FROM (SELECT ssn AS q FROM people) x WHERE q = 'kanarie§'",
    "WITH p AS (SELECT ssn AS s FROM people) SELECT s FROM p WHERE s = 'kanarie§'",
    "SELECT name FROM people WHERE id IN (SELECT id FROM people WHERE ssn = 'kanarie§')",
    "SELECT name FROM people UNION SELECT 'kanarie§'",
    "SELECT ssn FROM people GROUP BY ssn HAVING max(ssn) = 'kanarie§'",
    "DELETE FROM people WHERE ssn = 'kanarie§'",
    "SELECT name FROM people WHERE id = 1 /* for kanarie§ */",
    "SELECT name FROM people WHERE id = 1 -- for kanarie§",
    "/* kanarie§ in people */ SELECT 1",
    // Statements that fail, and texts that can't be read.
    "SELECT nonesuch FROM people WHERE ssn = 'kanarie§'",
    "INSERT INTO people (id, ssn) VALUES ('not a number', 'kanarie§')",
    "SELEKT FROM people WHERE ssn = 'kanarie§'",
    "SELECT name FROM people WHERE ssn = 'kanarie§",
    "SELECT name FROM people WHERE ssn = 98765§",
    "SELECT name FROM people WHERE ssn = 98765§.5",
    // Whole tables, functions, patterns.
    "INSERT INTO letters (id, body) VALUES (98765§, 'kanarie§')",
    "SELECT body FROM letters WHERE id = 98765§ OR body = 'kanarie§'",
    "SELECT find_person('kanarie§')",
    "SELECT 'tok_kanarie§', 1",
    "SELECT 1 /* tok_kanarie§ */",
    "SELECT 1 AS tok_kanarie§",
];

const POSTGRES: &[&str] = &[
    r"SELECT name FROM people WHERE ssn = E'kanarie\'§'",
    r"SELECT name FROM people WHERE ssn = E'\x6b\x61\x6e\x61rie§'",
    "SELECT name FROM people WHERE ssn = $$kanarie§$$ OR ssn = $x$kanarie§$x$",
    "SELECT name FROM people WHERE ssn = N'kanarie§' OR ssn = U&'kanarie§'",
    "SELECT name FROM people WHERE ssn = 'kan'\n'arie§'",
    "SELECT name FROM people WHERE ssn = 'kanarie§'::text OR ssn = text 'kanarie§'",
    "SELECT name FROM people WHERE ssn = ANY (ARRAY['kanarie§']) OR ssn = ANY ('{kanarie§}')",
    "SELECT name FROM people WHERE ssn IS NOT DISTINCT FROM 'kanarie§' OR ssn ~ 'kanarie§'",
    "SELECT name FROM people WHERE ssn = convert_from('\\x6b616e61726965', 'utf8')",
    r#"SELECT name FROM "people" WHERE "ssn" = 'kanarie§'"#,
    r#"SELECT name FROM U&"peop\006ce" WHERE ssn = 'kanarie§'"#,
    "SELECT s FROM people AS p(i, s) WHERE s = 'kanarie§'",
    "INSERT INTO people (id, ssn) VALUES (1, 'kanarie§') ON CONFLICT (id) DO UPDATE SET ssn = 'kanarie§', name = 'x' RETURNING 'kanarie§'",
    "MERGE INTO people USING (VALUES (1, 'kanarie§')) v(a, b) ON id = a WHEN MATCHED THEN UPDATE SET ssn = 'kanarie§' WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (a, 'kanarie§')",
    "WITH n AS (INSERT INTO people (id, ssn) VALUES (8§, 'kanarie§') RETURNING id) SELECT * FROM n",
    "EXPLAIN SELECT name FROM people WHERE ssn = 'kanarie§'",
    "PREPARE s§ AS SELECT name FROM people WHERE ssn = $1 OR ssn = 'kanarie§'; EXECUTE s§('kanarie§')",
    "PREPARE t§ (text) AS UPDATE people SET ssn = $1 WHERE id = 1",
    "EXECUTE t§('kanarie§')",
    "BEGIN; DECLARE c CURSOR FOR SELECT name FROM people WHERE ssn = 'kanarie§'; FETCH c; COMMIT",
    "BEGIN; UPDATE people SET ssn = 'kanarie§' WHERE id = 1; COMMIT",
    "DO $$ BEGIN UPDATE people SET ssn = 'kanarie§' WHERE id = 1; END $$",
    "DO $$ BEGIN EXECUTE format('UPDATE people SET ssn = %L', 'kanarie§'); END $$",
    "SET app.ssn = 'kanarie§'",
    "SELECT set_config('app.ssn', 'kanarie§', false)",
    "COPY (SELECT name FROM people WHERE ssn = 'kanarie§') TO STDOUT",
    "CREATE TEMP TABLE t§ AS SELECT 'kanarie§' AS x FROM people",
    "SET application_name = 'tok_kanarie§'",
    "SELECT 1 /*end_user='tok_kanarie§'*/",
];

const MYSQL: &[&str] = &[
    r"SELECT name FROM people WHERE ssn = 'kanarie\'§'",
    "SELECT name FROM people WHERE ssn = \"kanarie§\"",
    "SELECT name FROM people WHERE ssn = N'kanarie§' OR ssn = _utf8mb4'kanarie§'",
    "SELECT name FROM people WHERE ssn = 'kan' 'arie§'",
    "SELECT name FROM people WHERE ssn = x'6b616e61726965' OR ssn = 0x6b616e61726965",
    "SELECT name FROM `people` WHERE `ssn` <=> 'kanarie§' OR app.people.ssn = 'kanarie§'",
    "SELECT name FROM people WHERE ssn = 'kanarie§' COLLATE utf8mb4_bin OR ssn REGEXP 'kanarie§'",
    "SELECT name FROM people /*!50000 WHERE ssn = 'kanarie§' */",
    "SELECT name FROM people WHERE id = 1 # kanarie§",
    "INSERT INTO people SET id = 9§, ssn = 'kanarie§'",
    "INSERT INTO people (id, ssn) VALUES (1, 'kanarie§') ON DUPLICATE KEY UPDATE ssn = 'kanarie§', name = 'x'",
    "REPLACE INTO people (id, ssn) VALUES (1, 'kanarie§')",
    "SET @v = 'kanarie§'",
    "SELECT 'kanarie§' INTO @v",
    "PREPARE s FROM 'SELECT name FROM people WHERE ssn = ''kanarie§'''",
    "PREPARE s FROM 'SELECT name FROM people WHERE ssn = ?'",
    "EXECUTE s USING @v",
    "SELECT ssn AS s FROM people HAVING s = 'kanarie§' ORDER BY s = 'kanarie§'",
    "EXPLAIN SELECT name FROM people WHERE ssn = 'kanarie§'",
    "DO 'kanarie§' = (SELECT ssn FROM people LIMIT 1)",
];

fn numbered(statements: &'static [&'static str], from: usize) -> impl Iterator<Item = String> {
    (from..)
        .zip(statements)
        .map(|(number, sql)| sql.replace('§', &number.to_string()))
}

fn start_options(key: &Path) -> Result<proxy::Options> {
    std::fs::write(key, "0123456789abcdef0123456789abcdef")?;
    Ok(proxy::Options {
        policy: Policy::Text(POLICY.into()),
        audit: format!("redaction_key = {key:?}"),
        ..Default::default()
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Where a canary stands in some bytes.
fn canary(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let place = CANARIES.iter().find_map(|canary| text.find(canary))?;
    let near = text.get(place.saturating_sub(80)..).unwrap_or(&text);
    Some(near.chars().take(120).collect())
}

/// Every block of the store, unpacked: the journal's entries as they were written.
fn unpacked(data: &Path) -> Result<Vec<Vec<u8>>> {
    let mut blocks = Vec::new();
    for file in files(&data.join("store"))? {
        if !std::fs::read(&file)?.starts_with(b"SQLite format 3") {
            continue;
        }
        let connection = rusqlite::Connection::open(&file)?;
        let Ok(mut packed) = connection.prepare("SELECT frames FROM block") else {
            continue;
        };
        let frames = packed.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        for frame in frames {
            blocks.push(zstd::decode_all(frame?.as_slice())?);
        }
    }
    ensure!(!blocks.is_empty(), "no blocks in {}", data.display());
    Ok(blocks)
}

/// Nothing on the disk has a canary: journal (of a proxy that was killed), store, blocks, log, answers.
fn nowhere(proxy: &mut Proxy, at_least: usize) -> Result<Vec<Value>> {
    // The journal as it is when nothing has been tidied up.
    proxy.kill()?;
    let mut found = Vec::new();
    let look = |found: &mut Vec<String>, proxy: &Proxy| -> Result<()> {
        for file in files(&proxy.data())? {
            if let Some(near) = canary(&std::fs::read(&file)?) {
                found.push(format!("{}: {near}", file.display()));
            }
        }
        found.extend(canary(proxy.log().as_bytes()).map(|near| format!("log: {near}")));
        Ok(())
    };
    look(&mut found, proxy)?;
    proxy.restart()?;
    proxy.stop()?;
    look(&mut found, proxy)?;
    for block in unpacked(&proxy.data())? {
        found.extend(canary(&block).map(|near| format!("block: {near}")));
    }
    let mut rows = Vec::new();
    for table in ["statements", "sessions", "administration"] {
        let sql = format!("SELECT * FROM {table}");
        rows = match table {
            "statements" => proxy.audit(&["sql", &sql, "--limit", "0"])?,
            _ => {
                let others = proxy.audit(&["sql", &sql, "--limit", "0"])?;
                for row in &others {
                    found.extend(
                        canary(row.to_string().as_bytes()).map(|near| format!("{table}: {near}")),
                    );
                }
                rows
            }
        };
    }
    for row in &rows {
        found.extend(canary(row.to_string().as_bytes()).map(|near| format!("statements: {near}")));
    }
    found.sort();
    found.dedup();
    ensure!(
        found.is_empty(),
        "{} canaries:\n{}",
        found.len(),
        found.join("\n")
    );
    ensure!(
        rows.len() >= at_least,
        "only {} records of {at_least}",
        rows.len()
    );
    sqlward_tests::audit::verify(&proxy.data())?;
    Ok(rows)
}

/// The `hmac:…` in a record's text or parameters.
fn hash(row: &Value) -> Result<String> {
    let text = format!("{} {}", row["text"], row["parameters"]);
    let start = text
        .find("hmac:")
        .with_context(|| format!("no hash in {row}"))?;
    let hash = text.get(start..start + 37).context("a hash is cut")?;
    Ok(hash.to_owned())
}

#[test]
fn postgres() -> Result<()> {
    let server = server::Server::start(&server::Options::default())?;
    server.psql(
        DATABASE,
        "CREATE TABLE people (id bigint PRIMARY KEY, ssn text, name text); CREATE TABLE letters (id bigint, body text); \
         CREATE FUNCTION find_person(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; \
         GRANT ALL ON people, letters TO PUBLIC",
    )?;
    let folder = tempfile::tempdir()?;
    let mut proxy = Proxy::start(&[&server], &start_options(&folder.path().join("key"))?)?;
    let mut raw = Raw::login(
        proxy.port(),
        TRUSTED_USER,
        &[("application_name", "tok_kanarie7")],
    )?;
    let mut count = 0;
    for sql in numbered(BOTH, 100).chain(numbered(POSTGRES, 300)) {
        raw.query(&sql)?;
        raw.query("ROLLBACK")?;
        count += 1;
    }
    // Prepared: once with values in text, once with a value of a column that stays.
    let prepared = [
        (
            "SELECT name FROM people WHERE ssn = $1 AND id = $2",
            vec![Some("kanarie1"), Some("4711")],
        ),
        (
            "INSERT INTO people (id, ssn, name) VALUES ($2, $1, 'x'), ($3::bigint, $4, $5)",
            vec![
                Some("kanarie2"),
                Some("801"),
                Some("802"),
                Some("kanarie3"),
                Some("y"),
            ],
        ),
        (
            "INSERT INTO people VALUES ($1, $2, $3)",
            vec![Some("803"), Some("kanarie4"), None],
        ),
        ("SELECT find_person($1)", vec![Some("kanarie5")]),
        (
            "SELECT name FROM people WHERE ssn = ANY ($1)",
            vec![Some("{kanarie6}")],
        ),
        ("SELECT $1::text", vec![Some("tok_kanarie8")]),
        (
            "SELECT nonesuch FROM people WHERE ssn = $1",
            vec![Some("kanarie9")],
        ),
        (
            "SELECT 1 FROM people WHERE ssn = $1 LIMIT 1",
            vec![Some("kanarie1")],
        ),
    ];
    for (sql, values) in prepared {
        raw.send(
            &[
                parse("n", sql),
                bind("", "n", &values),
                execute("", 0),
                raw::close(b'S', "n"),
                sync(),
            ]
            .concat(),
        )?;
        raw.until_ready()?;
        count += 1;
    }
    raw.query("SELECT name FROM people WHERE ssn = 'kanarie1'")?;
    // A policy that comes between Parse and Bind does not open what was prepared before.
    raw.send(
        &[
            parse("kept", "SELECT id FROM people WHERE ssn = $1"),
            sync(),
        ]
        .concat(),
    )?;
    raw.until_ready()?;
    std::fs::write(
        proxy.policy_file(),
        format!("{POLICY}\n# another generation\n"),
    )?;
    sqlward_tests::process::until("the reload", std::time::Duration::from_secs(10), || {
        Ok((proxy.metric("sqlward_policy_generation")? >= 2.0).then_some(()))
    })?;
    raw.send(
        &[
            bind("", "kept", &[Some("kanarie10")]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )?;
    raw.until_ready()?;

    let rows = nowhere(&mut proxy, count)?;
    let of = |start: &str| {
        rows.iter()
            .find(|row| {
                row["text"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(start))
            })
            .with_context(|| format!("no `{start}`"))
    };
    // Equal values have equal hashes, in text and as parameters; the rest stays.
    let literal = of("SELECT name FROM people WHERE ssn = 'hmac:")?;
    let bound = of("SELECT name FROM people WHERE ssn = $1 AND id = $2")?;
    ensure!(
        rows.iter()
            .filter(|row| hash(row).is_ok_and(|one| one == hash(bound).unwrap_or_default()))
            .count()
            >= 3
    );
    ensure!(hash(literal)?.len() == 37);
    ensure!(bound["parameters"].to_string().contains("4711"), "{bound}");
    ensure!(bound["redacted"] == 1, "{bound}");
    ensure!(of("INSERT INTO people (id, ssn, name) VALUES (1100")?["redacted"] == 1);
    ensure!(of("SELECT owner").is_err());
    Ok(())
}

fn mysql(product: Product) -> Result<()> {
    let server = mysql::Server::start(&mysql::Options::new(product))?;
    server.sql(
        DATABASE,
        "CREATE TABLE people (id bigint PRIMARY KEY, ssn varchar(90), name varchar(90)); \
         CREATE TABLE letters (id bigint, body text); \
         CREATE FUNCTION find_person(x varchar(90)) RETURNS varchar(90) DETERMINISTIC RETURN x",
    )?;
    let folder = tempfile::tempdir()?;
    let mut proxy = Proxy::before(&server, &start_options(&folder.path().join("key"))?)?;
    let mut raw = mysql::raw::Raw::login(proxy.port(), TRUSTED_USER)?;
    let mut count = 0;
    for sql in numbered(BOTH, 100).chain(numbered(MYSQL, 300)) {
        raw.query(&sql)?;
        count += 1;
    }
    let prepared = [
        (
            "SELECT name FROM people WHERE ssn = ? AND id = ?",
            vec![Some("kanarie1"), Some("4711")],
        ),
        (
            "INSERT INTO people (id, ssn, name) VALUES (?, ?, ?), (802, ?, 'x')",
            vec![Some("801"), Some("kanarie2"), Some("y"), Some("kanarie3")],
        ),
        (
            "INSERT INTO people VALUES (?, ?, ?)",
            vec![Some("803"), Some("kanarie4"), None],
        ),
        ("SELECT find_person(?)", vec![Some("kanarie5")]),
        ("SELECT ?", vec![Some("tok_kanarie8")]),
    ];
    for (sql, values) in prepared {
        let statement = raw
            .prepare(sql)?
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
        raw.execute(statement, &values, false)?;
        count += 1;
    }
    raw.query("SELECT name FROM people WHERE ssn = 'kanarie1'")?;
    let rows = nowhere(&mut proxy, count)?;
    let bound = rows.iter().find(|row| {
        row["kind"] == "execute"
            && row["text"]
                .as_str()
                .is_some_and(|text| text.ends_with("AND id = ?"))
    });
    let bound = bound.context("no execution")?;
    ensure!(
        bound["parameters"].to_string().contains("4711") && bound["redacted"] == 1,
        "{bound}"
    );
    let same = rows
        .iter()
        .filter(|row| hash(row).is_ok_and(|one| one == hash(bound).unwrap_or_default()));
    ensure!(same.count() >= 2);
    Ok(())
}

#[test]
fn mysql9() -> Result<()> {
    mysql(Product::MySql)
}

#[test]
fn mariadb11() -> Result<()> {
    mysql(Product::MariaDb11)
}

/// A hash without a key would be a mask that nobody asked for: it does not start.
#[test]
fn a_hash_needs_a_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (config, key) = (
        folder.path().join("sqlward.toml"),
        folder.path().join("key"),
    );
    std::fs::write(folder.path().join("policy.toml"), POLICY)?;
    std::fs::write(&key, "0123456789abcdef0123456789abcdef")?;
    let check = |audit: &str| -> Result<(Option<i32>, String)> {
        let text = format!(
            "data_dir = \"data\"\npolicy = [\"policy.toml\"]\n[audit]\n{audit}\n\
             [[listener]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\nupstream = \"u\"\n\
             [[upstream]]\nname = \"u\"\naddress = \"127.0.0.1:2\"\n"
        );
        std::fs::write(&config, text)?;
        let mut command = std::process::Command::new(sqlward_tests::paths::sqlward()?);
        let output = command.args(["config", "check"]).arg(&config).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), told))
    };
    let (code, told) = check("")?;
    ensure!(code == Some(2) && told.contains("redaction_key"), "{told}");
    let (code, told) = check("redaction_key = \"key\"")?;
    ensure!(code == Some(0), "{told}");
    std::fs::write(&key, "too short")?;
    let (code, told) = check("redaction_key = \"key\"")?;
    ensure!(
        code == Some(2) && told.contains("at least 32 bytes"),
        "{told}"
    );
    Ok(())
}
