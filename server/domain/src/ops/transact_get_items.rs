//! TransactGetItems: up to 100 items by their keys, from any tables, as they were at one moment.

use trilith_values::Item;

use super::transaction::{Fault, bind_all};
use super::types::{ConsumedCapacity, Names, ReturnConsumed, UnitKind, ValueFault};
use super::{TableRef, keys, write};
use crate::capacity;
use crate::catalog::TableRecord;
use crate::error::{CancellationReason, OpError};
use crate::expr::{ExpressionKind, Projection};
use crate::limits;
use crate::read::{GetPlan, GotAt};
use crate::validate::{CHECKED, Constraints};

/// What TransactGetItems is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactGetItemsInput {
    /// `TransactItems`.
    pub transact_items: Option<Vec<TransactGetItemInput>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// An element of `TransactItems`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactGetItemInput {
    /// `Get`.
    pub get: Option<GetInput>,
}

/// `Get`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Key`.
    pub key: Option<Item>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
}

/// What TransactGetItems answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactGetItemsOutput {
    /// `Responses`, in the order of the request; an item that is not there is an element without `Item`.
    pub responses: Vec<Option<Item>>,
    /// `ConsumedCapacity`, one element per table, in the order of the request.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

/// TransactGetItems, parsed. Other operations that read in transactions make one of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactGetItems {
    /// What is to be read, in the order of the request. Never empty, 100 at the most.
    pub gets: Vec<TransactGet>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

/// One item of a read transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactGet {
    /// The table.
    pub table: TableRef,
    /// The key, unchecked.
    pub key: Item,
    /// What of the item; `None` is all.
    pub projection: Option<Projection>,
}

impl TransactGetItems {
    /// All checks that need no table.
    pub fn parse(input: TransactGetItemsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.required("transactItems", input.transact_items.as_ref());
        let items = input.transact_items.unwrap_or_default();
        if check.is_clean() {
            check.count("transactItems", items.len(), 1, limits::TRANSACTION_ITEMS_MAX);
        }
        let mut tables = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            if check.is_full() {
                break;
            }
            let path = |name: &str| format!("transactItems.{}.member.get{name}", i + 1);
            tables.push(match &item.get {
                Some(get) => {
                    check.required(&path(".key"), get.key.as_ref());
                    check.table(&path(".tableName"), get.table_name.as_deref())
                }
                None => {
                    check.missing(&path(""));
                    None
                }
            });
        }
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.finish()?;
        write::check_fault(input.value_fault)?;
        let parse = |(item, table): (TransactGetItemInput, Option<TableRef>)| {
            TransactGet::parse(table.expect(CHECKED), item.get.expect(CHECKED))
        };
        let gets = items.into_iter().zip(tables).map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { gets, consumed })
    }

    /// The plan of each item, from the record of its table. No item may be asked for twice.
    ///
    /// # Errors
    /// The cancellation for keys that do not fit, or the refusal of the whole.
    pub fn bind<'r>(&self, record: impl Fn(&TableRef) -> &'r TableRecord) -> Result<Vec<GetPlan>, OpError> {
        let bind = |get: &TransactGet| get.bind(record(&get.table));
        bind_all(&self.gets, bind, |plan| (plan.table, plan.key.clone()))
    }

    /// The answer, from what was found of each item, in order.
    ///
    /// # Errors
    /// Where the items are more than 4 MB; the text is our own.
    pub fn shape(&self, got: Vec<GotAt>) -> Result<TransactGetItemsOutput, OpError> {
        assert_eq!(got.len(), self.gets.len(), "one outcome an item");
        if got.iter().map(|got| got.size).sum::<u64>() > limits::TRANSACTION_BYTES_MAX as u64 {
            return Err(OpError::validation(
                "The items of the transaction have exceeded the maximum allowed size of 4 MB",
            ));
        }
        let charged = self.gets.iter().zip(&got);
        let charged =
            charged.map(|(get, got)| (&get.table, capacity::transact_read_units(got.size), Vec::new()));
        let consumed_capacity = capacity::consumed_by_table(charged, UnitKind::Read, self.consumed);
        Ok(TransactGetItemsOutput {
            responses: got.into_iter().map(|got| got.item).collect(),
            consumed_capacity,
        })
    }

    /// The answer where items were being changed: whether it was so of each, in order.
    pub fn cancelled(&self, conflicts: &[bool]) -> OpError {
        let reason = |conflict: &bool| match conflict {
            true => CancellationReason::conflict(),
            false => CancellationReason::none(),
        };
        OpError::cancelled(conflicts.iter().map(reason).collect())
    }
}

impl TransactGet {
    /// The plan for this table.
    pub(super) fn bind(&self, record: &TableRecord) -> Result<GetPlan, Fault> {
        keys::check_filled(record, &self.key).map_err(Fault::Whole)?;
        let key = write::bind_key(record, &self.key)?;
        let projection = self.projection.clone();
        Ok(GetPlan { table: record.id, schema: record.version, key, projection })
    }

    fn parse(table: TableRef, get: GetInput) -> Result<Self, OpError> {
        let text = get.projection_expression.as_deref();
        let mut placeholders = write::placeholders(
            get.expression_attribute_names.as_ref(),
            None,
            None,
            &[(ExpressionKind::Projection, text.is_some())],
        )?;
        let projection = text.map(|text| placeholders.projection(text)).transpose()?;
        placeholders.finish()?;
        Ok(Self { table, key: get.key.expect(CHECKED), projection })
    }
}
