//! The command at the server: what its answer has brought so far, and what may come next.

use crate::mysql::command::Command;
use crate::mysql::held::Rows;
use crate::session::Answer as Told;
use crate::sqlstate::ErrorCode;

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They go to the peer.
    Pass,
    /// They are thrown away.
    Discard,
}

/// The command at the server.
#[derive(Debug)]
pub(crate) struct Current<T> {
    pub(crate) kind: Kind,
    pub(crate) tag: Option<T>,
    /// Bytes of the command, and of the file that the client sent for it.
    pub(crate) request: u64,
    pub(crate) stage: Stage,
    /// Whether the client gets the answer.
    pub(crate) way: Way,
    pub(crate) answer: Answer,
    /// What a Prepare has prepared: the id and how many parameters it has.
    pub(crate) prepared: Option<(u32, u16)>,
    /// Whether the execution asked for a cursor.
    pub(crate) rows: Rows,
    /// What a SetOption asks for.
    pub(crate) option: Option<u16>,
    pub(crate) collected: Collected,
}

/// Whose command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The client's.
    Client(Command),
    /// A question of the caller's.
    Ask,
    /// A COM_STMT_RESET in the wake of a refused execution.
    Reset,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first packet of a result.
    First,
    /// So many definitions of columns or parameters.
    Definitions(u32, After),
    /// The EOF packet behind them.
    DefinitionsEnd(After),
    /// Rows, or their end.
    Rows,
    /// Packets of the binary log.
    Log,
    /// The client's file: the client speaks. Whether the next packet goes on with the one before.
    File(Next),
    /// An authentication.
    Auth,
}

/// What the client's next packet of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Data,
    Continuation,
}

/// What follows definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Rows,
    /// So many definitions of columns.
    Columns(u32),
    /// Nothing: that was the answer to a Prepare.
    Nothing,
}

/// What an answer has brought so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answer {
    pub(crate) rows: u64,
    pub(crate) affected: u64,
    pub(crate) warnings: u64,
    pub(crate) results: u64,
    pub(crate) bytes: u64,
    pub(crate) first_byte: Option<u64>,
    pub(crate) error: Option<ErrorCode>,
}

impl<T> Current<T> {
    pub(crate) fn new(kind: Kind, tag: Option<T>, request: usize) -> Self {
        let stage = match kind {
            Kind::Client(Command::FieldList | Command::Fetch) => Stage::Rows,
            Kind::Client(Command::ChangeUser) => Stage::Auth,
            Kind::Client(Command::BinlogDump | Command::BinlogDumpGtid) => Stage::Log,
            Kind::Client(_) | Kind::Ask | Kind::Reset => Stage::First,
        };
        Self {
            kind,
            tag,
            request: u64::try_from(request).unwrap_or(u64::MAX),
            stage,
            way: match kind {
                Kind::Client(_) => Way::Pass,
                Kind::Ask | Kind::Reset => Way::Discard,
            },
            answer: Answer::default(),
            prepared: None,
            rows: Rows::Sent,
            option: None,
            collected: Collected::default(),
        }
    }
}

/// The most values and bytes that an answer to the caller may have.
const MAX_VALUES: usize = 1000;
pub(crate) const MAX_COLLECTED: usize = 64 * 1024;

/// The rows of an answer to the caller.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    rows: Vec<Vec<Option<Box<[u8]>>>>,
    values: usize,
    bytes: usize,
    overflown: bool,
}

impl Collected {
    /// Adds a row in text; none if it is too long to be looked at.
    pub(crate) fn add(&mut self, payload: Option<&[u8]>) -> Result<(), crate::cursor::CursorError> {
        let Some(payload) = payload.filter(|_| !self.overflown) else {
            self.overflow();
            return Ok(());
        };
        self.bytes = self.bytes.saturating_add(payload.len());
        let mut row = Vec::new();
        let mut cursor = crate::cursor::Cursor::new(payload);
        while cursor.remaining() > 0 {
            self.values = self.values.saturating_add(1);
            if self.values > MAX_VALUES || self.bytes > MAX_COLLECTED {
                self.overflow();
                return Ok(());
            }
            let mut null = cursor;
            if null.u8() == Ok(0xfb) {
                cursor = null;
                row.push(None);
            } else {
                row.push(Some(cursor.lenenc_bytes()?.into()));
            }
        }
        self.rows.push(row);
        Ok(())
    }

    /// Gives what there is.
    pub(crate) fn told(self, error: Option<ErrorCode>) -> Told {
        match error {
            Some(code) => Told::Failed(code),
            None if self.overflown => Told::TooLarge,
            None => Told::Rows(self.rows),
        }
    }

    fn overflow(&mut self) {
        self.rows = Vec::new();
        self.overflown = true;
    }
}
