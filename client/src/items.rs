//! Items: put, get, update, delete, and batches.

use std::collections::BTreeMap;

use trilith_proto::data::v1 as proto;
use trilith_values::{Item, Map};

use crate::convert::{item_in, item_out, map_out};
use crate::error::{Error, Result};

/// Adds `name` and `value`: what the placeholders of a request's expressions stand for.
macro_rules! placeholders {
    ($($request:ident),*) => {$(
        impl $request {
            /// What a `#name` of the expressions stands for: an attribute's name.
            pub fn name(mut self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Self {
                self.names.insert(placeholder.into(), attribute.into());
                self
            }

            /// What a `:value` of the expressions stands for.
            pub fn value(
                mut self,
                placeholder: impl Into<String>,
                value: impl Into<trilith_values::AttributeValue>,
            ) -> Self {
                self.values.insert(placeholder.into(), value.into());
                self
            }
        }
    )*};
}
pub(crate) use placeholders;

/// Adds what the three single writes share.
macro_rules! conditional {
    ($($request:ident),*) => {$(
        impl $request {
            /// Must hold of the item as it is, or nothing is done and the call fails with
            /// [`ErrorKind::ConditionFailed`](crate::ErrorKind::ConditionFailed).
            pub fn condition(mut self, expression: impl Into<String>) -> Self {
                self.condition = Some(expression.into());
                self
            }

            /// If the condition fails, its error carries the item as it is.
            pub fn return_item_on_failure(mut self) -> Self {
                self.item_on_failure = true;
                self
            }

            fn on_failure(&self) -> i32 {
                use proto::ReturnValuesOnConditionCheckFailure::{AllOld, Unspecified};
                (if self.item_on_failure { AllOld } else { Unspecified }).into()
            }
        }
    )*};
}

/// Adds a report of consumed capacity.
macro_rules! metered {
    ($($request:ident),*) => {$(
        impl $request {
            /// The answer says what capacity was consumed.
            pub fn report_capacity(mut self) -> Self {
                self.capacity = true;
                self
            }
        }
    )*};
}
pub(crate) use metered;

pub(crate) fn report(capacity: bool) -> i32 {
    use proto::ReturnConsumedCapacity::{Total, Unspecified};
    (if capacity { Total } else { Unspecified }).into()
}

/// Capacity that a request consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// The table, as the request named it.
    pub table: String,
    /// Read or write units.
    pub units: f64,
}

impl Capacity {
    pub(crate) fn of(message: proto::ConsumedCapacity) -> Self {
        Self { table: message.table_name, units: message.capacity_units }
    }
}

/// What a write returns of its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returning {
    /// The item before the write.
    AllOld,
    /// The changed attributes before the write.
    UpdatedOld,
    /// The item after the write.
    AllNew,
    /// The changed attributes after the write.
    UpdatedNew,
}

impl Returning {
    fn number(returning: Option<Self>) -> i32 {
        use proto::ReturnValue;
        match returning {
            None => ReturnValue::Unspecified,
            Some(Self::AllOld) => ReturnValue::AllOld,
            Some(Self::UpdatedOld) => ReturnValue::UpdatedOld,
            Some(Self::AllNew) => ReturnValue::AllNew,
            Some(Self::UpdatedNew) => ReturnValue::UpdatedNew,
        }
        .into()
    }
}

/// Writes a whole item, replacing one with the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    table: String,
    item: Item,
    condition: Option<String>,
    names: BTreeMap<String, String>,
    values: Map,
    item_on_failure: bool,
    return_old: bool,
    capacity: bool,
}

impl Put {
    /// Of `item`, key included, in `table`.
    pub fn new(table: impl Into<String>, item: Item) -> Self {
        Self {
            table: table.into(),
            item,
            condition: None,
            names: BTreeMap::new(),
            values: Map::new(),
            item_on_failure: false,
            return_old: false,
            capacity: false,
        }
    }

    /// The answer holds the item that was replaced.
    pub fn return_old(mut self) -> Self {
        self.return_old = true;
        self
    }

    pub(crate) fn message(self) -> proto::PutItemRequest {
        proto::PutItemRequest {
            return_values: Returning::number(self.return_old.then_some(Returning::AllOld)),
            return_consumed_capacity: report(self.capacity),
            return_values_on_condition_check_failure: self.on_failure(),
            table_name: self.table,
            item: Some(item_out(self.item)),
            condition_expression: self.condition,
            expression_attribute_names: self.names,
            expression_attribute_values: map_out(self.values),
            ..Default::default()
        }
    }
}

/// Changes attributes of one item, creating it where it is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    table: String,
    key: Item,
    expression: String,
    condition: Option<String>,
    names: BTreeMap<String, String>,
    values: Map,
    item_on_failure: bool,
    returning: Option<Returning>,
    capacity: bool,
}

impl Update {
    /// Of the item with this full primary key, by an expression such as `SET price = price + :d REMOVE tags`.
    pub fn new(table: impl Into<String>, key: Item, expression: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            key,
            expression: expression.into(),
            condition: None,
            names: BTreeMap::new(),
            values: Map::new(),
            item_on_failure: false,
            returning: None,
            capacity: false,
        }
    }

    /// What the answer holds of the item.
    pub fn returning(mut self, returning: Returning) -> Self {
        self.returning = Some(returning);
        self
    }

    pub(crate) fn message(self) -> proto::UpdateItemRequest {
        proto::UpdateItemRequest {
            return_values: Returning::number(self.returning),
            return_consumed_capacity: report(self.capacity),
            return_values_on_condition_check_failure: self.on_failure(),
            table_name: self.table,
            key: Some(item_out(self.key)),
            update_expression: Some(self.expression),
            condition_expression: self.condition,
            expression_attribute_names: self.names,
            expression_attribute_values: map_out(self.values),
            ..Default::default()
        }
    }
}

/// Deletes one item; no error where it is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    table: String,
    key: Item,
    condition: Option<String>,
    names: BTreeMap<String, String>,
    values: Map,
    item_on_failure: bool,
    return_old: bool,
    capacity: bool,
}

impl Delete {
    /// Of the item with this full primary key.
    pub fn new(table: impl Into<String>, key: Item) -> Self {
        Self {
            table: table.into(),
            key,
            condition: None,
            names: BTreeMap::new(),
            values: Map::new(),
            item_on_failure: false,
            return_old: false,
            capacity: false,
        }
    }

    /// The answer holds the item that was deleted.
    pub fn return_old(mut self) -> Self {
        self.return_old = true;
        self
    }

    pub(crate) fn message(self) -> proto::DeleteItemRequest {
        proto::DeleteItemRequest {
            return_values: Returning::number(self.return_old.then_some(Returning::AllOld)),
            return_consumed_capacity: report(self.capacity),
            return_values_on_condition_check_failure: self.on_failure(),
            table_name: self.table,
            key: Some(item_out(self.key)),
            condition_expression: self.condition,
            expression_attribute_names: self.names,
            expression_attribute_values: map_out(self.values),
            ..Default::default()
        }
    }
}

/// What a put, update or delete answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// What the request asked to be returned, where there is any.
    pub attributes: Option<Item>,
    /// Capacity, where asked for.
    pub capacity: Option<Capacity>,
}

impl Written {
    pub(crate) fn of(
        attributes: Option<proto::Item>,
        capacity: Option<proto::ConsumedCapacity>,
    ) -> Result<Self> {
        Ok(Self { attributes: attributes.map(item_in).transpose()?, capacity: capacity.map(Capacity::of) })
    }
}

/// Reads one item by its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Get {
    table: String,
    key: Item,
    consistent: bool,
    projection: Option<String>,
    names: BTreeMap<String, String>,
    capacity: bool,
}

impl Get {
    /// Of the item with this full primary key.
    pub fn new(table: impl Into<String>, key: Item) -> Self {
        Self {
            table: table.into(),
            key,
            consistent: false,
            projection: None,
            names: BTreeMap::new(),
            capacity: false,
        }
    }

    /// Sees every write that was acknowledged before this read began.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    /// Only these paths.
    pub fn projection(mut self, expression: impl Into<String>) -> Self {
        self.projection = Some(expression.into());
        self
    }

    /// What a `#name` of the projection stands for: an attribute's name.
    pub fn name(mut self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.names.insert(placeholder.into(), attribute.into());
        self
    }

    pub(crate) fn message(self) -> proto::GetItemRequest {
        proto::GetItemRequest {
            table_name: self.table,
            key: Some(item_out(self.key)),
            consistent_read: Some(self.consistent),
            return_consumed_capacity: report(self.capacity),
            projection_expression: self.projection,
            expression_attribute_names: self.names,
        }
    }
}

/// What a get answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Got {
    /// The item; `None` where there is none.
    pub item: Option<Item>,
    /// Capacity, where asked for.
    pub capacity: Option<Capacity>,
}

impl Got {
    pub(crate) fn of(answer: proto::GetItemResponse) -> Result<Self> {
        let item = answer.item.map(item_in).transpose()?;
        Ok(Self { item, capacity: answer.consumed_capacity.map(Capacity::of) })
    }
}

placeholders!(Put, Update, Delete);
conditional!(Put, Update, Delete);
metered!(Put, Update, Delete, Get);

/// Reads up to 100 items by key, from any tables, in no order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchGet {
    keys: BTreeMap<String, Vec<Item>>,
    consistent: bool,
}

impl BatchGet {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of one more item.
    pub fn key(mut self, table: impl Into<String>, key: Item) -> Self {
        self.keys.entry(table.into()).or_default().push(key);
        self
    }

    /// Sees every write that was acknowledged before this read began.
    pub fn consistent(mut self) -> Self {
        self.consistent = true;
        self
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.consistent
    }

    /// How many keys it asks for.
    pub fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    /// Whether it asks for none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn message(self) -> proto::BatchGetItemRequest {
        let of_table = |keys: Vec<Item>| proto::KeysAndAttributes {
            keys: keys.into_iter().map(item_out).collect(),
            consistent_read: Some(self.consistent),
            ..Default::default()
        };
        proto::BatchGetItemRequest {
            request_items: self.keys.into_iter().map(|(table, keys)| (table, of_table(keys))).collect(),
            ..Default::default()
        }
    }
}

/// What a batch of gets answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchGot {
    /// The items that exist, with their tables.
    pub items: Vec<(String, Item)>,
    /// What was not read: ask again, after a pause. Empty when all was done.
    pub unprocessed: BatchGet,
}

impl BatchGot {
    pub(crate) fn of(answer: proto::BatchGetItemResponse, consistent: bool) -> Result<Self> {
        let found =
            |found: proto::BatchItem| Ok((found.table_name, item_in(found.item.unwrap_or_default())?));
        let unread = |(table, keys): (String, proto::KeysAndAttributes)| {
            Ok((table, keys.keys.into_iter().map(item_in).collect::<Result<_>>()?))
        };
        Ok(Self {
            items: answer.responses.into_iter().map(found).collect::<Result<_>>()?,
            unprocessed: BatchGet {
                keys: answer.unprocessed_keys.into_iter().map(unread).collect::<Result<_>>()?,
                consistent,
            },
        })
    }
}

/// Up to 25 puts and deletes, in any tables. Not atomic as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchWrite {
    writes: Vec<Write>,
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq)]
struct Write {
    table: String,
    /// An item to put, or a key to delete.
    item: Item,
    deletes: bool,
}

impl BatchWrite {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts one more item.
    pub fn put(self, table: impl Into<String>, item: Item) -> Self {
        self.with(table.into(), item, false)
    }

    /// Deletes one more item.
    pub fn delete(self, table: impl Into<String>, key: Item) -> Self {
        self.with(table.into(), key, true)
    }

    fn with(mut self, table: String, item: Item, deletes: bool) -> Self {
        self.writes.push(Write { table, item, deletes });
        self
    }

    /// How many writes it holds.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(crate) fn message(self) -> proto::BatchWriteItemRequest {
        use proto::write_request::Request::{DeleteKey, PutItem};
        let request = |write: Write| {
            let item = item_out(write.item);
            let request = if write.deletes { DeleteKey(item) } else { PutItem(item) };
            proto::WriteRequest { table_name: write.table, request: Some(request) }
        };
        proto::BatchWriteItemRequest {
            requests: self.writes.into_iter().map(request).collect(),
            ..Default::default()
        }
    }
}

/// What a batch of writes answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchWritten {
    /// What was not written: send it again, after a pause. Empty when all was done.
    pub unprocessed: BatchWrite,
}

impl BatchWritten {
    pub(crate) fn of(answer: proto::BatchWriteItemResponse) -> Result<Self> {
        use proto::write_request::Request::{DeleteKey, PutItem};
        let mut unprocessed = BatchWrite::new();
        for proto::WriteRequest { table_name, request } in answer.unprocessed_requests {
            unprocessed = match request {
                Some(PutItem(item)) => unprocessed.put(table_name, item_in(item)?),
                Some(DeleteKey(key)) => unprocessed.delete(table_name, item_in(key)?),
                None => {
                    return Err(Error::protocol("the server handed back a write of no known kind"));
                }
            };
        }
        Ok(Self { unprocessed })
    }
}
