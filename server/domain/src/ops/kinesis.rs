//! DescribeKinesisStreamingDestination. No table can have a destination yet, so the list is empty.

use super::TableRef;
use super::types::TableInput;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DescribeKinesisStreamingDestination is asked.
pub type DescribeKinesisStreamingDestinationInput = TableInput;

/// DescribeKinesisStreamingDestination, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeKinesisStreamingDestination {
    /// The table.
    pub table: TableRef,
}

/// What DescribeKinesisStreamingDestination answers; `KinesisDataStreamDestinations` is always empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeKinesisStreamingDestinationOutput {
    /// `TableName`.
    pub table_name: String,
}

impl DescribeKinesisStreamingDestination {
    /// Checks the table's name.
    pub fn parse(input: DescribeKinesisStreamingDestinationInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }

    /// The answer for a table that exists.
    pub fn answer(&self, record: &TableRecord) -> DescribeKinesisStreamingDestinationOutput {
        DescribeKinesisStreamingDestinationOutput { table_name: record.name.clone() }
    }
}
