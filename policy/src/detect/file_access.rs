//! **file-access**: a query of rows also reads or writes files, runs programs or speaks to another host.
//!
//! `… UNION SELECT load_file('/etc/passwd')`, `… INTO OUTFILE '/var/www/x.php'`, `… AND 1=(SELECT lo_import(…))`, `dblink_connect(…)`.
//! The facts' `egress` says that a statement does so; this detector says that it does so beside rows.

use super::Sight;
use super::names;
use super::token::Key;
use super::tree::{Arm, Shape};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let rows = tree
        .queries
        .iter()
        .flat_map(|query| &query.arms)
        .any(Arm::has_rows);
    if !rows {
        return;
    }
    let mut found = Vec::new();
    for (_, node) in tree.all() {
        if let Shape::Call(name, _) = &node.shape
            && (names::leaves(&tree.last_name(name)) || names::leaves(&tree.first_name(name)))
        {
            found.push(node.tokens.clone());
        }
    }
    for at in 0..u32::try_from(tree.tokens.len()).unwrap_or(u32::MAX) {
        let file = tree.is(at, Key::Into)
            && [&b"outfile"[..], b"dumpfile"]
                .iter()
                .any(|word| tree.bytes(at + 1).eq_ignore_ascii_case(word));
        if file {
            found.push(at..at + 2);
        }
    }
    for tokens in found {
        sight.report(Detector::FileAccess, &tokens, "a file or host beside rows");
    }
}
