//! Calls as a front end makes them: an input is parsed, executed, and the output taken out of its variant.

use std::sync::Arc;

use trilith_domain::OpError;
use trilith_domain::ops::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use trilith_domain::ops::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use trilith_domain::ops::get_item::{GetItemInput, GetItemOutput};
use trilith_domain::ops::list_tables::{ListTablesInput, ListTablesOutput};
use trilith_domain::ops::list_tags_of_resource::{ListTagsOfResourceInput, ListTagsOfResourceOutput};
use trilith_domain::ops::*;

use super::{LocalCluster, caller, engine};
use crate::service::{Caller, Service};

/// A client of one node.
#[derive(Clone)]
pub struct Client {
    service: Arc<dyn Service>,
    caller: Option<Caller>,
}

/// One call: parse, execute, take out.
macro_rules! call {
    ($name:ident, $op:ident, $input:ty, $output:ty) => {
        #[doc = concat!("[`", stringify!($op), "`].")]
        ///
        /// # Errors
        /// The service's.
        pub async fn $name(&self, input: $input) -> Result<$output, OpError> {
            match self.execute($op::parse(input)?).await? {
                Output::$op(output) => Ok(output),
                other => panic!("{} was answered by {other:?}", stringify!($op)),
            }
        }
    };
}

impl Client {
    /// Of an engine on this node.
    pub fn of(node: &Arc<LocalCluster>) -> Self {
        Self::on(Arc::new(engine(node)))
    }

    /// Of whatever serves.
    pub fn on(service: Arc<dyn Service>) -> Self {
        Self { service, caller: None }
    }

    /// Whose requests are all made by this caller, until his deadline.
    pub fn with_caller(&self, caller: Caller) -> Self {
        Self { caller: Some(caller), ..self.clone() }
    }

    /// Executes an op that passed its checks.
    ///
    /// # Errors
    /// The service's.
    pub async fn execute(&self, op: impl Into<Op>) -> Result<Output, OpError> {
        let caller = self.caller.clone().unwrap_or_else(caller);
        self.service.execute(&caller, op.into()).await
    }

    call!(create_table, CreateTable, CreateTableInput, Box<TableDescription>);
    call!(describe_table, DescribeTable, DescribeTableInput, Box<TableDescription>);
    call!(list_tables, ListTables, ListTablesInput, ListTablesOutput);
    call!(delete_table, DeleteTable, DeleteTableInput, Box<TableDescription>);
    call!(update_table, UpdateTable, UpdateTableInput, Box<TableDescription>);
    call!(put_item, PutItem, PutItemInput, WriteOutput);
    call!(get_item, GetItem, GetItemInput, GetItemOutput);
    call!(update_item, UpdateItem, UpdateItemInput, WriteOutput);
    call!(delete_item, DeleteItem, DeleteItemInput, WriteOutput);
    call!(query, Query, QueryInput, PageOutput);
    call!(scan, Scan, ScanInput, PageOutput);
    call!(batch_get_item, BatchGetItem, BatchGetItemInput, BatchGetItemOutput);
    call!(batch_write_item, BatchWriteItem, BatchWriteItemInput, BatchWriteItemOutput);
    call!(execute_statement, ExecuteStatement, ExecuteStatementInput, ExecuteStatementOutput);
    call!(
        batch_execute_statement,
        BatchExecuteStatement,
        BatchExecuteStatementInput,
        BatchExecuteStatementOutput
    );
    call!(execute_transaction, ExecuteTransaction, ExecuteTransactionInput, ExecuteTransactionOutput);
    call!(transact_get_items, TransactGetItems, TransactGetItemsInput, TransactGetItemsOutput);
    call!(transact_write_items, TransactWriteItems, TransactWriteItemsInput, TransactWriteItemsOutput);
    call!(list_tags, ListTagsOfResource, ListTagsOfResourceInput, ListTagsOfResourceOutput);
}
