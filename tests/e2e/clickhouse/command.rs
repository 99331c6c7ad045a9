//! The same from the command line: `sqlward store` and `sqlward audit … --store`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use sqlward_tests::clickhouse::Server;
use sqlward_tests::{paths, process};

use crate::support::questions::build;

fn sqlward(arguments: &[&str]) -> Result<String> {
    process::run(Command::new(paths::sqlward()?).args(arguments))
}

#[test]
fn an_embedded_store_moves_and_answers_as_before() -> Result<()> {
    let data = tempfile::tempdir()?;
    build(data.path(), 2000);
    let data = data.path().display().to_string();
    let server = Server::start()?;
    let url = server.url("audit");

    let shown = sqlward(&["store", "migrate", "--store", &url, "--dry-run"])?;
    ensure!(
        shown.contains("CREATE TABLE IF NOT EXISTS `audit`.statements\n"),
        "{shown}"
    );
    ensure!(
        sqlward(&["audit", "search", "--store", &url]).is_err(),
        "there is no store yet"
    );
    let made = sqlward(&[
        "store",
        "migrate",
        "--store",
        &url,
        "--retention-days",
        "3000",
    ])?;
    ensure!(made.ends_with("statements run\n"), "{made}");
    let moved = sqlward(&["store", "import", "--data", &data, "--store", &url])?;
    ensure!(moved.contains(" 0 known, "), "{moved}");
    let again = sqlward(&["store", "import", "--data", &data, "--store", &url])?;
    ensure!(again.contains(" 0 records new, "), "{again}");

    let event = sqlward(&[
        "audit", "search", "--data", &data, "--limit", "1", "--format", "csv",
    ])?;
    let event = event.lines().nth(1).and_then(|line| line.split(',').next());
    for question in [
        &["audit", "search", "--limit", "0"][..],
        &[
            "audit",
            "search",
            "--decision",
            "deny",
            "--text",
            "o'hara",
            "--object",
            "finance.*",
        ],
        &["audit", "session", "2"],
        &["audit", "top", "--by", "object", "--measure", "rows"],
        &[
            "audit",
            "sql",
            "SELECT user, count(*) AS n FROM statements GROUP BY user ORDER BY user",
        ],
        &["explain", event.unwrap_or_default()],
    ] {
        let ask = |place: [&str; 2]| sqlward(&[question, &place, &["--format", "json"]].concat());
        let expected = ask(["--data", &data])?;
        ensure!(
            !expected.is_empty() && ask(["--store", &url])? == expected,
            "{question:?}"
        );
    }
    ensure!(sqlward(&["audit", "search", "--data", &data, "--store", &url]).is_err());
    ensure!(sqlward(&["audit", "search"]).is_err());
    Ok(())
}

#[test]
fn a_store_that_is_being_written_is_not_moved() -> Result<()> {
    let data = tempfile::tempdir()?;
    build(data.path(), 100);
    let (_server, target) = crate::store()?;
    let url = target.to_string().replace("http://", "clickhouse://");
    let (audit, _) = crate::support::open(data.path());
    let refused = import(data.path(), &url);
    ensure!(refused.contains("in use by another process"), "{refused}");
    crate::support::stop(audit);
    ensure!(import(data.path(), &url).is_empty());
    Ok(())
}

/// What a move says when it fails.
fn import(data: &Path, url: &str) -> String {
    let data = data.display().to_string();
    sqlward(&["store", "import", "--data", &data, "--store", url])
        .map_or_else(|error| error.to_string(), |_| String::new())
}
