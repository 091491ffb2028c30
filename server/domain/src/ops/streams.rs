//! ListStreams and DescribeStream, of the streams service. No table can have a stream yet, so the list is empty and no
//! stream is found.

use super::TableRef;
use crate::arn::TableArn;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

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

/// `ShardFilterType`.
const SHARD_FILTER_TYPES: [(&str, ()); 1] = [("CHILD_SHARDS", ())];
/// Characters of a `ShardId`, least and most.
const SHARD_ID_LENGTH: (usize, usize) = (28, 65);

/// `ShardFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardFilterInput {
    /// `Type`.
    pub filter_type: Option<String>,
    /// `ShardId`.
    pub shard_id: Option<String>,
}

/// What DescribeStream is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeStreamInput {
    /// `StreamArn`.
    pub stream_arn: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ExclusiveStartShardId`.
    pub exclusive_start_shard_id: Option<String>,
    /// `ShardFilter`.
    pub shard_filter: Option<ShardFilterInput>,
}

/// DescribeStream, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeStream {
    /// The stream, as it was named. Which of its shards were asked for does not matter before there are any.
    pub stream_arn: String,
}

impl DescribeStream {
    /// Checks the members, and that the ARN can be a stream's.
    pub fn parse(input: DescribeStreamInput) -> Result<Self, OpError> {
        let (min, max) = SHARD_ID_LENGTH;
        let mut check = Constraints::new();
        check.long_arn("streamArn", input.stream_arn.as_deref());
        check.at_least("limit", input.limit, 1);
        check.length("exclusiveStartShardId", input.exclusive_start_shard_id.as_deref(), min, max);
        if let Some(filter) = &input.shard_filter {
            check.one_of("shardFilter.type", filter.filter_type.as_deref(), &SHARD_FILTER_TYPES);
            check.length("shardFilter.shardId", filter.shard_id.as_deref(), min, max);
        }
        check.finish()?;
        let stream_arn = input.stream_arn.expect(CHECKED);
        let below = TableArn::parse(&stream_arn).and_then(|arn| arn.below);
        if !below.is_some_and(|below| below.starts_with("stream/")) {
            return Err(OpError::validation("Invalid StreamArn"));
        }
        Ok(Self { stream_arn })
    }

    /// The answer: `ResourceNotFoundException`.
    pub fn answer(&self) -> OpError {
        OpError::ResourceNotFound(format!(
            "Requested resource not found: Stream: {} not found",
            self.stream_arn
        ))
    }
}
