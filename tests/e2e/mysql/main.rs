//! MySQL and MariaDB behind the proxy: sessions that notice nothing, refusals that leave the session whole, readings that
//! follow the server's state, and records of all of it.

mod commands;
mod logins;
mod parameters;
mod questions;
mod record;
mod session;
mod state;

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::{Answer, Raw};
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::TRUSTED_USER;

/// What the tests' policy refuses.
const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"
unreadable = "deny"

[[rule]]
id = "no-secret"
when = { object = ["app.secret"], access = ["read", "insert", "update", "delete"] }
action = "deny"
message = "the secret is not for you"

[[rule]]
id = "bounded"
when = { verb = ["update", "delete"], where = ["absent", "always-true"] }
action = "deny"

[[rule]]
id = "no-users-file"
when = { egress = ["load-local"], object = ["users"] }
action = "deny"

[[rule]]
id = "hidden"
when = { object = ["hidden"] }
action = "deny"

[[rule]]
id = "ended"
when = { object = ["doomed"] }
action = "terminate"

[[rule]]
id = "no-strangers"
when = { user = ["stranger"], object = ["accounts"] }
action = "deny"

[[rule]]
id = "not-as-root"
when = { user = ["root"] }
action = "deny"
"#;

/// A server and the proxy in front of it.
struct Scene {
    server: Server,
    proxy: Proxy,
}

impl Scene {
    fn of(product: Product) -> Result<Self> {
        Self::with(&Options::new(product))
    }

    fn with(options: &Options) -> Result<Self> {
        let server = Server::start(options)?;
        server.sql(
            "mysql",
            &format!(
                "CREATE DATABASE elsewhere; CREATE TABLE elsewhere.secret (v text); \
                 CREATE TABLE elsewhere.t (v text); GRANT ALL ON elsewhere.* TO {TRUSTED_USER}"
            ),
        )?;
        let proxy = Proxy::before(
            &server,
            &proxy::Options {
                policy: Policy::Text(POLICY.to_owned()),
                ..proxy::Options::default()
            },
        )?;
        Ok(Self { server, proxy })
    }

    fn login(&self) -> Result<Raw> {
        Raw::login(self.proxy.port(), TRUSTED_USER)
    }
}

/// One of a command's answers.
fn nth(answers: &[Answer], place: usize) -> Result<&Answer> {
    let answer = answers.get(place);
    answer.with_context(|| format!("no answer {place}: {answers:?}"))
}

/// The only answer, which must be a refusal by `rule`.
fn refused(answers: &[Answer], rule: &str) -> Result<()> {
    let [answer] = answers else {
        anyhow::bail!("one answer expected: {answers:?}");
    };
    let failure = answer.failure.as_ref().context("it was not refused")?;
    ensure!(
        failure.errno == 1227 && failure.sqlstate == "42000",
        "{failure:?}"
    );
    ensure!(failure.message.contains(rule), "{failure:?}");
    ensure!(failure.message.contains("event "), "{failure:?}");
    Ok(())
}

/// One test for each product.
macro_rules! for_each_product {
    ($($test:ident),* $(,)?) => {$(
        mod $test {
            use super::*;
            use sqlward_tests::mysql::Product;

            #[test]
            fn mariadb10() -> Result<()> {
                super::$test(Product::MariaDb10)
            }

            #[test]
            fn mariadb11() -> Result<()> {
                super::$test(Product::MariaDb11)
            }

            #[test]
            fn mysql() -> Result<()> {
                super::$test(Product::MySql)
            }
        }
    )*};
}
pub(crate) use for_each_product;
