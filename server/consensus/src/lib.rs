//! Shards as Raft groups: the only crate that names openraft.
//!
//! A node ([`Host`]) holds at most one replica of each shard ([`Replica`]). A command is proposed on the leader's
//! replica: [`propose`] packs what waits into one entry under one stamp; [`log_store`] appends it to the log that all
//! shards of the node share; [`network`] carries it to the other zones; [`state_machine`] applies it and answers. A
//! strong read passes a barrier first: the lease ([`lease`]), or one question to the quorum for all who wait; then it
//! runs beside the data.
//!
//! What must never be: a replica id used twice; a vote given within a lease of the process's start ([`gate`]); a
//! lease read by a leader that is handing over; a log purged beyond durable state; anything answered after a storage
//! error. What is absent: knowledge of items beyond `reads`, `apply` and `run`; retries; where shards are.

mod codec;
mod error;
mod frame;
pub mod gate;
mod host;
pub mod lease;
mod local;
mod local_rows;
mod log_store;
mod message;
mod network;
mod node;
pub mod peers;
mod propose;
mod raft_service;
mod replica;
mod runtime;
mod settings;
mod snapshot;
mod state_machine;
mod types;
mod view;

#[cfg(test)]
mod tests;

pub use error::{ProposeError, ReadError, TransportError};
pub use host::Host;
pub use lease::SuspendWatch;
pub use local::{LocalHub, LocalTransport};
pub use message::{
    RaftRequest, RaftResponse, decode_request, decode_response, encode_request, encode_response,
};
pub use network::{Handler, PeerRequest, PeerResponse, Transport};
pub use node::{Replicas, ServiceHandler};
pub use peers::{Addresses, GrpcTransport};
pub use raft_service::PeerService;
pub use replica::{Consistency, Replica, ReplicaName, ReplicaStatus, Surroundings};
pub use runtime::seed_this_thread;
pub use settings::RaftSettings;
pub use state_machine::Applied;
