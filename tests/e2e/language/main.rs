//! What the language can say, said to real servers: transactions, values, histories, end users, resolved names.

mod mysql;
mod postgres;
