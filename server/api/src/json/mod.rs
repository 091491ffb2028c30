//! DynamoDB JSON: request bodies straight into operation inputs, outputs straight into bytes.
//!
//! [`read`] is the reader, [`shape`] the trait and macro that structures are read by, [`value`] attribute values,
//! [`mod@write`] the writer, [`error`] error bodies, and [`ops`] the shapes of the operations by area. No tree of the
//! document is ever built, and nothing recurses beyond the service's nesting limit.

pub mod error;
pub mod ops;
pub mod read;
pub mod shape;
pub mod value;
pub mod write;

#[cfg(test)]
mod tests;
