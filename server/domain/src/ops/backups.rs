//! DescribeContinuousBackups, ListBackups and DescribeBackup. Nothing is backed up yet: the truth is `DISABLED`, an empty
//! list and "not found".

use super::TableRef;
use super::types::TableInput;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DescribeContinuousBackups is asked.
pub type DescribeContinuousBackupsInput = TableInput;

/// DescribeContinuousBackups, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeContinuousBackups {
    /// The table.
    pub table: TableRef,
}

/// What DescribeContinuousBackups answers, as `ContinuousBackupsDescription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeContinuousBackupsOutput {
    /// `ContinuousBackupsStatus`: the service says `ENABLED` for every table.
    pub continuous_backups_status: &'static str,
    /// `PointInTimeRecoveryDescription.PointInTimeRecoveryStatus`.
    pub point_in_time_recovery_status: &'static str,
}

impl DescribeContinuousBackups {
    /// Checks the table's name.
    pub fn parse(input: DescribeContinuousBackupsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }

    /// The answer for a table that exists.
    pub fn answer(&self) -> DescribeContinuousBackupsOutput {
        DescribeContinuousBackupsOutput {
            continuous_backups_status: "ENABLED",
            point_in_time_recovery_status: "DISABLED",
        }
    }
}

/// `BackupTypeFilter`. All find the same: nothing.
const BACKUP_TYPES: [(&str, ()); 4] = [("USER", ()), ("SYSTEM", ()), ("AWS_BACKUP", ()), ("ALL", ())];

/// What ListBackups is asked. The time range is not checked: there is nothing it could select.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListBackupsInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ExclusiveStartBackupArn`.
    pub exclusive_start_backup_arn: Option<String>,
    /// `BackupType`.
    pub backup_type: Option<String>,
}

/// ListBackups, checked. The answer is an empty `BackupSummaries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListBackups {
    /// Of this table only. It need not exist.
    pub table: Option<TableRef>,
}

impl ListBackups {
    /// Checks the page's members.
    pub fn parse(input: ListBackupsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.optional_table("tableName", input.table_name.as_deref());
        check.range("limit", input.limit, 1, 100);
        check.length("exclusiveStartBackupArn", input.exclusive_start_backup_arn.as_deref(), 37, 1024);
        check.one_of("backupType", input.backup_type.as_deref(), &BACKUP_TYPES);
        check.finish()?;
        Ok(Self { table })
    }
}

/// What DescribeBackup is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeBackupInput {
    /// `BackupArn`.
    pub backup_arn: Option<String>,
}

/// DescribeBackup, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeBackup {
    /// The backup, as it was named.
    pub backup_arn: String,
}

impl DescribeBackup {
    /// Checks the ARN's length: nothing else tells the ARN of a backup from any other that finds none.
    pub fn parse(input: DescribeBackupInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.long_arn("backupArn", input.backup_arn.as_deref());
        check.finish()?;
        Ok(Self { backup_arn: input.backup_arn.expect(CHECKED) })
    }

    /// The answer: `BackupNotFoundException` (contract 14.2).
    pub fn answer(&self) -> OpError {
        OpError::BackupNotFound(format!("Backup not found: {}", self.backup_arn))
    }
}
