//! ExecuteTransaction: statements are lowered to a transaction of reads or of writes, which goes its own way. Their tables are
//! looked up once for both.

use trilith_domain::OpError;
use trilith_domain::ops::execute_transaction::LoweredTransaction;
use trilith_domain::ops::{ExecuteTransaction, ExecuteTransactionOutput, Op};

use super::Tables;
use crate::engine::Engine;
use crate::service::Caller;

impl Engine {
    /// ExecuteTransaction.
    pub(crate) async fn execute_transaction(
        &self,
        caller: &Caller,
        op: &Op,
        execute: &ExecuteTransaction,
    ) -> Result<ExecuteTransactionOutput, OpError> {
        // A table that is not there is a reason to cancel.
        let mut tables = Tables::look_up_existing(self, caller, op, execute.tables()).await?;
        match execute.lower(|table| tables.get(table).map(|record| &**record))? {
            LoweredTransaction::Reads(reads) => {
                self.transact_get_in(caller, &mut tables, &reads).await.map(|got| execute.shape_reads(got))
            }
            LoweredTransaction::Writes(writes) => {
                let written = self.transact_write_in(caller, &mut tables, &writes).await;
                written.map(|written| execute.shape_writes(written)).map_err(|error| execute.error(error))
            }
        }
    }
}
