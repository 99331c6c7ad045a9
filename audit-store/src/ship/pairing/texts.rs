//! Prepares: their texts, and who has their row.

use super::{Open, Pairing, Prepared};
use crate::event::{Seq, SessionId};
use crate::journal::Frame;
use crate::record::Intent;
use crate::ship::rows::Emitted;
use crate::time::Day;

impl Pairing {
    /// Takes away the row of a prepare that turned out to be continued; across days both stay.
    pub(super) fn take_over(&mut self, prepare: Seq, day: Day, out: &mut Emitted) {
        let Some(text) = self.texts.get_mut(&prepare) else {
            return;
        };
        if text.row.take_if(|written| *written == day).is_some() {
            self.done_with(prepare);
            out.removals.push((day, prepare));
        }
    }

    /// Closes a prepare that its execution speaks for: no outcome of its own need follow. Its text stays.
    pub(super) fn close_taken(&mut self, prepare: Seq, execution: Seq) {
        let taken = |open: &Open| open.taken_by == Some(execution);
        if !self.open.get(&prepare).is_some_and(taken) {
            return;
        }
        if let Some(open) = self.open.remove(&prepare)
            && let Some(session) = self.sessions.get_mut(&open.session)
        {
            session.open.remove(&prepare);
        }
        self.done_with(prepare);
    }

    pub(super) fn remember_text(
        &mut self,
        intent: &Intent<'_>,
        frame: &Frame<'_>,
        row: Option<Day>,
    ) {
        let session = self.session(intent.session);
        let mut replaced = None;
        if intent.prepared_name.is_empty() {
            session.unnamed.push_back(frame.seq);
            if session.unnamed.len() > MOST_UNNAMED {
                replaced = session.unnamed.pop_front();
            }
        } else {
            session.texts.insert(frame.seq);
            session.text_bytes += frame.payload.len();
        }
        self.text_bytes += frame.payload.len();
        self.texts.insert(
            frame.seq,
            Prepared {
                session: intent.session,
                payload: frame.payload.into(),
                row,
            },
        );
        if let Some(replaced) = replaced {
            self.forget_text(replaced);
        }
        // Its own go first: no session may make a lane forget the texts of all others.
        while let Some(oldest) = self.beyond_share(intent.session) {
            self.forget_text(oldest);
        }
        while self.texts.len() > MOST_TEXTS || self.text_bytes > MOST_TEXT_BYTES {
            let Some(oldest) = self.texts.keys().next().copied() else {
                return;
            };
            self.forget_text(oldest);
        }
    }

    /// The oldest named text of a session that has more than its share.
    fn beyond_share(&self, session: SessionId) -> Option<Seq> {
        let session = self.sessions.get(&session)?;
        let beyond = session.texts.len() > MOST_TEXTS / SHARE
            || session.text_bytes > MOST_TEXT_BYTES / SHARE && session.texts.len() > 1;
        session.texts.first().copied().filter(|_| beyond)
    }

    pub(super) fn forget_text(&mut self, seq: Seq) {
        if let Some(text) = self.texts.remove(&seq) {
            self.text_bytes = self.text_bytes.saturating_sub(text.payload.len());
            if let Some(session) = self.sessions.get_mut(&text.session)
                && session.texts.remove(&seq)
            {
                session.text_bytes = session.text_bytes.saturating_sub(text.payload.len());
            }
            self.done_with(seq);
        }
    }
}

/// How many prepared texts a lane remembers; an execution of an older one shows its normal form.
const MOST_TEXTS: usize = 100_000;

/// How many bytes of prepared texts a lane remembers.
pub(super) const MOST_TEXT_BYTES: usize = 64 << 20;

/// The part of these that one session may have: one in so many.
pub(super) const SHARE: usize = 8;

/// How many texts of the unnamed statement a session remembers.
pub(super) const MOST_UNNAMED: usize = 4;
