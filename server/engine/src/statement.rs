//! ExecuteStatement and BatchExecuteStatement: statements are lowered to the operations they stand for, which go their own ways.

use std::sync::Arc;

use futures::future::join_all;
use trilith_domain::OpError;
use trilith_domain::catalog::TableRecord;
use trilith_domain::ops::{
    BatchExecuteStatement, BatchExecuteStatementOutput, ExecuteStatement, ExecuteStatementOutput, Op,
};
use trilith_domain::partiql::lower::{Lowered, Place, Prepared};
use trilith_domain::partiql::reads::Read;

use crate::engine::Engine;
use crate::error;
use crate::lookup::{Binding, Target};
use crate::service::Caller;

impl Engine {
    /// ExecuteStatement.
    pub(crate) async fn execute_statement(
        &self,
        target: Target<'_>,
        execute: &ExecuteStatement,
    ) -> Result<ExecuteStatementOutput, OpError> {
        let record = self.statement_table(target, &execute.prepared).await?;
        let lowered = execute.lower(&record)?;
        self.lowered(target, record, &execute.prepared, lowered, execute.next_token.as_deref()).await
    }

    /// The table of a statement. What is wrong with the statement itself is told before that the table is not there.
    async fn statement_table(
        &self,
        target: Target<'_>,
        prepared: &Prepared,
    ) -> Result<Arc<TableRecord>, OpError> {
        self.data_table(target).await.map_err(|error| prepared.fault().unwrap_or(error))
    }

    /// BatchExecuteStatement. There are 25 statements at the most, each of which is about one item: all go at once.
    pub(crate) async fn batch_execute_statement(
        &self,
        caller: &Caller,
        op: &Op,
        batch: &BatchExecuteStatement,
    ) -> BatchExecuteStatementOutput {
        let statements = batch.statements.iter().map(|statement| async move {
            let prepared = statement.as_ref().map_err(OpError::clone)?;
            let target = Target { caller, op, table: &prepared.table };
            let record = self.statement_table(target, prepared).await?;
            let lowered = prepared.lower(&record, None, Place::Batch).map_err(OpError::from)?;
            self.lowered(target, record, prepared, lowered, None).await
        });
        batch.shape(join_all(statements).await)
    }

    /// Executes what a statement was lowered to for `record`.
    async fn lowered(
        &self,
        target: Target<'_>,
        record: Arc<TableRecord>,
        prepared: &Prepared,
        lowered: Lowered,
        token: Option<&str>,
    ) -> Result<ExecuteStatementOutput, OpError> {
        Ok(match lowered {
            Lowered::Put(put) => {
                let reply = self.write_to(target, record, |record| put.bind(record)).await?;
                // The only condition of an INSERT is that the item is not there.
                let written = put.shape(reply).map_err(|error| match error {
                    OpError::ConditionalCheckFailed { .. } => OpError::DuplicateItem,
                    other => other,
                })?;
                written.into()
            }
            Lowered::Update(update) => {
                let reply = self.write_to(target, record, |record| update.bind(record)).await?;
                update.shape(reply)?.into()
            }
            Lowered::Delete(delete) => {
                let reply = self.write_to(target, record, |record| delete.bind(record)).await?;
                delete.shape(reply)?.into()
            }
            Lowered::Check(..) => return Err(error::out_of_place("a condition outside of a transaction")),
            Lowered::Reads(reads) => {
                let mut run = reads.run(prepared, token)?;
                let binding = Binding::to(record);
                while let Some(read) = run.next_read() {
                    match read {
                        Read::Get(get) => run.take_item(self.get_item(target, binding.clone(), &get).await?),
                        Read::Query(query) => {
                            run.take_page(self.query(target, binding.clone(), &query).await?)
                        }
                        Read::Scan(scan) => run.take_page(self.scan(target, binding.clone(), &scan).await?),
                    }
                }
                run.finish().into()
            }
        })
    }
}
