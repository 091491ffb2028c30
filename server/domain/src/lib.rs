//! Items, expressions, operations and the shard's state machine: pure values and rules.

pub mod arn;
pub mod capacity;
pub mod catalog;
pub mod codec;
pub mod error;
pub mod explain;
pub mod expr;
pub mod item;
pub mod keyspace;
pub mod limits;
pub mod machine;
pub mod node_key;
pub mod ops;
pub mod partiql;
pub mod read;
pub mod schema;
pub mod time;
pub mod validate;

#[cfg(test)]
mod testing;

pub use error::OpError;
pub use time::{Clock, Stamp};
