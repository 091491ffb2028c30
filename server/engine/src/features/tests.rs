use trilith_domain::ops::backups::*;
use trilith_domain::ops::contributor_insights::*;
use trilith_domain::ops::kinesis::*;
use trilith_domain::ops::*;

use super::*;
use crate::test_support::requests::{create, table};
use crate::test_support::{Client, LocalCluster};

fn ops(name: &str) -> Vec<Op> {
    let arn = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{name}");
    let insights = DescribeContributorInsightsInput { table_name: Some(name.to_owned()), index_name: None };
    vec![
        DescribeTimeToLive::parse(table(name)).expect("valid").into(),
        DescribeContinuousBackups::parse(table(name)).expect("valid").into(),
        DescribeTableReplicaAutoScaling::parse(table(name)).expect("valid").into(),
        DescribeKinesisStreamingDestination::parse(table(name)).expect("valid").into(),
        DescribeContributorInsights::parse(insights).expect("valid").into(),
        GetResourcePolicy::parse(GetResourcePolicyInput { resource_arn: Some(arn) }).expect("valid").into(),
    ]
}

#[tokio::test]
async fn features_of_a_table_that_is_there_are_disabled_or_empty() {
    let cluster = LocalCluster::new(1);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    let mut answers = Vec::new();
    for op in ops("orders") {
        answers.push(client.execute(op).await);
    }
    assert!(matches!(&answers[0], Ok(Output::DescribeTimeToLive(t)) if t.time_to_live_status == "DISABLED"));
    assert!(
        matches!(&answers[1], Ok(Output::DescribeContinuousBackups(b)) if b.point_in_time_recovery_status == "DISABLED")
    );
    assert!(
        matches!(&answers[2], Ok(Output::DescribeTableReplicaAutoScaling(a)) if a.table_name == "orders")
    );
    assert!(
        matches!(&answers[3], Ok(Output::DescribeKinesisStreamingDestination(k)) if k.table_name == "orders")
    );
    assert!(
        matches!(&answers[4], Ok(Output::DescribeContributorInsights(c)) if c.contributor_insights_status == "DISABLED")
    );
    assert!(matches!(&answers[5], Err(OpError::PolicyNotFound(_))));
}

#[tokio::test]
async fn features_of_a_table_that_is_not_there_are_not_found() {
    let client = Client::of(&LocalCluster::new(1));
    for op in ops("none") {
        let name = op.name();
        let error = client.execute(op).await.expect_err("no such table");
        let expected = if name == "DescribeContinuousBackups" {
            "TableNotFoundException"
        } else {
            "ResourceNotFoundException"
        };
        assert_eq!(error.name(), expected, "{name}");
    }
}

#[tokio::test]
async fn what_only_features_to_come_could_have_made_is_not_found() {
    let client = Client::of(&LocalCluster::new(1));
    let arn = |rest: &str| Some(format!("arn:aws:dynamodb:us-east-1:000000000000:table/orders/{rest}/1"));
    let global = || GlobalTableInput { global_table_name: Some("orders".to_owned()) };
    let stream = DescribeStreamInput { stream_arn: arn("stream"), ..DescribeStreamInput::default() };
    let asked: [(Op, &str); 7] = [
        (
            DescribeBackup::parse(DescribeBackupInput { backup_arn: arn("backup") }).expect("valid").into(),
            "BackupNotFoundException",
        ),
        (
            DescribeExport::parse(DescribeExportInput { export_arn: arn("export") }).expect("valid").into(),
            "ExportNotFoundException",
        ),
        (
            DescribeImport::parse(DescribeImportInput { import_arn: arn("import") }).expect("valid").into(),
            "ImportNotFoundException",
        ),
        (
            DescribeBulkOperation::parse(DescribeBulkOperationInput { bulk_operation_arn: arn("bulk") })
                .expect("valid")
                .into(),
            "ResourceNotFoundException",
        ),
        (DescribeGlobalTable::parse(global()).expect("valid").into(), "GlobalTableNotFoundException"),
        (DescribeGlobalTableSettings::parse(global()).expect("valid").into(), "GlobalTableNotFoundException"),
        (DescribeStream::parse(stream).expect("valid").into(), "ResourceNotFoundException"),
    ];
    for (op, expected) in asked {
        let name = op.name();
        let error = client.execute(op).await.expect_err("nothing is there");
        assert_eq!(error.name(), expected, "{name}");
    }
}

#[tokio::test]
async fn lists_of_what_does_not_exist_are_empty() {
    let client = Client::of(&LocalCluster::new(1));
    let backups = ListBackups::parse(ListBackupsInput::default()).expect("valid");
    assert_eq!(client.execute(backups).await, Ok(Output::ListBackups));
    let streams = ListStreams::parse(ListStreamsInput::default()).expect("valid");
    assert_eq!(client.execute(streams).await, Ok(Output::ListStreams));
    let insights = ListContributorInsights::parse(ListContributorInsightsInput::default()).expect("valid");
    assert_eq!(client.execute(insights).await, Ok(Output::ListContributorInsights));
    assert!(matches!(client.execute(DescribeLimits).await, Ok(Output::DescribeLimits(_))));
}
