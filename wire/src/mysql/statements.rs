//! The prepared statements of a session: what each id stands for.

use std::collections::BTreeMap;

use crate::mysql::values::{LongData, Type};

/// The id that stands for the statement prepared last (MariaDB).
pub(crate) const LAST: u32 = u32::MAX;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Statement<T> {
    pub(crate) tag: T,
    /// How many parameters it has.
    pub(crate) parameters: u16,
    /// The types that the client gave them last.
    pub(crate) types: Vec<Type>,
    /// Whether the server has these types, too: it has not if the execution that gave them was refused.
    pub(crate) settled: bool,
    /// What was sent by COM_STMT_SEND_LONG_DATA for the next execution.
    pub(crate) long: Vec<LongData>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Statements<T> {
    all: BTreeMap<u32, Statement<T>>,
    last: Option<u32>,
}

impl<T> Default for Statements<T> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            last: None,
        }
    }
}

impl<T> Statements<T> {
    /// Finds a statement by the id that the client uses, and its own id.
    pub(crate) fn find(&self, id: u32) -> Option<(u32, &Statement<T>)> {
        let id = self.own_id(id)?;
        self.all.get(&id).map(|statement| (id, statement))
    }

    /// Finds a statement by the id that the client uses, to change it.
    pub(crate) fn find_mut(&mut self, id: u32) -> Option<&mut Statement<T>> {
        let id = self.own_id(id)?;
        self.all.get_mut(&id)
    }

    /// Adds the one prepared last.
    pub(crate) fn add(&mut self, id: u32, tag: T, parameters: u16) {
        let statement = Statement {
            tag,
            parameters,
            types: Vec::new(),
            settled: true,
            long: Vec::new(),
        };
        self.all.insert(id, statement);
        self.last = Some(id);
    }

    /// Takes note that preparing one has failed: there is no last one.
    pub(crate) fn not_prepared(&mut self) {
        self.last = None;
    }

    /// Removes one.
    pub(crate) fn close(&mut self, id: u32) {
        if let Some(id) = self.own_id(id) {
            self.all.remove(&id);
            if self.last == Some(id) {
                self.last = None;
            }
        }
    }

    /// Counts them.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn own_id(&self, id: u32) -> Option<u32> {
        if id == LAST { self.last } else { Some(id) }
    }
}
