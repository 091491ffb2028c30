//! ExecuteTransaction: up to 100 PartiQL statements that happen together or not at all: all of them reads, or all of them writes
//! and conditions (`EXISTS`). Lowered to TransactGetItems or TransactWriteItems, which do the rest.
//!
//! A statement that cannot stand in a transaction refuses the request whole, by its number. What only its table can tell of its
//! key is a reason, in the place of the statement, for which the transaction is cancelled; so is a table that is not there.

use trilith_values::Item;

use super::statement::StatementInput;
use super::transact_get_items::TransactGet;
use super::transact_write_items::{ActionKind, TransactAction};
use super::transaction::{Fault, reason};
use super::types::{ConsumedCapacity, ReturnConsumed};
use super::write::{self, WriteOptions};
use super::{
    TableRef, TransactGetItems, TransactGetItemsOutput, TransactWriteItems, TransactWriteItemsOutput, keys,
};
use crate::catalog::TableRecord;
use crate::error::{CancellationReason, OpError};
use crate::expr::{Condition, Update};
use crate::limits::{REQUEST_TOKEN_MAX, TRANSACTION_ITEMS_MAX};
use crate::partiql::ast::Statement;
use crate::partiql::branch::Misfit;
use crate::partiql::lower::{Lowered, Place, Prepared};
use crate::partiql::reads::show;
use crate::validate::Constraints;

/// What ExecuteTransaction is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteTransactionInput {
    /// `TransactStatements`.
    pub transact_statements: Option<Vec<StatementInput>>,
    /// `ClientRequestToken`.
    pub client_request_token: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
}

/// What ExecuteTransaction answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteTransactionOutput {
    /// `Responses`: of reads, for each statement the item, if there is one; of writes, empty.
    pub responses: Vec<Option<Item>>,
    /// `ConsumedCapacity`, one element per table.
    pub consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

/// ExecuteTransaction, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecuteTransaction {
    /// The statements, in the order of the request. Never empty; all of them read, or none.
    pub statements: Vec<Prepared>,
    /// Makes writes a request that can be sent again; means nothing for reads.
    pub token: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

/// The transaction that statements stand for.
#[derive(Clone, Debug, PartialEq)]
pub enum LoweredTransaction {
    /// Of `SELECT`s.
    Reads(TransactGetItems),
    /// Of everything else.
    Writes(TransactWriteItems),
}

/// The refusal of the whole request for one of its statements.
fn in_statement(number: usize, error: OpError) -> OpError {
    match error {
        OpError::Validation(text) => {
            OpError::Validation(format!("Validation failed in TransactStatements[{number}]: {text}"))
        }
        other => other,
    }
}

impl ExecuteTransaction {
    /// All checks that need no table.
    pub fn parse(input: ExecuteTransactionInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let token = input.client_request_token.as_deref();
        check.length("clientRequestToken", token, 1, REQUEST_TOKEN_MAX);
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.required("transactStatements", input.transact_statements.as_ref());
        let statements = input.transact_statements.unwrap_or_default();
        if check.is_clean() {
            check.count("transactStatements", statements.len(), 1, TRANSACTION_ITEMS_MAX);
        }
        let old_on_failure = StatementInput::check_list("transactStatements", &statements, &mut check);
        check.finish()?;
        // Parameters are looked at before any statement is read.
        statements.iter().try_for_each(|one| write::check_fault(one.value_fault.clone()))?;
        let mut prepared: Vec<Prepared> = Vec::with_capacity(statements.len());
        for (i, (input, old_on_failure)) in statements.into_iter().zip(old_on_failure).enumerate() {
            let one = input.prepare(old_on_failure, consumed).map_err(|error| in_statement(i, error))?;
            if prepared.first().is_some_and(|first| first.statement.is_read() != one.statement.is_read()) {
                return Err(OpError::validation(
                    "ExecuteTransaction API does not support both read and write operations in the same request.",
                ));
            }
            prepared.push(one);
        }
        Ok(Self { statements: prepared, token: input.client_request_token, consumed })
    }

    /// Whether it reads.
    pub fn is_read(&self) -> bool {
        self.statements.iter().all(|prepared| prepared.statement.is_read())
    }

    /// The tables that the statements name, in their order.
    pub fn tables(&self) -> impl Iterator<Item = &TableRef> {
        self.statements.iter().map(|prepared| &prepared.table)
    }

    /// The transaction, from the record of each statement's table; `None` where there is no such table.
    ///
    /// # Errors
    /// The refusal of the whole, or the cancellation for statements that do not fit their tables.
    pub fn lower<'r>(
        &self,
        record: impl Fn(&TableRef) -> Option<&'r TableRecord>,
    ) -> Result<LoweredTransaction, OpError> {
        if self.is_read() {
            let gets = self.each(record, get, |get, record| get.bind(record).map(drop))?;
            return Ok(LoweredTransaction::Reads(TransactGetItems { gets, consumed: self.consumed }));
        }
        let actions = self.each(record, action, |action, record| action.bind(record).map(drop))?;
        let writes = TransactWriteItems::new(actions, self.token.clone(), self.consumed)?;
        Ok(LoweredTransaction::Writes(writes))
    }

    /// Lowers each statement. Where some do not fit, all the others are bound too, so that all reasons are told at once.
    fn each<'r, T>(
        &self,
        record: impl Fn(&TableRef) -> Option<&'r TableRecord>,
        lower: impl Fn(&Prepared, &TableRecord) -> Result<T, Misfit>,
        bind: impl Fn(&T, &TableRecord) -> Result<(), Fault>,
    ) -> Result<Vec<T>, OpError> {
        let mut all = Vec::with_capacity(self.statements.len());
        for (i, prepared) in self.statements.iter().enumerate() {
            let Some(record) = record(&prepared.table) else {
                all.push(Err(OpError::ResourceNotFound("Requested resource not found".to_owned())));
                continue;
            };
            all.push(match lower(prepared, record) {
                Ok(one) => Ok((one, record)),
                Err(Misfit::Key(_)) => Err(keys::no_match()),
                Err(Misfit::Statement(error)) => return Err(in_statement(i, error)),
            });
        }
        if all.iter().all(Result::is_ok) {
            return Ok(all.into_iter().flatten().map(|(one, _)| one).collect());
        }
        let mut reasons = Vec::with_capacity(all.len());
        for one in all {
            let bound = one.map_err(Fault::One).and_then(|(one, record)| bind(&one, record));
            reasons.push(match bound {
                Ok(()) => CancellationReason::none(),
                Err(Fault::One(error)) => reason(error),
                Err(Fault::Whole(error)) => return Err(error),
            });
        }
        Err(OpError::cancelled(reasons))
    }

    /// The error of the writes that it was lowered to: an `INSERT` whose item is there has a reason of its own.
    pub fn error(&self, error: OpError) -> OpError {
        let OpError::TransactionCanceled(mut cancellation) = error else {
            return error;
        };
        for (statement, found) in self.statements.iter().zip(&mut cancellation.reasons) {
            if matches!(statement.statement, Statement::Insert(_)) && found.code == "ConditionalCheckFailed" {
                *found = reason(OpError::DuplicateItem);
            }
        }
        OpError::cancelled(cancellation.reasons)
    }

    /// The answer, from what the reads found.
    pub fn shape_reads(&self, mut got: TransactGetItemsOutput) -> ExecuteTransactionOutput {
        for (prepared, item) in self.statements.iter().zip(&mut got.responses) {
            if let (Statement::Select(select), Some(item)) = (&prepared.statement, item) {
                show(select, item);
            }
        }
        ExecuteTransactionOutput { responses: got.responses, consumed_capacity: got.consumed_capacity }
    }

    /// The answer where all was written: the service was seen to have no response for a write.
    pub fn shape_writes(&self, written: TransactWriteItemsOutput) -> ExecuteTransactionOutput {
        ExecuteTransactionOutput { responses: Vec::new(), consumed_capacity: written.consumed_capacity }
    }
}

/// The read that a statement stands for.
fn get(prepared: &Prepared, record: &TableRecord) -> Result<TransactGet, Misfit> {
    let Statement::Select(select) = &prepared.statement else {
        return Err(Misfit::Statement(out_of_place()));
    };
    let get = prepared.one_get(record, select, Place::Transaction)?;
    Ok(TransactGet { table: get.table, key: get.key, projection: get.projection })
}

/// The action that a statement stands for.
fn action(prepared: &Prepared, record: &TableRecord) -> Result<TransactAction, Misfit> {
    let of = |kind, options: WriteOptions| (kind, options.condition);
    let (kind, condition): (ActionKind, Option<Condition>) =
        match prepared.lower(record, None, Place::Transaction)? {
            Lowered::Put(put) => of(ActionKind::Put(put.item), put.options),
            Lowered::Update(update) => {
                let changes = update.update.unwrap_or(Update { literals: Vec::new(), actions: Vec::new() });
                of(ActionKind::Update(update.key, changes), update.options)
            }
            Lowered::Delete(delete) => of(ActionKind::Delete(delete.key), delete.options),
            Lowered::Check(key, condition) => (ActionKind::Check(key), Some(condition)),
            Lowered::Reads(_) => return Err(Misfit::Statement(out_of_place())),
        };
    let returning = match &prepared.statement {
        Statement::Update(update) => update.returning,
        Statement::Delete(delete) => delete.returning,
        Statement::Select(_) | Statement::Exists(_) | Statement::Insert(_) => None,
    };
    if returning.is_some() {
        let text = "RETURNING clause is not supported in ExecuteTransaction.";
        return Err(Misfit::Statement(OpError::validation(text)));
    }
    let table = prepared.table.clone();
    Ok(TransactAction { table, kind, condition, old_on_failure: prepared.old_on_failure })
}

/// A read among writes, or the other way round: [`ExecuteTransaction::parse`] lets none through.
fn out_of_place() -> OpError {
    OpError::Internal("a statement of another kind in a transaction".to_owned())
}
