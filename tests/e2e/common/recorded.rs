//! What the audit has of a session.

use anyhow::{Context, Result, ensure};
use sqlward_tests::server::TRUSTED_USER;

use super::{Scene, of, on_every_engine};
use crate::engine::Engine;

on_every_engine![
    who_did_what_with_which_result,
    a_refusal_can_be_explained,
    parameters_and_end_users_are_recorded,
    passwords_are_not,
    sessions_have_a_beginning_and_an_end,
    a_killed_proxy_forgets_nothing,
];

fn who_did_what_with_which_result(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    scene
        .client
        .one("SELECT id, name FROM things WHERE id > 1")?;
    scene
        .client
        .one("UPDATE things SET name = 'zwei' WHERE id = 2")?;
    let missing = scene.client.one("SELECT * FROM nonesuch")?;
    let (code, recorded) = engine.missing_table();
    ensure!(missing.error.is_some_and(|(found, _)| found == code));
    scene.client.one("DELETE FROM things")?;
    scene.client.one("INSERT INTO watched VALUES (1)")?;
    let records = scene.records()?;
    let read = of(&records, "SELECT id, name FROM things WHERE id > 1")?;
    ensure!(
        read["rows"] == 2 && read["completion"] == "done" && read["class"] == "read",
        "{read}"
    );
    ensure!(
        read["user"] == TRUSTED_USER
            && read["client"]
                .as_str()
                .is_some_and(|client| client.starts_with("127.0.0.1")),
        "{read}"
    );
    ensure!(
        read["duration_us"].as_u64().is_some_and(|time| time > 0),
        "{read}"
    );
    let written = of(&records, "UPDATE things SET name = 'zwei' WHERE id = 2")?;
    ensure!(
        written["affected"] == 1 && written["class"] == "write",
        "{written}"
    );
    let failed = of(&records, "SELECT * FROM nonesuch")?;
    ensure!(
        failed["completion"] == "failed" && failed["error"] == recorded,
        "{failed}"
    );
    let denied = of(&records, "DELETE FROM things")?;
    ensure!(
        denied["decision"] == "deny" && denied["completion"] == "refused",
        "{denied}"
    );
    ensure!(denied["rules"].to_string().contains("bounded"), "{denied}");
    let alerted = of(&records, "INSERT INTO watched VALUES (1)")?;
    ensure!(
        alerted["decision"] == "alert" && alerted["completion"] == "done",
        "{alerted}"
    );
    Ok(())
}

fn a_refusal_can_be_explained(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let ran = scene.client.one("SELECT v FROM vault")?;
    let (_, told) = ran.error.context("it passed")?;
    let event = told.split("event ").nth(1).context("no event")?;
    let event: String = event
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let records = scene.records()?;
    ensure!(
        of(&records, "SELECT v FROM vault")?["event_id"] == event,
        "{event}"
    );
    Ok(())
}

fn parameters_and_end_users_are_recorded(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let select = format!("SELECT name FROM things WHERE name = {}", engine.mark(1));
    scene.client.prepared(&select, &["two"])?;
    scene.client.one("SELECT 1 /*end_user='alice'*/")?;
    let records = scene.records()?;
    // Where preparing is a record of its own, it has none.
    let ran = records
        .iter()
        .find(|row| row["text"] == select.as_str() && row["completion"] != "prepared")
        .with_context(|| format!("{records:#?}"))?;
    ensure!(ran["parameters"].to_string().contains("two"), "{ran}");
    let alice = of(&records, "SELECT 1 /*end_user='alice'*/")?;
    ensure!(alice["end_user"] == "alice", "{alice}");
    Ok(())
}

fn passwords_are_not(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    for sql in engine.password_statements("hunter2-twelve") {
        scene.client.one(&sql)?;
    }
    let records = scene.records()?;
    ensure!(records.len() >= 2, "{records:#?}");
    ensure!(!format!("{records:?}").contains("hunter2"), "{records:#?}");
    for path in walk(&scene.proxy.data())? {
        let bytes = std::fs::read(&path)?;
        ensure!(
            !bytes.windows(14).any(|part| part == b"hunter2-twelve"),
            "{}",
            path.display()
        );
    }
    Ok(())
}

fn walk(folder: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn sessions_have_a_beginning_and_an_end(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    scene.client.one("SELECT 1")?;
    scene.proxy.stop()?;
    let events = scene
        .proxy
        .audit(&["sql", "SELECT step FROM sessions ORDER BY at"])?;
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|row| row["step"].as_str())
        .collect();
    ensure!(
        kinds.first() == Some(&"start") && kinds.last() == Some(&"end"),
        "{kinds:?}"
    );
    Ok(())
}

fn a_killed_proxy_forgets_nothing(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    for number in 10..40 {
        let ran = scene
            .client
            .one(&format!("INSERT INTO things VALUES ({number}, 'n')"))?;
        ensure!(ran.error.is_none(), "{ran:?}");
    }
    scene.proxy.kill()?;
    scene.proxy.restart()?;
    let records = scene.records()?;
    for number in 10..40 {
        of(
            &records,
            &format!("INSERT INTO things VALUES ({number}, 'n')"),
        )?;
    }
    sqlward_tests::audit::verify(&scene.proxy.data())
}
