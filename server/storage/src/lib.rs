//! Bytes on disk: the engine, the raft log, the data folder.
//!
//! A node keeps two things in its folder, and they are kept apart on purpose:
//!
//! - **the log** ([`log`]): one segmented file sequence for all shards of the node. It is the only thing that is
//!   synced before an acknowledgement: one `fdatasync` covers whatever all shards wait for at that moment.
//! - **the state** ([`engine`]): one RocksDB (or ordered maps in memory) for all shards. Its writes are atomic but not
//!   synced; after a crash the log replays what is missing. [`Engine::sync`] makes it durable, and must be called
//!   before the log that could replay it is purged.
//!
//! What holds everywhere in this crate:
//!
//! - A damaged record is reported ([`StorageError::Corrupt`]) and never served, skipped or repaired in silence.
//! - A failed write or sync is final: the log fences itself, because a second fsync after a failed one may succeed
//!   without the lost pages ever reaching the disk.
//! - All code here blocks. There is no runtime, no retry and no knowledge of what keys and entries mean.
//! - Nothing in a data folder is touched before the checks of [`folder`] have passed.

pub mod engine;
mod envelope;
mod error;
pub mod files;
pub mod folder;
pub mod log;

pub use engine::{Engine, EngineStats, EngineView, Family, MemEngine, WriteBatch, WriteOp};
pub use engine::{RocksEngine, RocksSettings, RocksShared};
pub use envelope::{open, seal};
pub use error::{Damaged, StorageError};
pub use files::{Files, LogFile, MemFiles, OsFiles};
pub use folder::{Folder, Identity};
pub use log::{Done, Driver, LogEntry, LogHandle, LogOptions, LogStats, RaftLog};
