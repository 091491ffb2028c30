//! Table and index descriptors.

pub mod index;
pub mod table;

pub use index::{IndexEntry, IndexKey, IndexProjection, IndexSchema, IndexScope};
pub use table::{HashInterval, IndexCount, KeyAttribute, Span, TableSchema};
