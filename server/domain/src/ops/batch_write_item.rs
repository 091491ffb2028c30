//! BatchWriteItem: up to 25 puts and deletes, without conditions, each a write of its own. Not atomic: what could not be
//! written is handed back as unprocessed.

use std::collections::{BTreeMap, BTreeSet};

use trilith_values::Item;
use trilith_values::key::KeyValue;

use super::types::{
    ConsumedCapacity, HalfUnits, ItemCollectionMetrics, ReturnConsumed, ValueFault, WriteRequest,
    WriteRequestInput,
};
use super::write::{self, Collections, WriteOptions};
use super::{TableRef, keys};
use crate::capacity;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::item::ItemKey;
use crate::limits;
use crate::machine::{Action, ReplyBody, ReturnValues, Write, WrittenIndexed};
use crate::validate::{CHECKED, Constraints};

/// What BatchWriteItem is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchWriteItemInput {
    /// `RequestItems`.
    pub request_items: Option<BTreeMap<String, Vec<WriteRequestInput>>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ReturnItemCollectionMetrics`.
    pub return_item_collection_metrics: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// What BatchWriteItem answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchWriteItemOutput {
    /// `UnprocessedItems`: empty (shown as `{}`) when all was done.
    pub unprocessed_items: BTreeMap<String, Vec<WriteRequest>>,
    /// `ConsumedCapacity`, one element per table.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
    /// `ItemCollectionMetrics`, by table; empty (left out) where there is nothing to tell.
    pub item_collection_metrics: BTreeMap<String, Vec<ItemCollectionMetrics>>,
}

/// The part of a BatchWriteItem that concerns one table.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchWriteTable {
    /// The table.
    pub table: TableRef,
    /// What to write, in the order it was sent.
    pub requests: Vec<WriteRequest>,
}

/// BatchWriteItem, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchWriteItem {
    /// By table, in the order of their names.
    pub tables: Vec<BatchWriteTable>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
    /// `ReturnItemCollectionMetrics`: whether sizes are asked for.
    pub metrics: bool,
}

/// What became of one request of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchWritten {
    /// It was written.
    Written(Box<WrittenIndexed>),
    /// It was surely not written: no leader, throttled, or too late to propose it.
    Unprocessed,
}

impl BatchWritten {
    /// From the reply to its command.
    pub fn of_reply(reply: ReplyBody) -> Result<Self, OpError> {
        write::written(reply).map(|written| Self::Written(Box::new(written)))
    }
}

/// The text of the constraint on the lists of a BatchWriteItem.
const LIST_CONSTRAINT: &str = "Map value must satisfy constraint: [Member must have length less than or equal to 25, \
     Member must have length greater than or equal to 1]";

impl BatchWriteItem {
    /// All checks that need no table.
    pub fn parse(input: BatchWriteItemInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.required("requestItems", input.request_items.as_ref());
        let requests = input.request_items.unwrap_or_default();
        if check.is_clean() {
            check.entries("requestItems", requests.len(), 1, limits::BATCH_WRITE_REQUESTS_MAX);
        }
        if requests.values().any(|list| !(1..=limits::BATCH_WRITE_REQUESTS_MAX).contains(&list.len())) {
            check.aggregate("requestItems", LIST_CONSTRAINT);
        }
        let mut tables = Vec::with_capacity(requests.len());
        for (name, list) in &requests {
            tables.push(check.table("requestItems", Some(name)));
            for (i, request) in list.iter().enumerate() {
                let absent = match request {
                    WriteRequestInput { put: Some(None), .. } => "putRequest.item",
                    WriteRequestInput { delete: Some(None), .. } => "deleteRequest.key",
                    _ => continue,
                };
                check.missing(&format!("requestItems.{name}.member.{}.member.{absent}", i + 1));
            }
        }
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let metrics = check.return_metrics(input.return_item_collection_metrics.as_deref());
        check.finish()?;
        if requests.values().map(Vec::len).sum::<usize>() > limits::BATCH_WRITE_REQUESTS_MAX {
            return Err(OpError::validation("Too many items requested for the BatchWriteItem call"));
        }
        write::check_fault(input.value_fault)?;
        let parse = |(table, list): (Option<TableRef>, Vec<WriteRequestInput>)| {
            let requests = list.into_iter().map(parse_request).collect::<Result<_, OpError>>()?;
            Ok::<_, OpError>(BatchWriteTable { table: table.expect(CHECKED), requests })
        };
        let tables = tables.into_iter().zip(requests.into_values()).map(parse).collect::<Result<_, _>>()?;
        Ok(Self { tables, consumed, metrics })
    }

    /// The answer: for each table, in order, what became of each of its requests, in order.
    pub fn shape(&self, written: Vec<Vec<BatchWritten>>) -> BatchWriteItemOutput {
        assert_eq!(written.len(), self.tables.len(), "one list a table");
        let mut output = BatchWriteItemOutput::default();
        let mut capacities = Vec::new();
        let mut collections = Collections::default();
        for (part, written) in self.tables.iter().zip(written) {
            assert_eq!(written.len(), part.requests.len(), "one outcome a request");
            let mut units = HalfUnits::ZERO;
            let (mut left, mut parts) = (Vec::new(), Vec::new());
            for (request, written) in part.requests.iter().zip(written) {
                match written {
                    BatchWritten::Written(indexed) => {
                        let WrittenIndexed { written, charges, collection } = *indexed;
                        units = units + capacity::write_units(written.old_size, written.new_size);
                        parts.extend(charges.into_iter().map(write::index_part));
                        if let Some(collection) = collection.filter(|_| self.metrics) {
                            collections.add(&part.table, collection);
                        }
                    }
                    BatchWritten::Unprocessed => left.push(request.clone()),
                }
            }
            capacities.extend(capacity::consumed_with(part.table.given(), units, parts, self.consumed));
            if !left.is_empty() {
                output.unprocessed_items.insert(part.table.given().to_owned(), left);
            }
        }
        output.item_collection_metrics = collections.metrics();
        output.consumed_capacity = (self.consumed != ReturnConsumed::None).then_some(capacities);
        output
    }
}

/// Exactly one of put and delete; items are checked as PutItem checks them.
fn parse_request(input: WriteRequestInput) -> Result<WriteRequest, OpError> {
    match (input.put, input.delete) {
        (Some(item), None) => {
            let item = item.expect(CHECKED);
            keys::check_item(&item)?;
            Ok(WriteRequest::Put(item))
        }
        (None, Some(key)) => Ok(WriteRequest::Delete(key.expect(CHECKED))),
        // Contract 14.3 is unsure; all three oracles have these words for a request of no kind, DynamoDB Local has them
        // for one of two kinds too.
        (None, None) | (Some(_), Some(_)) => Err(OpError::validation(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
             datatypes",
        )),
    }
}

/// The key of an item to be put. A key attribute that is missing or of another type is told in the words for keys here,
/// other than in PutItem (dynalite and dynoxide agree; the contract is silent on batches).
fn put_key(record: &TableRecord, item: &Item) -> Result<ItemKey, OpError> {
    let definition = &record.definition;
    let mut attributes = std::iter::once(&definition.hash).chain(&definition.range);
    let fits = attributes.all(|attribute| {
        let value = item.get(&attribute.name).map(KeyValue::try_from);
        matches!(value, Some(Ok(value)) if value.key_type() == attribute.kind)
    });
    if fits { keys::key_of_item(record, item) } else { Err(keys::no_match()) }
}

impl BatchWriteTable {
    /// A command for each request, in order. No two may concern one item.
    pub fn bind(&self, record: &TableRecord) -> Result<Vec<Write>, OpError> {
        keys::check_usable(record)?;
        let options = WriteOptions {
            condition: None,
            returns: ReturnValues::None,
            old_on_failure: false,
            consumed: ReturnConsumed::None,
            metrics: false,
        };
        let mut seen = BTreeSet::new();
        let mut writes = Vec::with_capacity(self.requests.len());
        for request in &self.requests {
            let (key, action) = match request {
                WriteRequest::Put(item) => {
                    keys::check_index_keys(record, item)?;
                    (put_key(record, item)?, Action::Put(item.clone()))
                }
                WriteRequest::Delete(map) => (keys::key_of_map(record, map)?, Action::Delete),
            };
            if !seen.insert((key.partition.clone(), key.sort.clone())) {
                return Err(OpError::validation("Provided list of item keys contains duplicates"));
            }
            writes.push(options.command(record, key, action));
        }
        Ok(writes)
    }
}
