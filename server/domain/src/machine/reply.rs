//! Replies: what a command answers. A failing condition is a reply like any other; only a disk fault is none.

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{Item, SchemaVersion};

use super::ledger::LedgerReply;
use crate::catalog::CatalogReply;
use crate::codec::items;
use crate::schema::IndexKind;
use crate::time::Stamp;

/// The answer to one command, with the stamp it was applied under.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Reply {
    /// When: also the item's new version where the command wrote one.
    pub stamp: Stamp,
    /// What.
    pub body: ReplyBody,
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum ReplyBody {
    /// The write happened (or had nothing to change).
    Written(Written),
    /// The condition was false; nothing changed.
    ConditionFailed {
        /// The item, where the command asked for it and it exists.
        #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
        item: Option<Item>,
        /// Its size in bytes, 0 where there is none: failed writes are charged by it.
        old_size: u64,
        /// Size of the item that was proposed, as far as it is known without evaluating an update.
        new_size: u64,
    },
    /// The write was refused for what the item is or would become (size, types, paths): the text of a ValidationException.
    Invalid(String),
    /// This shard does not own the key (the span moved, or the table is gone). Nothing changed; look again.
    NotMine,
    /// Bound to another version of the descriptor than the shard has. Nothing changed; bind again.
    SchemaMismatch {
        /// The shard's version.
        current: SchemaVersion,
    },
    /// A span command was applied (or had been before).
    SpanDone,
    /// The catalog's answer.
    Catalog(CatalogReply),
    /// Applying the command panicked; it was set aside, alike on every replica, and changed nothing.
    Poisoned,
    /// As [`ReplyBody::Written`], in a table with indexes.
    WrittenIndexed(Box<WrittenIndexed>),
    /// The item collection would be larger than the service allows. Nothing changed.
    CollectionFull,
    /// The shard owes its indexes too much to take on more. Nothing changed; it may be sent again a little later.
    Overloaded,
    /// All writes of the transaction happened: each, in order, without an image.
    TransactWritten(Vec<WrittenIndexed>),
    /// At least one write of the transaction could not happen, so none did: the verdict of each, in order.
    Cancelled(Vec<PartVerdict>),
    /// The part of a transaction is prepared: each write, in order, as if it had happened.
    Prepared(Vec<WrittenIndexed>),
    /// The part of a transaction is at its end (or was before).
    Finished,
    /// The item is locked by a transaction. Nothing changed.
    Conflict,
    /// The ledger's answer.
    Ledger(LedgerReply),
}

/// A write that happened, with what the table's indexes had to do.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct WrittenIndexed {
    /// The write itself.
    pub written: Written,
    /// What the indexes that it changed are charged.
    pub charges: Vec<IndexCharge>,
    /// The item collection afterwards; `None` in a table without local indexes.
    pub collection: Option<CollectionSize>,
}

impl WrittenIndexed {
    /// Size of the larger of both images, bytes: what the table is charged by.
    pub fn larger(&self) -> u64 {
        self.written.old_size.max(self.written.new_size)
    }
}

/// How large an item collection is.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct CollectionSize {
    /// The partition key.
    #[borsh(serialize_with = "items::write", deserialize_with = "items::read")]
    pub key: Item,
    /// Bytes of its items and their entries in local indexes.
    pub bytes: u64,
}

/// What one index is charged for a write of an item.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexCharge {
    /// The index's name.
    pub name: String,
    /// Its kind.
    pub kind: IndexKind,
    /// Write units; of a vector index, bytes.
    pub units: u64,
}

/// A write that happened.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Written {
    /// The image that [`ReturnValues`](super::command::ReturnValues) asked for; `None` where there is nothing to return.
    #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
    pub attributes: Option<Item>,
    /// Size of the item before, bytes; 0 where there was none.
    pub old_size: u64,
    /// Size of the item after, bytes; 0 where there is none.
    pub new_size: u64,
}

/// What was found of one write of a transaction, while none of them has happened.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum PartVerdict {
    /// It could have happened.
    Fine(Box<WrittenIndexed>),
    /// Its condition is false.
    ConditionFailed {
        /// The item, where the write asked for it and it exists.
        #[borsh(serialize_with = "items::write_option", deserialize_with = "items::read_option")]
        item: Option<Item>,
    },
    /// It was refused for what the item is or would become: the text of a ValidationException.
    Invalid(String),
    /// The item is locked by another transaction.
    Conflict,
    /// The item collection would be larger than the service allows.
    CollectionFull,
}
