//! Sessions and what ends with them.

use super::{Pairing, nothing};
use crate::event::{Seq, SessionId, row_key};
use crate::journal::Frame;
use crate::record::{Completion, SessionEnd};
use crate::ship::rows::{Emitted, EventRow, SessionStep, StatementRow};
use crate::ship::subject::{Session, Who};

impl Pairing {
    /// Ends everything that is open: its writer is gone.
    pub(crate) fn lose_all(&mut self, out: &mut Emitted) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in sessions {
            self.lose_open(id, &mut out.lost);
            let session = self.sessions.get(&id);
            out.events
                .extend(session.and_then(|session| EventRow::lost(self.lane, session)));
            self.forget_session(id);
        }
    }

    pub(super) fn session(&mut self, id: SessionId) -> &mut Session {
        let node = self.node;
        self.sessions
            .entry(id)
            .or_insert_with(|| Session::new(Who::unknown(node, id)))
    }

    pub(super) fn session_frame(&mut self, id: SessionId, frame: &Frame<'_>) {
        self.session(id).frames.push(frame.seq);
        self.frames
            .insert(frame.seq, (frame.kind, frame.payload.into()));
    }

    /// Keeps a change of the subject; earlier ones are needed only by intents that are open since then.
    pub(super) fn session_context(&mut self, id: SessionId, frame: &Frame<'_>) {
        self.session_frame(id, frame);
        let session = self.session(id);
        session.contexts.push(frame.seq);
        let oldest = session.open.first().copied().unwrap_or(Seq(u64::MAX));
        let needed = session
            .contexts
            .iter()
            .rposition(|seq| *seq < oldest)
            .unwrap_or(0);
        let done: Vec<Seq> = session.contexts.drain(..needed).collect();
        session.frames.retain(|seq| !done.contains(seq));
        for seq in done {
            self.frames.remove(&seq);
            self.done_with(seq);
        }
    }

    pub(super) fn event(
        &mut self,
        id: SessionId,
        frame: &Frame<'_>,
        step: SessionStep,
        at_us: u64,
        out: &mut Emitted,
    ) {
        let key = row_key(self.lane, frame.seq);
        if let Some(session) = self.sessions.get(&id) {
            out.events
                .push(EventRow::step(key, step, at_us, frame.chain, session));
        }
    }

    pub(super) fn end_session(
        &mut self,
        end: &SessionEnd<'_>,
        frame: &Frame<'_>,
        out: &mut Emitted,
    ) {
        let session = self.session(end.session);
        if let Some(claimed) = &end.claimed {
            session.learn(|who| who.claim(claimed));
        }
        self.lose_open(end.session, &mut out.statements);
        if let Some(session) = self.sessions.get(&end.session) {
            let key = row_key(self.lane, frame.seq);
            out.events
                .push(EventRow::end(key, end, frame.chain, session));
        }
        self.forget_session(end.session);
    }

    pub(super) fn lose_open(&mut self, id: SessionId, lost_rows: &mut Vec<StatementRow>) {
        let open = self
            .sessions
            .get_mut(&id)
            .map(|session| std::mem::take(&mut session.open));
        for seq in open.unwrap_or_default() {
            let Some(mut lost) = self.open.remove(&seq) else {
                continue;
            };
            self.done_with(seq);
            let failed = self.take_failure(&mut lost);
            // A prepare whose execution is lost too has its row there.
            if lost.taken_by.is_none() {
                let outcome = failed.unwrap_or(nothing(seq, Completion::Lost));
                lost_rows.push(StatementRow {
                    outcome,
                    ..lost.row
                });
            }
        }
    }

    pub(super) fn forget_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        for seq in session.frames {
            self.frames.remove(&seq);
            self.done_with(seq);
        }
        for seq in session.texts.into_iter().chain(session.unnamed) {
            self.forget_text(seq);
        }
    }
}
