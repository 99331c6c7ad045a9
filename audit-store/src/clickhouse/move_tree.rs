//! Moving an embedded store's tree and checkpoints behind its records, so that they can be verified where they are now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::encode::{self, Body};
use super::import::unhex;
use super::link::{ClickHouseError, Link, Question};
use super::schema::{CHECKPOINTS, LEAVES};
use super::target::identifier;
use crate::chain::{digest, hex};
use crate::embedded::batch_id;
use crate::proof::Checkpoint;
use crate::proof::leaf::Leaf;
use crate::query::Archive;
use crate::time::Day;

/// Moves what of the tree is not there yet. What is there must be the same.
pub(super) fn move_tree(link: &Link, archive: &Archive, node: u16) -> Result<(), ClickHouseError> {
    let tree = archive.tree()?;
    let there = leaves_there(link, node)?;
    let mut new: BTreeMap<Day, Vec<(u64, Leaf)>> = BTreeMap::new();
    for (id, data) in &tree.leaves {
        match there.get(id) {
            Some(known) if known == data => {}
            Some(_) => {
                return Err(ClickHouseError::Import {
                    day: "the tree".to_owned(),
                    what: format!("leaf {id} of node {node} is another one there"),
                });
            }
            // One that can't be read is missing there, as it is here.
            None => {
                if let Some(leaf) = Leaf::decode(data) {
                    new.entry(leaf.day).or_default().push((*id, leaf));
                }
            }
        }
    }
    // A body is one part of one day's partition.
    for (day, leaves) in new {
        let mut body = Body::new(batch_id(&format!("import of node {node}"), day.0.into()))?;
        for (id, leaf) in leaves {
            body.row(|out| {
                encode::leaf(node, id, &leaf, out);
                Ok::<_, std::io::Error>(())
            })?;
        }
        put(link, LEAVES.name, body.finish()?)?;
    }
    let known = checkpoints_there(link, node)?;
    let last = tree.checkpoints.last().map(ToString::to_string);
    for checkpoint in &tree.checkpoints {
        let note = checkpoint.to_string();
        if known.contains(&note) {
            continue;
        }
        let edge: &[u8] = if last.as_ref() == Some(&note) {
            &tree.gone
        } else {
            &[]
        };
        let body = encode::checkpoint(node, made_us(checkpoint), checkpoint, edge)?;
        put(link, CHECKPOINTS.name, body)?;
    }
    Ok(())
}

fn put(link: &Link, table: &str, body: Vec<u8>) -> Result<(), ClickHouseError> {
    let token = hex(&digest(&body));
    link.insert_packed(&place(link, table), &encode::names(table), body, &token)
}

fn leaves_there(link: &Link, node: u16) -> Result<BTreeMap<u64, Vec<u8>>, ClickHouseError> {
    let rows = link.ask(&Question::new(format!(
        "SELECT id, data FROM {} WHERE node = {node}",
        place(link, LEAVES.name)
    )))?;
    let leaf = |row: &Vec<Value>| {
        let data = row.get(1)?.as_str().and_then(unhex)?;
        Some((row.first()?.as_u64()?, data))
    };
    Ok(rows.iter().filter_map(leaf).collect())
}

fn checkpoints_there(link: &Link, node: u16) -> Result<BTreeSet<String>, ClickHouseError> {
    let rows = link.ask(&Question::new(format!(
        "SELECT note FROM {} WHERE node = {node}",
        place(link, CHECKPOINTS.name)
    )))?;
    let note = |row: &Vec<Value>| row.first()?.as_str().map(str::to_owned);
    Ok(rows.iter().filter_map(note).collect())
}

fn place(link: &Link, table: &str) -> String {
    format!("{}.{table}", identifier(&link.target.database))
}

/// When it was made, as it says; µs since 1970.
fn made_us(checkpoint: &Checkpoint) -> u64 {
    let time = checkpoint.time.as_deref().unwrap_or_default();
    let time: Option<jiff::Timestamp> = time.parse().ok();
    time.and_then(|time| u64::try_from(time.as_microsecond()).ok())
        .unwrap_or(0)
}
