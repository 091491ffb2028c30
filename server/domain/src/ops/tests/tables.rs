//! Operations on tables and their tags, and the calls of features to come.

use std::collections::BTreeMap;

use super::super::describe_table::{Counts, describe};
use super::super::testing::*;
use super::super::types::{
    AttributeDefinition, KeySchemaElement, OnDemandThroughput, TableInput, Tag, ThroughputInput,
    WarmThroughputInput,
};
use super::super::*;
use crate::catalog::{
    BillingMode, CatalogCommand, CatalogReply, TableRecord, TableSettings, TableStatus, Units,
};
use crate::error::OpError;
use crate::time::Stamp;

fn element(name: &str, key_type: &str) -> KeySchemaElement {
    KeySchemaElement { attribute_name: text(name), key_type: text(key_type) }
}

fn attribute(name: &str, kind: &str) -> AttributeDefinition {
    AttributeDefinition { attribute_name: text(name), attribute_type: text(kind) }
}

fn units(read: i64, write: i64) -> Option<ThroughputInput> {
    Some(ThroughputInput { read_capacity_units: Some(read), write_capacity_units: Some(write) })
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: text(key), value: text(value) }
}

fn create() -> CreateTableInput {
    CreateTableInput {
        table_name: text("orders"),
        key_schema: Some(vec![element("pk", "HASH"), element("sk", "RANGE")]),
        attribute_definitions: Some(vec![attribute("sk", "N"), attribute("pk", "S")]),
        billing_mode: text("PAY_PER_REQUEST"),
        ..CreateTableInput::default()
    }
}

fn update() -> UpdateTableInput {
    UpdateTableInput { table_name: text("orders"), ..UpdateTableInput::default() }
}

const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/orders";

#[test]
fn tables_that_cannot_be_created() {
    let not_matching = "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly \
                        match number of attributes defined in AttributeDefinitions";
    let keys =
        |elements: &[(&str, &str)]| Some(elements.iter().map(|(name, kind)| element(name, kind)).collect());
    let cases = [
        (
            CreateTableInput { table_name: text("ab"), ..create() },
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have \
             length greater than or equal to 3",
        ),
        (
            CreateTableInput { key_schema: keys(&[("pk", "X")]), ..create() },
            "1 validation error detected: Value 'X' at 'keySchema.1.member.keyType' failed to satisfy constraint: Member \
             must satisfy enum value set: [HASH, RANGE]",
        ),
        (
            CreateTableInput {
                key_schema: keys(&[("pk", "HASH"), ("sk", "RANGE"), ("x", "RANGE")]),
                ..create()
            },
            "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: Member must have length \
             less than or equal to 2",
        ),
        (
            CreateTableInput { attribute_definitions: Some(vec![attribute("pk", "BOOL")]), ..create() },
            "1 validation error detected: Value 'BOOL' at 'attributeDefinitions.1.member.attributeType' failed to \
             satisfy constraint: Member must satisfy enum value set: [S, N, B]",
        ),
        (
            CreateTableInput { provisioned_throughput: units(0, 1), ..create() },
            "1 validation error detected: Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy \
             constraint: Member must have value greater than or equal to 1",
        ),
        (
            CreateTableInput { global_secondary_indexes: Some(vec![]), ..create() },
            "One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty",
        ),
        (
            CreateTableInput { not_built: vec!["StreamSpecification"], ..create() },
            "One or more parameter values were invalid: StreamSpecification is not supported yet",
        ),
        (
            CreateTableInput { provisioned_throughput: units(1, 1), ..create() },
            "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            CreateTableInput { billing_mode: None, ..create() },
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified \
             when BillingMode is PROVISIONED",
        ),
        (
            CreateTableInput { key_schema: keys(&[("pk", "RANGE"), ("sk", "HASH")]), ..create() },
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            CreateTableInput { key_schema: keys(&[("pk", "HASH"), ("sk", "HASH")]), ..create() },
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            CreateTableInput { key_schema: keys(&[("pk", "HASH"), ("pk", "RANGE")]), ..create() },
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            CreateTableInput { key_schema: keys(&[("other", "HASH")]), ..create() },
            "Invalid KeySchema: Some index key attribute have no definition",
        ),
        (CreateTableInput { key_schema: keys(&[("pk", "HASH")]), ..create() }, not_matching),
        (
            CreateTableInput {
                attribute_definitions: Some(vec![
                    attribute("pk", "S"),
                    attribute("sk", "N"),
                    attribute("sk", "N"),
                ]),
                ..create()
            },
            not_matching,
        ),
        (
            CreateTableInput {
                warm_throughput: Some(WarmThroughputInput {
                    read_units_per_second: Some(11_999),
                    write_units_per_second: None,
                }),
                ..create()
            },
            "One or more parameter values were invalid: Requested ReadUnitsPerSecond for WarmThroughput for table is \
             lower than ReadCapacityUnits of initial throughput for OnDemand",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(refused(CreateTable::parse(input)), expected);
    }
}

#[test]
fn a_table_is_what_was_asked_for() {
    let input = CreateTableInput {
        billing_mode: text("PROVISIONED"),
        provisioned_throughput: units(5, 6),
        table_class: text("STANDARD"),
        deletion_protection_enabled: Some(true),
        tags: Some(vec![tag("team", "blue")]),
        ..create()
    };
    let op = CreateTable::parse(input).expect("valid");
    assert_eq!(
        (op.definition.hash.name.as_str(), op.definition.throughput),
        ("pk", Units { read: 5, write: 6 })
    );
    let CatalogCommand::CreateTable { name, tags, definition, account, .. } = op.bind(7, 1, 2) else {
        panic!("not a CreateTable");
    };
    assert_eq!((name.as_str(), account, definition.deletion_protection), ("orders", 7, true));
    assert_eq!(tags.get("team").map(String::as_str), Some("blue"));
    let op = Op::from(op);
    let actions: Vec<_> = op.access().iter().map(|access| access.action).collect();
    assert_eq!(actions, ["CreateTable", "TagResource"]);
}

#[test]
fn a_description_tells_all_there_is() {
    let mut record = provisioned(5, 6);
    record.decreases = vec![Stamp(NOW.0 - 1), Stamp(NOW.0 - 86_400_000_000)];
    let seen = describe(&record, &[(record.id, Counts { items: 3, bytes: 99 })].into(), "us-east-1", NOW);
    assert_eq!(seen.table_arn, ARN);
    assert_eq!(seen.table_id, "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!((seen.item_count, seen.table_size_bytes), (3, 99));
    assert_eq!(seen.key_schema, Some(vec![element("pk", "HASH"), element("sk", "RANGE")]));
    assert_eq!(seen.attribute_definitions, Some(vec![attribute("pk", "S"), attribute("sk", "N")]));
    assert_eq!(seen.provisioned_throughput.read_capacity_units, 5);
    assert_eq!(seen.provisioned_throughput.decreases_today, 1, "yesterday's does not count");
    assert_eq!(seen.billing_mode_summary, None, "never was on-demand");
    assert!(!seen.deletion_protection_enabled);

    let seen = describe(&table(), &BTreeMap::new(), "us-east-1", NOW);
    let billing = seen.billing_mode_summary.expect("on-demand");
    assert_eq!(billing.billing_mode, BillingMode::PayPerRequest);
    assert_eq!(billing.last_update_to_pay_per_request, Some(NOW));
    assert_eq!(seen.provisioned_throughput.write_capacity_units, 0);
    assert_eq!(seen.warm_throughput.expect("always").write_units_per_second, 4000);

    record.status = TableStatus::Deleting;
    let seen = describe(&record, &BTreeMap::new(), "us-east-1", NOW);
    assert_eq!(
        (seen.key_schema, seen.creation_date_time, seen.table_status),
        (None, None, TableStatus::Deleting)
    );
}

#[test]
fn updates_that_are_refused() {
    assert_eq!(
        refused(UpdateTable::parse(update())),
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
         SSESpecification or ReplicaUpdates is required"
    );
    let refusal =
        |input, record: &TableRecord| refused(UpdateTable::parse(input).expect("valid").bind(record));
    let same = UpdateTableInput { provisioned_throughput: units(5, 6), ..update() };
    assert!(
        refusal(same.clone(), &provisioned(5, 6)).starts_with(
            "The provisioned throughput for the table will not change. The requested value equals"
        )
    );
    assert_eq!(
        refusal(same, &table()),
        "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST"
    );
    let to_provisioned = UpdateTableInput { billing_mode: text("PROVISIONED"), ..update() };
    assert!(
        refusal(to_provisioned, &table()).contains("must both be specified when BillingMode is PROVISIONED")
    );
    let maximum = OnDemandThroughput { max_read_request_units: Some(10), max_write_request_units: None };
    let capped = UpdateTableInput { on_demand_throughput: Some(maximum), ..update() };
    assert!(refusal(capped, &provisioned(5, 6)).contains("OnDemandThroughput cannot be specified"));

    let mut creating = table();
    creating.status = TableStatus::Creating;
    let class = UpdateTableInput { table_class: text("STANDARD_INFREQUENT_ACCESS"), ..update() };
    assert_eq!(
        UpdateTable::parse(class).expect("valid").bind(&creating),
        Err(OpError::ResourceInUse(
            "Attempt to change a resource which is still in use: Table is being created: orders".to_owned()
        ))
    );
}

#[test]
fn an_update_leaves_the_rest_alone() {
    let maximum = OnDemandThroughput { max_read_request_units: None, max_write_request_units: Some(10) };
    let input = UpdateTableInput { on_demand_throughput: Some(maximum), ..update() };
    let mut record = table();
    record.definition.on_demand_maximum = Some(Units { read: 7, write: 8 });
    let command = UpdateTable::parse(input).expect("valid").bind(&record).expect("binds");
    let CatalogCommand::AlterTable { settings, .. } = command else {
        panic!("not an AlterTable");
    };
    let on_demand_maximum = Some(Units { read: 7, write: 10 });
    assert_eq!(settings, TableSettings { on_demand_maximum, ..TableSettings::default() });
}

#[test]
fn a_table_goes_unless_protected_or_in_use() {
    let op = DeleteTable::parse(TableInput { table_name: text("orders") }).expect("valid");
    let mut record = table();
    assert!(op.bind(&record).is_ok());
    record.definition.deletion_protection = true;
    assert_eq!(
        refused(op.bind(&record)),
        "1 validation error detected: Table 'orders' can't be deleted while DeletionProtectionEnabled is set to True"
    );
    record.status = TableStatus::Updating;
    assert_eq!(op.bind(&record).expect_err("in use").name(), "ResourceInUseException");
    record.status = TableStatus::Deleting;
    assert!(op.bind(&record).is_ok(), "to delete again is success");
    let busy = CatalogReply::TableBusy(Box::new(record));
    assert!(catalog_answer::deleted_table("orders", busy.clone()).is_ok());
    assert_eq!(
        catalog_answer::table("orders", busy).expect_err("in use").message(),
        "Attempt to change a resource which is still in use: Table is being deleted: orders"
    );
}

#[test]
fn the_catalogs_refusals_become_the_services_errors() {
    let exists = CatalogReply::TableExists(Box::new(table()));
    let error = catalog_answer::table("orders", exists).expect_err("exists");
    assert_eq!((error.name(), error.message()), ("ResourceInUseException", "Table already exists: orders"));
    let error = catalog_answer::table("orders", CatalogReply::NotFound).expect_err("missing");
    assert_eq!(error.message(), "Requested resource not found: Table: orders not found");
    assert_eq!(catalog_answer::done("orders", CatalogReply::Done), Ok(()));
}

#[test]
fn a_missing_table_is_told_as_each_operation_tells_it() {
    let input = || TableInput { table_name: text("orders") };
    let get = GetItemInput { table_name: text("orders"), key: Some(item([])), ..GetItemInput::default() };
    let tags = ListTagsOfResourceInput { resource_arn: text(ARN), next_token: None };
    let cases: [(Op, &str, &str); 4] = [
        (
            GetItem::parse(get).expect("valid").into(),
            "ResourceNotFoundException",
            "Requested resource not found",
        ),
        (
            DescribeTable::parse(input()).expect("valid").into(),
            "ResourceNotFoundException",
            "Requested resource not found: Table: orders not found",
        ),
        (
            DescribeContinuousBackups::parse(input()).expect("valid").into(),
            "TableNotFoundException",
            "Table not found: orders",
        ),
        (
            ListTagsOfResource::parse(tags).expect("valid").into(),
            "ResourceNotFoundException",
            "Requested resource not found: ResourcArn: arn:aws:dynamodb:us-east-1:000000000000:table/orders not found",
        ),
    ];
    for (op, name, message) in cases {
        let error = op.table_missing(op.tables()[0]);
        assert_eq!((error.name(), error.message()), (name, message));
    }
}

#[test]
fn tags_keep_their_rules() {
    let parse = |tags| TagResource::parse(TagResourceInput { resource_arn: text(ARN), tags: Some(tags) });
    for (bad, part) in [
        (vec![tag("aws:x", "1")], "aws:"),
        (vec![tag("a", "1"), tag("a", "2")], "twice"),
        (vec![tag("a", "<")], "characters"),
        (vec![tag("", "1")], "greater than or equal to 1"),
        (vec![tag(&"k".repeat(129), "1")], "less than or equal to 128"),
        (vec![tag("k", &"v".repeat(257))], "less than or equal to 256"),
    ] {
        let message = refused(parse(bad));
        assert!(message.contains(part), "{message}");
    }
    let many = |prefix: &str, count: usize| {
        (0..count).map(|i| tag(&format!("{prefix}{i}"), "v")).collect::<Vec<_>>()
    };
    let mut record = table();
    record.tags =
        many("a", 30).into_iter().map(|tag| (tag.key.unwrap_or_default(), "old".to_owned())).collect();
    assert!(parse(many("a", 50)).expect("valid").bind(&record).is_ok(), "the same key counts once");
    let over = parse(many("b", 21)).expect("valid").bind(&record).expect_err("51 tags");
    assert_eq!(over.name(), "LimitExceededException");
    let large = (0..49).map(|i| tag(&format!("{i:0>100}"), &"v".repeat(256))).collect();
    assert_eq!(
        parse(large).expect("valid").bind(&table()).expect_err("17 KB").name(),
        "LimitExceededException"
    );
}

#[test]
fn tags_are_listed_in_order() {
    let mut record = table();
    record.tags = [("b", "2"), ("a", "1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let input = ListTagsOfResourceInput { resource_arn: text(ARN), next_token: None };
    let listed = ListTagsOfResource::parse(input).expect("valid").answer(&record);
    assert_eq!(listed.tags, [tag("a", "1"), tag("b", "2")]);
    let bad = TagResourceInput { resource_arn: text("orders"), tags: Some(vec![]) };
    assert_eq!(
        refused(TagResource::parse(bad)),
        "Invalid TableArn: Invalid ResourceArn provided as input orders"
    );
}

#[test]
fn features_to_come_answer_the_truth() {
    let input = || TableInput { table_name: text("orders") };
    let ttl = DescribeTimeToLive::parse(input()).expect("valid").answer();
    assert_eq!((ttl.time_to_live_status, ttl.attribute_name), ("DISABLED", None));
    let backups = DescribeContinuousBackups::parse(input()).expect("valid").answer();
    assert_eq!(backups.point_in_time_recovery_status, "DISABLED");
    let policy =
        GetResourcePolicy::parse(GetResourcePolicyInput { resource_arn: text(ARN) }).expect("valid").answer();
    assert_eq!(policy.name(), "PolicyNotFoundException");
    assert_eq!(
        policy.message(),
        format!("Resource-based policy not found for the provided ResourceArn: {ARN}")
    );
    let insights = DescribeContributorInsightsInput { table_name: text("orders"), index_name: None };
    let insights =
        DescribeContributorInsights::parse(insights).expect("valid").answer(&table()).expect("no index");
    assert_eq!(insights.contributor_insights_status, "DISABLED");
    assert_eq!(
        refused(ListExports::parse(ListExportsInput {
            max_results: Some(26),
            ..ListExportsInput::default()
        })),
        "1 validation error detected: Value '26' at 'maxResults' failed to satisfy constraint: Member must have value \
         less than or equal to 25"
    );
    let bad = ListBackupsInput { backup_type: text("NONE"), ..ListBackupsInput::default() };
    assert!(refused(ListBackups::parse(bad)).ends_with("[USER, SYSTEM, AWS_BACKUP, ALL]"));
    assert_eq!(DescribeLimits.answer().account_max_read_capacity_units, 80_000);
    let endpoints =
        DescribeEndpoints::parse(DescribeEndpointsInput { host: text("localhost:9000") }).answer();
    assert_eq!(endpoints.endpoints[0].address, "localhost:9000");
}

#[test]
fn what_features_to_come_would_have_made_is_not_found() {
    let backup = DescribeBackup::parse(DescribeBackupInput { backup_arn: text(&"b".repeat(37)) });
    assert_eq!(
        backup.expect("valid").answer().message(),
        format!("Backup not found: {}", "b".repeat(37)),
        "any ARN of a length that the model allows"
    );
    let bulk = |length: usize| DescribeBulkOperationInput { bulk_operation_arn: text(&"b".repeat(length)) };
    assert!(DescribeBulkOperation::parse(bulk(1024)).is_ok());
    for length in [0, 36, 1025] {
        refused(DescribeBulkOperation::parse(bulk(length)));
    }
    let global = |name: &str| GlobalTableInput { global_table_name: text(name) };
    assert_eq!(
        DescribeGlobalTable::parse(global("orders")).expect("valid").answer().name(),
        "GlobalTableNotFoundException"
    );
    for name in ["", "ab", ARN] {
        refused(DescribeGlobalTable::parse(global(name)));
    }
    let stream = |arn: &str| {
        DescribeStream::parse(DescribeStreamInput { stream_arn: text(arn), ..DescribeStreamInput::default() })
    };
    assert!(stream(&format!("{ARN}/stream/2026-01-01T00:00:00.000")).is_ok());
    for arn in [ARN.to_owned(), format!("{ARN}/index/by-date"), "s".repeat(40)] {
        assert_eq!(refused(stream(&arn)), "Invalid StreamArn");
    }
}
