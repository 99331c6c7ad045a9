//! What the names of prepared statements and portals stand for while answers are on their way.
//!
//! A name has a confirmed meaning (the server said so) and possibly one in flight (a Parse, Bind
//! or Close was forwarded and is not answered). Within a batch the one in flight counts: if it
//! fails, the server skips what follows in the batch. Behind a Sync it counts only if there is
//! nothing else that the name could mean should it fail; otherwise the reader has to wait.

//!
//! The server keeps the first 63 bytes of a name and knows no difference behind them; so do we.

use std::collections::BTreeMap;

/// The part of a name that the server knows it by.
pub(crate) fn key(name: &[u8]) -> &[u8] {
    name.get(..63).unwrap_or(name)
}

/// The meanings of one kind of name.
#[derive(Debug)]
pub(crate) struct Names<V> {
    unnamed: Slot<V>,
    named: BTreeMap<Box<[u8]>, Slot<V>>,
}

#[derive(Debug)]
struct Slot<V> {
    confirmed: Option<V>,
    latest: Option<InFlight<V>>,
}

#[derive(Debug)]
struct InFlight<V> {
    seq: u64,
    batch: u64,
    /// None: the name will mean nothing.
    value: Option<V>,
}

/// What a name means to the next message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<V> {
    /// This, or nothing.
    Known(Option<V>),
    /// It depends on an answer that is on its way.
    Open,
}

/// How the message that changes a name's meaning ended.
#[derive(Debug)]
pub(crate) enum Resolution<V> {
    /// The name has this meaning now.
    Set(V),
    /// The name means nothing any more.
    Gone,
    /// The name's meaning is as it was before.
    Kept,
}

impl<V> Default for Slot<V> {
    fn default() -> Self {
        Self {
            confirmed: None,
            latest: None,
        }
    }
}

impl<V> Slot<V> {
    fn is_empty(&self) -> bool {
        self.confirmed.is_none() && self.latest.is_none()
    }

    fn resolve(&mut self, seq: u64, resolution: Resolution<V>) -> Option<V> {
        if self.latest.as_ref().is_some_and(|latest| latest.seq == seq) {
            self.latest = None;
        }
        match resolution {
            Resolution::Set(value) => self.confirmed.replace(value),
            Resolution::Gone => self.confirmed.take(),
            Resolution::Kept => None,
        }
    }
}

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self {
            unnamed: Slot::default(),
            named: BTreeMap::new(),
        }
    }
}

impl<V> Names<V> {
    fn slot(&self, name: &[u8]) -> Option<&Slot<V>> {
        if name.is_empty() {
            Some(&self.unnamed)
        } else {
            self.named.get(key(name))
        }
    }

    fn slot_mut(&mut self, name: &[u8]) -> Option<&mut Slot<V>> {
        if name.is_empty() {
            Some(&mut self.unnamed)
        } else {
            self.named.get_mut(key(name))
        }
    }

    /// Tells whether `name` is known or there is room for another under `limit`.
    pub(crate) fn has_room(&self, name: &[u8], limit: usize) -> bool {
        self.named.len() < limit || self.slot(name).is_some()
    }

    /// Tells what a message of `batch` means by `name`.
    pub(crate) fn meaning(&self, name: &[u8], batch: u64) -> Meaning<&V> {
        match self.slot(name) {
            None => Meaning::Known(None),
            Some(Slot {
                confirmed,
                latest: None,
            }) => Meaning::Known(confirmed.as_ref()),
            Some(Slot {
                latest: Some(latest),
                ..
            }) if latest.batch != batch => Meaning::Open,
            Some(Slot {
                latest: Some(latest),
                ..
            }) => Meaning::Known(latest.value.as_ref()),
        }
    }

    /// Finds what `name` means now for good, or else the message in flight that will set it.
    pub(crate) fn visible_mut(&mut self, name: &[u8]) -> Option<(&mut V, Option<u64>)> {
        let slot = self.slot_mut(name)?;
        match &mut slot.latest {
            None => slot.confirmed.as_mut().map(|value| (value, None)),
            Some(latest) => latest.value.as_mut().map(|value| (value, Some(latest.seq))),
        }
    }

    /// Finds what `name` means and what it will mean, with the message in flight that will set it.
    pub(crate) fn both_mut(&mut self, name: &[u8]) -> (Option<&mut V>, Option<(&mut V, u64)>) {
        let Some(slot) = self.slot_mut(name) else {
            return (None, None);
        };
        let latest = slot.latest.as_mut().and_then(|latest| {
            let seq = latest.seq;
            latest.value.as_mut().map(|value| (value, seq))
        });
        (slot.confirmed.as_mut(), latest)
    }

    /// Finds what `name` may mean: the last message in flight that gives it a meaning goes first.
    pub(crate) fn likely(&self, name: &[u8], batch: u64) -> Option<&V> {
        match self.meaning(name, batch) {
            Meaning::Known(value) => value,
            Meaning::Open => {
                let slot = self.slot(name)?;
                let latest = slot.latest.as_ref();
                latest
                    .and_then(|latest| latest.value.as_ref())
                    .or(slot.confirmed.as_ref())
            }
        }
    }

    /// Takes note that message `seq` of `batch` is going to change the meaning of `name`.
    pub(crate) fn change(&mut self, name: &[u8], seq: u64, batch: u64, value: Option<V>) {
        if self.slot(name).is_none_or(Slot::is_empty) && value.is_none() {
            return;
        }
        let slot = if name.is_empty() {
            &mut self.unnamed
        } else {
            self.named.entry(key(name).into()).or_default()
        };
        slot.latest = Some(InFlight { seq, batch, value });
    }

    /// Takes note of how message `seq` ended; gives back what the name does not mean any more.
    pub(crate) fn resolve(&mut self, name: &[u8], seq: u64, how: Resolution<V>) -> Option<V> {
        if name.is_empty() {
            return self.unnamed.resolve(seq, how);
        }
        match self.named.get_mut(key(name)) {
            Some(slot) => {
                let old = slot.resolve(seq, how);
                if slot.is_empty() {
                    self.named.remove(key(name));
                }
                old
            }
            None => match how {
                Resolution::Set(value) => {
                    let slot = Slot {
                        confirmed: Some(value),
                        latest: None,
                    };
                    self.named.insert(key(name).into(), slot);
                    None
                }
                Resolution::Gone | Resolution::Kept => None,
            },
        }
    }

    /// Takes away every confirmed meaning and shows it to `gone`.
    pub(crate) fn clear_confirmed(&mut self, mut gone: impl FnMut(V)) {
        if let Some(value) = self.unnamed.confirmed.take() {
            gone(value);
        }
        if !self.named.is_empty() {
            self.named.retain(|_, slot| {
                if let Some(value) = slot.confirmed.take() {
                    gone(value);
                }
                !slot.is_empty()
            });
        }
    }

    /// Forgets the names beyond ASCII, and shows the confirmed meanings to `gone`.
    pub(crate) fn forget_beyond_ascii(&mut self, mut gone: impl FnMut(V)) {
        self.named.retain(|name, slot| {
            let stays = name.is_ascii();
            if !stays && let Some(value) = slot.confirmed.take() {
                gone(value);
            }
            stays
        });
    }

    /// Forgets one name, or all, and shows the confirmed meanings to `gone`.
    pub(crate) fn forget(&mut self, name: Option<&[u8]>, mut gone: impl FnMut(V)) {
        let slots = match name {
            None => {
                let Self { unnamed, named } = std::mem::take(self);
                named.into_values().chain([unnamed]).collect()
            }
            Some([]) => vec![std::mem::take(&mut self.unnamed)],
            Some(name) => Vec::from_iter(self.named.remove(key(name))),
        };
        slots
            .into_iter()
            .filter_map(|slot: Slot<V>| slot.confirmed)
            .for_each(&mut gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_a_batch_the_latest_counts() {
        let mut names = Names::default();
        names.change(b"a", 1, 0, Some('x'));
        assert_eq!(names.meaning(b"a", 0), Meaning::Known(Some(&'x')));
        assert_eq!(names.resolve(b"a", 1, Resolution::Set('x')), None);
        names.change(b"a", 2, 0, Some('y'));
        assert_eq!(names.meaning(b"a", 0), Meaning::Known(Some(&'y')));
        // the server said no: the old meaning stands
        assert_eq!(names.resolve(b"a", 2, Resolution::Kept), None);
        assert_eq!(names.meaning(b"a", 5), Meaning::Known(Some(&'x')));
    }

    #[test]
    fn behind_a_sync_only_the_confirmed_one_counts() {
        let mut names = Names::default();
        names.change(b"a", 1, 0, Some('x'));
        assert_eq!(names.meaning(b"a", 1), Meaning::Open);
        names.change(b"a", 2, 1, Some('y'));
        assert_eq!(names.meaning(b"a", 1), Meaning::Known(Some(&'y')));
        assert_eq!(names.meaning(b"a", 2), Meaning::Open);
        names.resolve(b"a", 1, Resolution::Set('x'));
        assert_eq!(names.meaning(b"a", 2), Meaning::Open);
        names.resolve(b"a", 2, Resolution::Kept);
        assert_eq!(names.meaning(b"a", 2), Meaning::Known(Some(&'x')));
        names.change(b"a", 3, 2, None);
        assert_eq!(names.meaning(b"a", 2), Meaning::Known(None));
        assert_eq!(names.meaning(b"a", 3), Meaning::Open);
        assert_eq!(names.resolve(b"a", 3, Resolution::Gone), Some('x'));
        assert!(names.named.is_empty());
    }

    #[test]
    fn closing_nothing_leaves_nothing_behind() {
        let mut names = Names::<char>::default();
        names.change(b"a", 1, 0, None);
        assert!(names.named.is_empty());
        assert_eq!(names.resolve(b"a", 1, Resolution::Gone), None);
    }

    #[test]
    fn an_older_answer_does_not_settle_a_newer_message() {
        let mut names = Names::default();
        names.change(b"", 1, 0, Some('x'));
        names.change(b"", 2, 1, Some('y'));
        names.resolve(b"", 1, Resolution::Gone);
        assert_eq!(names.meaning(b"", 1), Meaning::Known(Some(&'y')));
        assert_eq!(names.meaning(b"", 2), Meaning::Open);
        let mut gone = Vec::new();
        names.resolve(b"", 2, Resolution::Set('y'));
        names.clear_confirmed(|value| gone.push(value));
        assert_eq!(gone, ['y']);
        assert_eq!(names.meaning(b"", 2), Meaning::Known(None));
    }

    #[test]
    fn names_are_as_long_as_the_server_has_them() {
        let mut names = Names::default();
        let (long, other) = ([b'a'; 64], [&[b'a'; 63][..], b"b"].concat());
        names.change(&long, 1, 0, Some('x'));
        names.resolve(&long, 1, Resolution::Set('x'));
        assert_eq!(names.meaning(&other, 0), Meaning::Known(Some(&'x')));
        names.change(&other, 2, 0, None);
        names.resolve(&other, 2, Resolution::Gone);
        assert_eq!(names.meaning(&long, 0), Meaning::Known(None));
        assert!(names.named.is_empty());
    }

    #[test]
    fn room_is_for_new_names_only() {
        let mut names = Names::default();
        names.change(b"a", 1, 0, Some('x'));
        assert!(names.has_room(b"a", 1));
        assert!(names.has_room(b"", 1));
        assert!(!names.has_room(b"b", 1));
        names.forget(None, drop);
        assert!(names.has_room(b"b", 1));
    }
}
