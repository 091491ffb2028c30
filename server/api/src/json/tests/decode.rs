//! Every member of every input arrives in its field.

use std::collections::{BTreeMap, BTreeSet};

use trilith_domain::ops::types::{
    AttributeDefinition, AttributeUpdate, ConditionInput, Expectation, IndexInput, IndexUpdateInput,
    KeySchemaElement, KeysAndAttributes, OnDemandThroughput, TableInput, Tag, ThroughputInput,
    WarmThroughputInput, WriteRequestInput,
};
use trilith_domain::ops::{
    BatchGetItemInput, BatchWriteItemInput, CreateTableInput, DeleteItemInput, DescribeBackupInput,
    DescribeBulkOperationInput, DescribeContributorInsightsInput, DescribeExportInput, DescribeImportInput,
    DescribeStreamInput, GetItemInput, GetResourcePolicyInput, GlobalTableInput, ListBackupsInput,
    ListBulkOperationsInput, ListContributorInsightsInput, ListExportsInput, ListGlobalTablesInput,
    ListImportsInput, ListStreamsInput, ListTablesInput, ListTagsOfResourceInput, PutItemInput, QueryInput,
    ScanInput, ShardFilterInput, TagResourceInput, UntagResourceInput, UpdateItemInput, UpdateTableInput,
};
use trilith_values::{AttributeValue, Item, Number};

use super::{read, value};

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn item(name: &str, text: &str) -> Item {
    BTreeMap::from([(name.to_owned(), AttributeValue::from(text))])
}

fn number(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).expect("a number"))
}

#[test]
fn attribute_values() {
    let number = Number::parse("12.5").expect("a number");
    for (json, expected) in [
        (r##"{"S":"a\u00e9\n"}"##, AttributeValue::from("aé\n")),
        (r##"{"S":""}"##, AttributeValue::from("")),
        (r##"{"N":"12.50"}"##, AttributeValue::N(number)),
        (r##"{"B":"AAH/"}"##, AttributeValue::B(vec![0, 1, 255])),
        (r##"{"B":""}"##, AttributeValue::B(vec![])),
        (r##"{"BOOL":false}"##, AttributeValue::Bool(false)),
        (r##"{"NULL":true}"##, AttributeValue::Null),
        (r##"{"L":[]}"##, AttributeValue::L(vec![])),
        (r##"{"L":[{"S":"a"},{"L":[{"NULL":true}]}]}"##, {
            AttributeValue::L(vec![AttributeValue::from("a"), AttributeValue::L(vec![AttributeValue::Null])])
        }),
        (r##"{"M":{"k":{"S":"v"}}}"##, AttributeValue::M(item("k", "v"))),
        (r##"{"SS":["b","a"]}"##, AttributeValue::Ss(BTreeSet::from(["a".to_owned(), "b".to_owned()]))),
        (r##"{"NS":["12.5"]}"##, AttributeValue::Ns(BTreeSet::from([number]))),
        (r##"{"BS":["AA=="]}"##, AttributeValue::Bs(BTreeSet::from([vec![0]]))),
        // A type that is null is absent, an unknown one is passed over, of one sent twice the last wins.
        (r##" { "N" : null , "S" : "a" } "##, AttributeValue::from("a")),
        (r##"{"X":[1,{"y":null}],"S":"a"}"##, AttributeValue::from("a")),
        (r##"{"S":"a","S":"b"}"##, AttributeValue::from("b")),
    ] {
        assert_eq!(value(json), Ok(expected), "{json}");
    }
}

#[test]
fn strings_with_every_escape() {
    for (json, expected) in [
        (r##""""##, ""),
        (r##""plain é 😀""##, "plain é 😀"),
        (r##""\"\\\/\b\f\n\r\t""##, "\"\\/\u{8}\u{c}\n\r\t"),
        (r##""a\u0000b\u00E9\ud83d\ude00c""##, "a\0bé😀c"),
        (r##""\u0041""##, "A"),
    ] {
        assert_eq!(read::<String>(json).as_deref(), Ok(expected), "{json}");
    }
}

#[test]
fn whole_numbers_however_written() {
    for (json, expected) in
        [("0", 0), ("-5", -5), ("1.0", 1), ("1e2", 100), ("9223372036854775807", i64::MAX)]
    {
        assert_eq!(read::<i64>(json), Ok(expected), "{json}");
    }
}

#[test]
fn items() {
    let put: PutItemInput = read(
        r##"{"TableName":"t","Item":{"k":{"S":"v"}},"ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"TOTAL",
        "ReturnItemCollectionMetrics":"SIZE","ConditionExpression":"a = :b","ExpressionAttributeNames":{"#n":"n"},
        "ExpressionAttributeValues":{":b":{"N":"1"}},"ReturnValuesOnConditionCheckFailure":"ALL_OLD",
        "Expected":{"a":{"Exists":false,"Value":{"N":"1"},"ComparisonOperator":"EQ","AttributeValueList":[{"N":"2"}]}},
        "ConditionalOperator":"AND","Unknown":{"x":[1,2]}}"##,
    )
    .expect("sound");
    let expected = PutItemInput {
        table_name: text("t"),
        item: Some(item("k", "v")),
        return_values: text("ALL_OLD"),
        return_consumed_capacity: text("TOTAL"),
        return_item_collection_metrics: text("SIZE"),
        condition_expression: text("a = :b"),
        expression_attribute_names: Some(BTreeMap::from([("#n".to_owned(), "n".to_owned())])),
        expression_attribute_values: Some(BTreeMap::from([(":b".to_owned(), number("1"))])),
        return_values_on_condition_check_failure: text("ALL_OLD"),
        expected: Some(BTreeMap::from([(
            "a".to_owned(),
            Expectation {
                value: Some(number("1")),
                exists: Some(false),
                comparison_operator: text("EQ"),
                attribute_value_list: Some(vec![number("2")]),
            },
        )])),
        conditional_operator: text("AND"),
        value_fault: None,
    };
    assert_eq!(put, expected);

    let get: GetItemInput = read(
        r##"{"TableName":"t","Key":{"k":{"S":"v"}},"ConsistentRead":true,"ReturnConsumedCapacity":"NONE",
        "ProjectionExpression":"a","ExpressionAttributeNames":{},"AttributesToGet":["a"]}"##,
    )
    .expect("sound");
    let expected = GetItemInput {
        table_name: text("t"),
        key: Some(item("k", "v")),
        consistent_read: Some(true),
        return_consumed_capacity: text("NONE"),
        projection_expression: text("a"),
        expression_attribute_names: Some(BTreeMap::new()),
        attributes_to_get: Some(vec!["a".to_owned()]),
        value_fault: None,
    };
    assert_eq!(get, expected);
}

#[test]
fn updates_and_deletes() {
    let update: UpdateItemInput = read(
        r##"{"TableName":"t","Key":{"k":{"S":"v"}},"ReturnValues":"ALL_NEW","ReturnConsumedCapacity":"TOTAL",
        "ReturnItemCollectionMetrics":"NONE","UpdateExpression":"SET a = :b","ConditionExpression":"a < :b",
        "ExpressionAttributeNames":null,"ExpressionAttributeValues":{":b":{"N":"2"}},
        "ReturnValuesOnConditionCheckFailure":"NONE","AttributeUpdates":{"a":{"Action":"DELETE","Value":{"N":"2"}}}}"##,
    )
    .expect("sound");
    let expected = UpdateItemInput {
        table_name: text("t"),
        key: Some(item("k", "v")),
        return_values: text("ALL_NEW"),
        return_consumed_capacity: text("TOTAL"),
        return_item_collection_metrics: text("NONE"),
        update_expression: text("SET a = :b"),
        condition_expression: text("a < :b"),
        expression_attribute_names: None,
        expression_attribute_values: Some(BTreeMap::from([(":b".to_owned(), number("2"))])),
        return_values_on_condition_check_failure: text("NONE"),
        attribute_updates: Some(BTreeMap::from([(
            "a".to_owned(),
            AttributeUpdate { action: text("DELETE"), value: Some(number("2")) },
        )])),
        expected: None,
        conditional_operator: None,
        value_fault: None,
    };
    assert_eq!(update, expected);

    let delete: DeleteItemInput = read(
        r##"{"TableName":"t","Key":{"k":{"S":"v"}},"ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"TOTAL",
        "ReturnItemCollectionMetrics":"NONE","ConditionExpression":"a","ExpressionAttributeNames":{"#a":"b"},
        "ExpressionAttributeValues":{},"ReturnValuesOnConditionCheckFailure":"NONE","Expected":{}}"##,
    )
    .expect("sound");
    let expected = DeleteItemInput {
        table_name: text("t"),
        key: Some(item("k", "v")),
        return_values: text("ALL_OLD"),
        return_consumed_capacity: text("TOTAL"),
        return_item_collection_metrics: text("NONE"),
        condition_expression: text("a"),
        expression_attribute_names: Some(BTreeMap::from([("#a".to_owned(), "b".to_owned())])),
        expression_attribute_values: Some(BTreeMap::new()),
        return_values_on_condition_check_failure: text("NONE"),
        expected: Some(BTreeMap::new()),
        conditional_operator: None,
        value_fault: None,
    };
    assert_eq!(delete, expected);
}

#[test]
fn pages() {
    let query: QueryInput = read(
        r##"{"TableName":"t","Select":"COUNT","Limit":5,"ConsistentRead":false,"ScanIndexForward":false,
        "ExclusiveStartKey":{"k":{"S":"v"}},"ReturnConsumedCapacity":"INDEXES","ProjectionExpression":"p",
        "FilterExpression":"f","KeyConditionExpression":"k = :v","ExpressionAttributeNames":{"#a":"b"},
        "ExpressionAttributeValues":{":v":{"S":"x"}},"IndexName":"i","KeyConditions":{"k":{}},"QueryFilter":{},"AttributesToGet":[]}"##,
    )
    .expect("sound");
    let expected = QueryInput {
        table_name: text("t"),
        select: text("COUNT"),
        limit: Some(5),
        consistent_read: Some(false),
        scan_index_forward: Some(false),
        exclusive_start_key: Some(item("k", "v")),
        return_consumed_capacity: text("INDEXES"),
        projection_expression: text("p"),
        filter_expression: text("f"),
        key_condition_expression: text("k = :v"),
        expression_attribute_names: Some(BTreeMap::from([("#a".to_owned(), "b".to_owned())])),
        expression_attribute_values: Some(item(":v", "x")),
        attributes_to_get: Some(vec![]),
        key_conditions: Some(BTreeMap::from([("k".to_owned(), ConditionInput::default())])),
        query_filter: Some(BTreeMap::new()),
        conditional_operator: None,
        index_name: text("i"),
        value_fault: None,
    };
    assert_eq!(query, expected);

    let scan: ScanInput = read(
        r##"{"TableName":"t","Select":"COUNT","Limit":5,"ConsistentRead":true,"ExclusiveStartKey":{"k":{"S":"v"}},
        "ReturnConsumedCapacity":"INDEXES","TotalSegments":4,"Segment":0,"ProjectionExpression":"p",
        "FilterExpression":"f","ExpressionAttributeNames":{"#a":"b"},"ExpressionAttributeValues":{":v":{"S":"x"}},
        "ScanFilter":{"a":{"ComparisonOperator":"NULL"}},"ConditionalOperator":"OR"}"##,
    )
    .expect("sound");
    let expected = ScanInput {
        table_name: text("t"),
        select: text("COUNT"),
        limit: Some(5),
        consistent_read: Some(true),
        exclusive_start_key: Some(item("k", "v")),
        return_consumed_capacity: text("INDEXES"),
        total_segments: Some(4),
        segment: Some(0),
        projection_expression: text("p"),
        filter_expression: text("f"),
        expression_attribute_names: Some(BTreeMap::from([("#a".to_owned(), "b".to_owned())])),
        expression_attribute_values: Some(item(":v", "x")),
        attributes_to_get: None,
        scan_filter: Some(BTreeMap::from([(
            "a".to_owned(),
            ConditionInput { comparison_operator: text("NULL"), attribute_value_list: None },
        )])),
        conditional_operator: text("OR"),
        index_name: None,
        value_fault: None,
    };
    assert_eq!(scan, expected);
}

#[test]
fn batches() {
    let get: BatchGetItemInput = read(
        r##"{"RequestItems":{"t":{"Keys":[{"k":{"S":"v"}}],"ConsistentRead":true,"ProjectionExpression":"p",
        "ExpressionAttributeNames":{"#a":"b"},"AttributesToGet":["x"]}},"ReturnConsumedCapacity":"TOTAL"}"##,
    )
    .expect("sound");
    let keys = KeysAndAttributes {
        keys: Some(vec![item("k", "v")]),
        consistent_read: Some(true),
        projection_expression: text("p"),
        expression_attribute_names: Some(BTreeMap::from([("#a".to_owned(), "b".to_owned())])),
        attributes_to_get: Some(vec!["x".to_owned()]),
    };
    let expected = BatchGetItemInput {
        request_items: Some(BTreeMap::from([("t".to_owned(), keys)])),
        return_consumed_capacity: text("TOTAL"),
        value_fault: None,
    };
    assert_eq!(get, expected);

    let write: BatchWriteItemInput = read(
        r##"{"RequestItems":{"t":[{"PutRequest":{"Item":{"k":{"S":"v"}}}},{"DeleteRequest":{"Key":{"k":{"S":"w"}}}},
        {"PutRequest":{}},{}]},"ReturnConsumedCapacity":"TOTAL","ReturnItemCollectionMetrics":"SIZE"}"##,
    )
    .expect("sound");
    let requests = vec![
        WriteRequestInput { put: Some(Some(item("k", "v"))), delete: None },
        WriteRequestInput { put: None, delete: Some(Some(item("k", "w"))) },
        WriteRequestInput { put: Some(None), delete: None },
        WriteRequestInput::default(),
    ];
    let expected = BatchWriteItemInput {
        request_items: Some(BTreeMap::from([("t".to_owned(), requests)])),
        return_consumed_capacity: text("TOTAL"),
        return_item_collection_metrics: text("SIZE"),
        value_fault: None,
    };
    assert_eq!(write, expected);
}

#[test]
fn tables() {
    let create: CreateTableInput = read(
        r##"{"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"TableName":"t",
        "KeySchema":[{"AttributeName":"k","KeyType":"HASH"}],"BillingMode":"PROVISIONED",
        "ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":2},"Tags":[{"Key":"a","Value":"b"}],
        "TableClass":"STANDARD","DeletionProtectionEnabled":true,
        "WarmThroughput":{"ReadUnitsPerSecond":3,"WriteUnitsPerSecond":4},
        "OnDemandThroughput":{"MaxReadRequestUnits":5,"MaxWriteRequestUnits":-1},
        "GlobalSecondaryIndexes":[],"LocalSecondaryIndexes":[{"IndexName":"i"}],
        "StreamSpecification":{"StreamEnabled":true},"SSESpecification":{"Enabled":false},"VectorIndexes":null}"##,
    )
    .expect("sound");
    let key = KeySchemaElement { attribute_name: text("k"), key_type: text("HASH") };
    let expected = CreateTableInput {
        attribute_definitions: Some(vec![AttributeDefinition {
            attribute_name: text("k"),
            attribute_type: text("S"),
        }]),
        table_name: text("t"),
        key_schema: Some(vec![key]),
        billing_mode: text("PROVISIONED"),
        provisioned_throughput: Some(ThroughputInput {
            read_capacity_units: Some(1),
            write_capacity_units: Some(2),
        }),
        tags: Some(vec![Tag { key: text("a"), value: text("b") }]),
        table_class: text("STANDARD"),
        deletion_protection_enabled: Some(true),
        warm_throughput: Some(WarmThroughputInput {
            read_units_per_second: Some(3),
            write_units_per_second: Some(4),
        }),
        on_demand_throughput: Some(OnDemandThroughput {
            max_read_request_units: Some(5),
            max_write_request_units: Some(-1),
        }),
        local_secondary_indexes: Some(vec![IndexInput { index_name: text("i"), ..IndexInput::default() }]),
        global_secondary_indexes: Some(vec![]),
        vector_indexes: None,
        not_built: vec!["StreamSpecification"],
    };
    assert_eq!(create, expected);

    let update: UpdateTableInput = read(
        r##"{"TableName":"t","AttributeDefinitions":[],"BillingMode":"PAY_PER_REQUEST","ProvisionedThroughput":{},
        "TableClass":"STANDARD","DeletionProtectionEnabled":false,"WarmThroughput":{},"OnDemandThroughput":{},
        "GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"i"}}],"DisassociationProtectionEnabled":false,
        "ReplicaUpdates":[]}"##,
    )
    .expect("sound");
    let expected = UpdateTableInput {
        table_name: text("t"),
        attribute_definitions: Some(vec![]),
        billing_mode: text("PAY_PER_REQUEST"),
        provisioned_throughput: Some(ThroughputInput::default()),
        table_class: text("STANDARD"),
        deletion_protection_enabled: Some(false),
        warm_throughput: Some(WarmThroughputInput::default()),
        on_demand_throughput: Some(OnDemandThroughput::default()),
        vector_index_updates: None,
        global_secondary_index_updates: Some(vec![IndexUpdateInput {
            delete: Some(IndexInput { index_name: text("i"), ..IndexInput::default() }),
            ..IndexUpdateInput::default()
        }]),
        not_built: vec![],
    };
    assert_eq!(update, expected);

    assert_eq!(read(r##"{"TableName":"t"}"##), Ok(TableInput { table_name: text("t") }));
    let list = ListTablesInput { exclusive_start_table_name: text("t"), limit: Some(7) };
    assert_eq!(read(r##"{"ExclusiveStartTableName":"t","Limit":7}"##), Ok(list));
}

#[test]
fn tags_and_policies() {
    let tag = TagResourceInput {
        resource_arn: text("arn"),
        tags: Some(vec![Tag { key: text("k"), value: text("") }]),
    };
    assert_eq!(read(r##"{"ResourceArn":"arn","Tags":[{"Key":"k","Value":""}]}"##), Ok(tag));
    let untag =
        UntagResourceInput { resource_arn: text("arn"), tag_keys: Some(vec!["a".into(), "b".into()]) };
    assert_eq!(read(r##"{"ResourceArn":"arn","TagKeys":["a","b"]}"##), Ok(untag));
    let list = ListTagsOfResourceInput { resource_arn: text("arn"), next_token: text("n") };
    assert_eq!(read(r##"{"ResourceArn":"arn","NextToken":"n"}"##), Ok(list));
    assert_eq!(read(r##"{"ResourceArn":"arn"}"##), Ok(GetResourcePolicyInput { resource_arn: text("arn") }));
}

#[test]
fn features_to_come() {
    let backups = ListBackupsInput {
        table_name: text("t"),
        limit: Some(1),
        exclusive_start_backup_arn: text("a"),
        backup_type: text("ALL"),
    };
    let json = r##"{"TableName":"t","Limit":1,"ExclusiveStartBackupArn":"a","BackupType":"ALL","TimeRangeLowerBound":1.5}"##;
    assert_eq!(read(json), Ok(backups));
    let globals = ListGlobalTablesInput {
        exclusive_start_global_table_name: text("t"),
        limit: Some(1),
        region_name: text("r"),
    };
    assert_eq!(read(r##"{"ExclusiveStartGlobalTableName":"t","Limit":1,"RegionName":"r"}"##), Ok(globals));
    let insights = DescribeContributorInsightsInput { table_name: text("t"), index_name: text("i") };
    assert_eq!(read(r##"{"TableName":"t","IndexName":"i"}"##), Ok(insights));
    let insights =
        ListContributorInsightsInput { table_name: text("t"), next_token: text("n"), max_results: Some(2) };
    assert_eq!(read(r##"{"TableName":"t","NextToken":"n","MaxResults":2}"##), Ok(insights));
    let exports = ListExportsInput { table_arn: text("t"), max_results: Some(2), next_token: text("n") };
    assert_eq!(read(r##"{"TableArn":"t","MaxResults":2,"NextToken":"n"}"##), Ok(exports));
    let imports = ListImportsInput { table_arn: text("t"), page_size: Some(2), next_token: text("n") };
    assert_eq!(read(r##"{"TableArn":"t","PageSize":2,"NextToken":"n"}"##), Ok(imports));
    let bulk = ListBulkOperationsInput { max_results: Some(2), next_token: text("n") };
    assert_eq!(read(r##"{"MaxResults":2,"NextToken":"n"}"##), Ok(bulk));
    let streams =
        ListStreamsInput { table_name: text("t"), limit: Some(2), exclusive_start_stream_arn: text("s") };
    assert_eq!(read(r##"{"TableName":"t","Limit":2,"ExclusiveStartStreamArn":"s"}"##), Ok(streams));
}

#[test]
fn what_is_described_of_features_to_come() {
    assert_eq!(read(r##"{"BackupArn":"a"}"##), Ok(DescribeBackupInput { backup_arn: text("a") }));
    assert_eq!(read(r##"{"ExportArn":"a"}"##), Ok(DescribeExportInput { export_arn: text("a") }));
    assert_eq!(read(r##"{"ImportArn":"a"}"##), Ok(DescribeImportInput { import_arn: text("a") }));
    let bulk = DescribeBulkOperationInput { bulk_operation_arn: text("a") };
    assert_eq!(read(r##"{"BulkOperationArn":"a"}"##), Ok(bulk));
    let global = GlobalTableInput { global_table_name: text("t") };
    assert_eq!(read(r##"{"GlobalTableName":"t"}"##), Ok(global));
    let stream = DescribeStreamInput {
        stream_arn: text("a"),
        limit: Some(2),
        exclusive_start_shard_id: text("s"),
        shard_filter: Some(ShardFilterInput { filter_type: text("CHILD_SHARDS"), shard_id: text("p") }),
    };
    let json = r##"{"StreamArn":"a","Limit":2,"ExclusiveStartShardId":"s","ShardFilter":{"Type":"CHILD_SHARDS","ShardId":"p"}}"##;
    assert_eq!(read(json), Ok(stream));
}
