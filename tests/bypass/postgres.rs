//! PostgreSQL: how cases are sent, and how it is seen what became of the table.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlward_tests::paths::Release;
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{self, Message, Raw};
use sqlward_tests::server::{ADMIN, Options, Server};

use crate::case::{self, Case, Did, Range, Seen, table};

pub(crate) fn cases() -> Result<Vec<Case>> {
    table(include_str!("postgres.cases"))
}

pub(crate) fn check(release: Release) -> Result<()> {
    let server = Server::start(&Options {
        release,
        ..Options::default()
    })?;
    let options = proxy::Options {
        policy: Policy::Text(POLICY.to_owned()),
        ..proxy::Options::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    let admin = Raw::login(server.port(), ADMIN, &[])?;
    let mut postgres = Postgres {
        server,
        proxy,
        admin,
    };
    let number = usize::from(release == Release::Installed);
    case::check(&mut postgres, number, &cases()?)
}

struct Postgres {
    server: Server,
    proxy: Proxy,
    admin: Raw,
}

impl Range for Postgres {
    fn run(&mut self, case: &Case, guarded: bool) -> Result<Seen> {
        self.reset()?;
        let before = self.state()?;
        let port = if guarded {
            self.proxy.port()
        } else {
            self.server.port()
        };
        let mut session = Raw::login(port, ADMIN, &[])?;
        let heard = send(&mut session, case)?;
        drop(session);
        self.alone()?;
        let leaked = heard.iter().any(|one| holds(&one.body, MARKER));
        let did = if self.state()? != before {
            Did::Changes
        } else if leaked || self.admin.value(COPIES)? != "0" {
            Did::Reads
        } else {
            Did::Nothing
        };
        let refused = heard.iter().any(|one| {
            let hint = one.field(b'H').unwrap_or_default();
            one.tag == b'E' && (hint.contains("`sqlward explain") || one.sqlstate() == "08P01")
        });
        Ok(Seen { did, refused })
    }
}

impl Postgres {
    fn reset(&mut self) -> Result<()> {
        for sql in ["ROLLBACK PREPARED 'p'", RESET] {
            let answer = self.admin.query(sql)?;
            let failed = answer.iter().find(|one| one.tag == b'E');
            ensure!(sql != RESET || failed.is_none(), "reset: {failed:?}");
        }
        Ok(())
    }

    /// Waits until nobody else is connected: what a session has left open must be gone before anybody looks.
    fn alone(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.admin.value(OTHERS)? != "0" {
            ensure!(Instant::now() < until, "a session does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// What the protected table is: gone, renamed, given away, changed, or as it was.
    fn state(&mut self) -> Result<String> {
        let answer = self.admin.query(STATE)?;
        let row = answer.iter().find(|one| one.tag == b'D').map(Message::row);
        Ok(format!("{row:?}"))
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// Sends the lines of a case; everything that comes back.
fn send(session: &mut Raw, case: &Case) -> Result<Vec<Message>> {
    match case.way {
        "simple" => each(session, case, |line| Ok(query(line))),
        "extended" => each(session, case, |line| {
            Ok([extended(line), raw::sync()].concat())
        }),
        // The last line alone is extended: what comes before sets the session up.
        "prepared" => each(session, case, |line| {
            let last = case.lines.last().is_some_and(|last| last == line);
            Ok(if last {
                [extended(line), raw::sync()].concat()
            } else {
                query(line)
            })
        }),
        "multi" => together(session, &query(&case.lines.join(&b';')), 1),
        "pipeline" => {
            let mut all: Vec<u8> = case.lines.iter().flat_map(|line| extended(line)).collect();
            all.extend(raw::sync());
            together(session, &all, 1)
        }
        "burst" => {
            let all: Vec<u8> = case.lines.iter().flat_map(|line| query(line)).collect();
            together(session, &all, case.lines.len())
        }
        "steps" => {
            let mut all = Vec::new();
            let mut answers = 0;
            for line in &case.lines {
                let text = std::str::from_utf8(line)?;
                answers += usize::from(matches!(text.as_bytes().first(), Some(b'Q' | b'S' | b'F')));
                all.extend(step(text).with_context(|| text.to_owned())?);
            }
            together(session, &all, answers)
        }
        other => bail!("no way `{other}`"),
    }
}

fn each(
    session: &mut Raw,
    case: &Case,
    message: impl Fn(&Vec<u8>) -> Result<Vec<u8>>,
) -> Result<Vec<Message>> {
    let mut heard = Vec::new();
    for line in &case.lines {
        let more = together(session, &message(line)?, 1)?;
        let ended = more.last().is_none_or(|last| last.tag != b'Z');
        heard.extend(more);
        if ended {
            break;
        }
    }
    Ok(heard)
}

fn together(session: &mut Raw, bytes: &[u8], answers: usize) -> Result<Vec<Message>> {
    let mut heard = Vec::new();
    if session.send(bytes).is_err() {
        return Ok(heard);
    }
    let mut ready = 0;
    while ready < answers {
        let Some(message) = session.receive()? else {
            break;
        };
        ready += usize::from(message.tag == b'Z');
        heard.push(message);
    }
    Ok(heard)
}

fn query(sql: &[u8]) -> Vec<u8> {
    raw::message(b'Q', &[sql, b"\0"].concat())
}

fn parse(name: &str, sql: &[u8]) -> Vec<u8> {
    raw::message(b'P', &[name.as_bytes(), b"\0", sql, b"\0\0\0"].concat())
}

fn extended(sql: &[u8]) -> Vec<u8> {
    [
        parse("", sql),
        raw::bind("", "", &[]),
        raw::describe(b'P', ""),
        raw::execute("", 0),
    ]
    .concat()
}

/// One message: its letter, then what it takes. A name of `-` is the empty one.
fn step(text: &str) -> Result<Vec<u8>> {
    let (letter, rest) = text.split_at_checked(1).context("a letter")?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let named = |text: &str| text.replace('-', "");
    let first = rest.split(' ').next().unwrap_or_default();
    let behind = rest.split_once(' ').map_or("", |(_, behind)| behind);
    Ok(match letter {
        "Q" => query(rest.as_bytes()),
        "P" => parse(&named(first), behind.as_bytes()),
        "B" => {
            let mut words = behind.split(' ');
            let name = named(words.next().unwrap_or_default());
            let values: Vec<Option<&str>> = words.map(Some).collect();
            raw::bind(&named(first), &name, &values)
        }
        "D" => raw::describe(
            first.as_bytes().first().copied().unwrap_or(b'S'),
            &named(behind),
        ),
        "E" => raw::execute(&named(first), behind.parse().unwrap_or(0)),
        "C" => raw::close(
            first.as_bytes().first().copied().unwrap_or(b'S'),
            &named(behind),
        ),
        "S" => raw::sync(),
        "H" => raw::flush(),
        "F" => raw::function_call(first.parse()?, &behind.split(' ').collect::<Vec<_>>()),
        "d" => raw::message(b'd', format!("{rest}\n").as_bytes()),
        "c" => raw::message(b'c', b""),
        other => bail!("no message `{other}`"),
    })
}

const MARKER: &[u8] = b"S3CR3T";

const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"
unreadable = "deny"

[[rule]]
id = "protected"
severity = "high"
when = { object = ["public.secret"] }
action = "deny"
message = "this table is protected"

[[rule]]
id = "hidden"
severity = "high"
when = { dynamic = true }
action = "deny"
message = "what this does can't be seen"
"#;

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// How long a session may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

const RESET: &str = "\
    ALTER ROLE ALL RESET ALL; ALTER ROLE postgres RESET ALL; ALTER DATABASE app RESET ALL; \
    DROP SCHEMA IF EXISTS evil, other CASCADE; DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; CREATE SCHEMA evil; \
    CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'ann'); \
    CREATE TABLE secret (v text); INSERT INTO secret VALUES ('S3CR3T'); \
    CREATE TABLE evil.users (id int, name text); \
    CREATE VIEW peek AS SELECT v FROM secret; \
    CREATE FUNCTION leak() RETURNS text LANGUAGE sql AS 'SELECT v FROM public.secret'; \
    SELECT lo_unlink(oid) FROM pg_largeobject_metadata";

const STATE: &str = "SELECT c.oid, c.relacl, c.relowner, c.relrowsecurity, c.relnatts, c.reltriggers_, c.v FROM (\
    SELECT c.*, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid) AS reltriggers_, \
    query_to_xml(format('SELECT * FROM %s', c.oid::regclass), true, false, '')::text AS v \
    FROM pg_class c WHERE c.oid = to_regclass('public.secret')) c";

/// How many other tables hold the marker.
const COPIES: &str = "SELECT count(*) FROM pg_class c \
    WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND c.oid IS DISTINCT FROM to_regclass('public.secret') \
    AND query_to_xml(format('SELECT * FROM %s', c.oid::regclass), true, false, '')::text LIKE '%S3CR3T%'";
