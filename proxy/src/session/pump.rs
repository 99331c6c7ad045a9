//! The pump: reads, feeds the core, does what it says, writes; one wake-up, as few system calls as there are bytes to move.

use std::task::{Context as Task, Poll, Waker};

use sqlward_audit_store::journal::SyncFailed;
use sqlward_wire::{Event, Pipe, SqlState, TxStatus};
use tokio::time::Instant;

use super::{
    Next, Session,
    protocol::{Core, Protocol},
};
use crate::{enforce, tls::Stream};

/// What one look at something gave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Bytes moved, or an end was seen.
    Moved,
    /// There is nothing to do until somebody wakes us.
    Waiting,
}

/// One leg's socket, and whether encrypted bytes wait inside it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: Stream,
    unflushed: bool,
    ended: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            unflushed: false,
            ended: false,
        }
    }

    /// Write what is ready in `pipe`. `Err`: the peer is gone.
    fn write(&mut self, pipe: &mut Pipe, cx: &mut Task<'_>) -> Result<Step, ()> {
        let mut step = Step::Waiting;
        while !pipe.ready().is_empty() {
            match self.stream.poll_write(cx, pipe.ready()) {
                Poll::Ready(Ok(written @ 1..)) => {
                    pipe.sent(written);
                    self.unflushed = matches!(self.stream, Stream::Tls(_));
                    step = Step::Moved;
                }
                Poll::Ready(_) => return Err(()),
                Poll::Pending => break,
            }
        }
        if self.unflushed {
            match self.stream.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Err(()),
                Poll::Pending => {}
            }
        }
        Ok(step)
    }

    /// Read into `pipe` what there is. `Err`: the peer is gone.
    fn read(&mut self, pipe: &mut Pipe, cx: &mut Task<'_>) -> Poll<Result<usize, ()>> {
        if self.ended || pipe.is_full() {
            return Poll::Pending;
        }
        match self.stream.poll_read(cx, pipe.space()) {
            Poll::Ready(Ok(read @ 1..)) => Poll::Ready(Ok(read)),
            Poll::Ready(_) => {
                self.ended = true;
                Poll::Ready(Err(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Write everything that is ready in `pipe`. `Err`: the peer is gone.
    pub(super) fn say(&mut self, pipe: &mut Pipe, cx: &mut Task<'_>) -> Poll<Result<(), ()>> {
        while !pipe.ready().is_empty() || self.unflushed {
            match self.write(pipe, cx) {
                Ok(Step::Moved) => {}
                Ok(Step::Waiting) if pipe.ready().is_empty() && !self.unflushed => break,
                Ok(Step::Waiting) => return Poll::Pending,
                Err(()) => return Poll::Ready(Err(())),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether everything that could be said has left.
    fn said(&mut self, pipe: &mut Pipe, cx: &mut Task<'_>) -> bool {
        // To a peer that is gone there is nothing more to say.
        self.say(pipe, cx).is_ready()
    }
}

impl<P: Protocol> Session<P> {
    /// Move bytes and judge statements until something has to be waited for.
    pub(super) fn pump(&mut self, cx: &mut Task<'_>) -> Poll<Next> {
        self.tick();
        loop {
            while let Some(action) = self.wire.poll() {
                if let Some(next) = self.act(action) {
                    return Poll::Ready(next);
                }
            }
            // The core may have paused for lack of room: after writing it is asked again.
            if self.write(cx) == Step::Moved {
                continue;
            }
            if self.read(cx) == Step::Moved {
                self.timing.active_ns = self.now_ns;
                continue;
            }
            if self.must_end(cx) == Step::Waiting {
                self.sleep(cx.waker());
                release_idle(self.wire.client());
                release_idle(self.wire.server());
                return Poll::Pending;
            }
        }
    }

    /// Let the worker wake this session, too. The waker stays the same as long as the task does.
    fn sleep(&mut self, waker: &Waker) {
        let known = self.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(waker)) {
            self.worker.sleep(self.id.0, waker);
            self.waker = Some(waker.clone());
        }
    }

    fn write(&mut self, cx: &mut Task<'_>) -> Step {
        let mut step = Step::Waiting;
        if let Err(SyncFailed) = self.hold_back(cx) {
            return Step::Moved;
        }
        if !self.held_back
            && let Some(server) = &mut self.server
        {
            match server.write(self.wire.client(), cx) {
                Ok(Step::Moved) => step = Step::Moved,
                Ok(Step::Waiting) => {}
                Err(()) if server.ended => {}
                Err(()) => {
                    self.drain_server(cx);
                    step = Step::Moved;
                }
            }
        }
        match self.client.write(self.wire.server(), cx) {
            Ok(Step::Moved) => Step::Moved,
            Err(()) if !self.client.ended => {
                self.client.ended = true;
                self.tell(Event::ClientClosed);
                Step::Moved
            }
            Ok(Step::Waiting) | Err(()) => step,
        }
    }

    /// See whether what is ready for the server has its records where the durability wants them. `Err`: they can't get
    /// there, and the session ends.
    fn hold_back(&mut self, cx: &mut Task<'_>) -> Result<(), SyncFailed> {
        self.held_back = false;
        let Some(disk) = &self.worker.disk else {
            return Ok(());
        };
        if self.server.is_none() || self.wire.client().ready().is_empty() {
            return Ok(());
        }
        let awaited = self.record.last_intent;
        let synced = disk.poll_synced(awaited, cx);
        self.held_back = synced.is_pending();
        // More bytes of what has passed unsynced ask nobody again.
        if self.unsynced == Some(awaited) {
            return Ok(());
        }
        match synced {
            Poll::Ready(Err(_)) if enforce::may_go_unsynced(&self.worker) => {
                self.unsynced = Some(awaited);
                Ok(())
            }
            Poll::Ready(Err(error)) => {
                // Nothing of it may leave.
                self.server = None;
                self.abort(SqlState::IO_ERROR, format!("sqlward: {error}"));
                Err(error)
            }
            Poll::Ready(_) | Poll::Pending => Ok(()),
        }
    }

    /// After a failed write: what the server had to say before it closed is taken in before its end is told.
    fn drain_server(&mut self, cx: &mut Task<'_>) {
        while let Some(server) = &mut self.server {
            match server.read(self.wire.server(), cx) {
                Poll::Ready(Ok(read)) => self.tell(Event::ServerBytes(read)),
                Poll::Ready(Err(())) | Poll::Pending => {
                    server.ended = true;
                    break;
                }
            }
        }
        self.tell(Event::ServerClosed);
    }

    fn read(&mut self, cx: &mut Task<'_>) -> Step {
        let mut step = Step::Waiting;
        if let Some(server) = &mut self.server {
            match server.read(self.wire.server(), cx) {
                Poll::Ready(Ok(read)) => {
                    self.tell(Event::ServerBytes(read));
                    step = Step::Moved;
                }
                Poll::Ready(Err(())) => {
                    self.tell(Event::ServerClosed);
                    step = Step::Moved;
                }
                Poll::Pending => {}
            }
        }
        match self.client.read(self.wire.client(), cx) {
            Poll::Ready(Ok(read)) => {
                self.tell(Event::ClientBytes(read));
                Step::Moved
            }
            Poll::Ready(Err(())) => {
                self.tell(Event::ClientClosed);
                Step::Moved
            }
            Poll::Pending => step,
        }
    }

    /// Whether a timeout, the drain or the operator ends the session now.
    fn must_end(&mut self, cx: &mut Task<'_>) -> Step {
        if self.timing.ending {
            return Step::Waiting;
        }
        let between =
            self.wire.is_idle() && matches!(self.wire.tx_status(), None | Some(TxStatus::Idle));
        let draining = self.worker.shared.is_draining() && between && self.timing.established;
        if self.worker.aborting.get() || draining {
            return self.end(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection: sqlward is shutting down",
            );
        }
        let Some(timer) = &mut self.timing.timer else {
            return Step::Waiting;
        };
        if std::future::Future::poll(timer.as_mut(), cx).is_pending() {
            return Step::Waiting;
        }
        if !self.timing.established {
            return self.end(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection: authentication took too long",
            );
        }
        let Some(limit) = self.worker.shared.config.limits.idle_timeout else {
            self.timing.timer = None;
            return Step::Waiting;
        };
        let idle =
            std::time::Duration::from_nanos(self.now_ns.saturating_sub(self.timing.active_ns));
        if idle >= limit && self.wire.awaits_client() {
            return self.end(
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            );
        }
        timer
            .as_mut()
            .reset(Instant::now() + limit.saturating_sub(idle).max(limit / 16));
        // Polled again at once, so that the timer knows whom to wake.
        Step::Moved
    }

    fn end(&mut self, sqlstate: SqlState, message: &str) -> Step {
        self.timing.ending = true;
        self.abort(sqlstate, message);
        Step::Moved
    }

    /// Write what is left to say to both ends, and close them. `vanished`: the client has gone without a word.
    pub(super) fn farewell(&mut self, vanished: bool, cx: &mut Task<'_>) -> Poll<()> {
        if self.hold_back(cx).is_ok() && self.held_back {
            return Poll::Pending;
        }
        let server = match &mut self.server {
            Some(server) => server.said(self.wire.client(), cx),
            None => true,
        };
        let client = self.client.said(self.wire.server(), cx);
        if !(server && client) {
            return Poll::Pending;
        }
        if vanished {
            // So does its session at the server: a goodbye in TLS would be bytes that wait to be read, which keep a
            // server from seeing that nobody waits for the statement that it runs.
            self.server = None;
        }
        let mut pending = self.client.stream.poll_shutdown(cx).is_pending();
        if let Some(server) = &mut self.server {
            pending |= server.stream.poll_shutdown(cx).is_pending();
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

/// Give back the memory that a pipe without traffic does not need.
fn release_idle(pipe: &mut Pipe) {
    if pipe.capacity() > Pipe::SMALL {
        pipe.release_idle();
    }
}
