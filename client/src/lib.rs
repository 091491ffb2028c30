//! The Rust client of Trilith, over gRPC.
//!
//! One [`Client`] knows the addresses of some nodes (any node serves any key) and is cheap to clone. Requests are small
//! builders over [`Item`] and [`AttributeValue`], the types the server itself computes with: numbers keep their 38 digits.
//!
//! ```no_run
//! use trilith_client::{AttributeValue, Client, CreateTable, Item, KeyType, Number, Put, Query, Update};
//!
//! # async fn example() -> Result<(), trilith_client::Error> {
//! let db = Client::connect(["127.0.0.1:8001"]).await?;
//! db.create_table(CreateTable::new("orders", "customer", KeyType::S).sort("date", KeyType::S)).await?;
//! db.wait_until_active("orders").await?;
//!
//! let key = Item::from([("customer".into(), "c1".into()), ("date".into(), "2026-11-21".into())]);
//! let mut sofa = key.clone();
//! sofa.insert("price".into(), Number::from_u64(790).into());
//! db.put(Put::new("orders", sofa).condition("attribute_not_exists(customer)")).await?;
//!
//! db.update(
//!     Update::new("orders", key, "SET price = price - :d")
//!         .condition("price >= :d")
//!         .value(":d", Number::from_u64(90)),
//! )
//! .await?;
//!
//! let page = db.query(Query::new("orders", "customer = :c").value(":c", "c1").consistent()).await?;
//! for item in page.items {
//!     assert_eq!(item["price"], AttributeValue::N(Number::from_u64(700)));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What happens when something fails
//! Each call has a deadline ([`Settings::deadline`]). Until then the client tries again by itself, on the next address and
//! after a random pause, whenever it is certain that nothing was done: the node could not be reached, or said UNAVAILABLE.
//! A read is tried again, too, when the connection breaks under it. A write whose outcome is unknown never is: that is an
//! [`Error`] whose [`Error::retry`] says [`Retry::OutcomeUnknown`], and only the caller can tell what to do. INTERNAL is never
//! tried again, nor is an exceeded throughput, where coming back at once makes matters worse.
//!
//! Absent on purpose: a connection pool (HTTP/2 carries many calls on one connection), caching, and automatic paging: a page
//! names its successor ([`Page::next`]), and the caller decides.

mod client;
mod connection;
mod convert;
mod error;
mod items;
mod pages;
mod retry;
mod rpc;
mod statements;
mod tables;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use connection::Settings;
pub use error::{Error, ErrorKind, Retry};
pub use items::{
    BatchGet, BatchGot, BatchWrite, BatchWritten, Capacity, Delete, Get, Got, Put, Returning, Update, Written,
};
pub use pages::{Page, Query, Scan};
pub use statements::{Rows, Statement};
pub use tables::{CreateTable, Table, TableNames, TableStatus, UpdateTable};
pub use trilith_values::{AttributeValue, Item, KeyType, Map, Number};
