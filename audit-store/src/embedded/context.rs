//! What a block's statements have from entries of other blocks: who speaks, and texts that were prepared earlier.
//!
//! The leaf of a block holds a digest of it, so that it can be verified when these blocks are long gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::flat;
use crate::chain::{Hash, digest};
use crate::event::Seq;
use crate::record::Text;
use crate::ship::rows::{EventRow, StatementRow, TextRef};
use crate::ship::subject::Speaker;

/// A row of the block's day that an entry of the block finished or told, and that does not stand in its directory.
///
/// Rows of earlier days are left out: with such a day goes what would tell that they were there.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    pub(crate) kind: AsideKind,
    pub(crate) key: i64,
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) text: AsideText,
}

/// Which kind of row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsideKind {
    Statement,
    /// A step of a session, by its word.
    Event(&'static str),
}

/// Where its text is.
#[derive(Clone, Debug)]
pub(crate) enum AsideText {
    /// In itself, or there is none.
    Own,
    /// In an earlier intent.
    Of(Seq, Arc<[u8]>),
    /// In an earlier intent that nobody remembers.
    Missing(Option<Seq>),
}

impl Aside {
    pub(crate) fn statement(row: &StatementRow) -> Self {
        Self {
            kind: AsideKind::Statement,
            key: row.key(),
            speaker: Arc::clone(&row.speaker),
            text: match &row.text {
                TextRef::Own => AsideText::Own,
                TextRef::Of(seq, payload) => AsideText::Of(*seq, Arc::clone(payload)),
                TextRef::Missing => AsideText::Missing(named(&row.payload)),
            },
        }
    }

    /// A step of a session that an entry told; `None` for an end that none did.
    pub(crate) fn event(row: &EventRow) -> Option<Self> {
        row.chain.map(|_| Self {
            kind: AsideKind::Event(row.step.as_str()),
            key: row.key,
            speaker: Arc::clone(&row.speaker),
            text: AsideText::Own,
        })
    }
}

/// The intent whose text an intent has.
pub(crate) fn named(payload: &[u8]) -> Option<Seq> {
    match flat::intent(payload).ok()?.text {
        Text::Of(seq) => Some(seq),
        Text::None | Text::Sent { .. } => None,
    }
}

/// What is digested.
pub(crate) struct Context<'a> {
    pub(crate) first: Seq,
    pub(crate) speakers: &'a [Arc<Speaker>],
    pub(crate) prepared: &'a BTreeMap<Seq, Arc<[u8]>>,
    pub(crate) aside: &'a [Aside],
}

impl Context<'_> {
    /// SHA-256 over the speakers, what is set aside, and the earlier texts of both.
    pub(crate) fn digest(&self) -> Hash {
        let mut hasher = Sha256::new();
        let mut known = BTreeMap::new();
        let mut speaks = |hasher: &mut Sha256, speaker: &Arc<Speaker>| {
            let digest = known
                .entry(Arc::as_ptr(speaker).addr())
                .or_insert_with(|| digest(&speaker.canonical()));
            hasher.update(*digest);
        };
        hasher.update((self.speakers.len() as u64).to_le_bytes());
        for speaker in self.speakers {
            speaks(&mut hasher, speaker);
        }
        let mut texts: BTreeMap<Seq, &[u8]> = BTreeMap::new();
        texts.extend(self.prepared.iter().map(|(seq, text)| (*seq, &**text)));
        hasher.update((self.aside.len() as u64).to_le_bytes());
        for aside in self.aside {
            let step = match aside.kind {
                AsideKind::Statement => "statement",
                AsideKind::Event(step) => step,
            };
            hasher.update((step.len() as u64).to_le_bytes());
            hasher.update(step.as_bytes());
            hasher.update(aside.key.to_le_bytes());
            speaks(&mut hasher, &aside.speaker);
            let text = match &aside.text {
                AsideText::Of(seq, payload) => {
                    if *seq < self.first {
                        texts.insert(*seq, payload);
                    }
                    seq.0
                }
                AsideText::Own | AsideText::Missing(_) => 0,
            };
            hasher.update(text.to_le_bytes());
        }
        for (seq, payload) in texts {
            hasher.update(seq.0.to_le_bytes());
            hasher.update(digest(payload));
        }
        hasher.finalize().into()
    }
}
