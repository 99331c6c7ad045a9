//! What the tests need of a database server: traffic that it understands, and its own record as the judge.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::audit::{self, Statement};
use sqlward_tests::mysql::oracle::{self as mysql_oracle, Own};
use sqlward_tests::mysql::{self, Product, Record, record};
use sqlward_tests::oracle::{self, Findings, Session, compare_sessions};
use sqlward_tests::process::until;
use sqlward_tests::proxy::{self, Proxy};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};
use sqlward_tests::traffic::{self, Played};

use crate::shown;

/// A running server that records every statement.
pub(crate) trait Engine: Sized {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// A proxy in front of it.
    fn proxy(&self, options: &proxy::Options) -> Result<Proxy>;

    /// One session of mixed traffic.
    fn play(port: u16, seed: u64, count: usize) -> Result<Played>;

    /// Ends what it still runs for clients that are gone.
    fn settle(&self) -> Result<()>;

    /// Ends it, so that its record is whole.
    fn stop(&mut self) -> Result<()>;

    /// Compares what it ran with what is in the store; with what the clients saw, too, where all of it is in `played`.
    fn compare(&self, recorded: Vec<Statement>, played: Option<&[Played]>) -> Result<Findings>;

    /// Several sessions at once, about `count` statements in all.
    fn play_all(port: u16, count: usize) -> Result<Vec<Played>> {
        let each = count.div_ceil(usize::try_from(SESSIONS)?);
        thread::scope(|scope| {
            let sessions: Vec<_> = (1..=SESSIONS)
                .map(|seed| scope.spawn(move || Self::play(port, seed, each)))
                .collect();
            sessions.into_iter().map(joined).collect()
        })
    }

    /// Ends the server and holds its record against the store: nothing is missing, nothing is there twice, nothing else
    /// is there, and the proof is good.
    fn judge(mut self, data: &Path, played: Option<&[Played]>) -> Result<Findings> {
        self.stop()?;
        let recorded = audit::statements(data)?;
        let events: HashSet<String> = recorded.iter().map(|one| one.event.clone()).collect();
        ensure!(events.len() == recorded.len(), "an event is recorded twice");
        let findings = self.compare(recorded, played)?;
        println!("{}: {}", self.name(), findings.summary());
        ensure!(findings.differences.is_empty(), "{}", findings.summary());
        Ok(findings)
    }
}

fn joined(session: ScopedJoinHandle<'_, Result<Played>>) -> Result<Played> {
    session
        .join()
        .map_err(|_| anyhow::anyhow!("a session panicked"))?
}

/// PostgreSQL; its record is its log.
pub(crate) struct Postgres(pub(crate) Server);

impl Postgres {
    /// Starts one.
    pub(crate) fn start() -> Result<Self> {
        let options = Options {
            record: true,
            ..Options::default()
        };
        Ok(Self(Server::start(&options)?))
    }
}

impl Engine for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn proxy(&self, options: &proxy::Options) -> Result<Proxy> {
        Proxy::start(&[&self.0], options)
    }

    fn play(port: u16, seed: u64, count: usize) -> Result<Played> {
        traffic::play(port, TRUSTED_USER, seed, count)
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        self.0.stop()
    }

    fn compare(&self, recorded: Vec<Statement>, played: Option<&[Played]>) -> Result<Findings> {
        let findings = oracle::compare_records(&self.0.record_files()?, &recorded)?;
        let wrong = rows_differ(played.unwrap_or_default(), &recorded)?;
        ensure!(
            wrong.is_empty(),
            "{} row counts differ:\n{}",
            wrong.len(),
            shown(&wrong)
        );
        Ok(findings)
    }
}

/// Where the rows of the record are not those that the client saw.
fn rows_differ(played: &[Played], recorded: &[Statement]) -> Result<Vec<String>> {
    let mut sessions: HashMap<u16, Vec<&Statement>> = HashMap::new();
    for one in recorded.iter().filter(|one| one.must_be_in_server_record()) {
        let port = one.client_port.context("a record without client port")?;
        sessions.entry(port).or_default().push(one);
    }
    let mut wrong = Vec::new();
    for session in played {
        let mut records = sessions
            .remove(&session.port)
            .context("a session without records")?;
        records.sort_by_key(|one| one.number);
        ensure!(
            records.len() == session.done.len(),
            "not the same statements"
        );
        for (done, record) in session.done.iter().zip(records) {
            // What an error undid is counted differently by each side.
            if done.error.is_none()
                && (done.rows != record.rows || done.affected != record.affected)
            {
                wrong.push(format!("{done:?}\n  {record:?}"));
            }
        }
    }
    Ok(wrong)
}

/// MySQL or MariaDB; its record is the general log, and MariaDB's server_audit where that is there.
pub(crate) struct Mysql {
    /// The server.
    pub(crate) server: mysql::Server,
    record: Record,
}

impl Mysql {
    /// Starts one.
    pub(crate) fn start(product: Product) -> Result<Self> {
        let record = if product.is_mariadb() {
            Record::FileAndAudit
        } else {
            Record::File
        };
        let server = mysql::Server::start(&mysql::Options {
            record,
            ..mysql::Options::new(product)
        })?;
        Ok(Self { server, record })
    }
}

impl Engine for Mysql {
    fn name(&self) -> &'static str {
        self.server.product().name()
    }

    fn proxy(&self, options: &proxy::Options) -> Result<Proxy> {
        Proxy::before(&self.server, options)
    }

    fn play(port: u16, seed: u64, count: usize) -> Result<Played> {
        mysql::traffic::play(port, TRUSTED_USER, seed, count)
    }

    /// It would notice only at the end of each statement that its client is gone.
    fn settle(&self) -> Result<()> {
        let list =
            format!("SELECT id FROM information_schema.processlist WHERE user = '{TRUSTED_USER}'");
        until("the server has ended its sessions", END_LIMIT, || {
            let threads = self.server.sql("mysql", &list)?;
            for thread in threads.lines() {
                // It may have ended on its own.
                if let Err(error) = self.server.sql("mysql", &format!("KILL {thread}")) {
                    ensure!(format!("{error:#}").contains("1094"), "{error:#}");
                }
            }
            Ok(threads.is_empty().then_some(()))
        })
    }

    fn stop(&mut self) -> Result<()> {
        self.server.stop()
    }

    fn compare(&self, recorded: Vec<Statement>, played: Option<&[Played]>) -> Result<Findings> {
        let mut ran = record::general_log(&self.server.general_log())?;
        let own = mysql_oracle::take_own(&mut ran)?;
        if let Some(played) = played {
            mysql_oracle::tell_errors(played, &mut ran)?;
        }
        // The record shows what PREPARE and EXECUTE in SQL text held as entries of their own.
        let inner = mysql_oracle::take_inner(&mut ran);
        ensure!(
            !recorded
                .iter()
                .any(|one| one.text.contains(mysql_oracle::MARK)),
            "a question of sqlward's own is in the store"
        );
        let mut recorded = mysql_oracle::as_the_server_shows(recorded)?;
        match played {
            Some(played) => self.compare_answers(played, &ran, &own, &recorded)?,
            // The general log has no errors.
            None => recorded.iter_mut().for_each(|one| one.sqlstate = None),
        }
        let mut findings = compare_sessions(&ran, &recorded)?;
        findings.statements += inner;
        Ok(findings)
    }
}

impl Mysql {
    fn compare_answers(
        &self,
        played: &[Played],
        ran: &[Session],
        own: &Own,
        recorded: &[Statement],
    ) -> Result<()> {
        // The server is asked at each login, where a session begins anew (as its temporary table shows), and
        // after each EXECUTE, which may change anything; never between other statements.
        let asked = ran.iter().map(|session| {
            let texts = || session.entries.iter().map(|one| one.text.as_str());
            let tables = texts().filter(|text| text.starts_with("CREATE TEMPORARY TABLE app.t "));
            let executions = texts().filter(|text| text.starts_with("EXECUTE "));
            tables.count().max(1) + executions.count()
        });
        let expected = Own {
            // Servers report the character set by default.
            track: 0,
            state: asked.sum(),
        };
        ensure!(*own == expected, "{expected:?} expected, {own:?}");
        let wrong = mysql_oracle::differ_from_clients(played, recorded)?;
        ensure!(
            wrong.is_empty(),
            "{} outcomes differ:\n{}",
            wrong.len(),
            shown(&wrong)
        );
        if self.record == Record::FileAndAudit {
            let errors = record::server_audit(&self.server.audit_log())?;
            let wrong = mysql_oracle::differ_from_audit(&errors, recorded);
            ensure!(wrong.is_empty(), "{}", shown(&wrong));
        }
        Ok(())
    }
}

/// How many sessions play at once.
pub(crate) const SESSIONS: u64 = 16;
const END_LIMIT: Duration = Duration::from_secs(30);
