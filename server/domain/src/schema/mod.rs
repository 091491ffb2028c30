//! Table and index descriptors.

pub mod index;
pub mod table;
pub mod vector;

pub use index::{IndexEntry, IndexKey, IndexKind, IndexProjection, IndexSchema, IndexScope};
pub use table::{HashInterval, IndexCount, KeyAttribute, Span, TableSchema};
pub use vector::{DistanceFunction, VectorSchema};
