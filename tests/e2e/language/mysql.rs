//! MySQL and MariaDB.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::{Answer, Raw};
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::TRUSTED_USER;

const POLICY: &str = r#"schema = 1
[defaults]
action = "allow"

[[rule]]
id = "alone"
when = { object = ["ledger"], access = ["write"], transaction = ["none"] }
action = "deny"

[[rule]]
id = "reading"
when = { object = ["report"], not = { transaction_access = ["read-only"] } }
action = "deny"

[[rule]]
id = "large"
when = { object = ["transfers"], parameter = { position = 1, range = "> 1000" } }
action = "deny"

[[rule]]
id = "literal"
when = { object = ["transfers"], literal = { column = "amount", range = "> 1000" } }
action = "deny"

[[rule]]
id = "often"
when = { object = ["people"], history = { count = "> 2", within = "1h", of = { object = ["people"] } } }
action = "deny"

[[rule]]
id = "rate"
when = { object = ["counted"], history = { count = "> 2", within = "1h", of = { object = ["counted"] }, per = ["client"] } }
action = "deny"

[[rule]]
id = "secret"
when = { object = ["vault.secret"], access = ["read"] }
action = "deny"
"#;

struct Scene {
    _server: Server,
    proxy: Proxy,
}

fn setup(product: Product) -> Result<Scene> {
    let server = Server::start(&Options::new(product))?;
    server.sql(
        "app",
        &format!(
            "CREATE TABLE ledger (a int); CREATE TABLE report (a int); CREATE TABLE people (a int); CREATE TABLE counted (a int); \
             CREATE TABLE transfers (amount int, kind text); CREATE DATABASE vault; \
             CREATE TABLE vault.secret (a int); GRANT ALL ON vault.* TO {TRUSTED_USER}"
        ),
    )?;
    let proxy = Proxy::before(
        &server,
        &proxy::Options {
            policy: Policy::Text(POLICY.to_owned()),
            ..proxy::Options::default()
        },
    )?;
    Ok(Scene {
        _server: server,
        proxy,
    })
}

fn check(answers: &[Answer], what: &str, rule: Option<&str>) -> Result<()> {
    let answer = answers.first().context("no answer")?;
    let failure = answer
        .failure
        .as_ref()
        .map(|failure| failure.message.as_str());
    let right = match (failure, rule) {
        (None, None) => true,
        (Some(message), Some(rule)) => message.contains(&format!("Rule: {rule};")),
        (Some(_), None) | (None, Some(_)) => false,
    };
    ensure!(right, "{what}: {failure:?}, not {rule:?}");
    Ok(())
}

fn expect(raw: &mut Raw, sql: &str, rule: Option<&str>) -> Result<()> {
    let answers = raw.query(sql)?;
    check(&answers, sql, rule)
}

fn says_all_of_it(product: Product) -> Result<()> {
    let scene = setup(product)?;
    let mut raw = Raw::login(scene.proxy.port(), TRUSTED_USER)?;
    // Transactions.
    let write = "INSERT INTO ledger VALUES (1)";
    expect(&mut raw, write, Some("alone"))?;
    expect(&mut raw, "BEGIN", None)?;
    expect(&mut raw, write, None)?;
    expect(&mut raw, "SELECT a FROM report", Some("reading"))?;
    expect(&mut raw, "COMMIT", None)?;
    expect(&mut raw, write, Some("alone"))?;
    expect(&mut raw, "START TRANSACTION READ ONLY", None)?;
    expect(&mut raw, "SELECT a FROM report", None)?;
    expect(&mut raw, "COMMIT", None)?;
    expect(&mut raw, "SELECT a FROM report", Some("reading"))?;
    // Values.
    expect(
        &mut raw,
        "INSERT INTO transfers (amount, kind) VALUES (1000, 'x')",
        None,
    )?;
    expect(
        &mut raw,
        "INSERT INTO transfers (kind, amount) VALUES ('x', 1001)",
        Some("literal"),
    )?;
    expect(
        &mut raw,
        "UPDATE transfers SET amount = 10 * 101 WHERE kind = 'x'",
        Some("literal"),
    )?;
    let insert = raw.prepare("INSERT INTO transfers (amount, kind) VALUES (?, 'y')")?;
    let insert = insert.map_err(|failure| anyhow::anyhow!("{failure:?}"))?;
    for (value, rule) in [
        ("1000", None),
        ("1001", Some("large")),
        ("0x1000", Some("large")),
    ] {
        let answers = raw.execute(insert, &[Some(value)], false)?;
        check(&answers, value, rule)?;
    }
    ensure!(raw.value("SELECT max(amount) FROM transfers")? == "1000");
    // Histories.
    for _ in 0..2 {
        expect(&mut raw, "SELECT a FROM people", None)?;
    }
    expect(&mut raw, "SELECT a FROM people", Some("often"))?;
    // Histories of all sessions.
    let mut other = Raw::login(scene.proxy.port(), TRUSTED_USER)?;
    expect(&mut raw, "SELECT a FROM counted", None)?;
    expect(&mut other, "SELECT a FROM counted", None)?;
    expect(&mut raw, "SELECT a FROM counted", Some("rate"))?;
    expect(&mut other, "SELECT a FROM counted", Some("rate"))?;
    // Names.
    for sql in [
        "SELECT a FROM vault.secret",
        "SELECT a FROM `vault`.`secret`",
        "TABLE vault.secret",
    ] {
        let newer = sql.starts_with("TABLE") && product != Product::MySql;
        if !newer {
            expect(&mut raw, sql, Some("secret"))?;
        }
    }
    expect(&mut raw, "USE vault", None)?;
    expect(&mut raw, "SELECT a FROM secret", Some("secret"))?;
    let text = "SELECT a FROM secret AS t";
    expect(&mut raw, text, Some("secret"))?;
    expect(&mut raw, "USE app", None)?;
    let answers = raw.query(text)?;
    let failure = answers.first().and_then(|answer| answer.failure.as_ref());
    // There is none in this database: the server says so, not the policy.
    ensure!(
        failure.is_none_or(|failure| !failure.message.contains("Rule:")),
        "{failure:?}"
    );
    Ok(())
}

#[test]
fn says_all_of_it_mariadb10() -> Result<()> {
    says_all_of_it(Product::MariaDb10)
}

#[test]
fn says_all_of_it_mariadb11() -> Result<()> {
    says_all_of_it(Product::MariaDb11)
}

#[test]
fn says_all_of_it_mysql() -> Result<()> {
    says_all_of_it(Product::MySql)
}
