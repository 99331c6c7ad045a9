//! The record's own words: one spelling and one stored code each. Codes never change meaning.

/// Declares a field-less enum with a spelling (for people) and a code (for the journal) per variant.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every word, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The one spelling of this word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The word spelled `text`, if there is one.
            #[must_use]
            pub fn from_word(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }

            /// The code that the journal stores.
            pub(crate) const fn code(self) -> u8 {
                match self { $($name::$variant => $code,)+ }
            }

            /// The word behind a stored code.
            pub(crate) const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

coded! {
    /// By which message a statement reached the server.
    IntentKind {
        /// A simple query (PostgreSQL `Q`).
        Simple = 1 "simple",
        /// The preparation of a statement (`P`).
        Prepare = 2 "prepare",
        /// An execution of a prepared statement (`E`).
        Execute = 3 "execute",
        /// A further fetch from a portal or cursor that was suspended.
        Fetch = 4 "fetch",
        /// A fast-path function call (`F`).
        FunctionCall = 5 "function-call",
        /// The opening of a connection, judged like a statement.
        Startup = 6 "startup",
        /// Another command of MySQL's protocol.
        Command = 7 "command",
    }
}

coded! {
    /// How a statement ended.
    Completion {
        /// It ran to its end.
        Done = 1 "done",
        /// It was prepared (not run).
        Prepared = 2 "prepared",
        /// Its portal was suspended at the row limit.
        Suspended = 3 "suspended",
        /// The server answered with an error.
        Failed = 4 "failed",
        /// The policy refused it.
        Refused = 5 "refused",
        /// The server skipped it because of an earlier error in the pipeline.
        Skipped = 6 "skipped",
        /// It never left for the server (the connection ended first).
        Unexecuted = 7 "unexecuted",
        /// Nobody knows: the connection or the proxy ended before the server answered.
        Lost = 8 "lost",
    }
}

coded! {
    /// The transaction status of a session when a statement began.
    TxStatus {
        /// Outside a transaction.
        Idle = 1 "idle",
        /// In a transaction.
        Block = 2 "in-transaction",
        /// In a failed transaction.
        Failed = 3 "failed-transaction",
    }
}

coded! {
    /// Why a session ended.
    EndCause {
        /// The client said goodbye.
        ClientClosed = 1 "client-closed",
        /// The client's connection broke.
        ClientLost = 2 "client-lost",
        /// The server closed the connection.
        ServerClosed = 3 "server-closed",
        /// The server refused the authentication.
        AuthFailed = 4 "auth-failed",
        /// Authentication took too long.
        AuthTimeout = 5 "auth-timeout",
        /// The session was idle too long.
        IdleTimeout = 6 "idle-timeout",
        /// The policy refused the connection.
        Refused = 7 "refused",
        /// The policy ended the session.
        Terminated = 8 "terminated",
        /// One side broke the protocol.
        ProtocolViolation = 9 "protocol-violation",
        /// A limit on connections was reached.
        Limit = 10 "limit",
        /// The upstream could not be reached.
        UpstreamUnreachable = 11 "upstream-unreachable",
        /// The connection carried a cancel request and nothing else.
        Cancel = 12 "cancel",
        /// The proxy shut down.
        Shutdown = 13 "shutdown",
        /// A fault of the proxy.
        Internal = 14 "internal",
        /// The proxy ended before the session did.
        Lost = 15 "lost",
        /// TLS could not be established.
        TlsFailed = 16 "tls-failed",
        /// The journal could not take a record.
        AuditFailure = 17 "audit-failure",
    }
}

coded! {
    /// How the end user of a statement was learnt.
    EndUserSource {
        /// `SET sqlward.end_user`.
        Setting = 1 "setting",
        /// `application_name`.
        Application = 2 "application-name",
        /// A sqlcommenter comment.
        Comment = 3 "comment",
        /// A W3C traceparent.
        Traceparent = 4 "traceparent",
        /// An attribute of the connection or query (MySQL).
        Attribute = 5 "attribute",
        /// The identity in the client's TLS certificate.
        Tls = 6 "tls",
    }
}

coded! {
    /// How far a statement about the end user can be believed.
    Trust {
        /// Anyone who can connect can claim it.
        Claimed = 1 "claimed",
        /// A trusted application set it.
        Asserted = 2 "asserted",
        /// It was proved (a certificate).
        Proven = 3 "proven",
    }
}

coded! {
    /// The wire format of a parameter value.
    ParameterFormat {
        /// Text.
        Text = 0 "text",
        /// Binary.
        Binary = 1 "binary",
    }
}

coded! {
    /// How much of a statement is recorded, as its rules say.
    Detail {
        /// All of it.
        Full = 0 "full",
        /// All but the values of its parameters.
        NoParameters = 1 "no-parameters",
        /// Length and SHA-256 of its text, and its normal form.
        Digest = 2 "digest",
    }
}

coded! {
    /// What happened to the proxy itself.
    AdminAction {
        /// The proxy started.
        Start = 1 "start",
        /// The proxy stopped.
        Stop = 2 "stop",
        /// A new configuration or policy took effect.
        Reload = 3 "reload",
        /// A new configuration or policy was refused.
        ReloadFailed = 4 "reload-failed",
        /// Statements passed unrecorded because the policy says so; `count` tells how many.
        Gap = 5 "gap",
        /// An open choice was exercised.
        FailOpen = 6 "fail-open",
        /// Certificates were read again.
        CertificateReload = 7 "certificate-reload",
        /// An operator acted through the console or the command line.
        Operator = 8 "operator",
        /// The server rolled back statements whose records say that they are done; `detail` names them.
        Undone = 9 "undone",
        /// A key that signs checkpoints came into force; `detail` has it.
        SigningKey = 10 "signing-key",
        /// An auditor asked; `detail` says what, `count` how many rows the answer had.
        AuditQuery = 11 "audit-query",
        /// The configuration in force; `detail` has its values without secrets.
        Configuration = 12 "configuration",
        /// Somebody is kept out; `detail` says whom and until when.
        Block = 13 "block",
        /// Somebody is no longer kept out.
        Unblock = 14 "unblock",
        /// Refusals have led to an escalation of the policy; `detail` says whose, `count` how many.
        Escalation = 15 "escalation",
        /// A legal hold was placed; `detail` says what it covers, and why.
        Hold = 16 "hold",
        /// A legal hold was released; `detail` says which, and why.
        HoldRelease = 17 "hold-release",
    }
}
