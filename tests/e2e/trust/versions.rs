//! `policy apply`, `versions` and `rollback`: every version is kept, and the running proxy takes it over.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_tests::process::until;
use sqlward_tests::proxy::Proxy;
use sqlward_tests::raw::{Raw, tags};
use sqlward_tests::server::TRUSTED_USER;

use super::{managed, printed, sqlward, text};

const OPEN: &str = "schema = 1\n[defaults]\naction = \"allow\"\n";
const CLOSED: &str = r#"schema = 1
[defaults]
action = "allow"

[[rule]]
id = "no-users"
when = { object = "users" }
action = "deny"

[[test]]
sql = "SELECT name FROM users"
expect = { action = "deny", rule = "no-users" }
"#;

fn generation(proxy: &Proxy, wanted: f64) -> Result<()> {
    until("the version is in force", Duration::from_secs(20), || {
        Ok((proxy.metric("sqlward_policy_generation")? >= wanted).then_some(()))
    })
    .with_context(|| proxy.log())
}

fn is_refused(raw: &mut Raw) -> Result<bool> {
    Ok(tags(&raw.query("SELECT name FROM users")?) == "EZ")
}

#[test]
fn versions_are_kept_and_taken_over() -> Result<()> {
    let (_server, mut proxy) = super::postgres(OPEN)?;
    proxy.stop()?;
    managed(&proxy)?;
    let (data, file) = (proxy.data(), proxy.policy_file());
    let folder = file.parent().context("folder")?.to_owned();
    let (data, file) = (text(&data)?.to_owned(), text(&file)?.to_owned());
    let apply = |reason: &str, more: &[&str]| {
        let base = [
            "policy", "apply", &file, "--data", &data, "--author", "ann", "--reason", reason,
        ];
        sqlward(&[&base, more].concat())
    };
    ensure!(apply("the beginning", &[])?.status.success());
    proxy.restart()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    ensure!(!is_refused(&mut raw)?);

    // Approved by a second person, it is in force at once, in the same session.
    fs::write(&file, CLOSED)?;
    let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (key, keys, approval) = (place("bob.key"), place("bob.pub"), place("approval"));
    printed(&[
        "audit", "keygen", "--name", "bob", "--out", &key, "--public", &keys,
    ])?;
    let note = printed(&[
        "policy", "approve", &file, "--author", "ann", "--reason", "protect", "--key", &key,
    ])?;
    fs::write(&approval, &note)?;
    let signed = [
        "--approve-signature",
        approval.as_str(),
        "--approvers",
        keys.as_str(),
    ];
    let other = apply("something else", &signed)?;
    ensure!(!other.status.success());
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    ensure!(
        said.contains("not of this policy, author and reason"),
        "{said}"
    );
    fs::write(
        &approval,
        note.replace("reason protect", "reason something else"),
    )?;
    ensure!(
        !apply("something else", &signed)?.status.success(),
        "a forged approval"
    );
    fs::write(&approval, &note)?;
    let applied = apply("protect", &signed)?;
    ensure!(applied.status.success(), "{applied:?}");
    generation(&proxy, 2.0)?;
    ensure!(is_refused(&mut raw)?);

    // One whose tests fail is not applied.
    fs::write(
        &file,
        CLOSED.replace(
            "expect = { action = \"deny\"",
            "expect = { action = \"allow\"",
        ),
    )?;
    ensure!(!apply("broken", &[])?.status.success());
    ensure!(is_refused(&mut raw)?);

    printed(&[
        "policy",
        "rollback",
        "1",
        "--data",
        &data,
        "--author",
        "carol",
        "--reason",
        "blocks the night job",
    ])?;
    generation(&proxy, 3.0)?;
    ensure!(!is_refused(&mut raw)?);
    raw.terminate()?;
    ensure!(
        !sqlward(&[
            "policy", "rollback", "9", "--data", &data, "--author", "a", "--reason", "b"
        ])?
        .status
        .success()
    );

    let listed = printed(&["policy", "versions", "--data", &data, "--format", "csv"])?;
    let lines: Vec<&str> = listed.lines().collect();
    ensure!(lines.len() == 3, "{listed}");
    ensure!(
        lines[1].starts_with("1,current,") && lines[1].contains("the beginning"),
        "{listed}"
    );
    ensure!(
        lines[2].starts_with("2,kept,") && lines[2].contains("bob+"),
        "{listed}"
    );
    let log = printed(&[
        "policy", "versions", "--data", &data, "--log", "--format", "csv",
    ])?;
    ensure!(
        log.lines().count() == 4 && log.contains("rollback,1,carol"),
        "{log}"
    );
    // A version whose files were changed is told, and does not come into force.
    let kept = folder.join("data/policy/0002/000-policy.toml");
    fs::write(&kept, OPEN)?;
    let listed = printed(&["policy", "versions", "--data", &data, "--format", "csv"])?;
    ensure!(listed.contains("2,changed,"), "{listed}");
    ensure!(
        !sqlward(&[
            "policy", "rollback", "2", "--data", &data, "--author", "a", "--reason", "b"
        ])?
        .status
        .success()
    );

    // The administration knows who did what.
    proxy.stop()?;
    let rows = proxy.audit(&[
        "sql",
        "SELECT actor, detail FROM administration WHERE action = 'operator' ORDER BY at",
    ])?;
    let told: Vec<(&str, &str)> = rows
        .iter()
        .filter_map(|row| Some((row["actor"].as_str()?, row["detail"].as_str()?)))
        .collect();
    ensure!(told.len() == 3, "{told:?}");
    ensure!(
        told[0].0 == "ann" && told[0].1.contains("policy apply: version 1"),
        "{told:?}"
    );
    ensure!(
        told[1].1.contains("approved by bob+") && told[1].1.ends_with(": protect"),
        "{told:?}"
    );
    ensure!(
        told[2].0 == "carol" && told[2].1.contains("policy rollback: version 1"),
        "{told:?}"
    );
    Ok(())
}

#[test]
fn an_event_is_explained_by_the_version_of_its_time() -> Result<()> {
    let (_server, mut proxy) = super::postgres(OPEN)?;
    proxy.stop()?;
    managed(&proxy)?;
    let (data, file) = (proxy.data(), proxy.policy_file());
    fs::write(&file, CLOSED)?;
    let (data, file) = (text(&data)?, text(&file)?);
    let apply = [
        "policy", "apply", file, "--data", data, "--author", "ann", "--reason", "protect",
    ];
    printed(&apply)?;
    proxy.restart()?;
    let mut raw = Raw::login(proxy.port(), TRUSTED_USER, &[])?;
    let answer = raw.query("SELECT name FROM users WHERE id = 1")?;
    let hint = answer
        .iter()
        .find_map(|one| one.field(b'H'))
        .context("no hint")?;
    let event = hint
        .split([' ', ';'])
        .nth(1)
        .context("no event in the hint")?
        .to_owned();
    fs::write(file, OPEN)?;
    printed(&apply)?;
    generation(&proxy, 2.0)?;
    let answer = raw.query("SELECT name FROM users WHERE id = 2")?;
    ensure!(!tags(&answer).contains('E'), "{answer:?}");
    raw.terminate()?;
    proxy.stop()?;
    // The client's id, the version of then, the values that decided.
    let story = printed(&["explain", &event, "--data", data])?;
    for part in [
        "SELECT name FROM users WHERE id = 1",
        "matches  no-users  deny, medium",
        "rule `no-users`",
        "decided by   object: wanted users; found relation users (read)",
    ] {
        ensure!(story.contains(part), "{part}: {story}");
    }
    ensure!(!story.contains("decides otherwise"), "{story}");
    // Another policy may be asked, and differs.
    let other = printed(&["explain", &event, "--data", data, "--policy", file])?;
    ensure!(other.contains("this policy decides otherwise"), "{other}");
    let json = super::json(&["explain", &event, "--data", data, "--format", "json"])?;
    ensure!(
        json["explanation"]["rules"][0]["held"][0]["field"] == "object",
        "{json:#}"
    );
    Ok(())
}
