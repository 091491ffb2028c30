//! BatchExecuteStatement: up to 25 PartiQL statements, all of which read or all of which write, each on its own. Not atomic: a
//! statement that fails has its error in its place among the answers, and the others are none the worse.

use std::collections::BTreeMap;

use trilith_values::{AttributeValue, Item};

use super::TableRef;
use super::execute_statement::ExecuteStatementOutput;
use super::types::{ConsumedCapacity, ReturnConsumed, ValueFault};
use super::write;
use crate::error::OpError;
use crate::limits::BATCH_STATEMENTS_MAX;
use crate::partiql::ast::Statement;
use crate::partiql::lower::Prepared;
use crate::validate::{CHECKED, Constraints};

/// One statement, as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementInput {
    /// `Statement`.
    pub statement: Option<String>,
    /// `Parameters`.
    pub parameters: Option<Vec<AttributeValue>>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
    /// First fault met while decoding this statement's parameters.
    pub value_fault: ValueFault,
}

/// What BatchExecuteStatement is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchExecuteStatementInput {
    /// `Statements`.
    pub statements: Option<Vec<StatementInput>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
}

/// Why one statement of a batch failed: `BatchStatementError`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementError {
    /// `Code`.
    pub code: &'static str,
    /// `Message`.
    pub message: String,
    /// `Item`: of a false condition, where it was asked for.
    pub item: Option<Item>,
}

/// What one statement of a batch answers: `BatchStatementResponse`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementOutput {
    /// `Error`.
    pub error: Option<StatementError>,
    /// `TableName`, where the statement got as far as a table that exists.
    pub table_name: Option<String>,
    /// `Item`.
    pub item: Option<Item>,
}

/// What BatchExecuteStatement answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchExecuteStatementOutput {
    /// `Responses`, in the order of the statements.
    pub responses: Vec<StatementOutput>,
    /// `ConsumedCapacity`, one element per table.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

/// BatchExecuteStatement, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchExecuteStatement {
    /// Each statement, or why it cannot be one.
    pub statements: Vec<Result<Prepared, OpError>>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

impl BatchExecuteStatement {
    /// All checks that need no table.
    pub fn parse(input: BatchExecuteStatementInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.required("statements", input.statements.as_ref());
        let statements = input.statements.unwrap_or_default();
        if check.is_clean() {
            check.count("statements", statements.len(), 1, BATCH_STATEMENTS_MAX);
        }
        let mut on_failure = Vec::with_capacity(statements.len());
        for (i, statement) in statements.iter().enumerate() {
            let path = |member: &str| format!("statements.{}.member.{member}", i + 1);
            check.statement(&path("statement"), statement.statement.as_deref());
            check.parameters(&path("parameters"), statement.parameters.as_deref());
            let given = statement.return_values_on_condition_check_failure.as_deref();
            on_failure.push(check.old_on_failure_at(&path("returnValuesOnConditionCheckFailure"), given));
            if check.is_full() {
                break;
            }
        }
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.finish()?;
        let prepare = |(input, old_on_failure): (StatementInput, bool)| {
            write::check_fault(input.value_fault)?;
            let prepared = Prepared::new(
                input.statement.expect(CHECKED),
                input.parameters.unwrap_or_default(),
                input.consistent_read.unwrap_or(false),
                old_on_failure,
                consumed,
            )?;
            if matches!(prepared.statement, Statement::Exists(_)) {
                return Err(OpError::validation(
                    "EXISTS can only be used in ExecuteTransaction write requests.",
                ));
            }
            Ok(prepared)
        };
        let statements: Vec<_> = statements.into_iter().zip(on_failure).map(prepare).collect();
        let mut kinds = statements.iter().flatten().map(|prepared| prepared.statement.is_read());
        let first = kinds.next();
        if kinds.any(|is_read| Some(is_read) != first) {
            // The wording is that of ExecuteTransaction; the one for batches is not on record.
            return Err(OpError::validation(
                "BatchExecuteStatement API does not support both read and write operations in the same request.",
            ));
        }
        Ok(Self { statements, consumed })
    }

    /// The tables that the statements name.
    pub fn tables(&self) -> Vec<&TableRef> {
        self.statements.iter().flatten().map(|prepared| &prepared.table).collect()
    }

    /// The answer, from what each statement came to, in their order.
    pub fn shape(
        &self,
        results: Vec<Result<ExecuteStatementOutput, OpError>>,
    ) -> BatchExecuteStatementOutput {
        let mut capacity: BTreeMap<String, ConsumedCapacity> = BTreeMap::new();
        let mut responses = Vec::with_capacity(results.len());
        for (statement, result) in self.statements.iter().zip(results) {
            let table = statement.as_ref().ok().map(|prepared| prepared.table.given().to_owned());
            responses.push(match result {
                Ok(mut output) => {
                    if let Some(consumed) = output.consumed_capacity.take() {
                        match capacity.get_mut(&consumed.table_name) {
                            Some(sum) => sum.add(consumed),
                            None => {
                                capacity.insert(consumed.table_name.clone(), consumed);
                            }
                        }
                    }
                    StatementOutput { error: None, table_name: table, item: output.items.pop() }
                }
                Err(error) => {
                    let table_name = table.filter(|_| !matches!(error, OpError::ResourceNotFound(_)));
                    StatementOutput { error: Some(StatementError::of(error)), table_name, item: None }
                }
            });
        }
        let wanted = self.consumed != ReturnConsumed::None;
        BatchExecuteStatementOutput {
            responses,
            consumed_capacity: wanted.then(|| capacity.into_values().collect()),
        }
    }
}

impl StatementError {
    /// The codes of a batch's errors are not the names of exceptions (contract 1, BatchExecuteStatement).
    pub fn of(error: OpError) -> Self {
        let code = match &error {
            OpError::Validation(_)
            | OpError::Serialization(_)
            | OpError::IdempotentParameterMismatch
            | OpError::UnknownOperation => "ValidationError",
            OpError::ConditionalCheckFailed { .. } => "ConditionalCheckFailed",
            OpError::DuplicateItem => "DuplicateItem",
            OpError::ResourceNotFound(_)
            | OpError::TableNotFound(_)
            | OpError::PolicyNotFound(_)
            | OpError::BackupNotFound(_)
            | OpError::ExportNotFound(_)
            | OpError::ImportNotFound(_)
            | OpError::GlobalTableNotFound(_) => "ResourceNotFound",
            OpError::ResourceInUse(_) | OpError::LimitExceeded(_) => "RequestLimitExceeded",
            OpError::CollectionTooLarge(_) => "ItemCollectionSizeLimitExceeded",
            OpError::TransactionConflict(_)
            | OpError::TransactionCanceled(_)
            | OpError::TransactionInProgress => "TransactionConflict",
            OpError::ThroughputExceeded(_) => "ProvisionedThroughputExceeded",
            // Surely not done: the client may send it again.
            OpError::Throttling(_) | OpError::Unavailable(_) => "ThrottlingError",
            OpError::Internal(_) => "InternalServerError",
        };
        let message = error.message().to_owned();
        let item = match error {
            OpError::ConditionalCheckFailed { item } => item,
            _ => None,
        };
        Self { code, message, item }
    }
}
