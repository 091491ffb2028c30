//! Requests between nodes above consensus: commands and reads for a shard whose leader is elsewhere.
//!
//! At most one hop: whoever receives a forward serves it from its own replica or says who leads; it never forwards.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use trilith_consensus::{Consistency, ProposeError, ReadError};
use trilith_domain::machine::{Command, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_values::NodeId;

const VERSION: u8 = 1;

/// A request to the node that should hold the leader. A command bears the time its sender still waits: one that was not
/// proposed by then is dropped there, and can never be applied over what the same client wrote later.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) enum ForwardRequest {
    /// Propose on this shard.
    Write { shard: u32, command: Command, millis_left: u64 },
    /// Read from this shard.
    Read { shard: u32, mode: ReadMode, plan: Plan },
    /// Confirm leadership and tell up to where to apply before a strong read elsewhere.
    ReadIndex { shard: u32 },
}

/// [`Consistency`] as it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum ReadMode {
    Eventual,
    Lease,
    ReadIndex,
}

impl From<ReadMode> for Consistency {
    fn from(mode: ReadMode) -> Self {
        match mode {
            ReadMode::Eventual => Self::Eventual,
            ReadMode::Lease => Self::Lease,
            ReadMode::ReadIndex => Self::ReadIndex,
        }
    }
}

impl From<Consistency> for ReadMode {
    fn from(consistency: Consistency) -> Self {
        match consistency {
            Consistency::Eventual => Self::Eventual,
            Consistency::Lease => Self::Lease,
            Consistency::ReadIndex => Self::ReadIndex,
        }
    }
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) enum ForwardReply {
    Written(Reply),
    Read(ReadReply),
    Index(u64),
    /// Not done; safe to retry. The leader's node, if known.
    NotHere {
        leader: Option<u64>,
    },
    /// Not done, too much waits there.
    Overloaded,
    /// The outcome of a command is unknown.
    Unknown(String),
    /// The replica cannot serve.
    Failed(String),
}

impl ForwardReply {
    pub(crate) fn of_write(result: Result<Reply, ProposeError>) -> Self {
        match result {
            Ok(reply) => Self::Written(reply),
            Err(ProposeError::NotProposed { leader }) => Self::NotHere { leader: leader.map(|n| n.0) },
            Err(ProposeError::Overloaded) => Self::Overloaded,
            Err(ProposeError::Unknown(why)) => Self::Unknown(why),
            Err(ProposeError::Stopped(_)) => Self::NotHere { leader: None },
        }
    }

    pub(crate) fn of_read(result: Result<ReadReply, ReadError>) -> Self {
        match result {
            Ok(reply) => Self::Read(reply),
            Err(error) => Self::of_read_error(error),
        }
    }

    pub(crate) fn of_read_error(error: ReadError) -> Self {
        match error {
            ReadError::NotLeader { leader } => Self::NotHere { leader: leader.map(|n| n.0) },
            ReadError::Stopped(_) => Self::NotHere { leader: None },
            ReadError::Storage(why) => Self::Failed(why),
        }
    }

    pub(crate) fn into_write(self) -> Result<Reply, ProposeError> {
        match self {
            Self::Written(reply) => Ok(reply),
            Self::NotHere { leader } => Err(ProposeError::NotProposed { leader: leader.map(NodeId) }),
            Self::Overloaded => Err(ProposeError::Overloaded),
            Self::Unknown(why) | Self::Failed(why) => Err(ProposeError::Unknown(why)),
            Self::Read(_) | Self::Index(_) => {
                Err(ProposeError::Unknown("the peer's answer is of another kind than the request".into()))
            }
        }
    }

    fn read_error(self) -> ReadError {
        match self {
            Self::NotHere { leader } => ReadError::NotLeader { leader: leader.map(NodeId) },
            Self::Overloaded => ReadError::NotLeader { leader: None },
            Self::Unknown(why) | Self::Failed(why) => ReadError::Storage(why),
            Self::Written(_) | Self::Index(_) | Self::Read(_) => {
                ReadError::Storage("the peer's answer is of another kind than the request".into())
            }
        }
    }

    pub(crate) fn into_read(self) -> Result<ReadReply, ReadError> {
        match self {
            Self::Read(reply) => Ok(reply),
            other => Err(other.read_error()),
        }
    }

    pub(crate) fn into_index(self) -> Result<u64, ReadError> {
        match self {
            Self::Index(index) => Ok(index),
            other => Err(other.read_error()),
        }
    }
}

/// A request or answer as bytes: a version, then the value.
pub(crate) fn encode<T: BorshSerialize>(value: &T) -> Bytes {
    let mut bytes = vec![VERSION];
    value.serialize(&mut bytes).expect("encoding to memory cannot fail");
    bytes.into()
}

/// What [`encode`] made.
pub(crate) fn decode<T: BorshDeserialize>(bytes: &[u8]) -> io::Result<T> {
    match bytes.split_first() {
        Some((&VERSION, value)) => borsh::from_slice(value),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a forward of another version")),
    }
}
