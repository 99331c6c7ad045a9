//! The bypass suite: parser differentials and protocol tricks, each against the real server with and without sqlward before it.
//!
//! A table is protected by policy, and every case wants to reach it. What the server did on its own shows whether the case is one at
//! all; through sqlward nothing may have happened, and where the server did it the policy must have refused a statement.
//! `SQLWARD_BYPASS=text` runs the cases whose id holds the text.

mod case;
mod mysql;
mod postgres;

use anyhow::{Result, ensure};
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::Release;

/// The fewest cases there may be.
const ENOUGH: usize = 300;

#[test]
fn there_are_enough_cases() -> Result<()> {
    let (postgres, mysql) = (postgres::cases()?.len(), mysql::cases()?.len());
    println!("{postgres} for PostgreSQL, {mysql} for MySQL and MariaDB");
    ensure!(postgres + mysql >= ENOUGH, "{postgres} + {mysql}");
    Ok(())
}

#[test]
fn postgres15() -> Result<()> {
    postgres::check(Release::Installed)
}

#[test]
fn postgres18() -> Result<()> {
    postgres::check(Release::Newer)
}

#[test]
fn mysql9() -> Result<()> {
    mysql::check(Product::MySql)
}

#[test]
fn mariadb10() -> Result<()> {
    mysql::check(Product::MariaDb10)
}

#[test]
fn mariadb11() -> Result<()> {
    mysql::check(Product::MariaDb11)
}
