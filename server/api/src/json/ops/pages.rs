//! Query and Scan.

use trilith_domain::ops::{PageOutput, QueryInput, ScanInput};

use crate::json::shape::structure;
use crate::json::write::Writer;

structure!(QueryInput {
    "TableName" => table_name,
    "IndexName" => index_name,
    "Select" => select,
    "Limit" => limit,
    "ConsistentRead" => consistent_read,
    "ScanIndexForward" => scan_index_forward,
    "ExclusiveStartKey" => exclusive_start_key,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ProjectionExpression" => projection_expression,
    "FilterExpression" => filter_expression,
    "KeyConditionExpression" => key_condition_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "AttributesToGet" => attributes_to_get,
    "KeyConditions" => key_conditions,
    "QueryFilter" => query_filter,
    "ConditionalOperator" => conditional_operator,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

structure!(ScanInput {
    "TableName" => table_name,
    "IndexName" => index_name,
    "Select" => select,
    "Limit" => limit,
    "ConsistentRead" => consistent_read,
    "ExclusiveStartKey" => exclusive_start_key,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "TotalSegments" => total_segments,
    "Segment" => segment,
    "ProjectionExpression" => projection_expression,
    "FilterExpression" => filter_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "AttributesToGet" => attributes_to_get,
    "ScanFilter" => scan_filter,
    "ConditionalOperator" => conditional_operator,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

pub(super) fn members(page: &PageOutput, out: &mut Writer) {
    out.optional("Items", page.items.as_ref());
    out.member("Count", &page.count);
    out.member("ScannedCount", &page.scanned_count);
    out.optional("LastEvaluatedKey", page.last_evaluated_key.as_ref());
    out.optional("ConsumedCapacity", page.consumed_capacity.as_ref());
}
