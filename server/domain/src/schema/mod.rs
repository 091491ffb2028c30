//! Table descriptors.

pub mod table;

pub use table::{HashInterval, KeyAttribute, Span, TableSchema};
