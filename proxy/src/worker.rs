//! Worker threads: each runs its sessions on a runtime of its own, with a journal lane and a statement cache of its own,
//! so that nothing on a statement's way is shared.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
    thread,
};

use sqlward_audit_store::journal::{Disk, Durability, Lane};
use sqlward_policy::{
    Policy,
    statement::{ANALYSIS_STACK_BYTES, Limits, Reader},
};
use tokio::{
    runtime::{self, LocalOptions, LocalRuntime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::{
    analysts::Analysts,
    config::Protocol,
    gaps::{self, Gaps},
    listener::Accepted,
    session::{self, Mysql, Pg},
    shapes::Shapes,
    shared::Shared,
};

/// Memory for a worker's statement cache.
const CACHE_BYTES: usize = 32 << 20;

/// The ways to the worker threads.
#[derive(Debug, Default)]
pub struct Workers(Vec<Handle>);

#[derive(Debug)]
struct Handle {
    orders: UnboundedSender<Order>,
    load: Arc<AtomicUsize>,
}

/// What a worker can be told.
#[derive(Debug)]
pub enum Order {
    /// Serve this connection.
    Serve(Box<Accepted>),
    /// Look at the state of every session again.
    Wake,
    /// End every session.
    Abort,
}

/// The receiving end of a worker's orders, to be given to its thread.
#[derive(Debug)]
pub struct Seat {
    number: u16,
    orders: UnboundedReceiver<Order>,
    load: Arc<AtomicUsize>,
}

impl Workers {
    /// Make `count` workers' handles and the seats for their threads.
    #[must_use]
    pub fn new(count: usize) -> (Self, Vec<Seat>) {
        let mut handles = Vec::with_capacity(count);
        let mut seats = Vec::with_capacity(count);
        for number in 0..u16::try_from(count).unwrap_or(u16::MAX) {
            let (sender, orders) = unbounded_channel();
            let load = Arc::new(AtomicUsize::new(0));
            handles.push(Handle {
                orders: sender,
                load: Arc::clone(&load),
            });
            seats.push(Seat {
                number,
                orders,
                load,
            });
        }
        (Self(handles), seats)
    }

    /// Hand a connection to the worker with the fewest sessions.
    pub fn give(&self, accepted: Accepted) {
        if let Some(handle) = self
            .0
            .iter()
            .min_by_key(|handle| handle.load.load(Ordering::Relaxed))
        {
            handle.load.fetch_add(1, Ordering::Relaxed);
            handle.tell(Order::Serve(Box::new(accepted)));
        }
    }

    /// Let every session look at its state again.
    pub fn wake(&self) {
        self.0.iter().for_each(|handle| handle.tell(Order::Wake));
    }

    /// End every session now.
    pub fn abort(&self) {
        self.0.iter().for_each(|handle| handle.tell(Order::Abort));
    }
}

impl Handle {
    /// A worker that is gone has no sessions left; its orders have nobody to reach.
    fn tell(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::debug!("order for a worker that has ended");
        }
    }
}

/// One worker, as its sessions see it.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Its journal lane.
    pub lane: RefCell<Lane>,
    /// How far the lane is on the disk, where nothing may leave before.
    pub disk: Option<Arc<Disk>>,
    /// Its statement cache.
    pub reader: RefCell<Reader>,
    /// Analysis shapes already in the journal.
    pub shapes: RefCell<Shapes>,
    /// Where long statements are analysed.
    pub analysts: Analysts,
    /// What the audit could not do as it should, and has not told yet.
    pub(crate) gaps: Rc<Gaps>,
    /// Whether every session is to end at once.
    pub aborting: Cell<bool>,
    sleepers: RefCell<HashMap<u64, Waker>>,
    load: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// The policy in force.
    pub fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.shared.policy.load()
    }

    /// Remember how to wake session `session`.
    pub fn sleep(&self, session: u64, waker: &Waker) {
        let mut sleepers = self.sleepers.borrow_mut();
        sleepers.insert(session, waker.clone());
    }

    /// Session `session` has ended.
    pub fn leave(&self, session: u64) {
        self.sleepers.borrow_mut().remove(&session);
        self.load.fetch_sub(1, Ordering::Relaxed);
    }

    fn wake_all(&self) {
        self.sleepers.borrow().values().for_each(Waker::wake_by_ref);
    }
}

impl Drop for Worker {
    /// What the journal could not take is told at the latest when the worker ends.
    fn drop(&mut self) {
        if let Err(error) = gaps::tell_now(self) {
            tracing::error!(%error, "the journal's gap could not be told");
        }
    }
}

/// Start the thread of one worker. It ends when draining has begun and its last session is over.
///
/// # Errors
/// The thread or its runtime can't be made.
pub fn start(
    seat: Seat,
    lane: Lane,
    analysts: Analysts,
    shared: Arc<Shared>,
) -> io::Result<thread::JoinHandle<()>> {
    let (made, told) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("worker-{}", seat.number))
        .stack_size(ANALYSIS_STACK_BYTES)
        .spawn(move || match local_runtime() {
            Ok(runtime) => {
                take_priority(shared.config.worker_priority);
                let _heard = made.send(Ok(()));
                runtime.block_on(serve(seat, lane, analysts, shared));
            }
            Err(error) => {
                let _heard = made.send(Err(error));
            }
        })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// The nice value that workers take where nobody says otherwise.
const PRIORITY: i32 = -5;

/// Let this thread run before others. Every session waits for its worker, so that a worker that waits for a processor
/// costs more than its own time. Linux keeps a nice value per thread (nice(2), C library/kernel differences).
fn take_priority(asked: Option<i32>) {
    let nice = match (asked, rustix::process::getpriority_process(None)) {
        (Some(nice), _) => nice,
        (None, Ok(own)) => own.min(PRIORITY),
        (None, Err(_)) => PRIORITY,
    };
    match rustix::process::setpriority_process(None, nice) {
        Ok(()) => {}
        Err(error) if asked.is_some() => {
            tracing::warn!(nice, %error, "worker_priority was not granted: it needs CAP_SYS_NICE or LimitNICE=");
        }
        Err(error) => tracing::debug!(nice, %error, "the workers keep the process's priority"),
    }
}

/// A runtime that stays on its thread, so that its tasks need not be `Send` and go through no second queue.
fn local_runtime() -> io::Result<LocalRuntime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
}

async fn serve(mut seat: Seat, lane: Lane, analysts: Analysts, shared: Arc<Shared>) {
    let disk = lane.disk();
    let awaited = shared.config.durability == Durability::Disk;
    let worker = Rc::new(Worker {
        reader: RefCell::new(Reader::new(CACHE_BYTES, Limits::default())),
        shapes: RefCell::default(),
        disk: disk.clone().filter(|_| awaited),
        lane: RefCell::new(lane),
        analysts,
        gaps: Rc::default(),
        aborting: Cell::new(false),
        sleepers: RefCell::default(),
        load: seat.load,
        shared,
    });
    let (gaps, weak) = (Rc::clone(&worker.gaps), Rc::downgrade(&worker));
    tokio::task::spawn_local(gaps::keep_telling(gaps, weak.clone()));
    if let Some(disk) = disk {
        tokio::task::spawn_local(gaps::tell_failure(disk, weak));
    }
    let mut sessions = tokio::task::JoinSet::new();
    loop {
        let order = tokio::select! {
            order = seat.orders.recv() => order,
            Some(_ended) = sessions.join_next(), if !sessions.is_empty() => {
                if worker.shared.is_draining() && sessions.is_empty() { return }
                continue
            }
        };
        match order {
            Some(Order::Serve(accepted)) => {
                let worker = Rc::clone(&worker);
                match accepted.listener.config.protocol {
                    Protocol::Postgres => {
                        sessions.spawn_local(session::serve::<Pg>(worker, *accepted))
                    }
                    Protocol::Mysql => {
                        sessions.spawn_local(session::serve::<Mysql>(worker, *accepted))
                    }
                };
            }
            Some(Order::Wake) => worker.wake_all(),
            Some(Order::Abort) => {
                worker.aborting.set(true);
                worker.wake_all();
            }
            None => return,
        }
        if worker.shared.is_draining() && sessions.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_takes_its_priority_alone() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let after = (before + 3).min(19);
        let worker = thread::spawn(move || {
            take_priority(Some(after));
            nice()
        });
        assert_eq!(worker.join().unwrap(), after);
        assert_eq!(nice(), before);
    }
}
