//! Every answer is written as the service writes it, and reads back as JSON.

use std::collections::{BTreeMap, BTreeSet};

use trilith_domain::catalog::{BillingMode, TableClass, TableStatus};
use trilith_domain::ops::describe_endpoints::Endpoint;
use trilith_domain::ops::types::{
    AttributeDefinition, BillingModeSummary, ItemCollectionMetrics, KeySchemaElement, KeysAndAttributes,
    OnDemandThroughput, TableClassSummary, ThroughputDescription, WarmThroughputDescription, WriteRequest,
};
use trilith_domain::ops::{
    BatchGetItemOutput, BatchWriteItemOutput, ConsumedCapacity, DescribeContinuousBackupsOutput,
    DescribeContributorInsightsOutput, DescribeEndpointsOutput, DescribeKinesisStreamingDestinationOutput,
    DescribeLimitsOutput, DescribeTableReplicaAutoScalingOutput, DescribeTimeToLiveOutput, GetItemOutput,
    HalfUnits, ListTablesOutput, ListTagsOfResourceOutput, Output, PageOutput, TableDescription, Tag,
    WriteOutput,
};
use trilith_domain::{OpError, Stamp};
use trilith_values::{AttributeValue, Item, Number};

use crate::json::error::Failure;
use crate::json::ops::encode;
use crate::json::write::{ToJson, Writer};

fn written(value: &(impl ToJson + ?Sized)) -> String {
    let mut out = Writer::new();
    value.to_json(&mut out);
    String::from_utf8(out.into_bytes()).expect("UTF-8")
}

#[track_caller]
fn answers(output: &Output, expected: &str) {
    let json = String::from_utf8(encode(output)).expect("UTF-8");
    let sound: Result<serde_json::Value, _> = serde_json::from_str(&json);
    assert!(sound.is_ok(), "{json}");
    assert_eq!(json, expected);
}

fn item(name: &str, text: &str) -> Item {
    BTreeMap::from([(name.to_owned(), AttributeValue::from(text))])
}

fn capacity(halves: u64) -> ConsumedCapacity {
    ConsumedCapacity {
        table_name: "t".to_owned(),
        capacity_units: HalfUnits(halves),
        ..ConsumedCapacity::default()
    }
}

#[test]
fn strings_are_escaped_as_json_asks() {
    assert_eq!(written("a\"b\\c/é😀\u{7f}"), "\"a\\\"b\\\\c/é😀\u{7f}\"");
    assert_eq!(written("\0\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}"), r#""\u0000\u0001\b\t\n\u000b\f\r\u001f""#);
}

#[test]
fn attribute_values() {
    let number = |text: &str| Number::parse(text).expect("a number");
    for (value, expected) in [
        (AttributeValue::from("a"), r#"{"S":"a"}"#),
        (AttributeValue::N(number("-0.50")), r#"{"N":"-0.5"}"#),
        (AttributeValue::B(vec![0, 1, 255]), r#"{"B":"AAH/"}"#),
        (AttributeValue::Bool(true), r#"{"BOOL":true}"#),
        (AttributeValue::Null, r#"{"NULL":true}"#),
        (AttributeValue::L(vec![]), r#"{"L":[]}"#),
        (
            AttributeValue::L(vec![AttributeValue::Null, AttributeValue::from("a")]),
            r#"{"L":[{"NULL":true},{"S":"a"}]}"#,
        ),
        (AttributeValue::M(item("k", "v")), r#"{"M":{"k":{"S":"v"}}}"#),
        (AttributeValue::Ss(BTreeSet::from(["b".into(), "a".into()])), r#"{"SS":["a","b"]}"#),
        (AttributeValue::Ns(BTreeSet::from([number("10"), number("9")])), r#"{"NS":["9","10"]}"#),
        (AttributeValue::Bs(BTreeSet::from([vec![1], vec![]])), r#"{"BS":["","AQ=="]}"#),
    ] {
        assert_eq!(written(&value), expected);
    }
}

#[test]
fn points_in_time_are_seconds_with_the_fraction_they_have() {
    assert_eq!(written(&Stamp(1_600_000_000_000_000)), "1600000000");
    assert_eq!(written(&Stamp(1_600_000_000_062_999)), "1600000000.062");
}

#[test]
fn items() {
    let consumed = ConsumedCapacity { table: Some(HalfUnits(1)), ..capacity(1) };
    answers(&Output::GetItem(GetItemOutput::default()), "{}");
    answers(
        &Output::GetItem(GetItemOutput { item: Some(item("k", "v")), consumed_capacity: Some(consumed) }),
        r#"{"Item":{"k":{"S":"v"}},"ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5,"Table":{"CapacityUnits":0.5}}}"#,
    );
    let written = WriteOutput {
        attributes: Some(Item::new()),
        consumed_capacity: Some(capacity(2)),
        item_collection_metrics: Some(ItemCollectionMetrics {
            item_collection_key: Item::from([("k".to_owned(), AttributeValue::from("v"))]),
            size_from_gb: 3,
        }),
    };
    let expected = r#"{"Attributes":{},"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0},"ItemCollectionMetrics":{"ItemCollectionKey":{"k":{"S":"v"}},"SizeEstimateRangeGB":[3.0,4.0]}}"#;
    answers(&Output::PutItem(written.clone()), expected);
    answers(&Output::UpdateItem(written.clone()), expected);
    answers(&Output::DeleteItem(written), expected);
    answers(&Output::PutItem(WriteOutput::default()), "{}");
}

#[test]
fn pages() {
    let page = PageOutput {
        items: Some(vec![item("k", "a"), item("k", "b")]),
        count: 2,
        scanned_count: 5,
        last_evaluated_key: Some(item("k", "b")),
        consumed_capacity: Some(capacity(257)),
    };
    let expected = r#"{"Items":[{"k":{"S":"a"}},{"k":{"S":"b"}}],"Count":2,"ScannedCount":5,"LastEvaluatedKey":{"k":{"S":"b"}},"ConsumedCapacity":{"TableName":"t","CapacityUnits":128.5}}"#;
    answers(&Output::Query(page.clone()), expected);
    answers(&Output::Scan(page), expected);
    let empty = PageOutput { items: Some(vec![]), ..PageOutput::default() };
    answers(&Output::Query(empty), r#"{"Items":[],"Count":0,"ScannedCount":0}"#);
    let count = PageOutput { count: 3, scanned_count: 3, ..PageOutput::default() };
    answers(&Output::Scan(count), r#"{"Count":3,"ScannedCount":3}"#);
}

#[test]
fn batches() {
    let keys = KeysAndAttributes {
        keys: Some(vec![item("k", "v")]),
        consistent_read: Some(true),
        projection_expression: Some("p".into()),
        expression_attribute_names: Some(BTreeMap::from([("#p".into(), "p".into())])),
        attributes_to_get: Some(vec!["a".into()]),
    };
    let get = BatchGetItemOutput {
        responses: BTreeMap::from([("t".into(), vec![item("k", "w")])]),
        unprocessed_keys: BTreeMap::from([("t".into(), keys)]),
        consumed_capacity: Some(vec![capacity(1)]),
    };
    answers(
        &Output::BatchGetItem(get),
        r##"{"Responses":{"t":[{"k":{"S":"w"}}]},"UnprocessedKeys":{"t":{"Keys":[{"k":{"S":"v"}}],"ConsistentRead":true,"ProjectionExpression":"p","ExpressionAttributeNames":{"#p":"p"},"AttributesToGet":["a"]}},"ConsumedCapacity":[{"TableName":"t","CapacityUnits":0.5}]}"##,
    );
    answers(&Output::BatchGetItem(BatchGetItemOutput::default()), r#"{"Responses":{},"UnprocessedKeys":{}}"#);
    let requests = vec![WriteRequest::Put(item("k", "v")), WriteRequest::Delete(item("k", "w"))];
    let write = BatchWriteItemOutput {
        unprocessed_items: BTreeMap::from([("t".into(), requests)]),
        consumed_capacity: None,
        item_collection_metrics: BTreeMap::new(),
    };
    answers(
        &Output::BatchWriteItem(write),
        r#"{"UnprocessedItems":{"t":[{"PutRequest":{"Item":{"k":{"S":"v"}}}},{"DeleteRequest":{"Key":{"k":{"S":"w"}}}}]}}"#,
    );
    answers(&Output::BatchWriteItem(BatchWriteItemOutput::default()), r#"{"UnprocessedItems":{}}"#);
}

fn table() -> Box<TableDescription> {
    let key = KeySchemaElement { attribute_name: Some("k".into()), key_type: Some("HASH".into()) };
    let definition =
        AttributeDefinition { attribute_name: Some("k".into()), attribute_type: Some("S".into()) };
    let at = Some(Stamp(1_600_000_000_500_000));
    Box::new(TableDescription {
        attribute_definitions: Some(vec![definition]),
        table_name: "t".into(),
        key_schema: Some(vec![key]),
        table_status: TableStatus::Active,
        creation_date_time: at,
        provisioned_throughput: ThroughputDescription {
            last_increase: at,
            last_decrease: at,
            decreases_today: 1,
            read_capacity_units: 2,
            write_capacity_units: 3,
        },
        table_size_bytes: 4,
        item_count: 5,
        table_arn: "arn".into(),
        table_id: "id".into(),
        local_secondary_indexes: None,
        global_secondary_indexes: None,
        vector_indexes: None,
        billing_mode_summary: Some(BillingModeSummary {
            billing_mode: BillingMode::PayPerRequest,
            last_update_to_pay_per_request: at,
        }),
        table_class_summary: Some(TableClassSummary { table_class: TableClass::Standard, last_update: at }),
        deletion_protection_enabled: false,
        on_demand_throughput: Some(OnDemandThroughput {
            max_read_request_units: Some(-1),
            max_write_request_units: Some(6),
        }),
        warm_throughput: Some(WarmThroughputDescription {
            read_units_per_second: 7,
            write_units_per_second: 8,
            status: TableStatus::Updating,
        }),
    })
}

#[test]
fn tables() {
    let expected = r#"{"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"TableName":"t","KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"TableStatus":"ACTIVE","CreationDateTime":1600000000.500,"ProvisionedThroughput":{"LastIncreaseDateTime":1600000000.500,"LastDecreaseDateTime":1600000000.500,"NumberOfDecreasesToday":1,"ReadCapacityUnits":2,"WriteCapacityUnits":3},"TableSizeBytes":4,"ItemCount":5,"TableArn":"arn","TableId":"id","BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST","LastUpdateToPayPerRequestDateTime":1600000000.500},"TableClassSummary":{"TableClass":"STANDARD","LastUpdateDateTime":1600000000.500},"DeletionProtectionEnabled":false,"OnDemandThroughput":{"MaxReadRequestUnits":-1,"MaxWriteRequestUnits":6},"WarmThroughput":{"ReadUnitsPerSecond":7,"WriteUnitsPerSecond":8,"Status":"UPDATING"}}"#;
    answers(&Output::DescribeTable(table()), &format!(r#"{{"Table":{expected}}}"#));
    for output in [Output::CreateTable(table()), Output::UpdateTable(table()), Output::DeleteTable(table())] {
        answers(&output, &format!(r#"{{"TableDescription":{expected}}}"#));
    }
    let names = ListTablesOutput {
        table_names: vec!["a".into(), "b".into()],
        last_evaluated_table_name: Some("b".into()),
    };
    answers(&Output::ListTables(names), r#"{"TableNames":["a","b"],"LastEvaluatedTableName":"b"}"#);
    answers(&Output::ListTables(ListTablesOutput::default()), r#"{"TableNames":[]}"#);
}

#[test]
fn tags_limits_endpoints() {
    answers(&Output::TagResource, "{}");
    answers(&Output::UntagResource, "{}");
    let tags = ListTagsOfResourceOutput {
        tags: vec![Tag { key: Some("k".into()), value: Some("v".into()) }],
        next_token: Some("n".into()),
    };
    answers(&Output::ListTagsOfResource(tags), r#"{"Tags":[{"Key":"k","Value":"v"}],"NextToken":"n"}"#);
    let limits = DescribeLimitsOutput {
        account_max_read_capacity_units: 1,
        account_max_write_capacity_units: 2,
        table_max_read_capacity_units: 3,
        table_max_write_capacity_units: 4,
    };
    answers(
        &Output::DescribeLimits(limits),
        r#"{"AccountMaxReadCapacityUnits":1,"AccountMaxWriteCapacityUnits":2,"TableMaxReadCapacityUnits":3,"TableMaxWriteCapacityUnits":4}"#,
    );
    let endpoint = Endpoint { address: "localhost:8000".into(), cache_period_in_minutes: 1440 };
    answers(
        &Output::DescribeEndpoints(DescribeEndpointsOutput { endpoints: vec![endpoint] }),
        r#"{"Endpoints":[{"Address":"localhost:8000","CachePeriodInMinutes":1440}]}"#,
    );
}

#[test]
fn features_to_come() {
    let disabled = DescribeTimeToLiveOutput { time_to_live_status: "DISABLED", attribute_name: None };
    answers(
        &Output::DescribeTimeToLive(disabled),
        r#"{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}"#,
    );
    let backups = DescribeContinuousBackupsOutput {
        continuous_backups_status: "ENABLED",
        point_in_time_recovery_status: "DISABLED",
    };
    answers(
        &Output::DescribeContinuousBackups(backups),
        r#"{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"DISABLED"}}}"#,
    );
    let scaling =
        DescribeTableReplicaAutoScalingOutput { table_name: "t".into(), table_status: TableStatus::Creating };
    answers(
        &Output::DescribeTableReplicaAutoScaling(scaling),
        r#"{"TableAutoScalingDescription":{"TableName":"t","TableStatus":"CREATING","Replicas":[]}}"#,
    );
    let kinesis = DescribeKinesisStreamingDestinationOutput { table_name: "t".into() };
    answers(
        &Output::DescribeKinesisStreamingDestination(kinesis),
        r#"{"TableName":"t","KinesisDataStreamDestinations":[]}"#,
    );
    let insights =
        DescribeContributorInsightsOutput { table_name: "t".into(), contributor_insights_status: "DISABLED" };
    answers(
        &Output::DescribeContributorInsights(insights),
        r#"{"TableName":"t","ContributorInsightsStatus":"DISABLED"}"#,
    );
    for (output, member) in [
        (Output::ListBackups, "BackupSummaries"),
        (Output::ListGlobalTables, "GlobalTables"),
        (Output::ListContributorInsights, "ContributorInsightsSummaries"),
        (Output::ListExports, "ExportSummaries"),
        (Output::ListImports, "ImportSummaryList"),
        (Output::ListBulkOperations, "BulkOperationsSummaryList"),
        (Output::ListStreams, "Streams"),
    ] {
        answers(&output, &format!(r#"{{"{member}":[]}}"#));
    }
}

#[test]
fn errors_with_their_namespace_status_and_spelling() {
    let text = || "why \"so\"".to_owned();
    let model = "com.amazonaws.dynamodb.v20120810";
    let framework = "com.amazon.coral.service";
    for (error, status, namespace, spelling) in [
        (OpError::Validation(text()), 400, "com.amazon.coral.validate", "message"),
        (OpError::Serialization(text()), 400, framework, "Message"),
        (OpError::ResourceNotFound(text()), 400, model, "message"),
        (OpError::TableNotFound(text()), 400, model, "message"),
        (OpError::PolicyNotFound(text()), 400, model, "message"),
        (OpError::BackupNotFound(text()), 400, model, "message"),
        (OpError::ExportNotFound(text()), 400, model, "message"),
        (OpError::ImportNotFound(text()), 400, model, "message"),
        (OpError::GlobalTableNotFound(text()), 400, model, "message"),
        (OpError::ResourceInUse(text()), 400, model, "message"),
        (OpError::LimitExceeded(text()), 400, model, "message"),
        (OpError::TransactionConflict(text()), 400, model, "message"),
        (OpError::ThroughputExceeded(text()), 400, model, "message"),
        (OpError::Throttling(text()), 400, model, "message"),
        (OpError::Internal(text()), 500, model, "message"),
        (OpError::Unavailable(text()), 503, framework, "Message"),
    ] {
        let name = error.name();
        let failure = Failure::from(error);
        assert_eq!(failure.status.as_u16(), status, "{name}");
        let body = String::from_utf8(failure.body()).expect("UTF-8");
        assert_eq!(body, format!(r#"{{"__type":"{namespace}#{name}","{spelling}":"why \"so\""}}"#));
    }
    let unknown = Failure::from(OpError::UnknownOperation);
    assert_eq!(unknown.body(), br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    assert_eq!(unknown.status.as_u16(), 400);
}

#[test]
fn a_failed_condition_shows_the_item_where_it_was_asked_for() {
    let failure = Failure::from(OpError::ConditionalCheckFailed { item: Some(item("k", "v")) });
    assert_eq!(
        String::from_utf8(failure.body()).expect("UTF-8"),
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed","Item":{"k":{"S":"v"}}}"#
    );
    let bare = Failure::from(OpError::ConditionalCheckFailed { item: None });
    assert!(!String::from_utf8(bare.body()).expect("UTF-8").contains("Item"));
}
