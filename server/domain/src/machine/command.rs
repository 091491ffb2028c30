//! Commands: what a log entry holds. Closed enums; every branch is listed, so a new one makes the compiler list the rest.
//!
//! A command never scans: it names every key it needs ([`reads`](crate::machine)), and walking keys is a worker's job.

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{CommandId, Item, SchemaVersion, TableId};

use super::outbox::{Backfill, IndexApply};
use crate::catalog::CatalogCommand;
use crate::codec::items;
use crate::expr::{Condition, Update};
use crate::item::ItemKey;
use crate::schema::{HashInterval, TableSchema};
use crate::time::Stamp;

/// One log entry: commands that were waiting together, in order, under one leader stamp.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Batch {
    /// The leader's clock when it proposed.
    pub leader_stamp: Stamp,
    /// In the order they apply. Never empty.
    pub commands: Vec<Command>,
}

/// A command with its id. The id is in the format from the start; the replay table that uses it comes later.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Command {
    /// Chosen by whoever first asked; the same for every attempt.
    pub id: CommandId,
    /// What to do.
    pub body: CommandBody,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum CommandBody {
    /// Changes one item under a condition.
    Write(Write),
    /// Gives this shard a span of a table. Idempotent.
    SpanOpen {
        /// The table.
        schema: TableSchema,
        /// Which hashes.
        interval: HashInterval,
    },
    /// Replaces a span's descriptor by a newer version. An older or equal version changes nothing.
    SpanAlter {
        /// The new descriptor.
        schema: TableSchema,
    },
    /// Takes a table's span from this shard, rows and all. Stands alone in its entry. Idempotent.
    SpanDrop {
        /// The table.
        table: TableId,
    },
    /// A change of the catalog; only the catalog's own shard applies it.
    Catalog(CatalogCommand),
    /// Panics in apply, to prove the poison rule. No request produces it; only tests propose it.
    PlantedPanic,
    /// Takes entries into a global index. Idempotent by stamps.
    IndexApply(IndexApply),
    /// Removes what was paid from the outbox: stamps in order, and the bytes of each row. Idempotent.
    OutboxTrim(Vec<(Stamp, u64)>),
    /// Owes a new global index the entries of items that were there before it. Idempotent.
    Backfill(Backfill),
}

impl CommandBody {
    /// Whether it must be alone in its log entry: a proposer that batches puts it into an entry of its own.
    pub fn stands_alone(&self) -> bool {
        match self {
            Self::SpanDrop { .. } => true,
            Self::Write(_)
            | Self::SpanOpen { .. }
            | Self::SpanAlter { .. }
            | Self::Catalog(_)
            | Self::PlantedPanic
            | Self::IndexApply(_)
            | Self::OutboxTrim(_)
            | Self::Backfill(_) => false,
        }
    }
}

/// A write of one item.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Write {
    /// The table.
    pub table: TableId,
    /// The descriptor version the op was bound to; ahead or behind is a reply, and the op is bound again.
    pub schema: SchemaVersion,
    /// The item's key: values, and the hash of the partition key.
    pub key: ItemKey,
    /// Must hold on the old item (or on an empty one) for the write to happen.
    pub condition: Option<Condition>,
    /// What happens to the item.
    pub action: Action,
    /// Which image the caller asked for.
    pub returns: ReturnValues,
    /// Whether a failed condition answers with the item.
    pub old_on_failure: bool,
}

/// What a write does to its item.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Replaces the whole item (key attributes included).
    Put(#[borsh(serialize_with = "items::write", deserialize_with = "items::read")] Item),
    /// Removes it; a missing item is success.
    Delete,
    /// Evaluates an update against the old item, or against the bare key where there is none.
    Update(Update),
}

impl Action {
    /// The kind in one word, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Delete => "delete",
            Self::Update(_) => "update",
        }
    }
}

/// `ReturnValues`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ReturnValues {
    /// Nothing.
    #[default]
    None,
    /// The whole item before.
    AllOld,
    /// Of the item before, what the update touched.
    UpdatedOld,
    /// The whole item after.
    AllNew,
    /// Of the item after, what the update touched.
    UpdatedNew,
}
