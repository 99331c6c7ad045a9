//! A clause that is not understood as a whole: its arms may be.

use super::{Truth, understood};
use crate::statement::mysql::state::{MysqlLex, SqlMode};
use crate::statement::mysql::token::{Kind, Token};
use crate::statement::mysql::word::{Reserved, Word as W};

/// What a clause says about rows; where no row has a say in it, it is the same for all.
pub(super) fn truth(text: &[u8], clause: &[Token], lex: &MysqlLex, literals: &mut bool) -> Truth {
    look(text, clause, lex, literals, MAX_DEPTH)
}

fn look(text: &[u8], clause: &[Token], lex: &MysqlLex, literals: &mut bool, depth: usize) -> Truth {
    if let Some(truth) = understood(text, clause, lex, literals) {
        return truth;
    }
    if !vary(clause) {
        return Truth::SameForAll;
    }
    if depth == 0 {
        return Truth::Depends;
    }
    let mut look = |part: &[Token]| look(text, part, lex, literals, depth - 1);
    let pipes = !lex
        .sql_mode
        .unwrap_or_default()
        .has(SqlMode::PIPES_AS_CONCAT);
    let or = |token: &Token| token.word == W::Or || pipes && token.kind == Kind::OrOr;
    let arms = split(clause, or);
    if arms.len() > 1 {
        let truths: Vec<Truth> = arms.into_iter().map(&mut look).collect();
        let found = [Truth::Always, Truth::SameForAll];
        return found
            .into_iter()
            .find(|wanted| truths.contains(wanted))
            .unwrap_or(Truth::Depends);
    }
    let and = |token: &Token| token.word == W::And || token.kind == Kind::AndAnd;
    let arms = split(clause, and);
    if arms.len() > 1 {
        let always = arms
            .into_iter()
            .all(|arm| matches!(look(arm), Truth::Always));
        return if always {
            Truth::Always
        } else {
            Truth::Depends
        };
    }
    match clause {
        [open, inner @ .., close] if open.kind == Kind::Open && close.kind == Kind::Close => {
            look(inner)
        }
        _ => Truth::Depends,
    }
}

/// The parts between the operators that stand outside of brackets, CASE and BETWEEN.
fn split(clause: &[Token], operator: impl Fn(&Token) -> bool) -> Vec<&[Token]> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut open, mut cases, mut between) = (0_usize, 0_usize, false);
    for (place, token) in clause.iter().enumerate() {
        match token.kind {
            Kind::Open => open += 1,
            Kind::Close => open = open.saturating_sub(1),
            _ => {}
        }
        match token.word {
            W::Case => cases += 1,
            W::End => cases = cases.saturating_sub(1),
            W::Between if open == 0 && cases == 0 => between = true,
            _ => {}
        }
        if open > 0 || cases > 0 || !operator(token) {
            continue;
        }
        if token.word == W::And && std::mem::take(&mut between) {
            continue;
        }
        parts.extend(clause.get(from..place));
        from = place + 1;
    }
    parts.extend(clause.get(from..));
    parts
}

/// Whether something among tokens may differ between rows or executions.
///
/// Words that are only keywords in places are columns where an operand begins: `LOWER(status)`, not `INTERVAL 1 DAY`.
pub(super) fn vary(tokens: &[Token]) -> bool {
    let mut before = Token::END;
    let mut rest = tokens.iter().peekable();
    while let Some(token) = rest.next() {
        let called = rest.peek().is_some_and(|next| next.kind == Kind::Open);
        let behind_operand =
            before.kind == Kind::Word || before.kind == Kind::Close || before.kind.is_literal();
        let found = match token.kind {
            Kind::Name | Kind::Quoted | Kind::Param => true,
            Kind::Word => {
                let soft = token.word.reserved() == Reserved::Nowhere;
                matches!(token.word, W::None | W::Select) || soft && !called && !behind_operand
            }
            _ => false,
        };
        if found {
            return true;
        }
        before = *token;
    }
    false
}

/// How deeply arms are looked for in arms.
const MAX_DEPTH: usize = 12;
