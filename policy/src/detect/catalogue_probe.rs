//! **catalogue-probe**: a query about something else also reads a catalogue.
//!
//! `… WHERE id = (SELECT COUNT(*) FROM information_schema.tables)`. Tools that look at a catalogue look at catalogues only;
//! a query of an application's own tables with a catalogue in a subquery or behind UNION enumerates. Catalogues of other
//! products count as well: whoever asks for `sysobjects` does not know where he is.

use super::Sight;
use super::names;
use super::tree::{Arm, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    for query in &tree.queries {
        let asks_elsewhere = reads_tables(tree, query.outer, &query.arms);
        for arm in &query.arms {
            let catalogue = arm
                .tables
                .iter()
                .find(|table| names::is_catalogue(&tree.first_name(table), &tree.last_name(table)));
            if let Some(table) = catalogue
                && asks_elsewhere
            {
                found.push(table.clone());
            }
        }
    }
    for tokens in found {
        sight.report(
            Detector::CatalogueProbe,
            &tokens,
            "a catalogue beside tables",
        );
    }
}

/// Whether a query around, or another arm, reads or changes a table that is no catalogue.
fn reads_tables(tree: &Tree<'_>, outer: Option<u32>, arms: &[Arm]) -> bool {
    let ordinary = |arm: &Arm| {
        !arm.tables.is_empty()
            && arm
                .tables
                .iter()
                .all(|table| !names::is_catalogue(&tree.first_name(table), &tree.last_name(table)))
    };
    if arms.iter().any(ordinary) {
        return true;
    }
    let mut next = outer;
    for _ in 0..MAX_LEVELS {
        let Some(query) = next.and_then(|number| tree.queries.get(number as usize)) else {
            return false;
        };
        if query
            .arms
            .iter()
            .any(|arm| ordinary(arm) || (!arm.selects && arm.filter.is_some()))
        {
            return true;
        }
        next = query.outer;
    }
    false
}

const MAX_LEVELS: usize = 32;
