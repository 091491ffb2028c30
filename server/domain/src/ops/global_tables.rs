//! Global tables (of the 2017 version) and DescribeTableReplicaAutoScaling. A table lives in one region yet: no global
//! table is listed or found, and no table has replicas.

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

/// The only member of a request about one global table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalTableInput {
    /// `GlobalTableName`: a name, never an ARN.
    pub global_table_name: Option<String>,
}

impl GlobalTableInput {
    /// The name, checked.
    fn checked(self) -> Result<String, OpError> {
        let mut check = Constraints::new();
        check.required("globalTableName", self.global_table_name.as_ref());
        check.name("globalTableName", self.global_table_name.as_deref());
        check.finish()?;
        Ok(self.global_table_name.expect(CHECKED))
    }
}

/// The service's text is not known for certain: this one is of our own.
fn global_table_not_found(name: &str) -> OpError {
    OpError::GlobalTableNotFound(format!(
        "Global table not found: Global table with name: '{name}' does not exist."
    ))
}

/// What DescribeGlobalTable is asked.
pub type DescribeGlobalTableInput = GlobalTableInput;

/// DescribeGlobalTable, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeGlobalTable {
    /// The global table's name.
    pub global_table_name: String,
}

impl DescribeGlobalTable {
    /// Checks the name.
    pub fn parse(input: DescribeGlobalTableInput) -> Result<Self, OpError> {
        Ok(Self { global_table_name: input.checked()? })
    }

    /// The answer: `GlobalTableNotFoundException`, for a table of one region too.
    pub fn answer(&self) -> OpError {
        global_table_not_found(&self.global_table_name)
    }
}

/// What DescribeGlobalTableSettings is asked.
pub type DescribeGlobalTableSettingsInput = GlobalTableInput;

/// DescribeGlobalTableSettings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeGlobalTableSettings {
    /// The global table's name.
    pub global_table_name: String,
}

impl DescribeGlobalTableSettings {
    /// Checks the name.
    pub fn parse(input: DescribeGlobalTableSettingsInput) -> Result<Self, OpError> {
        Ok(Self { global_table_name: input.checked()? })
    }

    /// The answer: `GlobalTableNotFoundException`, for a table of one region too.
    pub fn answer(&self) -> OpError {
        global_table_not_found(&self.global_table_name)
    }
}
