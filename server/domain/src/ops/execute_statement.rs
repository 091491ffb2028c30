//! ExecuteStatement: one PartiQL statement. What it means stands in [`crate::partiql`]; here is the request around it.

use trilith_values::{AttributeValue, Item};

use super::TableRef;
use super::statement::{StatementInput, refuse_exists};
use super::types::{ConsumedCapacity, ValueFault, WriteOutput};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::limits::NEXT_TOKEN_MAX;
use crate::partiql::lower::{Lowered, Place, Prepared};
use crate::partiql::reads::ReadPage;
use crate::validate::Constraints;

/// What ExecuteStatement is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteStatementInput {
    /// `Statement`.
    pub statement: Option<String>,
    /// `Parameters`.
    pub parameters: Option<Vec<AttributeValue>>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `NextToken`.
    pub next_token: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// What ExecuteStatement answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteStatementOutput {
    /// `Items`: what a `SELECT` read or a `RETURNING` clause shows; empty for other writes.
    pub items: Vec<Item>,
    /// `NextToken`.
    pub next_token: Option<String>,
    /// `ConsumedCapacity`.
    pub consumed_capacity: Option<ConsumedCapacity>,
    /// `LastEvaluatedKey`.
    pub last_evaluated_key: Option<Item>,
}

/// ExecuteStatement, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecuteStatement {
    /// The statement.
    pub prepared: Prepared,
    /// Items evaluated at the most.
    pub limit: Option<u64>,
    /// Where the page begins.
    pub next_token: Option<String>,
}

impl ExecuteStatement {
    /// All checks that need no table.
    pub fn parse(input: ExecuteStatementInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let statement = StatementInput {
            statement: input.statement,
            parameters: input.parameters,
            consistent_read: input.consistent_read,
            return_values_on_condition_check_failure: input.return_values_on_condition_check_failure,
            value_fault: input.value_fault,
        };
        let old_on_failure = statement.check(&mut check);
        check.length("nextToken", input.next_token.as_deref(), 1, NEXT_TOKEN_MAX);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.at_least("limit", input.limit, 1);
        check.finish()?;
        let prepared = statement.prepare(old_on_failure, consumed).and_then(refuse_exists)?;
        if input.next_token.is_some() && !prepared.statement.is_read() {
            return Err(OpError::validation("NextToken does not match request"));
        }
        let limit = input.limit.map(i64::unsigned_abs);
        Ok(Self { prepared, limit, next_token: input.next_token })
    }

    /// The table.
    pub fn table(&self) -> &TableRef {
        &self.prepared.table
    }

    /// The operations for this table.
    ///
    /// # Errors
    /// `ValidationException`, for what does not fit the table.
    pub fn lower(&self, record: &TableRecord) -> Result<Lowered, OpError> {
        Ok(self.prepared.lower(record, self.limit, Place::Alone)?)
    }
}

impl From<WriteOutput> for ExecuteStatementOutput {
    fn from(written: WriteOutput) -> Self {
        Self {
            items: written.attributes.into_iter().collect(),
            consumed_capacity: written.consumed_capacity,
            ..Self::default()
        }
    }
}

impl From<ReadPage> for ExecuteStatementOutput {
    fn from(page: ReadPage) -> Self {
        Self {
            items: page.items,
            next_token: page.next_token,
            consumed_capacity: page.consumed_capacity,
            last_evaluated_key: page.last_evaluated_key,
        }
    }
}
