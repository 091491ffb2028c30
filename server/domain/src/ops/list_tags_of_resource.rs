//! ListTagsOfResource. A resource has 50 tags at the most, so one page holds them all and no token is ever given.

use super::TableRef;
use super::types::Tag;
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What ListTagsOfResource is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListTagsOfResourceInput {
    /// `ResourceArn`.
    pub resource_arn: Option<String>,
    /// `NextToken`.
    pub next_token: Option<String>,
}

/// ListTagsOfResource, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTagsOfResource {
    /// The table.
    pub table: TableRef,
}

/// What ListTagsOfResource answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTagsOfResourceOutput {
    /// `Tags`, in the order of their keys.
    pub tags: Vec<Tag>,
    /// `NextToken`: never, see the module's header.
    pub next_token: Option<String>,
}

impl ListTagsOfResource {
    /// Checks the ARN; a token cannot be one of ours.
    pub fn parse(input: ListTagsOfResourceInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.resource_arn(input.resource_arn.as_deref());
        check.finish()?;
        let table = TableRef::of_resource(&input.resource_arn.expect(CHECKED))?;
        if input.next_token.is_some() {
            return Err(OpError::validation(
                "One or more parameter values were invalid: NextToken is not valid",
            ));
        }
        Ok(Self { table })
    }

    /// The answer for a table that exists.
    pub fn answer(&self, record: &TableRecord) -> ListTagsOfResourceOutput {
        let tag =
            |(key, value): (&String, &String)| Tag { key: Some(key.clone()), value: Some(value.clone()) };
        ListTagsOfResourceOutput { tags: record.tags.iter().map(tag).collect(), next_token: None }
    }
}
