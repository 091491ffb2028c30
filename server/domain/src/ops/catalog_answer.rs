//! What the catalog's replies mean to whoever asked for a change of a table: the record, or the service's error.

use crate::catalog::{CatalogReply, Refusal, TableRecord, TableStatus};
use crate::error::OpError;

/// The answer to an operation on tables whose table is not there (contract 14.2).
pub(super) fn table_not_found(name: &str) -> OpError {
    OpError::ResourceNotFound(format!("Requested resource not found: Table: {name} not found"))
}

/// The answer to a change of a table that is not in the state for it.
pub(super) fn in_use(record: &TableRecord) -> OpError {
    let doing = match record.status {
        TableStatus::Creating => "created",
        TableStatus::Active | TableStatus::Updating => "updated",
        TableStatus::Deleting => "deleted",
    };
    let name = &record.name;
    OpError::ResourceInUse(format!(
        "Attempt to change a resource which is still in use: Table is being {doing}: {name}"
    ))
}

/// The answer to DeleteTable of a protected table.
pub(super) fn protected(name: &str) -> OpError {
    OpError::Validation(format!(
        "1 validation error detected: Table '{name}' can't be deleted while DeletionProtectionEnabled is set to True"
    ))
}

/// The table after the command, or why the catalog did not do it. `name` is the table's.
pub fn table(name: &str, reply: CatalogReply) -> Result<Box<TableRecord>, OpError> {
    match reply {
        CatalogReply::Table(record) => Ok(record),
        CatalogReply::TableExists(_) => Err(OpError::ResourceInUse(format!("Table already exists: {name}"))),
        CatalogReply::NotFound => Err(table_not_found(name)),
        CatalogReply::TableBusy(record) => Err(in_use(&record)),
        CatalogReply::Protected => Err(protected(name)),
        CatalogReply::Refused(Refusal::Validation(text)) => Err(OpError::Validation(text)),
        CatalogReply::Refused(Refusal::Limit(text)) => Err(OpError::LimitExceeded(text)),
        CatalogReply::Done | CatalogReply::Node(_) => {
            Err(OpError::Internal("a change of a table was answered by something else".to_owned()))
        }
    }
}

/// Like [`table`], of DeleteTable: to delete a table that is being deleted is success.
pub fn deleted_table(name: &str, reply: CatalogReply) -> Result<Box<TableRecord>, OpError> {
    match reply {
        CatalogReply::TableBusy(record) if record.status == TableStatus::Deleting => Ok(record),
        other => table(name, other),
    }
}

/// Like [`table`], of changes that may answer nothing (tags).
pub fn done(name: &str, reply: CatalogReply) -> Result<(), OpError> {
    match reply {
        CatalogReply::Done => Ok(()),
        other => table(name, other).map(|_| ()),
    }
}
