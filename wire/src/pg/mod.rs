//! The frontend/backend protocol of PostgreSQL, versions 3.0 and 3.2.

pub mod held;
pub mod session;
pub mod settings;
pub mod sqlstate;

pub use held::{
    Format, Held, HeldKind, ParameterTypes, Parameters, Replication, StartupParameters,
};
pub use session::Session;
pub use settings::{ChannelBinding, ClientTls, ServerTls, Settings};
pub use sqlstate::SqlState;
