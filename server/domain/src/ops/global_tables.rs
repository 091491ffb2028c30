//! ListGlobalTables and DescribeTableReplicaAutoScaling. A table lives in one region yet: no global tables, no replicas.

use super::TableRef;
use super::types::TableInput;
use crate::catalog::{TableRecord, TableStatus};
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DescribeTableReplicaAutoScaling is asked.
pub type DescribeTableReplicaAutoScalingInput = TableInput;

/// DescribeTableReplicaAutoScaling, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTableReplicaAutoScaling {
    /// The table.
    pub table: TableRef,
}

/// What DescribeTableReplicaAutoScaling answers, as `TableAutoScalingDescription`; `Replicas` is always empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTableReplicaAutoScalingOutput {
    /// `TableName`.
    pub table_name: String,
    /// `TableStatus`.
    pub table_status: TableStatus,
}

impl DescribeTableReplicaAutoScaling {
    /// Checks the table's name.
    pub fn parse(input: DescribeTableReplicaAutoScalingInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }

    /// The answer for a table that exists.
    pub fn answer(&self, record: &TableRecord) -> DescribeTableReplicaAutoScalingOutput {
        DescribeTableReplicaAutoScalingOutput { table_name: record.name.clone(), table_status: record.status }
    }
}

/// What ListGlobalTables is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGlobalTablesInput {
    /// `ExclusiveStartGlobalTableName`.
    pub exclusive_start_global_table_name: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `RegionName`.
    pub region_name: Option<String>,
}

/// ListGlobalTables, checked. The answer is an empty `GlobalTables`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListGlobalTables;

impl ListGlobalTables {
    /// Checks the page's members.
    pub fn parse(input: ListGlobalTablesInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.name("exclusiveStartGlobalTableName", input.exclusive_start_global_table_name.as_deref());
        check.at_least("limit", input.limit, 1);
        check.finish()?;
        Ok(Self)
    }
}
