//! Query and Scan of an index: which entries, what of them, and where a page goes on.
//!
//! A local index knows the whole item, in its table: attributes that it does not hold are fetched, at a cost. A global
//! index shows what it holds and nothing else, and never strongly.

use trilith_values::key::{KeyValue, partition_hash};

use super::page::{PageOptions, Shown};
use crate::catalog::{IndexRecord, IndexStatus, TableRecord};
use crate::error::OpError;
use crate::expr::{KeyCondition, RangeTest};
use crate::item::ItemKey;
use crate::keyspace;
use crate::read::{IndexPlan, IndexRun};
use crate::schema::{
    HashInterval, IndexKey, IndexKind, IndexProjection, IndexSchema, IndexScope, TableSchema,
};

/// The index of this name, where it can be read so by `operation`.
pub(super) fn find<'r>(
    record: &'r TableRecord,
    operation: &str,
    name: &str,
    options: &PageOptions,
) -> Result<&'r IndexRecord, OpError> {
    let Some(index) = record.definition.index(name) else {
        return Err(OpError::Validation(format!("The table does not have the specified index: {name}")));
    };
    match index.schema.kind() {
        IndexKind::Local => return Ok(index),
        IndexKind::Global => {}
        IndexKind::Vector => {
            return Err(OpError::Validation(format!(
                "{operation} operation not supported on this index type."
            )));
        }
    }
    if options.consistent {
        return Err(OpError::validation("Consistent reads are not supported on global secondary indexes"));
    }
    if index.status != IndexStatus::Active && index.backfilling.is_some() {
        return Err(OpError::Validation(format!(
            "Cannot read from backfilling global secondary index: {name}"
        )));
    }
    check_shown(&record.schema(), &index.schema, options)?;
    Ok(index)
}

/// A global index shows only what it holds.
fn check_shown(table: &TableSchema, index: &IndexSchema, options: &PageOptions) -> Result<(), OpError> {
    let name = &index.name;
    if options.shown == Shown::AllAttributes && index.projection != IndexProjection::All {
        return Err(OpError::Validation(format!(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary \
             index {name} because its projection type is not ALL"
        )));
    }
    let absent: Vec<&str> = asked(options).filter(|attribute| !index.projects(table, attribute)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "One or more parameter values were invalid: Global secondary index {name} does not project [{}]",
        absent.join(", ")
    )))
}

/// The attributes that a projection names.
fn asked(options: &PageOptions) -> impl Iterator<Item = &str> {
    options.projection.iter().flat_map(|projection| projection.paths()).map(|path| path.root())
}

/// Whether items must be fetched from the table: for all attributes, or for some that the index does not hold. What a
/// filter names counts too: it must see what the item has.
fn fetches(table: &TableSchema, index: &IndexSchema, options: &PageOptions) -> bool {
    if !index.is_local() || index.projection == IndexProjection::All {
        return false;
    }
    let filtered = options.filter.iter().flat_map(|filter| filter.paths()).map(|path| path.root());
    options.shown == Shown::AllAttributes
        || asked(options).chain(filtered).any(|attribute| !index.projects(table, attribute))
}

/// The plan of a query.
pub(super) fn query(
    record: &TableRecord,
    index: &IndexRecord,
    condition: &KeyCondition,
    forward: bool,
    options: &PageOptions,
) -> Result<IndexPlan, OpError> {
    let schema = &index.schema;
    let bound = condition.bind_index(&schema.hash, &schema.range)?;
    let (hash, mut prefix) = match schema.scope {
        IndexScope::Local => {
            let hash = partition_hash(record.seed, &bound.hash[0]);
            (hash, keyspace::local_index_prefix(record.id, hash, &bound.hash[0], schema.id))
        }
        IndexScope::Global { seed } => {
            let hash = IndexSchema::hash_of(seed, &bound.hash);
            (hash, keyspace::global_index_prefix(schema.id, hash, bound.hash.iter()))
        }
    };
    bound.equal.iter().for_each(|value| trilith_values::key::encode_ordered(value, &mut prefix));
    let start = start(record, schema, options)?;
    if let Some((key, _, _)) = &start {
        if key.hash != bound.hash {
            return Err(OpError::validation(
                "The provided starting key is outside query boundaries based on provided conditions",
            ));
        }
        let equal = key.range.iter().zip(&bound.equal).all(|(start, asked)| start == asked);
        let tested = bound.range.as_ref().zip(key.range.get(bound.equal.len()));
        if !equal || tested.is_some_and(|(test, value): (&RangeTest, &KeyValue)| !test.matches(value)) {
            return Err(OpError::validation(
                "The provided starting key does not match the range key predicate",
            ));
        }
    }
    let run = IndexRun::Partition { hash, prefix, range: bound.range, forward };
    Ok(plan(record, schema, run, start.map(|(_, hash, row)| (hash, row)), options))
}

/// The plan of a scan over `interval`, from the start key on.
pub(super) fn scan(
    record: &TableRecord,
    index: &IndexRecord,
    interval: HashInterval,
    options: &PageOptions,
) -> Result<IndexPlan, OpError> {
    let start = start(record, &index.schema, options)?.map(|(_, hash, row)| (hash, row));
    let first = start.as_ref().map_or(interval.first, |(hash, _)| *hash);
    let run = IndexRun::Interval(HashInterval { first, last: interval.last });
    Ok(plan(record, &index.schema, run, start, options))
}

fn plan(
    record: &TableRecord,
    index: &IndexSchema,
    run: IndexRun,
    start_after: Option<(u64, Vec<u8>)>,
    options: &PageOptions,
) -> IndexPlan {
    let table = record.schema();
    let (span, schema, local) = if index.is_local() {
        (record.id, record.version, Some(index.id))
    } else {
        (index.id, index.span_schema(record.id).version, None)
    };
    IndexPlan {
        span,
        schema,
        local,
        run,
        start_after,
        key_names: key_names(&table, index),
        fetch: fetches(&table, index, options),
        shape: options.shape(),
    }
}

/// The attributes of keys of index and table, each once.
fn key_names(table: &TableSchema, index: &IndexSchema) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for attribute in index.key_attributes().chain(table.key_attributes()) {
        if !names.contains(&attribute.name) {
            names.push(attribute.name.clone());
        }
    }
    names
}

/// The entry that the page starts after: values of the index's key, the hash that places it, and its row's key.
fn start(
    record: &TableRecord,
    index: &IndexSchema,
    options: &PageOptions,
) -> Result<Option<(IndexKey, u64, Vec<u8>)>, OpError> {
    let Some(start) = &options.start else {
        return Ok(None);
    };
    let table = record.schema();
    let key = (start.len() == key_names(&table, index).len())
        .then(|| Some((ItemKey::of_item(&table, start)?, index.key_of(start)?)))
        .flatten();
    let Some((own, key)) = key else {
        return Err(OpError::validation("The provided starting key is invalid"));
    };
    let hash = match index.scope {
        IndexScope::Local => own.hash,
        IndexScope::Global { seed } => IndexSchema::hash_of(seed, &key.hash),
    };
    let row = index.row_key(record.id, &own, &key).to_vec();
    Ok(Some((key, hash, row)))
}

/// Whether a query's filter names a key attribute of the index.
pub(super) fn key_in_filter<'f>(
    index: &IndexSchema,
    mut names: impl Iterator<Item = &'f str>,
) -> Option<&'f str> {
    names.find(|name| index.key_attributes().any(|attribute| attribute.name == *name))
}

/// The key attributes of an item's start key, for segments of a scan.
pub(super) fn start_hash(plan: &IndexPlan) -> Option<u64> {
    plan.start_after.as_ref().map(|(hash, _)| *hash)
}
