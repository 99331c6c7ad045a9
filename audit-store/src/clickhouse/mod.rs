//! ClickHouse as a store: its schema, the move of an embedded store into it, and the auditors' questions.
//!
//! Records of many proxies meet in one database: node and lane tell them apart.

mod ask;
mod deliver;
mod document;
mod encode;
mod filter;
mod import;
mod link;
mod migrate;
mod move_tree;
mod schema;
mod target;
mod tls;
mod verify;

pub use self::ask::ClickHouse;
pub(crate) use self::deliver::Delivery;
pub use self::deliver::DeliverySettings;
pub use self::document::{USEFUL, document};
pub use self::import::{Imported, import};
pub use self::link::ClickHouseError;
pub use self::migrate::{Plan, fresh_plan, migrate, plan};
pub use self::schema::Layout;
pub use self::target::{InvalidTarget, Target};
