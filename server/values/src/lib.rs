//! What a table holds, and how it is counted, written and ordered.
//!
//! This crate is the floor of the house: the server's layers and the Rust client stand on it, so it holds only what both need.
//! Read it in this order:
//!
//! 1. [`number`]: decimals of 38 digits, exact, always in normal form.
//! 2. [`value`]: an attribute's value, and the map of names to values that is an item.
//! 3. [`size`]: how many bytes a value counts for in limits and capacity. A rule of the data model, not of our encoding.
//! 4. [`codec`]: the compact binary form that goes to disk and over the wire.
//! 5. [`key`]: the three types a key may have, the encoding whose byte order is their order, and the hash that picks a shard.
//! 6. [`ids`]: the names of tables, shards, replicas and nodes, as types that cannot be mixed up.
//!
//! Invariants: everything here is a pure function of its arguments and gives the same bytes on every machine; two equal values
//! have one encoding; no decoder panics, whatever bytes it is given.
//!
//! Absent on purpose: JSON and base64 (the API's business), limits such as 400 KB or 32 levels and the messages that go with them
//! (the domain's), floats, clocks, randomness and hash maps (replicas would drift apart).

pub mod codec;
pub mod ids;
pub mod key;
pub mod number;
pub mod size;
pub mod value;

#[cfg(test)]
mod strategies;

pub use codec::CodecError;
pub use ids::{
    AccountId, CommandId, Epoch, NodeId, ReplicaId, SchemaVersion, ShardId, SpanId, TableId, TransactionId,
    ZoneName,
};
pub use key::{KeyType, KeyValue};
pub use number::{Number, NumberError};
pub use value::{AttributeValue, Item, Map};
