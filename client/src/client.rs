//! The client.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trilith_proto::data::v1 as proto;

use crate::connection::{Nodes, Settings};
use crate::convert::item_in;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::items::{BatchGet, BatchGot, BatchWrite, BatchWritten, Delete, Get, Got, Put, Update, Written};
use crate::pages::{Page, Query, Scan};
use crate::statements::{Rows, Statement};
use crate::tables::{CreateTable, Table, TableNames, TableStatus, UpdateTable};

/// How often a table that is being made is asked for.
const POLL: Duration = Duration::from_millis(50);

/// A way to the tables of a cluster. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    nodes: Arc<Nodes>,
    deadline: Duration,
}

impl Client {
    /// A client of the nodes at these addresses (`host:port` of their gRPC listeners), with default settings.
    ///
    /// # Errors
    /// If an address is none, or no node can be reached.
    pub async fn connect<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Result<Self> {
        Self::connect_with(addresses, Settings::default()).await
    }

    /// Likewise, with settings of one's own.
    ///
    /// # Errors
    /// If an address is none, or no node can be reached.
    pub async fn connect_with<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
        settings: Settings,
    ) -> Result<Self> {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Ok(Self { nodes: Nodes::connect(addresses, &settings).await?, deadline: settings.deadline })
    }

    /// Writes a whole item.
    pub async fn put(&self, put: Put) -> Result<Written> {
        let answer = self.nodes.call(put.message()).await?;
        Written::of(answer.attributes, answer.consumed_capacity)
    }

    /// Reads one item by its key.
    pub async fn get(&self, get: Get) -> Result<Got> {
        Got::of(self.nodes.call(get.message()).await?)
    }

    /// Changes attributes of one item.
    pub async fn update(&self, update: Update) -> Result<Written> {
        let answer = self.nodes.call(update.message()).await?;
        Written::of(answer.attributes, answer.consumed_capacity)
    }

    /// Deletes one item.
    pub async fn delete(&self, delete: Delete) -> Result<Written> {
        let answer = self.nodes.call(delete.message()).await?;
        Written::of(answer.attributes, answer.consumed_capacity)
    }

    /// Reads a page of one partition.
    pub async fn query(&self, query: Query) -> Result<Page> {
        Page::of_query(self.nodes.call(query.message()).await?)
    }

    /// Reads a page of a table.
    pub async fn scan(&self, scan: Scan) -> Result<Page> {
        Page::of_scan(self.nodes.call(scan.message()).await?)
    }

    /// Reads many items by key.
    pub async fn batch_get(&self, batch: BatchGet) -> Result<BatchGot> {
        let consistent = batch.is_consistent();
        BatchGot::of(self.nodes.call(batch.message()).await?, consistent)
    }

    /// Writes many items.
    pub async fn batch_write(&self, batch: BatchWrite) -> Result<BatchWritten> {
        BatchWritten::of(self.nodes.call(batch.message()).await?)
    }

    /// Executes a PartiQL statement. Whether it reads is for the server to tell, so it is never made twice in doubt.
    pub async fn execute(&self, statement: Statement) -> Result<Rows> {
        Rows::of(self.nodes.call(statement.message()).await?)
    }

    /// Executes PartiQL statements together or not at all: reads of one item each, or writes and conditions (`EXISTS`).
    /// Answers the items of reads. Options of single statements mean nothing here.
    pub async fn execute_together(
        &self,
        statements: impl IntoIterator<Item = Statement>,
    ) -> Result<Vec<Option<trilith_values::Item>>> {
        let transact_statements = statements.into_iter().map(Statement::of_transaction).collect();
        let request = proto::ExecuteTransactionRequest { transact_statements, ..Default::default() };
        let answer = self.nodes.call(request).await?;
        answer.responses.into_iter().map(|found| found.item.map(item_in).transpose()).collect()
    }

    /// Creates a table. It is usable once it is active: see [`Client::wait_until_active`].
    pub async fn create_table(&self, create: CreateTable) -> Result<Table> {
        Table::of(self.nodes.call(create.message()).await?.table_description)
    }

    /// A table's state and counters.
    pub async fn describe_table(&self, table: impl Into<String>) -> Result<Table> {
        let request = proto::DescribeTableRequest { table_name: table.into() };
        Table::of(self.nodes.call(request).await?.table)
    }

    /// Waits until a table is active, at most until the deadline of one call.
    ///
    /// # Errors
    /// [`ErrorKind::DeadlineExceeded`] if it is not active by then; [`ErrorKind::NotFound`] if it is being deleted or
    /// does not exist.
    pub async fn wait_until_active(&self, table: impl Into<String>) -> Result<Table> {
        let name = table.into();
        let deadline = Instant::now() + self.deadline;
        loop {
            let table = self.describe_table(name.as_str()).await?;
            match table.status {
                TableStatus::Active | TableStatus::Updating => return Ok(table),
                TableStatus::Deleting => {
                    let text = format!("table {name} is being deleted");
                    return Err(Error::new(ErrorKind::NotFound, Retry::Pointless, text));
                }
                TableStatus::Creating | TableStatus::Unknown if Instant::now() + POLL < deadline => {
                    sleep(POLL).await;
                }
                TableStatus::Creating | TableStatus::Unknown => {
                    let text = format!("table {name} is not active yet");
                    return Err(Error::new(ErrorKind::DeadlineExceeded, Retry::Safe, text));
                }
            }
        }
    }

    /// Names of tables, from behind `start_after` on.
    pub async fn list_tables(&self, start_after: Option<String>) -> Result<TableNames> {
        let request = proto::ListTablesRequest { exclusive_start_table_name: start_after, limit: None };
        let answer = self.nodes.call(request).await?;
        Ok(TableNames { names: answer.table_names, last: answer.last_evaluated_table_name })
    }

    /// Changes a table's settings.
    pub async fn update_table(&self, update: UpdateTable) -> Result<Table> {
        Table::of(self.nodes.call(update.message()).await?.table_description)
    }

    /// Drops a table and its items.
    pub async fn delete_table(&self, table: impl Into<String>) -> Result<Table> {
        let request = proto::DeleteTableRequest { table_name: table.into() };
        Table::of(self.nodes.call(request).await?.table_description)
    }
}
