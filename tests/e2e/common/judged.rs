//! What is refused, and what is left of the session then.

use anyhow::{Result, ensure};

use super::{Scene, on_every_engine};
use crate::engine::Engine;

on_every_engine![
    a_refusal_leaves_the_session_usable,
    a_text_is_refused_as_a_whole,
    a_transaction_survives_as_the_engine_has_it,
    a_refused_prepared_statement_never_runs,
    an_alert_passes_and_terminate_ends,
    observed_rules_let_pass,
    a_new_policy_holds_from_the_next_statement_on,
    a_statement_that_is_too_long_is_refused,
];

fn a_refusal_leaves_the_session_usable(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    for (sql, rule) in [
        ("SELECT v FROM vault", "no-vault"),
        (
            "SELECT name FROM things UNION SELECT v FROM vault",
            "no-vault",
        ),
        (
            "SELECT id FROM things WHERE name IN (SELECT v FROM vault)",
            "no-vault",
        ),
        ("INSERT INTO things SELECT 9, v FROM vault", "no-vault"),
        ("DELETE FROM things", "bounded"),
        ("UPDATE things SET name = 'x' WHERE 1 = 1", "bounded"),
    ] {
        let ran = scene.client.one(sql)?;
        scene.refused(&ran, rule)?;
        ensure!(
            scene
                .client
                .one("SELECT count(*) FROM things")?
                .first
                .as_deref()
                == Some("3"),
            "{sql}"
        );
    }
    ensure!(
        scene
            .server
            .admin("SELECT count(*) FROM things WHERE name <> 'x'")?
            == "3"
    );
    Ok(())
}

fn a_text_is_refused_as_a_whole(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let ran = scene
        .client
        .run("INSERT INTO things VALUES (7, 'seven'); SELECT v FROM vault; SELECT 1")?;
    ensure!(ran.len() == 1, "{ran:?}");
    if let [only] = ran.as_slice() {
        scene.refused(only, "no-vault")?;
    }
    ensure!(scene.server.admin("SELECT count(*) FROM things")? == "3");
    let ran = scene.client.run("SELECT 1; SELECT 2; SELECT 3")?;
    ensure!(
        ran.len() == 3 && ran.iter().all(|one| one.error.is_none()),
        "{ran:?}"
    );
    Ok(())
}

fn a_transaction_survives_as_the_engine_has_it(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    scene.client.one("BEGIN")?;
    ensure!(
        scene
            .client
            .one("INSERT INTO things VALUES (4, 'four')")?
            .affected
            == 1
    );
    let ran = scene.client.one("SELECT v FROM vault")?;
    scene.refused(&ran, "no-vault")?;
    let inside = scene.client.one("SELECT count(*) FROM things")?;
    let kept = if engine.errors_abort_transactions() {
        ensure!(inside.error.is_some(), "{inside:?}");
        "3"
    } else {
        ensure!(inside.first.as_deref() == Some("4"), "{inside:?}");
        "4"
    };
    scene.client.one("COMMIT")?;
    ensure!(scene.server.admin("SELECT count(*) FROM things")? == kept);
    // As it is without a proxy, after an error of the server's own.
    scene.client.one("BEGIN")?;
    scene.client.one("INSERT INTO things VALUES (5, 'five')")?;
    ensure!(scene.client.one("SELECT * FROM nonesuch")?.error.is_some());
    let inside = scene.client.one("SELECT 1")?;
    ensure!(
        inside.error.is_some() == engine.errors_abort_transactions(),
        "{inside:?}"
    );
    scene.client.one("ROLLBACK")?;
    Ok(())
}

fn a_refused_prepared_statement_never_runs(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let select = format!("SELECT name FROM things WHERE name = {}", engine.mark(1));
    let ran = scene.client.prepared(&select, &["two"])?;
    ensure!(ran.rows == 1 && ran.error.is_none(), "{ran:?}");
    let vault = format!("SELECT v FROM vault WHERE v = {}", engine.mark(1));
    let ran = scene.client.prepared(&vault, &["hidden"])?;
    scene.refused(&ran, "no-vault")?;
    ensure!(scene.client.prepared(&select, &["three"])?.rows == 1);
    Ok(())
}

fn an_alert_passes_and_terminate_ends(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    ensure!(scene.client.one("INSERT INTO watched VALUES (1)")?.affected == 1);
    let ran = scene.client.last("SELECT v FROM doomed")?;
    let code = ran.error.map(|(code, _)| code).unwrap_or_default();
    ensure!(code == engine.terminated(), "{code}");
    let mut next = scene.server.login(&scene.proxy)?;
    ensure!(next.one("SELECT 1")?.error.is_none());
    Ok(())
}

fn observed_rules_let_pass(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let ran = scene.client.one("DROP TABLE nonesuch")?;
    let (code, _) = ran.error.unwrap_or_default();
    ensure!(
        code != engine.refused() && !code.is_empty(),
        "the server's own error is expected: {code}"
    );
    let records = scene.records()?;
    let dropped = super::of(&records, "DROP TABLE nonesuch")?;
    ensure!(
        dropped["decision"] == "allow" && dropped["judged"] == "deny",
        "{dropped}"
    );
    Ok(())
}

fn a_new_policy_holds_from_the_next_statement_on(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let read = "SELECT name FROM things WHERE id = 1";
    ensure!(scene.client.one(read)?.error.is_none());
    let closed = "schema = 1\ndefaults.action = \"allow\"\n[[rule]]\nid = \"no-things\"\nwhen = { object = [\"things\"] }\naction = \"deny\"\n";
    for (text, generation, refuses) in [
        (closed, 2.0, true),
        ("schema = 9\n", 2.0, true),
        (super::POLICY, 3.0, false),
    ] {
        std::fs::write(scene.proxy.policy_file(), text)?;
        scene.reloaded(generation, text == "schema = 9\n")?;
        let ran = scene.client.one(read)?;
        ensure!(ran.error.is_some() == refuses, "{text}: {ran:?}");
    }
    Ok(())
}

fn a_statement_that_is_too_long_is_refused(engine: Engine) -> Result<()> {
    let mut scene = Scene::of(engine)?;
    let long = format!("SELECT '{}'", "x".repeat(17 << 20));
    let ran = scene.client.one(&long)?;
    let (code, _) = ran.error.unwrap_or_default();
    ensure!(["54000", "1153"].contains(&code.as_str()), "{code}");
    ensure!(scene.client.one("SELECT 1")?.first.as_deref() == Some("1"));
    Ok(())
}
