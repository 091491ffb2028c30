//! What PutItem, UpdateItem and DeleteItem have in common: their options, their command, their answer.

use std::collections::BTreeMap;

use trilith_values::Item;
use trilith_values::key::KeyValue;

use super::legacy::{self, LegacyExpected};
use super::types::{
    HalfUnits, ItemCollectionMetrics, Names, ReturnConsumed, ValueFault, Values, WriteOutput,
};
use super::{TableRef, keys};
use crate::capacity::{self, Amount, IndexPart};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{Condition, ExpressionKind, Placeholders, Projection, Update};
use crate::item::ItemKey;
use crate::machine::{Action, CollectionSize, IndexCharge, ReplyBody, ReturnValues, Write, WrittenIndexed};
use crate::schema::IndexKind;

/// The options of a write of one item, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    /// Must hold for the write to happen.
    pub condition: Option<Condition>,
    /// Which image is asked for.
    pub returns: ReturnValues,
    /// Whether a false condition answers with the item.
    pub old_on_failure: bool,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
    /// `ReturnItemCollectionMetrics`: whether the size of the item collection is asked for.
    pub metrics: bool,
}

impl WriteOptions {
    /// The command for one item.
    pub(super) fn command(&self, record: &TableRecord, key: ItemKey, action: Action) -> Write {
        Write {
            table: record.id,
            schema: record.version,
            key,
            condition: self.condition.clone(),
            action,
            returns: self.returns,
            old_on_failure: self.old_on_failure,
        }
    }

    /// The condition may not lead into the table's key.
    pub(super) fn check_condition(&self, record: &TableRecord) -> Result<(), OpError> {
        keys::check_scalar(record, self.condition.iter().flat_map(Condition::paths))
    }

    /// The answer to the command's reply.
    pub(super) fn shape(&self, table: &TableRef, reply: ReplyBody) -> Result<WriteOutput, OpError> {
        let WrittenIndexed { written, charges, collection } = written(reply)?;
        let units = capacity::write_units(written.old_size, written.new_size);
        let parts = charges.into_iter().map(index_part).collect();
        Ok(WriteOutput {
            attributes: written.attributes.filter(|image| !image.is_empty()),
            consumed_capacity: capacity::consumed_with(table.given(), units, parts, self.consumed),
            item_collection_metrics: collection.filter(|_| self.metrics).map(collection_metrics),
        })
    }
}

/// What a write did, where it happened.
pub(super) fn written(reply: ReplyBody) -> Result<WrittenIndexed, OpError> {
    match reply {
        ReplyBody::Written(written) => Ok(WrittenIndexed { written, ..WrittenIndexed::default() }),
        ReplyBody::WrittenIndexed(written) => Ok(*written),
        other => Err(refusal(other)),
    }
}

/// The part of an index in what a write is charged.
pub(super) fn index_part(charge: IndexCharge) -> IndexPart {
    let amount = match charge.kind {
        IndexKind::Vector => Amount::Bytes(charge.units),
        IndexKind::Local | IndexKind::Global => Amount::Units(HalfUnits::whole(charge.units)),
    };
    IndexPart { name: charge.name, kind: charge.kind, amount }
}

/// An item collection, as the wire tells its size.
pub(super) fn collection_metrics(collection: CollectionSize) -> ItemCollectionMetrics {
    const GIGABYTE: u64 = 1 << 30;
    ItemCollectionMetrics { item_collection_key: collection.key, size_from_gb: collection.bytes / GIGABYTE }
}

/// The item collections that several writes have changed: by table, each collection once, as it is in the end.
#[derive(Debug, Default)]
pub(super) struct Collections(BTreeMap<String, BTreeMap<KeyValue, CollectionSize>>);

impl Collections {
    /// Notes a collection of a table, in place of what was noted of it before.
    pub(super) fn add(&mut self, table: &TableRef, collection: CollectionSize) {
        let Some(key) = collection.key.values().next().and_then(|value| KeyValue::try_from(value).ok())
        else {
            return;
        };
        self.0.entry(table.given().to_owned()).or_default().insert(key, collection);
    }

    /// `ItemCollectionMetrics`.
    pub(super) fn metrics(self) -> BTreeMap<String, Vec<ItemCollectionMetrics>> {
        let of_table = |(table, collections): (String, BTreeMap<KeyValue, CollectionSize>)| {
            (table, collections.into_values().map(collection_metrics).collect())
        };
        self.0.into_iter().map(of_table).collect()
    }
}

/// The error that a write's reply stands for, of every reply but success. Replies that mean "ask elsewhere" or "bind
/// again" are the engine's to follow and never come here but by a fault of ours.
pub(super) fn refusal(reply: ReplyBody) -> OpError {
    match reply {
        ReplyBody::ConditionFailed { item, .. } => OpError::ConditionalCheckFailed { item },
        ReplyBody::Invalid(text) => OpError::Validation(text),
        ReplyBody::Conflict => OpError::TransactionConflict("Transaction is ongoing for the item".to_owned()),
        ReplyBody::Poisoned => OpError::Internal("Internal server error".to_owned()),
        ReplyBody::CollectionFull => OpError::CollectionTooLarge("Collection size exceeded.".to_owned()),
        ReplyBody::Overloaded => OpError::Unavailable(
            "The indexes of the table cannot keep up with its writes; send the request again".to_owned(),
        ),
        ReplyBody::Written(_)
        | ReplyBody::WrittenIndexed(_)
        | ReplyBody::NotMine
        | ReplyBody::SchemaMismatch { .. }
        | ReplyBody::SpanDone
        | ReplyBody::Catalog(_)
        | ReplyBody::TransactWritten(_)
        | ReplyBody::Cancelled(_)
        | ReplyBody::Prepared(_)
        | ReplyBody::Finished
        | ReplyBody::Ledger(_) => OpError::Internal("a write was answered by something else".to_owned()),
    }
}

/// `PutItem` and `DeleteItem` show the item before or nothing.
pub(super) fn check_old_or_none(returns: ReturnValues) -> Result<(), OpError> {
    match returns {
        ReturnValues::None | ReturnValues::AllOld => Ok(()),
        ReturnValues::UpdatedOld | ReturnValues::AllNew | ReturnValues::UpdatedNew => {
            Err(OpError::validation("Return values set to invalid value"))
        }
    }
}

/// The first fault of values, once nothing ranks before it.
pub(super) fn check_fault(fault: ValueFault) -> Result<(), OpError> {
    fault.map_or(Ok(()), Err)
}

/// The request's placeholders, to read its expressions with. In the service's order: maps that nothing can use, a fault
/// of the values of items and keys, the maps' keys, a fault of the maps' values; the expressions would only miss those.
pub(super) fn placeholders<'r>(
    names: Option<&'r Names>,
    values: Option<&'r Values>,
    fault: ValueFault,
    expressions: &[(ExpressionKind, bool)],
) -> Result<Placeholders<'r>, OpError> {
    Placeholders::check_use(names, values, expressions)?;
    if fault.as_ref().is_some_and(Placeholders::is_invalid_value) {
        Placeholders::new(names, values, expressions)?;
    }
    check_fault(fault)?;
    Placeholders::new(names, values, expressions)
}

/// Reads a `ConditionExpression`, where there is one, or `Expected`. There are never both.
pub(super) fn read_condition(
    placeholders: &mut Placeholders<'_>,
    text: Option<&str>,
    expected: LegacyExpected,
) -> Result<Option<Condition>, OpError> {
    match text {
        Some(text) => placeholders.condition(ExpressionKind::Condition, text).map(Some),
        None => expected.condition(),
    }
}

/// Reads a `ProjectionExpression`, where there is one, or `AttributesToGet`. There are never both.
pub(super) fn read_projection(
    placeholders: &mut Placeholders<'_>,
    text: Option<&str>,
    attributes: Option<&Vec<String>>,
) -> Result<Option<Projection>, OpError> {
    match text {
        Some(text) => placeholders.projection(text).map(Some),
        None => attributes.map(|names| legacy::projection(names)).transpose(),
    }
}

/// Key attributes cannot be updated.
pub(super) fn check_not_key(record: &TableRecord, update: &Update) -> Result<(), OpError> {
    match update.targets().map(|path| path.root()).find(|name| keys::is_key_attribute(record, name)) {
        None => Ok(()),
        Some(name) => Err(OpError::Validation(format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the \
             key"
        ))),
    }
}

/// The key of a `Key` member, in a table whose data can be used.
pub(super) fn bind_key(record: &TableRecord, map: &Item) -> Result<ItemKey, OpError> {
    keys::check_usable(record)?;
    keys::key_of_map(record, map)
}
