//! Commands about tables.
//!
//! The requests behind them were checked against the record that their proposer saw. What depends on the record is
//! checked again here, against the one that is: two UpdateTable calls may have met on the way.

use std::collections::BTreeMap;

use trilith_values::{SchemaVersion, TableId};

use super::apply::{Draft, Outcome};
use super::command::{CatalogReply, TableSettings};
use super::indexes;
use super::table::{
    BillingMode, IndexRecord, IndexStatus, SpanPlace, TableClass, TableDefinition, TableRecord, TableStatus,
    Units,
};
use super::view::{Catalog, Change};
use crate::limits::{TAG_BYTES_MAX, TAGS_MAX};
use crate::schema::{HashInterval, IndexKind, IndexScope};
use crate::time::Stamp;

/// Tables of an account (contract 15).
pub(super) const TABLES_MAX: usize = 2_500;
/// Decreases of provisioned units that may be saved up (contract 5.3).
const DECREASES_SAVED_MAX: u64 = 4;
/// Changes to on-demand billing in a day (contract 5.4).
const TO_ON_DEMAND_MAX: usize = 4;
/// Changes of the table class in 30 days (contract 12).
const CLASS_CHANGES_MAX: usize = 2;

const MICROS: u64 = 1_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A table that is to be made.
pub(super) struct NewTable<'c> {
    pub(super) account: u64,
    pub(super) name: &'c str,
    pub(super) uuid: u128,
    pub(super) seed: u64,
    pub(super) definition: &'c TableDefinition,
    pub(super) tags: &'c BTreeMap<String, String>,
}

/// Makes a table in state Creating.
pub(super) fn create(catalog: &Catalog, new: &NewTable<'_>, stamp: Stamp) -> Outcome {
    if let Some(table) = catalog.table_named(new.account, new.name) {
        return Outcome::reply(CatalogReply::TableExists(Box::new(table.clone())));
    }
    if catalog.count_tables(new.account) >= TABLES_MAX {
        return Outcome::limit(format!(
            "Subscriber limit exceeded: There is a limit of {TABLES_MAX} tables per subscriber"
        ));
    }
    let mut draft = Draft::of(catalog);
    let id = TableId(draft.counters().next_table);
    let spans = place_spans(catalog, id);
    if spans.is_empty() {
        return Outcome::invalid("the cluster has no shards for tables");
    }
    draft.counters().next_table += 1;
    let mut definition = new.definition.clone();
    for index in &mut definition.indexes {
        place_index(catalog, &mut draft, new.seed, index);
    }
    let on_demand = new.definition.billing == BillingMode::PayPerRequest;
    let table = TableRecord {
        id,
        account: new.account,
        name: new.name.to_owned(),
        uuid: new.uuid,
        created: stamp,
        status: TableStatus::Creating,
        definition,
        version: SchemaVersion::FIRST,
        seed: new.seed,
        spans,
        tags: new.tags.clone(),
        on_demand_since: on_demand.then_some(stamp),
        to_on_demand: Vec::new(),
        last_increase: None,
        last_decrease: None,
        decreases: Vec::new(),
        class_changed: None,
        class_changes: Vec::new(),
    };
    store(draft, table)
}

/// One span for each data shard, equal in hashes. Which shard gets the first follows from the table's id, so that
/// small tables, whose few partitions fall where they fall, do not all lean on one shard.
fn place_spans(catalog: &Catalog, table: TableId) -> Vec<SpanPlace> {
    let shards: Vec<_> = catalog.data_shards().map(|shard| shard.id).collect();
    let count = shards.len() as u64;
    let place = |i: u64| SpanPlace {
        interval: HashInterval::part(i, count),
        shard: shards[((i + table.0 % count) % count) as usize],
    };
    (0..count).map(place).collect()
}

/// Gives an index its id and, where it is global, seed and spans.
pub(super) fn place_index(catalog: &Catalog, draft: &mut Draft, seed: u64, index: &mut IndexRecord) {
    let id = TableId(draft.counters().next_table);
    draft.counters().next_table += 1;
    index.schema.id = id;
    if !index.schema.is_local() {
        // As good as random, given that the table's is, and another for each index.
        index.schema.scope = IndexScope::Global { seed: seed.wrapping_add(id.0.wrapping_mul(SEED_STEP)) };
        index.spans = place_spans(catalog, id);
    }
}

/// An odd number without a pattern (of the golden ratio).
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Every span has applied the table's descriptor: it becomes Active.
pub(super) fn ready(catalog: &Catalog, table: TableId) -> Outcome {
    let Some(table) = catalog.table(table) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    match table.status {
        TableStatus::Creating | TableStatus::Updating => {
            let mut next = TableRecord { status: TableStatus::Active, ..table.clone() };
            indexes::settle(&mut next);
            store(Draft::of(catalog), next)
        }
        TableStatus::Active => Outcome::reply(CatalogReply::Table(Box::new(table.clone()))),
        TableStatus::Deleting => busy(table),
    }
}

/// An Active table becomes Deleting; one that is Deleting stays so, and that is success.
pub(super) fn delete(catalog: &Catalog, account: u64, name: &str) -> Outcome {
    let Some(table) = catalog.table_named(account, name) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    match table.status {
        TableStatus::Deleting => Outcome::reply(CatalogReply::Table(Box::new(table.clone()))),
        TableStatus::Creating | TableStatus::Updating => busy(table),
        TableStatus::Active if table.definition.deletion_protection => {
            Outcome::reply(CatalogReply::Protected)
        }
        // An index is on its way: neither it nor its table can go (contract 3.1).
        TableStatus::Active if table.definition.indexes.iter().any(|i| i.status == IndexStatus::Creating) => {
            busy(table)
        }
        TableStatus::Active => {
            store(Draft::of(catalog), TableRecord { status: TableStatus::Deleting, ..table.clone() })
        }
    }
}

/// A Deleting table whose spans are gone is forgotten; so is one that was forgotten before.
pub(super) fn gone(catalog: &Catalog, table: TableId) -> Outcome {
    match catalog.table(table) {
        None => Outcome::reply(CatalogReply::Done),
        Some(table) if table.status != TableStatus::Deleting => busy(table),
        Some(_) => {
            let mut draft = Draft::of(catalog);
            draft.push(Change::TableGone(table));
            draft.done(CatalogReply::Done)
        }
    }
}

/// Changes an Active table's settings: it becomes Updating. Nothing of what can be changed so far is part of the
/// descriptor that the shards have, so its version stays and no write is bound again.
pub(super) fn alter(
    catalog: &Catalog,
    account: u64,
    name: &str,
    settings: &TableSettings,
    stamp: Stamp,
) -> Outcome {
    let Some(table) = catalog.table_named(account, name) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    if table.status != TableStatus::Active {
        return busy(table);
    }
    let mut next = table.clone();
    let altered = set(&mut next, settings, true, stamp).and_then(|()| check_index_units(&next));
    if let Err(refused) = altered {
        return refused;
    }
    next.status = TableStatus::Updating;
    store(Draft::of(catalog), next)
}

/// Changes settings of a table. Its indexes must be checked afterwards ([`check_index_units`]), when what the request says
/// of them was done too.
pub(super) fn set(
    table: &mut TableRecord,
    settings: &TableSettings,
    alone: bool,
    stamp: Stamp,
) -> Result<(), Outcome> {
    alter_billing(table, settings, alone, stamp)?;
    alter_maximum(table, settings)?;
    alter_warm(table, settings)?;
    alter_class(table, settings, stamp)?;
    if let Some(protection) = settings.deletion_protection {
        table.definition.deletion_protection = protection;
    }
    Ok(())
}

/// With provisioned units every global index has some of its own. The text is one that the service gave to UpdateTable
/// (aws-amplify/amplify-cli, issue 1714).
pub(super) fn check_index_units(table: &TableRecord) -> Result<(), Outcome> {
    let none = |index: &&IndexRecord| {
        index.schema.kind() == IndexKind::Global && index.throughput == Units::default()
    };
    match table.live_indexes().find(none) {
        Some(index) if table.definition.billing == BillingMode::Provisioned => {
            Err(Outcome::invalid(format!(
                "One or more parameter values were invalid: Both ReadCapacityUnits and WriteCapacityUnits must be \
                 specified for index: {}",
                index.schema.name
            )))
        }
        _ => Ok(()),
    }
}

/// Billing mode and provisioned units, which depend on each other.
fn alter_billing(
    table: &mut TableRecord,
    settings: &TableSettings,
    alone: bool,
    stamp: Stamp,
) -> Result<(), Outcome> {
    let before = table.definition.billing;
    let after = settings.billing.unwrap_or(before);
    match (before, after, settings.throughput) {
        (_, BillingMode::PayPerRequest, Some(_)) => Err(Outcome::invalid(
            "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (BillingMode::PayPerRequest, BillingMode::PayPerRequest, None)
        | (BillingMode::Provisioned, BillingMode::Provisioned, None) => Ok(()),
        (BillingMode::Provisioned, BillingMode::PayPerRequest, None) => go_on_demand(table, stamp),
        (BillingMode::PayPerRequest, BillingMode::Provisioned, None) => Err(Outcome::invalid(
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be \
             specified when BillingMode is PROVISIONED",
        )),
        (BillingMode::PayPerRequest, BillingMode::Provisioned, Some(_)) if has_vectors(table) => {
            Err(Outcome::invalid(indexes::VECTORS_ON_DEMAND))
        }
        (BillingMode::PayPerRequest, BillingMode::Provisioned, Some(units)) => {
            table.definition.billing = BillingMode::Provisioned;
            table.definition.throughput = units;
            // Only an on-demand table has maxima, and so have its indexes.
            table.definition.on_demand_maximum = None;
            table.definition.indexes.iter_mut().for_each(|index| index.on_demand_maximum = None);
            Ok(())
        }
        (BillingMode::Provisioned, BillingMode::Provisioned, Some(units)) => {
            change_units(table, units, alone && settings.is_units_alone(), stamp)
        }
    }
}

fn go_on_demand(table: &mut TableRecord, stamp: Stamp) -> Result<(), Outcome> {
    keep_recent(&mut table.to_on_demand, stamp, DAY);
    if table.to_on_demand.len() >= TO_ON_DEMAND_MAX {
        return Err(Outcome::limit(format!(
            "Subscriber limit exceeded: Update to PayPerRequest mode are limited to {TO_ON_DEMAND_MAX} times in 1 day(s)"
        )));
    }
    table.to_on_demand.push(stamp);
    table.on_demand_since = Some(stamp);
    table.definition.billing = BillingMode::PayPerRequest;
    table.definition.throughput = Units::default();
    table.definition.indexes.iter_mut().for_each(|index| index.throughput = Units::default());
    Ok(())
}

fn has_vectors(table: &TableRecord) -> bool {
    table.definition.indexes.iter().any(|index| index.schema.kind() == IndexKind::Vector)
}

/// New provisioned units. One change may raise one side and lower the other, and then counts as both.
fn change_units(table: &mut TableRecord, units: Units, alone: bool, stamp: Stamp) -> Result<(), Outcome> {
    let before = table.definition.throughput;
    if units == before {
        return if alone { Err(unchanged(units)) } else { Ok(()) };
    }
    if units.read > before.read || units.write > before.write {
        table.last_increase = Some(stamp);
    }
    if units.read < before.read || units.write < before.write {
        count_decrease(table, stamp)?;
    }
    table.definition.throughput = units;
    Ok(())
}

fn unchanged(units: Units) -> Outcome {
    let Units { read, write } = units;
    Outcome::invalid(format!(
        "The provisioned throughput for the table will not change. The requested value equals the current value. \
         Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. \
         Current WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. \
         Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    ))
}

fn count_decrease(table: &mut TableRecord, stamp: Stamp) -> Result<(), Outcome> {
    let today = stamp.seconds() / DAY;
    table.decreases.retain(|decrease| decrease.seconds() / DAY == today);
    if decreases_left(&table.decreases, stamp) == 0 {
        let count = table.decreases.len();
        return Err(Outcome::limit(format!(
            "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the \
             first {DECREASES_SAVED_MAX} decreases, each subsequent decrease in the same UTC day can be performed at \
             most once every {HOUR} seconds. Number of decreases today: {count}."
        )));
    }
    table.decreases.push(stamp);
    table.last_decrease = Some(stamp);
    Ok(())
}

/// Decreases that are still allowed: four at the start of the UTC day, one more for each hour of it, four held at the
/// most (contract 5.3). `decreases` are those of the day so far.
fn decreases_left(decreases: &[Stamp], now: Stamp) -> u64 {
    let hour = |stamp: &Stamp| stamp.seconds() % DAY / HOUR;
    let earned = |(left, since): (u64, u64), until: u64| {
        let hours = until.saturating_sub(since);
        ((left + hours).min(DECREASES_SAVED_MAX), until)
    };
    let spent = decreases.iter().fold((DECREASES_SAVED_MAX, 0), |held, decrease| {
        let (left, hour) = earned(held, hour(decrease));
        (left.saturating_sub(1), hour)
    });
    earned(spent, hour(&now)).0
}

/// On-demand maxima: -1 is none.
fn alter_maximum(table: &mut TableRecord, settings: &TableSettings) -> Result<(), Outcome> {
    let Some(maximum) = settings.on_demand_maximum else {
        return Ok(());
    };
    if table.definition.billing == BillingMode::Provisioned {
        return Err(Outcome::invalid(
            "One or more parameter values were invalid: OnDemandThroughput cannot be specified when BillingMode is \
             PROVISIONED",
        ));
    }
    let none = maximum.read < 0 && maximum.write < 0;
    table.definition.on_demand_maximum = (!none).then_some(maximum);
    Ok(())
}

/// Warm throughput only ever rises (contract 5.4).
fn alter_warm(table: &mut TableRecord, settings: &TableSettings) -> Result<(), Outcome> {
    let Some(warm) = settings.warm else {
        return Ok(());
    };
    if table.definition.warm.is_some_and(|held| warm.read < held.read || warm.write < held.write) {
        return Err(Outcome::invalid(
            "One or more parameter values were invalid: WarmThroughput cannot be decreased",
        ));
    }
    table.definition.warm = Some(warm);
    Ok(())
}

fn alter_class(table: &mut TableRecord, settings: &TableSettings, stamp: Stamp) -> Result<(), Outcome> {
    let Some(class) = settings.class else {
        return Ok(());
    };
    if table.definition.class.unwrap_or(TableClass::Standard) == class {
        table.definition.class = Some(class);
        return Ok(());
    }
    keep_recent(&mut table.class_changes, stamp, 30 * DAY);
    if table.class_changes.len() >= CLASS_CHANGES_MAX {
        return Err(Outcome::limit(format!(
            "Subscriber limit exceeded: Updates to TableClass are limited to {CLASS_CHANGES_MAX} times in 30 day(s)"
        )));
    }
    table.class_changes.push(stamp);
    table.class_changed = Some(stamp);
    table.definition.class = Some(class);
    Ok(())
}

/// Forgets stamps that are `seconds` old or older.
fn keep_recent(stamps: &mut Vec<Stamp>, now: Stamp, seconds: u64) {
    stamps.retain(|stamp| stamp.0.saturating_add(seconds * MICROS) > now.0);
}

/// Adds or overwrites tags.
pub(super) fn tag(catalog: &Catalog, table: TableId, tags: &BTreeMap<String, String>) -> Outcome {
    change_tags(catalog, table, |all| all.extend(tags.clone()))
}

/// Removes tags; one that is not there is no error.
pub(super) fn untag(catalog: &Catalog, table: TableId, keys: &[String]) -> Outcome {
    change_tags(catalog, table, |all| keys.iter().for_each(|key| drop(all.remove(key))))
}

fn change_tags(
    catalog: &Catalog,
    table: TableId,
    change: impl FnOnce(&mut BTreeMap<String, String>),
) -> Outcome {
    let Some(table) = catalog.table(table) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    if table.status == TableStatus::Deleting {
        return busy(table);
    }
    let mut tags = table.tags.clone();
    change(&mut tags);
    if tags == table.tags {
        return Outcome::reply(CatalogReply::Done);
    }
    let bytes: usize = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    if tags.len() > TAGS_MAX {
        return Outcome::limit(format!("Number of tags exceeds the limit of {TAGS_MAX} for a resource"));
    }
    if bytes > TAG_BYTES_MAX {
        return Outcome::limit(format!(
            "Size of tags exceeds the limit of {TAG_BYTES_MAX} bytes for a resource"
        ));
    }
    let mut draft = Draft::of(catalog);
    draft.push(Change::Table(Box::new(TableRecord { tags, ..table.clone() })));
    draft.done(CatalogReply::Done)
}

/// Stores a table and answers it.
pub(super) fn store(mut draft: Draft, table: TableRecord) -> Outcome {
    let table = Box::new(table);
    draft.push(Change::Table(table.clone()));
    draft.done(CatalogReply::Table(table))
}

pub(super) fn busy(table: &TableRecord) -> Outcome {
    Outcome::reply(CatalogReply::TableBusy(Box::new(table.clone())))
}
