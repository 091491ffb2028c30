//! Describe and List calls of features that do not exist yet: their answers are few and true.

use trilith_domain::ops::{
    DescribeBackupInput, DescribeBulkOperationInput, DescribeContinuousBackupsOutput,
    DescribeContributorInsightsInput, DescribeContributorInsightsOutput, DescribeExportInput,
    DescribeImportInput, DescribeKinesisStreamingDestinationOutput, DescribeStreamInput,
    DescribeTableReplicaAutoScalingOutput, DescribeTimeToLiveOutput, GetResourcePolicyInput,
    GlobalTableInput, ListBackupsInput, ListBulkOperationsInput, ListContributorInsightsInput,
    ListExportsInput, ListGlobalTablesInput, ListImportsInput, ListStreamsInput, ShardFilterInput,
};

use crate::json::shape::structure;
use crate::json::write::Writer;

structure!(ListBackupsInput {
    "TableName" => table_name,
    "Limit" => limit,
    "ExclusiveStartBackupArn" => exclusive_start_backup_arn,
    "BackupType" => backup_type,
});

structure!(ListGlobalTablesInput {
    "ExclusiveStartGlobalTableName" => exclusive_start_global_table_name,
    "Limit" => limit,
    "RegionName" => region_name,
});

structure!(DescribeContributorInsightsInput { "TableName" => table_name, "IndexName" => index_name });

structure!(ListContributorInsightsInput {
    "TableName" => table_name,
    "NextToken" => next_token,
    "MaxResults" => max_results,
});

structure!(ListExportsInput {
    "TableArn" => table_arn,
    "MaxResults" => max_results,
    "NextToken" => next_token,
});

structure!(ListImportsInput {
    "TableArn" => table_arn,
    "PageSize" => page_size,
    "NextToken" => next_token,
});

structure!(ListBulkOperationsInput { "MaxResults" => max_results, "NextToken" => next_token });

structure!(GetResourcePolicyInput { "ResourceArn" => resource_arn });

structure!(ListStreamsInput {
    "TableName" => table_name,
    "Limit" => limit,
    "ExclusiveStartStreamArn" => exclusive_start_stream_arn,
});

structure!(DescribeBackupInput { "BackupArn" => backup_arn });

structure!(DescribeExportInput { "ExportArn" => export_arn });

structure!(DescribeImportInput { "ImportArn" => import_arn });

structure!(DescribeBulkOperationInput { "BulkOperationArn" => bulk_operation_arn });

structure!(GlobalTableInput { "GlobalTableName" => global_table_name });

structure!(ShardFilterInput { "Type" => filter_type, "ShardId" => shard_id });

structure!(DescribeStreamInput {
    "StreamArn" => stream_arn,
    "Limit" => limit,
    "ExclusiveStartShardId" => exclusive_start_shard_id,
    "ShardFilter" => shard_filter,
});

pub(super) fn time_to_live_members(description: &DescribeTimeToLiveOutput, out: &mut Writer) {
    out.name("TimeToLiveDescription");
    out.object(|out| {
        out.member("TimeToLiveStatus", description.time_to_live_status);
        out.optional("AttributeName", description.attribute_name.as_ref());
    });
}

pub(super) fn continuous_backups_members(backups: &DescribeContinuousBackupsOutput, out: &mut Writer) {
    out.name("ContinuousBackupsDescription");
    out.object(|out| {
        out.member("ContinuousBackupsStatus", backups.continuous_backups_status);
        out.name("PointInTimeRecoveryDescription");
        out.object(|out| {
            out.member("PointInTimeRecoveryStatus", backups.point_in_time_recovery_status);
        });
    });
}

pub(super) fn auto_scaling_members(table: &DescribeTableReplicaAutoScalingOutput, out: &mut Writer) {
    out.name("TableAutoScalingDescription");
    out.object(|out| {
        out.member("TableName", &table.table_name);
        out.member("TableStatus", &table.table_status);
        empty_list("Replicas", out);
    });
}

pub(super) fn kinesis_members(table: &DescribeKinesisStreamingDestinationOutput, out: &mut Writer) {
    out.member("TableName", &table.table_name);
    empty_list("KinesisDataStreamDestinations", out);
}

pub(super) fn insights_members(insights: &DescribeContributorInsightsOutput, out: &mut Writer) {
    out.member("TableName", &insights.table_name);
    out.member("ContributorInsightsStatus", insights.contributor_insights_status);
}

pub(super) fn empty_list(name: &str, out: &mut Writer) {
    out.name(name);
    out.array::<()>([], |_, ()| {});
}
