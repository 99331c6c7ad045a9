//! **encoded-text**: text is put together from codes instead of being written down.
//!
//! `CHR(113)||CHR(98)||CHR(107)`, `CHAR(115,104,111,112)`, `CONCAT(0x7176, (SELECT …), 0x7162)`, `UNHEX('…')`: whoever can't write
//! a quote, or does not want a word to be read, writes its bytes. Matched are two codes or hexadecimal literals in one
//! concatenation, and three codes in one call.

use smallvec::SmallVec;

use super::Sight;
use super::names;
use super::token::Kind;
use super::tree::{Id, Infix, Shape, Tree};
use crate::vocabulary::Detector;

pub(super) fn find(sight: &mut Sight<'_>) {
    let tree = &sight.tree;
    let mut found = Vec::new();
    for (_, node) in tree.all() {
        let matched = match &node.shape {
            Shape::Call(name, arguments) => {
                let name = tree.last_name(name);
                let codes = arguments.iter().filter(|id| is_code(tree, **id)).count();
                let constant = arguments.iter().filter(|id| tree.is_constant(**id)).count();
                match &*name {
                    b"concat" | b"concat_ws" | b"group_concat" => codes >= 2,
                    b"char" | b"nchar" => constant >= 3,
                    _ => false,
                }
            }
            Shape::Infix(Infix::Concat | Infix::Arithmetic, left, right) => {
                let mut codes: SmallVec<[Id; 8]> = SmallVec::new();
                collect(tree, *left, &mut codes);
                collect(tree, *right, &mut codes);
                codes.len() >= 2
            }
            _ => false,
        };
        if matched {
            found.push(node.tokens.clone());
        }
    }
    for tokens in found {
        sight.report(
            Detector::EncodedText,
            &tokens,
            "text put together from codes",
        );
    }
}

/// `CHR(113)` or a hexadecimal literal.
fn is_code(tree: &Tree<'_>, id: Id) -> bool {
    match tree.shape(id) {
        Shape::Literal => tree.literal_kind(id) == Some(Kind::Hex),
        Shape::Call(name, arguments) => {
            names::encodes(&tree.last_name(name))
                && !arguments.is_empty()
                && arguments.iter().all(|id| tree.is_constant(*id))
        }
        _ => false,
    }
}

/// The codes at the end of a chain: two are enough.
fn collect(tree: &Tree<'_>, id: Id, codes: &mut SmallVec<[Id; 8]>) {
    match tree.shape(id) {
        Shape::Infix(Infix::Concat | Infix::Arithmetic, left, right) if codes.len() < 2 => {
            if is_code(tree, *right) {
                codes.push(*right);
            }
            if is_code(tree, *left) {
                codes.push(*left);
            }
        }
        _ if is_code(tree, id) => codes.push(id),
        _ => {}
    }
}
