//! Exports, imports and bulk operations: List and Describe. None of them can be started yet, so the lists are empty and
//! nothing that is named is found.

use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

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
        check.hex_token("nextToken", input.next_token.as_deref(), 112, 1024);
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
        check.hex_token("nextToken", input.next_token.as_deref(), 1, 1024);
        check.finish()?;
        Ok(Self)
    }
}

/// What DescribeExport is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeExportInput {
    /// `ExportArn`.
    pub export_arn: Option<String>,
}

/// DescribeExport, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeExport {
    /// The export, as it was named.
    pub export_arn: String,
}

impl DescribeExport {
    /// Checks the ARN's length: nothing else tells the ARN of a export from any other that finds none.
    pub fn parse(input: DescribeExportInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.long_arn("exportArn", input.export_arn.as_deref());
        check.finish()?;
        Ok(Self { export_arn: input.export_arn.expect(CHECKED) })
    }

    /// The answer: `ExportNotFoundException`. Its text is of our own, after that of backups.
    pub fn answer(&self) -> OpError {
        OpError::ExportNotFound(format!("Export not found: {}", self.export_arn))
    }
}

/// What DescribeImport is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeImportInput {
    /// `ImportArn`.
    pub import_arn: Option<String>,
}

/// DescribeImport, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeImport {
    /// The import, as it was named.
    pub import_arn: String,
}

impl DescribeImport {
    /// Checks the ARN's length: nothing else tells the ARN of a import from any other that finds none.
    pub fn parse(input: DescribeImportInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.long_arn("importArn", input.import_arn.as_deref());
        check.finish()?;
        Ok(Self { import_arn: input.import_arn.expect(CHECKED) })
    }

    /// The answer: `ImportNotFoundException`. Its text is of our own, after that of backups.
    pub fn answer(&self) -> OpError {
        OpError::ImportNotFound(format!("Import not found: {}", self.import_arn))
    }
}

/// What DescribeBulkOperation is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeBulkOperationInput {
    /// `BulkOperationArn`.
    pub bulk_operation_arn: Option<String>,
}

/// DescribeBulkOperation, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeBulkOperation {
    /// The bulk operation, as it was named.
    pub bulk_operation_arn: String,
}

impl DescribeBulkOperation {
    /// Checks the ARN's length: nothing else tells the ARN of a bulk operation from any other that finds none.
    pub fn parse(input: DescribeBulkOperationInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.long_arn("bulkOperationArn", input.bulk_operation_arn.as_deref());
        check.finish()?;
        Ok(Self { bulk_operation_arn: input.bulk_operation_arn.expect(CHECKED) })
    }

    /// The answer: `ResourceNotFoundException`. Its text is of our own, after that of streams.
    pub fn answer(&self) -> OpError {
        OpError::ResourceNotFound(format!(
            "Requested resource not found: Bulk operation: {}",
            self.bulk_operation_arn
        ))
    }
}
