//! ExecuteStatement and BatchExecuteStatement: statements are lowered to the operations they stand for, which go their own ways.

use futures::future::join_all;
use trilith_domain::OpError;
use trilith_domain::ops::{
    BatchExecuteStatement, BatchExecuteStatementOutput, ExecuteStatement, ExecuteStatementOutput, Op,
};
use trilith_domain::partiql::lower::{Lowered, Place, Prepared};
use trilith_domain::partiql::reads::Read;

use crate::engine::Engine;
use crate::error;
use crate::lookup::Target;
use crate::service::Caller;

impl Engine {
    /// ExecuteStatement.
    pub(crate) async fn execute_statement(
        &self,
        target: Target<'_>,
        execute: &ExecuteStatement,
    ) -> Result<ExecuteStatementOutput, OpError> {
        let record = self.data_table(target).await?;
        let lowered = execute.lower(&record)?;
        self.lowered(target, &execute.prepared, lowered, execute.next_token.as_deref()).await
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
            let record = self.data_table(target).await?;
            let lowered = prepared.lower(&record, None, Place::Batch).map_err(OpError::from)?;
            self.lowered(target, prepared, lowered, None).await
        });
        batch.shape(join_all(statements).await)
    }

    /// Executes what a statement was lowered to.
    async fn lowered(
        &self,
        target: Target<'_>,
        prepared: &Prepared,
        lowered: Lowered,
        token: Option<&str>,
    ) -> Result<ExecuteStatementOutput, OpError> {
        Ok(match lowered {
            Lowered::Put(put) => {
                let reply = self.write(target, |record| put.bind(record)).await?;
                // The only condition of an INSERT is that the item is not there.
                let written = put.shape(reply).map_err(|error| match error {
                    OpError::ConditionalCheckFailed { .. } => OpError::DuplicateItem,
                    other => other,
                })?;
                written.into()
            }
            Lowered::Update(update) => {
                let reply = self.write(target, |record| update.bind(record)).await?;
                update.shape(reply)?.into()
            }
            Lowered::Delete(delete) => {
                let reply = self.write(target, |record| delete.bind(record)).await?;
                delete.shape(reply)?.into()
            }
            Lowered::Check(..) => return Err(error::out_of_place("a condition outside of a transaction")),
            Lowered::Reads(reads) => {
                let mut run = reads.run(prepared, token)?;
                while let Some(read) = run.next_read() {
                    match read {
                        Read::Get(get) => run.take_item(self.get_item(target, &get).await?),
                        Read::Query(query) => run.take_page(self.query(target, &query).await?),
                        Read::Scan(scan) => run.take_page(self.scan(target, &scan).await?),
                    }
                }
                run.finish().into()
            }
        })
    }
}
