//! A byte-bounded map from keys to analyses; eviction by clock, in constant time.

use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// A map that forgets the entries that were not used for longest, roughly.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    table: HashTable<usize>,
    slots: Vec<Option<Entry<V>>>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
    capacity: usize,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Entry<V> {
    hash: u64,
    key: Box<[u8]>,
    value: Rc<V>,
    bytes: usize,
    used: bool,
}

impl<V> Cache<V> {
    /// An empty cache for at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        Cache {
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            bytes: 0,
            capacity,
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The value of `key`, compared in full.
    #[inline]
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&Rc<V>> {
        let hash = self.hasher.hash_one(key);
        let slots = &mut self.slots;
        let found = self.table.find(
            hash,
            |&slot| matches!(slots.get(slot), Some(Some(entry)) if *entry.key == *key),
        );
        let entry = slots.get_mut(*found?)?.as_mut()?;
        entry.used = true;
        Some(&entry.value)
    }

    /// Keeps `value`, which takes about `size` bytes itself; too large a value is not kept.
    pub(crate) fn insert(&mut self, key: &[u8], value: Rc<V>, size: usize) {
        let bytes = size
            .saturating_add(key.len())
            .saturating_add(ENTRY_OVERHEAD);
        if bytes > self.capacity / 4 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        self.remove(hash, key);
        while self.bytes.saturating_add(bytes) > self.capacity && !self.table.is_empty() {
            self.evict();
        }
        let entry = Entry {
            hash,
            key: key.into(),
            value,
            bytes,
            used: false,
        };
        self.bytes += bytes;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(entry);
        }
        let slots = &self.slots;
        self.table.insert_unique(hash, slot, |&slot| {
            slots
                .get(slot)
                .and_then(Option::as_ref)
                .map_or(0, |entry| entry.hash)
        });
    }

    /// How many bytes the entries take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Moves the hand to the next entry that was not used since it last came by, and drops it.
    fn evict(&mut self) {
        let length = self.slots.len();
        for _ in 0..length.saturating_mul(2) {
            let slot = self.hand;
            self.hand = if slot + 1 >= length { 0 } else { slot + 1 };
            let Some(Some(entry)) = self.slots.get_mut(slot) else {
                continue;
            };
            if std::mem::take(&mut entry.used) {
                continue;
            }
            self.forget(slot);
            return;
        }
    }

    fn remove(&mut self, hash: u64, key: &[u8]) {
        let slots = &self.slots;
        let found = self.table.find(
            hash,
            |&slot| matches!(slots.get(slot), Some(Some(entry)) if *entry.key == *key),
        );
        if let Some(&slot) = found {
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: usize) {
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Ok(found) = self.table.find_entry(entry.hash, |&other| other == slot) {
            found.remove();
        }
        self.free.push(slot);
    }
}

/// What an entry takes besides its key and value: slot, table and allocator.
const ENTRY_OVERHEAD: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_its_bound_and_keeps_what_is_used() {
        let mut cache: Cache<usize> = Cache::new(10_000);
        cache.insert(b"kept", Rc::new(0), 10);
        for number in 1..1_000_usize {
            assert_eq!(cache.get(b"kept").map(|v| **v), Some(0), "after {number}");
            cache.insert(number.to_string().as_bytes(), Rc::new(number), 10);
            assert!(cache.bytes() <= 10_000);
        }
        assert_eq!(cache.get(b"1"), None);
        assert_eq!(cache.get(b"999").map(|v| **v), Some(999));
    }

    #[test]
    fn replaces_a_value_and_refuses_giants() {
        let mut cache: Cache<usize> = Cache::new(4_000);
        cache.insert(b"a", Rc::new(1), 10);
        cache.insert(b"a", Rc::new(2), 10);
        assert_eq!(cache.get(b"a").map(|v| **v), Some(2));
        cache.insert(b"b", Rc::new(3), 3_000);
        assert_eq!(cache.get(b"b"), None);
    }
}
