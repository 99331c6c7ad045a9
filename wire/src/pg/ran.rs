//! What a pipeline has executed, so that it can be told when its implicit transaction is taken back.

use std::collections::VecDeque;

use crate::pg::commands::Out;
use crate::session::{Action, TxStatus};
use crate::sqlstate::SqlState;

/// What was executed since the last sync point, and whether something failed behind it.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    tags: VecDeque<T>,
    more: u64,
    failed: Option<SqlState>,
}

/// How many executions of a pipeline can be told as undone one by one.
const MOST_RAN: usize = 256;

impl<T> Default for Ran<T> {
    fn default() -> Self {
        Self {
            tags: VecDeque::new(),
            more: 0,
            failed: None,
        }
    }
}

impl<T> Ran<T> {
    /// Takes note of an execution.
    pub(crate) fn add(&mut self, tag: T) {
        if self.tags.len() >= MOST_RAN {
            self.tags.pop_front();
            self.more = self.more.saturating_add(1);
        }
        self.tags.push_back(tag);
    }

    /// Takes note of an error, which takes back what the implicit transaction has done so far.
    pub(crate) fn fail(&mut self, sqlstate: SqlState) {
        self.failed.get_or_insert(sqlstate);
    }

    /// Tells what is undone at a sync point. In a block, the end of the block will tell.
    pub(crate) fn end(&mut self, tx: TxStatus, out: &mut Out<T>) {
        let failed = self.failed.take();
        let more = std::mem::take(&mut self.more);
        if let Some(sqlstate) = failed
            && tx == TxStatus::Idle
            && !self.tags.is_empty()
        {
            let tags = std::mem::take(&mut self.tags).into();
            out.push(Action::Undone {
                sqlstate,
                tags,
                more,
            });
        }
        self.tags.clear();
    }
}
