//! The engine as domain code sees it.

use bytes::Bytes;
use trilith_domain::keyspace::Family;
use trilith_domain::read::view::Visit;
use trilith_domain::read::{View, ViewError};
use trilith_storage::engine::EngineView;

/// Rows of the engine, or of a snapshot of it.
pub(crate) struct RowView<'a>(pub(crate) &'a dyn EngineView);

fn io(error: trilith_storage::StorageError) -> ViewError {
    ViewError::Io(error.to_string())
}

impl View for RowView<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        self.0.get(family, key).map_err(io)
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        self.0.scan(family, start, Some(end), reverse, visit).map_err(io)
    }
}
