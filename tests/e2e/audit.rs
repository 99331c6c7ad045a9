//! Who did what: a finished statement is found within three seconds, by every filter; secrets are
//! not found at all.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Raw, bind, execute, message, parse, startup_packet, sync};
use sqlward_tests::server::{ADMIN, CLEAR_USER, Options, Server, TRUSTED_USER};

const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"

[[rule]]
id = "watch-users"
severity = "low"
when = { object = ["users"], access = ["read"] }
action = "alert"

[[rule]]
id = "no-unbounded-delete"
severity = "high"
when = { verb = ["delete"], where = ["absent"] }
action = "deny"
message = "DELETE needs a WHERE clause"
"#;

/// The promise: a finished statement is found within this time.
const FRESH: Duration = Duration::from_secs(3);

fn setup() -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(POLICY.into()),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

fn texts(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row.get("text").and_then(Value::as_str))
        .collect()
}

/// Plays one session with a statement for every filter.
fn scene(proxy: &Proxy) -> Result<()> {
    let mut raw = Raw::login(
        proxy.port(),
        TRUSTED_USER,
        &[("application_name", "till;end_user=ann")],
    )?;
    raw.query("SELECT owner FROM accounts")?;
    raw.query("SELECT name FROM users")?;
    raw.query("UPDATE accounts SET balance = balance + 1 WHERE id <= 40")?;
    raw.query("DELETE FROM accounts")?;
    raw.query("SELECT 1/0")?;
    raw.query("SELECT pg_sleep(0.4)")?;
    raw.query("SELECT '数据库审计', 'O''Brien 100%'")?;
    raw.query("SELECT 5 /*action='pay',end_user='carol',traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/")?;
    let bytes = [
        parse("", "SELECT balance FROM accounts WHERE id = $1::int"),
        bind("", "", &[Some("77")]),
        execute("", 0),
        sync(),
    ];
    raw.send(&bytes.concat())?;
    raw.until_ready()?;
    raw.terminate()?;
    let mut other = Raw::login(proxy.port(), ADMIN, &[("application_name", "admin")])?;
    other.query("CREATE TABLE made (id int)")?;
    other.terminate()?;
    Ok(())
}

/// A filter, a text that it must find, and one that it must not.
type Case = (&'static [&'static str], &'static str, &'static str);

const CASES: [Case; 18] = [
    (
        &["--user", "app_trusted"],
        "SELECT 1/0",
        "CREATE TABLE made (id int)",
    ),
    (
        &["--user", "postgres"],
        "CREATE TABLE made (id int)",
        "SELECT 1/0",
    ),
    (
        &["--application", "admin"],
        "CREATE TABLE made (id int)",
        "SELECT 1/0",
    ),
    (&["--database", "app"], "SELECT 1/0", "nothing"),
    (&["--client", "127.0.0.0/8"], "SELECT 1/0", "nothing"),
    (
        &["--end-user", "ann"],
        "SELECT 1/0",
        "CREATE TABLE made (id int)",
    ),
    (&["--end-user", "carol"], "SELECT 5", "SELECT 1/0"),
    (&["--verb", "update"], "UPDATE accounts", "SELECT 1/0"),
    (
        &["--class", "ddl"],
        "CREATE TABLE made (id int)",
        "UPDATE accounts",
    ),
    (
        &["--object", "users"],
        "SELECT name FROM users",
        "SELECT owner FROM accounts",
    ),
    (
        &["--decision", "deny"],
        "DELETE FROM accounts",
        "SELECT name FROM users",
    ),
    (
        &["--decision", "alert"],
        "SELECT name FROM users",
        "DELETE FROM accounts",
    ),
    (
        &["--rule", "no-unbounded-delete"],
        "DELETE FROM accounts",
        "SELECT name FROM users",
    ),
    (
        &["--severity", "high"],
        "DELETE FROM accounts",
        "SELECT name FROM users",
    ),
    (&["--error", "22012"], "SELECT 1/0", "DELETE FROM accounts"),
    (&["--min-duration", "300ms"], "pg_sleep", "SELECT 1/0"),
    (
        &["--min-rows", "40"],
        "SELECT owner FROM accounts",
        "SELECT name FROM users",
    ),
    (&["--text", "库审"], "数据库审计", "SELECT 1/0"),
];

#[test]
fn every_filter_finds_what_it_should() -> Result<()> {
    let (_server, proxy) = setup()?;
    scene(&proxy)?;
    until("the last statement is found", FRESH, || {
        let rows = proxy.audit(&["search", "--text", "CREATE TABLE made"])?;
        Ok((!rows.is_empty()).then_some(()))
    })?;
    let mut wrong = Vec::new();
    for (filter, wanted, unwanted) in CASES {
        let arguments = [&["search"], filter, &["--limit", "100"]].concat();
        let rows = proxy.audit(&arguments)?;
        let texts = texts(&rows);
        let holds = |part: &str| texts.iter().any(|text| text.contains(part));
        if !holds(wanted) || holds(unwanted) {
            wrong.push(format!("{filter:?}: {texts:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn only<'a>(rows: &'a [Value], part: &str) -> Result<&'a Value> {
    let mut found = rows.iter().filter(|row| {
        row.get("text")
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains(part))
    });
    match (found.next(), found.next()) {
        (Some(row), None) => Ok(row),
        (None, _) => bail!("no row with `{part}`"),
        (Some(_), Some(_)) => bail!("several rows with `{part}`"),
    }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &Value, name: &str) -> i64 {
    row.get(name).and_then(Value::as_i64).unwrap_or(-1)
}

#[test]
fn a_record_says_who_what_and_with_which_result() -> Result<()> {
    let (_server, mut proxy) = setup()?;
    scene(&proxy)?;
    proxy.stop()?;
    let rows = proxy.audit(&["sql", "SELECT * FROM statements", "--limit", "1000"])?;

    let update = only(&rows, "UPDATE accounts")?;
    ensure!(
        text(update, "user") == TRUSTED_USER && text(update, "database") == "app",
        "{update}"
    );
    ensure!(
        text(update, "application") == "till;end_user=ann" && text(update, "end_user") == "ann",
        "{update}"
    );
    ensure!(
        number(update, "affected") == 40 && text(update, "completion") == "done",
        "{update}"
    );
    ensure!(
        text(update, "verb") == "update" && text(update, "class") == "write",
        "{update}"
    );
    ensure!(text(update, "where_shape") == "restricting", "{update}");

    let refused = only(&rows, "DELETE FROM accounts")?;
    ensure!(text(refused, "completion") == "refused", "{refused}");
    ensure!(text(refused, "decision") == "deny", "{refused}");
    ensure!(
        text(refused, "rules").contains("no-unbounded-delete"),
        "{refused}"
    );
    ensure!(text(refused, "error") == "42501", "{refused}");

    let prepared = only(&rows, "WHERE id = $1::int")?;
    ensure!(text(prepared, "kind") == "execute", "{prepared}");
    ensure!(text(prepared, "parameters").contains("77"), "{prepared}");
    ensure!(number(prepared, "rows") == 1, "{prepared}");

    let commented = only(&rows, "SELECT 5")?;
    ensure!(text(commented, "end_user") == "carol", "{commented}");
    ensure!(
        text(commented, "trace").contains("0af7651916cd43dd8448eb211c80319c"),
        "{commented}"
    );

    let session = text(update, "session");
    let whole = proxy.audit(&["session", session])?;
    let steps: Vec<&str> = whole.iter().map(|entry| text(entry, "step")).collect();
    ensure!(
        steps.first() == Some(&"start") && steps.last() == Some(&"end"),
        "{steps:?}"
    );
    ensure!(whole.len() >= 12, "{whole:?}");
    let event = text(refused, "event_id");
    let told = sqlward_tests::process::run(
        std::process::Command::new(sqlward_tests::paths::sqlward()?)
            .args(["explain", event, "--data"])
            .arg(proxy.data()),
    )?;
    ensure!(told.contains("no-unbounded-delete"), "{told}");
    Ok(())
}

#[test]
fn the_client_is_told_the_event_that_the_audit_has() -> Result<()> {
    let (_server, mut proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let answer = raw.query("DELETE FROM accounts")?;
    let hint = answer
        .first()
        .and_then(|error| error.field(b'H'))
        .context("no hint")?;
    drop(raw);
    proxy.stop()?;
    let rows = proxy.audit(&["search", "--decision", "deny"])?;
    let event = text(only(&rows, "DELETE")?, "event_id").to_owned();
    ensure!(hint.contains(&event), "{hint} does not name {event}");
    Ok(())
}

#[test]
fn secrets_are_nowhere() -> Result<()> {
    let (_server, mut proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), ADMIN, &[])?;
    let secrets = [
        "CREATE ROLE redacted_1 LOGIN PASSWORD 'hunter2-one'",
        "ALTER ROLE redacted_1 WITH ENCRYPTED PASSWORD $pw$hunter2-two$pw$",
        "ALTER USER redacted_1 PASSWORD E'hunter2\\x2dthree'",
        "DO $$ BEGIN EXECUTE 'ALTER ROLE redacted_1 PASSWORD ''hunter2-four'''; END $$",
        "CREATE USER MAPPING FOR app_trusted SERVER nowhere OPTIONS (user 'x', password 'hunter2-five')",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x password=hunter2-six' PUBLICATION p",
        "SELECT dblink_connect('host=x password=hunter2-seven')",
        "ALTER ROLE redacted_1 PASSWORD 'hunter2-eight' BROKEN SYNTAX",
        "PREPARE p AS SELECT 1; ALTER ROLE redacted_1 PASSWORD 'hunter2-nine'",
    ];
    for sql in secrets {
        raw.query(sql)?;
    }
    // By the extended protocol, too.
    raw.send(
        &[
            parse("named", "ALTER ROLE redacted_1 PASSWORD 'hunter2-ten'"),
            bind("", "named", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )?;
    raw.until_ready()?;
    drop(raw);
    // A password on the wire as well: cleartext authentication, refused because it is wrong.
    let mut login = Raw::open(proxy.port())?;
    login.send(&startup_packet(CLEAR_USER))?;
    login.until(b'R')?;
    login.send(&message(b'p', b"hunter2-eleven\0"))?;
    let answer = login.until_closed()?;
    ensure!(
        answer.iter().any(|one| one.sqlstate() == "28P01"),
        "{answer:?}"
    );
    proxy.stop()?;
    let rows = proxy.audit(&["sql", "SELECT text FROM statements", "--limit", "1000"])?;
    ensure!(rows.len() >= secrets.len(), "only {} records", rows.len());
    let mut found = Vec::new();
    for file in files(&proxy.data())? {
        let bytes = std::fs::read(&file)?;
        if let Some(place) = bytes.windows(7).position(|window| window == b"hunter2") {
            let end = (place + 40).min(bytes.len());
            let near = String::from_utf8_lossy(bytes.get(place..end).unwrap_or_default());
            found.push(format!("{}: {near}", file.display()));
        }
    }
    if proxy.log().contains("hunter2") {
        found.push("the log".to_owned());
    }
    for row in &rows {
        if row.to_string().contains("hunter2") {
            found.push(row.to_string());
        }
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn files(folder: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
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

/// What a pipeline did before something in it failed is undone by the server: the records, which say `done` as
/// the server did, are told to be of no effect.
#[test]
fn what_a_pipeline_takes_back_is_recorded() -> Result<()> {
    let server = Server::start(&Options::default())?;
    server.psql(
        sqlward_tests::server::DATABASE,
        "CREATE TABLE child (id int REFERENCES users DEFERRABLE INITIALLY DEFERRED); \
         GRANT ALL ON child TO app_trusted",
    )?;
    let options = proxy::Options {
        policy: Policy::Text(
            "schema = 1\n[defaults]\naction = \"allow\"\n[[rule]]\nid = \"no-secret\"\n\
             when = { object = [\"secret\"] }\naction = \"deny\"\n"
                .into(),
        ),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let step = |sql: &str| [parse("", sql), bind("", "", &[]), execute("", 0)].concat();
    let cases = [
        // The commit itself fails, at the Sync.
        (
            vec!["INSERT INTO child VALUES (99)"],
            "23503",
            vec!["VALUES (99)"],
        ),
        // A later statement fails.
        (
            vec![
                "INSERT INTO notes VALUES (71)",
                "INSERT INTO notes VALUES (72)",
                "SELECT 1/0",
            ],
            "22012",
            vec!["VALUES (71)", "VALUES (72)"],
        ),
        // A later statement is refused.
        (
            vec!["INSERT INTO notes VALUES (81)", "SELECT v FROM secret"],
            "42501",
            vec!["VALUES (81)"],
        ),
        // What was committed before stays.
        (
            vec![
                "BEGIN",
                "INSERT INTO notes VALUES (91)",
                "COMMIT",
                "INSERT INTO notes VALUES (92)",
                "SELECT 1/0",
            ],
            "22012",
            vec!["VALUES (92)"],
        ),
    ];
    for (texts, sqlstate, undone) in cases {
        let steps: Vec<u8> = texts.iter().flat_map(|sql| step(sql)).collect();
        raw.send(&[steps, sync()].concat())?;
        let answer = raw.until_ready()?;
        ensure!(
            answer.iter().any(|one| one.sqlstate() == sqlstate),
            "{answer:?}"
        );
        let mut events = Vec::new();
        for word in &undone {
            let found = until("the statement", Duration::from_secs(10), || {
                Ok(proxy.audit(&["search", "--text", word])?.pop())
            })?;
            let event = found.get("event_id").and_then(|event| event.as_str());
            events.push(event.context("no event id")?.to_owned());
        }
        let last = events.last().context("no event")?;
        let sql = format!(
            "SELECT * FROM administration WHERE action = 'undone' AND detail LIKE '%{last}%'"
        );
        let row = until("the record of it", Duration::from_secs(10), || {
            Ok(proxy.audit(&["sql", &sql])?.pop())
        })?;
        let text = row.to_string();
        ensure!(
            events.iter().all(|event| text.contains(event)),
            "{events:?}: {text}"
        );
        ensure!(text.contains(sqlstate), "{text}");
        let count = row.get("count").and_then(serde_json::Value::as_u64);
        ensure!(count == Some(undone.len() as u64), "{text}");
    }
    let kept = server.psql(
        sqlward_tests::server::DATABASE,
        "SELECT string_agg(id::text, ',') FROM notes",
    )?;
    ensure!(kept == "91", "{kept}");
    let told = proxy.audit(&[
        "sql",
        "SELECT * FROM administration WHERE action = 'undone'",
    ])?;
    ensure!(told.len() == 4, "{told:?}");
    Ok(())
}
