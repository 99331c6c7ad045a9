//! The newest or oldest statements of a day: block after block, until no other can hold a nearer one.

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::row::statement_tables;
use super::{AuditQuery, Order, Row, STATEMENTS};

/// A statement found: its time, id and block.
type Found = (i64, i64, i64);

/// Shows the first `limit` statements of a day in the order of time that `query` asks for.
pub(super) fn read(
    connection: &Connection,
    query: &AuditQuery,
    limit: usize,
    visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let conditions = query.conditions();
    let newest = query.order == Order::Newest;
    let (asked, values) = conditions.blocks();
    let (near, order) = if newest {
        ("b.to_us", "DESC")
    } else {
        ("b.from_us", "ASC")
    };
    let blocks: Vec<(i64, i64)> = connection
        .prepare(&format!(
            "SELECT b.id, {near} FROM block b WHERE {asked} ORDER BY {near} {order}"
        ))?
        .query_map(params_from_iter(values), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let sql = format!(
        "SELECT s.start_us, s.id, s.block FROM {}
         WHERE s.block IN (SELECT value FROM json_each(?)) AND {} ORDER BY {} LIMIT {limit}",
        statement_tables("main", STATEMENTS),
        conditions.sql(),
        query.order.sql(),
    );
    let mut select = connection.prepare(&sql)?;
    let mut found: Vec<Found> = Vec::new();
    let mut rest = blocks.as_slice();
    // The statements of no block come with the first ones.
    let (mut ids, mut step) = ("0".to_owned(), FIRST);
    loop {
        let (now, later) = rest.split_at(step.min(rest.len()));
        for (id, _) in now {
            ids.push_str(&format!(",{id}"));
        }
        let mut values = vec![Value::from(format!("[{ids}]"))];
        values.extend(conditions.values());
        let mut rows = select.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
        found.sort_unstable();
        if newest {
            found.reverse();
        }
        found.truncate(limit);
        let Some((_, nearest)) = later.first() else {
            break;
        };
        let settled = found.len() >= limit
            && found.last().is_none_or(|(start_us, ..)| {
                if newest {
                    start_us > nearest
                } else {
                    start_us < nearest
                }
            });
        if settled {
            break;
        }
        rest = later;
        (ids, step) = ("-1".to_owned(), step.saturating_mul(2));
    }
    show(connection, query, &found, visit)
}

/// Shows the statements found, whole.
fn show(
    connection: &Connection,
    query: &AuditQuery,
    found: &[Found],
    visit: &mut dyn FnMut(Row) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let list = |ids: &mut dyn Iterator<Item = i64>| {
        let mut ids: Vec<i64> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        Value::from(format!("{ids:?}"))
    };
    let blocks = list(&mut found.iter().map(|(_, _, block)| *block));
    let ids = list(&mut found.iter().map(|(_, id, _)| *id));
    let mut select = connection.prepare(&format!(
        "SELECT {} FROM {} WHERE s.block IN (SELECT value FROM json_each(?))
         AND s.id IN (SELECT value FROM json_each(?)) ORDER BY {}",
        Row::select(),
        statement_tables("main", STATEMENTS),
        query.order.sql(),
    ))?;
    let mut rows = select.query([blocks, ids])?;
    while let Some(row) = rows.next()? {
        if visit(Row::read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// How many blocks are looked at first; each time nothing is settled, twice as many.
const FIRST: usize = 2;
