//! Whether an index says what its table says: every entry that the items should have is there with its content, and there
//! is no other.
//!
//! Both sides are walked, page by page, and each page is looked up by key on the other: first the items' entries in the
//! index (missing and differing ones), then the index's entries among the items (ghosts). So memory holds two pages,
//! whatever the table's size, and the first keys of what was found.
//!
//! The table lives meanwhile. What does not match at first sight is only a suspicion ([`Check::settle`]): the item is read,
//! everything that its shard owed by then is waited for, the entry is read, then the item once more. It is a difference if the
//! item stood still and the entry was not written after it was read; else the suspicion is looked at again.
//!
//! Absent: any repair. An index that differs is a bug to be found, or damage that replicas have repaired for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use trilith_cluster::{Cluster, ClusterError, Freshness, now};
use trilith_domain::catalog::{IndexRecord, IndexStatus, SpanPlace, TableRecord, TableStatus};
use trilith_domain::item::ItemKey;
use trilith_domain::keyspace::{Family, Key, item_key, local_entry, place_of_row};
use trilith_domain::machine::Outbox;
use trilith_domain::read::{CheckPage, CheckPlan, CheckRow, CheckRows, CheckSide, Plan, ReadReply};
use trilith_domain::{Stamp, explain};
use trilith_values::ShardId;

/// Bytes of rows that are looked at at a time.
const PAGE_BYTES: u64 = 256 * 1024;
/// How long one read may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The pause before a shard is asked again how much it owes.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a suspicion about an item that keeps changing is looked at.
const ROUNDS: u32 = 10;
/// Differences that are told with their keys.
const FINDINGS_MAX: usize = 10;

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The item is there, its entry is not.
    Missing,
    /// The entry is there, and no item has it.
    Ghost,
    /// The entry is there with another content than the item's.
    Differing,
}

impl Kind {
    /// The kind in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ghost => "ghost",
            Self::Differing => "differing",
        }
    }
}

/// What the comparison of one index found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexReport {
    /// Entries that the table's items should have.
    pub expected: u64,
    /// Entries that the index has.
    pub entries: u64,
    /// Differences, by their kinds.
    pub differences: BTreeMap<Kind, u64>,
    /// The first of them: each with the key of the entry, readable.
    pub findings: Vec<(Kind, String)>,
    /// Entries about which nothing can be said: their items changed whenever they were looked at.
    pub undecided: u64,
}

impl IndexReport {
    /// Whether nothing is wrong.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    fn note(&mut self, kind: Kind, entry: String) {
        *self.differences.entry(kind).or_default() += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push((kind, entry));
        }
    }
}

/// Why an index cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// A shard did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The table or the index is being changed. To try again later is right.
    #[error("the table or the index is being changed; check it again when both are ACTIVE")]
    Changing,
    /// What is owed to the index did not arrive in time.
    #[error("shard {shard} still owes {rows} rows to global indexes after {waited:?}")]
    NotShipped {
        /// Who owes it.
        shard: ShardId,
        /// Rows of its outbox, to whatever index.
        rows: u64,
        /// How long it was waited.
        waited: Duration,
    },
}

/// Compares an index of a table with the table. `patience` is how long it may take until what was owed to a global index
/// at one moment has arrived.
///
/// # Errors
/// [`CheckError`]: nothing can be said.
pub async fn index(
    cluster: &dyn Cluster,
    table: &TableRecord,
    index: &IndexRecord,
    patience: Duration,
) -> Result<IndexReport, CheckError> {
    if table.status != TableStatus::Active || index.status != IndexStatus::Active {
        return Err(CheckError::Changing);
    }
    let mut check = Check { cluster, table, index, patience, report: IndexReport::default() };
    check.items().await?;
    check.entries().await?;
    Ok(check.report)
}

/// A comparison that is under way.
struct Check<'c> {
    cluster: &'c dyn Cluster,
    table: &'c TableRecord,
    index: &'c IndexRecord,
    patience: Duration,
    report: IndexReport,
}

/// An entry and the item that it belongs to, by the keys of their rows, where the two do not match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Suspect {
    item: Vec<u8>,
    entry: Vec<u8>,
}

/// Rows that were looked up, and how far their shards were.
#[derive(Default)]
struct Found {
    rows: BTreeMap<Vec<u8>, CheckRow>,
    shards: BTreeMap<ShardId, (Stamp, Outbox)>,
}

impl Check<'_> {
    /// Every entry that an item should have is looked for.
    async fn items(&mut self) -> Result<(), CheckError> {
        for span in &self.table.spans {
            let mut start = None;
            loop {
                let page = self.page(CheckSide::Items, span, start).await?;
                let wanted = page.rows.iter().filter_map(|(item, row)| Some((item, row.entry.as_ref()?)));
                let keys = wanted.clone().map(|(_, (entry, _))| entry.clone()).collect();
                let found = self.look_up(self.entry_side(), keys).await?;
                let odd = wanted.filter(|(_, entry)| {
                    found.rows.get(&entry.0).is_none_or(|row| row.entry.as_ref() != Some(*entry))
                });
                let suspects =
                    odd.map(|(item, (entry, _))| Suspect { item: item.clone(), entry: entry.clone() });
                let suspects = suspects.collect();
                self.report.expected += page.rows.len() as u64;
                self.settle(suspects, &[Kind::Missing, Kind::Differing]).await?;
                start = page.last;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Every entry that is there is looked for among the items. One with another content was met before.
    async fn entries(&mut self) -> Result<(), CheckError> {
        let local = self.index.schema.is_local();
        for span in if local { &self.table.spans } else { &self.index.spans } {
            let mut start = None;
            loop {
                let page = self.page(self.entry_side(), span, start).await?;
                let owned: Vec<_> = page.rows.keys().map(|entry| (entry, self.item_of(entry))).collect();
                let keys = owned.iter().filter_map(|(_, item)| item.clone()).collect();
                let found = self.look_up(CheckSide::Items, keys).await?;
                let mut suspects = Vec::new();
                for (entry, item) in owned {
                    let Some(item) = item else {
                        let shown = self.shown(entry);
                        self.report.note(Kind::Ghost, shown);
                        continue;
                    };
                    let own = found.rows.get(&item).and_then(|row| row.entry.as_ref());
                    if own.is_none_or(|(key, _)| key != entry) {
                        suspects.push(Suspect { item, entry: entry.clone() });
                    }
                }
                self.report.entries += page.rows.len() as u64;
                self.settle(suspects, &[Kind::Ghost]).await?;
                start = page.last;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Decides about suspicions, and notes those that are differences of the wanted kinds.
    async fn settle(&mut self, mut open: Vec<Suspect>, kinds: &[Kind]) -> Result<(), CheckError> {
        for _ in 0..ROUNDS {
            if open.is_empty() {
                return Ok(());
            }
            let items: BTreeSet<_> = open.iter().map(|suspect| suspect.item.clone()).collect();
            let entries = open.iter().map(|suspect| suspect.entry.clone()).collect();
            let before = self.look_up(CheckSide::Items, items.clone()).await?;
            for (shard, (_, outbox)) in &before.shards {
                self.until_shipped(*shard, outbox.newest).await?;
            }
            let found = self.look_up(self.entry_side(), entries).await?;
            let after = self.look_up(CheckSide::Items, items).await?;
            let mut moved = Vec::new();
            for suspect in open {
                let item = before.rows.get(&suspect.item);
                let entry = found.rows.get(&suspect.entry);
                let (seen, _) = before.shards[&self.shard_of(&suspect.item, CheckSide::Items)?];
                if item != after.rows.get(&suspect.item) || entry.is_some_and(|entry| entry.stamp > seen) {
                    moved.push(suspect);
                    continue;
                }
                let wanted = item.and_then(|row| row.entry.as_ref()).filter(|(key, _)| *key == suspect.entry);
                let verdict = match (wanted, entry.and_then(|row| row.entry.as_ref())) {
                    (Some(wanted), Some(found)) => (wanted != found).then_some(Kind::Differing),
                    (Some(_), None) => Some(Kind::Missing),
                    (None, Some(_)) => Some(Kind::Ghost),
                    (None, None) => None,
                };
                if let Some(kind) = verdict.filter(|kind| kinds.contains(kind)) {
                    let shown = self.shown(&suspect.entry);
                    self.report.note(kind, shown);
                }
            }
            open = moved;
        }
        self.report.undecided += open.len() as u64;
        Ok(())
    }

    /// Waits until everything has arrived that a shard owed up to `newest`.
    async fn until_shipped(&self, shard: ShardId, newest: Stamp) -> Result<(), CheckError> {
        if self.index.schema.is_local() {
            return Ok(());
        }
        let began = now();
        loop {
            let page = self.read(shard, CheckSide::Items, CheckRows::Keys(Vec::new())).await?;
            let outbox = page.outbox;
            if outbox.rows == 0 || outbox.trimmed >= newest {
                return Ok(());
            }
            let waited = now().saturating_duration_since(began);
            if waited >= self.patience {
                return Err(CheckError::NotShipped { shard, rows: outbox.rows, waited });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn page(
        &self,
        side: CheckSide,
        span: &SpanPlace,
        start_after: Option<Vec<u8>>,
    ) -> Result<CheckPage, CheckError> {
        let rows = CheckRows::Run { interval: span.interval, start_after, max_bytes: PAGE_BYTES };
        self.read(span.shard, side, rows).await
    }

    /// Rows by their keys, wherever they are.
    async fn look_up(&self, side: CheckSide, keys: BTreeSet<Vec<u8>>) -> Result<Found, CheckError> {
        let mut by_shard: BTreeMap<ShardId, Vec<Vec<u8>>> = BTreeMap::new();
        for key in keys {
            by_shard.entry(self.shard_of(&key, side)?).or_default().push(key);
        }
        let mut found = Found::default();
        for (shard, keys) in by_shard {
            let page = self.read(shard, side, CheckRows::Keys(keys)).await?;
            found.rows.extend(page.rows);
            found.shards.insert(shard, (page.last_stamp, page.outbox));
        }
        Ok(found)
    }

    async fn read(&self, shard: ShardId, side: CheckSide, rows: CheckRows) -> Result<CheckPage, CheckError> {
        let plan = CheckPlan { table: self.table.id, index: self.index.schema.id, side, rows };
        let deadline: Instant = now() + ATTEMPT;
        match self.cluster.read(shard, Freshness::Strong, &Plan::Check(plan), deadline).await? {
            ReadReply::Checked(page) => Ok(*page),
            _ => Err(CheckError::Changing),
        }
    }

    fn entry_side(&self) -> CheckSide {
        if self.index.schema.is_local() { CheckSide::LocalEntries } else { CheckSide::GlobalEntries }
    }

    fn shard_of(&self, row: &[u8], side: CheckSide) -> Result<ShardId, CheckError> {
        let (_, hash) = place_of_row(row).ok_or(CheckError::Changing)?;
        Ok(match side {
            CheckSide::Items | CheckSide::LocalEntries => self.table.shard_of(hash),
            CheckSide::GlobalEntries => self.index.shard_of(hash),
        })
    }

    /// The row of the item that an entry belongs to; `None` where no item of this table can have it.
    fn item_of(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let schema = self.table.schema();
        let own = if self.index.schema.is_local() {
            local_entry(entry).ok()?.map(|(_, own)| own)?
        } else {
            let Ok(Key::GlobalIndex { mut values, .. }) = Key::decode(Family::GlobalIndex, entry) else {
                return None;
            };
            if values.len() != self.index.schema.key_attributes().count() + schema.key_attributes().count() {
                return None;
            }
            let sort = schema.range.as_ref().and_then(|_| values.pop());
            ItemKey::new(schema.seed, values.pop()?, sort)
        };
        own.fits(&schema).then(|| item_key(schema.table, &own).to_vec())
    }

    fn shown(&self, entry: &[u8]) -> String {
        let family = if self.index.schema.is_local() { Family::LocalIndex } else { Family::GlobalIndex };
        explain::key(family, entry)
    }
}

#[cfg(test)]
mod tests;
