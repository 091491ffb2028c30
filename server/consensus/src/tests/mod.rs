//! What the whole crate must do: its storage against a model, and groups of replicas on simulated nodes.
//!
//! Nodes are simulated on one thread under paused time, with disks in memory that lose what was not synced; a seed
//! decides every random number. So a schedule that takes seconds runs in milliseconds, and always the same way.

mod commands;
mod gate;
mod group;
mod identity;
mod membership;
mod model;
mod snapshots;
mod storage;
mod suite;
mod transfer;
mod world;
