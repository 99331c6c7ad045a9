//! The memory in front of the analysis: one per worker thread.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::cache::Cache;
use super::{Analysis, Encoding, LexState, Limits, PostgresLex};
use super::{mysql, pg};
use crate::detect::token::ends_in_comment;
use crate::policy::SearchPath;

/// Remembers analyses by normal form, or by exact text where literals matter.
#[derive(Debug)]
pub struct Reader {
    front: Front,
    cache: Cache<Memory>,
    limits: Limits,
    key: Vec<u8>,
}

/// What the cache holds for a key.
#[derive(Debug)]
enum Memory {
    /// The analysis of every text with this key.
    Known(Rc<Known>),
    /// Texts with this normal form differ: look up the exact text.
    Varies,
}

/// An analysis that is remembered, and what the rules made of it.
#[derive(Debug)]
pub struct Known {
    /// What is known about the text.
    pub analysis: Arc<Analysis>,
    /// Which rules its statements match, under one generation of the policy.
    pub slot: Slot,
}

/// A place for what others keep with an analysis: one value that belongs to one generation of a policy, and a key.
#[derive(Debug, Default)]
pub struct Slot {
    entry: RefCell<Option<SlotEntry>>,
    key: Cell<Option<[u8; 16]>>,
}

/// The rules that a statement matches as far as the statement alone can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotEntry {
    /// The generation of the policy that the rules belong to.
    pub generation: u64,
    /// Where unqualified names lie in the sessions that they were found for.
    pub path: Option<SearchPath>,
    /// Indexes of the rules.
    pub rules: SmallVec<[u32; 8]>,
}

impl Slot {
    /// Runs `f` on the rules kept for `generation` and `path`; `None` if there are none for them.
    pub fn with<R>(
        &self,
        generation: u64,
        path: Option<&SearchPath>,
        f: impl FnOnce(&[u32]) -> R,
    ) -> Option<R> {
        let entry = self.entry.borrow();
        entry
            .as_ref()
            .filter(|entry| entry.generation == generation && entry.path.as_ref() == path)
            .map(|entry| f(&entry.rules))
    }

    /// Keeps the rules of a generation, in place of those of another.
    pub fn set(&self, entry: SlotEntry) {
        self.entry.replace(Some(entry));
    }

    /// The key under which the caller knows the analysis, once it has one.
    pub fn key(&self) -> Option<[u8; 16]> {
        self.key.get()
    }

    /// Keeps the caller's key.
    pub fn set_key(&self, key: [u8; 16]) {
        self.key.set(Some(key));
    }
}

/// What is known about a text before any analysis.
#[derive(Clone, Debug)]
pub struct Recall {
    /// The analysis, if the text (or one with its normal form) was remembered.
    pub known: Option<Rc<Known>>,
    /// The block comment at the end of the text, else the one at its start: where applications put their context.
    pub comment: Option<Range<usize>>,
}

impl Reader {
    /// A reader that keeps at most `capacity_bytes` of analyses, and at most 9 MiB of texts that come again and again.
    #[must_use]
    pub fn new(capacity_bytes: usize, limits: Limits) -> Self {
        Reader {
            front: Front::new(),
            cache: Cache::new(capacity_bytes),
            limits,
            key: Vec::with_capacity(1024),
        }
    }

    /// The limits that it reads with.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Looks up what is known about `text`.
    pub fn recall(&mut self, text: &[u8], lex: &LexState) -> Recall {
        let place = match self.front.find(text, lex) {
            Found::Recall(recall) => return recall,
            Found::Absent(place) => place,
        };
        let recall = self.recall_behind(text, lex);
        if let Some(place) = place {
            self.front.keep(place, text, lex, &recall);
        }
        recall
    }

    fn recall_behind(&mut self, text: &[u8], lex: &LexState) -> Recall {
        let looked = self.look(text, lex);
        let known = match &looked.identity {
            Identity::Normal => match self.cache.get(&self.key).map(|memory| &**memory) {
                Some(Memory::Known(known)) => Some(Rc::clone(known)),
                Some(Memory::Varies) => self.recall_exact(text, lex),
                None => None,
            },
            Identity::Exact => self.recall_exact(text, lex),
        };
        Recall {
            known,
            comment: looked.comment,
        }
    }

    /// Keeps the analysis of `text`, unless it holds secrets.
    pub fn remember(&mut self, text: &[u8], lex: &LexState, analysis: Analysis) -> Rc<Known> {
        let known = Rc::new(Known {
            analysis: Arc::new(analysis),
            slot: Slot::default(),
        });
        if !known.analysis.secrets.is_empty() {
            return known;
        }
        let size = size_of_analysis(&known.analysis);
        let looked = self.look(text, lex);
        match looked.identity {
            Identity::Normal if !known.analysis.depends_on_literals => {
                let memory = Rc::new(Memory::Known(Rc::clone(&known)));
                self.cache.insert(&self.key, memory, size);
                return known;
            }
            Identity::Normal => self.cache.insert(&self.key, Rc::new(Memory::Varies), 0),
            Identity::Exact => {}
        }
        self.exact_key(text, lex);
        let memory = Rc::new(Memory::Known(Rc::clone(&known)));
        self.cache.insert(&self.key, memory, size);
        known
    }

    fn recall_exact(&mut self, text: &[u8], lex: &LexState) -> Option<Rc<Known>> {
        self.exact_key(text, lex);
        match self.cache.get(&self.key).map(|memory| &**memory) {
            Some(Memory::Known(known)) => Some(Rc::clone(known)),
            Some(Memory::Varies) | None => None,
        }
    }

    /// Writes the normal key of `text` and says whether it identifies the text.
    fn look(&mut self, text: &[u8], lex: &LexState) -> Looked {
        self.key.clear();
        self.key.shrink_to(MAX_SCRATCH_BYTES);
        match lex {
            LexState::Postgres(lex) => self.look_postgres(text, lex),
            LexState::Mysql(lex) => {
                let sketch = mysql::key(text, lex, &self.limits, &mut self.key);
                lex.write_key(&mut self.key);
                self.key.push(MYSQL_KEY | NORMAL_KEY);
                Looked::of(sketch.exact, sketch.comment)
            }
        }
    }

    fn look_postgres(&mut self, text: &[u8], lex: &PostgresLex) -> Looked {
        let ascii = text.is_ascii();
        let utf8 = matches!(lex.encoding, Encoding::Utf8 | Encoding::SqlAscii);
        if !ascii && !lex.encoding.is_ascii_safe() {
            return Looked::of(true, None);
        }
        let keyed = ascii || (utf8 && std::str::from_utf8(text).is_ok());
        let sketch = pg::key(text, lex, &self.limits, &mut self.key);
        // SQL_ASCII texts are read by stricter rules.
        self.key
            .push(u8::from(lex.encoding == Encoding::SqlAscii && !ascii) | NORMAL_KEY);
        let exact =
            !keyed || sketch.exact || sketch.error.is_some() || ends_in_comment(text, sketch.end);
        Looked::of(exact, pg::context_comment(&sketch.comments, text))
    }

    fn exact_key(&mut self, text: &[u8], lex: &LexState) {
        self.key.clear();
        self.key.extend_from_slice(text);
        match lex {
            LexState::Postgres(lex) => {
                self.key.push(u8::from(lex.standard_conforming_strings));
                self.key
                    .extend_from_slice(lex.encoding.key_name().as_bytes());
                self.key.push(EXACT_KEY);
            }
            LexState::Mysql(lex) => {
                lex.write_key(&mut self.key);
                self.key.push(MYSQL_KEY | EXACT_KEY);
            }
        }
    }
}

/// Texts that come again byte for byte, as prepared statements and parameterised ones do: found without being scanned.
#[derive(Debug)]
struct Front {
    places: Box<[Place]>,
    hasher: DefaultHashBuilder,
}

/// The last text that came here twice in a row, and the hash of the one that came last.
#[derive(Debug, Default)]
struct Place {
    last: u64,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    text: Box<[u8]>,
    lex: LexState,
    known: Rc<Known>,
    comment: Option<Range<usize>>,
}

enum Found {
    Recall(Recall),
    /// Not there; the place to keep it at, if it came twice.
    Absent(Option<usize>),
}

impl Front {
    fn new() -> Self {
        let places = std::iter::repeat_with(Place::default)
            .take(FRONT_PLACES)
            .collect();
        Front {
            places,
            hasher: DefaultHashBuilder::default(),
        }
    }

    fn find(&mut self, text: &[u8], lex: &LexState) -> Found {
        if text.len() > MAX_FRONT_BYTES {
            return Found::Absent(None);
        }
        let hash = self.hasher.hash_one(text);
        let index = usize::try_from(hash % FRONT_PLACES as u64).unwrap_or_default();
        let Some(place) = self.places.get_mut(index) else {
            return Found::Absent(None);
        };
        match &place.kept {
            Some(kept) if *kept.text == *text && kept.lex == *lex => Found::Recall(Recall {
                known: Some(Rc::clone(&kept.known)),
                comment: kept.comment.clone(),
            }),
            _ => {
                let again = std::mem::replace(&mut place.last, hash) == hash;
                Found::Absent(again.then_some(index))
            }
        }
    }

    fn keep(&mut self, index: usize, text: &[u8], lex: &LexState, recall: &Recall) {
        let (Some(place), Some(known)) = (self.places.get_mut(index), &recall.known) else {
            return;
        };
        if size_of_analysis(&known.analysis) <= MAX_FRONT_ANALYSIS_BYTES {
            place.kept = Some(Kept {
                text: text.into(),
                lex: *lex,
                known: Rc::clone(known),
                comment: recall.comment.clone(),
            });
        }
    }
}

/// How many texts are found without being scanned, and how long they and their analyses may be.
const FRONT_PLACES: usize = 1024;
const MAX_FRONT_BYTES: usize = 1024;
const MAX_FRONT_ANALYSIS_BYTES: usize = 8 * 1024;

/// How a text is identified.
enum Identity {
    Normal,
    Exact,
}

struct Looked {
    identity: Identity,
    comment: Option<Range<usize>>,
}

impl Looked {
    fn of(exact: bool, comment: Option<Range<usize>>) -> Self {
        let identity = if exact {
            Identity::Exact
        } else {
            Identity::Normal
        };
        Looked { identity, comment }
    }
}

/// Roughly what an analysis takes in memory.
fn size_of_analysis(analysis: &Analysis) -> usize {
    let facts: usize = analysis
        .facts
        .statements
        .iter()
        .map(super::facts::size)
        .sum();
    size_of::<Analysis>()
        .saturating_add(size_of::<Known>())
        .saturating_add(analysis.normal.len())
        .saturating_add(facts)
}

/// Last byte of a key that is a normal form; its lowest bit tells SQL_ASCII apart.
const NORMAL_KEY: u8 = 2;
/// Last byte of a key that is an exact text.
const EXACT_KEY: u8 = 4;
/// Marks the keys of MySQL and MariaDB texts.
const MYSQL_KEY: u8 = 8;
/// The scratch buffer is not kept beyond this size.
const MAX_SCRATCH_BYTES: usize = 1 << 20;
