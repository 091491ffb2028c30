//! What operations do: the one door into the data ([`Service`]), and behind it the [`Engine`].
//!
//! An op arrives parsed, is bound to its table's record, travels to a shard as a command or a plan, and comes back as
//! an answer:
//!
//! 1. [`engine`] is one match: which op goes which way.
//! 2. [`lookup`] finds the table in this node's copy of the catalog, and looks again, strongly, where that copy may
//!    be behind. [`lookup::Binding`] is an op bound to a record, and bound again when a shard says that the record is old.
//! 3. [`write`] and [`read`] are the two shared paths; [`scan`] walks from shard to shard; [`batch`] does many of
//!    both at once; [`transact`] does many writes or none; [`statement`] sends the operations of a PartiQL statement
//!    their ways.
//! 4. [`tables`] changes the catalog; [`lifecycle`] makes the shards follow, step by step, and [`workers`] finish what
//!    a crash left half done.
//! 5. [`check`] compares indexes with their tables, for operators and tests.
//!
//! Invariants: nothing here decides what a command does (the domain does) or where a leader is (the cluster does). A
//! command whose outcome is unknown is never sent again from here. Every wait ends at the caller's deadline.
//!
//! Deliberately absent: consensus, storage, the wire; a cache of items; retries other than binding again.

mod batch;
pub mod check;
mod engine;
mod entropy;
mod error;
mod features;
pub mod lifecycle;
mod lookup;
mod read;
mod scan;
mod search;
pub mod service;
mod statement;
mod tables;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod transact;
pub mod workers;
mod write;

pub use engine::Engine;
pub use entropy::Entropy;
pub use service::{Caller, Identity, Service};
