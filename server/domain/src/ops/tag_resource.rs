//! TagResource: adds tags to a table, or overwrites them.

use std::collections::BTreeMap;

use super::types::Tag;
use super::{TableRef, tags};
use crate::catalog::{CatalogCommand, TableRecord};
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What TagResource is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagResourceInput {
    /// `ResourceArn`.
    pub resource_arn: Option<String>,
    /// `Tags`.
    pub tags: Option<Vec<Tag>>,
}

/// TagResource, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagResource {
    /// The table.
    pub table: TableRef,
    /// Tags to set.
    pub tags: BTreeMap<String, String>,
}

impl TagResource {
    /// All checks that need no table.
    pub fn parse(input: TagResourceInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.resource_arn(input.resource_arn.as_deref());
        check.required("tags", input.tags.as_ref());
        tags::check(&mut check, input.tags.as_deref());
        check.finish()?;
        let table = TableRef::of_resource(&input.resource_arn.expect(CHECKED))?;
        Ok(Self { table, tags: tags::resolve(input.tags.expect(CHECKED))? })
    }

    /// The catalog command. Its reply goes to [`super::catalog_answer::done`].
    pub fn bind(&self, record: &TableRecord) -> Result<CatalogCommand, OpError> {
        let mut all = record.tags.clone();
        all.extend(self.tags.clone());
        tags::check_total(&all)?;
        Ok(CatalogCommand::Tag { table: record.id, tags: self.tags.clone() })
    }
}
