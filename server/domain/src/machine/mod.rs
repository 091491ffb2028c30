//! The shard's state machine: log entries in, effects and replies out. A pure function, alike on every replica.
//!
//! The life of a log entry:
//!
//! 1. [`reads_of`] names every key that its commands need. Commands never scan: whoever has to walk keys is a worker,
//!    which then proposes commands about the keys it found.
//! 2. The caller fetches them in one go, into a [`Prefetched`].
//! 3. [`apply_batch`] runs each command in turn ([`apply()`]) over the fetched values and what earlier commands of the
//!    batch have changed ([`Working`]). It cannot fail on I/O.
//! 4. The caller writes the [`Effects`] and its own applied row in one atomic batch, then sends the replies.
//!
//! Each command is a pure function of the state to a reply and a list of changes ([`change`]); the changes are made
//! after it returned. So a command that panics has changed nothing: it is set aside (the poison rule), recorded,
//! counted, and answered [`ReplyBody::Poisoned`], and the next one goes on.
//!
//! Invariants:
//!
//! - What happens follows from the state and the entry alone: no clock, no randomness, no order of hash maps, no
//!   floats, and nothing of how entries were grouped. [`ShardState::hash`] is the proof: it covers all effects, and is
//!   equal on two replicas that have applied the same entries.
//! - The state in memory is what [`ShardState::load`] reads back from the rows: both change together.
//! - No two commands of a shard have the same stamp, and stamps follow the log's order.
//! - A shard counts the items and bytes of its spans exactly.
//!
//! Deliberately absent, but with their place in the formats: the replay table for command ids.

pub mod command;
pub mod ledger;
pub mod reply;

mod apply;
mod change;
mod index;
mod item_write;
mod outbox;
mod spans;
mod state;
mod transaction;
mod working;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use apply::{At, apply, apply_batch, apply_entries, reads, reads_of};
pub use change::{Effect, Effects};
pub use command::{Action, Batch, Command, CommandBody, Finish, Prepare, ReturnValues, TransactWrite, Write};
pub use outbox::{Backfill, IndexApply, Outbox, OwedRow};
pub use reply::{CollectionSize, IndexCharge, PartVerdict, Reply, ReplyBody, Written, WrittenIndexed};
pub use state::{Limits, MACHINE_VERSION, MachineRow, PoisonRow, ShardState};
pub use transaction::{IntentRow, PreparedRow};
pub use working::{Prefetched, Working};
