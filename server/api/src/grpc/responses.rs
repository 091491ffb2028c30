//! Answers: from the operation's output to its message.

use trilith_domain::ops::batch_execute_statement::StatementOutput;
use trilith_domain::ops::types::{
    AttributeDefinition, BillingModeSummary, IndexDescription, ItemCollectionMetrics, KeySchemaElement,
    KeysAndAttributes, OnDemandThroughput, Projection, SearchSchemaElement, TableClassSummary, Tag,
    ThroughputDescription, VectorIndexDescription, WarmThroughputDescription, WriteRequest,
};
use trilith_domain::ops::{Output, TableDescription};
use trilith_proto::data::v1 as proto;
use trilith_values::Item;

use super::convert::{capacity_out, item_out, metrics_out, timestamp, value_of};

/// A message that answers an operation.
pub trait Answer: Sized {
    /// The message of an output; `None` for the output of another operation.
    fn of(output: Output) -> Option<Self>;
}

/// Answers by the variant of the output: its content, and the message it makes.
macro_rules! answers {
    ($($message:ident: $variant:ident$(($content:pat))? => $made:expr;)*) => {$(
        impl Answer for proto::$message {
            fn of(output: Output) -> Option<Self> {
                match output {
                    Output::$variant$(($content))? => Some($made),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    CreateTableResponse: CreateTable(table) => Self { table_description: Some(description(*table)) };
    DescribeTableResponse: DescribeTable(table) => Self { table: Some(description(*table)) };
    DeleteTableResponse: DeleteTable(table) => Self { table_description: Some(description(*table)) };
    UpdateTableResponse: UpdateTable(table) => Self { table_description: Some(description(*table)) };
    ListTablesResponse: ListTables(list) => Self {
        table_names: list.table_names,
        last_evaluated_table_name: list.last_evaluated_table_name,
    };
    PutItemResponse: PutItem(written) => Self {
        attributes: written.attributes.map(item_out),
        consumed_capacity: written.consumed_capacity.map(capacity_out),
        item_collection_metrics: written.item_collection_metrics.map(metrics_out),
    };
    UpdateItemResponse: UpdateItem(written) => Self {
        attributes: written.attributes.map(item_out),
        consumed_capacity: written.consumed_capacity.map(capacity_out),
        item_collection_metrics: written.item_collection_metrics.map(metrics_out),
    };
    DeleteItemResponse: DeleteItem(written) => Self {
        attributes: written.attributes.map(item_out),
        consumed_capacity: written.consumed_capacity.map(capacity_out),
        item_collection_metrics: written.item_collection_metrics.map(metrics_out),
    };
    GetItemResponse: GetItem(got) => Self {
        item: got.item.map(item_out),
        consumed_capacity: got.consumed_capacity.map(capacity_out),
    };
    QueryResponse: Query(page) => Self {
        items: items(page.items.unwrap_or_default()),
        count: page.count,
        scanned_count: page.scanned_count,
        last_evaluated_key: page.last_evaluated_key.map(item_out),
        consumed_capacity: page.consumed_capacity.map(capacity_out),
    };
    ScanResponse: Scan(page) => Self {
        items: items(page.items.unwrap_or_default()),
        count: page.count,
        scanned_count: page.scanned_count,
        last_evaluated_key: page.last_evaluated_key.map(item_out),
        consumed_capacity: page.consumed_capacity.map(capacity_out),
    };
    SearchVectorsResponse: SearchVectors(found) => Self {
        search_results: found
            .search_results
            .into_iter()
            .map(|result| proto::SearchResult { item: Some(item_out(result.item)), score: result.score })
            .collect(),
        consumed_capacity: found.search_bytes.map(|bytes| proto::VectorSearchCapacity {
            vector_search_request_bytes: bytes as f64,
        }),
    };
    BatchGetItemResponse: BatchGetItem(batch) => Self {
        responses: batch.responses.into_iter().flat_map(|(table, items)| of_table(table, items)).collect(),
        unprocessed_keys: batch.unprocessed_keys.into_iter().map(|(table, keys)| (table, unread(keys))).collect(),
        consumed_capacity: batch.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    BatchWriteItemResponse: BatchWriteItem(batch) => Self {
        unprocessed_requests: batch
            .unprocessed_items
            .into_iter()
            .flat_map(|(table, requests)| requests.into_iter().map(move |request| unwritten(&table, request)))
            .collect(),
        item_collection_metrics: batch
            .item_collection_metrics
            .into_iter()
            .map(|(table, all)| (table, collections(all)))
            .collect(),
        consumed_capacity: batch.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    ExecuteStatementResponse: ExecuteStatement(executed) => Self {
        items: items(executed.items),
        next_token: executed.next_token,
        consumed_capacity: executed.consumed_capacity.map(capacity_out),
        last_evaluated_key: executed.last_evaluated_key.map(item_out),
    };
    BatchExecuteStatementResponse: BatchExecuteStatement(batch) => Self {
        responses: batch.responses.into_iter().map(statement).collect(),
        consumed_capacity: batch.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    ExecuteTransactionResponse: ExecuteTransaction(executed) => Self {
        responses: executed
            .responses
            .into_iter()
            .map(|item| proto::TransactGetResponse { item: item.map(item_out) })
            .collect(),
        consumed_capacity: executed.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    TransactGetItemsResponse: TransactGetItems(got) => Self {
        responses: got
            .responses
            .into_iter()
            .map(|item| proto::TransactGetResponse { item: item.map(item_out) })
            .collect(),
        consumed_capacity: got.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    TransactWriteItemsResponse: TransactWriteItems(written) => Self {
        item_collection_metrics: written
            .item_collection_metrics
            .into_iter()
            .map(|(table, all)| (table, collections(all)))
            .collect(),
        consumed_capacity: written.consumed_capacity.unwrap_or_default().into_iter().map(capacity_out).collect(),
    };
    TagResourceResponse: TagResource => Self {};
    UntagResourceResponse: UntagResource => Self {};
    ListTagsOfResourceResponse: ListTagsOfResource(list) => Self {
        tags: list.tags.into_iter().map(|Tag { key, value }| proto::Tag { key, value }).collect(),
        next_token: list.next_token,
    };
    DescribeLimitsResponse: DescribeLimits(limits) => Self {
        account_max_read_capacity_units: limits.account_max_read_capacity_units,
        account_max_write_capacity_units: limits.account_max_write_capacity_units,
        table_max_read_capacity_units: limits.table_max_read_capacity_units,
        table_max_write_capacity_units: limits.table_max_write_capacity_units,
    };
    DescribeEndpointsResponse: DescribeEndpoints(answer) => Self {
        endpoints: answer
            .endpoints
            .into_iter()
            .map(|endpoint| proto::Endpoint {
                address: endpoint.address,
                cache_period_in_minutes: endpoint.cache_period_in_minutes,
            })
            .collect(),
    };
    DescribeTimeToLiveResponse: DescribeTimeToLive(answer) => Self {
        time_to_live_status: answer.time_to_live_status.to_owned(),
        attribute_name: answer.attribute_name,
    };
    DescribeContinuousBackupsResponse: DescribeContinuousBackups(answer) => Self {
        continuous_backups_status: answer.continuous_backups_status.to_owned(),
        point_in_time_recovery_status: answer.point_in_time_recovery_status.to_owned(),
    };
    DescribeTableReplicaAutoScalingResponse: DescribeTableReplicaAutoScaling(answer) => Self {
        table_name: answer.table_name,
        table_status: value_of::<proto::TableStatus>(answer.table_status.as_str()),
    };
    DescribeKinesisStreamingDestinationResponse: DescribeKinesisStreamingDestination(answer) => Self {
        table_name: answer.table_name,
        kinesis_data_stream_destinations: Vec::new(),
    };
    DescribeContributorInsightsResponse: DescribeContributorInsights(answer) => Self {
        table_name: answer.table_name,
        contributor_insights_status: answer.contributor_insights_status.to_owned(),
    };
    ListBackupsResponse: ListBackups => Self::default();
    ListGlobalTablesResponse: ListGlobalTables => Self::default();
    ListContributorInsightsResponse: ListContributorInsights => Self::default();
    ListExportsResponse: ListExports => Self::default();
    ListImportsResponse: ListImports => Self::default();
    ListBulkOperationsResponse: ListBulkOperations => Self::default();
    ListStreamsResponse: ListStreams => Self::default();
}

/// Answers about what cannot exist yet (a policy, a backup, a stream): always an error, so that no output exists.
macro_rules! never_found {
    ($($response:ident),* $(,)?) => {
        $(impl Answer for proto::$response {
            fn of(_: Output) -> Option<Self> {
                None
            }
        })*
    };
}

never_found! {
    GetResourcePolicyResponse,
    DescribeBackupResponse,
    DescribeExportResponse,
    DescribeImportResponse,
    DescribeBulkOperationResponse,
    DescribeGlobalTableResponse,
    DescribeGlobalTableSettingsResponse,
    DescribeStreamResponse,
}

fn items(items: Vec<Item>) -> Vec<proto::Item> {
    items.into_iter().map(item_out).collect()
}

fn of_table(table: String, items: Vec<Item>) -> impl Iterator<Item = proto::BatchItem> {
    items
        .into_iter()
        .map(move |item| proto::BatchItem { table_name: table.clone(), item: Some(item_out(item)) })
}

fn unread(keys: KeysAndAttributes) -> proto::KeysAndAttributes {
    proto::KeysAndAttributes {
        keys: items(keys.keys.unwrap_or_default()),
        consistent_read: keys.consistent_read,
        projection_expression: keys.projection_expression,
        expression_attribute_names: keys.expression_attribute_names.unwrap_or_default(),
    }
}

fn unwritten(table: &str, request: WriteRequest) -> proto::WriteRequest {
    use proto::write_request::Request;
    let request = match request {
        WriteRequest::Put(item) => Request::PutItem(item_out(item)),
        WriteRequest::Delete(key) => Request::DeleteKey(item_out(key)),
    };
    proto::WriteRequest { table_name: table.to_owned(), request: Some(request) }
}

fn statement(output: StatementOutput) -> proto::BatchStatementResponse {
    let (code, message, item) = match output.error {
        Some(error) => (Some(error.code.to_owned()), Some(error.message), error.item),
        None => (None, None, None),
    };
    proto::BatchStatementResponse {
        error_code: code,
        error_message: message,
        error_item: item.map(item_out),
        table_name: output.table_name,
        item: output.item.map(item_out),
    }
}

fn description(table: TableDescription) -> proto::TableDescription {
    proto::TableDescription {
        attribute_definitions: table
            .attribute_definitions
            .unwrap_or_default()
            .into_iter()
            .map(definition)
            .collect(),
        table_name: table.table_name,
        key_schema: table.key_schema.unwrap_or_default().into_iter().map(key_element).collect(),
        table_status: value_of::<proto::TableStatus>(table.table_status.as_str()),
        creation_date_time: table.creation_date_time.map(timestamp),
        provisioned_throughput: Some(throughput(table.provisioned_throughput)),
        table_size_bytes: table.table_size_bytes,
        item_count: table.item_count,
        table_arn: table.table_arn,
        table_id: table.table_id,
        local_secondary_indexes: indexes(table.local_secondary_indexes),
        global_secondary_indexes: indexes(table.global_secondary_indexes),
        vector_indexes: table.vector_indexes.unwrap_or_default().into_iter().map(vector_index).collect(),
        billing_mode_summary: table.billing_mode_summary.map(billing),
        table_class_summary: table.table_class_summary.map(class),
        deletion_protection_enabled: table.deletion_protection_enabled,
        on_demand_throughput: table.on_demand_throughput.map(on_demand),
        warm_throughput: table.warm_throughput.map(warm),
    }
}

fn indexes(indexes: Option<Vec<IndexDescription>>) -> Vec<proto::SecondaryIndexDescription> {
    indexes.unwrap_or_default().into_iter().map(index).collect()
}

fn projection(projection: Projection) -> proto::Projection {
    proto::Projection {
        projection_type: value_of::<proto::ProjectionType>(&projection.projection_type.unwrap_or_default()),
        non_key_attributes: projection.non_key_attributes.unwrap_or_default(),
    }
}

fn vector_index(index: VectorIndexDescription) -> proto::VectorIndexDescription {
    let element = |element: SearchSchemaElement| proto::SearchSchemaElement {
        attribute_name: element.attribute_name.unwrap_or_default(),
        search_schema_element_type: value_of::<proto::SearchSchemaElementType>(
            &element.search_schema_element_type.unwrap_or_default(),
        ),
    };
    proto::VectorIndexDescription {
        index_name: index.index_name,
        search_schema: index.search_schema.unwrap_or_default().into_iter().map(element).collect(),
        projection: Some(projection(index.projection)),
        vector_attribute: Some(proto::VectorAttribute {
            attribute_name: index.vector_attribute.attribute_name.unwrap_or_default(),
        }),
        dimensions: i64::from(index.dimensions),
        distance_function: value_of::<proto::VectorDistanceFunction>(index.distance_function),
        index_status: value_of::<proto::IndexStatus>(index.index_status.as_str()),
        backfilling: index.backfilling,
        index_size_bytes: index.index_size_bytes,
        item_count: index.item_count,
        index_arn: index.index_arn,
    }
}

fn index(index: IndexDescription) -> proto::SecondaryIndexDescription {
    proto::SecondaryIndexDescription {
        index_name: index.index_name,
        key_schema: index.key_schema.into_iter().map(key_element).collect(),
        projection: Some(projection(index.projection)),
        index_status: index.index_status.map_or(0, |status| value_of::<proto::IndexStatus>(status.as_str())),
        backfilling: index.backfilling,
        provisioned_throughput: index.provisioned_throughput.map(throughput),
        index_size_bytes: index.index_size_bytes,
        item_count: index.item_count,
        index_arn: index.index_arn,
        on_demand_throughput: index.on_demand_throughput.map(on_demand),
        warm_throughput: index.warm_throughput.map(warm),
    }
}

fn collections(all: Vec<ItemCollectionMetrics>) -> proto::ItemCollections {
    proto::ItemCollections { collections: all.into_iter().map(metrics_out).collect() }
}

fn definition(definition: AttributeDefinition) -> proto::AttributeDefinition {
    let attribute_type = definition.attribute_type.unwrap_or_default();
    proto::AttributeDefinition {
        attribute_name: definition.attribute_name.unwrap_or_default(),
        attribute_type: value_of::<proto::ScalarAttributeType>(&attribute_type),
    }
}

fn key_element(element: KeySchemaElement) -> proto::KeySchemaElement {
    proto::KeySchemaElement {
        attribute_name: element.attribute_name.unwrap_or_default(),
        key_type: value_of::<proto::KeyType>(&element.key_type.unwrap_or_default()),
    }
}

fn throughput(throughput: ThroughputDescription) -> proto::ProvisionedThroughputDescription {
    proto::ProvisionedThroughputDescription {
        last_increase_date_time: throughput.last_increase.map(timestamp),
        last_decrease_date_time: throughput.last_decrease.map(timestamp),
        number_of_decreases_today: throughput.decreases_today,
        read_capacity_units: throughput.read_capacity_units,
        write_capacity_units: throughput.write_capacity_units,
    }
}

fn billing(summary: BillingModeSummary) -> proto::BillingModeSummary {
    proto::BillingModeSummary {
        billing_mode: value_of::<proto::BillingMode>(summary.billing_mode.as_str()),
        last_update_to_pay_per_request_date_time: summary.last_update_to_pay_per_request.map(timestamp),
    }
}

fn class(summary: TableClassSummary) -> proto::TableClassSummary {
    proto::TableClassSummary {
        table_class: value_of::<proto::TableClass>(summary.table_class.as_str()),
        last_update_date_time: summary.last_update.map(timestamp),
    }
}

fn on_demand(throughput: OnDemandThroughput) -> proto::OnDemandThroughput {
    proto::OnDemandThroughput {
        max_read_request_units: throughput.max_read_request_units,
        max_write_request_units: throughput.max_write_request_units,
    }
}

fn warm(throughput: WarmThroughputDescription) -> proto::WarmThroughputDescription {
    proto::WarmThroughputDescription {
        read_units_per_second: throughput.read_units_per_second,
        write_units_per_second: throughput.write_units_per_second,
        status: value_of::<proto::TableStatus>(throughput.status.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use trilith_domain::catalog::{BillingMode, IndexStatus, TableClass, TableStatus};
    use trilith_domain::time::Stamp;

    use super::*;

    #[test]
    fn a_description_keeps_every_member() {
        let table = TableDescription {
            attribute_definitions: Some(vec![AttributeDefinition {
                attribute_name: Some("id".into()),
                attribute_type: Some("B".into()),
            }]),
            table_name: "orders".into(),
            key_schema: Some(vec![KeySchemaElement {
                attribute_name: Some("id".into()),
                key_type: Some("HASH".into()),
            }]),
            table_status: TableStatus::Updating,
            creation_date_time: Some(Stamp(5_000_001)),
            provisioned_throughput: ThroughputDescription {
                last_increase: Some(Stamp(1_000_000)),
                last_decrease: None,
                decreases_today: 2,
                read_capacity_units: 3,
                write_capacity_units: 4,
            },
            table_size_bytes: 5,
            item_count: 6,
            table_arn: "arn".into(),
            table_id: "uuid".into(),
            local_secondary_indexes: None,
            vector_indexes: None,
            global_secondary_indexes: Some(vec![IndexDescription {
                index_name: "by_zip".into(),
                key_schema: vec![KeySchemaElement {
                    attribute_name: Some("zip".into()),
                    key_type: Some("HASH".into()),
                }],
                projection: Projection {
                    projection_type: Some("INCLUDE".into()),
                    non_key_attributes: Some(vec!["city".into()]),
                },
                index_status: Some(IndexStatus::Creating),
                backfilling: Some(true),
                provisioned_throughput: Some(ThroughputDescription::default()),
                index_size_bytes: 10,
                item_count: 11,
                index_arn: "index arn".into(),
                on_demand_throughput: None,
                warm_throughput: None,
            }]),
            billing_mode_summary: Some(BillingModeSummary {
                billing_mode: BillingMode::PayPerRequest,
                last_update_to_pay_per_request: Some(Stamp(7_000_000)),
            }),
            table_class_summary: Some(TableClassSummary {
                table_class: TableClass::StandardInfrequentAccess,
                last_update: None,
            }),
            deletion_protection_enabled: true,
            on_demand_throughput: Some(OnDemandThroughput {
                max_read_request_units: Some(-1),
                max_write_request_units: None,
            }),
            warm_throughput: Some(WarmThroughputDescription {
                read_units_per_second: 8,
                write_units_per_second: 9,
                status: TableStatus::Active,
            }),
        };
        let made = proto::DescribeTableResponse::of(Output::DescribeTable(Box::new(table)))
            .and_then(|response| response.table)
            .expect("a table");
        assert_eq!(made.attribute_definitions[0].attribute_type(), proto::ScalarAttributeType::B);
        assert_eq!(made.key_schema[0].key_type(), proto::KeyType::Hash);
        assert_eq!(made.table_status(), proto::TableStatus::Updating);
        assert_eq!(made.creation_date_time.expect("a time").nanos, 1000);
        let throughput = made.provisioned_throughput.expect("throughput");
        assert_eq!((throughput.read_capacity_units, throughput.number_of_decreases_today), (3, 2));
        assert_eq!(
            made.billing_mode_summary.expect("billing").billing_mode(),
            proto::BillingMode::PayPerRequest
        );
        let class = made.table_class_summary.expect("class");
        assert_eq!(class.table_class(), proto::TableClass::StandardInfrequentAccess);
        assert_eq!(made.on_demand_throughput.expect("on demand").max_read_request_units, Some(-1));
        assert_eq!(made.warm_throughput.expect("warm").status(), proto::TableStatus::Active);
        assert!(made.deletion_protection_enabled);
        let index = &made.global_secondary_indexes[0];
        assert_eq!((index.index_size_bytes, index.item_count, index.backfilling), (10, 11, Some(true)));
        assert_eq!(index.index_status(), proto::IndexStatus::Creating);
        let projection = index.projection.as_ref().expect("a projection");
        assert_eq!(projection.projection_type(), proto::ProjectionType::Include);
        assert_eq!(projection.non_key_attributes, ["city"]);
        assert_eq!((made.table_size_bytes, made.item_count), (5, 6));
    }

    #[test]
    fn an_output_of_another_operation_is_no_answer() {
        assert_eq!(proto::PutItemResponse::of(Output::TagResource), None);
        assert_eq!(proto::TagResourceResponse::of(Output::TagResource), Some(proto::TagResourceResponse {}));
    }
}
