//! What each operation means, from the typed request to the typed answer, one file an operation (and one for each
//! feature of which only the Describe and List calls exist yet).
//!
//! An operation's life, each step a function of its file, all of them pure:
//! 1. A front end fills `XInput`, wire-neutral (see [`types`]).
//! 2. `X::parse(input)` makes every check that needs no table, in the service's order: constraints of the model
//!    (counted and joined), parameter combinations, expressions (parsed once), values. After it nothing is a string.
//! 3. [`Op::access`] says what the op touches, for the policy evaluator.
//! 4. `x.bind(&record)` makes the checks that need the table and gives a command body or a read plan.
//! 5. `x.shape(…)` turns the shard's reply into the `XOutput` that the front end shows.
//!
//! Absent on purpose: JSON, protobuf, routing, retries, time. An op says what is to be done; `engine` does it.

mod access;
pub mod backups;
pub mod batch_execute_statement;
pub mod batch_get_item;
pub mod batch_write_item;
pub mod catalog_answer;
pub mod contributor_insights;
pub mod create_table;
pub mod delete_item;
pub mod delete_table;
pub mod describe_endpoints;
pub mod describe_limits;
pub mod describe_table;
pub mod execute_statement;
pub mod execute_transaction;
pub mod get_item;
pub mod global_tables;
mod index_read;
mod indexes;
mod keys;
pub mod kinesis;
mod legacy;
pub mod list_tables;
pub mod list_tags_of_resource;
pub mod options;
pub mod page;
pub mod put_item;
pub mod query;
pub mod resource_policy;
pub mod scan;
pub mod search_vectors;
pub mod settings;
pub mod statement;
pub mod streams;
pub mod table_ref;
pub mod tag_resource;
mod tags;
pub mod time_to_live;
pub mod transact_get_items;
pub mod transact_write_items;
mod transaction;
pub mod transfers;
pub mod types;
pub mod untag_resource;
pub mod update_item;
pub mod update_table;
pub mod value_rules;
mod vector_indexes;
pub mod write;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use access::{Access, Resource};
pub use backups::{
    DescribeBackup, DescribeBackupInput, DescribeContinuousBackups, DescribeContinuousBackupsInput,
    DescribeContinuousBackupsOutput, ListBackups, ListBackupsInput,
};
pub use batch_execute_statement::{
    BatchExecuteStatement, BatchExecuteStatementInput, BatchExecuteStatementOutput,
};
pub use batch_get_item::{BatchGetItem, BatchGetItemInput, BatchGetItemOutput};
pub use batch_write_item::{BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput};
pub use contributor_insights::{
    DescribeContributorInsights, DescribeContributorInsightsInput, DescribeContributorInsightsOutput,
    ListContributorInsights, ListContributorInsightsInput,
};
pub use create_table::{CreateTable, CreateTableInput};
pub use delete_item::{DeleteItem, DeleteItemInput};
pub use delete_table::{DeleteTable, DeleteTableInput};
pub use describe_endpoints::{DescribeEndpoints, DescribeEndpointsInput, DescribeEndpointsOutput};
pub use describe_limits::{DescribeLimits, DescribeLimitsOutput};
pub use describe_table::{DescribeTable, DescribeTableInput};
pub use execute_statement::{ExecuteStatement, ExecuteStatementInput, ExecuteStatementOutput};
pub use execute_transaction::{ExecuteTransaction, ExecuteTransactionInput, ExecuteTransactionOutput};
pub use get_item::{GetItem, GetItemInput, GetItemOutput};
pub use global_tables::{
    DescribeGlobalTable, DescribeGlobalTableInput, DescribeGlobalTableSettings,
    DescribeGlobalTableSettingsInput, DescribeTableReplicaAutoScaling, DescribeTableReplicaAutoScalingInput,
    DescribeTableReplicaAutoScalingOutput, GlobalTableInput, ListGlobalTables, ListGlobalTablesInput,
};
pub use kinesis::{
    DescribeKinesisStreamingDestination, DescribeKinesisStreamingDestinationInput,
    DescribeKinesisStreamingDestinationOutput,
};
pub use list_tables::{ListTables, ListTablesInput, ListTablesOutput};
pub use list_tags_of_resource::{ListTagsOfResource, ListTagsOfResourceInput, ListTagsOfResourceOutput};
pub use put_item::{PutItem, PutItemInput};
pub use query::{Query, QueryInput};
pub use resource_policy::{GetResourcePolicy, GetResourcePolicyInput};
pub use scan::{Scan, ScanInput};
pub use search_vectors::{SearchVectors, SearchVectorsInput, SearchVectorsOutput};
pub use streams::{DescribeStream, DescribeStreamInput, ListStreams, ListStreamsInput, ShardFilterInput};
pub use table_ref::TableRef;
pub use tag_resource::{TagResource, TagResourceInput};
pub use time_to_live::{DescribeTimeToLive, DescribeTimeToLiveInput, DescribeTimeToLiveOutput};
pub use transact_get_items::{TransactGetItems, TransactGetItemsInput, TransactGetItemsOutput};
pub use transact_write_items::{TransactWriteItems, TransactWriteItemsInput, TransactWriteItemsOutput};
pub use transfers::{
    DescribeBulkOperation, DescribeBulkOperationInput, DescribeExport, DescribeExportInput, DescribeImport,
    DescribeImportInput, ListBulkOperations, ListBulkOperationsInput, ListExports, ListExportsInput,
    ListImports, ListImportsInput,
};
pub use types::{ConsumedCapacity, HalfUnits, PageOutput, TableDescription, Tag, WriteOutput};
pub use untag_resource::{UntagResource, UntagResourceInput};
pub use update_item::{UpdateItem, UpdateItemInput};
pub use update_table::{UpdateTable, UpdateTableInput};

/// A parsed request: one variant per operation. Closed, so a new one makes the compiler list what it lacks.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// CreateTable.
    CreateTable(Box<CreateTable>),
    /// DescribeTable.
    DescribeTable(DescribeTable),
    /// ListTables.
    ListTables(ListTables),
    /// DeleteTable.
    DeleteTable(DeleteTable),
    /// UpdateTable.
    UpdateTable(UpdateTable),
    /// PutItem.
    PutItem(PutItem),
    /// GetItem.
    GetItem(GetItem),
    /// UpdateItem.
    UpdateItem(UpdateItem),
    /// DeleteItem.
    DeleteItem(DeleteItem),
    /// Query.
    Query(Box<Query>),
    /// Scan.
    Scan(Scan),
    /// SearchVectors.
    SearchVectors(Box<SearchVectors>),
    /// BatchGetItem.
    BatchGetItem(BatchGetItem),
    /// BatchWriteItem.
    BatchWriteItem(BatchWriteItem),
    /// ExecuteStatement.
    ExecuteStatement(Box<ExecuteStatement>),
    /// BatchExecuteStatement.
    BatchExecuteStatement(BatchExecuteStatement),
    /// ExecuteTransaction.
    ExecuteTransaction(ExecuteTransaction),
    /// TransactGetItems.
    TransactGetItems(TransactGetItems),
    /// TransactWriteItems.
    TransactWriteItems(TransactWriteItems),
    /// TagResource.
    TagResource(TagResource),
    /// UntagResource.
    UntagResource(UntagResource),
    /// ListTagsOfResource.
    ListTagsOfResource(ListTagsOfResource),
    /// DescribeLimits.
    DescribeLimits(DescribeLimits),
    /// DescribeEndpoints.
    DescribeEndpoints(DescribeEndpoints),
    /// DescribeTimeToLive.
    DescribeTimeToLive(DescribeTimeToLive),
    /// DescribeContinuousBackups.
    DescribeContinuousBackups(DescribeContinuousBackups),
    /// ListBackups.
    ListBackups(ListBackups),
    /// ListGlobalTables.
    ListGlobalTables(ListGlobalTables),
    /// DescribeTableReplicaAutoScaling.
    DescribeTableReplicaAutoScaling(DescribeTableReplicaAutoScaling),
    /// DescribeKinesisStreamingDestination.
    DescribeKinesisStreamingDestination(DescribeKinesisStreamingDestination),
    /// DescribeContributorInsights.
    DescribeContributorInsights(DescribeContributorInsights),
    /// ListContributorInsights.
    ListContributorInsights(ListContributorInsights),
    /// ListExports.
    ListExports(ListExports),
    /// ListImports.
    ListImports(ListImports),
    /// ListBulkOperations.
    ListBulkOperations(ListBulkOperations),
    /// GetResourcePolicy.
    GetResourcePolicy(GetResourcePolicy),
    /// ListStreams, of the streams service.
    ListStreams(ListStreams),
    /// DescribeBackup.
    DescribeBackup(DescribeBackup),
    /// DescribeExport.
    DescribeExport(DescribeExport),
    /// DescribeImport.
    DescribeImport(DescribeImport),
    /// DescribeBulkOperation.
    DescribeBulkOperation(DescribeBulkOperation),
    /// DescribeGlobalTable.
    DescribeGlobalTable(DescribeGlobalTable),
    /// DescribeGlobalTableSettings.
    DescribeGlobalTableSettings(DescribeGlobalTableSettings),
    /// DescribeStream, of the streams service.
    DescribeStream(DescribeStream),
}

impl Op {
    /// Megabytes that the answer may have at the most, for operations that read many items (contract 15); 0 for one
    /// whose answer is an item or less, of which any number may be in the making.
    pub fn answer_megabytes_max(&self) -> u32 {
        match self {
            Self::Query(_) | Self::Scan(_) | Self::ExecuteStatement(_) => 1,
            Self::TransactGetItems(_) => 4,
            Self::ExecuteTransaction(op) => 4 * u32::from(op.is_read()),
            // 25 items of 400 KB.
            Self::BatchExecuteStatement(_) => 10,
            Self::BatchGetItem(_) => 16,
            // As many items of 400 KB as are asked for, up to the answer's bound.
            Self::SearchVectors(op) => (op.top * 2).div_ceil(5).min(16),
            _ => 0,
        }
    }
}

/// What an operation answers: one variant per operation. Those without content are lists that are always empty, or
/// calls that answer nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// `TableDescription`.
    CreateTable(Box<TableDescription>),
    /// `Table`.
    DescribeTable(Box<TableDescription>),
    /// Names.
    ListTables(ListTablesOutput),
    /// `TableDescription`.
    DeleteTable(Box<TableDescription>),
    /// `TableDescription`.
    UpdateTable(Box<TableDescription>),
    /// Attributes and capacity.
    PutItem(WriteOutput),
    /// Item and capacity.
    GetItem(GetItemOutput),
    /// Attributes and capacity.
    UpdateItem(WriteOutput),
    /// Attributes and capacity.
    DeleteItem(WriteOutput),
    /// A page.
    Query(PageOutput),
    /// A page.
    Scan(PageOutput),
    /// The nearest items.
    SearchVectors(SearchVectorsOutput),
    /// Items by table.
    BatchGetItem(BatchGetItemOutput),
    /// What was not done.
    BatchWriteItem(BatchWriteItemOutput),
    /// Items, and where to go on.
    ExecuteStatement(ExecuteStatementOutput),
    /// An answer for each statement.
    BatchExecuteStatement(BatchExecuteStatementOutput),
    /// Items, of reads.
    ExecuteTransaction(ExecuteTransactionOutput),
    /// Items.
    TransactGetItems(TransactGetItemsOutput),
    /// Capacity.
    TransactWriteItems(TransactWriteItemsOutput),
    /// Nothing: an empty body.
    TagResource,
    /// Nothing: an empty body.
    UntagResource,
    /// Tags.
    ListTagsOfResource(ListTagsOfResourceOutput),
    /// Quotas.
    DescribeLimits(DescribeLimitsOutput),
    /// Endpoints.
    DescribeEndpoints(DescribeEndpointsOutput),
    /// `TimeToLiveDescription`.
    DescribeTimeToLive(DescribeTimeToLiveOutput),
    /// `ContinuousBackupsDescription`.
    DescribeContinuousBackups(DescribeContinuousBackupsOutput),
    /// Empty `BackupSummaries`.
    ListBackups,
    /// Empty `GlobalTables`.
    ListGlobalTables,
    /// `TableAutoScalingDescription`.
    DescribeTableReplicaAutoScaling(DescribeTableReplicaAutoScalingOutput),
    /// `TableName` and empty `KinesisDataStreamDestinations`.
    DescribeKinesisStreamingDestination(DescribeKinesisStreamingDestinationOutput),
    /// The table's status.
    DescribeContributorInsights(DescribeContributorInsightsOutput),
    /// Empty `ContributorInsightsSummaries`.
    ListContributorInsights,
    /// Empty `ExportSummaries`.
    ListExports,
    /// Empty `ImportSummaryList`.
    ListImports,
    /// Empty `BulkOperationsSummaryList`.
    ListBulkOperations,
    /// Empty `Streams`.
    ListStreams,
}
