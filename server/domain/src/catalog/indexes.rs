//! Commands about the global and vector indexes of a table that is there.
//!
//! ```text
//! create  CREATING, Backfilling false   the index's spans are opened, then the table's descriptor names it
//!         CREATING, Backfilling true    (TableReady) items that were there before are owed to it, shard by shard
//!         ACTIVE                        (IndexReady) everything owed has arrived
//! delete  DELETING                      the table's descriptor forgets it, then its spans are dropped
//!         forgotten                     (TableReady)
//! ```
//!
//! Only one index of a table is on its way in or out at a time (contract 14.2).

use trilith_values::TableId;

use super::apply::{Draft, Outcome};
use super::command::{CatalogReply, IndexChange, TableSettings};
use super::table::{BillingMode, IndexRecord, IndexStatus, TableRecord, TableStatus, Units};
use super::tables::{busy, check_index_units, place_index, set, store};
use super::view::Catalog;
use crate::limits::{GLOBAL_INDEXES_MAX, VECTOR_INDEXES_MAX};
use crate::schema::{IndexKind, VectorSchema};
use crate::time::Stamp;

/// The refusal of a second index that is to be made or dropped.
pub(crate) const ONE_AT_A_TIME: &str =
    "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";

/// The refusal of vector indexes in a provisioned table. The service's text is not on record.
pub(crate) const VECTORS_ON_DEMAND: &str = "One or more parameter values were invalid: Vector indexes are supported only \
                                            for tables with BillingMode PAY_PER_REQUEST";

/// Changes settings and indexes of an Active table: it becomes Updating.
pub(super) fn alter(
    catalog: &Catalog,
    account: u64,
    name: &str,
    settings: &TableSettings,
    changes: &[IndexChange],
    stamp: Stamp,
) -> Outcome {
    let Some(table) = catalog.table_named(account, name) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    if table.status != TableStatus::Active {
        return busy(table);
    }
    let mut draft = Draft::of(catalog);
    let mut next = table.clone();
    if let Err(refused) = set(&mut next, settings, changes.is_empty(), stamp) {
        return refused;
    }
    for change in changes {
        let altered = match change {
            IndexChange::Create(index) => create(catalog, &mut draft, &mut next, index),
            IndexChange::Delete(name) => delete(&mut next, IndexKind::Global, name),
            IndexChange::DeleteVector(name) => delete(&mut next, IndexKind::Vector, name),
            IndexChange::Update { name, throughput, on_demand_maximum, warm } => {
                update(&mut next, name, *throughput, *on_demand_maximum, *warm)
            }
        };
        if let Err(refused) = altered {
            return refused;
        }
    }
    if let Err(refused) = check_index_units(&next) {
        return refused;
    }
    next.status = TableStatus::Updating;
    store(draft, next)
}

fn create(
    catalog: &Catalog,
    draft: &mut Draft,
    table: &mut TableRecord,
    index: &IndexRecord,
) -> Result<(), Outcome> {
    let name = &index.schema.name;
    if table.definition.index(name).is_some() {
        let kind = named(index.schema.kind());
        return Err(Outcome::invalid(format!("{kind} already exists: {name}")));
    }
    if table.definition.indexes.iter().any(|index| index.status != IndexStatus::Active) {
        return Err(Outcome::limit(ONE_AT_A_TIME));
    }
    let kind = index.schema.kind();
    let count = table.definition.indexes.iter().filter(|index| index.schema.kind() == kind).count();
    let (name, max) = match kind {
        IndexKind::Local | IndexKind::Global => ("GlobalSecondaryIndex", GLOBAL_INDEXES_MAX),
        IndexKind::Vector => ("VectorIndex", VECTOR_INDEXES_MAX),
    };
    if count >= max {
        return Err(Outcome::invalid(format!(
            "One or more parameter values were invalid: {name} count exceeds the per-table limit of {max}"
        )));
    }
    if kind == IndexKind::Vector && table.definition.billing == BillingMode::Provisioned {
        return Err(Outcome::invalid(VECTORS_ON_DEMAND));
    }
    let shared = table.definition.indexes.iter().chain(std::iter::once(index));
    if let Some(refused) = different_dimensions(shared) {
        return Err(Outcome::invalid(refused));
    }
    let mut index = IndexRecord { status: IndexStatus::Creating, backfilling: Some(false), ..index.clone() };
    place_index(catalog, draft, table.seed, &mut index);
    table.definition.indexes.push(index);
    table.version = table.version.next();
    Ok(())
}

fn delete(table: &mut TableRecord, kind: IndexKind, name: &str) -> Result<(), Outcome> {
    let others = table.definition.indexes.iter().filter(|index| index.schema.name != name);
    let another = others.clone().any(|index| index.status != IndexStatus::Active);
    let Some(index) = find(table, kind, name) else {
        let text = format!("{} does not exist, but tried to delete: {name}", named(kind));
        return Err(Outcome::invalid(text));
    };
    if another {
        return Err(Outcome::limit(ONE_AT_A_TIME));
    }
    index.status = IndexStatus::Deleting;
    table.version = table.version.next();
    Ok(())
}

fn update(
    table: &mut TableRecord,
    name: &str,
    throughput: Option<Units>,
    on_demand_maximum: Option<Units>,
    warm: Option<Units>,
) -> Result<(), Outcome> {
    let Some(index) = find(table, IndexKind::Global, name) else {
        let text = format!("Global Secondary Index does not exist, but tried to update: {name}");
        return Err(Outcome::invalid(text));
    };
    index.throughput = throughput.unwrap_or(index.throughput);
    if let Some(maximum) = on_demand_maximum {
        // -1 and -1 is none.
        index.on_demand_maximum = (maximum.read >= 0 || maximum.write >= 0).then_some(maximum);
    }
    index.warm = warm.or(index.warm);
    Ok(())
}

fn find<'t>(table: &'t mut TableRecord, kind: IndexKind, name: &str) -> Option<&'t mut IndexRecord> {
    let mut indexes = table.definition.indexes.iter_mut();
    indexes.find(|index| index.schema.name == name && index.schema.kind() == kind)
}

/// A kind in the words of messages.
fn named(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::Local => "Local Secondary Index",
        IndexKind::Global => "Global Secondary Index",
        IndexKind::Vector => "Vector Index",
    }
}

/// What is said where two vector indexes of one attribute have vectors of different lengths (contract 3.1).
pub(crate) fn different_dimensions<'i>(
    indexes: impl Iterator<Item = &'i IndexRecord> + Clone,
) -> Option<String> {
    let vectors = indexes.filter_map(|index| index.schema.vector.as_ref());
    let differ = |one: &VectorSchema| {
        vectors.clone().any(|other| other.attribute == one.attribute && other.dimensions != one.dimensions)
    };
    let one = vectors.clone().find(|one| differ(one))?;
    Some(format!(
        "One or more parameter values were invalid: Vector indexes of the attribute {} must have the same Dimensions",
        one.attribute
    ))
}

/// What becomes of indexes when every span has applied the table's descriptor.
pub(super) fn settle(table: &mut TableRecord) {
    table.definition.indexes.retain(|index| index.status != IndexStatus::Deleting);
    for index in &mut table.definition.indexes {
        match (index.status, index.backfilling) {
            // Made with its table, it is ready with it.
            (IndexStatus::Creating, None) => index.status = IndexStatus::Active,
            (IndexStatus::Creating, Some(false)) => index.backfilling = Some(true),
            _ => {}
        }
    }
}

/// An index that was added has everything.
pub(super) fn ready(catalog: &Catalog, id: TableId) -> Outcome {
    let Some((table, _)) = catalog.index(id) else {
        return Outcome::reply(CatalogReply::NotFound);
    };
    let mut next = table.clone();
    let of_id = |index: &&mut IndexRecord| index.schema.id == id && index.backfilling == Some(true);
    match next.definition.indexes.iter_mut().find(of_id) {
        Some(index) if index.status == IndexStatus::Creating => {
            index.status = IndexStatus::Active;
            index.backfilling = None;
            store(Draft::of(catalog), next)
        }
        _ => Outcome::reply(CatalogReply::Done),
    }
}
