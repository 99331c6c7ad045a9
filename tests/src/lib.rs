//! What the end-to-end tests share: real servers, the proxy as a child process, a raw protocol
//! client, and the comparison of the server's own record with the audit store.

pub mod audit;
pub mod certificates;
pub mod clickhouse;
pub mod driver;
pub mod endpoint;
pub mod forward;
pub mod mysql;
pub mod oracle;
pub mod paths;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod server;
pub mod socket;
pub mod template;
pub mod tls;
pub mod traffic;
