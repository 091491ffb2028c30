//! The two sides of an index, for whoever compares them (`trilith table check`): the entries that a table's items should
//! have, and the entries that there are.
//!
//! Neither side travels whole. An entry is its row's key and a digest of its content ([`CheckRow`]): the content of an
//! item has one encoding, so equal digests are equal entries. A page of rows of one side is looked up by key on the other
//! ([`CheckRows`]), so that nobody holds more than a page.
//!
//! Every answer says how far the shard is ([`CheckPage::last_stamp`], [`CheckPage::outbox`]): what is still owed to a
//! global index is no difference. Deciding that is the asker's.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::TableId;

use super::page::Bounds;
use super::plan::ReadReply;
use super::rows::get_row;
use super::run::Spans;
use super::view::{View, ViewError};
use crate::codec::Damage;
use crate::item::{self, StoredItem};
use crate::keyspace::{Family, Key, local_entry, place_of_row};
use crate::machine::{MachineRow, Outbox};
use crate::schema::{HashInterval, IndexSchema, Span};
use crate::time::Stamp;

/// Rows of a page at the most: each is looked up on the other side, where it may be much larger.
const PAGE_ROWS: usize = 500;

/// Reads rows of one side of an index.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckPlan {
    /// The table.
    pub table: TableId,
    /// The index.
    pub index: TableId,
    /// Which side.
    pub side: CheckSide,
    /// Which rows.
    pub rows: CheckRows,
}

/// A side of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CheckSide {
    /// The table's items, and the entries that they should have.
    Items,
    /// The entries of a local index.
    LocalEntries,
    /// The entries of a global index.
    GlobalEntries,
}

impl CheckSide {
    fn family(self) -> Family {
        match self {
            Self::Items => Family::Items,
            Self::LocalEntries => Family::LocalIndex,
            Self::GlobalEntries => Family::GlobalIndex,
        }
    }
}

/// Which rows are asked for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum CheckRows {
    /// A page of them, in the order of their keys. Items without an entry are passed over.
    Run {
        /// Which hashes; the shard must own them all.
        interval: HashInterval,
        /// Exclusive start: a row's key.
        start_after: Option<Vec<u8>>,
        /// Bytes of rows at the most; the first row always comes.
        max_bytes: u64,
    },
    /// These, by their keys. Those that are not there are left out of the answer.
    Keys(Vec<Vec<u8>>),
}

/// Some rows of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckPage {
    /// By their keys.
    pub rows: BTreeMap<Vec<u8>, CheckRow>,
    /// Where a run stopped early: the key of the last row that was looked at.
    pub last: Option<Vec<u8>>,
    /// Stamp of the last command that the shard had applied.
    pub last_stamp: Stamp,
    /// What the shard owed.
    pub outbox: Outbox,
}

/// A row of one side.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckRow {
    /// When it was written.
    pub stamp: Stamp,
    /// Key and digest of the entry: of an item the one that it should have, if any; of an entry its own.
    pub entry: Option<(Vec<u8>, u64)>,
}

/// Answers a page of one side.
pub(super) fn check(spans: &dyn Spans, view: &dyn View, plan: &CheckPlan) -> Result<ReadReply, ViewError> {
    let owner = match plan.side {
        CheckSide::Items | CheckSide::LocalEntries => plan.table,
        CheckSide::GlobalEntries => plan.index,
    };
    let Some(span) = spans.span(owner)? else { return Ok(ReadReply::NotMine) };
    let index = span.schema.indexes.iter().find(|index| index.id == plan.index);
    let side = match (plan.side, index) {
        (CheckSide::Items, Some(index)) => Side::Items(&span, index),
        (CheckSide::LocalEntries, Some(_)) => Side::Entries(Some(plan.index)),
        (CheckSide::GlobalEntries, _) => Side::Entries(None),
        (CheckSide::Items | CheckSide::LocalEntries, None) => return Ok(ReadReply::NotMine),
    };
    let mut page = CheckPage::default();
    (page.last_stamp, page.outbox) = progress(spans, view)?;
    let family = plan.side.family();
    match &plan.rows {
        CheckRows::Keys(keys) => {
            let is_mine = |key: &Vec<u8>| {
                place_of_row(key).is_some_and(|(of, hash)| of == owner && span.interval.contains(hash))
            };
            if !keys.iter().all(is_mine) {
                return Ok(ReadReply::NotMine);
            }
            for key in keys {
                let Some(sealed) = view.get(family, key)? else { continue };
                if let Some(row) = side.row(key, &sealed).map_err(|damage| damage.at(family, key))? {
                    page.rows.insert(key.clone(), row);
                }
            }
        }
        CheckRows::Run { interval, start_after, max_bytes } => {
            if span.interval.intersect(interval) != Some(*interval) {
                return Ok(ReadReply::NotMine);
            }
            let mut bounds = Bounds::of_interval(owner, interval);
            if let Some(start) = start_after {
                bounds.continue_after_row(start.clone(), true);
            }
            run(view, &side, family, &bounds, *max_bytes, &mut page)?;
        }
    }
    Ok(ReadReply::Checked(Box::new(page)))
}

fn run(
    view: &dyn View,
    side: &Side<'_>,
    family: Family,
    bounds: &Bounds,
    max_bytes: u64,
    page: &mut CheckPage,
) -> Result<(), ViewError> {
    if bounds.start >= bounds.end {
        return Ok(());
    }
    let (mut bytes, mut fault) = (0, None);
    view.scan(family, &bounds.start, &bounds.end, false, &mut |key, sealed| match side.row(key, sealed) {
        Ok(row) => {
            bytes += sealed.len() as u64;
            if let Some(row) = row.filter(|row| row.entry.is_some()) {
                page.rows.insert(key.to_vec(), row);
            }
            if bytes < max_bytes && page.rows.len() < PAGE_ROWS {
                return ControlFlow::Continue(());
            }
            page.last = Some(key.to_vec());
            ControlFlow::Break(())
        }
        Err(damage) => {
            fault = Some(damage.at(family, key));
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}

/// How rows of a side are read.
enum Side<'s> {
    Items(&'s Span, &'s IndexSchema),
    /// Of this local index, or of a global one.
    Entries(Option<TableId>),
}

impl Side<'_> {
    /// A row; `None` where it stands among those of the side, and is none of them.
    fn row(&self, key: &[u8], sealed: &[u8]) -> Result<Option<CheckRow>, Damage> {
        match self {
            Self::Items(span, index) => {
                let stored = StoredItem::open(sealed)?;
                let Key::Item(_, own) = Key::decode(Family::Items, key).map_err(Damage::content)? else {
                    return Err(Damage::Content("the row's key is not an item's".to_owned()));
                };
                let entry = index.entry(&span.schema, &own, &stored.item()?);
                let entry = entry.map(|entry| (entry.key.to_vec(), item::digest(&entry.item)));
                Ok(Some(CheckRow { stamp: stored.header.stamp, entry }))
            }
            Self::Entries(local) => {
                if let Some(index) = local
                    && local_entry(key).map_err(Damage::content)?.is_none_or(|(of, _)| of != *index)
                {
                    return Ok(None);
                }
                let stored = StoredItem::open(sealed)?;
                let entry = Some((key.to_vec(), stored.digest()));
                Ok(Some(CheckRow { stamp: stored.header.stamp, entry }))
            }
        }
    }
}

/// The shard's last stamp, and what it owes.
fn progress(spans: &dyn Spans, view: &dyn View) -> Result<(Stamp, Outbox), ViewError> {
    let machine = get_row::<MachineRow>(view, &Key::Machine(spans.shard()))?;
    let outbox = get_row::<Outbox>(view, &Key::Outbox(spans.shard()))?;
    Ok((machine.map_or(Stamp::ZERO, |row| row.last_stamp), outbox.unwrap_or_default()))
}
