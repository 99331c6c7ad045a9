//! A refused statement behaves as one that the server itself rejects: the same messages in the
//! same order, the same transaction state, the same skipping up to Sync.
//!
//! Each conversation is held twice: with the server itself and a statement that does not parse,
//! and through the proxy with one that the policy refuses in its place. The traces must be equal.

use anyhow::{Context, Result, ensure};
use sqlward_tests::proxy::{self, Policy, Proxy};
use sqlward_tests::raw::{
    Message, Raw, bind, close, describe, execute, flush, function_call, message, parse, query,
    sync, tags,
};
use sqlward_tests::server::{Options, Server, TRUSTED_USER};

/// What the server rejects when it parses it.
const BROKEN: &str = "DELETE ALL FROM accounts";
/// What the policy refuses.
const REFUSED: &str = "DELETE FROM accounts";

const POLICY: &str = r#"schema = 1

[defaults]
action = "allow"

[[rule]]
id = "no-unbounded-delete"
severity = "high"
when = { verb = ["delete"], where = ["absent"] }
action = "deny"
message = "DELETE needs a WHERE clause"

[[rule]]
id = "no-program"
when = { egress = ["copy-program"] }
action = "deny"
message = "programs are not run"

[[rule]]
id = "hands-off"
when = { object = ["secret"], access = ["any"] }
action = "terminate"
message = "the session ends here"
"#;

/// One exchange: bytes with the bad statement in them, and the message that ends the answer.
type Step = (fn(&str) -> Vec<u8>, u8);

fn one(sql: &str) -> Vec<u8> {
    [
        parse("", sql),
        bind("", "", &[]),
        describe(b'P', ""),
        execute("", 0),
    ]
    .concat()
}

fn copy_in() -> Vec<u8> {
    let data = message(b'd', b"9001\trow\n");
    [
        one("COPY notes(id, body) FROM STDIN"),
        data,
        message(b'c', b""),
    ]
    .concat()
}

const CONVERSATIONS: [(&str, &[Step]); 16] = [
    (
        "simple",
        &[(|bad| query(bad), b'Z'), (|_| query("SELECT 1"), b'Z')],
    ),
    (
        "first, middle and last of a simple query",
        &[
            (|bad| query(&format!("{bad}; SELECT 1")), b'Z'),
            (|bad| query(&format!("SELECT 1; {bad}; SELECT 2")), b'Z'),
            (
                |bad| query(&format!("INSERT INTO notes(id) VALUES (9002); {bad}")),
                b'Z',
            ),
            (|_| query("SELECT count(*) FROM notes"), b'Z'),
        ],
    ),
    (
        "in a transaction",
        &[
            (|_| query("BEGIN"), b'Z'),
            (|_| query("INSERT INTO notes(id) VALUES (9003)"), b'Z'),
            (|bad| query(bad), b'Z'),
            (|_| query("SELECT 1"), b'Z'),
            (|bad| query(bad), b'Z'),
            (|_| query("COMMIT"), b'Z'),
            (|_| query("SELECT count(*) FROM notes"), b'Z'),
        ],
    ),
    (
        "back to a savepoint",
        &[
            (|_| query("BEGIN; SAVEPOINT s"), b'Z'),
            (|bad| query(bad), b'Z'),
            (|_| query("ROLLBACK TO s"), b'Z'),
            (|_| query("SELECT 1"), b'Z'),
            (|_| query("COMMIT"), b'Z'),
        ],
    ),
    (
        "first of a pipeline",
        &[
            (
                |bad| [one(bad), one("SELECT 1"), one("SELECT 2"), sync()].concat(),
                b'Z',
            ),
            (|_| [one("SELECT 3"), sync()].concat(), b'Z'),
        ],
    ),
    (
        "middle of a pipeline",
        &[
            (
                |bad| {
                    let insert = one("INSERT INTO notes(id) VALUES (9004)");
                    [insert, one(bad), one("SELECT 2"), sync()].concat()
                },
                b'Z',
            ),
            (|_| query("SELECT count(*) FROM notes"), b'Z'),
        ],
    ),
    (
        "last of a pipeline",
        &[
            (
                |bad| [one("SELECT 1"), one("SELECT 2"), one(bad), sync()].concat(),
                b'Z',
            ),
            (|_| [one("SELECT 3"), sync()].concat(), b'Z'),
        ],
    ),
    (
        "twice in a pipeline",
        &[
            (
                |bad| [one("SELECT 1"), one(bad), one(bad), sync()].concat(),
                b'Z',
            ),
            (
                |bad| [one(bad), sync(), one("SELECT 3"), sync()].concat(),
                b'Z',
            ),
            (|_| Vec::new(), b'Z'),
        ],
    ),
    (
        "several syncs in flight",
        &[
            (
                |bad| {
                    [
                        one("SELECT 1"),
                        sync(),
                        one(bad),
                        one("SELECT 2"),
                        sync(),
                        one("SELECT 3"),
                        sync(),
                    ]
                    .concat()
                },
                b'Z',
            ),
            (|_| Vec::new(), b'Z'),
            (|_| Vec::new(), b'Z'),
        ],
    ),
    (
        "at Parse, used later",
        &[
            (|bad| [parse("named", bad), sync()].concat(), b'Z'),
            (
                |_| [bind("", "named", &[]), execute("", 0), sync()].concat(),
                b'Z',
            ),
            (|_| [describe(b'S', "named"), sync()].concat(), b'Z'),
            (
                |_| {
                    [
                        parse("named", "SELECT 4"),
                        bind("", "named", &[]),
                        execute("", 0),
                        sync(),
                    ]
                    .concat()
                },
                b'Z',
            ),
            (|_| [close(b'S', "named"), sync()].concat(), b'Z'),
        ],
    ),
    (
        "with Flush instead of Sync",
        &[
            (|bad| [parse("", bad), flush()].concat(), b'E'),
            (|_| [one("SELECT 1"), flush(), sync()].concat(), b'Z'),
            (|_| query("SELECT 2"), b'Z'),
        ],
    ),
    (
        "in a transaction by the extended protocol",
        &[
            (
                |_| {
                    [
                        one("BEGIN"),
                        one("INSERT INTO notes(id) VALUES (9005)"),
                        sync(),
                    ]
                    .concat()
                },
                b'Z',
            ),
            (|bad| [one(bad), sync()].concat(), b'Z'),
            (|_| [one("SELECT 1"), sync()].concat(), b'Z'),
            (|_| [one("ROLLBACK"), sync()].concat(), b'Z'),
            (|_| query("SELECT count(*) FROM notes"), b'Z'),
        ],
    ),
    (
        "keeps the other prepared statements",
        &[
            (
                |_| {
                    [
                        parse("kept", "SELECT $1::int"),
                        parse("", "SELECT 11"),
                        sync(),
                    ]
                    .concat()
                },
                b'Z',
            ),
            (|bad| [parse("other", bad), sync()].concat(), b'Z'),
            (
                |_| [bind("", "kept", &[Some("7")]), execute("", 0), sync()].concat(),
                b'Z',
            ),
            (
                |_| [bind("", "", &[]), execute("", 0), sync()].concat(),
                b'Z',
            ),
        ],
    ),
    (
        "behind a COPY in the same pipeline",
        &[
            (|bad| [copy_in(), one(bad), sync()].concat(), b'Z'),
            (|_| query("SELECT count(*) FROM notes"), b'Z'),
            (|_| [copy_in(), sync()].concat(), b'Z'),
            (|_| query("DELETE FROM notes WHERE id = 9001"), b'Z'),
        ],
    ),
    (
        "copy data behind a refused COPY",
        &[
            (
                |bad| {
                    // A client may send the data without waiting; the server ignores it then.
                    let sql = if bad == BROKEN {
                        "COPY notes FROM"
                    } else {
                        "COPY notes FROM PROGRAM 'x'"
                    };
                    [query(sql), message(b'd', b"1\tx\n"), message(b'c', b"")].concat()
                },
                b'Z',
            ),
            (|_| query("SELECT 1"), b'Z'),
        ],
    ),
    (
        "with a suspended portal",
        &[
            (|_| query("BEGIN"), b'Z'),
            (
                |_| {
                    let select = parse("", "SELECT g FROM generate_series(1, 5) g");
                    [select, bind("p", "", &[]), execute("p", 2), sync()].concat()
                },
                b'Z',
            ),
            (|bad| [one(bad), sync()].concat(), b'Z'),
            (|_| [execute("p", 2), sync()].concat(), b'Z'),
            (|_| query("ROLLBACK"), b'Z'),
        ],
    ),
];

/// What the client sees, one word per message; the error in question is named by its place alone.
fn trace(port: u16, steps: &[Step], bad: &str) -> Result<Vec<String>> {
    let mut raw = Raw::login(port, TRUSTED_USER, &[])?;
    let mut words = Vec::new();
    for (step, end) in steps {
        let bytes = step(bad);
        if !bytes.is_empty() {
            raw.send(&bytes)?;
        }
        words.extend(raw.until(*end)?.iter().filter_map(word));
    }
    Ok(words)
}

fn word(message: &Message) -> Option<String> {
    let text = || {
        String::from_utf8_lossy(&message.body)
            .trim_end_matches('\0')
            .to_owned()
    };
    match message.tag {
        b'N' | b'S' | b'A' => None,
        b'C' => Some(format!("done {}", text())),
        b'Z' => Some(format!("ready {}", text())),
        b'D' => Some(format!("row {:?}", message.row())),
        b'E' => Some(match message.sqlstate().as_str() {
            "42601" | "42501" => "refused".to_owned(),
            other => format!("error {other}"),
        }),
        tag => Some(char::from(tag).to_string()),
    }
}

fn setup(policy: Policy) -> Result<(Server, Proxy)> {
    let server = Server::start(&Options::default())?;
    let proxy = Proxy::start(
        &[&server],
        &proxy::Options {
            policy,
            ..Default::default()
        },
    )?;
    Ok((server, proxy))
}

#[test]
fn refusals_look_like_the_servers_own_errors() -> Result<()> {
    let (server, proxy) = setup(Policy::Text(POLICY.into()))?;
    let mut differences = Vec::new();
    for (name, steps) in CONVERSATIONS {
        let direct =
            trace(server.port(), steps, BROKEN).with_context(|| format!("{name}, direct"))?;
        let refused = trace(proxy.port(), steps, REFUSED);
        let refused = refused.with_context(|| format!("{name}\n{}", proxy.log()))?;
        if direct != refused {
            differences.push(format!(
                "{name}:\n  server: {direct:?}\n  proxy:  {refused:?}"
            ));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    ensure!(
        server.psql("app", "SELECT count(*) FROM accounts")? == "100",
        "rows were deleted"
    );
    Ok(())
}

#[test]
fn a_refusal_names_rule_and_event() -> Result<()> {
    let (_server, proxy) = setup(Policy::Text(POLICY.into()))?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let answer = raw.query(REFUSED)?;
    ensure!(tags(&answer) == "EZ", "{answer:?}");
    let error = answer.first().context("no answer")?;
    ensure!(error.sqlstate() == "42501", "{error:?}");
    ensure!(error.field(b'S').as_deref() == Some("ERROR"), "{error:?}");
    ensure!(error.field(b'V').as_deref() == Some("ERROR"), "{error:?}");
    let text = error.field(b'M').context("no message")?;
    ensure!(text.contains("DELETE needs a WHERE clause"), "{text}");
    let detail = error.field(b'D').context("no detail")?;
    ensure!(detail.contains("no-unbounded-delete"), "{detail}");
    let hint = error.field(b'H').context("no hint")?;
    let event = hint
        .split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| word.len() == 26);
    ensure!(event.is_some(), "{hint}");
    ensure!(
        error.field(b'P').is_none(),
        "a position of a text that the client did not send"
    );
    Ok(())
}

#[test]
fn a_function_call_is_refused_unless_named() -> Result<()> {
    let (_server, proxy) = setup(Policy::Text(POLICY.into()))?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&function_call(1598, &[]))?;
    let answer = raw.until_ready()?;
    ensure!(tags(&answer) == "EZ", "{answer:?}");
    ensure!(
        answer
            .first()
            .is_some_and(|error| error.sqlstate() == "42501"),
        "{answer:?}"
    );
    ensure!(raw.value("SELECT 1")? == "1");

    let (_server, proxy) = setup(Policy::RecordAll)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    raw.send(&function_call(1598, &[]))?;
    let answer = raw.until_ready()?;
    ensure!(tags(&answer) == "VZ", "{answer:?}");
    Ok(())
}

#[test]
fn a_replication_connection_is_refused_unless_named() -> Result<()> {
    let (_server, proxy) = setup(Policy::Text(POLICY.into()))?;
    let refused = Raw::login(proxy.port(), TRUSTED_USER, &[("replication", "database")]);
    let error = refused
        .err()
        .context("a replication connection passed")?
        .to_string();
    ensure!(error.contains("42501"), "{error}");

    let (_server, proxy) = setup(Policy::RecordAll)?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[("replication", "database")])?;
    let answer = raw.query("IDENTIFY_SYSTEM")?;
    ensure!(tags(&answer) == "TDCZ", "{answer:?}");
    Ok(())
}

#[test]
fn terminate_refuses_and_ends_the_session() -> Result<()> {
    let (server, proxy) = setup(Policy::Text(POLICY.into()))?;
    let ways: [Vec<u8>; 3] = [
        query("SELECT v FROM secret"),
        [one("SELECT v FROM secret"), sync()].concat(),
        [
            one("SELECT 1"),
            one("SELECT v FROM secret"),
            one("SELECT 2"),
            sync(),
        ]
        .concat(),
    ];
    for bytes in ways {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
        raw.send(&bytes)?;
        let answer = raw.until_closed()?;
        let errors: Vec<String> = answer
            .iter()
            .filter(|one| one.tag == b'E')
            .map(Message::sqlstate)
            .collect();
        ensure!(errors == ["42501", "57P01"], "{answer:?}");
        let last = answer.last().context("no answer")?;
        ensure!(last.field(b'S').as_deref() == Some("FATAL"), "{last:?}");
        let read = answer
            .iter()
            .any(|one| one.body.windows(6).any(|bytes| bytes == b"marker"));
        ensure!(!read, "the secret came through: {answer:?}");
    }
    // The sessions are gone on the server as well.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_trusted'";
    sqlward_tests::process::until(
        "the sessions end",
        std::time::Duration::from_secs(5),
        || Ok((server.psql("postgres", sessions)? == "0").then_some(())),
    )
}

/// Whom a session acts as, and on what, is what the server makes of the startup message.
#[test]
fn a_startup_is_read_as_the_server_reads_it() -> Result<()> {
    let server = Server::start(&Options::default())?;
    server.psql("postgres", "CREATE DATABASE app_trusted")?;
    server.psql("postgres", "CREATE ROLE dba; GRANT dba TO app_trusted")?;
    let policy = "schema = 1\n[defaults]\naction = \"allow\"\n\
        [[rule]]\nid = \"no-dba\"\nwhen = { role = [\"dba\"], verb = [\"select\"] }\naction = \"deny\"\n\
        [[rule]]\nid = \"no-database\"\nwhen = { database = [\"app_trusted\"], verb = [\"select\"] }\n\
        action = \"deny\"\n";
    let options = proxy::Options {
        policy: Policy::Text(policy.into()),
        ..Default::default()
    };
    let proxy = Proxy::start(&[&server], &options)?;
    for (parameters, rule) in [
        // The server undoes backslashes before it reads options.
        ([("options", "-c r\\ole=dba")], "no-dba"),
        ([("options", "-cROLE=dba")], "no-dba"),
        ([("role", "dba")], "no-dba"),
        // No name is the user's.
        ([("database", "")], "no-database"),
    ] {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &parameters)?;
        let answer = raw.query("SELECT current_user, current_database()")?;
        let refused = answer.iter().find(|one| one.tag == b'E');
        let detail = refused.and_then(|one| one.field(b'D'));
        ensure!(
            detail.is_some_and(|detail| detail.contains(rule)),
            "{parameters:?}: {answer:?}"
        );
    }
    // What the role becomes later, by the statements that change or leave it.
    for (parameters, steps, user) in [
        (vec![("options", "-crole=dba")], vec!["RESET ROLE"], "dba"),
        (vec![], vec!["SET ROLE dba", "RESET ALL"], "dba"),
        (vec![], vec!["SET ROLE dba", "RESET ROLE"], TRUSTED_USER),
        (vec![], vec!["SET ROLE dba", "DISCARD ALL"], TRUSTED_USER),
        (
            vec![],
            vec!["BEGIN", "SET ROLE dba", "ROLLBACK"],
            TRUSTED_USER,
        ),
        (
            vec![],
            vec!["SET ROLE dba", "BEGIN", "RESET ALL", "ROLLBACK"],
            "dba",
        ),
    ] {
        let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &parameters)?;
        for step in &steps {
            let answer = raw.query(step)?;
            ensure!(tags(&answer) == "CZ", "{step}: {answer:?}");
        }
        // A statement that the rule does not concern asks the server.
        let shown = raw.query("COPY (VALUES (current_user::text)) TO STDOUT")?;
        let shown = shown.iter().find(|one| one.tag == b'd');
        let shown = shown.map(|one| String::from_utf8_lossy(&one.body).trim().to_owned());
        ensure!(shown.as_deref() == Some(user), "{steps:?}: {shown:?}");
        let refused = tags(&raw.query("SELECT 1")?) == "EZ";
        ensure!(
            refused == (user == "dba"),
            "{parameters:?} {steps:?}: {refused}"
        );
    }
    Ok(())
}
