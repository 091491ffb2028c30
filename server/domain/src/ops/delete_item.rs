//! DeleteItem: removes one item, under a condition. An item that is not there is success.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::TableRef;
use super::legacy::{self, LegacyExpected};
use super::types::{Expectation, Names, ValueFault, Values, WriteOutput};
use super::write::{self, WriteOptions};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::ExpressionKind;
use crate::machine::{Action, CommandBody, ReplyBody};
use crate::validate::{CHECKED, Constraints};

/// What DeleteItem is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeleteItemInput {
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
    /// `ConditionExpression`.
    pub condition_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
    /// `Expected`.
    pub expected: Option<BTreeMap<String, Expectation>>,
    /// `ConditionalOperator`.
    pub conditional_operator: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// DeleteItem, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteItem {
    /// The table.
    pub table: TableRef,
    /// The key, unchecked.
    pub key: Item,
    /// Condition and answers.
    pub options: WriteOptions,
}

impl DeleteItem {
    /// All checks that need no table.
    pub fn parse(input: DeleteItemInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.required("key", input.key.as_ref());
        let returns = check.return_values(input.return_values.as_deref());
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        let metrics = check.return_metrics(input.return_item_collection_metrics.as_deref());
        let old_on_failure = check.old_on_failure(input.return_values_on_condition_check_failure.as_deref());
        let expected =
            LegacyExpected::of_write(&mut check, input.expected, input.conditional_operator.as_deref());
        check.finish()?;

        let text = input.condition_expression.as_deref();
        legacy::check_not_mixed(
            &[("Expected", expected.is_present()), ("ConditionalOperator", expected.has_operator())],
            &[("ConditionExpression", text.is_some())],
        )?;
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[(ExpressionKind::Condition, text.is_some())],
        )?;
        write::check_old_or_none(returns)?;
        let condition = write::read_condition(&mut placeholders, text, expected)?;
        placeholders.finish()?;
        let options = WriteOptions { condition, returns, old_on_failure, consumed, metrics };
        Ok(Self { table: table.expect(CHECKED), key: input.key.expect(CHECKED), options })
    }

    /// The command for this table.
    pub fn bind(&self, record: &TableRecord) -> Result<CommandBody, OpError> {
        let key = write::bind_key(record, &self.key)?;
        self.options.check_condition(record)?;
        Ok(CommandBody::Write(self.options.command(record, key, Action::Delete)))
    }

    /// The answer to the command's reply.
    pub fn shape(&self, reply: ReplyBody) -> Result<WriteOutput, OpError> {
        self.options.shape(&self.table, reply)
    }
}
