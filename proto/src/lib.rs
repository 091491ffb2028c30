//! The wire formats of Trilith, as generated from the `.proto` files beside this crate. Read those: their comments are the
//! documentation, and appear here on every message.
//!
//! - [`data::v1`]: DynamoDB's operations with typed messages. For programs; the HTTP front end offers the same in JSON.
//! - [`admin::v1`]: what `trilith cluster …` asks a node.
//! - [`cluster::v1`]: frames between nodes. Bodies are opaque here.
//!
//! Rules of change: within `v1` a field keeps its number and meaning for ever; new fields are optional; a number that goes
//! out of use is reserved.
//!
//! Absent on purpose: conversions to and from the types of other crates. Each crate that speaks a format converts for itself.

/// Descriptors of all three files and what they import, encoded: what gRPC reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trilith_descriptor.bin"));

/// Tables and items.
pub mod data {
    /// The first and only version.
    #[allow(missing_docs, clippy::all, rustdoc::all)] // generated
    pub mod v1 {
        tonic::include_proto!("trilith.data.v1");
    }
}

/// A cluster's beginning, growth and state.
pub mod admin {
    /// The first and only version.
    #[allow(missing_docs, clippy::all, rustdoc::all)] // generated
    pub mod v1 {
        tonic::include_proto!("trilith.admin.v1");
    }
}

/// Between nodes.
pub mod cluster {
    /// The first and only version.
    #[allow(missing_docs, clippy::all, rustdoc::all)] // generated
    pub mod v1 {
        tonic::include_proto!("trilith.cluster.v1");
    }
}

#[cfg(test)]
mod tests;
