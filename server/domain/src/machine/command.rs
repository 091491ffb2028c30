//! Commands: what a log entry holds. Closed enums; every branch is listed, so a new one makes the compiler list the rest.
//!
//! A command never scans: it names every key it needs ([`reads`](crate::machine)), and walking keys is a worker's job.

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{CommandId, Item, SchemaVersion, ShardId, TableId, TransactionId};

use super::ledger::{LedgerCommand, Token};

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
    /// Changes several items, all of them or none.
    TransactWrite(TransactWrite),
    /// Locks the items of one shard's part of a transaction.
    Prepare(Prepare),
    /// Brings a prepared part to its end.
    Finish(Finish),
    /// Changes a shard's ledger of transactions.
    Ledger {
        /// Which shard's; any other answers that it is not its own.
        shard: ShardId,
        /// How.
        command: LedgerCommand,
    },
}

impl CommandBody {
    /// How many items it may write, for counting.
    pub fn writes(&self) -> usize {
        match self {
            Self::Write(_) => 1,
            Self::TransactWrite(transaction) => transaction.writes.len(),
            Self::Finish(finish) if finish.commit => finish.keys.len(),
            Self::SpanOpen { .. }
            | Self::SpanAlter { .. }
            | Self::SpanDrop { .. }
            | Self::Catalog(_)
            | Self::PlantedPanic
            | Self::IndexApply(_)
            | Self::OutboxTrim(_)
            | Self::Backfill(_)
            | Self::Prepare(_)
            | Self::Finish(_)
            | Self::Ledger { .. } => 0,
        }
    }

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
            Self::TransactWrite(_) | Self::Prepare(_) | Self::Finish(_) | Self::Ledger { .. } => false,
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
    /// Changes nothing: the condition alone decides. A part of transactions only.
    Check,
}

impl Action {
    /// The kind in one word, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Delete => "delete",
            Self::Update(_) => "update",
            Self::Check => "check",
        }
    }
}

/// Writes of one transaction, all of whose items this shard owns.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct TransactWrite {
    /// The writes, of distinct items. Images are not asked for. Never empty.
    pub writes: Vec<Write>,
    /// The client's token, under which the shard keeps what became of it.
    pub token: Option<Token>,
    /// The shard it is meant for: another has no row of the token.
    pub shard: ShardId,
}

/// One shard's part of a transaction across shards.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Prepare {
    /// Chosen by the coordinator, and never again.
    pub transaction: TransactionId,
    /// The shard on which it is decided.
    pub ledger: ShardId,
    /// The writes, of distinct items. Images are not asked for. Never empty.
    pub writes: Vec<Write>,
}

/// The end of a prepared part, after the ledger has decided (or where it never will: a coordinator that gives up).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Finish {
    /// Which.
    pub transaction: TransactionId,
    /// The items of the part, all of them.
    pub keys: Vec<(TableId, ItemKey)>,
    /// Whether the writes happen.
    pub commit: bool,
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
