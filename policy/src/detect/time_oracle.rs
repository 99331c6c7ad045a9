//! **time-oracle**: the statement makes the server wait, so that the time of the answer tells what the rows don't.
//!
//! `… AND 5 = (SELECT 5 FROM pg_sleep(5))`, `… OR SLEEP(5)`, `BENCHMARK(5000000, MD5(1))`, a count of a million generated rows, a
//! product of tables. A statement that does nothing but sleep is not matched: rule `sleep` of the baseline speaks of it.

use super::Sight;
use super::names;
use super::tree::{Arm, Shape, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    for (_, node) in tree.all() {
        let Shape::Call(name, _) = &node.shape else {
            continue;
        };
        if names::waits(&tree.last_name(name)) && !stands_alone(tree, node.query) {
            found.push((node.tokens.clone(), "a call that waits"));
        }
    }
    let generated = generated(tree);
    for query in &tree.queries {
        let added = query.outer.is_some() || query.statement > 0;
        for arm in query.arms.iter().filter(|_| added) {
            if is_product(tree, arm) {
                found.push((arm.tokens.clone(), "a product of tables"));
            }
            let first = generated.partition_point(|at| *at < arm.tokens.start);
            let generates = generated
                .get(first)
                .is_some_and(|at| arm.tokens.contains(at));
            if generates && arm.tables.is_empty() && counts(tree, arm) {
                found.push((arm.tokens.clone(), "a count of generated rows"));
            }
        }
    }
    for (tokens, saw) in found {
        sight.report(Detector::TimeOracle, &tokens, saw);
    }
}

/// `SELECT pg_sleep(1)` and no more.
fn stands_alone(tree: &Tree<'_>, query: u32) -> bool {
    tree.statements.len() == 1
        && tree.queries.len() == 1
        && tree.queries.get(query as usize).is_some_and(|query| {
            query.arms.len() == 1
                && query
                    .arms
                    .iter()
                    .all(|arm| !arm.from && arm.list.len() == 1)
        })
}

fn counts(tree: &Tree<'_>, arm: &Arm) -> bool {
    arm.list.len() == 1
        && arm.list.iter().any(|(id, _)| {
            matches!(tree.shape(*id), Shape::Call(name, _) if *tree.last_name(name) == *b"count")
        })
}

/// Many tables without a condition: catalogues, or any whose rows are counted.
fn is_product(tree: &Tree<'_>, arm: &Arm) -> bool {
    let catalogues = arm
        .tables
        .iter()
        .filter(|table| names::is_catalogue(&tree.first_name(table), &tree.last_name(table)))
        .count();
    let many = arm.tables.len() > 2 && !arm.joined && counts(tree, arm);
    (catalogues > 2 || many) && arm.filter.is_none()
}

/// Where rows are generated, in order.
fn generated(tree: &Tree<'_>) -> Vec<u32> {
    let calls = tree.all().filter_map(|(_, node)| match &node.shape {
        Shape::Call(name, _) if *tree.last_name(name) == *b"generate_series" => {
            Some(node.tokens.start)
        }
        _ => None,
    });
    let mut calls: Vec<u32> = calls.collect();
    calls.sort_unstable();
    calls
}
