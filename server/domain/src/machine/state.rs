//! What a shard keeps in memory: the little that applies and reads need at every step.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_values::{CommandId, ShardId, TableId, TransactionId};

use super::transaction::PreparedRow;

use super::outbox::Outbox;
use crate::catalog::Catalog;
use crate::codec::{self, Damage};
use crate::keyspace::{CATALOG_SHARD, Family, Key, Prefix};
use crate::limits::COLLECTION_BYTES_MAX;
use crate::read::{Spans, View, ViewError, get_row, scan_rows};
use crate::schema::Span;
use crate::time::Stamp;

/// The version of the rules by which commands apply. A shard's own version is part of its state and is raised only by
/// a logged command, so that replicas of mixed versions go on applying alike.
pub const MACHINE_VERSION: u32 = 1;

/// Rows that a shard may owe to global indexes before it refuses writes that owe more.
const OUTBOX_ROWS_MAX: u64 = 200_000;
/// Bytes that a shard may owe to global indexes before it refuses writes that owe more.
const OUTBOX_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Bounds by which writes are refused. They are part of the rules: every replica of every shard has the same, which are
/// the default. Only tests, which would need hours to reach those, have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of the outbox.
    pub outbox_rows: u64,
    /// Bytes of the outbox.
    pub outbox_bytes: u64,
    /// Bytes of one item collection, in a table with local indexes.
    pub collection_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outbox_rows: OUTBOX_ROWS_MAX,
            outbox_bytes: OUTBOX_BYTES_MAX,
            collection_bytes: COLLECTION_BYTES_MAX,
        }
    }
}

/// The state of a shard besides its items. Changed by [`apply`](super::apply()) alone, and stored with the effects of
/// the same batch.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardState {
    shard: ShardId,
    limits: Limits,
    pub(super) row: MachineRow,
    pub(super) spans: BTreeMap<TableId, Span>,
    /// Empty in every shard but the catalog's own.
    pub(super) catalog: Box<Catalog>,
    pub(super) outbox: Outbox,
    /// Parts of transactions that are prepared and not at their end.
    pub(super) prepared: BTreeMap<TransactionId, PreparedRow>,
    /// Keys of the items that they lock.
    pub(super) locks: BTreeMap<Bytes, TransactionId>,
    /// When an item was last removed: the version of items that are not there.
    pub(super) last_removal: Stamp,
}

/// The stored form of what is not spans and catalog.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MachineRow {
    /// By which rules the shard applies ([`MACHINE_VERSION`]).
    pub machine_version: u32,
    /// Stamp of the last command.
    pub last_stamp: Stamp,
    /// Commands set aside because they panicked.
    pub poisoned: u64,
    /// Hash over all effects since the shard began.
    pub hash: u64,
}

/// The record of a command that panicked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PoisonRow {
    /// The stamp it would have had.
    pub stamp: Stamp,
    /// Its id.
    pub command: CommandId,
    /// What it was, in one line.
    pub what: String,
    /// What the panic said.
    pub text: String,
}

impl ShardState {
    /// A shard without spans, before its first command.
    pub fn new(shard: ShardId) -> Self {
        let row =
            MachineRow { machine_version: MACHINE_VERSION, last_stamp: Stamp::ZERO, poisoned: 0, hash: 0 };
        Self {
            shard,
            limits: Limits::default(),
            row,
            spans: BTreeMap::new(),
            catalog: Box::default(),
            prepared: BTreeMap::new(),
            locks: BTreeMap::new(),
            last_removal: Stamp::ZERO,
            outbox: Outbox::default(),
        }
    }

    /// Reads the state back from its rows; a shard without rows is new.
    ///
    /// # Errors
    /// [`ViewError`] when a row cannot be read, is damaged, or is of a later machine version.
    pub fn load(shard: ShardId, view: &dyn View) -> Result<Self, ViewError> {
        let mut state = Self::new(shard);
        let key = Key::Machine(shard).encode();
        if let Some(sealed) = view.get(Family::Meta, &key)? {
            state.row = codec::open_row(&sealed)
                .and_then(|row: MachineRow| match row.machine_version {
                    ..=MACHINE_VERSION => Ok(row),
                    newer => Err(Damage::MachineVersion(newer)),
                })
                .map_err(|damage| damage.at(Family::Meta, &key))?;
        }
        scan_rows(view, &Prefix::Spans(shard), u32::MAX, |_, span: Span| {
            state.spans.insert(span.schema.table, span);
        })?;
        if let Some(outbox) = get_row(view, &Key::Outbox(shard))? {
            state.outbox = outbox;
        }
        scan_rows(view, &Prefix::Prepared(shard), u32::MAX, |key, row: PreparedRow| match key {
            Key::Prepared(_, transaction) => drop(state.set_prepared(transaction, Some(&row))),
            _ => unreachable!("the prefix is that of prepared transactions"),
        })?;
        if let Some(stamp) = get_row(view, &Key::LastRemoval(shard))? {
            state.last_removal = stamp;
        }
        if shard == CATALOG_SHARD {
            *state.catalog = Catalog::load(view)?;
        }
        Ok(state)
    }

    /// The state under other limits, for tests.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The bounds by which it refuses writes.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Which shard it is.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// By which rules it applies.
    pub fn machine_version(&self) -> u32 {
        self.row.machine_version
    }

    /// Stamp of the last command.
    pub fn last_stamp(&self) -> Stamp {
        self.row.last_stamp
    }

    /// Commands set aside because they panicked, since the shard began. Above 0 calls for attention.
    pub fn poisoned(&self) -> u64 {
        self.row.poisoned
    }

    /// Hash over all effects since the shard began: equal on replicas that have applied the same log.
    pub fn hash(&self) -> u64 {
        self.row.hash
    }

    /// The spans it owns, by table.
    pub fn spans(&self) -> &BTreeMap<TableId, Span> {
        &self.spans
    }

    /// What it owes to global indexes.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Parts of transactions that are prepared and not at their end.
    pub fn prepared(&self) -> &BTreeMap<TransactionId, PreparedRow> {
        &self.prepared
    }

    /// The catalog; empty in every shard but [`CATALOG_SHARD`].
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The row of what is not spans and catalog.
    pub(super) fn machine_row(&self) -> (Bytes, Bytes) {
        (Key::Machine(self.shard).encode(), codec::seal_row(&self.row))
    }
}

impl Spans for ShardState {
    fn shard(&self) -> ShardId {
        self.shard
    }

    fn span(&self, table: TableId) -> Result<Option<Span>, ViewError> {
        Ok(self.spans.get(&table).cloned())
    }
}
