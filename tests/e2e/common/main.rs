//! What PostgreSQL, MySQL and MariaDB have in common behind the proxy: each behaviour is one function, and runs on every
//! engine. Where they differ, [`engine::Engine`] has a function of that name.

mod engine;
mod judged;
mod recorded;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use engine::{Client, Engine, Ran, Server};
use serde_json::Value;
use sqlward_tests::process::until;
use sqlward_tests::proxy::{Options, Policy, Proxy};

/// What the tests' policy refuses.
const POLICY: &str = r#"schema = 1
[defaults]
action = "allow"

[[rule]]
id = "no-vault"
when = { object = ["vault"] }
action = "deny"
message = "the vault is not for you"

[[rule]]
id = "bounded"
when = { verb = ["update", "delete"], where = ["absent", "always-true"] }
action = "deny"

[[rule]]
id = "watched"
when = { object = ["watched"] }
action = "alert"

[[rule]]
id = "doomed"
when = { object = ["doomed"] }
action = "terminate"

[[rule]]
id = "tried"
when = { verb = ["drop"] }
action = "deny"
mode = "observe"
"#;

const TABLES: &str = "CREATE TABLE things (id int PRIMARY KEY, name varchar(20)); \
    INSERT INTO things VALUES (1, 'one'), (2, 'two'), (3, 'three'); \
    CREATE TABLE vault (v varchar(20)); INSERT INTO vault VALUES ('hidden'); \
    CREATE TABLE watched (v int); CREATE TABLE doomed (v int); CREATE TABLE old (v int)";

/// A server, the proxy in front of it, and a client.
struct Scene {
    engine: Engine,
    server: Server,
    proxy: Proxy,
    client: Client,
}

impl Scene {
    fn of(engine: Engine) -> Result<Self> {
        let server = engine.start()?;
        server.admin(TABLES)?;
        for table in ["things", "vault", "watched", "doomed", "old"] {
            server.admin(&engine.grant(table))?;
        }
        let options = Options {
            policy: Policy::Text(POLICY.to_owned()),
            ..Options::default()
        };
        let proxy = server.behind(&options)?;
        let client = server.login(&proxy)?;
        Ok(Self {
            engine,
            server,
            proxy,
            client,
        })
    }

    /// The statement is refused by that rule, and the session goes on.
    fn refused(&mut self, ran: &Ran, rule: &str) -> Result<()> {
        let (code, told) = ran.error.as_ref().context("it passed")?;
        ensure!(code == self.engine.refused(), "{ran:?}");
        ensure!(told.contains(rule) && told.contains("event "), "{ran:?}");
        Ok(())
    }

    /// Waits until the policy of that generation is in force, or until one has been refused.
    fn reloaded(&self, generation: f64, refused: bool) -> Result<()> {
        until("the policy is read", Duration::from_secs(15), || {
            let failures = self.proxy.metric("sqlward_reload_failures_total")?;
            let reached = self.proxy.metric("sqlward_policy_generation")? >= generation;
            Ok((reached && (failures > 0.0) >= refused).then_some(()))
        })
    }

    /// Ends the proxy; what it has recorded, the oldest first.
    fn records(&mut self) -> Result<Vec<Value>> {
        self.proxy.stop()?;
        self.proxy.audit(&["search", "--order", "oldest"])
    }
}

/// The record of a text.
fn of<'r>(records: &'r [Value], text: &str) -> Result<&'r Value> {
    let found = records.iter().find(|row| row["text"] == text);
    found.with_context(|| format!("`{text}` is not in {records:#?}"))
}

/// One test for each engine.
macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use anyhow::Result;
            use sqlward_tests::mysql::Product;
            use crate::engine::Engine;

            #[test]
            fn postgres() -> Result<()> {
                super::$test(Engine::Postgres)
            }

            #[test]
            fn mariadb10() -> Result<()> {
                super::$test(Engine::Mysql(Product::MariaDb10))
            }

            #[test]
            fn mariadb11() -> Result<()> {
                super::$test(Engine::Mysql(Product::MariaDb11))
            }

            #[test]
            fn mysql() -> Result<()> {
                super::$test(Engine::Mysql(Product::MySql))
            }
        }
    )*};
}
use on_every_engine;
