//! The Rust client over gRPC
