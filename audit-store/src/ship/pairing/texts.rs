//! Prepares: their texts, and who has their row.

use super::{Open, Pairing, Prepared};
use crate::event::Seq;
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
        while self.texts.len() > MOST_TEXTS || self.text_bytes > MOST_TEXT_BYTES {
            let Some(oldest) = self.texts.keys().next().copied() else {
                return;
            };
            self.forget_text(oldest);
        }
    }

    pub(super) fn forget_text(&mut self, seq: Seq) {
        if let Some(text) = self.texts.remove(&seq) {
            self.text_bytes = self.text_bytes.saturating_sub(text.payload.len());
            if let Some(session) = self.sessions.get_mut(&text.session) {
                session.texts.remove(&seq);
            }
            self.done_with(seq);
        }
    }
}

/// How many prepared texts a lane remembers; an execution of an older one shows its normal form.
const MOST_TEXTS: usize = 100_000;

/// How many bytes of prepared texts a lane remembers.
const MOST_TEXT_BYTES: usize = 64 << 20;

/// How many texts of the unnamed statement a session remembers.
pub(super) const MOST_UNNAMED: usize = 4;
