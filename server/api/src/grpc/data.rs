//! The data service: one row per call, all of them through the pipeline.

use std::sync::Arc;

use prost::Message as _;
use tonic::{Request, Response, Status};
use trilith_domain::OpError;
use trilith_domain::ops::Op;
use trilith_proto::data::v1::data_server::Data;
use trilith_proto::data::v1::*;

use super::front::Call;
use super::requests::Ask;
use super::responses::Answer;
use super::status::status;
use crate::pipeline::Pipeline;

/// The operations, over a pipeline.
#[derive(Clone, Debug)]
pub struct DataService {
    pipeline: Arc<Pipeline>,
}

impl DataService {
    /// A service that sends everything through `pipeline`.
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline }
    }

    async fn run<Q: Ask, A: Answer>(
        &self,
        operation: &'static str,
        request: Request<Q>,
    ) -> Result<Response<A>, Status> {
        let (_, mut extensions, message) = request.into_parts();
        let call: Call = extensions.remove().expect("the front service gives every request one");
        let result = self
            .pipeline
            .run(&call.context, operation, || message.op(call.host.as_deref()), A::of)
            .await
            .and_then(|answer| {
                answer.ok_or_else(|| {
                    OpError::Internal(format!("{operation} was answered with another's output"))
                })
            });
        match result {
            Ok(answer) => Ok(Response::new(answer)),
            Err(error) => Err(status(error, call.details_max)),
        }
    }
}

/// The service's calls, and the names of all of them.
macro_rules! data_service {
    ($($call:ident $operation:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl Data for DataService {
            $(async fn $call(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                self.run(stringify!($operation), request).await
            })*
        }

        /// Every call of the service; each is the operation of the same name.
        const CALLS: &[&str] = &[$(stringify!($operation)),*];

        /// The op that the bytes of a call's message ask for, as they arrive here; `None` where there is no such call or the
        /// bytes are no such message. For tests that have no connection.
        pub fn op_of(operation: &str, message: &[u8]) -> Option<Result<Op, OpError>> {
            match operation {
                $(stringify!($operation) => $request::decode(message).ok().map(|message| message.op(None)),)*
                _ => None,
            }
        }
    };
}

data_service! {
    get_item GetItem(GetItemRequest) -> GetItemResponse;
    put_item PutItem(PutItemRequest) -> PutItemResponse;
    update_item UpdateItem(UpdateItemRequest) -> UpdateItemResponse;
    delete_item DeleteItem(DeleteItemRequest) -> DeleteItemResponse;
    query Query(QueryRequest) -> QueryResponse;
    scan Scan(ScanRequest) -> ScanResponse;
    search_vectors SearchVectors(SearchVectorsRequest) -> SearchVectorsResponse;
    batch_get_item BatchGetItem(BatchGetItemRequest) -> BatchGetItemResponse;
    batch_write_item BatchWriteItem(BatchWriteItemRequest) -> BatchWriteItemResponse;
    execute_statement ExecuteStatement(ExecuteStatementRequest) -> ExecuteStatementResponse;
    batch_execute_statement BatchExecuteStatement(BatchExecuteStatementRequest) -> BatchExecuteStatementResponse;
    execute_transaction ExecuteTransaction(ExecuteTransactionRequest) -> ExecuteTransactionResponse;
    transact_get_items TransactGetItems(TransactGetItemsRequest) -> TransactGetItemsResponse;
    transact_write_items TransactWriteItems(TransactWriteItemsRequest) -> TransactWriteItemsResponse;
    create_table CreateTable(CreateTableRequest) -> CreateTableResponse;
    describe_table DescribeTable(DescribeTableRequest) -> DescribeTableResponse;
    list_tables ListTables(ListTablesRequest) -> ListTablesResponse;
    delete_table DeleteTable(DeleteTableRequest) -> DeleteTableResponse;
    update_table UpdateTable(UpdateTableRequest) -> UpdateTableResponse;
    tag_resource TagResource(TagResourceRequest) -> TagResourceResponse;
    untag_resource UntagResource(UntagResourceRequest) -> UntagResourceResponse;
    list_tags_of_resource ListTagsOfResource(ListTagsOfResourceRequest) -> ListTagsOfResourceResponse;
    describe_limits DescribeLimits(DescribeLimitsRequest) -> DescribeLimitsResponse;
    describe_endpoints DescribeEndpoints(DescribeEndpointsRequest) -> DescribeEndpointsResponse;
    describe_time_to_live DescribeTimeToLive(DescribeTimeToLiveRequest) -> DescribeTimeToLiveResponse;
    describe_continuous_backups DescribeContinuousBackups(DescribeContinuousBackupsRequest)
        -> DescribeContinuousBackupsResponse;
    list_backups ListBackups(ListBackupsRequest) -> ListBackupsResponse;
    list_global_tables ListGlobalTables(ListGlobalTablesRequest) -> ListGlobalTablesResponse;
    describe_table_replica_auto_scaling DescribeTableReplicaAutoScaling(DescribeTableReplicaAutoScalingRequest)
        -> DescribeTableReplicaAutoScalingResponse;
    describe_kinesis_streaming_destination
        DescribeKinesisStreamingDestination(DescribeKinesisStreamingDestinationRequest)
        -> DescribeKinesisStreamingDestinationResponse;
    describe_contributor_insights DescribeContributorInsights(DescribeContributorInsightsRequest)
        -> DescribeContributorInsightsResponse;
    list_contributor_insights ListContributorInsights(ListContributorInsightsRequest)
        -> ListContributorInsightsResponse;
    list_exports ListExports(ListExportsRequest) -> ListExportsResponse;
    list_imports ListImports(ListImportsRequest) -> ListImportsResponse;
    list_bulk_operations ListBulkOperations(ListBulkOperationsRequest) -> ListBulkOperationsResponse;
    get_resource_policy GetResourcePolicy(GetResourcePolicyRequest) -> GetResourcePolicyResponse;
    list_streams ListStreams(ListStreamsRequest) -> ListStreamsResponse;
    describe_backup DescribeBackup(DescribeBackupRequest) -> DescribeBackupResponse;
    describe_export DescribeExport(DescribeExportRequest) -> DescribeExportResponse;
    describe_import DescribeImport(DescribeImportRequest) -> DescribeImportResponse;
    describe_bulk_operation DescribeBulkOperation(DescribeBulkOperationRequest) -> DescribeBulkOperationResponse;
    describe_global_table DescribeGlobalTable(DescribeGlobalTableRequest) -> DescribeGlobalTableResponse;
    describe_global_table_settings DescribeGlobalTableSettings(DescribeGlobalTableSettingsRequest) -> DescribeGlobalTableSettingsResponse;
    describe_stream DescribeStream(DescribeStreamRequest) -> DescribeStreamResponse;
}

/// The operation that a request's path names, such as `/trilith.data.v1.Data/GetItem`.
pub fn operation_of(path: &str) -> Option<&'static str> {
    let (_, name) = path.rsplit_once('/')?;
    CALLS.iter().find(|call| **call == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::operations;

    /// Both wires offer the same operations.
    #[test]
    fn every_operation_has_a_call() {
        let mut rows: Vec<&str> = operations().iter().map(|row| row.name).collect();
        let mut calls = CALLS.to_vec();
        rows.sort_unstable();
        calls.sort_unstable();
        assert_eq!(calls, rows);
    }

    #[test]
    fn paths_name_operations() {
        assert_eq!(operation_of("/trilith.data.v1.Data/GetItem"), Some("GetItem"));
        assert_eq!(operation_of("/trilith.data.v1.Data/NoSuchCall"), None);
        assert_eq!(operation_of(""), None);
    }
}
