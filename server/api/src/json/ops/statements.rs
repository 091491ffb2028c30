//! ExecuteStatement, BatchExecuteStatement, ExecuteTransaction.

use trilith_domain::ops::batch_execute_statement::StatementOutput;
use trilith_domain::ops::statement::{StatementError, StatementInput};
use trilith_domain::ops::{
    BatchExecuteStatementInput, BatchExecuteStatementOutput, ExecuteStatementInput, ExecuteStatementOutput,
    ExecuteTransactionInput, ExecuteTransactionOutput,
};

use super::transactions::responses;
use crate::json::shape::structure;
use crate::json::write::{ToJson, Writer};

structure!(ExecuteStatementInput {
    "Statement" => statement,
    "Parameters" => parameters,
    "ConsistentRead" => consistent_read,
    "NextToken" => next_token,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "Limit" => limit,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
} takes value_fault);

structure!(BatchExecuteStatementInput {
    "Statements" => statements,
    "ReturnConsumedCapacity" => return_consumed_capacity,
});

structure!(ExecuteTransactionInput {
    "TransactStatements" => transact_statements,
    "ClientRequestToken" => client_request_token,
    "ReturnConsumedCapacity" => return_consumed_capacity,
});

// Each statement takes the fault of its own parameters: it fails alone.
structure!(StatementInput {
    "Statement" => statement,
    "Parameters" => parameters,
    "ConsistentRead" => consistent_read,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
} takes value_fault);

impl ToJson for StatementError {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("Code", self.code);
            out.member("Message", &self.message);
            out.optional("Item", self.item.as_ref());
        });
    }
}

impl ToJson for StatementOutput {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("Error", self.error.as_ref());
            out.optional("TableName", self.table_name.as_ref());
            out.optional("Item", self.item.as_ref());
        });
    }
}

pub(super) fn transaction_members(executed: &ExecuteTransactionOutput, out: &mut Writer) {
    responses(&executed.responses, out);
    out.optional("ConsumedCapacity", executed.consumed_capacity.as_ref());
}

pub(super) fn members(executed: &ExecuteStatementOutput, out: &mut Writer) {
    out.member("Items", &executed.items);
    out.optional("NextToken", executed.next_token.as_ref());
    out.optional("ConsumedCapacity", executed.consumed_capacity.as_ref());
    out.optional("LastEvaluatedKey", executed.last_evaluated_key.as_ref());
}

pub(super) fn batch_members(batch: &BatchExecuteStatementOutput, out: &mut Writer) {
    out.member("Responses", &batch.responses);
    out.optional("ConsumedCapacity", batch.consumed_capacity.as_ref());
}
