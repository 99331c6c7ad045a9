//! Mixed traffic with a known outcome: what each command is, and what its client saw of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::raw::{Answer, Login, Prepared, Raw, capability};
use crate::oracle::Kind;
use crate::server::{DATABASE, TRUSTED_USER};
use crate::traffic::{Dice, Done, Played};

/// A second database that the fixture's users may use.
pub const OTHER_DATABASE: &str = "other";

/// Plays a session until it has about `count` commands behind it. Odd seeds speak with EOF packets,
/// even ones without. `Done::error` is the error number, `Done::text` of an execution the text with
/// its parameters in place, as the server's record shows it.
///
/// # Errors
/// When the connection fails or an answer makes no sense.
pub fn play(port: u16, user: &str, seed: u64, count: usize) -> Result<Played> {
    let mut capabilities = capability::MULTI_STATEMENTS | capability::LOCAL_FILES;
    if seed.is_multiple_of(2) {
        capabilities |= capability::DEPRECATE_EOF;
    }
    let login = Login {
        user,
        database: Some(DATABASE),
        capabilities,
        authority: None,
    };
    let raw = Raw::start(port, &login)?;
    let (id, client_port) = (raw.id, raw.local_address()?.port());
    let mut player = Player {
        raw,
        port,
        user,
        seed,
        dice: Dice::new(seed),
        next: 0,
        done: Vec::new(),
    };
    player.table()?;
    while player.done.len() < count {
        let position = player.done.len();
        player.act().with_context(|| {
            let recent = player
                .done
                .get(position.saturating_sub(3)..)
                .unwrap_or_default();
            format!("session {seed} after {position} commands, recently {recent:?}")
        })?;
    }
    player.raw.quit()?;
    Ok(Played {
        pid: id,
        port: client_port,
        done: player.done,
    })
}

/// Plays as many sessions at once, with about `count` commands in all.
///
/// # Errors
/// See [`play`].
pub fn play_all(port: u16, sessions: u64, count: usize) -> Result<Vec<Played>> {
    let each = count.div_ceil(usize::try_from(sessions)?);
    thread::scope(|scope| {
        let sessions: Vec<_> = (1..=sessions)
            .map(|seed| scope.spawn(move || play(port, TRUSTED_USER, seed, each)))
            .collect();
        sessions
            .into_iter()
            .map(|session| {
                session
                    .join()
                    .map_err(|_| anyhow::anyhow!("a session panicked"))?
            })
            .collect()
    })
}

struct Player<'a> {
    raw: Raw,
    port: u16,
    user: &'a str,
    seed: u64,
    dice: Dice,
    next: u64,
    done: Vec<Done>,
}

impl Player<'_> {
    /// A literal that makes a statement's text its own.
    fn mark(&mut self) -> String {
        self.next += 1;
        format!("'s{}n{}'", self.seed, self.next)
    }

    fn table(&mut self) -> Result<()> {
        self.query("CREATE TEMPORARY TABLE app.t (id int PRIMARY KEY, body text) ENGINE=InnoDB")
    }

    fn act(&mut self) -> Result<()> {
        let mark = self.mark();
        let n = self.next;
        match self.dice.below(200) {
            0..=39 => {
                let rows = self.dice.below(20);
                self.query(&format!(
                    "SELECT id, {mark} FROM app.accounts WHERE id <= {rows}"
                ))
            }
            40..=59 => self.query(&format!("INSERT INTO app.t VALUES ({n}, {mark})")),
            60..=69 => self.query(&format!(
                "UPDATE app.t SET body = {mark} WHERE id > {}",
                n / 2
            )),
            70..=75 => self.query(&format!(
                "DELETE FROM app.t WHERE id < {} OR body = {mark}",
                n / 3
            )),
            76..=85 => self.query(&format!(
                "SELECT 1; INSERT INTO app.t VALUES ({n}, {mark}); SELECT id FROM app.accounts \
                 WHERE id < 4"
            )),
            86..=99 => self.mistake(&mark),
            100..=109 => self.transaction(&mark, n),
            110..=139 => self.prepared(&mark),
            140..=151 => self.cursor(&mark),
            152..=157 => self.sql_level(&mark, n),
            158..=163 => self.local_file(&mark, n),
            164..=169 => self.database(&mark),
            170..=173 => self.reset(),
            174..=176 => self.change_user(),
            177..=179 => self.query(" \n SELECT 'white\nspace around' ; "),
            180..=182 => self.long(&mark),
            183..=185 => self.prepare_only(&mark),
            186..=189 => self.query(&format!("SET @a = {mark}, @b = {n}")),
            190..=194 => {
                self.raw.simple(14, &[])?;
                Ok(())
            }
            195..=197 => self.query(&format!("/* {mark} */")),
            _ => self.cancelled(&mark),
        }
    }

    fn query(&mut self, sql: &str) -> Result<()> {
        let answers = self.raw.query(sql)?;
        self.note(Kind::Simple, sql, &answers);
        Ok(())
    }

    fn note(&mut self, kind: Kind, sql: &str, answers: &[Answer]) {
        let failed = answers.last().and_then(|one| one.failure.as_ref());
        self.done.push(Done {
            kind,
            text: trimmed(sql).to_owned(),
            rows: answers.iter().map(|one| one.rows).sum(),
            affected: answers.iter().map(|one| one.affected).sum(),
            warnings: answers.iter().map(|one| u64::from(one.warnings)).sum(),
            error: failed.map(|one| one.errno.to_string()),
        });
    }

    /// Several statements; the first that fails ends the rest.
    fn mistake(&mut self, mark: &str) -> Result<()> {
        match self.dice.below(5) {
            0 => self.query(&format!("SELEC {mark}")),
            1 => self.query(&format!("SELECT nonesuch, {mark}")),
            2 => self.query(&format!("SELECT 1; SELECT nonesuch, {mark}; SELECT 2")),
            3 => self.query(&format!(
                "INSERT INTO app.t VALUES (0, {mark}), (0, {mark})"
            )),
            _ => self.query(&format!("SELECT * FROM app.nonesuch WHERE 1 = {mark}")),
        }
    }

    /// An error leaves the transaction alone.
    fn transaction(&mut self, mark: &str, n: u64) -> Result<()> {
        self.query("START TRANSACTION")?;
        self.query(&format!("INSERT INTO app.t VALUES ({n}, {mark})"))?;
        self.query(&format!("SELECT nonesuch, {mark}"))?;
        self.query("SAVEPOINT s")?;
        self.query(&format!("SELECT body FROM app.t WHERE id = {n}"))?;
        if self.dice.below(2) == 0 {
            return self.query("ROLLBACK");
        }
        self.query("ROLLBACK TO SAVEPOINT s")?;
        self.query("COMMIT")
    }

    /// Prepares; `None` if the server refuses, which its record does not show.
    fn prepare(&mut self, sql: &str) -> Result<Option<Prepared>> {
        match self.raw.prepare(sql)? {
            Ok(statement) => {
                self.note(Kind::Prepare, sql, &[]);
                Ok(Some(statement))
            }
            Err(_) => Ok(None),
        }
    }

    fn prepared(&mut self, mark: &str) -> Result<()> {
        let sql = format!("SELECT id, ?, {mark} FROM app.accounts WHERE owner <> ? LIMIT 5");
        let statement = self.prepare(&sql)?.context("not prepared")?;
        for value in [Some("owner 1"), None, Some("x y")] {
            let shown = value.map_or("NULL".to_owned(), |value| format!("'{value}'"));
            let answers = self.raw.execute(statement, &[Some("x"), value], false)?;
            let text = sql.replacen('?', "'x'", 1).replacen('?', &shown, 1);
            self.note(Kind::Execute, &text, &answers);
        }
        self.raw.close(statement)
    }

    /// Rows read in pieces.
    fn cursor(&mut self, mark: &str) -> Result<()> {
        let sql = format!("SELECT id, {mark} FROM app.accounts WHERE id <= 12");
        let statement = self.prepare(&sql)?.context("not prepared")?;
        let opened = self.raw.execute(statement, &[], true)?;
        self.note(Kind::Execute, &sql, &opened);
        let (mut rows, mut warnings) = (0, 0);
        for _ in 0..2 {
            let fetched = self.raw.fetch(statement, 5)?;
            rows += fetched.rows;
            warnings += u64::from(fetched.warnings);
        }
        ensure!(rows == 10, "{rows} rows fetched");
        if let Some(execution) = self.done.last_mut() {
            execution.rows += rows;
            execution.warnings += warnings;
        }
        self.raw.close(statement)
    }

    /// PREPARE and EXECUTE in SQL text: the record shows what they hold as well.
    fn sql_level(&mut self, mark: &str, n: u64) -> Result<()> {
        self.query(&format!("SET @a = {n}"))?;
        self.query(&format!("PREPARE s FROM 'SELECT ? + 1, \"{n}\"'"))?;
        self.note(Kind::Prepare, &format!("SELECT ? + 1, \"{n}\""), &[]);
        self.query("EXECUTE s USING @a")?;
        self.note(Kind::Execute, &format!("SELECT {n} + 1, \"{n}\""), &[]);
        self.query("DEALLOCATE PREPARE s")?;
        self.query(&format!("DO {mark} = 1"))
    }

    fn local_file(&mut self, mark: &str, n: u64) -> Result<()> {
        let sql = format!(
            "LOAD DATA LOCAL INFILE 'given' REPLACE INTO TABLE app.t (id) SET body = {mark}"
        );
        let rows = 1 + self.dice.below(50);
        let data: String = (0..rows)
            .map(|k| format!("{}\n", 1_000_000 + n * 100 + k))
            .collect();
        let answers = self.raw.query_with(&sql, data.as_bytes())?;
        self.note(Kind::Simple, &sql, &answers);
        Ok(())
    }

    fn database(&mut self, mark: &str) -> Result<()> {
        let use_it = self.dice.below(2) == 0;
        for name in [OTHER_DATABASE, DATABASE] {
            if use_it {
                self.query(&format!("USE {name}"))?;
            } else {
                let answer = self.raw.simple(2, name.as_bytes())?;
                self.note(Kind::Command, &format!("Init DB {name}"), &[answer]);
            }
            self.query(&format!("SELECT database(), {mark}"))?;
        }
        Ok(())
    }

    /// COM_RESET_CONNECTION: the record does not show it; temporary tables go.
    fn reset(&mut self) -> Result<()> {
        let answer = self.raw.simple(31, &[])?;
        ensure!(answer.failure.is_none(), "{answer:?}");
        self.table()
    }

    fn change_user(&mut self) -> Result<()> {
        self.raw.change_user(self.user, DATABASE)?;
        let text = format!(
            "Change user {}@127.0.0.1 on {DATABASE} using TCP/IP",
            self.user
        );
        self.note(Kind::Command, &text, &[]);
        self.table()
    }

    fn long(&mut self, mark: &str) -> Result<()> {
        let filler = "große Länge, 長い文 ".repeat(2000);
        self.query(&format!("SELECT length('{filler}'), {mark}"))
    }

    fn prepare_only(&mut self, mark: &str) -> Result<()> {
        if let Some(statement) = self.prepare(&format!("SELECT 'never run', {mark}"))? {
            self.raw.close(statement)?;
        }
        let refused = self.prepare(&format!("SELECT nonesuch, {mark}"))?;
        ensure!(refused.is_none(), "prepared what does not exist");
        Ok(())
    }

    fn cancelled(&mut self, mark: &str) -> Result<()> {
        let sql = format!(
            "SELECT count(*), {mark} FROM app.accounts a, app.accounts b, app.accounts c, \
             app.accounts d, app.accounts e WHERE a.id + b.id + c.id + d.id + e.id < 0"
        );
        let (id, port, user) = (self.raw.id, self.port, self.user.to_owned());
        let canceller = thread::spawn(move || -> Result<()> {
            let mut raw = Raw::login(port, &user)?;
            // A KILL that comes before the statement would be for the one before.
            let running = format!(
                "SELECT count(*) FROM information_schema.processlist \
                 WHERE id = {id} AND info LIKE 'SELECT count%'"
            );
            while raw.value(&running)? != "1" {
                thread::sleep(Duration::from_millis(10));
            }
            let answers = raw.query(&format!("KILL QUERY {id}"))?;
            ensure!(
                answers.first().is_some_and(|one| one.failure.is_none()),
                "{answers:?}"
            );
            raw.quit()
        });
        let answers = self.raw.query(&sql);
        // Also when the connection is lost: it must not go on with the next proxy's.
        canceller
            .join()
            .map_err(|_| anyhow::anyhow!("the canceller panicked"))??;
        let answers = answers?;
        let failed = answers.last().and_then(|one| one.failure.as_ref());
        ensure!(failed.is_some_and(|one| one.errno == 1317), "{answers:?}");
        self.note(Kind::Simple, &sql, &answers);
        Ok(())
    }
}

/// A text as the server's record shows it.
#[must_use]
pub fn trimmed(sql: &str) -> &str {
    let sql = sql.trim();
    sql.strip_suffix(';').unwrap_or(sql).trim_end()
}
