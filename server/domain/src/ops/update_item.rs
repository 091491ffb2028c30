//! UpdateItem: changes parts of one item, or makes it, under a condition.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::legacy::{self, LegacyExpected};
use super::types::{AttributeUpdate, Expectation, Names, ValueFault, Values, WriteOutput};
use super::write::{self, WriteOptions};
use super::{TableRef, keys};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{ExpressionKind, Update, UpdateError};
use crate::machine::{Action, CommandBody, ReplyBody};
use crate::validate::{CHECKED, Constraints};

/// What UpdateItem is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateItemInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Key`.
    pub key: Option<Item>,
    /// `ReturnValues`.
    pub return_values: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `ReturnItemCollectionMetrics`.
    pub return_item_collection_metrics: Option<String>,
    /// `UpdateExpression`.
    pub update_expression: Option<String>,
    /// `ConditionExpression`.
    pub condition_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
    /// `AttributeUpdates`.
    pub attribute_updates: Option<BTreeMap<String, AttributeUpdate>>,
    /// `Expected`.
    pub expected: Option<BTreeMap<String, Expectation>>,
    /// `ConditionalOperator`.
    pub conditional_operator: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// UpdateItem, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateItem {
    /// The table.
    pub table: TableRef,
    /// The key, unchecked.
    pub key: Item,
    /// What changes; `None` makes the bare item where there is none.
    pub update: Option<Update>,
    /// Whether the update came as `AttributeUpdates`, of which one message speaks in other words.
    legacy: bool,
    /// Condition and answers.
    pub options: WriteOptions,
}

impl UpdateItem {
    /// All checks that need no table.
    pub fn parse(input: UpdateItemInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.required("key", input.key.as_ref());
        let returns = check.return_values(input.return_values.as_deref());
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let metrics = check.return_metrics(input.return_item_collection_metrics.as_deref());
        let old_on_failure = check.old_on_failure(input.return_values_on_condition_check_failure.as_deref());
        let expected =
            LegacyExpected::of_write(&mut check, input.expected, input.conditional_operator.as_deref());
        let updates = legacy::check_updates(&mut check, input.attribute_updates);
        check.finish()?;

        let update = input.update_expression.as_deref();
        let condition = input.condition_expression.as_deref();
        legacy::check_not_mixed(
            &[
                ("AttributeUpdates", updates.is_some()),
                ("Expected", expected.is_present()),
                ("ConditionalOperator", expected.has_operator()),
            ],
            &[("UpdateExpression", update.is_some()), ("ConditionExpression", condition.is_some())],
        )?;
        let legacy = updates.is_some();
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[(ExpressionKind::Update, update.is_some()), (ExpressionKind::Condition, condition.is_some())],
        )?;
        let update = match updates {
            Some(updates) => Some(legacy::update(updates)?),
            None => update.map(|text| placeholders.update(text)).transpose()?,
        };
        let condition = write::read_condition(&mut placeholders, condition, expected)?;
        placeholders.finish()?;
        let options = WriteOptions { condition, returns, old_on_failure, consumed, metrics };
        Ok(Self { table: table.expect(CHECKED), key: input.key.expect(CHECKED), update, legacy, options })
    }

    /// As a statement means it.
    pub(crate) fn of_statement(table: TableRef, key: Item, update: Update, options: WriteOptions) -> Self {
        Self { table, key, update: Some(update), legacy: false, options }
    }

    /// The command for this table. Key attributes cannot be updated.
    pub fn bind(&self, record: &TableRecord) -> Result<CommandBody, OpError> {
        let key = write::bind_key(record, &self.key)?;
        let update = self.update.clone().unwrap_or(Update { literals: Vec::new(), actions: Vec::new() });
        write::check_not_key(record, &update)?;
        keys::check_scalar(record, update.paths())?;
        self.options.check_condition(record)?;
        Ok(CommandBody::Write(self.options.command(record, key, Action::Update(update))))
    }

    /// The answer to the command's reply.
    pub fn shape(&self, reply: ReplyBody) -> Result<WriteOutput, OpError> {
        let reply = match reply {
            ReplyBody::Invalid(text) if self.legacy && text == UpdateError::OperandType.to_string() => {
                ReplyBody::Invalid("Type mismatch for attribute to update".to_owned())
            }
            other => other,
        };
        self.options.shape(&self.table, reply)
    }
}
