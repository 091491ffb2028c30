//! UntagResource: removes tags from a table. A key that is not there is success.

use super::TableRef;
use crate::catalog::{CatalogCommand, TableRecord};
use crate::error::OpError;
use crate::limits::TAG_KEY_MAX;
use crate::validate::{CHECKED, Constraints};

/// What UntagResource is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UntagResourceInput {
    /// `ResourceArn`.
    pub resource_arn: Option<String>,
    /// `TagKeys`.
    pub tag_keys: Option<Vec<String>>,
}

/// UntagResource, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntagResource {
    /// The table.
    pub table: TableRef,
    /// Keys of the tags to remove.
    pub keys: Vec<String>,
}

impl UntagResource {
    /// All checks that need no table.
    pub fn parse(input: UntagResourceInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        check.resource_arn(input.resource_arn.as_deref());
        check.required("tagKeys", input.tag_keys.as_ref());
        for (i, key) in input.tag_keys.iter().flatten().enumerate() {
            if check.is_full() {
                break;
            }
            check.length(&format!("tagKeys.{}.member", i + 1), Some(key), 1, TAG_KEY_MAX);
        }
        check.finish()?;
        let table = TableRef::of_resource(&input.resource_arn.expect(CHECKED))?;
        Ok(Self { table, keys: input.tag_keys.expect(CHECKED) })
    }

    /// The catalog command. Its reply goes to [`super::catalog_answer::done`].
    pub fn bind(&self, record: &TableRecord) -> CatalogCommand {
        CatalogCommand::Untag { table: record.id, keys: self.keys.clone() }
    }
}
