//! The catalog: tables, shards, nodes; the state machine of shard 0.
//!
//! The whole catalog is a value, [`Catalog`]: a few megabytes for thousands of tables. The shard keeps it in memory,
//! so its commands name no keys and never scan; others load it from a view or ask for it with
//! [`Plan::Catalog`](crate::read::Plan::Catalog), by version. [`apply()`] is a pure function of a catalog and a command
//! to a reply and a list of changes, each of which is one record ([`Change`]); the machine makes them in memory and as
//! rows.
//!
//! Invariants: ids are never used again, not after a table or a replica is gone; tables and indexes share one
//! sequence; a table's spans tile the whole space of hashes; every command is idempotent or says why it is not done.
//!
//! Absent on purpose: who leads what (leaders change without the catalog), sizes and counts (spans have them), and
//! any wish to place replicas: commands say where, the catalog keeps the books.

pub mod command;
pub mod table;

mod apply;
pub(crate) mod indexes;
mod nodes;
mod tables;
mod view;

#[cfg(test)]
mod tests;

pub use apply::{Outcome, apply};
pub use command::{
    CatalogCommand, CatalogReply, ClusterRecord, IndexChange, NodeRecord, NodeState, Refusal, ReplicaPlace,
    ShardRecord, TableSettings,
};
pub use table::{
    BillingMode, IndexRecord, IndexStatus, SpanPlace, TableClass, TableDefinition, TableRecord, TableStatus,
    Units,
};
pub use view::{Catalog, Change, Counters};
