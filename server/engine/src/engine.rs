//! The engine: one match from ops to what does them.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use trilith_cluster::Cluster;
use trilith_domain::OpError;
use trilith_domain::ops::{Op, Output};

use crate::entropy::Entropy;
use crate::lookup::{Refreshes, Target};
use crate::service::{Caller, Identity, Service};

/// Executes operations on a cluster.
pub struct Engine {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) refreshes: Refreshes,
    configured: Identity,
    fixed: OnceLock<Identity>,
}

impl Engine {
    /// On this cluster. `configured` is the identity to show until the catalog tells the one it was fixed at.
    pub fn new(cluster: Arc<dyn Cluster>, configured: Identity, entropy: Arc<dyn Entropy>) -> Self {
        Self { cluster, entropy, refreshes: Refreshes::default(), configured, fixed: OnceLock::new() }
    }

    /// The identity, as the catalog has it from the cluster's first start on.
    pub(crate) fn home(&self) -> &Identity {
        if let Some(fixed) = self.fixed.get() {
            return fixed;
        }
        match self.cluster.catalog().cluster() {
            Some(cluster) => self
                .fixed
                .get_or_init(|| Identity { region: cluster.region.clone(), account: cluster.account }),
            None => &self.configured,
        }
    }

    async fn run(&self, caller: &Caller, op: &Op) -> Result<Output, OpError> {
        let on = |table| Target { caller, op, table };
        Ok(match op {
            Op::CreateTable(create) => Output::CreateTable(self.create_table(caller, create).await?),
            Op::DescribeTable(describe) => {
                Output::DescribeTable(self.describe_table(on(&describe.table)).await?)
            }
            Op::ListTables(list) => Output::ListTables(self.list_tables(caller, list).await?),
            Op::DeleteTable(delete) => {
                Output::DeleteTable(self.delete_table(on(&delete.table), delete).await?)
            }
            Op::UpdateTable(update) => {
                Output::UpdateTable(self.update_table(on(&update.table), update).await?)
            }
            Op::PutItem(put) => {
                let reply = self.write(on(&put.table), |record| put.bind(record)).await?;
                Output::PutItem(put.shape(reply)?)
            }
            Op::UpdateItem(update) => {
                let reply = self.write(on(&update.table), |record| update.bind(record)).await?;
                Output::UpdateItem(update.shape(reply)?)
            }
            Op::DeleteItem(delete) => {
                let reply = self.write(on(&delete.table), |record| delete.bind(record)).await?;
                Output::DeleteItem(delete.shape(reply)?)
            }
            Op::GetItem(get) => {
                let target = on(&get.table);
                Output::GetItem(self.get_item(target, self.binding(target).await?, get).await?)
            }
            Op::Query(query) => {
                let target = on(&query.table);
                Output::Query(self.query(target, self.binding(target).await?, query).await?)
            }
            Op::Scan(scan) => {
                let target = on(&scan.table);
                Output::Scan(self.scan(target, self.binding(target).await?, scan).await?)
            }
            Op::SearchVectors(search) => {
                Output::SearchVectors(self.search_vectors(on(&search.table), search).await?)
            }
            Op::BatchGetItem(batch) => Output::BatchGetItem(self.batch_get(caller, op, batch).await?),
            Op::BatchWriteItem(batch) => Output::BatchWriteItem(self.batch_write(caller, op, batch).await?),
            Op::ExecuteStatement(execute) => {
                Output::ExecuteStatement(self.execute_statement(on(execute.table()), execute).await?)
            }
            Op::BatchExecuteStatement(batch) => {
                Output::BatchExecuteStatement(self.batch_execute_statement(caller, op, batch).await)
            }
            Op::ExecuteTransaction(execute) => {
                Output::ExecuteTransaction(self.execute_transaction(caller, op, execute).await?)
            }
            Op::TransactGetItems(transaction) => {
                Output::TransactGetItems(self.transact_get(caller, op, transaction).await?)
            }
            Op::TransactWriteItems(transaction) => {
                Output::TransactWriteItems(self.transact_write(caller, op, transaction).await?)
            }
            Op::TagResource(tag) => {
                self.tag(on(&tag.table), tag).await?;
                Output::TagResource
            }
            Op::UntagResource(untag) => {
                self.untag(on(&untag.table), untag).await?;
                Output::UntagResource
            }
            Op::ListTagsOfResource(list) => {
                Output::ListTagsOfResource(list.answer(&*self.newest_table(on(&list.table)).await?))
            }
            Op::DescribeLimits(describe) => Output::DescribeLimits(describe.answer()),
            Op::DescribeEndpoints(describe) => Output::DescribeEndpoints(describe.answer()),
            Op::DescribeTimeToLive(_)
            | Op::DescribeContinuousBackups(_)
            | Op::ListBackups(_)
            | Op::ListGlobalTables(_)
            | Op::DescribeTableReplicaAutoScaling(_)
            | Op::DescribeKinesisStreamingDestination(_)
            | Op::DescribeContributorInsights(_)
            | Op::ListContributorInsights(_)
            | Op::ListExports(_)
            | Op::ListImports(_)
            | Op::ListBulkOperations(_)
            | Op::GetResourcePolicy(_)
            | Op::ListStreams(_)
            | Op::DescribeBackup(_)
            | Op::DescribeExport(_)
            | Op::DescribeImport(_)
            | Op::DescribeBulkOperation(_)
            | Op::DescribeGlobalTable(_)
            | Op::DescribeGlobalTableSettings(_)
            | Op::DescribeStream(_) => self.absent_feature(caller, op).await?,
        })
    }
}

impl Service for Engine {
    fn execute<'a>(&'a self, caller: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>> {
        Box::pin(async move { self.run(caller, &op).await })
    }

    fn ready(&self) -> Result<(), String> {
        self.cluster.ready()
    }

    fn identity(&self) -> Identity {
        self.home().clone()
    }
}
