//! What the operations of statements have in common: a statement as it is sent, its constraints, and how its error is told
//! among others. ExecuteStatement has one of them, BatchExecuteStatement and ExecuteTransaction have lists.

use trilith_values::{AttributeValue, Item};

use super::types::{ReturnConsumed, ValueFault};
use super::write;
use crate::error::OpError;
use crate::limits::STATEMENT_MAX;
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
    /// `ConsistentRead`; of no meaning in a transaction.
    pub consistent_read: Option<bool>,
    /// `ReturnValuesOnConditionCheckFailure`.
    pub return_values_on_condition_check_failure: Option<String>,
    /// First fault met while decoding this statement's parameters.
    pub value_fault: ValueFault,
}

/// Why one statement of several failed: `BatchStatementError`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementError {
    /// `Code`.
    pub code: &'static str,
    /// `Message`.
    pub message: String,
    /// `Item`: of a false condition, where it was asked for.
    pub item: Option<Item>,
}

/// The members of a statement that have constraints.
const MEMBERS: [&str; 3] = ["statement", "parameters", "returnValuesOnConditionCheckFailure"];

impl StatementInput {
    /// The constraints of the model on a request's only statement. Answers whether a false condition answers with the item.
    pub(super) fn check(&self, check: &mut Constraints) -> bool {
        self.check_at(check, MEMBERS)
    }

    /// The same, of each element of `list`.
    pub(super) fn check_list(list: &str, statements: &[Self], check: &mut Constraints) -> Vec<bool> {
        let mut old_on_failure = Vec::with_capacity(statements.len());
        for (i, statement) in statements.iter().enumerate() {
            let paths = MEMBERS.map(|member| format!("{list}.{}.member.{member}", i + 1));
            old_on_failure.push(statement.check_at(check, [&paths[0], &paths[1], &paths[2]]));
            if check.is_full() {
                break;
            }
        }
        old_on_failure
    }

    fn check_at(&self, check: &mut Constraints, [statement, parameters, on_failure]: [&str; 3]) -> bool {
        check.required(statement, self.statement.as_ref());
        check.length(statement, self.statement.as_deref(), 1, STATEMENT_MAX);
        // None at all, or one and more.
        if self.parameters.as_ref().is_some_and(Vec::is_empty) {
            check.count(parameters, 0, 1, usize::MAX);
        }
        check.old_on_failure_at(on_failure, self.return_values_on_condition_check_failure.as_deref())
    }

    /// The statement, checked as far as that goes without its table. Its parameters are looked at before it is read.
    pub(super) fn prepare(self, old_on_failure: bool, consumed: ReturnConsumed) -> Result<Prepared, OpError> {
        write::check_fault(self.value_fault)?;
        Prepared::new(
            self.statement.expect(CHECKED),
            self.parameters.unwrap_or_default(),
            self.consistent_read.unwrap_or(false),
            old_on_failure,
            consumed,
        )
    }
}

/// `EXISTS` has a place in transactions only.
pub(super) fn refuse_exists(prepared: Prepared) -> Result<Prepared, OpError> {
    if matches!(prepared.statement, Statement::Exists(_)) {
        return Err(OpError::validation("EXISTS can only be used in ExecuteTransaction write requests."));
    }
    Ok(prepared)
}

impl StatementError {
    /// The codes of statements' errors are not the names of exceptions (contract 1, BatchExecuteStatement).
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
