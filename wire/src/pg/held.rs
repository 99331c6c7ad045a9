//! Borrowed views of the message that waits for a verdict.

use crate::cursor::Cursor;

/// The message that waits for a verdict; it borrows the very bytes that will be forwarded.
#[derive(Debug, Clone)]
pub enum Held<'a, T> {
    /// The first message of a session.
    Startup {
        /// Major and minor protocol version.
        protocol: (u16, u16),
        /// Names and values, in the order sent; `user`, `database`, `options` and `replication` at most once.
        parameters: StartupParameters<'a>,
        /// The kind of replication connection, if it is one.
        replication: Option<Replication>,
    },
    /// A simple query: one or more statements.
    Query {
        /// The statements.
        text: &'a [u8],
        /// Whether the session may have changed since the server last reported its parameters: if so,
        /// a text with backslashes or bytes beyond ASCII can't be read for certain.
        unsettled: bool,
    },
    /// A statement to be prepared.
    Parse {
        /// The statement's name; empty for the unnamed one.
        name: &'a [u8],
        /// The statement.
        text: &'a [u8],
        /// The types of parameters as far as the client fixed them.
        parameter_types: ParameterTypes<'a>,
        /// Whether the session may have changed since the server last reported its parameters: if so,
        /// a text with backslashes or bytes beyond ASCII can't be read for certain.
        unsettled: bool,
    },
    /// A prepared statement to be bound to parameters.
    Bind {
        /// The portal's name; empty for the unnamed one.
        portal: &'a [u8],
        /// The statement's name; empty for the unnamed one.
        name: &'a [u8],
        /// The tag given to the statement's Parse; none if it was not prepared by a Parse. Up to the
        /// Sync, that of a refused Parse.
        prepared: Option<&'a T>,
        /// The parameters.
        parameters: Parameters<'a>,
    },
    /// A portal to be executed.
    Execute {
        /// The portal's name; empty for the unnamed one.
        portal: &'a [u8],
        /// The most rows to return; 0 for all.
        max_rows: u32,
        /// The tag given to the portal's Bind; none if it was not made by a Bind. Up to the Sync, that
        /// of a refused Bind.
        bound: Option<&'a T>,
        /// Whether no Execute of this portal went before.
        first: bool,
    },
    /// A function to be called by its identity.
    FunctionCall {
        /// The function.
        oid: u32,
        /// The arguments.
        arguments: Parameters<'a>,
    },
    /// A message longer than `max_statement_bytes`; it can only be refused.
    TooLarge {
        /// What it would be.
        kind: HeldKind,
        /// How long its body is.
        length: u64,
        /// The beginning of its text (Query, Parse) or body (others).
        prefix: &'a [u8],
    },
}

/// The kind of a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldKind {
    /// A startup.
    Startup,
    /// A simple query.
    Query,
    /// A statement to be prepared.
    Parse,
    /// A statement to be bound.
    Bind,
    /// A portal to be executed.
    Execute,
    /// A function to be called.
    FunctionCall,
}

/// The kind of a replication connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Replication {
    /// Physical replication.
    Physical,
    /// Logical replication, connected to a database.
    Logical,
}

/// The format of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The text form.
    Text,
    /// The binary form.
    Binary,
    /// A code that the protocol doesn't know; the server rejects it.
    Unknown(u16),
}

impl From<u16> for Format {
    fn from(code: u16) -> Self {
        match code {
            0 => Self::Text,
            1 => Self::Binary,
            other => Self::Unknown(other),
        }
    }
}

/// Walks over the names and values of a startup message.
#[derive(Debug, Clone)]
pub struct StartupParameters<'a> {
    cursor: Cursor<'a>,
}

impl<'a> StartupParameters<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    /// Finds the value of the parameter `name`.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.clone()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

impl<'a> Iterator for StartupParameters<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.cursor.cstr().ok()?;
        if name.is_empty() {
            return None;
        }
        Some((name, self.cursor.cstr().ok()?))
    }
}

/// Walks over the types of a Parse message's parameters; 0 is a type left open.
#[derive(Debug, Clone)]
pub struct ParameterTypes<'a> {
    cursor: Cursor<'a>,
}

impl<'a> ParameterTypes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }
}

impl Iterator for ParameterTypes<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.cursor.u32().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = self.cursor.remaining() / 4;
        (n, Some(n))
    }
}

impl ExactSizeIterator for ParameterTypes<'_> {}

/// Walks over the parameters of a Bind message or the arguments of a FunctionCall; null is `None`.
#[derive(Debug, Clone)]
pub struct Parameters<'a> {
    formats: Cursor<'a>,
    all: Option<Format>,
    values: Cursor<'a>,
    count: u16,
}

impl<'a> Parameters<'a> {
    /// `formats` are the codes behind their count, `values` what follows the parameters' count.
    pub(crate) fn new(formats: &'a [u8], count: u16, values: &'a [u8]) -> Self {
        let mut cursor = Cursor::new(formats);
        let all = match formats.len() {
            0 => Some(Format::Text),
            2 => cursor.u16().ok().map(Format::from),
            _ => None,
        };
        Self {
            formats: cursor,
            all,
            values: Cursor::new(values),
            count,
        }
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (Format, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let format = match self.all {
            Some(format) => format,
            None => Format::from(self.formats.u16().ok()?),
        };
        Some((format, self.values.value().ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.count), Some(usize::from(self.count)))
    }
}

impl ExactSizeIterator for Parameters<'_> {}
