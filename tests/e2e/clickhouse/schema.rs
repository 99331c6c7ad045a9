//! Migrations: a dry run changes nothing, a run is recorded, a repeated one finds nothing to do.

use anyhow::{Context, Result, ensure};
use sqlward_audit_store::clickhouse::{
    ClickHouse, ClickHouseError, Target, USEFUL, import, migrate, plan,
};
use sqlward_audit_store::query::Cell;
use sqlward_tests::clickhouse::Server;

#[test]
fn a_store_is_made_once_and_keeps_what_its_operator_says() -> Result<()> {
    let mut server = Server::start()?;
    let target: Target = server.url("audit").parse()?;
    let dry = plan(&target, 190)?;
    ensure!((dry.from, dry.to) == (0, 5), "{dry:?}");
    ensure!(dry.statements.len() > 6, "{dry:?}");
    // Nothing was changed: the same is still to be done, and nobody can read the store.
    ensure!(plan(&target, 190)? == dry);
    ensure!(matches!(
        ClickHouse::open(target.clone()),
        Err(ClickHouseError::Version {
            found: 0,
            known: 5,
            ..
        })
    ));
    ensure!(migrate(&target, 190)? == dry);
    ensure!(plan(&target, 190)?.statements.is_empty());
    server.crash_and_restart()?;
    ensure!(plan(&target, 190)?.statements.is_empty());

    // Another retention: every table that has one, and the data stays.
    let change = plan(&target, 365)?;
    ensure!(
        change.from == 5 && change.statements.len() == 7,
        "{change:?}"
    );
    ensure!(migrate(&target, 365)? == change);
    ensure!(plan(&target, 365)?.statements.is_empty());

    let store = ClickHouse::open(target)?;
    let versions = store.sql(
        "SELECT version, name FROM migrations ORDER BY version",
        None,
    )?;
    let versions = versions.rows.iter().map(|row| row.first().cloned());
    ensure!(versions.flatten().collect::<Vec<_>>() == [1, 2, 3, 4, 5].map(Cell::Integer));
    let kept = "SELECT count() FROM system.tables WHERE database = 'audit' AND
                position(engine_full, 'TTL') > 0 AND position(engine_full, 'toIntervalDay(365)') > 0";
    ensure!(store.sql(kept, None)?.rows == [[Cell::Integer(7)]]);
    Ok(())
}

#[test]
fn auditors_sql_reads_and_does_nothing_else() -> Result<()> {
    let (_server, target) = super::store()?;
    let store = ClickHouse::open(target)?;
    ensure!(store.sql("SELECT count() FROM statements", None)?.rows == [[Cell::Integer(0)]]);
    let some = store.sql("SELECT number FROM system.numbers LIMIT 100", Some(3))?;
    ensure!(some.rows.len() == 3, "{some:?}");
    for text in [
        "DROP TABLE statements",
        "ALTER TABLE statements DELETE WHERE 1",
        "INSERT INTO migrations (version, name) VALUES (9, 'x')",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1; SELECT 2",
        "",
    ] {
        ensure!(store.sql(text, None).is_err(), "{text}");
    }
    Ok(())
}

#[test]
fn useful_queries_are_answered() -> Result<()> {
    let data = tempfile::tempdir()?;
    crate::support::questions::build(data.path(), 500);
    let (_server, target) = super::store()?;
    import(&crate::support::archive(data.path()), &target, |_, _| {})?;
    let store = ClickHouse::open(target)?;
    let mut hits = 0;
    for (title, sql) in USEFUL {
        let table = store.sql(sql, None).with_context(|| title.to_owned())?;
        hits += usize::from(!table.rows.is_empty());
    }
    ensure!(USEFUL.len() == 20 && hits >= 8, "{hits} found anything");
    Ok(())
}
