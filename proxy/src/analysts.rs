//! Threads that analyse long statements, so that a long one never stalls the other sessions of its worker.

use std::{
    io,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use sqlward_policy::statement::{ANALYSIS_STACK_BYTES, Analysis, LexState, Limits, analyse};
use tokio::sync::oneshot;

/// Texts up to this length are analysed on the worker's own thread.
pub(crate) const INLINE_BYTES: usize = 8 << 10;

#[derive(Debug)]
struct Job {
    text: Box<[u8]>,
    lex: LexState,
    reply: oneshot::Sender<Analysis>,
}

/// The way to the analysis threads.
#[derive(Clone, Debug)]
pub struct Analysts(mpsc::Sender<Job>);

impl Analysts {
    /// Start `count` analysis threads; they end when the last handle is gone.
    ///
    /// # Errors
    /// A thread can't be made.
    pub fn start(count: usize) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..count.max(1) {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new()
                .name(format!("analyst-{number}"))
                .stack_size(ANALYSIS_STACK_BYTES)
                .spawn(move || work(&jobs))?;
        }
        Ok(Self(sender))
    }

    /// Analyse `text`. `None`: the threads are gone, and the statement stays unread.
    ///
    /// Cancel safe: a dropped call wastes an analysis.
    pub async fn analyse(&self, text: &[u8], lex: LexState) -> Option<Analysis> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(Job {
                text: text.into(),
                lex,
                reply,
            })
            .ok()?;
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
        let analysis = analyse(&job.text, &job.lex, &Limits::default());
        if job.reply.send(analysis).is_err() {
            tracing::debug!("a session ended before its statement was analysed");
        }
    }
}
