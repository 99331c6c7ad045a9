//! **stacked-statement**: a statement of another kind follows a query in the same text.
//!
//! `… WHERE id = 7; DROP TABLE users`, `…; SELECT pg_sleep(5)`, `…; CALL p()`. Applications that send several statements at
//! once send several of one kind, or a transaction; behind a query or a change of rows, commands that change structure
//! or rights, run code, or select nothing but constants are what an attacker adds.

use super::Sight;
use super::token::{Key, Kind};
use super::tree::Shape;
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = None;
    let mut queried = false;
    for (number, tokens) in tree.statements.iter().enumerate() {
        if tokens.is_empty() {
            continue;
        }
        let cut = number + 1 == tree.statements.len() && sight.tail.is_some();
        if queried && (cut || is_foreign(sight, number, tokens.start)) {
            found = Some(tokens.clone());
            break;
        }
        queried |= matches!(
            tree.token(tokens.start).map(|token| token.kind),
            Some(Kind::Key(
                Key::Select | Key::Insert | Key::Update | Key::Delete | Key::Replace | Key::With
            ))
        );
    }
    if let Some(tokens) = found {
        sight.report(
            Detector::StackedStatement,
            &tokens,
            "a command behind a query",
        );
    }
}

/// Whether a statement is of a kind that no application sends together with a query.
fn is_foreign(sight: &Sight<'_>, number: usize, first: u32) -> bool {
    let tree = &sight.tree;
    match tree.token(first).map(|token| token.kind) {
        Some(Kind::Name) => COMMANDS
            .iter()
            .any(|command| tree.bytes(first).eq_ignore_ascii_case(command.as_bytes())),
        Some(Kind::Key(Key::Select)) => tree
            .queries_of(number)
            .filter(|query| query.outer.is_none())
            .flat_map(|query| &query.arms)
            .any(|arm| {
                !arm.list.is_empty()
                    && arm.tables.is_empty()
                    && arm.list.iter().all(|(id, named)| {
                        !named
                            && (tree.is_constant(*id)
                                || tree.any(*id, &|tree, id| match tree.shape(id) {
                                    Shape::Call(name, _) => {
                                        let name = tree.last_name(name);
                                        super::names::waits(&name) || super::names::leaves(&name)
                                    }
                                    Shape::Case(_) | Shape::Query(_) => true,
                                    _ => false,
                                }))
                    })
            }),
        _ => false,
    }
}

const COMMANDS: &[&str] = &[
    "alter", "call", "copy", "create", "declare", "do", "drop", "exec", "execute", "grant",
    "handler", "if", "kill", "load", "prepare", "rename", "revoke", "shutdown", "truncate",
    "waitfor",
];
