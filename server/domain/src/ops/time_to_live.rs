//! DescribeTimeToLive. No table can have a time to live yet, so the truth is `DISABLED`.

use super::TableRef;
use super::types::TableInput;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DescribeTimeToLive is asked.
pub type DescribeTimeToLiveInput = TableInput;

/// DescribeTimeToLive, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTimeToLive {
    /// The table.
    pub table: TableRef,
}

/// What DescribeTimeToLive answers, as `TimeToLiveDescription`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTimeToLiveOutput {
    /// `TimeToLiveStatus`.
    pub time_to_live_status: &'static str,
    /// `AttributeName`, where one is set.
    pub attribute_name: Option<String>,
}

impl DescribeTimeToLive {
    /// Checks the table's name.
    pub fn parse(input: DescribeTimeToLiveInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }

    /// The answer for a table that exists.
    pub fn answer(&self) -> DescribeTimeToLiveOutput {
        DescribeTimeToLiveOutput { time_to_live_status: "DISABLED", attribute_name: None }
    }
}
