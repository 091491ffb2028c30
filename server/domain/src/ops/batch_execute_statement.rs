//! BatchExecuteStatement: up to 25 PartiQL statements, all of which read or all of which write, each on its own. Not atomic: a
//! statement that fails has its error in its place among the answers, and the others are none the worse.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::TableRef;
use super::execute_statement::ExecuteStatementOutput;
use super::statement::{StatementError, StatementInput, refuse_exists};
use super::types::{ConsumedCapacity, ReturnConsumed};
use crate::error::OpError;
use crate::limits::BATCH_STATEMENTS_MAX;
use crate::partiql::lower::Prepared;
use crate::validate::Constraints;

/// What BatchExecuteStatement is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchExecuteStatementInput {
    /// `Statements`.
    pub statements: Option<Vec<StatementInput>>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
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
        let old_on_failure = StatementInput::check_list("statements", &statements, &mut check);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.finish()?;
        let prepare = |(input, old_on_failure): (StatementInput, bool)| {
            input.prepare(old_on_failure, consumed).and_then(refuse_exists)
        };
        let statements: Vec<_> = statements.into_iter().zip(old_on_failure).map(prepare).collect();
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
