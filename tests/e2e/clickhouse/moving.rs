//! Moving an embedded store: cut short anywhere, repeated, and disturbed, it ends with every record once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlward_audit_store::clickhouse::{ClickHouse, ClickHouseError, Imported, import};
use sqlward_audit_store::query::{AuditQuery, Cell};

use crate::support::archive;
use crate::support::questions::build;

const COUNT: u32 = 6000;

#[test]
fn a_repeated_move_changes_nothing_and_an_edited_record_is_named() -> Result<()> {
    let data = tempfile::tempdir()?;
    build(data.path(), COUNT);
    let archive = archive(data.path());
    let (mut server, target) = crate::store()?;
    let first = import(&archive, &target, |_, _| {})?;
    ensure!(
        first.known == 0 && first.entries > u64::from(COUNT) * 2,
        "{first:?}"
    );
    server.crash_and_restart()?;
    let again = import(&archive, &target, |_, _| {})?;
    let expected = Imported {
        new: 0,
        known: first.new,
        ..first
    };
    ensure!(again == expected, "{again:?}");

    // Somebody changes the link of a record, then takes one away: the first is named, the second restored.
    let change = |sql: &str| server.execute(&format!("{sql} SETTINGS mutations_sync = 2"));
    change("ALTER TABLE audit.statements DELETE WHERE seq % 100 = 7")?;
    let restored = import(&archive, &target, |_, _| {})?;
    ensure!(
        restored.new > 10 && restored.new + restored.known == first.new,
        "{restored:?}"
    );
    let whole = archive.search(&AuditQuery::default())?;
    ensure!(ClickHouse::open(target.clone())?.search(&AuditQuery::default())? == whole);
    let one = whole.get(77).context("no such record")?;
    change(&format!(
        "ALTER TABLE audit.statements UPDATE chain = '00' WHERE lane = {} AND seq = {}",
        one.lane, one.seq
    ))?;
    let error = import(&archive, &target, |_, _| {}).err();
    let said = error.map(|error| error.to_string()).unwrap_or_default();
    let wanted = format!("lane {}, entry {} names another link", one.lane, one.seq);
    ensure!(said.contains(&wanted), "{said}");
    Ok(())
}

#[test]
fn a_server_killed_again_and_again_has_every_record_once() -> Result<()> {
    let data = tempfile::tempdir()?;
    build(data.path(), COUNT);
    let archive = archive(data.path());
    let (mut server, target) = crate::store()?;
    let mut disturbed = 0;
    for round in 0..5_u64 {
        let moving = std::thread::scope(|scope| -> Result<_> {
            let mover = scope.spawn(|| import(&archive, &target, |_, _| {}));
            std::thread::sleep(Duration::from_millis(60 + 170 * round));
            server.crash_and_restart()?;
            Ok(mover.join())
        })?;
        match moving {
            Ok(Err(ClickHouseError::Server { .. })) => disturbed += 1,
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(done)) => disturbed += done.retries,
            Err(_) => anyhow::bail!("the mover panicked"),
        }
    }
    ensure!(disturbed > 0, "no move was ever disturbed");
    import(&archive, &target, |_, _| {})?;
    let store = ClickHouse::open(target)?;
    let whole = archive.search(&AuditQuery::default())?;
    ensure!(store.search(&AuditQuery::default())? == whole);
    let counted = store.sql("SELECT sum(count) FROM sums", None)?;
    ensure!(
        counted.rows == [[Cell::Integer(COUNT.into())]],
        "{counted:?}"
    );
    Ok(())
}
