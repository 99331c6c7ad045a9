//! Threads that analyse long statements, so that a long one never stalls the other sessions of its worker.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use sqlward_policy::statement::{
    ANALYSIS_STACK_BYTES, Analysis, LexState, Limits, analyse, analyse_replication,
};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// Texts up to this length are analysed on the worker's own thread.
pub(crate) const INLINE_BYTES: usize = 8 << 10;

#[derive(Debug)]
struct Job {
    text: Box<[u8]>,
    lex: LexState,
    channel: Channel,
    reply: oneshot::Sender<Analysis>,
}

/// Over what kind of connection a text comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// One for SQL.
    #[default]
    Sql,
    /// One for replication, which has commands of its own.
    Replication,
}

impl Channel {
    /// Analyse `text` as the server reads it there.
    #[must_use]
    pub fn analyse(self, text: &[u8], lex: &LexState) -> Analysis {
        match self {
            Self::Sql => analyse(text, lex, &Limits::default()),
            Self::Replication => analyse_replication(text, lex, &Limits::default()),
        }
    }
}

/// How many texts a thread may have before it, the one that it reads included; only so many are copied.
const TURNS_PER_THREAD: usize = 2;

/// The way to the analysis threads.
#[derive(Clone, Debug)]
pub struct Analysts {
    jobs: mpsc::Sender<Job>,
    turns: Arc<Semaphore>,
}

/// The right to have one text analysed. Sessions get it in the order in which they ask.
#[derive(Debug)]
pub struct Turn<'a> {
    jobs: &'a mpsc::Sender<Job>,
    _permit: SemaphorePermit<'a>,
}

impl Analysts {
    /// Start `count` analysis threads; they end when the last handle is gone.
    ///
    /// # Errors
    /// A thread can't be made.
    pub fn start(count: usize) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let count = count.max(1);
        for number in 0..count {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("analyst-{number}"))
                .stack_size(ANALYSIS_STACK_BYTES)
                .spawn(move || work(&jobs))?;
        }
        Ok(Self {
            jobs: sender,
            turns: Arc::new(Semaphore::new(count.saturating_mul(TURNS_PER_THREAD))),
        })
    }

    /// Wait for a turn. `None`: there will be none.
    ///
    /// Cancel safe: a dropped call loses its place among those who wait.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.turns.acquire().await.ok()?;
        Some(Turn {
            jobs: &self.jobs,
            _permit: permit,
        })
    }
}

impl Turn<'_> {
    /// Analyse `text`. `None`: the threads are gone, and the statement stays unread.
    ///
    /// Cancel safe: a dropped call wastes an analysis.
    pub async fn analyse(
        self,
        text: Box<[u8]>,
        lex: LexState,
        channel: Channel,
    ) -> Option<Analysis> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            text,
            lex,
            channel,
            reply,
        };
        self.jobs.send(job).ok()?;
        answer.await.ok()
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = match jobs.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok(job) = job else { return };
        let analysis = job.channel.analyse(&job.text, &job.lex);
        if job.reply.send(analysis).is_err() {
            tracing::debug!("a session ended before its statement was analysed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn so_many_texts_wait_and_no_more() {
        let analysts = Analysts::start(1).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let mut ask = || {
            let mut asked = Box::pin(analysts.turn());
            match asked.as_mut().poll(&mut cx) {
                Poll::Ready(turn) => turn,
                Poll::Pending => None,
            }
        };
        let (first, second) = (ask(), ask());
        assert!(first.is_some() && second.is_some());
        assert!(ask().is_none(), "a third one has to wait");
        drop(first);
        assert!(ask().is_some());
    }

    #[tokio::test]
    async fn a_turn_is_given_back_with_its_answer() {
        let analysts = Analysts::start(1).unwrap();
        for _ in 0..3 * TURNS_PER_THREAD {
            let turn = analysts.turn().await.unwrap();
            let text = b"SELECT 1".as_slice().into();
            let analysis = turn.analyse(text, LexState::default(), Channel::Sql).await;
            assert!(analysis.is_some());
        }
    }
}
