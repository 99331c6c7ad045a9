//! What the behaviours need of an engine.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::{self, Product, raw};
use sqlward_tests::proxy::{Options, Proxy};
use sqlward_tests::raw::{Message, Raw, bind, execute, parse, sync};
use sqlward_tests::server::{self, DATABASE, TRUSTED_USER};

/// A server.
pub(crate) enum Server {
    Postgres(server::Server),
    Mysql(mysql::Server),
}

/// A session of the fixture's user.
pub(crate) enum Client {
    Postgres(Raw),
    Mysql(raw::Raw),
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Mysql(Product),
}

/// How a statement ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Rows.
    pub(crate) rows: u64,
    /// The first column of the first row.
    pub(crate) first: Option<String>,
    /// Rows affected.
    pub(crate) affected: u64,
    /// The error's code, SQLSTATE or number, and its message with detail and hint.
    pub(crate) error: Option<(String, String)>,
}

impl Engine {
    pub(crate) fn start(self) -> Result<Server> {
        Ok(match self {
            Self::Postgres => Server::Postgres(server::Server::start(&server::Options::default())?),
            Self::Mysql(product) => {
                Server::Mysql(mysql::Server::start(&mysql::Options::new(product))?)
            }
        })
    }

    /// The code of a refusal by policy.
    pub(crate) fn refused(self) -> &'static str {
        match self {
            Self::Postgres => "42501",
            Self::Mysql(_) => "1227",
        }
    }

    /// The code of a refusal that ends the session.
    pub(crate) fn terminated(self) -> &'static str {
        match self {
            Self::Postgres => "42501",
            Self::Mysql(_) => "1053",
        }
    }

    /// The code of a missing table, and how the record shows it.
    pub(crate) fn missing_table(self) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => ("42P01", "42P01"),
            Self::Mysql(_) => ("1146", "1146 (42S02)"),
        }
    }

    /// Whether a refusal inside a transaction aborts it, as any error does: PostgreSQL's rule, not MySQL's.
    pub(crate) fn errors_abort_transactions(self) -> bool {
        self == Self::Postgres
    }

    /// Lets the fixture's user do everything to a table.
    pub(crate) fn grant(self, table: &str) -> String {
        match self {
            Self::Postgres => format!("GRANT ALL ON {table} TO {TRUSTED_USER}"),
            Self::Mysql(_) => format!("GRANT ALL ON {DATABASE}.{table} TO {TRUSTED_USER}"),
        }
    }

    /// Statements that set a password.
    pub(crate) fn password_statements(self, password: &str) -> Vec<String> {
        match self {
            Self::Postgres => vec![
                format!("ALTER ROLE {TRUSTED_USER} PASSWORD '{password}'"),
                format!("CREATE USER somebody PASSWORD '{password}'"),
            ],
            Self::Mysql(_) => vec![
                format!("CREATE USER somebody IDENTIFIED BY '{password}'"),
                format!("SET PASSWORD FOR nobody = '{password}'"),
            ],
        }
    }

    /// The mark of a parameter.
    pub(crate) fn mark(self, number: usize) -> String {
        match self {
            Self::Postgres => format!("${number}"),
            Self::Mysql(_) => "?".to_owned(),
        }
    }
}

impl Server {
    pub(crate) fn behind(&self, options: &Options) -> Result<Proxy> {
        match self {
            Self::Postgres(server) => Proxy::start(&[server], options),
            Self::Mysql(server) => Proxy::before(server, options),
        }
    }

    /// Runs SQL at the server itself; the first value.
    pub(crate) fn admin(&self, sql: &str) -> Result<String> {
        match self {
            Self::Postgres(server) => server.psql(DATABASE, sql),
            Self::Mysql(server) => server.sql(DATABASE, sql),
        }
    }

    pub(crate) fn login(&self, proxy: &Proxy) -> Result<Client> {
        Ok(match self {
            Self::Postgres(_) => Client::Postgres(Raw::login(proxy.port(), TRUSTED_USER, &[])?),
            Self::Mysql(_) => Client::Mysql(raw::Raw::login(proxy.port(), TRUSTED_USER)?),
        })
    }
}

impl Client {
    /// Runs a text; one outcome per statement that was answered.
    pub(crate) fn run(&mut self, sql: &str) -> Result<Vec<Ran>> {
        match self {
            Self::Postgres(raw) => {
                let answer = raw.query(sql)?;
                ensure!(
                    answer.last().is_some_and(|last| last.tag == b'Z'),
                    "{answer:?}"
                );
                Ok(of_postgres(&answer))
            }
            Self::Mysql(raw) => Ok(raw.query(sql)?.into_iter().map(of_mysql).collect()),
        }
    }

    /// Runs a text of one statement.
    pub(crate) fn one(&mut self, sql: &str) -> Result<Ran> {
        let mut ran = self.run(sql)?;
        ensure!(ran.len() == 1, "{sql}: {ran:?}");
        ran.pop().context("nothing ran")
    }

    /// Prepares a text and runs it with parameters.
    pub(crate) fn prepared(&mut self, sql: &str, parameters: &[&str]) -> Result<Ran> {
        let values: Vec<Option<&str>> = parameters.iter().map(|value| Some(*value)).collect();
        match self {
            Self::Postgres(raw) => {
                let run = [
                    parse("", sql),
                    bind("", "", &values),
                    execute("", 0),
                    sync(),
                ];
                raw.send(&run.concat())?;
                of_postgres(&raw.until_ready()?)
                    .pop()
                    .context("nothing ran")
            }
            Self::Mysql(raw) => match raw.prepare(sql)? {
                Ok(statement) => {
                    let answers = raw.execute(statement, &values, false)?;
                    answers
                        .into_iter()
                        .next()
                        .map(of_mysql)
                        .context("no answer")
                }
                Err(failure) => Ok(of_mysql(raw::Answer {
                    failure: Some(failure),
                    ..raw::Answer::default()
                })),
            },
        }
    }

    /// Runs a text after which the session is over.
    pub(crate) fn last(&mut self, sql: &str) -> Result<Ran> {
        match self {
            Self::Postgres(raw) => {
                raw.send(&sqlward_tests::raw::query(sql))?;
                of_postgres(&raw.until_closed()?)
                    .into_iter()
                    .next()
                    .context("no answer")
            }
            Self::Mysql(raw) => {
                let ran = raw.query(sql)?.into_iter().next().map(of_mysql);
                ensure!(raw.receive()?.is_none(), "it stays open");
                ran.context("no answer")
            }
        }
    }
}

fn of_mysql(answer: raw::Answer) -> Ran {
    Ran {
        rows: answer.rows,
        first: answer.first,
        affected: answer.affected,
        error: answer
            .failure
            .map(|failure| (failure.errno.to_string(), failure.message)),
    }
}

fn of_postgres(answer: &[Message]) -> Vec<Ran> {
    let mut all = Vec::new();
    let (mut rows, mut first) = (0, None);
    for message in answer {
        match message.tag {
            b'D' => {
                if rows == 0 {
                    first = message.row().into_iter().next().flatten();
                }
                rows += 1;
            }
            b'C' => {
                let text = String::from_utf8_lossy(&message.body);
                let written = ["INSERT", "UPDATE", "DELETE"]
                    .iter()
                    .any(|verb| text.starts_with(verb));
                let count = text.trim_end_matches('\0').rsplit(' ').next();
                let count = count.and_then(|count| count.parse().ok());
                all.push(Ran {
                    rows: std::mem::take(&mut rows),
                    first: first.take(),
                    affected: count.filter(|_| written).unwrap_or(0),
                    error: None,
                });
            }
            b'E' => {
                let told = [b'M', b'D', b'H'].map(|field| message.field(field).unwrap_or_default());
                all.push(Ran {
                    rows,
                    first: first.take(),
                    affected: 0,
                    error: Some((message.sqlstate(), told.join("; "))),
                });
            }
            _ => {}
        }
    }
    all
}
