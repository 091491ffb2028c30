//! Vector indexes in requests and descriptions, and SearchVectors.

use std::collections::BTreeMap;

use trilith_domain::ops::types::{
    SearchSchemaElement, VectorAttribute, VectorIndexDescription, VectorIndexInput, VectorIndexUpdateInput,
};
use trilith_domain::ops::{SearchVectorsInput, SearchVectorsOutput};

use crate::json::shape::structure;
use crate::json::write::{ToJson, Writer};

structure!(VectorIndexInput {
    "IndexName" => index_name,
    "VectorAttribute" => vector_attribute,
    "SearchSchema" => search_schema,
    "Projection" => projection,
    "Dimensions" => dimensions,
    "DistanceFunction" => distance_function,
});

structure!(VectorAttribute { "AttributeName" => attribute_name });

structure!(SearchSchemaElement {
    "AttributeName" => attribute_name,
    "SearchSchemaElementType" => search_schema_element_type,
});

structure!(VectorIndexUpdateInput { "Create" => create, "Delete" => delete });

structure!(SearchVectorsInput {
    "TableName" => table_name,
    "IndexName" => index_name,
    "ReturnConsumedCapacity" => return_consumed_capacity,
    "ExpressionAttributeNames" => expression_attribute_names,
    "ProjectionExpression" => projection_expression,
    "SearchVector" => search_vector,
    "SearchConditionExpression" => search_condition_expression,
    "TopK" => top_k,
} values {
    "ExpressionAttributeValues" => expression_attribute_values
} takes value_fault);

impl ToJson for VectorAttribute {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| out.optional("AttributeName", self.attribute_name.as_ref()));
    }
}

impl ToJson for SearchSchemaElement {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.optional("AttributeName", self.attribute_name.as_ref());
            out.optional("SearchSchemaElementType", self.search_schema_element_type.as_ref());
        });
    }
}

impl ToJson for VectorIndexDescription {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.member("IndexName", &self.index_name);
            out.optional("SearchSchema", self.search_schema.as_ref());
            out.member("Projection", &self.projection);
            out.member("VectorAttribute", &self.vector_attribute);
            out.member("Dimensions", &i64::from(self.dimensions));
            out.member("DistanceFunction", self.distance_function);
            out.member("IndexStatus", self.index_status.as_str());
            out.optional("Backfilling", self.backfilling.as_ref());
            out.member("IndexSizeBytes", &self.index_size_bytes);
            out.member("ItemCount", &self.item_count);
            out.member("IndexArn", &self.index_arn);
        });
    }
}

/// `VectorIndexes` of a `ConsumedCapacity`.
pub(super) fn parts(out: &mut Writer, parts: &BTreeMap<String, u64>) {
    if parts.is_empty() {
        return;
    }
    out.name("VectorIndexes");
    out.object(|out| {
        for (index, bytes) in parts {
            out.name(index);
            out.object(|out| bytes_member("VectorWriteRequestBytes", *bytes, out));
        }
    });
}

pub(super) fn members(found: &SearchVectorsOutput, out: &mut Writer) {
    out.name("SearchResults");
    out.array(&found.search_results, |out, result| {
        out.object(|out| {
            out.member("Item", &result.item);
            out.name("Score");
            out.double(result.score);
        });
    });
    if let Some(bytes) = found.search_bytes {
        out.name("ConsumedCapacity");
        out.object(|out| bytes_member("VectorSearchRequestBytes", bytes, out));
    }
}

/// Bytes are told as a double, like units.
fn bytes_member(name: &str, bytes: u64, out: &mut Writer) {
    out.name(name);
    out.double(bytes as f64);
}
