//! GetItem: reads one item by its key.

use trilith_values::Item;

use super::types::{ConsumedCapacity, Names, ReturnConsumed, ValueFault};
use super::{TableRef, keys, legacy, write};
use crate::capacity;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{ExpressionKind, Projection};
use crate::read::{GetPlan, Plan};
use crate::validate::{CHECKED, Constraints};

/// What GetItem is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetItemInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Key`.
    pub key: Option<Item>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `AttributesToGet`.
    pub attributes_to_get: Option<Vec<String>>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// What GetItem answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetItemOutput {
    /// `Item`; left out where there is none.
    pub item: Option<Item>,
    /// `ConsumedCapacity`.
    pub consumed_capacity: Option<ConsumedCapacity>,
}

/// GetItem, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct GetItem {
    /// The table.
    pub table: TableRef,
    /// The key, unchecked.
    pub key: Item,
    /// Whether every earlier write must be seen.
    pub consistent: bool,
    /// What of the item; `None` is all.
    pub projection: Option<Projection>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

impl GetItem {
    /// All checks that need no table.
    pub fn parse(input: GetItemInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.required("key", input.key.as_ref());
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let attributes = input.attributes_to_get.as_ref();
        legacy::check_attributes(&mut check, "attributesToGet", attributes);
        check.finish()?;

        let text = input.projection_expression.as_deref();
        legacy::check_not_mixed(
            &[("AttributesToGet", attributes.is_some())],
            &[("ProjectionExpression", text.is_some())],
        )?;
        let names = input.expression_attribute_names.as_ref();
        let mut placeholders = write::placeholders(
            names,
            None,
            input.value_fault,
            &[(ExpressionKind::Projection, text.is_some())],
        )?;
        let projection = write::read_projection(&mut placeholders, text, attributes)?;
        placeholders.finish()?;
        Ok(Self {
            table: table.expect(CHECKED),
            key: input.key.expect(CHECKED),
            consistent: input.consistent_read.unwrap_or(false),
            projection,
            consumed,
        })
    }

    /// The plan for this table.
    pub fn bind(&self, record: &TableRecord) -> Result<Plan, OpError> {
        let key = write::bind_key(record, &self.key)?;
        keys::check_scalar(record, self.projection.iter().flat_map(Projection::paths))?;
        let projection = self.projection.clone();
        Ok(Plan::Get(GetPlan { table: record.id, schema: record.version, key, projection }))
    }

    /// The answer, from the item found (projected) and its whole size in bytes.
    pub fn shape(&self, item: Option<Item>, size: u64) -> GetItemOutput {
        let units = capacity::read_units(size, self.consistent);
        GetItemOutput {
            item,
            consumed_capacity: capacity::consumed(self.table.given(), units, self.consumed),
        }
    }
}
