//! What was forwarded and not yet answered, in order.

use std::collections::VecDeque;

use crate::pg::frontend::Target;
use crate::pg::names::key;
use crate::session::Refusal;

/// What an entry waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ParseComplete.
    Parse,
    /// BindComplete.
    Bind,
    /// ParameterDescription and RowDescription or NoData.
    Describe(Target),
    /// Rows and an end, or COPY.
    Execute,
    /// CloseComplete.
    Close(Target),
    /// ReadyForQuery.
    Sync,
    /// Results and ReadyForQuery.
    Query,
    /// FunctionCallResponse and ReadyForQuery.
    FunctionCall,
    /// The error for a refused Parse, Bind or Execute.
    Substitute,
    /// The error for a refused Query or FunctionCall, and ReadyForQuery.
    SubstituteQuery,
    /// Nothing, unless a COPY before it takes it for its end.
    CopyEnd,
    /// Nothing: a COPY swallowed it.
    Swallowed,
}

impl Kind {
    /// Tells whether ReadyForQuery is the last answer.
    pub(crate) fn is_sync_point(self) -> bool {
        match self {
            Self::Sync | Self::Query | Self::FunctionCall | Self::SubstituteQuery => true,
            Self::Parse
            | Self::Bind
            | Self::Describe(_)
            | Self::Execute
            | Self::Close(_)
            | Self::Substitute
            | Self::CopyEnd
            | Self::Swallowed => false,
        }
    }
}

/// What has been made of a portal; what is greater says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Used {
    /// Nothing.
    #[default]
    Not,
    /// SQL has fetched from it.
    BySql,
    /// An Execute of it was forwarded, whose outcome is also the Bind's.
    Executed,
}

/// A forwarded message.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) kind: Kind,
    /// The name that is given a meaning or loses it; none for the unnamed one.
    pub(crate) name: Option<Box<[u8]>>,
    pub(crate) tag: Option<T>,
    pub(crate) refusal: Option<Box<Refusal>>,
    /// The message's length, and that of the COPY data sent for it.
    pub(crate) request: u64,
    /// Whether the name is to mean nothing even if the message succeeds.
    pub(crate) forgotten: bool,
    /// What has been made of the portal that this Bind makes.
    pub(crate) used: Used,
}

impl<T> Entry<T> {
    /// An entry that bears neither name nor tag.
    pub(crate) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            name: None,
            tag: None,
            refusal: None,
            request: 0,
            forgotten: false,
            used: Used::Not,
        }
    }

    /// An entry for a message of `request` bytes that had a verdict.
    pub(crate) fn judged(kind: Kind, tag: T, request: u64) -> Self {
        Self {
            tag: Some(tag),
            request,
            ..Self::plain(kind)
        }
    }

    /// Adds the name that is given a meaning.
    pub(crate) fn named(self, name: &[u8]) -> Self {
        Self {
            name: (!name.is_empty()).then(|| key(name).into()),
            ..self
        }
    }

    /// Shows the name; empty for the unnamed one.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.as_deref().unwrap_or_default()
    }
}

/// The entries, each with a number that only grows.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    entries: VecDeque<Entry<T>>,
    first: u64,
    sync_points: usize,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            sync_points: 0,
        }
    }
}

impl<T> Pending<T> {
    /// The number that the next entry will have.
    pub(crate) fn next_seq(&self) -> u64 {
        self.first
            .saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// Appends an entry.
    pub(crate) fn push(&mut self, entry: Entry<T>) {
        self.sync_points = self
            .sync_points
            .saturating_add(usize::from(entry.kind.is_sync_point()));
        self.entries.push_back(entry);
    }

    /// Takes the oldest entry and its number.
    pub(crate) fn pop(&mut self) -> Option<(u64, Entry<T>)> {
        let entry = self.entries.pop_front()?;
        let seq = self.first;
        self.first = self.first.saturating_add(1);
        self.sync_points = self
            .sync_points
            .saturating_sub(usize::from(entry.kind.is_sync_point()));
        Some((seq, entry))
    }

    /// Drops the entries at the front that are owed no answer, and tells the kind of the oldest other.
    pub(crate) fn head(&mut self) -> Option<Kind> {
        loop {
            match self.entries.front()?.kind {
                Kind::CopyEnd | Kind::Swallowed => {
                    self.pop();
                }
                kind => return Some(kind),
            }
        }
    }

    /// Shows the oldest entry.
    pub(crate) fn front(&self) -> Option<&Entry<T>> {
        self.entries.front()
    }

    /// Shows the oldest entry.
    pub(crate) fn front_mut(&mut self) -> Option<&mut Entry<T>> {
        self.entries.front_mut()
    }

    /// Shows the entry with this number.
    pub(crate) fn get_mut(&mut self, seq: u64) -> Option<&mut Entry<T>> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }

    /// Walks over all entries.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.entries.iter_mut()
    }

    /// Lets a COPY that just began swallow what it does not take for data, up to its end.
    pub(crate) fn swallow_behind_head(&mut self) -> Result<Swallowed, NotSwallowed> {
        let mut syncs = 0_u32;
        for entry in self.entries.iter_mut().skip(1) {
            match entry.kind {
                Kind::Swallowed => {}
                Kind::Sync => {
                    entry.kind = Kind::Swallowed;
                    self.sync_points = self.sync_points.saturating_sub(1);
                    syncs = syncs.saturating_add(1);
                }
                Kind::CopyEnd => {
                    entry.kind = Kind::Swallowed;
                    return Ok(Swallowed {
                        syncs,
                        end: CopyEnd::Sent,
                    });
                }
                Kind::Parse
                | Kind::Bind
                | Kind::Describe(_)
                | Kind::Execute
                | Kind::Close(_)
                | Kind::Query
                | Kind::FunctionCall
                | Kind::Substitute
                | Kind::SubstituteQuery => return Err(NotSwallowed),
            }
        }
        Ok(Swallowed {
            syncs,
            end: CopyEnd::Awaited,
        })
    }

    /// Counts the entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether every answer has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Counts the answers that end in ReadyForQuery.
    pub(crate) fn sync_points(&self) -> usize {
        self.sync_points
    }

    /// Gives memory back that a long pipeline took.
    pub(crate) fn shrink(&mut self) {
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }
}

/// What a COPY found behind it when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swallowed {
    /// Syncs that it ignores.
    pub(crate) syncs: u32,
    /// Whether the client has already ended it.
    pub(crate) end: CopyEnd,
}

/// Whether a client has ended its COPY data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyEnd {
    Sent,
    Awaited,
}

/// A command was pipelined behind a COPY FROM STDIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSwallowed;
