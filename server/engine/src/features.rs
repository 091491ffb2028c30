//! The Describe and List calls of features that are not built: they tell the truth, which is "none".
//!
//! Each checks that the table it names exists, where the service does, and answers what the domain says of a table
//! without the feature. What only a feature could have made (a backup, a stream) is not found.

use trilith_domain::OpError;
use trilith_domain::ops::{Op, Output};

use crate::engine::Engine;
use crate::error;
use crate::lookup::Target;
use crate::service::Caller;

impl Engine {
    /// Answers an op about a feature that no table has.
    pub(crate) async fn absent_feature(&self, caller: &Caller, op: &Op) -> Result<Output, OpError> {
        let on = |table| Target { caller, op, table };
        Ok(match op {
            Op::DescribeTimeToLive(describe) => {
                self.known_table(on(&describe.table)).await?;
                Output::DescribeTimeToLive(describe.answer())
            }
            Op::DescribeContinuousBackups(describe) => {
                self.known_table(on(&describe.table)).await?;
                Output::DescribeContinuousBackups(describe.answer())
            }
            Op::DescribeTableReplicaAutoScaling(describe) => {
                let record = self.known_table(on(&describe.table)).await?;
                Output::DescribeTableReplicaAutoScaling(describe.answer(&record))
            }
            Op::DescribeKinesisStreamingDestination(describe) => {
                let record = self.known_table(on(&describe.table)).await?;
                Output::DescribeKinesisStreamingDestination(describe.answer(&record))
            }
            Op::DescribeContributorInsights(describe) => {
                let record = self.known_table(on(&describe.table)).await?;
                Output::DescribeContributorInsights(describe.answer(&record)?)
            }
            Op::ListContributorInsights(list) => {
                if let Some(table) = &list.table {
                    self.known_table(on(table)).await?;
                }
                Output::ListContributorInsights
            }
            Op::GetResourcePolicy(get) => {
                self.known_table(on(&get.table)).await?;
                return Err(get.answer());
            }
            Op::DescribeBackup(describe) => return Err(describe.answer()),
            Op::DescribeExport(describe) => return Err(describe.answer()),
            Op::DescribeImport(describe) => return Err(describe.answer()),
            Op::DescribeBulkOperation(describe) => return Err(describe.answer()),
            Op::DescribeGlobalTable(describe) => return Err(describe.answer()),
            Op::DescribeGlobalTableSettings(describe) => return Err(describe.answer()),
            Op::DescribeStream(describe) => return Err(describe.answer()),
            Op::ListBackups(_) => Output::ListBackups,
            Op::ListGlobalTables(_) => Output::ListGlobalTables,
            Op::ListExports(_) => Output::ListExports,
            Op::ListImports(_) => Output::ListImports,
            Op::ListBulkOperations(_) => Output::ListBulkOperations,
            Op::ListStreams(_) => Output::ListStreams,
            built => return Err(error::out_of_place(built.name())),
        })
    }
}

#[cfg(test)]
mod tests;
