//! Hostile peers and absurd statements: an error within the limits, and the others don't notice.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{Message, Raw, message, query, sync};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

fn setup(limits: &str) -> Result<(Server, Proxy)> {
    setup_with(limits, Policy::RecordAll)
}

fn setup_with(limits: &str, policy: Policy) -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let options = proxy::Options {
        policy,
        limits: limits.to_owned(),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    Ok((server, proxy))
}

/// Sends without minding that the peer may have closed the connection already.
fn provoke(raw: &mut Raw, bytes: &[u8]) -> Result<Vec<Message>> {
    match raw.send(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    raw.until_closed()
}

#[test]
fn garbage_instead_of_a_startup_is_refused() -> Result<()> {
    let (_server, mut proxy) = setup("authentication_timeout_secs = 2")?;
    let startups: [(&str, Vec<u8>); 9] = [
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("zero length", vec![0, 0, 0, 0]),
        ("length 3", vec![0, 0, 0, 3, 0, 3, 0, 0]),
        ("2 GiB", vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("negative", vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("protocol 2", vec![0, 0, 0, 8, 0, 2, 0, 0]),
        (
            "no terminator",
            [&[0, 0, 0, 13, 0, 3, 0, 0][..], b"user\0"].concat(),
        ),
        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        (
            "bytes behind SSLRequest",
            [&[0, 0, 0, 8, 4, 210, 22, 47][..], &[0; 64]].concat(),
        ),
    ];
    for (name, bytes) in startups {
        let mut raw = Raw::open(proxy.port())?;
        let started = Instant::now();
        let _answer = match provoke(&mut raw, &bytes) {
            Ok(answer) => answer,
            // `S` of an SSLRequest is no message: what counts is that the connection ends.
            Err(error) => {
                ensure!(
                    started.elapsed() < Duration::from_secs(10),
                    "{name}: {error}"
                );
                Vec::new()
            }
        };
        ensure!(
            started.elapsed() < Duration::from_secs(10),
            "{name} was kept waiting"
        );
        ensure!(proxy.running()?, "{name} ended the proxy:\n{}", proxy.log());
    }
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(raw.value("SELECT 1")? == "1");
    Ok(())
}

#[test]
fn a_silent_client_is_not_kept() -> Result<()> {
    let (_server, proxy) = setup("authentication_timeout_secs = 1")?;
    let started = Instant::now();
    let mut raw = Raw::open(proxy.port())?;
    raw.send(&[0, 0, 0])?;
    let _last = raw.until_closed()?;
    ensure!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[test]
fn protocol_violations_are_08p01_and_the_end() -> Result<()> {
    let (_server, proxy) = setup("")?;
    let violations: [(&str, Vec<u8>); 10] = [
        ("unknown tag", message(b'?', b"")),
        ("server's tag", message(b'Z', b"I")),
        ("length 3", vec![b'Q', 0, 0, 0, 3]),
        ("query without terminator", message(b'Q', b"SELECT 1")),
        (
            "bytes behind the query",
            message(b'Q', b"SELECT 1\0SELECT 2\0"),
        ),
        ("short Bind", message(b'B', b"\0\0")),
        (
            "Bind with a count too many",
            message(b'B', b"\0\0\0\0\xff\xff\0\0"),
        ),
        ("Describe of nothing", message(b'D', b"X\0")),
        ("Execute without count", message(b'E', b"\0")),
        ("password after login", message(b'p', b"secret\0")),
    ];
    for (name, bytes) in violations {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
        let answer = provoke(&mut raw, &bytes)?;
        let error = answer.iter().find(|one| one.tag == b'E');
        let error = error.with_context(|| format!("{name}: no error in {answer:?}"))?;
        ensure!(error.sqlstate() == "08P01", "{name}: {error:?}");
        ensure!(
            error.field(b'S').as_deref() == Some("FATAL"),
            "{name}: {error:?}"
        );
    }
    ensure!(proxy.metric("sqlward_violations_total")? >= 10.0);
    Ok(())
}

#[test]
fn an_oversize_statement_is_refused_and_the_session_goes_on() -> Result<()> {
    let (_server, proxy) = setup("max_statement_bytes = 1048576")?;
    let before = proxy.resident()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let text = format!("SELECT '{}'", "x".repeat(64 << 20));
    let answer = raw.query(&text)?;
    let error = answer
        .iter()
        .find(|one| one.tag == b'E')
        .context("not refused")?;
    ensure!(error.sqlstate() == "54000", "{error:?}");
    let named = [b'M', b'D', b'H']
        .iter()
        .filter_map(|code| error.field(*code));
    let named = named.collect::<Vec<_>>().join(" ");
    ensure!(named.contains("max_statement_bytes"), "{named}");
    ensure!(raw.value("SELECT 1")? == "1");
    let grown = proxy.resident()?.saturating_sub(before);
    ensure!(grown < 48 << 20, "the proxy grew by {grown} bytes");
    Ok(())
}

#[test]
fn an_announced_gigabyte_costs_nothing() -> Result<()> {
    let (_server, proxy) = setup("")?;
    let before = proxy.resident()?;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
        raw.send(&[b'Q', 0x3f, 0xff, 0xff, 0xff])?;
        raw.send(b"SELECT ")?;
        held.push(raw);
    }
    let mut other = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(other.value("SELECT 1")? == "1");
    let grown = proxy.resident()?.saturating_sub(before);
    ensure!(grown < 32 << 20, "the proxy grew by {grown} bytes");
    Ok(())
}

/// Statements that overflow parsers or stall them, and what a client may see in answer.
fn absurdities() -> Vec<(String, String)> {
    let mut all = Vec::new();
    // Short ones as well: what is short is read at once, on the thread that serves other sessions.
    for (size, n) in [("short", 8_000), ("long", 400_000)] {
        let repeated = |text: &str| text.repeat(n / text.len());
        let nested = |open: &str, close: &str| {
            let depth = n / (open.len() + close.len());
            format!("{}1{}", open.repeat(depth), close.repeat(depth))
        };
        let texts = [
            ("parentheses", format!("SELECT {}", nested("(", ")"))),
            ("open parentheses", format!("SELECT {}", repeated("("))),
            ("ors", format!("SELECT 1 WHERE 1=1{}", repeated(" OR 1=2"))),
            ("pluses", format!("SELECT 1{}", repeated("+1"))),
            ("concatenations", format!("SELECT ''{}", repeated("||''"))),
            ("nots", format!("SELECT {}true", repeated("NOT "))),
            ("minuses", format!("SELECT {}1", repeated("- "))),
            ("subqueries", format!("SELECT {}", nested("(SELECT ", ")"))),
            ("functions", format!("SELECT {}", nested("abs(", ")"))),
            (
                "unions",
                format!("SELECT 1{}", repeated(" UNION ALL SELECT 1")),
            ),
            (
                "joins",
                format!("SELECT 1 FROM users{}", repeated(" JOIN users USING (id)")),
            ),
            ("comments", format!("SELECT {}", nested("/*", "*/"))),
            ("open comments", format!("SELECT 1 {}", repeated("/*"))),
            ("operators", format!("SELECT {}1", repeated("-+"))),
            ("split operators", format!("SELECT {}1", repeated("+/**/"))),
            ("casts", format!("SELECT 1{}", repeated("::int"))),
            ("brackets", format!("SELECT {}", nested("ARRAY[", "]"))),
            (
                "subscripts",
                format!("SELECT (ARRAY[1]){}", repeated("[1]")),
            ),
            (
                "cases",
                format!("SELECT {}", nested("CASE WHEN true THEN ", " END")),
            ),
            (
                "with",
                format!("{} SELECT 1", nested("WITH a AS (", " SELECT 1)")),
            ),
            ("list", format!("SELECT 1 WHERE 1 IN ({}1)", repeated("1,"))),
            ("statements", repeated("SELECT 1;")),
            ("semicolons", repeated(";")),
            ("quotes", format!("SELECT {}", repeated("'"))),
            ("dollars", format!("SELECT {}", repeated("$a$ $b$ "))),
            ("strings", format!("SELECT 'a'{}", repeated("\n'a'"))),
        ];
        all.extend(texts.map(|(name, text)| (format!("{size} {name}"), text)));
    }
    all
}

#[test]
fn absurd_statements_neither_crash_nor_stall() -> Result<()> {
    // What can't be read is refused, as it is by default: the server's own scanner needs minutes for some.
    let policy = Policy::Text("schema = 1\n[defaults]\naction = \"allow\"\n".into());
    let (_server, mut proxy) = setup_with("", policy)?;
    let port = proxy.port();
    let over = std::sync::atomic::AtomicBool::new(false);
    let under_way = std::sync::Mutex::new(String::new());
    let (slowest, during) = std::thread::scope(|scope| -> Result<(Duration, String)> {
        // Bystanders, more than there are workers: every worker serves some of them.
        let bystanders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<(Duration, String)> {
                    let mut raw = Raw::login(port, TRUSTED_USER, &[])?;
                    let mut slowest = (Duration::ZERO, String::new());
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let started = Instant::now();
                        ensure!(raw.value("SELECT 1")? == "1");
                        if started.elapsed() > slowest.0 {
                            slowest = (started.elapsed(), under_way.lock().unwrap().clone());
                        }
                    }
                    Ok(slowest)
                })
            })
            .collect();
        let outcome = attack(port, &under_way);
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let waits: Vec<_> = bystanders
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        outcome?;
        let mut slowest = (Duration::ZERO, String::new());
        for wait in waits {
            slowest = slowest.max(wait.map_err(|_| anyhow::anyhow!("a bystander panicked"))??);
        }
        Ok(slowest)
    })
    .with_context(|| proxy.log())?;
    ensure!(proxy.running()?, "the proxy ended:\n{}", proxy.log());
    // The server works on them too, on the same processors: generous, yet far below a stall.
    ensure!(
        slowest < Duration::from_secs(3),
        "another session waited {slowest:?}, until {during} was under way"
    );
    Ok(())
}

fn attack(port: u16, under_way: &std::sync::Mutex<String>) -> Result<()> {
    for (name, sql) in absurdities() {
        if let Ok(mut under_way) = under_way.lock() {
            under_way.clone_from(&name);
        }
        let mut raw = Raw::login(port, TRUSTED_USER, &[])?;
        let started = Instant::now();
        raw.send(&query(&sql))?;
        let answer = raw.until_ready().with_context(|| name.clone())?;
        ensure!(!answer.is_empty(), "{name} ended the connection");
        ensure!(
            answer.last().is_some_and(|one| one.tag == b'Z'),
            "{name}: {answer:?}"
        );
        ensure!(
            started.elapsed() < Duration::from_secs(15),
            "{name} took {:?}",
            started.elapsed()
        );
        ensure!(raw.value("SELECT 2")? == "2", "{name}");
    }
    Ok(())
}

#[test]
fn connections_are_limited() -> Result<()> {
    let (_server, proxy) = setup("max_connections = 3")?;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Raw::login(proxy.port(), TRUSTED_USER, &[])?);
    }
    let refused = Raw::open(proxy.port()).and_then(|mut raw| raw.start(TRUSTED_USER, &[]));
    let error = format!(
        "{:#}",
        refused.err().context("a fourth connection was taken")?
    );
    ensure!(error.contains("53300"), "{error}");
    held.pop();
    sqlward_tests::process::until("a place is free", Duration::from_secs(5), || {
        Ok(Raw::login(proxy.port(), TRUSTED_USER, &[]).ok())
    })?;
    Ok(())
}

#[test]
fn an_idle_session_ends_in_time() -> Result<()> {
    let (_server, proxy) = setup("idle_timeout_secs = 1")?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(raw.value("SELECT 1")? == "1");
    // A statement that runs longer than the limit is not idle.
    ensure!(raw.value("SELECT pg_sleep(2)")?.is_empty());
    let started = Instant::now();
    let last = raw.until_closed()?;
    ensure!(last.iter().any(|one| one.sqlstate() == "57P05"), "{last:?}");
    ensure!(started.elapsed() < Duration::from_secs(6));
    Ok(())
}

#[test]
fn a_client_that_stops_within_a_message_is_idle() -> Result<()> {
    let (_server, proxy) = setup("idle_timeout_secs = 1")?;
    for part in [&b"Q"[..], b"Q\0\0\0\x20SELECT", b"d\0\0\x10\0half"] {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
        raw.send(part)?;
        let started = Instant::now();
        let last = raw.until_closed()?;
        ensure!(last.iter().any(|one| one.sqlstate() == "57P05"), "{last:?}");
        ensure!(started.elapsed() < Duration::from_secs(8));
    }
    Ok(())
}

#[test]
fn a_flood_of_syncs_is_answered_in_order() -> Result<()> {
    let (_server, proxy) = setup("")?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&sync().repeat(20_000))?;
    for _ in 0..20_000 {
        let one = raw.receive()?.context("closed")?;
        ensure!(one.tag == b'Z', "{one:?}");
    }
    ensure!(raw.value("SELECT 1")? == "1");
    Ok(())
}
