//! Hands checkpoints to a witness outside of the data folder, on a thread of its own: a witness that is slow or gone
//! delays nobody.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use sqlward_audit_store::{proof::append, ship::ShipperMetrics};

use crate::config::Proof;

/// Checkpoints that may wait for the witness; later ones are then missed, and each new one says all that they did.
const WAITING: usize = 64;

/// The two ends of a queue of checkpoints.
type Queue = (Option<SyncSender<Arc<str>>>, Option<Receiver<Arc<str>>>);

/// A queue, if there is a witness.
pub(crate) fn channel(proof: &Proof) -> Queue {
    if proof.witness_file.is_none() {
        return (None, None);
    }
    let (sender, receiver) = sync_channel(WAITING);
    (Some(sender), Some(receiver))
}

/// Starts handing out what comes, until the other end is dropped.
pub(crate) fn start(
    from: Option<Receiver<Arc<str>>>,
    proof: &Proof,
    metrics: Arc<ShipperMetrics>,
) -> io::Result<Option<JoinHandle<()>>> {
    let (Some(from), Some(path)) = (from, proof.witness_file.clone()) else {
        return Ok(None);
    };
    let thread = std::thread::Builder::new().name("sqlward-witness".to_owned());
    let work = move || {
        for note in from {
            hand(&path, &note, &metrics);
        }
    };
    thread.spawn(work).map(Some)
}

fn hand(path: &Path, note: &str, metrics: &ShipperMetrics) {
    if let Err(error) = append(path, note) {
        metrics.checkpoint_errors.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, path = %path.display(), "the witness did not get a checkpoint");
    }
}

/// Waits until the last checkpoint is handed out.
pub(crate) fn stop(witness: Option<JoinHandle<()>>) {
    if let Some(thread) = witness
        && thread.join().is_err()
    {
        tracing::error!("the witness' thread has failed");
    }
}
