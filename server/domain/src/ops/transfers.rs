//! ListExports, ListImports and ListBulkOperations. None of them can be started yet, so the lists are empty.

use crate::error::OpError;
use crate::validate::Constraints;

/// What ListExports is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListExportsInput {
    /// `TableArn`.
    pub table_arn: Option<String>,
    /// `MaxResults`.
    pub max_results: Option<i64>,
    /// `NextToken`.
    pub next_token: Option<String>,
}

/// ListExports, checked. The answer is an empty `ExportSummaries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListExports;

impl ListExports {
    /// Checks the page's members.
    pub fn parse(input: ListExportsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.length("tableArn", input.table_arn.as_deref(), 1, 1024);
        check.range("maxResults", input.max_results, 1, 25);
        check.finish()?;
        Ok(Self)
    }
}

/// What ListImports is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListImportsInput {
    /// `TableArn`.
    pub table_arn: Option<String>,
    /// `PageSize`.
    pub page_size: Option<i64>,
    /// `NextToken`.
    pub next_token: Option<String>,
}

/// ListImports, checked. The answer is an empty `ImportSummaryList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListImports;

impl ListImports {
    /// Checks the page's members.
    pub fn parse(input: ListImportsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.length("tableArn", input.table_arn.as_deref(), 1, 1024);
        check.range("pageSize", input.page_size, 1, 25);
        check.length("nextToken", input.next_token.as_deref(), 112, 1024);
        check.finish()?;
        Ok(Self)
    }
}

/// What ListBulkOperations is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListBulkOperationsInput {
    /// `MaxResults`.
    pub max_results: Option<i64>,
    /// `NextToken`.
    pub next_token: Option<String>,
}

/// ListBulkOperations, checked. The answer is an empty `BulkOperationsSummaryList`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListBulkOperations;

impl ListBulkOperations {
    /// Checks the page's members.
    pub fn parse(input: ListBulkOperationsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.range("maxResults", input.max_results, 1, 25);
        check.finish()?;
        Ok(Self)
    }
}
