//! The frontend/backend protocol of PostgreSQL, versions 3.0 and 3.2.

mod answers;
mod auth;
mod backend;
#[doc(hidden)]
pub mod check;
mod commands;
mod copy;
pub mod encode;
mod frame;
mod frontend;
pub mod held;
mod meanings;
mod names;
mod pending;
mod ran;
mod refuse;
pub mod session;
pub mod settings;

mod startup;
mod state;

pub use crate::sqlstate::SqlState;
pub use held::{
    Format, Held, HeldKind, ParameterTypes, Parameters, Replication, StartupParameters,
};
pub use session::Session;
pub use settings::{ChannelBinding, ClientTls, ServerTls, Settings};
