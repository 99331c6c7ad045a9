//! When the shipper steps back: on a machine that has no processor to spare, statements go first.
//!
//! Linux keeps a nice value per thread (nice(2), C library/kernel differences). The shipper raises its own while the
//! journal has room, and takes it back when a quarter of the journal waits.

use rustix::process::{getpriority_process, setpriority_process};

/// The priority of the shipper's thread.
#[derive(Debug)]
pub(crate) struct Priority {
    /// The nice value that the thread began with; `None` where it is never left.
    own: Option<i32>,
    behind: bool,
    /// How many bytes may wait before the shipper works at its own priority.
    most_waiting: u64,
}

impl Priority {
    /// Steps this thread back, where it can come forth again and the journal has room for what waits meanwhile.
    pub(crate) fn of_this_thread(max_journal_bytes: u64) -> Self {
        let own = getpriority_process(None)
            .ok()
            .filter(|own| *own < BACK && max_journal_bytes >= ROOM && may_come_forth(*own));
        let mut priority = Self {
            own,
            behind: true,
            most_waiting: max_journal_bytes / 4,
        };
        priority.follow(0);
        priority
    }

    /// Steps back or comes forth, by what waits in the journal.
    pub(crate) fn follow(&mut self, waiting_bytes: u64) {
        let Some(own) = self.own else {
            return;
        };
        let behind = waiting_bytes > self.most_waiting;
        if behind == self.behind {
            return;
        }
        self.behind = behind;
        let nice = if behind { own } else { BACK };
        if let Err(error) = setpriority_process(None, nice) {
            tracing::warn!(nice, %error, "the shipper's priority can't be set");
        }
    }
}

/// Whether this thread may lower its nice value, which needs CAP_SYS_NICE or RLIMIT_NICE: raising it is free.
fn may_come_forth(own: i32) -> bool {
    setpriority_process(None, own - 1).is_ok() && setpriority_process(None, own).is_ok()
}

/// The nice value of a shipper that has stepped back.
const BACK: i32 = 10;

/// What a journal must hold at least: a batch that was begun behind others may take many seconds.
const ROOM: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn nice_after(max_journal_bytes: u64, waiting: &'static [u64]) -> Vec<i32> {
        let work = move || {
            let nice = || getpriority_process(None).unwrap();
            let mut priority = Priority::of_this_thread(max_journal_bytes);
            let mut seen = vec![nice()];
            for bytes in waiting {
                priority.follow(*bytes);
                seen.push(nice());
            }
            seen
        };
        std::thread::spawn(work).join().unwrap()
    }

    #[test]
    fn steps_back_while_there_is_room() {
        let own = getpriority_process(None).unwrap();
        let back = if own < BACK && may_come_forth(own) {
            BACK
        } else {
            own
        };
        let seen = nice_after(4 << 30, &[1 << 30, (1 << 30) + 1, 5 << 30, 0]);
        assert_eq!(seen, [back, back, own, own, back]);
    }

    #[test]
    fn a_small_journal_is_emptied_at_once() {
        let own = getpriority_process(None).unwrap();
        assert_eq!(nice_after(1 << 29, &[0, 1 << 29]), [own, own, own]);
    }
}
