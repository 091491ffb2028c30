//! The wire: DynamoDB's JSON protocol over HTTP, the same operations over gRPC, health and metrics.
//!
//! The life of a request: a wire reads it within bounds ([`http`], gRPC), its operation's row ([`operations`]) decodes
//! it into a typed op ([`json`]), and [`pipeline`] hands that to the service ([`trilith_engine::Service`]), times,
//! counts and logs it ([`metrics`], [`context`]), and gives the answer back to be encoded.
//!
//! Knows nothing of nodes, shards, logs or disks, and decides nothing about data: which checks an operation makes and
//! what its answer says is the domain's matter, this crate only spells it.

pub mod admin;
mod budget;
pub mod context;
pub mod grpc;
pub mod http;
pub mod json;
pub mod metrics;
pub mod operations;
pub mod pipeline;
