//! PutItem, GetItem, UpdateItem, DeleteItem.

use trilith_domain::ops::types::{AttributeUpdate, ConditionInput, Expectation};
use trilith_domain::ops::{
    DeleteItemInput, GetItemInput, GetItemOutput, PutItemInput, UpdateItemInput, WriteOutput,
};

use crate::json::shape::structure;
use crate::json::write::Writer;

structure!(PutItemInput {
    "TableName" => table_name,
    "Item" => item,
    "ReturnValues" => return_values,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ReturnItemCollectionMetrics" => return_item_collection_metrics,
    "ConditionExpression" => condition_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
    "Expected" => expected,
    "ConditionalOperator" => conditional_operator,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

structure!(GetItemInput {
    "TableName" => table_name,
    "Key" => key,
    "ConsistentRead" => consistent_read,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ProjectionExpression" => projection_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "AttributesToGet" => attributes_to_get,
} takes value_fault);

structure!(UpdateItemInput {
    "TableName" => table_name,
    "Key" => key,
    "ReturnValues" => return_values,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ReturnItemCollectionMetrics" => return_item_collection_metrics,
    "UpdateExpression" => update_expression,
    "ConditionExpression" => condition_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
    "AttributeUpdates" => attribute_updates,
    "Expected" => expected,
    "ConditionalOperator" => conditional_operator,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

structure!(DeleteItemInput {
    "TableName" => table_name,
    "Key" => key,
    "ReturnValues" => return_values,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ReturnItemCollectionMetrics" => return_item_collection_metrics,
    "ConditionExpression" => condition_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "ReturnValuesOnConditionCheckFailure" => return_values_on_condition_check_failure,
    "Expected" => expected,
    "ConditionalOperator" => conditional_operator,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

structure!(Expectation {
    "Value" => value,
    "Exists" => exists,
    "ComparisonOperator" => comparison_operator,
    "AttributeValueList" => attribute_value_list,
});

structure!(ConditionInput {
    "ComparisonOperator" => comparison_operator,
    "AttributeValueList" => attribute_value_list,
});

structure!(AttributeUpdate {
    "Action" => action,
    "Value" => value,
});

pub(super) fn write_members(written: &WriteOutput, out: &mut Writer) {
    out.optional("Attributes", written.attributes.as_ref());
    out.optional("ConsumedCapacity", written.consumed_capacity.as_ref());
    out.optional("ItemCollectionMetrics", written.item_collection_metrics.as_ref());
}

pub(super) fn get_members(got: &GetItemOutput, out: &mut Writer) {
    out.optional("Item", got.item.as_ref());
    out.optional("ConsumedCapacity", got.consumed_capacity.as_ref());
}
