//! Detectors: what SQL injection does to the structure of a statement.
//!
//! Each detector is a file; its doc comment is its page in the manual. They look at the tokens of a text and at the
//! [`tree`] built from them, never at patterns of bytes, when a text is analysed: a statement that is known costs
//! nothing. What a detector finds becomes a fact of the statement, which rules ask for with `detect` and `detect_score`.

mod boolean_oracle;
mod catalogue_probe;
mod comment_tail;
mod encoded_text;
mod error_oracle;
mod expression;
mod file_access;
mod names;
mod read;
mod stacked_statement;
mod tautology;
mod time_oracle;
pub(crate) mod token;
mod tree;
mod union_graft;

use std::ops::Range;

use crate::statement::facts::StatementFacts;
use crate::vocabulary::Detector;

use token::{Key, Kind, Op, Tokens};
use tree::Tree;

/// What a detector saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The detector.
    pub detector: Detector,
    /// What it saw, in words.
    pub saw: &'static str,
    /// Where, in bytes of the text.
    pub bytes: Range<usize>,
}

impl Detector {
    /// How much a match counts, of the 100 that are certain.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Detector::CatalogueProbe => 30,
            Detector::EncodedText => 40,
            Detector::CommentTail => 50,
            Detector::Tautology | Detector::StackedStatement | Detector::BooleanOracle => 60,
            Detector::UnionGraft => 70,
            Detector::TimeOracle | Detector::ErrorOracle | Detector::FileAccess => 80,
        }
    }
}

/// The sum of the weights of the detectors that matched, at most 100.
#[must_use]
pub fn score(detections: &[Detection]) -> u32 {
    detections
        .iter()
        .map(|detection| detection.detector.weight())
        .sum::<u32>()
        .min(100)
}

/// What detectors work on, and what they have found.
struct Sight<'t> {
    tree: Tree<'t>,
    tail: Option<Range<usize>>,
    found: Vec<(usize, Detection)>,
    /// Whether the value of a literal was looked at.
    looked: bool,
}

impl Sight<'_> {
    /// Reports a match in tokens of the tree; of each detector and statement, the first one counts.
    fn report(&mut self, detector: Detector, tokens: &Range<u32>, saw: &'static str) {
        if self.found.len() >= MAX_FOUND {
            return;
        }
        let statement = self.tree.statement_at(tokens.start);
        let bytes = self.tree.range(tokens);
        self.report_bytes(detector, statement, bytes, saw);
    }

    fn report_bytes(
        &mut self,
        detector: Detector,
        statement: usize,
        bytes: Range<usize>,
        saw: &'static str,
    ) {
        let known = self
            .found
            .iter()
            .any(|(number, known)| *number == statement && known.detector == detector);
        if !known && self.found.len() < MAX_FOUND {
            let detection = Detection {
                detector,
                saw,
                bytes,
            };
            self.found.push((statement, detection));
        }
    }
}

/// More matches than these tell nothing new.
const MAX_FOUND: usize = 64;

/// Looks for injection in a text and adds what it finds to the facts of its statements; whether that holds for the exact
/// text only, because the values of literals were looked at or places in the text were found.
pub(crate) fn detect(text: &[u8], tokens: &Tokens, statements: &mut [StatementFacts]) -> bool {
    if !is_worth_reading(tokens) {
        return false;
    }
    let mut sight = Sight {
        tree: read::read(text, &tokens.list),
        tail: tokens.tail.clone(),
        found: Vec::new(),
        looked: false,
    };
    tautology::find(&mut sight);
    stacked_statement::find(&mut sight);
    union_graft::find(&mut sight);
    comment_tail::find(&mut sight);
    time_oracle::find(&mut sight);
    error_oracle::find(&mut sight);
    boolean_oracle::find(&mut sight);
    encoded_text::find(&mut sight);
    catalogue_probe::find(&mut sight);
    file_access::find(&mut sight);
    let last = statements.len().saturating_sub(1);
    let exact = sight.looked || !sight.found.is_empty();
    for (statement, detection) in sight.found {
        if let Some(facts) = statements.get_mut(statement.min(last)) {
            facts.detections.push(detection);
        }
    }
    exact
}

/// Whether the tokens hold anything that a detector could match: the plainest statements don't, and are not read further.
fn is_worth_reading(tokens: &Tokens) -> bool {
    if tokens.tail.is_some() {
        return true;
    }
    let (mut selects, mut ended, mut ordered) = (0_u32, false, false);
    // A literal has come, and nothing but operators behind it.
    let mut compared = false;
    for token in &tokens.list {
        let literal = token.kind.is_literal();
        let worth = match token.kind {
            Kind::Key(
                Key::Or
                | Key::Xor
                | Key::Union
                | Key::Except
                | Key::Intersect
                | Key::Case
                | Key::Having
                | Key::Procedure,
            )
            | Kind::Op(Op::Or | Op::Concat | Op::And | Op::Product)
            | Kind::Open
            | Kind::Variable => true,
            Kind::Key(Key::Select) => {
                selects += 1;
                selects > 1
            }
            Kind::Key(Key::Order) => {
                ordered = true;
                false
            }
            Kind::Key(Key::And) => ordered,
            Kind::Key(Key::Into) => selects > 0,
            Kind::Semicolon => {
                ended = true;
                false
            }
            _ => compared && literal,
        };
        if worth || (ended && token.kind != Kind::Semicolon) {
            return true;
        }
        compared = literal || (compared && matches!(token.kind, Kind::Op(_) | Kind::Key(_)));
    }
    false
}
