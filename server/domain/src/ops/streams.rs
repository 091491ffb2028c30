//! ListStreams, of the streams service. No table can have a stream yet, so the list is empty.

use super::TableRef;
use crate::error::OpError;
use crate::validate::Constraints;

/// What ListStreams is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListStreamsInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ExclusiveStartStreamArn`.
    pub exclusive_start_stream_arn: Option<String>,
}

/// ListStreams, checked. The answer is an empty `Streams`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStreams {
    /// Of this table only. It need not exist.
    pub table: Option<TableRef>,
}

impl ListStreams {
    /// Checks the page's members.
    pub fn parse(input: ListStreamsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.optional_table("tableName", input.table_name.as_deref());
        check.at_least("limit", input.limit, 1);
        check.length("exclusiveStartStreamArn", input.exclusive_start_stream_arn.as_deref(), 37, 1024);
        check.finish()?;
        Ok(Self { table })
    }
}
