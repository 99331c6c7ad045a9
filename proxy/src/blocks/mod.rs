//! Whom the proxy keeps out for a time, whatever the policy says: neither may they connect nor run statements.
//!
//! The list is a file in the data folder ([`BlockFile`]), so that it outlives the proxy and `sqlward block` can change it with
//! or without one. A running proxy looks at the file twice a second; each block that comes and goes is an administration
//! record. While there is no block, a statement costs one relaxed load.

mod block;
mod count;
pub(crate) mod escalate;
mod file;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use sqlward_policy::{RefusalText, Subject};

pub use self::block::{Block, Whom};
use self::count::Counts;
use self::file::Stamp;
pub use self::file::{BlockError, BlockFile, List, MAX_BLOCKS};
use crate::administration::Administration;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The blocks in force.
#[derive(Debug)]
pub struct Blocks {
    file: BlockFile,
    any: AtomicBool,
    active: ArcSwap<Vec<Active>>,
    /// In force already, but not in the file.
    fresh: Mutex<Vec<Block>>,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Active {
    block: Block,
    refusal: Arc<RefusalText>,
}

impl Blocks {
    /// The blocks of the proxy whose data folder is `data`.
    ///
    /// # Errors
    /// The list can't be read: a proxy that does not know whom to keep out must not start.
    pub fn open(data: &Path) -> Result<Self, BlockError> {
        let blocks = Self {
            file: BlockFile::of(data),
            any: AtomicBool::new(false),
            active: ArcSwap::default(),
            fresh: Mutex::default(),
            counts: Counts::default(),
        };
        blocks.enforce(blocks.file.read()?.blocks);
        Ok(blocks)
    }

    /// Whether anybody is kept out.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// What a session of this subject, who acts for `end_user`, is told, if it is kept out now.
    pub(crate) fn of(
        &self,
        subject: &Subject,
        end_user: Option<&str>,
        now: Timestamp,
    ) -> Option<Arc<RefusalText>> {
        let active = self.active.load();
        let found = active.iter().find(|active| {
            active.block.holds(now) && active.block.whom.covers(subject, end_user)
        })?;
        Some(Arc::clone(&found.refusal))
    }

    /// Takes up what changes in the file, for as long as the proxy runs.
    pub(crate) async fn keep(&self, administration: &Administration) -> std::convert::Infallible {
        let mut seen = None;
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            ticks.tick().await;
            let stamp = self.file.stamp();
            if seen != Some(stamp) || self.has_fresh() || self.is_over(Timestamp::now()) {
                seen = self.take_up(administration);
            }
        }
    }

    /// Keeps somebody out from now on; the list has it a moment later.
    fn put(&self, block: Block) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.len() >= MAX_BLOCKS {
            tracing::error!(%block, "too many blocks at once: this one is not kept");
            return;
        }
        fresh.push(block.clone());
        let mut active = Vec::clone(&self.active.load());
        active.push(Active::new(block));
        self.active.store(Arc::new(active));
        self.any.store(true, Ordering::Relaxed);
    }

    fn has_fresh(&self) -> bool {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        !fresh.is_empty()
    }

    /// Whether a block in force has come to its end.
    fn is_over(&self, now: Timestamp) -> bool {
        let active = self.active.load();
        active.iter().any(|active| !active.block.holds(now))
    }

    /// Puts the list in the file in force, and records what is new in it. Answers which state of the file that was.
    fn take_up(&self, administration: &Administration) -> Option<Stamp> {
        let now = Timestamp::now();
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.file.edit(|list| {
            for block in fresh.drain(..) {
                let told = block.to_string();
                if let Err(error) = list.add(block) {
                    tracing::error!(%error, block = told, "a block can't be kept");
                }
            }
            for block in &mut list.blocks {
                if !std::mem::replace(&mut block.recorded, true) {
                    administration.blocked(block);
                }
                if let Some(by) = &block.removed_by {
                    administration.unblocked(block, by);
                } else if !block.holds(now) {
                    administration.unblocked(block, "its end");
                }
            }
            list.blocks.retain(|block| block.holds(now));
            Ok(list.blocks.clone())
        });
        match taken {
            Ok(blocks) => self.enforce(blocks),
            // Those in force stay in force.
            Err(error) => tracing::error!(%error, "the list of blocks can't be taken up"),
        }
        Some(self.file.stamp())
    }

    fn enforce(&self, blocks: Vec<Block>) {
        self.any.store(!blocks.is_empty(), Ordering::Relaxed);
        let active = blocks.into_iter().map(Active::new);
        self.active.store(Arc::new(active.collect()));
    }
}

impl Active {
    fn new(block: Block) -> Self {
        Self {
            refusal: Arc::new(refusal(&block)),
            block,
        }
    }
}

/// What somebody who is kept out is told. Why, is for those who may see the list.
fn refusal(block: &Block) -> RefusalText {
    let until = match block.until {
        Some(until) => format!("until {until}"),
        None => "until further notice".to_owned(),
    };
    RefusalText {
        sqlstate: sqlward_policy::SQLSTATE_REFUSED,
        message: format!("sqlward keeps you out {until}").into(),
        detail: "`sqlward block list` says why".into(),
        rule: None,
        terminate: true,
    }
}
