//! What an operation touches: its name, the tables it needs, and how it says that one of them is not there.

use super::*;
use crate::error::OpError;
use crate::partiql::lower::Prepared;

/// One thing that an operation does to one resource: what a policy allows or denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// The action, without its `dynamodb:` prefix.
    pub action: &'static str,
    /// On what.
    pub resource: Resource<'a>,
}

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// No resource in particular.
    Any,
    /// A table.
    Table(&'a TableRef),
}

impl Op {
    /// The operation's name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateTable(_) => "CreateTable",
            Self::DescribeTable(_) => "DescribeTable",
            Self::ListTables(_) => "ListTables",
            Self::DeleteTable(_) => "DeleteTable",
            Self::UpdateTable(_) => "UpdateTable",
            Self::PutItem(_) => "PutItem",
            Self::GetItem(_) => "GetItem",
            Self::UpdateItem(_) => "UpdateItem",
            Self::DeleteItem(_) => "DeleteItem",
            Self::Query(_) => "Query",
            Self::Scan(_) => "Scan",
            Self::SearchVectors(_) => "SearchVectors",
            Self::BatchGetItem(_) => "BatchGetItem",
            Self::BatchWriteItem(_) => "BatchWriteItem",
            Self::ExecuteStatement(_) => "ExecuteStatement",
            Self::BatchExecuteStatement(_) => "BatchExecuteStatement",
            Self::ExecuteTransaction(_) => "ExecuteTransaction",
            Self::TransactGetItems(_) => "TransactGetItems",
            Self::TransactWriteItems(_) => "TransactWriteItems",
            Self::TagResource(_) => "TagResource",
            Self::UntagResource(_) => "UntagResource",
            Self::ListTagsOfResource(_) => "ListTagsOfResource",
            Self::DescribeLimits(_) => "DescribeLimits",
            Self::DescribeEndpoints(_) => "DescribeEndpoints",
            Self::DescribeTimeToLive(_) => "DescribeTimeToLive",
            Self::DescribeContinuousBackups(_) => "DescribeContinuousBackups",
            Self::ListBackups(_) => "ListBackups",
            Self::ListGlobalTables(_) => "ListGlobalTables",
            Self::DescribeTableReplicaAutoScaling(_) => "DescribeTableReplicaAutoScaling",
            Self::DescribeKinesisStreamingDestination(_) => "DescribeKinesisStreamingDestination",
            Self::DescribeContributorInsights(_) => "DescribeContributorInsights",
            Self::ListContributorInsights(_) => "ListContributorInsights",
            Self::ListExports(_) => "ListExports",
            Self::ListImports(_) => "ListImports",
            Self::ListBulkOperations(_) => "ListBulkOperations",
            Self::GetResourcePolicy(_) => "GetResourcePolicy",
            Self::ListStreams(_) => "ListStreams",
            Self::DescribeBackup(_) => "DescribeBackup",
            Self::DescribeExport(_) => "DescribeExport",
            Self::DescribeImport(_) => "DescribeImport",
            Self::DescribeBulkOperation(_) => "DescribeBulkOperation",
            Self::DescribeGlobalTable(_) => "DescribeGlobalTable",
            Self::DescribeGlobalTableSettings(_) => "DescribeGlobalTableSettings",
            Self::DescribeStream(_) => "DescribeStream",
        }
    }

    /// The tables that the request names, in order; one for most operations, none for some, several for batches.
    pub fn tables(&self) -> Vec<&TableRef> {
        match self {
            Self::CreateTable(op) => vec![&op.table],
            Self::DescribeTable(op) => vec![&op.table],
            Self::DeleteTable(op) => vec![&op.table],
            Self::UpdateTable(op) => vec![&op.table],
            Self::PutItem(op) => vec![&op.table],
            Self::GetItem(op) => vec![&op.table],
            Self::UpdateItem(op) => vec![&op.table],
            Self::DeleteItem(op) => vec![&op.table],
            Self::Query(op) => vec![&op.table],
            Self::Scan(op) => vec![&op.table],
            Self::SearchVectors(op) => vec![&op.table],
            Self::BatchGetItem(op) => op.tables.iter().map(|part| &part.table).collect(),
            Self::BatchWriteItem(op) => op.tables.iter().map(|part| &part.table).collect(),
            Self::ExecuteStatement(op) => vec![op.table()],
            Self::BatchExecuteStatement(op) => op.tables(),
            Self::ExecuteTransaction(op) => op.tables().collect(),
            Self::TransactGetItems(op) => op.gets.iter().map(|get| &get.table).collect(),
            Self::TransactWriteItems(op) => op.actions.iter().map(|action| &action.table).collect(),
            Self::TagResource(op) => vec![&op.table],
            Self::UntagResource(op) => vec![&op.table],
            Self::ListTagsOfResource(op) => vec![&op.table],
            Self::DescribeTimeToLive(op) => vec![&op.table],
            Self::DescribeContinuousBackups(op) => vec![&op.table],
            Self::DescribeTableReplicaAutoScaling(op) => vec![&op.table],
            Self::DescribeKinesisStreamingDestination(op) => vec![&op.table],
            Self::DescribeContributorInsights(op) => vec![&op.table],
            Self::GetResourcePolicy(op) => vec![&op.table],
            Self::ListBackups(op) => op.table.iter().collect(),
            Self::ListContributorInsights(op) => op.table.iter().collect(),
            Self::ListStreams(op) => op.table.iter().collect(),
            Self::ListTables(_)
            | Self::DescribeLimits(_)
            | Self::DescribeEndpoints(_)
            | Self::ListGlobalTables(_)
            | Self::ListExports(_)
            | Self::ListImports(_)
            | Self::ListBulkOperations(_)
            | Self::DescribeBackup(_)
            | Self::DescribeExport(_)
            | Self::DescribeImport(_)
            | Self::DescribeBulkOperation(_)
            | Self::DescribeGlobalTable(_)
            | Self::DescribeGlobalTableSettings(_)
            | Self::DescribeStream(_) => Vec::new(),
        }
    }

    /// What the operation does to what (contract 16.2): the action of its own name on each of its tables, and
    /// `TagResource` too where CreateTable brings tags. Listings have no resource, and what cannot exist yet is
    /// none.
    pub fn access(&self) -> Vec<Access<'_>> {
        if let Self::TransactWriteItems(op) = self {
            return op.access();
        }
        if let Self::TransactGetItems(op) = self {
            let get = |table| Access { action: "GetItem", resource: Resource::Table(table) };
            return op.gets.iter().map(|one| get(&one.table)).collect();
        }
        let action = self.name();
        let listing =
            matches!(self, Self::ListBackups(_) | Self::ListContributorInsights(_) | Self::ListStreams(_));
        let tables = if listing { Vec::new() } else { self.tables() };
        let on = |table| Access { action, resource: Resource::Table(table) };
        let mut access: Vec<_> = match self {
            // A statement is allowed by what it does.
            Self::ExecuteStatement(op) => vec![op.prepared.access()],
            Self::BatchExecuteStatement(op) => op.statements.iter().flatten().map(Prepared::access).collect(),
            Self::ExecuteTransaction(op) => op.statements.iter().map(Prepared::access).collect(),
            _ => tables.into_iter().map(on).collect(),
        };
        if access.is_empty() {
            access.push(Access { action, resource: Resource::Any });
        }
        if let Self::CreateTable(op) = self
            && !op.tags.is_empty()
        {
            access.push(Access { action: "TagResource", resource: Resource::Table(&op.table) });
        }
        access
    }

    /// The answer where a table that the operation needs is not there (contract 14.2).
    pub fn table_missing(&self, table: &TableRef) -> OpError {
        match self {
            Self::PutItem(_)
            | Self::GetItem(_)
            | Self::UpdateItem(_)
            | Self::DeleteItem(_)
            | Self::Query(_)
            | Self::Scan(_)
            | Self::SearchVectors(_)
            | Self::BatchGetItem(_)
            | Self::BatchWriteItem(_)
            | Self::ExecuteStatement(_)
            | Self::BatchExecuteStatement(_)
            | Self::ExecuteTransaction(_)
            | Self::TransactGetItems(_)
            | Self::TransactWriteItems(_) => {
                OpError::ResourceNotFound("Requested resource not found".to_owned())
            }
            Self::TagResource(_)
            | Self::UntagResource(_)
            | Self::ListTagsOfResource(_)
            | Self::GetResourcePolicy(_) => tags::resource_not_found(table),
            Self::DescribeContinuousBackups(_) | Self::ListBackups(_) => {
                OpError::TableNotFound(format!("Table not found: {}", table.name()))
            }
            Self::CreateTable(_)
            | Self::DescribeTable(_)
            | Self::ListTables(_)
            | Self::DeleteTable(_)
            | Self::UpdateTable(_)
            | Self::DescribeLimits(_)
            | Self::DescribeEndpoints(_)
            | Self::DescribeTimeToLive(_)
            | Self::ListGlobalTables(_)
            | Self::DescribeTableReplicaAutoScaling(_)
            | Self::DescribeKinesisStreamingDestination(_)
            | Self::DescribeContributorInsights(_)
            | Self::ListContributorInsights(_)
            | Self::ListExports(_)
            | Self::ListImports(_)
            | Self::ListBulkOperations(_)
            | Self::ListStreams(_)
            | Self::DescribeBackup(_)
            | Self::DescribeExport(_)
            | Self::DescribeImport(_)
            | Self::DescribeBulkOperation(_)
            | Self::DescribeGlobalTable(_)
            | Self::DescribeGlobalTableSettings(_)
            | Self::DescribeStream(_) => catalog_answer::table_not_found(table.name()),
        }
    }
}

/// Makes an operation's variant of [`Op`] from its parsed request.
macro_rules! into_op {
    ($op:ident) => {
        impl From<$op> for Op {
            fn from(op: $op) -> Self {
                Self::$op(op)
            }
        }
    };
    ($op:ident, boxed) => {
        impl From<$op> for Op {
            fn from(op: $op) -> Self {
                Self::$op(Box::new(op))
            }
        }
    };
}

into_op!(CreateTable, boxed);
into_op!(DescribeTable);
into_op!(ListTables);
into_op!(DeleteTable);
into_op!(UpdateTable);
into_op!(PutItem);
into_op!(GetItem);
into_op!(UpdateItem);
into_op!(DeleteItem);
into_op!(Query, boxed);
into_op!(Scan);
into_op!(SearchVectors, boxed);
into_op!(BatchGetItem);
into_op!(BatchWriteItem);
into_op!(ExecuteStatement, boxed);
into_op!(BatchExecuteStatement);
into_op!(ExecuteTransaction);
into_op!(TransactGetItems);
into_op!(TransactWriteItems);
into_op!(TagResource);
into_op!(UntagResource);
into_op!(ListTagsOfResource);
into_op!(DescribeLimits);
into_op!(DescribeEndpoints);
into_op!(DescribeTimeToLive);
into_op!(DescribeContinuousBackups);
into_op!(ListBackups);
into_op!(ListGlobalTables);
into_op!(DescribeTableReplicaAutoScaling);
into_op!(DescribeKinesisStreamingDestination);
into_op!(DescribeContributorInsights);
into_op!(ListContributorInsights);
into_op!(ListExports);
into_op!(ListImports);
into_op!(ListBulkOperations);
into_op!(GetResourcePolicy);
into_op!(ListStreams);
into_op!(DescribeBackup);
into_op!(DescribeExport);
into_op!(DescribeImport);
into_op!(DescribeBulkOperation);
into_op!(DescribeGlobalTable);
into_op!(DescribeGlobalTableSettings);
into_op!(DescribeStream);
