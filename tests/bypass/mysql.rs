//! MySQL and MariaDB: how cases are sent, and how it is seen what became of the table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::mysql::raw::{Answer, Login, Prepared, Raw, capability, failure};
use sqlward_tests::mysql::server::ADMIN;
use sqlward_tests::mysql::{Options, Product, Server};
use sqlward_tests::proxy::{self, Policy, Proxy};

use crate::case::{self, Case, Did, Range, Seen, table};

pub(crate) fn cases() -> Result<Vec<Case>> {
    table(include_str!("mysql.cases"))
}

pub(crate) fn check(product: Product) -> Result<()> {
    let server = Server::start(&Options {
        settings: vec![
            "secure-file-priv=".to_owned(),
            "event-scheduler=ON".to_owned(),
            "local-infile=ON".to_owned(),
        ],
        ..Options::new(product)
    })?;
    let options = proxy::Options {
        policy: Policy::Text(POLICY.to_owned()),
        ..proxy::Options::default()
    };
    let proxy = Proxy::before(&server, &options)?;
    let admin = Raw::login(server.port(), ADMIN)?;
    let mut mysql = Mysql {
        server,
        proxy,
        admin,
        fresh: None,
    };
    let number = usize::from(product.is_mariadb());
    let checked = case::check(&mut mysql, number, &cases()?);
    checked.with_context(|| mysql.server.log())
}

struct Mysql {
    server: Server,
    proxy: Proxy,
    admin: Raw,
    /// What everything looks like after a reset.
    fresh: Option<String>,
}

impl Range for Mysql {
    fn run(&mut self, case: &Case, guarded: bool) -> Result<Seen> {
        self.reset()?;
        let before = self.state()?;
        let port = if guarded {
            self.proxy.port()
        } else {
            self.server.port()
        };
        let login = Login {
            user: ADMIN,
            database: Some("app"),
            capabilities: capability::MULTI_STATEMENTS
                | capability::LOCAL_FILES
                | capability::DEPRECATE_EOF,
            authority: None,
        };
        let mut session = Session {
            raw: Raw::start(port, &login)?,
            refused: false,
            prepared: None,
        };
        session.raw.heard = Some(Vec::new());
        // A server or a proxy that has enough of a session closes it.
        let sent = session.send(case);
        let heard = session.raw.heard.take().unwrap_or_default();
        let closed = session.raw.simple(14, &[]).is_err();
        if let (Err(error), false) = (sent, closed) {
            return Err(error);
        }
        drop(session.raw);
        let mut did = self.did(&before)?;
        let until = Instant::now() + PATIENCE;
        while case.way == "later" && did == Did::Nothing && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
            did = self.did(&before)?;
        }
        if did == Did::Nothing && heard.windows(MARKER.len()).any(|part| part == MARKER) {
            did = Did::Reads;
        }
        Ok(Seen {
            did,
            refused: session.refused || (guarded && closed),
        })
    }
}

impl Mysql {
    /// Makes everything as it was; that takes time, so that it is not done where nothing has changed.
    fn reset(&mut self) -> Result<()> {
        let now = self.looks()?;
        if self.fresh.as_ref() == Some(&now) {
            return Ok(());
        }
        for sql in RESET {
            let answers = self.admin.query(sql)?;
            let failed = answers.iter().find_map(|one| one.failure.as_ref());
            ensure!(failed.is_none(), "reset: {failed:?}: {sql}");
        }
        self.fresh = Some(self.looks()?);
        Ok(())
    }

    /// Every thing that there is, and what the tables hold.
    fn looks(&mut self) -> Result<String> {
        Ok(self.shown(&LOOKS)? + &self.state()?)
    }

    /// The table's row and its definition, or why it has none.
    fn state(&mut self) -> Result<String> {
        self.shown(&[
            "SELECT v FROM app.secret",
            "SHOW CREATE TABLE app.secret",
            "SELECT count(*) FROM information_schema.triggers \
             WHERE event_object_schema = 'app' AND event_object_table = 'secret'",
            "SELECT count(*) FROM mysql.tables_priv WHERE Table_name = 'secret'",
        ])
    }

    /// Everything that the server answers.
    fn shown(&mut self, queries: &[&str]) -> Result<String> {
        self.admin.heard = Some(Vec::new());
        for sql in queries {
            self.admin.query(sql)?;
        }
        let heard = self.admin.heard.take().unwrap_or_default();
        Ok(heard.escape_ascii().to_string())
    }

    fn did(&mut self, before: &str) -> Result<Did> {
        if self.state()? != before {
            return Ok(Did::Changes);
        }
        let tables = self.admin.value(
            "SELECT coalesce(group_concat('`', table_schema, '`.`', table_name, '`'), '') FROM information_schema.tables \
             WHERE table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') \
             AND table_type = 'BASE TABLE' AND (table_schema, table_name) <> ('app', 'secret')",
        )?;
        for table in tables.split(',').filter(|table| !table.is_empty()) {
            self.admin.heard = Some(Vec::new());
            self.admin.query(&format!("SELECT * FROM {table}"))?;
            let heard = self.admin.heard.take().unwrap_or_default();
            if heard.windows(MARKER.len()).any(|part| part == MARKER) {
                return Ok(Did::Reads);
            }
        }
        Ok(Did::Nothing)
    }
}

struct Session {
    raw: Raw,
    refused: bool,
    prepared: Option<Prepared>,
}

impl Session {
    fn send(&mut self, case: &Case) -> Result<()> {
        match case.way {
            "text" | "later" => case
                .lines
                .iter()
                .try_for_each(|line| self.step(line, false)),
            "prepared" => case.lines.iter().try_for_each(|line| self.step(line, true)),
            "multi" => self.text(&case.lines.join(&b';')),
            "burst" => {
                for line in &case.lines {
                    self.raw.command(3, line)?;
                }
                case.lines.iter().try_for_each(|_| {
                    self.raw.next_answer();
                    self.hear(false)
                })
            }
            other => bail!("no way `{other}`"),
        }
    }

    fn text(&mut self, sql: &[u8]) -> Result<()> {
        self.raw.command(3, sql)?;
        self.hear(false)
    }

    /// `~word rest` is a command other than a text.
    fn step(&mut self, line: &[u8], prepared: bool) -> Result<()> {
        let Some(command) = line.strip_prefix(b"~") else {
            return if prepared {
                self.prepare(line)?;
                self.execute(&[])
            } else {
                self.text(line)
            };
        };
        let at = command
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(command.len());
        let (word, rest) = command.split_at(at);
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let simple = |number: u8| (number, rest.to_vec());
        let (number, body) = match word {
            b"text" => return self.text(rest),
            b"prepare" => return self.prepare(rest),
            b"execute" => return self.execute(rest),
            b"change" => return self.raw.change_user(ADMIN, std::str::from_utf8(rest)?),
            b"fields" => simple(4),
            b"use" => simple(2),
            b"create" => simple(5),
            b"drop" => simple(6),
            b"reset" => simple(31),
            b"multi" => (27, vec![u8::from(rest != b"on"), 0]),
            other => bail!("no command `{}`", other.escape_ascii()),
        };
        self.raw.command(number, &body)?;
        match number {
            // Definitions up to the packet that ends them, or that packet alone.
            4 | 27 => {
                while let Some(payload) = self.raw.receive()? {
                    match payload.first() {
                        Some(0xff) => return self.failed(&payload),
                        Some(0xfe) => break,
                        _ => {}
                    }
                }
                Ok(())
            }
            _ => self.hear(false),
        }
    }

    fn prepare(&mut self, sql: &[u8]) -> Result<()> {
        let sql = std::str::from_utf8(sql)?;
        match self.raw.prepare(sql)? {
            Ok(prepared) => self.prepared = Some(prepared),
            Err(failure) => {
                self.prepared = None;
                self.refused |= failure.message.contains(REFUSAL);
            }
        }
        Ok(())
    }

    fn execute(&mut self, values: &[u8]) -> Result<()> {
        let Some(prepared) = self.prepared else {
            return Ok(());
        };
        let values = std::str::from_utf8(values)?;
        let values: Vec<Option<&str>> = values
            .split(' ')
            .filter(|v| !v.is_empty())
            .map(Some)
            .collect();
        let answers = self.raw.execute(prepared, &values, false)?;
        self.note(&answers);
        Ok(())
    }

    fn hear(&mut self, binary: bool) -> Result<()> {
        let answers = self.raw.answers(binary, b"from a file\n")?;
        self.note(&answers);
        Ok(())
    }

    fn note(&mut self, answers: &[Answer]) {
        let mut failures = answers.iter().filter_map(|one| one.failure.as_ref());
        self.refused |= failures.any(|failure| failure.message.contains(REFUSAL));
    }

    fn failed(&mut self, payload: &[u8]) -> Result<()> {
        let message = failure(payload).context("no failure")?.message;
        self.refused |= message.contains(REFUSAL);
        Ok(())
    }
}

const MARKER: &[u8] = b"S3CR3T";
const REFUSAL: &str = "`sqlward explain";
/// How long an event may take to run.
const PATIENCE: Duration = Duration::from_secs(5);

const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"
unreadable = "deny"

[[rule]]
id = "protected"
severity = "high"
when = { object = ["app.secret"] }
action = "deny"
message = "this table is protected"

[[rule]]
id = "hidden"
severity = "high"
when = { dynamic = true }
action = "deny"
message = "what this does can't be seen"
"#;

const LOOKS: [&str; 7] = [
    "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name",
    "SELECT table_schema, table_name FROM information_schema.tables \
     WHERE table_schema IN ('app', 'evil') ORDER BY table_schema, table_name",
    "SELECT routine_name FROM information_schema.routines WHERE routine_schema IN ('app', 'evil') ORDER BY routine_name",
    "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema IN ('app', 'evil')",
    "SELECT count(*) FROM information_schema.events",
    "SELECT id, name FROM app.users ORDER BY id",
    "SELECT count(*) FROM evil.users",
];

const RESET: [&str; 14] = [
    "DROP USER IF EXISTS app_trusted",
    "CREATE USER app_trusted",
    "DROP DATABASE IF EXISTS evil",
    "DROP DATABASE IF EXISTS other",
    "DROP DATABASE IF EXISTS app",
    "CREATE DATABASE app CHARACTER SET utf8mb4",
    "CREATE DATABASE evil CHARACTER SET utf8mb4",
    "CREATE TABLE app.users (id int UNIQUE, name varchar(100))",
    "INSERT INTO app.users VALUES (1, 'ann')",
    "CREATE TABLE app.secret (v varchar(100))",
    "INSERT INTO app.secret VALUES ('S3CR3T')",
    "CREATE TABLE evil.users (id int, name varchar(100))",
    "CREATE VIEW app.peek AS SELECT v FROM app.secret",
    "CREATE FUNCTION app.leak() RETURNS varchar(100) READS SQL DATA RETURN (SELECT v FROM app.secret LIMIT 1)",
];
