//! What the real servers say of the statements in their own test suites, and how well sqlward reads
//! them.
//!
//! `mysql-statements ask PRODUCT`: takes the statements out of the scripts, asks the server to prepare
//! each, and writes `build/statements/PRODUCT.jsonl`, one line a statement:
//! `{id, dialect, sql, prepared, missing_table, digest}`. `prepared` is the error number, 0 without one;
//! `missing_table` the table that error 1146 names; `digest` MySQL's STATEMENT_DIGEST_TEXT.
//!
//! `mysql-statements score PRODUCT [JUDGED]`: compares that file with what `sqlward policy judge` makes
//! of it (or with a file of its output), and writes `build/statements/PRODUCT.score.txt`.

mod ask;
mod reader;
mod score;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlward_tests::mysql::Product;
use sqlward_tests::paths::repository;

/// A statement and the server's view of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Statement {
    pub(crate) id: usize,
    pub(crate) dialect: String,
    pub(crate) sql: String,
    pub(crate) prepared: u16,
    pub(crate) missing_table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: mysql-statements ask|score PRODUCT [JUDGED]";
    let product = arguments.get(1).context(usage)?;
    let product = Product::named(product).with_context(|| format!("no product {product}"))?;
    match arguments.first().map(String::as_str) {
        Some("ask") => ask::ask(product, &file(product)?),
        Some("score") => score::score(product, &file(product)?, arguments.get(2)),
        _ => bail!(usage),
    }
}

fn file(product: Product) -> Result<PathBuf> {
    let folder = repository().join("build/statements");
    std::fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.jsonl", product.name())))
}
