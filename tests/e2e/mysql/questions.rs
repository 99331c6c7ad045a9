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
    // The list, and whether the server has to be told to report the character set, too.
    let lists = [
        ("*", false),
        ("", true),
        ("autocommit", true),
        ("SQL_MODE , autocommit", true),
        ("autocommit , Character_Set_Client", false),
    ];
    for (list, _) in lists {
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
    let told = lists.iter().filter(|(_, told)| *told).count();
    ensure!(own.track == told, "{own:?}");
    // Once at the login, once behind each list, and before each text that depends on a mode just set.
    ensure!(own.state == 1 + 3 * lists.len(), "{own:?}");
    Ok(())
}
