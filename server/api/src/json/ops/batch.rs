//! BatchGetItem and BatchWriteItem.

use trilith_domain::ops::types::{KeysAndAttributes, WriteRequest, WriteRequestInput};
use trilith_domain::ops::{BatchGetItemInput, BatchGetItemOutput, BatchWriteItemInput, BatchWriteItemOutput};
use trilith_values::Item;

use crate::json::read::{Read, Reader};
use crate::json::shape::{FromJson, structure};
use crate::json::write::{ToJson, Writer};

structure!(BatchGetItemInput {
    "RequestItems" => request_items,
    "ReturnConsumedCapacity" => return_consumed_capacity,
} takes value_fault);

structure!(KeysAndAttributes {
    "Keys" => keys,
    "ConsistentRead" => consistent_read,
    "ProjectionExpression" => projection_expression,
    "ExpressionAttributeNames" => expression_attribute_names,
    "AttributesToGet" => attributes_to_get,
});

structure!(BatchWriteItemInput {
    "RequestItems" => request_items,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ReturnItemCollectionMetrics" => return_item_collection_metrics,
} takes value_fault);

/// `PutRequest`.
#[derive(Default)]
struct Put {
    item: Option<Item>,
}

structure!(Put { "Item" => item });

/// `DeleteRequest`.
#[derive(Default)]
struct Delete {
    key: Option<Item>,
}

structure!(Delete { "Key" => key });

/// A write request as it lies on the wire.
#[derive(Default)]
struct Request {
    put: Option<Put>,
    delete: Option<Delete>,
}

structure!(Request { "PutRequest" => put, "DeleteRequest" => delete });

impl FromJson for WriteRequestInput {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        let request = Request::from_json(reader)?;
        Ok(Self { put: request.put.map(|put| put.item), delete: request.delete.map(|delete| delete.key) })
    }
}

impl ToJson for KeysAndAttributes {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("Keys", self.keys.as_ref());
            out.optional("ConsistentRead", self.consistent_read.as_ref());
            out.optional("ProjectionExpression", self.projection_expression.as_ref());
            out.optional("ExpressionAttributeNames", self.expression_attribute_names.as_ref());
            out.optional("AttributesToGet", self.attributes_to_get.as_ref());
        });
    }
}

impl ToJson for WriteRequest {
    fn to_json(&self, out: &mut Writer) {
        let (request, member, item) = match self {
            Self::Put(item) => ("PutRequest", "Item", item),
            Self::Delete(key) => ("DeleteRequest", "Key", key),
        };
        out.object(|out| {
            out.name(request);
            out.object(|out| out.member(member, item));
        });
    }
}

pub(super) fn get_members(batch: &BatchGetItemOutput, out: &mut Writer) {
    out.member("Responses", &batch.responses);
    out.member("UnprocessedKeys", &batch.unprocessed_keys);
    out.optional("ConsumedCapacity", batch.consumed_capacity.as_ref());
}

pub(super) fn write_members(batch: &BatchWriteItemOutput, out: &mut Writer) {
    out.member("UnprocessedItems", &batch.unprocessed_items);
    if !batch.item_collection_metrics.is_empty() {
        out.member("ItemCollectionMetrics", &batch.item_collection_metrics);
    }
    out.optional("ConsumedCapacity", batch.consumed_capacity.as_ref());
}
