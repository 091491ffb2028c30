//! The operations that exist here: one row each. No row, no service.
//!
//! A row says how the operation is called on the wire, how its body becomes a typed op (JSON, then the operation's own
//! `parse` with all checks that need no table), and which class its latency is counted under. Answers need no column:
//! [`Output`](trilith_domain::ops::Output) is closed and says by its variant how it is written
//! ([`encode`](crate::json::ops::encode)).
//!
//! [`names`] lists every operation of the service, those without a row too, so that a table of what works can be made
//! from the code.

pub mod names;

use trilith_domain::OpError;
use trilith_domain::ops::{
    BatchExecuteStatement, BatchGetItem, BatchWriteItem, CreateTable, DeleteItem, DeleteTable,
    DescribeBackup, DescribeBulkOperation, DescribeContinuousBackups, DescribeContributorInsights,
    DescribeEndpoints, DescribeEndpointsInput, DescribeExport, DescribeGlobalTable,
    DescribeGlobalTableSettings, DescribeImport, DescribeKinesisStreamingDestination, DescribeLimits,
    DescribeStream, DescribeTable, DescribeTableReplicaAutoScaling, DescribeTimeToLive, ExecuteStatement,
    ExecuteTransaction, GetItem, GetResourcePolicy, ListBackups, ListBulkOperations, ListContributorInsights,
    ListExports, ListGlobalTables, ListImports, ListStreams, ListTables, ListTagsOfResource, Op, PutItem,
    Query, Scan, SearchVectors, TagResource, TransactGetItems, TransactWriteItems, UntagResource, UpdateItem,
    UpdateTable,
};

use crate::json::ops::Nothing;
use crate::json::read::Reader;
use crate::json::shape::FromJson;

/// The two services, as `X-Amz-Target` prefixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `DynamoDB_20120810`.
    DynamoDb,
    /// `DynamoDBStreams_20120810`.
    Streams,
}

impl Target {
    /// What stands before the dot in `X-Amz-Target`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::DynamoDb => "DynamoDB_20120810",
            Self::Streams => "DynamoDBStreams_20120810",
        }
    }
}

/// What kind of work an operation is: metrics and logs group by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Reads or changes tables, tags, limits: the catalog.
    Control,
    /// Reads items.
    Read,
    /// Writes items.
    Write,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name, as the service has it.
    pub name: &'static str,
    /// The service it belongs to.
    pub target: Target,
    /// What kind of work it is.
    pub class: Class,
    /// A request body, and the host the client used, into a checked op.
    pub decode: fn(body: &[u8], host: Option<&str>) -> Result<Op, OpError>,
}

/// Every operation that works.
pub fn operations() -> &'static [Operation] {
    OPERATIONS
}

/// The operation that an `X-Amz-Target` names, if it works here.
pub fn find(target: &str) -> Option<&'static Operation> {
    let (prefix, name) = target.split_once('.')?;
    OPERATIONS.iter().find(|row| row.name == name && row.target.prefix() == prefix)
}

/// A body as one shape, and nothing behind it.
fn read<T: FromJson>(body: &[u8]) -> Result<T, OpError> {
    let mut reader = Reader::new(body)?;
    let shape = T::from_json(&mut reader)?;
    reader.finish()?;
    Ok(shape)
}

/// A row whose op is read from its input and parsed: `(variant) target class`.
macro_rules! row {
    ($name:ident, $target:ident, $class:ident) => {
        row!($name, $target, $class, |body, _| $name::parse(read(body)?).map(Op::$name))
    };
    ($name:ident, $target:ident, $class:ident, $decode:expr) => {
        Operation { name: stringify!($name), target: Target::$target, class: Class::$class, decode: $decode }
    };
}

static OPERATIONS: &[Operation] = &[
    row!(GetItem, DynamoDb, Read),
    row!(PutItem, DynamoDb, Write),
    row!(UpdateItem, DynamoDb, Write),
    row!(DeleteItem, DynamoDb, Write),
    row!(Query, DynamoDb, Read, |body, _| Query::parse(read(body)?).map(|op| Op::Query(Box::new(op)))),
    row!(Scan, DynamoDb, Read),
    row!(SearchVectors, DynamoDb, Read, |body, _| {
        SearchVectors::parse(read(body)?).map(|op| Op::SearchVectors(Box::new(op)))
    }),
    row!(BatchGetItem, DynamoDb, Read),
    row!(BatchWriteItem, DynamoDb, Write),
    // A statement may do either; it is counted as the heavier.
    row!(ExecuteStatement, DynamoDb, Write, |body, _| {
        ExecuteStatement::parse(read(body)?).map(|op| Op::ExecuteStatement(Box::new(op)))
    }),
    row!(BatchExecuteStatement, DynamoDb, Write),
    row!(ExecuteTransaction, DynamoDb, Write),
    row!(TransactGetItems, DynamoDb, Read),
    row!(TransactWriteItems, DynamoDb, Write),
    row!(CreateTable, DynamoDb, Control, |body, _| {
        CreateTable::parse(read(body)?).map(|op| Op::CreateTable(Box::new(op)))
    }),
    row!(DescribeTable, DynamoDb, Control),
    row!(ListTables, DynamoDb, Control),
    row!(DeleteTable, DynamoDb, Control),
    row!(UpdateTable, DynamoDb, Control),
    row!(TagResource, DynamoDb, Control),
    row!(UntagResource, DynamoDb, Control),
    row!(ListTagsOfResource, DynamoDb, Control),
    row!(DescribeLimits, DynamoDb, Control, |body, _| {
        read::<Nothing>(body)?;
        Ok(Op::DescribeLimits(DescribeLimits))
    }),
    row!(DescribeEndpoints, DynamoDb, Control, |body, host| {
        read::<Nothing>(body)?;
        let input = DescribeEndpointsInput { host: host.map(str::to_owned) };
        Ok(Op::DescribeEndpoints(DescribeEndpoints::parse(input)))
    }),
    row!(DescribeTimeToLive, DynamoDb, Control),
    row!(DescribeContinuousBackups, DynamoDb, Control),
    row!(ListBackups, DynamoDb, Control),
    row!(ListGlobalTables, DynamoDb, Control),
    row!(DescribeTableReplicaAutoScaling, DynamoDb, Control),
    row!(DescribeKinesisStreamingDestination, DynamoDb, Control),
    row!(DescribeContributorInsights, DynamoDb, Control),
    row!(ListContributorInsights, DynamoDb, Control),
    row!(ListExports, DynamoDb, Control),
    row!(ListImports, DynamoDb, Control),
    row!(ListBulkOperations, DynamoDb, Control),
    row!(GetResourcePolicy, DynamoDb, Control),
    row!(DescribeBackup, DynamoDb, Control),
    row!(DescribeExport, DynamoDb, Control),
    row!(DescribeImport, DynamoDb, Control),
    row!(DescribeBulkOperation, DynamoDb, Control),
    row!(DescribeGlobalTable, DynamoDb, Control),
    row!(DescribeGlobalTableSettings, DynamoDb, Control),
    row!(ListStreams, Streams, Control),
    row!(DescribeStream, Streams, Control),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_operation_of_the_service_and_stands_once() {
        for (i, row) in operations().iter().enumerate() {
            assert!(names::SERVICE.contains(&(row.target, row.name)), "{}", row.name);
            assert!(!operations()[..i].iter().any(|other| other.name == row.name), "{}", row.name);
        }
    }

    #[test]
    fn targets_name_operations_of_their_own_service_only() {
        assert_eq!(find("DynamoDB_20120810.GetItem").map(|row| row.name), Some("GetItem"));
        assert_eq!(find("DynamoDBStreams_20120810.ListStreams").map(|row| row.name), Some("ListStreams"));
        for target in [
            "",
            "GetItem",
            ".GetItem",
            "DynamoDB_20120810.",
            "DynamoDB_20120810.getitem",
            "DynamoDB_20111205.GetItem",
            "DynamoDB_20120810.ListStreams",
            "DynamoDBStreams_20120810.GetItem",
        ] {
            assert!(find(target).is_none(), "{target}");
        }
    }
}
