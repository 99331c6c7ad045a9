//! Readings follow the server's state: sql_mode, the character set, the current database, however they were changed.

use anyhow::{Context, Result, ensure};
use sqlward_tests::mysql::Product;
use sqlward_tests::mysql::raw::{Answer, Raw};
use sqlward_tests::server::{DATABASE, TRUSTED_USER};

use super::{Scene, for_each_product, nth, refused};

for_each_product![
    reads_as_the_server_does,
    resolves_names_in_the_current_database,
    follows_the_database_unreported,
    doubts_what_routines_prepare,
    doubts_what_is_read_again,
    outlives_what_lasts_for_one_statement,
    begins_anew
];

fn reads_as_the_server_does(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    let quoted = "SELECT v FROM \"secret\"";
    let unread = raw.query(quoted)?;
    let failure = nth(&unread, 0)?.failure.as_ref().context("it passed")?;
    ensure!(
        failure.errno == 1227 && !failure.message.contains("no-secret"),
        "{failure:?}"
    );
    for set in [
        "SET sql_mode = 'ANSI_QUOTES'",
        "SET SESSION sql_mode = concat('ANSI', '_QUOTES')",
        "SET @@sql_mode = concat(@@sql_mode, ',ANSI_QUOTES')",
    ] {
        ensure!(nth(&raw.query(set)?, 0)?.failure.is_none(), "{set}");
        refused(&raw.query(quoted)?, "no-secret").context(set)?;
        ensure!(
            nth(
                &raw.query("SELECT \"id\" FROM \"accounts\" WHERE \"id\" = 1")?,
                0
            )?
            .rows
                == 1
        );
        ensure!(nth(&raw.query("SET sql_mode = ''")?, 0)?.failure.is_none());
        ensure!(raw.value("SELECT \"text\"")? == "text");
    }
    // The server reports the first of these, and not the second.
    let twice = raw.query("SET sql_mode = 'IGNORE_SPACE'; SET @@sql_mode = 'ANSI_QUOTES'")?;
    ensure!(twice.iter().all(|answer| answer.failure.is_none()));
    refused(&raw.query(quoted)?, "no-secret").context("set twice")?;
    // What the client tracks for itself does not blind us.
    raw.query("SET session_track_system_variables = 'time_zone'")?;
    ensure!(
        nth(&raw.query("SET sql_mode = 'ANSI_QUOTES'")?, 0)?
            .failure
            .is_none()
    );
    refused(&raw.query(quoted)?, "no-secret")?;
    let tracked = raw.value("SELECT @@session_track_system_variables")?;
    ensure!(
        tracked.contains("time_zone") && tracked.contains("character_set_client"),
        "{tracked}"
    );
    raw.query("SET sql_mode = ''")?;
    for set in [
        "SET NAMES gbk",
        "EXECUTE hidden",
        "SET @@character_set_client = 'gbk'",
    ] {
        raw.query("SET NAMES latin1")?;
        raw.query("PREPARE hidden FROM 'SET NAMES gbk'")?;
        ensure!(nth(&raw.query(set)?, 0)?.failure.is_none(), "{set}");
        raw.command(3, HALF)?;
        let payload = raw.receive()?.context("closed")?;
        let message = String::from_utf8_lossy(&payload);
        ensure!(message.contains("no-secret"), "{set}: {message}");
    }
    Ok(())
}

fn resolves_names_in_the_current_database(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    refused(&raw.query("SELECT v FROM secret")?, "no-secret")?;
    ensure!(
        nth(&raw.query("SELECT v FROM elsewhere.secret")?, 0)?
            .failure
            .is_none()
    );
    let select = raw.prepare("SELECT count(*) FROM users")?;
    let select = select.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    for there in [0, 1] {
        if there == 0 {
            raw.query("USE elsewhere")?;
        } else {
            raw.simple(2, b"elsewhere")?;
        }
        ensure!(
            nth(&raw.query("SELECT v FROM secret")?, 0)?
                .failure
                .is_none()
        );
        refused(&raw.query("SELECT v FROM app.secret")?, "no-secret")?;
        // Prepared where `app` was current.
        ensure!(nth(&raw.execute(select, &[], false)?, 0)?.rows == 1);
        refused(&raw.query("USE app; SELECT v FROM secret")?, "no-secret")?;
        raw.simple(2, b"app")?;
        refused(&raw.query("SELECT v FROM secret")?, "no-secret")?;
    }
    ensure!(nth(&raw.query("USE nonesuch")?, 0)?.failure.is_some());
    refused(&raw.query("SELECT v FROM secret")?, "no-secret")?;
    Ok(())
}

fn follows_the_database_unreported(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    let passed = |answers: Vec<Answer>| answers.iter().all(|answer| answer.failure.is_none());
    raw.query("PREPARE off FROM 'SET session_track_schema = OFF'")?;
    for off in [
        "SET session_track_schema = OFF",
        "SET @@session.session_track_schema = 0",
        "SET session_track_system_variables = '', session_track_schema = OFF",
        "EXECUTE off",
    ] {
        ensure!(passed(raw.query("USE elsewhere")?));
        ensure!(passed(raw.query(off)?), "{off}");
        ensure!(passed(raw.query("USE app")?), "{off}");
        refused(&raw.query("SELECT v FROM secret")?, "no-secret").context(off)?;
        // In one text with the change.
        ensure!(passed(raw.query("USE elsewhere")?));
        ensure!(passed(raw.query(&format!("{off}; USE app"))?), "{off}");
        refused(&raw.query("SELECT v FROM secret")?, "no-secret").context(off)?;
    }
    // What the statement before has left is still the client's.
    raw.query("UPDATE accounts SET balance = 1 WHERE id < 4")?;
    ensure!(passed(raw.query("SET session_track_schema = OFF")?));
    ensure!(raw.value("SELECT row_count()")? == "0");
    Ok(())
}

fn doubts_what_routines_prepare(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    for (name, body) in [
        ("smuggle", "PREPARE s FROM 'SELECT v FROM app.secret'"),
        ("idle", "DO 1"),
    ] {
        scene
            .server
            .sql("app", &format!("CREATE PROCEDURE {name}() {body}"))?;
    }
    let mut raw = scene.login()?;
    let call = raw.prepare("CALL smuggle()")?;
    let call = call.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    for way in 0..4 {
        raw.query("PREPARE s FROM 'SELECT 7'")?;
        ensure!(raw.value("EXECUTE s")? == "7", "{way}");
        let called = match way {
            0 => raw.query("CALL smuggle()")?,
            1 => raw.execute(call, &[], false)?,
            2 => {
                raw.query("PREPARE c FROM 'CALL smuggle()'")?;
                raw.query("EXECUTE c")?
            }
            _ => raw.query("CALL idle()")?,
        };
        ensure!(
            called.iter().all(|answer| answer.failure.is_none()),
            "{way}: {called:?}"
        );
        let executed = raw.query("EXECUTE s")?;
        let failure = nth(&executed, 0)?.failure.as_ref();
        let failure = failure.with_context(|| format!("{way}: it passed"))?;
        ensure!(failure.errno == 1243, "{way}: {failure:?}");
    }
    Ok(())
}

fn doubts_what_is_read_again(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    let prepare = |raw: &mut Raw, text| {
        let prepared = raw.prepare(text)?;
        prepared.map_err(|error| anyhow::anyhow!("{error:?}"))
    };
    // A string in this mode, and a column in the other.
    let depends = prepare(&mut raw, "SELECT \"v\" FROM users")?;
    let plain = prepare(&mut raw, "SELECT count(*) FROM users")?;
    for set in [
        "SET sql_mode = 'ANSI_QUOTES'",
        "SET @@sql_mode = 'ANSI_QUOTES'",
    ] {
        ensure!(
            nth(&raw.execute(depends, &[], false)?, 0)?.rows == 1,
            "{set}"
        );
        ensure!(nth(&raw.query(set)?, 0)?.failure.is_none());
        let executed = raw.execute(depends, &[], false)?;
        let failure = nth(&executed, 0)?.failure.as_ref();
        let failure = failure.with_context(|| format!("{set}: it passed"))?;
        ensure!(failure.errno == 1227, "{set}: {failure:?}");
        ensure!(nth(&raw.execute(plain, &[], false)?, 0)?.rows == 1, "{set}");
        raw.query("PREPARE named FROM 'SELECT 7'")?;
        ensure!(raw.value("EXECUTE named")? == "7", "{set}");
        ensure!(nth(&raw.query("SET NAMES latin1")?, 0)?.failure.is_none());
        let executed = raw.query("EXECUTE named")?;
        let failure = nth(&executed, 0)?.failure.as_ref();
        let failure = failure.with_context(|| format!("{set}: the name passed"))?;
        ensure!(failure.errno == 1243, "{set}: {failure:?}");
        ensure!(nth(&raw.query("SET sql_mode = ''")?, 0)?.failure.is_none());
    }
    Ok(())
}

fn outlives_what_lasts_for_one_statement(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let quoting = "SET sql_mode = 'ANSI_QUOTES';";
    scene.server.sql(
        "app",
        &format!(
            "{quoting} CREATE TABLE fired (id int); \
             CREATE TRIGGER fires BEFORE INSERT ON fired FOR EACH ROW SET NEW.id = NEW.\"id\" + 1; \
             CREATE TRIGGER sets BEFORE DELETE ON fired FOR EACH ROW SET SESSION sql_mode = 'ANSI_QUOTES'; \
             CREATE TRIGGER recodes BEFORE UPDATE ON fired FOR EACH ROW SET SESSION character_set_client = 'gbk'; \
             CREATE VIEW seen AS SELECT \"id\" FROM fired; \
             CREATE FUNCTION quotes() RETURNS int DETERMINISTIC RETURN \"length\"('x');"
        ),
    )?;
    let mut raw = scene.login()?;
    let of_product = if product.is_mariadb() {
        "SET STATEMENT sql_mode = 'ANSI_QUOTES' FOR SELECT 1"
    } else {
        "SELECT /*+ SET_VAR(sql_mode = 'ANSI_QUOTES') */ 1"
    };
    for text in [
        of_product,
        "INSERT INTO fired VALUES (1)",
        "SELECT id FROM seen",
        "DELETE FROM fired WHERE id = 2",
        "SELECT quotes()",
    ] {
        let answers = raw.query(text)?;
        ensure!(nth(&answers, 0)?.failure.is_none(), "{text}: {answers:?}");
        let unread = raw.query("SELECT v FROM \"secret\"")?;
        let failure = nth(&unread, 0)?.failure.as_ref().context("it passed")?;
        ensure!(
            failure.errno == 1227 && !failure.message.contains("no-secret"),
            "{text}: {failure:?}"
        );
        ensure!(
            raw.value("SELECT @@sql_mode NOT LIKE '%ANSI_QUOTES%'")? == "1",
            "{text}"
        );
    }
    // What a trigger does to the character set is undone when it ends, too.
    raw.query("INSERT INTO fired VALUES (5)")?;
    let update = "UPDATE fired SET id = 9 WHERE id > 0";
    let answers = raw.query(update)?;
    ensure!(nth(&answers, 0)?.failure.is_none(), "{answers:?}");
    ensure!(raw.value("SELECT max(id) FROM fired")? == "9");
    ensure!(raw.value("SELECT @@character_set_client")? == "utf8mb4");
    Ok(())
}

/// In gbk, the backslash is half a character, and the quote ends the string.
const HALF: &[u8] = b"SELECT '\xbf\\' UNION SELECT v FROM secret -- '";

fn begins_anew(product: Product) -> Result<()> {
    let scene = Scene::of(product)?;
    let mut raw = scene.login()?;
    let quoted = "SELECT v FROM \"secret\"";
    raw.query("SET sql_mode = 'ANSI_QUOTES'")?;
    refused(&raw.query(quoted)?, "no-secret")?;
    raw.simple(31, &[])?;
    ensure!(
        raw.value("SELECT \"text\"")? == "text",
        "COM_RESET_CONNECTION"
    );
    raw.query("SET sql_mode = 'ANSI_QUOTES'")?;
    raw.change_user(TRUSTED_USER, DATABASE)?;
    ensure!(raw.value("SELECT \"text\"")? == "text", "COM_CHANGE_USER");
    // Another user may not be; the session goes on as it was.
    ensure!(raw.change_user("root", DATABASE).is_err(), "root got in");
    ensure!(raw.value("SELECT 5")? == "5");
    // Nor may one whom only the server refuses. MariaDB goes on then, and not as that one.
    for resets in [false, true] {
        let mut other = scene.login()?;
        other.query("PREPARE s FROM 'SELECT 1'")?;
        ensure!(
            other.change_user("stranger", "elsewhere").is_err(),
            "a stranger got in"
        );
        if product == Product::MySql {
            continue;
        }
        if resets {
            other.simple(31, &[])?;
        }
        ensure!(other.value("SELECT count(*) FROM accounts")? == "100");
        refused(&other.query("SELECT v FROM secret")?, "no-secret")?;
        ensure!(nth(&other.query("EXECUTE s")?, 0)?.failure.is_some());
        let user = other.value("SELECT substring_index(current_user(), '@', 1)")?;
        ensure!(user == TRUSTED_USER, "{user}");
    }
    let direct = sqlward_tests::mysql::raw::Raw::login(scene.proxy.port(), "root");
    let error = direct.err().context("root got in")?.to_string();
    ensure!(
        error.contains("1227") && error.contains("not-as-root"),
        "{error}"
    );
    Ok(())
}
