//! What auditors find of a MySQL or MariaDB session.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlward_tests::mysql::Product;

use super::{Scene, for_each_product};

for_each_product![is_found_by_auditors];

fn is_found_by_auditors(product: Product) -> Result<()> {
    let mut scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    raw.query("SELECT owner FROM accounts WHERE id <= 3 /*end_user='alice'*/")?;
    raw.query("UPDATE accounts SET balance = 7 WHERE id < 5")?;
    raw.query("SELECT CAST('7x' AS SIGNED), CAST('x' AS SIGNED); DO CAST('y' AS SIGNED)")?;
    raw.query("SELECT * FROM nonesuch")?;
    raw.query("DELETE FROM accounts")?;
    raw.query("SELECT 1; SELECT 2, 3")?;
    let select = raw.prepare("SELECT id FROM accounts WHERE owner = ?")?;
    let select = select.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    raw.execute(select, &[Some("owner 9")], false)?;
    raw.execute(select, &[None], false)?;
    raw.simple(2, b"elsewhere")?;
    raw.query("SELECT count(*) FROM t")?;
    raw.query("SET PASSWORD = 'hunter2'")?;
    raw.simple(9, &[])?;
    let id = raw.id;
    raw.quit()?;
    scene.proxy.stop()?;

    let all = scene.proxy.audit(&["search", "--order", "oldest"])?;
    let of = |text: &str| -> Result<&Value> {
        let found = all.iter().find(|row| row["text"].as_str() == Some(text));
        found.with_context(|| format!("`{text}` is not in {all:#?}"))
    };
    let read = of("SELECT owner FROM accounts WHERE id <= 3 /*end_user='alice'*/")?;
    ensure!(read["rows"] == 3 && read["completion"] == "done", "{read}");
    ensure!(
        read["end_user"] == "alice" && read["database"] == "app",
        "{read}"
    );
    let written = of("UPDATE accounts SET balance = 7 WHERE id < 5")?;
    ensure!(
        written["affected"] == 4 && written["class"] == "write",
        "{written}"
    );
    let doubtful = of("SELECT CAST('7x' AS SIGNED), CAST('x' AS SIGNED); DO CAST('y' AS SIGNED)")?;
    ensure!(
        doubtful["warnings"] == 3 && written["warnings"] == 0,
        "{doubtful} {written}"
    );
    let failed = of("SELECT * FROM nonesuch")?;
    ensure!(
        failed["error"] == "1146 (42S02)" && failed["completion"] == "failed",
        "{failed}"
    );
    let denied = of("DELETE FROM accounts")?;
    ensure!(
        denied["decision"] == "deny" && denied["completion"] == "refused",
        "{denied}"
    );
    ensure!(denied["error"] == "1227 (42000)", "{denied}");
    let both = of("SELECT 1; SELECT 2, 3")?;
    ensure!(both["rows"] == 2, "{both}");
    let elsewhere = of("SELECT count(*) FROM t")?;
    ensure!(elsewhere["database"] == "elsewhere", "{elsewhere}");
    ensure!(of("USE `elsewhere`")?["kind"] == "command");
    let command = of("COM_STATISTICS")?;
    ensure!(
        command["kind"] == "command" && command["decision"] == "deny",
        "{command}"
    );
    ensure!(
        !format!("{all:?}").contains("hunter2"),
        "a password is in the record"
    );

    let executed: Vec<_> = all.iter().filter(|row| row["kind"] == "execute").collect();
    let [first, second] = executed.as_slice() else {
        anyhow::bail!("{executed:#?}");
    };
    ensure!(
        first["text"] == "SELECT id FROM accounts WHERE owner = ?",
        "{first}"
    );
    ensure!(
        first["rows"] == 1 && second["rows"] == 0,
        "{first} {second}"
    );
    ensure!(
        first["parameters"].to_string().contains("owner 9"),
        "{first}"
    );
    let prepared = all.iter().filter(|row| row["kind"] == "prepare");
    ensure!(prepared.clone().all(|row| row["completion"] == "prepared"));
    ensure!(prepared.count() == 1);

    for error in ["1146", "42S02"] {
        let found = scene.proxy.audit(&["search", "--error", error])?;
        ensure!(found.len() == 1, "{error}: {found:?}");
    }
    let sessions = scene.proxy.audit(&["sql", "SELECT * FROM sessions"])?;
    let mine = sessions.iter().find(|session| session["backend_pid"] == id);
    let mine = mine.with_context(|| format!("no thread {id} in {sessions:#?}"))?;
    let dialect = if product.is_mariadb() {
        "mariadb"
    } else {
        "mysql"
    };
    ensure!(mine["dialect"] == dialect, "{mine}");
    // Our own questions are nobody's statements.
    ensure!(
        !format!("{all:?}").contains("session_track"),
        "our questions are recorded"
    );
    Ok(())
}
