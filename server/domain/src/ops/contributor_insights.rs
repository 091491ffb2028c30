//! DescribeContributorInsights and ListContributorInsights. Nothing is watched yet, so the truth is `DISABLED`.

use super::TableRef;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DescribeContributorInsights is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeContributorInsightsInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `IndexName`.
    pub index_name: Option<String>,
}

/// DescribeContributorInsights, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeContributorInsights {
    /// The table.
    pub table: TableRef,
    /// The index, where one was named.
    pub index: Option<String>,
}

/// What DescribeContributorInsights answers; `ContributorInsightsRuleList` is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeContributorInsightsOutput {
    /// `TableName`.
    pub table_name: String,
    /// `ContributorInsightsStatus`.
    pub contributor_insights_status: &'static str,
}

impl DescribeContributorInsights {
    /// Checks the names.
    pub fn parse(input: DescribeContributorInsightsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.name("indexName", input.index_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED), index: input.index_name })
    }

    /// The answer for a table that exists. No table has an index yet, so a named one is not found.
    pub fn answer(&self, record: &TableRecord) -> Result<DescribeContributorInsightsOutput, OpError> {
        if let Some(index) = &self.index {
            let text = format!("Requested resource not found: Index: {index} not found");
            return Err(OpError::ResourceNotFound(text));
        }
        Ok(DescribeContributorInsightsOutput {
            table_name: record.name.clone(),
            contributor_insights_status: "DISABLED",
        })
    }
}

/// What ListContributorInsights is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListContributorInsightsInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `NextToken`.
    pub next_token: Option<String>,
    /// `MaxResults`.
    pub max_results: Option<i64>,
}

/// ListContributorInsights, checked. The answer is an empty `ContributorInsightsSummaries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListContributorInsights {
    /// Of this table only; it must exist.
    pub table: Option<TableRef>,
}

impl ListContributorInsights {
    /// Checks the page's members.
    pub fn parse(input: ListContributorInsightsInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.optional_table("tableName", input.table_name.as_deref());
        check.at_most("maxResults", input.max_results, 100);
        check.finish()?;
        Ok(Self { table })
    }
}
