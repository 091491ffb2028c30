//! TransactWriteItems and TransactGetItems.

use trilith_domain::ops::transact_get_items::{GetInput, TransactGetItemInput};
use trilith_domain::ops::transact_write_items::{ActionInput, TransactWriteItemInput};
use trilith_domain::ops::{
    TransactGetItemsInput, TransactGetItemsOutput, TransactWriteItemsInput, TransactWriteItemsOutput,
};
use trilith_values::Item;

use crate::json::shape::structure;
use crate::json::write::{ToJson, Writer};

structure!(TransactWriteItemsInput {
    "TransactItems" => transact_items,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ReturnItemCollectionMetrics" => return_item_collection_metrics,
    "ClientRequestToken" => client_request_token,
} takes value_fault);

structure!(TransactWriteItemInput {
    "ConditionCheck" => condition_check,
    "Put" => put,
    "Delete" => delete,
    "Update" => update,
});

structure!(ActionInput {
    "TableName" => table_name,
    "Key" => key,
    "Item" => item,
    "UpdateExpression" => update_expression,
    "ConditionExpression" => condition_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
});

structure!(TransactGetItemsInput {
    "TransactItems" => transact_items,
    "ReturnConsumedCapacity" => return_consumed_capacity,
} takes value_fault);

structure!(TransactGetItemInput { "Get" => get });

structure!(GetInput {
    "TableName" => table_name,
    "Key" => key,
    "ProjectionExpression" => projection_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
});

/// An element of `Responses`.
struct Response<'a>(&'a Option<Item>);

impl ToJson for Response<'_> {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| out.optional("Item", self.0.as_ref()));
    }
}

/// `Responses`, of what a transaction read.
pub(super) fn responses(items: &[Option<Item>], out: &mut Writer) {
    let responses: Vec<Response<'_>> = items.iter().map(Response).collect();
    out.member("Responses", &responses);
}

pub(super) fn get_members(got: &TransactGetItemsOutput, out: &mut Writer) {
    responses(&got.responses, out);
    out.optional("ConsumedCapacity", got.consumed_capacity.as_ref());
}

pub(super) fn write_members(written: &TransactWriteItemsOutput, out: &mut Writer) {
    out.optional("ConsumedCapacity", written.consumed_capacity.as_ref());
    if !written.item_collection_metrics.is_empty() {
        out.member("ItemCollectionMetrics", &written.item_collection_metrics);
    }
}
