//! ExecuteStatement: one PartiQL statement. What it means stands in [`crate::partiql`]; here is the request around it.

use trilith_values::{AttributeValue, Item};

use super::TableRef;
use super::types::{ConsumedCapacity, ValueFault, WriteOutput};
use super::write;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::limits::{NEXT_TOKEN_MAX, STATEMENT_MAX};
use crate::partiql::ast::Statement;
use crate::partiql::lower::{Lowered, Place, Prepared};
use crate::partiql::reads::ReadPage;
use crate::validate::{CHECKED, Constraints};

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
        check.statement("statement", input.statement.as_deref());
        check.parameters("parameters", input.parameters.as_deref());
        check.length("nextToken", input.next_token.as_deref(), 1, NEXT_TOKEN_MAX);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.at_least("limit", input.limit, 1);
        let old_on_failure = check.old_on_failure(input.return_values_on_condition_check_failure.as_deref());
        check.finish()?;
        // A parameter is looked at before the statement is.
        write::check_fault(input.value_fault)?;
        let prepared = Prepared::new(
            input.statement.expect(CHECKED),
            input.parameters.unwrap_or_default(),
            input.consistent_read.unwrap_or(false),
            old_on_failure,
            consumed,
        )?;
        if matches!(prepared.statement, Statement::Exists(_)) {
            return Err(OpError::validation("EXISTS can only be used in ExecuteTransaction write requests."));
        }
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
        self.prepared.lower(record, self.limit, Place::Alone)
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

impl Constraints {
    /// A required statement.
    pub(super) fn statement(&mut self, path: &str, value: Option<&str>) {
        if value.is_none() {
            self.missing(path);
        }
        self.length(path, value, 1, STATEMENT_MAX);
    }

    /// The parameters of a statement: none at all, or one and more.
    pub(super) fn parameters(&mut self, path: &str, values: Option<&[AttributeValue]>) {
        if values.is_some_and(<[AttributeValue]>::is_empty) {
            self.count(path, 0, 1, usize::MAX);
        }
    }
}
