//! Calls as types: what a request is answered with, and whether it changes anything.

use std::future::Future;

use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use trilith_proto::data::v1::data_client::DataClient;
use trilith_proto::data::v1::*;

/// A request message that belongs to one call of the data service.
pub trait Rpc: Clone + Send + Sync + 'static {
    /// The call's answer.
    type Answer: Send;
    /// Whether the call changes nothing, so that making it twice does no harm.
    const READS: bool;

    /// Makes the call, once.
    fn send(
        client: DataClient<Channel>,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Answer>, Status>> + Send;
}

macro_rules! calls {
    ($($call:ident($request:ident) -> $answer:ident, reads $reads:literal;)*) => {$(
        impl Rpc for $request {
            type Answer = $answer;
            const READS: bool = $reads;

            async fn send(
                mut client: DataClient<Channel>,
                request: Request<Self>,
            ) -> Result<Response<$answer>, Status> {
                client.$call(request).await
            }
        }
    )*};
}

calls! {
    put_item(PutItemRequest) -> PutItemResponse, reads false;
    get_item(GetItemRequest) -> GetItemResponse, reads true;
    update_item(UpdateItemRequest) -> UpdateItemResponse, reads false;
    delete_item(DeleteItemRequest) -> DeleteItemResponse, reads false;
    query(QueryRequest) -> QueryResponse, reads true;
    scan(ScanRequest) -> ScanResponse, reads true;
    batch_get_item(BatchGetItemRequest) -> BatchGetItemResponse, reads true;
    batch_write_item(BatchWriteItemRequest) -> BatchWriteItemResponse, reads false;
    execute_statement(ExecuteStatementRequest) -> ExecuteStatementResponse, reads false;
    execute_transaction(ExecuteTransactionRequest) -> ExecuteTransactionResponse, reads false;
    create_table(CreateTableRequest) -> CreateTableResponse, reads false;
    describe_table(DescribeTableRequest) -> DescribeTableResponse, reads true;
    list_tables(ListTablesRequest) -> ListTablesResponse, reads true;
    delete_table(DeleteTableRequest) -> DeleteTableResponse, reads false;
    update_table(UpdateTableRequest) -> UpdateTableResponse, reads false;
}
