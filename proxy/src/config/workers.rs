//! How many worker threads there are, and with which priority.

use std::num::NonZero;

use toml::Spanned;

use super::{
    compile::{Checker, Listener},
    words::Protocol,
};

impl Checker<'_> {
    pub(super) fn workers(
        &mut self,
        asked: Option<Spanned<usize>>,
        listeners: &[Listener],
    ) -> usize {
        match asked {
            Some(workers) if *workers.get_ref() == 0 || *workers.get_ref() > 1024 => {
                self.problem(workers.span(), "expected 1 to 1024 workers");
                1
            }
            Some(workers) => workers.into_inner(),
            None => default_workers(listeners.iter().map(|listener| listener.protocol)),
        }
    }

    pub(super) fn worker_priority(&mut self, asked: Option<Spanned<i32>>) -> Option<i32> {
        match asked {
            Some(nice) if !(-20..=19).contains(nice.get_ref()) => {
                self.problem(nice.span(), "expected a nice value, -20 to 19");
                None
            }
            nice => nice.map(Spanned::into_inner),
        }
    }
}

/// One worker per two processors, rounded up, in front of PostgreSQL: clients' and servers' share of the work keeps the
/// others busy where they run on the same machine, and the more sessions share a worker, the more of them each of its
/// wake-ups serves. One per processor in front of MySQL and MariaDB, whose threads are woken on the worker's own processor.
pub(super) fn default_workers(mut protocols: impl Iterator<Item = Protocol>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    if protocols.any(|protocol| protocol == Protocol::Mysql) {
        processors
    } else {
        processors.div_ceil(2)
    }
}
