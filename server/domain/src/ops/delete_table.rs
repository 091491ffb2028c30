//! DeleteTable: an active, unprotected table begins to go. To delete one that is going is success.

use super::types::TableInput;
use super::{TableRef, catalog_answer};
use crate::catalog::{CatalogCommand, TableRecord, TableStatus};
use crate::error::OpError;
use crate::validate::{CHECKED, Constraints};

/// What DeleteTable is asked.
pub type DeleteTableInput = TableInput;

/// DeleteTable, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTable {
    /// The table.
    pub table: TableRef,
}

impl DeleteTable {
    /// Checks the table's name.
    pub fn parse(input: DeleteTableInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.finish()?;
        Ok(Self { table: table.expect(CHECKED) })
    }

    /// The catalog command; the catalog checks the same again when it applies it. Its reply goes to
    /// [`catalog_answer::deleted_table`].
    pub fn bind(&self, record: &TableRecord) -> Result<CatalogCommand, OpError> {
        match record.status {
            TableStatus::Creating | TableStatus::Updating => {
                return Err(catalog_answer::in_use(record));
            }
            TableStatus::Active if record.definition.deletion_protection => {
                return Err(catalog_answer::protected(&record.name));
            }
            TableStatus::Active | TableStatus::Deleting => {}
        }
        Ok(CatalogCommand::DeleteTable { account: record.account, name: record.name.clone() })
    }
}
