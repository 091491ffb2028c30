//! UpdateItem: changes parts of one item, or makes it, under a condition.

use trilith_values::Item;

use super::types::{Names, NotBuilt, ValueFault, Values, WriteOutput};
use super::write::{self, WriteOptions};
use super::{TableRef, keys};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{ExpressionKind, Update};
use crate::machine::{Action, CommandBody, ReplyBody};
use crate::validate::{self, CHECKED, Constraints};

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
    /// Members that were sent and are not built.
    pub not_built: NotBuilt,
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
        check.return_metrics(input.return_item_collection_metrics.as_deref());
        let old_on_failure =
            check.old_on_failure(input.return_values_on_condition_check_failure.as_deref());
        check.finish()?;
        validate::refuse_not_built(&input.not_built)?;

        let update = input.update_expression.as_deref();
        let condition = input.condition_expression.as_deref();
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[
                (ExpressionKind::Update, update.is_some()),
                (ExpressionKind::Condition, condition.is_some()),
            ],
        )?;
        let update = update.map(|text| placeholders.update(text)).transpose()?;
        let condition = write::read_condition(&mut placeholders, condition)?;
        placeholders.finish()?;
        let options = WriteOptions {
            condition,
            returns,
            old_on_failure,
            consumed,
        };
        Ok(Self {
            table: table.expect(CHECKED),
            key: input.key.expect(CHECKED),
            update,
            options,
        })
    }

    /// The command for this table. Key attributes cannot be updated.
    pub fn bind(&self, record: &TableRecord) -> Result<CommandBody, OpError> {
        let key = write::bind_key(record, &self.key)?;
        let update = self.update.clone().unwrap_or(Update {
            literals: Vec::new(),
            actions: Vec::new(),
        });
        if let Some(name) = update
            .targets()
            .map(|path| path.root())
            .find(|name| keys::is_key_attribute(record, name))
        {
            return Err(OpError::Validation(format!(
                "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of \
                 the key"
            )));
        }
        Ok(CommandBody::Write(self.options.command(
            record,
            key,
            Action::Update(update),
        )))
    }

    /// The answer to the command's reply.
    pub fn shape(&self, reply: ReplyBody) -> Result<WriteOutput, OpError> {
        self.options.shape(&self.table, reply)
    }
}
