//! COPY as the client's side of it: what may be sent while the server takes or gives data.

use crate::pg::frontend::Frontend;

/// What the server takes from the client just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CopyMode {
    /// Commands.
    #[default]
    None,
    /// COPY data until CopyDone or CopyFail; Flush and Sync are ignored.
    In,
    /// COPY data while the server sends such too (replication).
    Both,
}

/// What the server does with a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Carries it out, or skips it behind an error.
    Command,
    /// Takes it as COPY data.
    Data,
    /// Ends the client's COPY data.
    EndOfData,
    /// Ignores it.
    Ignored,
    /// Fails in a way that leaves nobody knowing what comes next.
    OutOfPlace,
}

impl CopyMode {
    /// Tells what the server does with a message.
    pub(crate) fn usage(self, message: Frontend) -> Use {
        match (self, message) {
            (_, Frontend::Password) => Use::OutOfPlace,
            (_, Frontend::Terminate) | (Self::None, _) => Use::Command,
            (Self::In | Self::Both, Frontend::CopyData) => Use::Data,
            (Self::In | Self::Both, Frontend::CopyDone | Frontend::CopyFail) => Use::EndOfData,
            (Self::In, Frontend::Flush | Frontend::Sync) => Use::Ignored,
            (
                Self::In | Self::Both,
                Frontend::Bind
                | Frontend::Close
                | Frontend::Describe
                | Frontend::Execute
                | Frontend::Flush
                | Frontend::FunctionCall
                | Frontend::Parse
                | Frontend::Query
                | Frontend::Sync,
            ) => Use::OutOfPlace,
        }
    }
}
