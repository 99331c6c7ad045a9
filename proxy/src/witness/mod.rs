//! Hands checkpoints to witnesses outside of the data folder, each on a thread of its own: one that is slow or gone
//! delays nobody, neither statements nor the shipper nor another witness.

mod http;
mod syslog;

use std::{
    collections::VecDeque,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use sqlward_audit_store::{proof::append, ship::ShipperMetrics};

pub(crate) use self::{http::Http, syslog::Syslog};

/// Who keeps checkpoints elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A file that they are appended to.
    File(PathBuf),
    /// A server that they are sent to by POST.
    Http(Http),
    /// A system log.
    Syslog(Syslog),
}

impl Witness {
    fn hand(&self, note: &str) -> io::Result<()> {
        match self {
            Self::File(path) => append(path, note),
            Self::Http(server) => server.hand(note),
            Self::Syslog(log) => log.hand(note),
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Http(server) => server.fmt(f),
            Self::Syslog(log) => log.fmt(f),
        }
    }
}

/// The two ends of a queue of checkpoints.
type Queue = (Option<SyncSender<Arc<str>>>, Option<Receiver<Arc<str>>>);

/// A queue, if there is a witness.
pub(crate) fn channel(witnesses: &[Witness]) -> Queue {
    if witnesses.is_empty() {
        return (None, None);
    }
    let (sender, receiver) = sync_channel(WAITING);
    (Some(sender), Some(receiver))
}

/// Starts handing out what comes, until the other end is dropped.
pub(crate) fn start(
    from: Option<Receiver<Arc<str>>>,
    witnesses: &[Witness],
    metrics: &Arc<ShipperMetrics>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let Some(from) = from else {
        return Ok(Vec::new());
    };
    let (mut threads, mut queues) = (Vec::new(), Vec::new());
    for witness in witnesses {
        let (sender, receiver) = sync_channel(WAITING);
        let mut handing = Handing {
            witness: witness.clone(),
            from: receiver,
            waiting: VecDeque::new(),
            metrics: Arc::clone(metrics),
            pause: FIRST_PAUSE,
            again: None,
        };
        threads.push(thread(move || handing.run())?);
        queues.push((witness.clone(), sender));
    }
    let metrics = Arc::clone(metrics);
    let distribute = move || {
        for note in from {
            for (witness, queue) in &queues {
                if queue.try_send(Arc::clone(&note)).is_err() {
                    missed(&metrics, witness, &"its queue is full");
                }
            }
        }
    };
    threads.push(thread(distribute)?);
    Ok(threads)
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("sqlward-witness".to_owned())
        .spawn(work)
}

/// Waits until the last checkpoint is handed out, or its witness has been given a last try.
pub(crate) fn stop(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a witness' thread has failed");
        }
    }
}

/// What one witness is due.
struct Handing {
    witness: Witness,
    from: Receiver<Arc<str>>,
    waiting: VecDeque<Arc<str>>,
    metrics: Arc<ShipperMetrics>,
    /// How long to wait after the next failure.
    pause: Duration,
    /// When to try again, after a failure.
    again: Option<Instant>,
}

impl Handing {
    fn run(&mut self) {
        loop {
            let received = match self.again {
                Some(again) => self
                    .from
                    .recv_timeout(again.saturating_duration_since(Instant::now())),
                None => self.from.recv().map_err(RecvTimeoutError::from),
            };
            match received {
                Ok(note) => self.enqueue(note),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.hand_out();
                    return;
                }
            }
            if self.again.is_none_or(|again| again <= Instant::now()) {
                self.hand_out();
            }
        }
    }

    /// The oldest go first: each newer one says all that they did.
    fn enqueue(&mut self, note: Arc<str>) {
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            missed(&self.metrics, &self.witness, &"too many wait for it");
        }
        self.waiting.push_back(note);
    }

    fn hand_out(&mut self) {
        self.again = None;
        while let Some(note) = self.waiting.front() {
            match self.witness.hand(note) {
                Ok(()) => {
                    self.waiting.pop_front();
                    self.pause = FIRST_PAUSE;
                }
                Err(error) => {
                    missed(&self.metrics, &self.witness, &error);
                    self.again = Some(Instant::now() + self.pause);
                    self.pause = (self.pause * 2).min(LAST_PAUSE);
                    return;
                }
            }
        }
    }
}

fn missed(metrics: &ShipperMetrics, witness: &Witness, error: &dyn fmt::Display) {
    metrics.checkpoint_errors.fetch_add(1, Ordering::Relaxed);
    tracing::error!(%error, %witness, "the witness did not get a checkpoint");
}

/// Checkpoints that may wait for a witness.
const WAITING: usize = 64;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// How long a witness may take for one checkpoint.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
