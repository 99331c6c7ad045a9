//! PostgreSQL.

use anyhow::{Context, Result, ensure};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Message, Raw, bind, execute, message, parse, sync};
use sqlward_tests::server::{DATABASE, Options, Server, TRUSTED_USER};

const POLICY: &str = r#"schema = 1
[defaults]
action = "allow"
search_path = ["app"]

[[rule]]
id = "alone"
when = { object = ["ledger"], access = ["write"], transaction = ["none"] }
action = "deny"

[[rule]]
id = "reading"
when = { object = ["report"], not = { transaction_access = ["read-only"] } }
action = "deny"

[[rule]]
id = "serializable"
when = { object = ["exact"], not = { isolation = ["serializable"] } }
action = "deny"

[[rule]]
id = "large"
when = { object = ["transfers"], parameter = { position = 1, range = "> 1000" }, not = { literal = { column = "kind", matches = ["internal"] } } }
action = "deny"

[[rule]]
id = "often"
when = { object = ["people"], history = { count = "> 3", within = "1h", of = { object = ["people"] } } }
action = "deny"

[[rule]]
id = "rate"
when = { object = ["counted"], history = { count = "> 4", within = "1h", of = { object = ["counted"] }, per = ["user", "application"] } }
action = "deny"

[[rule]]
id = "mallory"
when = { object = ["files"], end_user = ["mallory"] }
action = "deny"

[[rule]]
id = "secret"
when = { object = ["app.secret"] }
action = "deny"
"#;

fn setup() -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy: Policy::Text(POLICY.into()),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    server.psql(
        DATABASE,
        "CREATE TABLE ledger (a int); CREATE TABLE report (a int); CREATE TABLE exact (a int); \
         CREATE TABLE people (a int); CREATE TABLE counted (a int); CREATE TABLE files (a int); \
         CREATE TABLE transfers (amount int, kind text); \
         CREATE SCHEMA app; CREATE TABLE app.secret (a int); CREATE TABLE app.\"Secret\" (a text); \
         CREATE SCHEMA \"App\"; CREATE TABLE \"App\".secret (a text); \
         GRANT ALL ON SCHEMA app, \"App\" TO app_trusted; \
         GRANT ALL ON ALL TABLES IN SCHEMA public, app, \"App\" TO app_trusted",
    )?;
    Ok((server, proxy))
}

/// The rule that refused, by its detail; none if nothing was refused.
fn refusal(answer: &[Message]) -> Option<String> {
    let error = answer.iter().find(|one| one.tag == b'E')?;
    let detail = error.field(b'D').unwrap_or_default();
    Some(match detail.strip_prefix("Rule: ") {
        Some(rule) => rule.to_owned(),
        None => format!("{} {}", error.sqlstate(), detail),
    })
}

fn expect(raw: &mut Raw, sql: &str, rule: Option<&str>) -> Result<()> {
    let answer = raw.query(sql)?;
    let found = refusal(&answer);
    ensure!(found.as_deref() == rule, "{sql}: {found:?}, not {rule:?}");
    Ok(())
}

#[test]
fn transactions_are_known_as_the_server_has_them() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let write = "INSERT INTO ledger VALUES (1)";
    expect(&mut raw, write, Some("alone"))?;
    expect(&mut raw, "BEGIN", None)?;
    expect(&mut raw, write, None)?;
    expect(&mut raw, "COMMIT", None)?;
    expect(&mut raw, write, Some("alone"))?;
    // In one text, the state of the later statements isn't known.
    expect(
        &mut raw,
        "BEGIN; INSERT INTO ledger VALUES (1)",
        Some("alone"),
    )?;
    let read = "SELECT * FROM report";
    expect(&mut raw, read, Some("reading"))?;
    expect(&mut raw, "BEGIN READ ONLY", None)?;
    expect(&mut raw, read, None)?;
    expect(&mut raw, "COMMIT", None)?;
    expect(&mut raw, "SET default_transaction_read_only = on", None)?;
    expect(&mut raw, "SELECT 1", None)?;
    let version: u32 = raw.value("SHOW server_version_num")?.parse()?;
    // Servers before 14 don't report it.
    expect(&mut raw, read, (version < 140_000).then_some("reading"))?;
    expect(&mut raw, "SET default_transaction_read_only = off", None)?;
    expect(&mut raw, read, Some("reading"))?;
    let exact = "SELECT * FROM exact";
    expect(&mut raw, exact, Some("serializable"))?;
    expect(&mut raw, "BEGIN ISOLATION LEVEL SERIALIZABLE", None)?;
    expect(&mut raw, exact, None)?;
    expect(&mut raw, "ROLLBACK", None)?;
    expect(
        &mut raw,
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        None,
    )?;
    expect(&mut raw, exact, None)?;
    ensure!(raw.value("SHOW transaction_isolation")? == "serializable");
    expect(&mut raw, "RESET ALL", None)?;
    expect(&mut raw, exact, Some("serializable"))?;
    // Pipelined behind a BEGIN, nothing is known.
    raw.send(
        &[
            parse("", "BEGIN"),
            bind("", "", &[]),
            execute("", 0),
            parse("", write),
            bind("", "", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )?;
    let answer = raw.until_ready()?;
    ensure!(refusal(&answer).as_deref() == Some("alone"), "{answer:?}");
    Ok(())
}

/// Parse with the types of the parameters.
fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0"].concat();
    body.extend(u16::try_from(types.len()).unwrap_or(0).to_be_bytes());
    body.extend(types.iter().flat_map(|kind| kind.to_be_bytes()));
    message(b'P', &body)
}

/// Bind of one parameter in the binary format.
fn bind_binary(name: &str, value: &[u8]) -> Vec<u8> {
    let mut body = [b"\0", name.as_bytes(), b"\0"].concat();
    body.extend([0, 1, 0, 1, 0, 1]);
    body.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
    body.extend_from_slice(value);
    body.extend([0, 0]);
    message(b'B', &body)
}

#[test]
fn values_are_judged_when_they_are_bound() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let insert = "INSERT INTO transfers VALUES ($1, 'external')";
    let sql = "UPDATE transfers SET amount = $1 WHERE kind = 'external'";
    let inner = "UPDATE transfers SET amount = $1 WHERE kind = 'internal'";
    for (name, sql) in [("insert", insert), ("update", sql), ("inner", inner)] {
        raw.send(&[parse_typed(name, sql, &[23]), sync()].concat())?;
        let answer = raw.until_ready()?;
        ensure!(
            refusal(&answer).is_none(),
            "{sql} can't be prepared: {answer:?}"
        );
    }
    for (name, value, rule) in [
        ("insert", "1000", None),
        ("insert", "1001", Some("large")),
        ("update", "-5", None),
        ("update", "1e4", Some("large")),
        ("inner", "100000", None),
    ] {
        raw.send(&[bind("", name, &[Some(value)]), execute("", 0), sync()].concat())?;
        let found = refusal(&raw.until_ready()?);
        ensure!(found.as_deref() == rule, "{name} {value}: {found:?}");
    }
    for (value, rule) in [(1000_i32, None), (1001, Some("large"))] {
        let value = value.to_be_bytes();
        raw.send(&[bind_binary("update", &value), execute("", 0), sync()].concat())?;
        let found = refusal(&raw.until_ready()?);
        ensure!(found.as_deref() == rule, "{value:?}: {found:?}");
    }
    // What SQL prepares is judged by the arguments of EXECUTE.
    expect(
        &mut raw,
        "PREPARE p AS UPDATE transfers SET amount = $1",
        None,
    )?;
    expect(&mut raw, "EXECUTE p(1000)", None)?;
    expect(&mut raw, "EXECUTE p(1001)", Some("large"))?;
    expect(&mut raw, "EXECUTE p(1000 + 1)", Some("large"))?;
    let sum = raw.value("SELECT max(amount) FROM transfers")?;
    ensure!(sum == "1000", "{sum}");
    Ok(())
}

#[test]
fn a_session_is_counted_by_itself() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let read = "SELECT a FROM people";
    expect(&mut raw, read, None)?;
    expect(&mut raw, "SELECT 1", None)?;
    // Prepared once, executed twice: two.
    raw.send(&[parse("read", read), sync()].concat())?;
    ensure!(refusal(&raw.until_ready()?).is_none());
    for _ in 0..2 {
        raw.send(&[bind("", "read", &[]), execute("", 0), sync()].concat())?;
        let found = refusal(&raw.until_ready()?);
        ensure!(found.is_none(), "{found:?}");
    }
    expect(&mut raw, read, Some("often"))?;
    expect(&mut raw, "SELECT a FROM ledger", None)?;
    let mut other = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    expect(&mut other, read, None)?;
    Ok(())
}

#[test]
fn a_comment_may_name_the_end_user() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    expect(&mut raw, "SELECT a FROM files /*end_user='alice'*/", None)?;
    expect(
        &mut raw,
        "SELECT a FROM files /*end_user='mallory'*/",
        Some("mallory"),
    )?;
    expect(&mut raw, "SET sqlward.end_user = 'mallory'", None)?;
    expect(
        &mut raw,
        "SELECT a FROM files /*end_user='alice'*/",
        Some("mallory"),
    )?;
    Ok(())
}

#[test]
fn a_session_that_moves_takes_its_names_along() -> Result<()> {
    let (_server, proxy) = setup()?;
    let read = "SELECT a FROM secret";
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    for (set, refused) in [
        // The policy's own path says `app`, and nothing takes that away: what a view or a routine sets is not seen.
        ("SELECT 1", true),
        ("SET search_path = \"App\"", true),
        ("SET search_path TO public", true),
        ("SET search_path TO public, app", true),
        ("SELECT set_config('search_path', 'public', false)", true),
        (
            "SELECT set_config('search_path', 'pub' || 'lic', false)",
            true,
        ),
        ("SET search_path TO public", true),
        ("RESET search_path", true),
        ("SET search_path TO public", true),
        ("DISCARD ALL", true),
    ] {
        expect(&mut raw, set, None)?;
        let answer = raw.query(read)?;
        let found = refusal(&answer);
        ensure!(
            (found.as_deref() == Some("secret")) == refused,
            "{set}: {found:?}"
        );
    }
    // A transaction takes its path back.
    expect(&mut raw, "SET search_path TO app", None)?;
    expect(&mut raw, "BEGIN", None)?;
    expect(&mut raw, "SET LOCAL search_path TO public", None)?;
    expect(&mut raw, "ROLLBACK", None)?;
    expect(&mut raw, read, Some("secret"))?;
    expect(&mut raw, "SET search_path TO public", None)?;
    expect(
        &mut raw,
        "SET search_path TO app; SELECT a FROM secret",
        Some("secret"),
    )?;
    ensure!(raw.value("SHOW search_path")? == "public");
    let mut elsewhere = Raw::login(proxy.port(), TRUSTED_USER, &[("search_path", "public")])?;
    expect(&mut elsewhere, read, Some("secret"))?;
    let options = [("options", "-c search_path=app")];
    let mut inside = Raw::login(proxy.port(), TRUSTED_USER, &options)?;
    expect(&mut inside, read, Some("secret"))?;
    Ok(())
}

#[test]
fn names_are_resolved_as_the_server_resolves_them() -> Result<()> {
    let (_server, proxy) = setup()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[("search_path", "app")])?;
    for sql in [
        "SELECT a FROM app.secret",
        "SELECT a FROM APP.SECRET",
        "SELECT a FROM \"app\".\"secret\"",
        "SELECT a FROM U&\"\\0061pp\".secret",
        "TABLE app.secret",
        "SELECT (SELECT max(a) FROM app.secret)",
        "WITH x AS (SELECT a FROM app.secret) SELECT * FROM x",
        "SELECT a FROM secret",
    ] {
        let found = refusal(&raw.query(sql)?);
        ensure!(found.as_deref() == Some("secret"), "{sql}: {found:?}");
    }
    for sql in [
        "SELECT a FROM \"App\".secret",
        "SELECT a FROM app.\"Secret\"",
        "SELECT a FROM \"App\".\"secret\"",
        "WITH secret AS (SELECT 1 AS a) SELECT a FROM secret",
    ] {
        let answer = raw.query(sql)?;
        let found = refusal(&answer);
        ensure!(found.is_none(), "{sql}: {found:?}");
        answer
            .iter()
            .find(|one| one.tag == b'C')
            .context("it did not run")?;
    }
    Ok(())
}

#[test]
fn sessions_are_counted_together() -> Result<()> {
    let (_server, proxy) = setup()?;
    let read = "SELECT a FROM counted";
    let mut one = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let mut two = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    for _ in 0..2 {
        expect(&mut one, read, None)?;
        expect(&mut two, read, None)?;
    }
    expect(&mut one, read, Some("rate"))?;
    expect(&mut two, read, Some("rate"))?;
    expect(&mut two, "SELECT a FROM ledger", None)?;
    // A session that has ended counts, too; another application counts by itself.
    drop(one);
    let mut three = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    expect(&mut three, read, Some("rate"))?;
    let application = [("application_name", "other")];
    let mut other = Raw::login(proxy.port(), TRUSTED_USER, &application)?;
    expect(&mut other, read, None)?;

    // All at once, and no more than four pass.
    let burst = || -> Result<usize> {
        let application = [("application_name", "burst")];
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &application)?;
        let mut passed = 0;
        for _ in 0..4 {
            passed += usize::from(refusal(&raw.query(read)?).is_none());
        }
        Ok(passed)
    };
    let passed = std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..6).map(|_| scope.spawn(burst)).collect();
        let passed = sessions.into_iter().map(|session| {
            let session = session.join();
            session.map_err(|_| anyhow::anyhow!("a session panicked"))?
        });
        passed.sum::<Result<usize>>()
    })?;
    ensure!(passed == 4, "{passed} passed");
    Ok(())
}
