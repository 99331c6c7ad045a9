//! Bringing a store's schema to this program's version.

use serde_json::Value;

use super::link::{ClickHouseError, Link, Question};
use super::schema::{self, Layout};
use super::target::{Target, identifier};

/// What brings a store to this program's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The version that the store has; 0 for none.
    pub from: u32,
    /// This program's.
    pub to: u32,
    /// The statements, in order.
    pub statements: Vec<String>,
}

/// What would make a store, without asking any server.
#[must_use]
pub fn fresh_plan(database: &str, layout: Layout<'_>, retention_days: u32) -> Plan {
    let on = match layout {
        Layout::Single => String::new(),
        Layout::Cluster(cluster) => format!(" ON CLUSTER {}", identifier(cluster)),
    };
    let mut statements = vec![format!(
        "CREATE DATABASE IF NOT EXISTS {}{on}",
        identifier(database)
    )];
    let migrations = schema::migrations(database, layout, retention_days);
    let to = migrations.last().map_or(0, |step| step.version);
    statements.extend(migrations.into_iter().flat_map(|step| step.statements));
    Plan {
        from: 0,
        to,
        statements,
    }
}

/// What brings the store at `target` to this program's version; nothing is changed.
///
/// # Errors
/// Where the server can't be asked, or the store is of a newer version.
pub fn plan(target: &Target, retention_days: u32) -> Result<Plan, ClickHouseError> {
    let link = Link::new(target.clone())?;
    let from = version(&link)?;
    let to = known();
    if from > to {
        return Err(newer(target, from));
    }
    let mut plan = fresh_plan(&target.database, Layout::Single, retention_days);
    plan.from = from;
    if from > 0 {
        plan.statements = steps(target, from, retention_days)
            .flat_map(|step| step.statements)
            .chain(retention(&link, retention_days)?)
            .collect();
    }
    Ok(plan)
}

/// Brings the store at `target` to this program's version, and its retention to `retention_days`.
///
/// Every step can be repeated, so that one cut short is simply taken again.
///
/// # Errors
/// Where the server can't be asked or refuses, or the store is of a newer version.
pub fn migrate(target: &Target, retention_days: u32) -> Result<Plan, ClickHouseError> {
    let plan = plan(target, retention_days)?;
    let link = Link::new(target.clone())?;
    let database = identifier(&target.database);
    link.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}"))?;
    link.execute(&schema::versions(&target.database))?;
    for step in steps(target, plan.from, retention_days) {
        for statement in &step.statements {
            link.execute(statement)?;
        }
        link.execute(&format!(
            "INSERT INTO {database}.migrations (version, name, program) VALUES ({}, '{}', '{}')",
            step.version,
            step.name,
            env!("CARGO_PKG_VERSION"),
        ))?;
    }
    for statement in retention(&link, retention_days)? {
        link.execute(&statement)?;
    }
    Ok(plan)
}

/// Fails where the store is not of this program's version.
pub(super) fn check(link: &Link) -> Result<(), ClickHouseError> {
    let found = version(link)?;
    if found == known() {
        Ok(())
    } else {
        Err(newer(&link.target, found))
    }
}

fn newer(target: &Target, found: u32) -> ClickHouseError {
    ClickHouseError::Version {
        target: target.to_string(),
        found,
        known: known(),
    }
}

fn known() -> u32 {
    schema::migrations("", Layout::Single, 1)
        .last()
        .map_or(0, |step| step.version)
}

fn steps(
    target: &Target,
    from: u32,
    retention_days: u32,
) -> impl Iterator<Item = schema::Migration> {
    schema::migrations(&target.database, Layout::Single, retention_days)
        .into_iter()
        .filter(move |step| step.version > from)
}

/// The version of the store; 0 where there is none.
fn version(link: &Link) -> Result<u32, ClickHouseError> {
    let mut question = Question::new("");
    let database = question.value(&link.target.database, "String");
    question.sql = format!(
        "SELECT count() FROM system.tables WHERE database = {database} AND name = 'migrations'"
    );
    if link.number(&question)? == 0 {
        return Ok(0);
    }
    let sql = format!(
        "SELECT max(version) FROM {}.migrations",
        identifier(&link.target.database)
    );
    let found = link.number(&Question::new(sql))?;
    u32::try_from(found).map_err(|_| link.odd("no such version can be"))
}

/// What changes the retention of the tables that have another one.
fn retention(link: &Link, days: u32) -> Result<Vec<String>, ClickHouseError> {
    let mut question = Question::new("");
    let database = question.value(&link.target.database, "String");
    question.sql = format!(
        "SELECT name FROM system.tables WHERE database = {database}
         AND position(engine_full, 'TTL') > 0 AND position(engine_full, 'toIntervalDay({days})') = 0 ORDER BY name"
    );
    let names = link.ask(&question)?;
    let day = |name: &str| {
        let mut tables = schema::TABLES
            .iter()
            .chain([&&schema::LEAVES, &&schema::SENDERS]);
        let table = tables.find(|table| table.name == name);
        table.map_or("toDate(minute)", |table| table.day)
    };
    Ok(names
        .iter()
        .filter_map(|row| row.first().and_then(Value::as_str))
        .map(|name| {
            format!(
                "ALTER TABLE {}.{name} MODIFY TTL {} + INTERVAL {days} DAY",
                identifier(&link.target.database),
                day(name)
            )
        })
        .collect())
}
