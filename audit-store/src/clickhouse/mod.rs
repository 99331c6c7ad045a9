//! ClickHouse as a store: its schema, the move of an embedded store into it, and the auditors' questions.
//!
//! Records of many proxies meet in one database: node and lane tell them apart.

mod ask;
mod document;
mod filter;
mod import;
mod link;
mod migrate;
mod schema;
mod target;

pub use self::ask::ClickHouse;
pub use self::document::{USEFUL, document};
pub use self::import::{Imported, import};
pub use self::link::ClickHouseError;
pub use self::migrate::{Plan, fresh_plan, migrate, plan};
pub use self::schema::Layout;
pub use self::target::{InvalidTarget, Target};
