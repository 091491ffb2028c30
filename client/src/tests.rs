//! Against servers on loopback that answer by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use trilith_proto::data::v1::data_server::{Data, DataServer};
use trilith_proto::data::v1::{TableStatus as MessageStatus, *};

use crate::{
    BatchWrite, Client, Error, ErrorKind, Get, Item as Map, Number, Put, Query, Retry, Settings, TableStatus,
    Update,
};

/// What a server answers to one call; behind the last of them it answers well.
#[derive(Clone, Debug)]
enum Step {
    Fail(Status),
    /// Takes the request and never answers.
    Hang,
    /// Takes the request, and the connection breaks: the whole server goes away.
    Die,
}

/// A server that answers its calls by a script, and remembers them.
#[derive(Clone, Default)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    puts: Arc<Mutex<Vec<PutItemRequest>>>,
    calls: Arc<Mutex<usize>>,
    dead: Arc<tokio::sync::Notify>,
}

impl Script {
    async fn next(&self) -> Result<(), Status> {
        *self.calls.lock().expect("not poisoned") += 1;
        let step = self.steps.lock().expect("not poisoned").pop_front();
        match step {
            None => Ok(()),
            Some(Step::Fail(status)) => Err(status),
            Some(Step::Hang) => std::future::pending().await,
            Some(Step::Die) => {
                self.dead.notify_one();
                std::future::pending().await
            }
        }
    }

    fn calls(&self) -> usize {
        *self.calls.lock().expect("not poisoned")
    }
}

macro_rules! by_script {
    ($($call:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl Data for Script {
            async fn put_item(&self, request: Request<PutItemRequest>) -> Result<Response<PutItemResponse>, Status> {
                self.puts.lock().expect("not poisoned").push(request.into_inner());
                self.next().await.map(|()| Response::new(PutItemResponse::default()))
            }

            async fn describe_table(
                &self,
                request: Request<DescribeTableRequest>,
            ) -> Result<Response<DescribeTableResponse>, Status> {
                let mut table =
                    TableDescription { table_name: request.into_inner().table_name, ..Default::default() };
                let polled = self.calls() > 0;
                table.set_table_status(if polled { MessageStatus::Active } else { MessageStatus::Creating });
                self.next().await.map(|()| Response::new(DescribeTableResponse { table: Some(table) }))
            }

            $(async fn $call(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                self.next().await.map(|()| Response::new($response::default()))
            })*
        }
    };
}

by_script! {
    get_item(GetItemRequest) -> GetItemResponse;
    update_item(UpdateItemRequest) -> UpdateItemResponse;
    delete_item(DeleteItemRequest) -> DeleteItemResponse;
    query(QueryRequest) -> QueryResponse;
    scan(ScanRequest) -> ScanResponse;
    search_vectors(SearchVectorsRequest) -> SearchVectorsResponse;
    batch_get_item(BatchGetItemRequest) -> BatchGetItemResponse;
    batch_write_item(BatchWriteItemRequest) -> BatchWriteItemResponse;
    execute_statement(ExecuteStatementRequest) -> ExecuteStatementResponse;
    batch_execute_statement(BatchExecuteStatementRequest) -> BatchExecuteStatementResponse;
    execute_transaction(ExecuteTransactionRequest) -> ExecuteTransactionResponse;
    transact_get_items(TransactGetItemsRequest) -> TransactGetItemsResponse;
    transact_write_items(TransactWriteItemsRequest) -> TransactWriteItemsResponse;
    create_table(CreateTableRequest) -> CreateTableResponse;
    list_tables(ListTablesRequest) -> ListTablesResponse;
    delete_table(DeleteTableRequest) -> DeleteTableResponse;
    update_table(UpdateTableRequest) -> UpdateTableResponse;
    tag_resource(TagResourceRequest) -> TagResourceResponse;
    untag_resource(UntagResourceRequest) -> UntagResourceResponse;
    list_tags_of_resource(ListTagsOfResourceRequest) -> ListTagsOfResourceResponse;
    describe_limits(DescribeLimitsRequest) -> DescribeLimitsResponse;
    describe_endpoints(DescribeEndpointsRequest) -> DescribeEndpointsResponse;
    describe_time_to_live(DescribeTimeToLiveRequest) -> DescribeTimeToLiveResponse;
    describe_continuous_backups(DescribeContinuousBackupsRequest) -> DescribeContinuousBackupsResponse;
    list_backups(ListBackupsRequest) -> ListBackupsResponse;
    list_global_tables(ListGlobalTablesRequest) -> ListGlobalTablesResponse;
    describe_table_replica_auto_scaling(DescribeTableReplicaAutoScalingRequest)
        -> DescribeTableReplicaAutoScalingResponse;
    describe_kinesis_streaming_destination(DescribeKinesisStreamingDestinationRequest)
        -> DescribeKinesisStreamingDestinationResponse;
    describe_contributor_insights(DescribeContributorInsightsRequest) -> DescribeContributorInsightsResponse;
    list_contributor_insights(ListContributorInsightsRequest) -> ListContributorInsightsResponse;
    list_exports(ListExportsRequest) -> ListExportsResponse;
    list_imports(ListImportsRequest) -> ListImportsResponse;
    list_bulk_operations(ListBulkOperationsRequest) -> ListBulkOperationsResponse;
    get_resource_policy(GetResourcePolicyRequest) -> GetResourcePolicyResponse;
    list_streams(ListStreamsRequest) -> ListStreamsResponse;
    describe_backup(DescribeBackupRequest) -> DescribeBackupResponse;
    describe_export(DescribeExportRequest) -> DescribeExportResponse;
    describe_import(DescribeImportRequest) -> DescribeImportResponse;
    describe_bulk_operation(DescribeBulkOperationRequest) -> DescribeBulkOperationResponse;
    describe_global_table(DescribeGlobalTableRequest) -> DescribeGlobalTableResponse;
    describe_global_table_settings(DescribeGlobalTableSettingsRequest) -> DescribeGlobalTableSettingsResponse;
    describe_stream(DescribeStreamRequest) -> DescribeStreamResponse;
}

/// Starts a server and says where. On a runtime of its own, so that it can die as a process does.
fn start(steps: impl IntoIterator<Item = Step>) -> (String, Script) {
    let script = Script { steps: Arc::new(Mutex::new(steps.into_iter().collect())), ..Script::default() };
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = script.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(listener.local_addr().expect("bound").to_string()).expect("the test listens");
            let dead = Arc::clone(&service.dead);
            let served = Server::builder()
                .add_service(DataServer::new(service))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                result = served => result.expect("serves"),
                () = dead.notified() => {}
            }
        });
        // The runtime ends here, and with it every connection.
    });
    (receiver.recv().expect("it starts"), script)
}

/// An address where nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

fn quick() -> Settings {
    Settings {
        deadline: Duration::from_secs(20),
        pause: Duration::from_micros(1),
        pause_max: Duration::from_millis(1),
        ..Settings::default()
    }
}

/// A status as the server makes them.
fn status(code: Code, exception: &str) -> Step {
    let details = ErrorDetails::with_error_info(exception, "trilith", std::collections::HashMap::new());
    Step::Fail(Status::with_error_details(code, "why", details))
}

fn unavailable() -> Step {
    status(Code::Unavailable, "ServiceUnavailable")
}

fn item() -> Map {
    Map::from([("id".to_owned(), "a".into())])
}

fn put() -> Put {
    Put::new("orders", item())
}

async fn failed(step: Step) -> (Error, usize) {
    let (address, script) = start([step]);
    let client = Client::connect_with([address], quick()).await.expect("connects");
    (client.put(put()).await.expect_err("fails"), script.calls())
}

#[tokio::test]
async fn what_was_not_done_is_tried_again() {
    let (address, script) = start([unavailable(), unavailable(), unavailable()]);
    let client = Client::connect_with([address], quick()).await.expect("connects");
    client.put(put()).await.expect("the fourth try");
    assert_eq!(script.calls(), 4);
}

#[tokio::test]
async fn what_may_have_been_done_is_not() {
    let (error, calls) = failed(status(Code::Internal, "InternalServerError")).await;
    assert_eq!((error.kind(), error.retry(), calls), (ErrorKind::Internal, Retry::OutcomeUnknown, 1));
    assert_eq!((error.exception(), error.message()), (Some("InternalServerError"), "why"));
    let (error, calls) = failed(Step::Die).await;
    assert_eq!(
        (error.kind(), error.retry(), calls),
        (ErrorKind::ConnectionLost, Retry::OutcomeUnknown, 1),
        "{error}"
    );
}

#[tokio::test]
async fn errors_say_what_can_be_done() {
    use ErrorKind::*;
    for (code, exception, kind, retry) in [
        (Code::InvalidArgument, "ValidationException", Validation, Retry::Pointless),
        (Code::FailedPrecondition, "ConditionalCheckFailedException", ConditionFailed, Retry::Pointless),
        (Code::FailedPrecondition, "ResourceInUseException", InUse, Retry::Pointless),
        (Code::NotFound, "ResourceNotFoundException", NotFound, Retry::Pointless),
        (Code::ResourceExhausted, "LimitExceededException", LimitExceeded, Retry::Pointless),
        (Code::ResourceExhausted, "ThrottlingException", LimitExceeded, Retry::Safe),
        (Code::Aborted, "TransactionConflictException", TransactionConflict, Retry::Safe),
        (Code::Unimplemented, "UnknownOperationException", Unsupported, Retry::Pointless),
    ] {
        let (error, calls) = failed(status(code, exception)).await;
        assert_eq!((error.kind(), error.retry(), calls), (kind, retry, 1), "{exception}");
    }
}

#[tokio::test]
async fn a_read_is_tried_again_when_its_connection_breaks() {
    let (first, dying) = start([Step::Die]);
    let (second, script) = start([]);
    let client = Client::connect_with([first, second], quick()).await.expect("connects");
    client.get(Get::new("orders", item())).await.expect("from the other node");
    assert_eq!((dying.calls(), script.calls()), (1, 1));
    client.put(put()).await.expect("stays with the node that serves");
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let (address, script) = start([]);
    let client = Client::connect_with([nowhere().await, address], quick()).await.expect("connects");
    client.put(put()).await.expect("on the second");
    assert_eq!(script.calls(), 1);
}

#[tokio::test]
async fn a_write_that_could_not_be_sent_goes_to_the_next_node() {
    let (address, script) = start([unavailable()]);
    let client = Client::connect_with([address, nowhere().await], quick()).await.expect("connects");
    client.put(put()).await.expect("from the first to the second and back");
    assert_eq!(script.calls(), 2);
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_so() {
    let error = Client::connect_with([nowhere().await], quick()).await.expect_err("nobody there");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    let error = Client::connect(Vec::<String>::new()).await.expect_err("no address");
    assert!(error.message().contains("no address"));
    let error = Client::connect(["not an address"]).await.expect_err("no address");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn the_deadline_ends_it() {
    let settings = || Settings { deadline: Duration::from_millis(30), ..quick() };
    let (address, script) = start([Step::Hang]);
    let client = Client::connect_with([address], settings()).await.expect("connects");
    let error = client.put(put()).await.expect_err("too late");
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::DeadlineExceeded, Retry::OutcomeUnknown),
        "{error}"
    );
    assert_eq!(script.calls(), 1);
    let (address, _) = start((0..100_000).map(|_| unavailable()));
    let client = Client::connect_with([address], settings()).await.expect("connects");
    let error = client.put(put()).await.expect_err("too late");
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::DeadlineExceeded), "{error}");
}

#[tokio::test]
async fn requests_hold_what_was_asked() {
    let (address, script) = start([]);
    let client = Client::connect([address]).await.expect("connects");
    let request = put()
        .condition("#i < :m")
        .name("#i", "id")
        .value(":m", Number::from_u64(7))
        .return_old()
        .return_item_on_failure()
        .report_capacity();
    client.put(request).await.expect("answered");
    let sent = script.puts.lock().expect("not poisoned").pop().expect("a put");
    assert_eq!((sent.table_name.as_str(), sent.condition_expression.as_deref()), ("orders", Some("#i < :m")));
    assert_eq!(sent.expression_attribute_names["#i"], "id");
    let value = attribute_value::Value::N("7".into());
    assert_eq!(sent.expression_attribute_values[":m"].value, Some(value));
    assert_eq!(sent.return_values(), ReturnValue::AllOld);
    assert_eq!(sent.return_consumed_capacity(), ReturnConsumedCapacity::Total);
    let on_failure = sent.return_values_on_condition_check_failure();
    assert_eq!(on_failure, ReturnValuesOnConditionCheckFailure::AllOld);
    client.update(Update::new("orders", item(), "SET a = :a").value(":a", true)).await.expect("answered");
    let page =
        client.query(Query::new("orders", "id = :i").value(":i", "a").limit(3)).await.expect("answered");
    assert_eq!(page.next(Query::new("orders", "id = :i")), None);
    let batch = BatchWrite::new().put("orders", item()).delete("orders", item());
    assert!(client.batch_write(batch).await.expect("answered").unprocessed.is_empty());
}

#[tokio::test]
async fn waits_for_a_table() {
    let (address, script) = start([]);
    let client = Client::connect([address]).await.expect("connects");
    let table = client.wait_until_active("orders").await.expect("active");
    assert_eq!((table.name.as_str(), table.status, script.calls()), ("orders", TableStatus::Active, 2));
}
