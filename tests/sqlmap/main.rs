//! sqlmap against a vulnerable shop: without sqlward it dumps a table that no page shows; through sqlward it gets no row of
//! it, and the shop's pages go on working.
//!
//! `SQLWARD_SQLMAP=long` attacks every page with every technique at level 5 and risk 3, and with tamper scripts; otherwise
//! one page is attacked with the quick techniques.

mod attack;
mod shop;

use anyhow::{Result, ensure};
use sqlward_tests::mysql::{self, Product};
use sqlward_tests::proxy::{Options, Policy, Proxy};
use sqlward_tests::server::{self, ADMIN, Server};

use attack::{Attack, Plan};
use shop::Shop;

/// What the shop's table looks like, for both engines.
const TABLES: &str = include_str!("shop.sql");
const PACKS: Policy = Policy::Packs(&["baseline", "injection"]);

#[test]
fn postgresql_loses_its_table_only_without_sqlward() -> Result<()> {
    let server = Server::start(&server::Options::default())?;
    server.psql("app", TABLES)?;
    let proxy = Proxy::start(&[&server], &options())?;
    let side = |port| Shop::open("postgres", port, ADMIN, "app");
    play(
        ("PostgreSQL", "public"),
        &side(server.port())?,
        &side(proxy.port())?,
    )
}

#[test]
fn mariadb_loses_its_table_only_without_sqlward() -> Result<()> {
    let server = mysql::Server::start(&mysql::Options::new(Product::MariaDb10))?;
    server.sql("app", TABLES)?;
    let proxy = Proxy::before(&server, &options())?;
    let side = |port| Shop::open("mysql", port, mysql::ADMIN, "app");
    play(
        ("MySQL", "app"),
        &side(server.port())?,
        &side(proxy.port())?,
    )
}

fn options() -> Options {
    Options {
        policy: PACKS,
        ..Options::default()
    }
}

fn play(server: (&str, &str), open: &Shop, guarded: &Shop) -> Result<()> {
    open.serves_its_pages()?;
    guarded.serves_its_pages()?;
    let plan = Plan::of_environment();
    let mut dumped = 0;
    for attack in plan.attacks() {
        let Attack { page, .. } = &attack;
        let direct = attack.run(open, server)?;
        let through = attack.run(guarded, server)?;
        println!(
            "{attack}: {} of {} cards without sqlward in {} requests, {} with in {}",
            direct.cards,
            shop::CARDS.len(),
            direct.requests,
            through.cards,
            through.requests
        );
        ensure!(
            through.cards == 0 && !through.injectable,
            "{attack}: through sqlward, sqlmap got in:\n{}",
            through.output
        );
        ensure!(
            through.requests > 0,
            "{attack}: sqlmap sent nothing to {page}:\n{}",
            through.output
        );
        dumped += usize::from(direct.cards == shop::CARDS.len());
    }
    ensure!(
        dumped >= plan.least_dumps(),
        "only {dumped} attacks dumped the table without sqlward: the proof is worth nothing"
    );
    guarded.serves_its_pages()
}
