//! BatchGetItem: up to 100 items by their keys, from any number of tables. Each key is a read of its own; what does not
//! fit 16 MB, or could not be read, is handed back as unprocessed.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::types::{ConsumedCapacity, HalfUnits, KeysAndAttributes, ReturnConsumed, ValueFault};
use super::{TableRef, keys, legacy, write};
use crate::capacity;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{ExpressionKind, Placeholders, Projection};
use crate::limits;
use crate::read::GetPlan;
use crate::validate::{CHECKED, Constraints};

/// What BatchGetItem is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchGetItemInput {
    /// `RequestItems`.
    pub request_items: Option<BTreeMap<String, KeysAndAttributes>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// What BatchGetItem answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchGetItemOutput {
    /// `Responses`: items by table, as the request named it; a table whose keys are all absent has an empty list.
    pub responses: BTreeMap<String, Vec<Item>>,
    /// `UnprocessedKeys`: empty (shown as `{}`) when all was done.
    pub unprocessed_keys: BTreeMap<String, KeysAndAttributes>,
    /// `ConsumedCapacity`, one element per table.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

/// The part of a BatchGetItem that concerns one table.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchGetTable {
    /// The table.
    pub table: TableRef,
    /// Whether every earlier write must be seen.
    pub consistent: bool,
    /// What of each item; `None` is all.
    pub projection: Option<Projection>,
    /// Keys, distinct, against no schema yet.
    pub keys: Vec<Item>,
    /// All as it was sent, but the keys: for what is handed back.
    sent: KeysAndAttributes,
}

/// BatchGetItem, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchGetItem {
    /// By table, in the order of their names.
    pub tables: Vec<BatchGetTable>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchGot {
    /// It was read.
    Read {
        /// The item, projected, where it exists.
        item: Option<Item>,
        /// Its whole size in bytes, 0 where there is none.
        size: u64,
    },
    /// It could not be read now: no leader, throttled, or too late.
    Unprocessed,
}

impl BatchGetItem {
    /// All checks that need no table.
    pub fn parse(input: BatchGetItemInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.required("requestItems", input.request_items.as_ref());
        let requests = input.request_items.unwrap_or_default();
        if check.is_clean() {
            check.entries("requestItems", requests.len(), 1, limits::BATCH_GET_KEYS_MAX);
        }
        let mut tables = Vec::with_capacity(requests.len());
        for (name, request) in &requests {
            tables.push(check.table("requestItems", Some(name)));
            let path = format!("requestItems.{name}.member.keys");
            match &request.keys {
                Some(keys) => check.count(&path, keys.len(), 1, limits::BATCH_GET_KEYS_MAX),
                None => check.missing(&path),
            }
            let path = format!("requestItems.{name}.member.attributesToGet");
            legacy::check_attributes(&mut check, &path, request.attributes_to_get.as_ref());
        }
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.finish()?;
        let keys: usize = requests.values().flat_map(|request| &request.keys).map(Vec::len).sum();
        if keys > limits::BATCH_GET_KEYS_MAX {
            return Err(OpError::validation("Too many items requested for the BatchGetItem call"));
        }
        for request in requests.values() {
            legacy::check_not_mixed(
                &[("AttributesToGet", request.attributes_to_get.is_some())],
                &[("ProjectionExpression", request.projection_expression.is_some())],
            )?;
        }
        write::check_fault(input.value_fault)?;
        let parse = |(table, request): (Option<TableRef>, KeysAndAttributes)| {
            BatchGetTable::parse(table.expect(CHECKED), request)
        };
        let tables = tables.into_iter().zip(requests.into_values()).map(parse).collect::<Result<_, _>>()?;
        Ok(Self { tables, consumed })
    }

    /// The answer: for each table, in order, what became of each of its keys, in order. Items that would make the answer
    /// larger than 16 MB, and all after them, count as unprocessed.
    pub fn shape(&self, got: Vec<Vec<BatchGot>>) -> BatchGetItemOutput {
        assert_eq!(got.len(), self.tables.len(), "one list a table");
        let mut output = BatchGetItemOutput::default();
        let mut room = limits::BATCH_BYTES_MAX;
        let mut capacities = Vec::new();
        for (part, got) in self.tables.iter().zip(got) {
            assert_eq!(got.len(), part.keys.len(), "one outcome a key");
            let mut items = Vec::new();
            let mut left = Vec::new();
            let mut units = HalfUnits::ZERO;
            for (key, got) in part.keys.iter().zip(got) {
                match got {
                    BatchGot::Read { item, size } if size <= room => {
                        room -= size;
                        units = units + capacity::read_units(size, part.consistent);
                        items.extend(item);
                    }
                    BatchGot::Read { .. } => {
                        room = 0;
                        left.push(key.clone());
                    }
                    BatchGot::Unprocessed => left.push(key.clone()),
                }
            }
            capacities.extend(capacity::consumed(part.table.given(), units, self.consumed));
            if !left.is_empty() {
                let back = KeysAndAttributes { keys: Some(left), ..part.sent.clone() };
                output.unprocessed_keys.insert(part.table.given().to_owned(), back);
            }
            output.responses.insert(part.table.given().to_owned(), items);
        }
        output.consumed_capacity = (self.consumed != ReturnConsumed::None).then_some(capacities);
        output
    }
}

impl BatchGetTable {
    fn parse(table: TableRef, mut sent: KeysAndAttributes) -> Result<Self, OpError> {
        let keys = sent.keys.take().expect(CHECKED);
        if (1..keys.len()).any(|i| keys[..i].contains(&keys[i])) {
            return Err(OpError::validation("Provided list of item keys contains duplicates"));
        }
        let text = sent.projection_expression.as_deref();
        let names = sent.expression_attribute_names.as_ref();
        let mut placeholders =
            Placeholders::new(names, None, &[(ExpressionKind::Projection, text.is_some())])?;
        let projection = write::read_projection(&mut placeholders, text, sent.attributes_to_get.as_ref())?;
        placeholders.finish()?;
        Ok(Self { table, consistent: sent.consistent_read.unwrap_or(false), projection, keys, sent })
    }

    /// A plan for each key, in order.
    pub fn bind(&self, record: &TableRecord) -> Result<Vec<GetPlan>, OpError> {
        let plan = |map: &Item| {
            let key = write::bind_key(record, map)?;
            let projection = self.projection.clone();
            Ok(GetPlan { table: record.id, schema: record.version, key, projection })
        };
        let plans = self.keys.iter().map(plan).collect::<Result<_, OpError>>()?;
        keys::check_scalar(record, self.projection.iter().flat_map(Projection::paths))?;
        Ok(plans)
    }
}
