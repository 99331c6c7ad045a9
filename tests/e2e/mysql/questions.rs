//! sqlward's own questions: few, whatever the server tracks already.

use anyhow::{Result, ensure};
use sqlward_tests::mysql::{Options, Product, Record, oracle, record};

use super::{Scene, for_each_product, nth};

for_each_product![asks_once];

fn asks_once(product: Product) -> Result<()> {
    let mut scene = Scene::with(&Options {
        record: Record::File,
        ..Options::new(product)
    })?;
    let mut raw = scene.login()?;
    let lists = [
        "*",
        "",
        "autocommit",
        "SQL_MODE , autocommit",
        "character_set_client,sql_mode",
    ];
    for list in lists {
        let set = format!("SET session_track_system_variables = '{list}'");
        let answers = raw.query(&set)?;
        ensure!(nth(&answers, 0)?.failure.is_none(), "{set}: {answers:?}");
        for number in ["1", "2", "3"] {
            ensure!(raw.value(&format!("SELECT {number}"))? == number, "{set}");
        }
        // It is known that the reading has changed.
        raw.query("SET sql_mode = 'ANSI_QUOTES'")?;
        ensure!(raw.value("SELECT id \"one\" FROM users")? == "1", "{set}");
        raw.query("SET sql_mode = ''")?;
        ensure!(raw.value("SELECT \"two\"")? == "two", "{set}");
    }
    raw.quit()?;
    scene.proxy.stop()?;
    scene.server.stop()?;
    let own = oracle::take_own(&mut record::general_log(&scene.server.general_log())?)?;
    // Once at the login, and once behind each list.
    ensure!(own.track == 1 + lists.len(), "{own:?}");
    // Besides, before each text that depends on a mode just set.
    ensure!(own.state == own.track + 2 * lists.len(), "{own:?}");
    Ok(())
}
