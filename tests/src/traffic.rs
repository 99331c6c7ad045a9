//! Mixed traffic with a known outcome: what each statement is, and what its client saw of it.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::oracle::Kind;
use crate::raw::{
    Message, Raw, bind, cancel_request, close, describe, execute, flush, function_call, message,
    parse, query, sync,
};

/// One statement that the server ran or rejected, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// How it was sent.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// Rows returned, those of COPY TO STDOUT included.
    pub rows: u64,
    /// Rows inserted, updated, deleted or copied in.
    pub affected: u64,
    /// Warnings that the server counted.
    pub warnings: u64,
    /// The error it ended with.
    pub error: Option<String>,
}

/// What one session did.
#[derive(Clone, Debug)]
pub struct Played {
    /// The server's process id.
    pub pid: u32,
    /// The port of the client's own socket.
    pub port: u16,
    /// Its statements, in order.
    pub done: Vec<Done>,
}

/// A small deterministic generator of numbers: the same seed plays the same session.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A generator for a session.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }
}

/// Plays a session until it has about `count` statements behind it.
///
/// # Errors
/// When the connection fails or an answer makes no sense.
pub fn play(port: u16, user: &str, seed: u64, count: usize) -> Result<Played> {
    let application = format!("traffic-{seed}");
    let raw = Raw::login(port, user, &[("application_name", &application)])?;
    let (pid, _) = raw.key.clone().context("no backend key")?;
    let client_port = raw.local_address()?.port();
    let mut player = Player {
        raw,
        port,
        seed,
        dice: Dice::new(seed),
        next: 0,
        done: Vec::new(),
    };
    player.simple("CREATE TEMP TABLE t (id int PRIMARY KEY, body text)")?;
    while player.done.len() < count {
        let position = player.done.len();
        player.act().with_context(|| {
            let recent = player
                .done
                .get(position.saturating_sub(3)..)
                .unwrap_or_default();
            format!("session {seed} after {position} statements, recently {recent:?}")
        })?;
    }
    player.raw.terminate()?;
    Ok(Played {
        pid,
        port: client_port,
        done: player.done,
    })
}

struct Player {
    raw: Raw,
    port: u16,
    seed: u64,
    dice: Dice,
    next: u64,
    done: Vec<Done>,
}

impl Player {
    /// A literal that makes a statement's text its own.
    fn mark(&mut self) -> String {
        self.next += 1;
        format!("'s{}n{}'", self.seed, self.next)
    }

    fn act(&mut self) -> Result<()> {
        let mark = self.mark();
        let n = self.next;
        match self.dice.below(200) {
            0..=29 => {
                let rows = self.dice.below(20);
                self.simple(&format!(
                    "SELECT g, {mark} FROM generate_series(1, {rows}) g"
                ))
            }
            30..=49 => self.simple(&format!("INSERT INTO t VALUES ({n}, {mark}) RETURNING id")),
            50..=59 => self.simple(&format!("UPDATE t SET body = {mark} WHERE id > {}", n / 2)),
            60..=64 => self.simple(&format!(
                "DELETE FROM t WHERE id < {} OR body = {mark}",
                n / 3
            )),
            65..=72 => self.simple(&format!(
                "SELECT 1; INSERT INTO t VALUES ({n}, {mark}); SELECT * FROM generate_series(1, 3)"
            )),
            73..=84 => self.mistake(&mark),
            85..=92 => self.transaction(&mark, n),
            93..=122 => self.extended(&mark),
            123..=137 => self.named(&mark),
            138..=152 => self.pipeline(&mark, n),
            153..=158 => self.copy_in(&mark, n),
            159..=163 => self.copy_out(&mark),
            164..=170 => self.portal(&mark),
            171..=174 => self.empty(&mark),
            175..=179 => self.simple(&format!("SET application_name TO {mark}")),
            180..=183 => self.simple(&format!("LISTEN c; NOTIFY c, {mark}; UNLISTEN c")),
            184..=186 => self.function(),
            187..=189 => {
                let filler = "große Länge, 長い文 ".repeat(2000);
                self.simple(&format!("SELECT length('{filler}'), {mark}"))
            }
            190..=193 => self.sql_level(&mark),
            194..=197 => self.prepare_only(&mark),
            198 => self.cancelled(&mark),
            _ => self.copy_failed(&mark, n),
        }
    }

    fn simple(&mut self, sql: &str) -> Result<()> {
        let answer = self.raw.query(sql)?;
        self.note(Kind::Simple, sql, &answer)
    }

    /// Notes a statement and what `answer`, the messages up to its end, says of it.
    fn note(&mut self, kind: Kind, sql: &str, answer: &[Message]) -> Result<()> {
        let mut done = Done {
            kind,
            text: sql.to_owned(),
            rows: 0,
            affected: 0,
            warnings: 0,
            error: None,
        };
        let copied_out = answer.iter().any(|one| one.tag == b'H');
        for one in answer {
            match one.tag {
                b'D' => done.rows += 1,
                b'd' => done.rows += count_lines(&one.body),
                b'C' if !copied_out => done.affected += affected(one),
                b'E' => done.error = Some(one.sqlstate()),
                _ => {}
            }
        }
        self.done.push(done);
        Ok(())
    }

    fn mistake(&mut self, mark: &str) -> Result<()> {
        match self.dice.below(4) {
            0 => {
                // The server's parser rejects it: it has a record of the error alone.
                let sql = format!("SELEC {mark}");
                let answer = self.raw.query(&sql)?;
                self.note(Kind::Rejected, &sql, &answer)
            }
            1 => self.simple(&format!("SELECT nonesuch, {mark}")),
            2 => self.simple(&format!("SELECT 1; SELECT 1/0, {mark}; SELECT 2")),
            _ => self.simple(&format!("INSERT INTO t VALUES (1, {mark}), (1, {mark})")),
        }
    }

    fn transaction(&mut self, mark: &str, n: u64) -> Result<()> {
        self.simple("BEGIN")?;
        self.simple(&format!("INSERT INTO t VALUES ({n}, {mark})"))?;
        if self.dice.below(2) == 0 {
            self.simple(&format!("SELECT 1/0, {mark}"))?;
            self.simple(&format!("SELECT {mark}"))?;
            return self.simple("ROLLBACK");
        }
        self.simple("SAVEPOINT s")?;
        self.simple(&format!("SELECT 1/0, {mark}"))?;
        self.simple("ROLLBACK TO s")?;
        self.simple("COMMIT")
    }

    fn extended(&mut self, mark: &str) -> Result<()> {
        let rows = self.dice.below(10).to_string();
        let sql = format!("SELECT g, {mark} FROM generate_series(1, $1::int) g");
        let bytes = [
            parse("", &sql),
            bind("", "", &[Some(&rows)]),
            describe(b'P', ""),
            execute("", 0),
            sync(),
        ];
        self.raw.send(&bytes.concat())?;
        let answer = self.raw.until_ready()?;
        self.note(Kind::Execute, &sql, &answer)
    }

    fn named(&mut self, mark: &str) -> Result<()> {
        let sql = format!("SELECT $1::int / $2::int, {mark}");
        self.raw.send(&[parse("named", &sql), sync()].concat())?;
        self.raw.until_ready()?;
        for divisor in ["1", "2", "0", "3"] {
            let run = [
                bind("", "named", &[Some("12"), Some(divisor)]),
                execute("", 0),
                sync(),
            ]
            .concat();
            self.raw.send(&run)?;
            let answer = self.raw.until_ready()?;
            // A division of constants fails while Bind plans it: the server never begins to run it.
            let bound = answer.iter().any(|one| one.tag == b'2');
            self.note(
                if bound { Kind::Execute } else { Kind::Rejected },
                &sql,
                &answer,
            )?;
        }
        self.raw.send(&[close(b'S', "named"), sync()].concat())?;
        self.raw.until_ready()?;
        Ok(())
    }

    /// Several statements before one Sync; one of them may fail, and the rest is skipped then.
    fn pipeline(&mut self, mark: &str, n: u64) -> Result<()> {
        let length = 2 + self.dice.below(5);
        let failing = self.dice.below(length * 2);
        let at_parse = self.dice.below(2) == 0;
        let mut bytes = Vec::new();
        let mut texts = Vec::new();
        for k in 0..length {
            let sql = match (k == failing, at_parse) {
                (true, true) => format!("SELECT nonesuch, {mark}, {k}"),
                (true, false) => {
                    format!("SELECT 1/(g-2), {mark}, {k} FROM generate_series(1, 3) g")
                }
                (false, _) if k % 2 == 0 => format!("SELECT {mark}, {k}"),
                (false, _) => format!("INSERT INTO t VALUES ({}, {mark})", n * 1000 + k),
            };
            bytes.extend([parse("", &sql), bind("", "", &[]), execute("", 0)].concat());
            texts.push(sql);
        }
        bytes.extend(sync());
        self.raw.send(&bytes)?;
        let answer = self.raw.until_ready()?;
        let mut rest = answer.as_slice();
        for (k, sql) in (0..).zip(&texts) {
            let end = rest
                .iter()
                .position(|one| matches!(one.tag, b'C' | b'E' | b'Z'));
            let (part, after) = rest.split_at(end.context("no end")? + 1);
            let failed = part.last().is_some_and(|one| one.tag == b'E');
            let kind = if k == failing && at_parse {
                Kind::Rejected
            } else {
                Kind::Execute
            };
            self.note(kind, sql, part)?;
            rest = after;
            if failed {
                break;
            }
        }
        Ok(())
    }

    fn copy_in(&mut self, mark: &str, n: u64) -> Result<()> {
        let sql = format!("COPY t FROM STDIN /* {mark} */");
        let rows = 1 + self.dice.below(50);
        let data: String = (0..rows)
            .map(|k| format!("{}\trow\n", n * 1000 + 500 + k))
            .collect();
        if self.dice.below(2) == 0 {
            self.raw.send(&query(&sql))?;
            let start = self.raw.until(b'G')?;
            if start.last().is_none_or(|one| one.tag != b'G') {
                bail!("no CopyInResponse: {start:?}");
            }
            self.raw
                .send(&[message(b'd', data.as_bytes()), message(b'c', b"")].concat())?;
            let answer = self.raw.until_ready()?;
            return self.note(Kind::Simple, &sql, &answer);
        }
        // As libpq does it: Sync is sent before the server says that a COPY begins, and again behind it.
        let start = [parse("", &sql), bind("", "", &[]), execute("", 0), sync()].concat();
        self.raw.send(&start)?;
        self.raw.until(b'G')?;
        let rest = [message(b'd', data.as_bytes()), message(b'c', b""), sync()].concat();
        self.raw.send(&rest)?;
        let answer = self.raw.until_ready()?;
        self.note(Kind::Execute, &sql, &answer)
    }

    fn copy_failed(&mut self, mark: &str, n: u64) -> Result<()> {
        let sql = format!("COPY t FROM STDIN /* {mark} */");
        self.raw.send(&query(&sql))?;
        self.raw.until(b'G')?;
        let data = format!("{}\trow\n", n * 1000 + 999);
        let end = if self.dice.below(2) == 0 {
            message(b'f', b"given up\0")
        } else {
            [message(b'd', b"not a row\n"), message(b'c', b"")].concat()
        };
        self.raw
            .send(&[message(b'd', data.as_bytes()), end].concat())?;
        let answer = self.raw.until_ready()?;
        self.note(Kind::Simple, &sql, &answer)
    }

    fn copy_out(&mut self, mark: &str) -> Result<()> {
        let rows = self.dice.below(500);
        self.simple(&format!(
            "COPY (SELECT g, {mark} FROM generate_series(1, {rows}) g) TO STDOUT"
        ))
    }

    /// A portal read in three pieces.
    fn portal(&mut self, mark: &str) -> Result<()> {
        self.simple("BEGIN")?;
        let sql = format!("SELECT g, {mark} FROM generate_series(1, 5) g");
        self.raw.send(
            &[
                parse("", &sql),
                bind("p", "", &[]),
                execute("p", 2),
                flush(),
            ]
            .concat(),
        )?;
        let first = self.raw.until(b's')?;
        self.note(Kind::Execute, &sql, &first)?;
        self.raw.send(&[execute("p", 2), flush()].concat())?;
        let second = self.raw.until(b's')?;
        self.note(Kind::Fetch, &sql, &second)?;
        self.raw.send(&[execute("p", 0), sync()].concat())?;
        let third = self.raw.until_ready()?;
        self.note(Kind::Fetch, &sql, &third)?;
        self.simple("COMMIT")
    }

    fn empty(&mut self, mark: &str) -> Result<()> {
        match self.dice.below(3) {
            0 => self.simple(""),
            1 => self.simple(&format!(" ; /* {mark} */ ;")),
            _ => {
                // The server answers the execution of nothing and records nothing.
                let bytes = [
                    parse("", " -- nothing"),
                    bind("", "", &[]),
                    execute("", 0),
                    sync(),
                ];
                self.raw.send(&bytes.concat())?;
                self.raw.until_ready()?;
                Ok(())
            }
        }
    }

    fn function(&mut self) -> Result<()> {
        // 2026: pg_backend_pid()
        self.raw.send(&function_call(2026, &[]))?;
        let answer = self.raw.until_ready()?;
        self.note(Kind::Function, "\"pg_backend_pid\" (OID 2026)", &answer)
    }

    fn sql_level(&mut self, mark: &str) -> Result<()> {
        self.simple(&format!("PREPARE s(int) AS SELECT $1, {mark}"))?;
        self.simple("EXECUTE s(7)")?;
        self.simple("DEALLOCATE s")?;
        self.simple("BEGIN")?;
        self.simple(&format!(
            "DECLARE c CURSOR FOR SELECT {mark} FROM generate_series(1, 9)"
        ))?;
        self.simple("FETCH 4 FROM c")?;
        self.simple("END")
    }

    /// Prepared, bound, described, and never executed: the server runs nothing.
    fn prepare_only(&mut self, mark: &str) -> Result<()> {
        let sql = format!("SELECT 'never run', {mark}");
        let bytes = if self.dice.below(2) == 0 {
            [parse("", &sql), describe(b'S', ""), sync()].concat()
        } else {
            [parse("", &sql), bind("", "", &[]), sync()].concat()
        };
        self.raw.send(&bytes)?;
        self.raw.until_ready()?;
        Ok(())
    }

    fn cancelled(&mut self, mark: &str) -> Result<()> {
        let sql = format!("SELECT pg_sleep(1), {mark}");
        let (pid, key) = self.raw.key.clone().context("no key")?;
        self.raw.send(&query(&sql))?;
        let port = self.port;
        let canceller = thread::spawn(move || -> Result<()> {
            thread::sleep(Duration::from_millis(50));
            let mut raw = Raw::open(port)?;
            raw.send(&cancel_request(pid, &key))?;
            raw.until_closed()?;
            Ok(())
        });
        let answer = self.raw.until_ready()?;
        canceller
            .join()
            .map_err(|_| anyhow::anyhow!("the canceller panicked"))??;
        self.note(Kind::Simple, &sql, &answer)
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The number in a command tag that changed rows.
fn affected(complete: &Message) -> u64 {
    let tag = String::from_utf8_lossy(&complete.body);
    let mut words = tag.trim_end_matches('\0').split(' ');
    let changes = matches!(
        words.next(),
        Some("INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY")
    );
    let number = words.next_back().and_then(|word| word.parse().ok());
    if changes {
        number.unwrap_or_default()
    } else {
        0
    }
}
