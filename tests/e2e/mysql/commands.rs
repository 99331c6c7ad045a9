//! Commands that no SQL says: refused unless a rule names them, and what the server answers if one does.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::raw::{Raw, failure};
use sqlward_tests::mysql::{ADMIN, Options, Product, Server};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::server::TRUSTED_USER;

use super::for_each_product;

for_each_product![refuses_commands, passes_named_commands];

/// Number, body, name in the record, and the rule of the baseline that refuses it, if one is needed.
type Case<'a> = (u8, &'a [u8], &'a str, Option<&'a str>);

fn cases(thread: &[u8]) -> [Case<'_>; 10] {
    [
        (0x06, b"app", "DROP DATABASE `app`", Some("drop-container")),
        (0x07, &[1], "COM_REFRESH", None),
        (0x08, &[0], "COM_SHUTDOWN", None),
        (0x09, b"", "COM_STATISTICS", None),
        (0x0a, b"", "COM_PROCESS_INFO", None),
        (0x0d, b"", "COM_DEBUG", None),
        (0x0c, thread, "KILL ", Some("end-other-session")),
        (0x12, &DUMP, "COM_BINLOG_DUMP", Some("replication")),
        (
            0x1e,
            &DUMP_GTID,
            "COM_BINLOG_DUMP_GTID",
            Some("replication"),
        ),
        (0x15, &REPLICA, "COM_REGISTER_SLAVE", Some("replication")),
    ]
}

/// Commands that no policy can let pass: COM_SLEEP, COM_CONNECT, COM_TIME, COM_DELAYED_INSERT, COM_DAEMON, COM_CLONE, what
/// nobody knows, what is malformed, and what runs a statement that nobody has prepared. Number, body, the text of its
/// record, and the error.
const REJECTED: [(u8, &[u8], &str, u16); 12] = [
    (0x00, b"", "unknown command (0x00)", 1047),
    (0x0b, b"", "unknown command (0x0b)", 1047),
    (0x0f, b"", "unknown command (0x0f)", 1047),
    (0x10, b"", "unknown command (0x10)", 1047),
    (0x1d, b"", "unknown command (0x1d)", 1047),
    (0x20, b"", "unknown command (0x20)", 1047),
    (0x77, b"", "unknown command (0x77)", 1047),
    (0xfe, b"", "unknown command (0xfe)", 1047),
    (0xff, b"", "unknown command (0xff)", 1047),
    (
        0x0c,
        b"\0\0",
        "COM_PROCESS_KILL (0x0c), 7 bytes: malformed",
        1835,
    ),
    (
        0x1c,
        b"\x09\0\0\0\x01\0\0\0",
        "COM_STMT_FETCH (0x1c), 13 bytes: unknown prepared statement",
        1243,
    ),
    (
        0x17,
        b"\x09\0\0\0\0\x01\0\0\0",
        "COM_STMT_EXECUTE (0x17), 14 bytes: unknown prepared statement",
        1243,
    ),
];

/// One packet, which answers a command.
fn answer(raw: &mut Raw, command: u8, body: &[u8]) -> Result<Vec<u8>> {
    raw.command(command, body)?;
    raw.receive()?.context("closed")
}

fn refuses_commands(product: Product) -> Result<()> {
    let server = Server::start(&Options::new(product))?;
    let mut proxy = Proxy::before(&server, &proxy::Options::default())?;
    let mut other = Raw::login(proxy.port(), TRUSTED_USER)?;
    let thread = other.id.to_le_bytes();
    // Whom the server would let do it.
    let mut raw = Raw::login(proxy.port(), ADMIN)?;
    for (command, body, name, rule) in cases(&thread) {
        let refusal = failure(&answer(&mut raw, command, body)?).context(name.to_owned())?;
        ensure!(
            refusal.errno == 1227 && refusal.sqlstate == "42000",
            "{name}: {refusal:?}"
        );
        ensure!(
            rule.is_none_or(|rule| refusal.message.contains(rule)),
            "{name}: {refusal:?}"
        );
        ensure!(raw.value("SELECT 5")? == "5", "{name}");
    }
    for (command, body, _, errno) in REJECTED {
        let refusal = failure(&answer(&mut raw, command, body)?)?;
        ensure!(refusal.errno == errno, "{command:#x}: {refusal:?}");
        ensure!(raw.value("SELECT 5")? == "5", "{command:#x}");
    }
    ensure!(other.value("SELECT 6")? == "6");
    ensure!(server.sql("app", "SELECT count(*) FROM accounts")? == "100");
    raw.quit()?;
    other.quit()?;
    proxy.stop()?;
    let records = proxy.audit(&["search", "--order", "oldest"])?;
    let text = |row: &serde_json::Value| row["text"].as_str().unwrap_or_default().to_owned();
    for (_, _, name, errno) in REJECTED {
        let found = records.iter().find(|row| text(row).starts_with(name));
        let found = found.with_context(|| format!("{name} is not in {records:#?}"))?;
        let error = found["error"].as_str().unwrap_or_default();
        ensure!(
            found["decision"] == "deny" && error.starts_with(&errno.to_string()),
            "{found}"
        );
    }
    for (_, _, name, rule) in cases(&thread) {
        let found = records.iter().find(|row| text(row).starts_with(name));
        let found = found.with_context(|| format!("{name} is not in {records:#?}"))?;
        ensure!(
            found["decision"] == "deny" && found["completion"] == "refused",
            "{found}"
        );
        ensure!(
            rule.is_none_or(|rule| found["rules"].to_string().contains(rule)),
            "{found}"
        );
    }
    Ok(())
}

fn passes_named_commands(product: Product) -> Result<()> {
    let server = Server::start(&Options::new(product))?;
    // It has allow rules that name the verbs `function-call` and `replication`.
    let options = proxy::Options {
        policy: Policy::RecordAll,
        ..proxy::Options::default()
    };
    let mut proxy = Proxy::before(&server, &options)?;
    let mut raw = Raw::login(proxy.port(), ADMIN)?;
    let statistics = answer(&mut raw, 0x09, b"")?;
    ensure!(
        String::from_utf8_lossy(&statistics).starts_with("Uptime: "),
        "{statistics:?}"
    );
    let debug = answer(&mut raw, 0x0d, b"")?;
    ensure!(matches!(debug.first(), Some(0 | 0xfe)), "{debug:?}");
    let registered = answer(&mut raw, 0x15, &REPLICA)?;
    ensure!(registered.first() == Some(&0), "{registered:?}");
    ensure!(raw.value("SELECT 5")? == "5");
    // The servers take neither any more.
    let created = failure(&answer(&mut raw, 0x05, b"made")?)?;
    ensure!(created.errno == 1047, "{created:?}");
    let mut other = Raw::login(proxy.port(), TRUSTED_USER)?;
    let killed = answer(&mut raw, 0x0c, &other.id.to_le_bytes())?;
    if product.is_mariadb() {
        ensure!(killed.first() == Some(&0), "{killed:?}");
        ensure!(other.query("SELECT 6").is_err(), "it lives");
    } else {
        ensure!(failure(&killed)?.errno == 1047, "{killed:?}");
        ensure!(other.value("SELECT 6")? == "6");
    }
    // Without a binary log, its stream is an error, which ends it.
    let streamed = failure(&answer(&mut raw, 0x12, &DUMP)?)?;
    ensure!(streamed.errno == 1236, "{streamed:?}");
    let mut last = Raw::login(proxy.port(), ADMIN)?;
    let ended = answer(&mut last, 0x08, &[0])?;
    if product.is_mariadb() {
        ensure!(matches!(ended.first(), Some(0 | 0xfe)), "{ended:?}");
    } else {
        ensure!(failure(&ended)?.errno == 1047, "{ended:?}");
    }
    proxy.stop()?;
    let records = proxy.audit(&["search", "--order", "oldest"])?;
    for (name, completion) in [
        ("COM_STATISTICS", "done"),
        ("COM_DEBUG", "done"),
        ("COM_REGISTER_SLAVE", "done"),
        ("CREATE DATABASE `made`", "failed"),
        ("COM_BINLOG_DUMP", "failed"),
    ] {
        let found = records.iter().find(|row| row["text"] == name);
        let found = found.with_context(|| format!("{name} is not in {records:#?}"))?;
        ensure!(
            found["decision"] == "allow" && found["completion"] == completion,
            "{found}"
        );
    }
    Ok(())
}

/// Position 4, no flags but the one that ends the stream with the log, server 9, no file.
const DUMP: [u8; 10] = [4, 0, 0, 0, 1, 0, 9, 0, 0, 0];
/// The same flags and server, no file, position 4, no transactions.
const DUMP_GTID: [u8; 22] = [
    1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
/// Server 9; no host, user and password; port 3306, rank 0, source 0.
const REPLICA: [u8; 17] = [9, 0, 0, 0, 0, 0, 0, 0xea, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0];
