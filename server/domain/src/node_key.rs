//! Keys of rows that belong to a node itself, and to no shard: which replicas it holds, and snapshots on their way in.
//!
//! They stand in the meta family under a shard id that no shard ever has, so that no span, shard or snapshot
//! includes them. The second half of "every stored key is a variant of an enum": [`crate::keyspace::Key`] is the first.

use bytes::Bytes;
use trilith_values::ReplicaId;

use crate::keyspace::Family;

/// In the place of a shard id; the catalog never allocates it.
const NODE: [u8; 4] = [0xff; 4];
const HELD: u8 = 1;
const STAGED: u8 = 2;
const INSTALLING: u8 = 3;

/// A row of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKey {
    /// A replica this node holds or held.
    Held(ReplicaId),
    /// A row of a snapshot that is being received for a replica.
    Staged {
        /// The replica.
        replica: ReplicaId,
        /// The family the row goes to.
        family: Family,
        /// The row's own key.
        key: Bytes,
    },
    /// The mark of a replica whose staged snapshot is whole and being installed.
    Installing(ReplicaId),
}

fn row(kind: u8, replica: Option<ReplicaId>) -> Vec<u8> {
    let mut bytes = NODE.to_vec();
    bytes.push(kind);
    if let Some(replica) = replica {
        bytes.extend_from_slice(&replica.0.to_be_bytes());
    }
    bytes
}

/// A family as one byte of a key or message: its place in [`Family::ALL`].
pub fn family_tag(family: Family) -> u8 {
    let at = Family::ALL.iter().position(|other| *other == family);
    u8::try_from(at.expect("every family is in the list")).expect("there are few families")
}

/// The family with this tag.
pub fn family_of(tag: u8) -> Option<Family> {
    Family::ALL.get(usize::from(tag)).copied()
}

impl NodeKey {
    /// The stored bytes.
    pub fn encode(&self) -> Bytes {
        let bytes = match self {
            Self::Held(replica) => row(HELD, Some(*replica)),
            Self::Installing(replica) => row(INSTALLING, Some(*replica)),
            Self::Staged { replica, family, key } => {
                let mut bytes = row(STAGED, Some(*replica));
                bytes.push(family_tag(*family));
                bytes.extend_from_slice(key);
                bytes
            }
        };
        bytes.into()
    }

    /// What [`NodeKey::encode`] made; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&NODE)?;
        let (kind, rest) = rest.split_first()?;
        let (replica, rest) = rest.split_first_chunk::<8>()?;
        let replica = ReplicaId(u64::from_be_bytes(*replica));
        match (*kind, rest) {
            (HELD, []) => Some(Self::Held(replica)),
            (INSTALLING, []) => Some(Self::Installing(replica)),
            (STAGED, [tag, key @ ..]) => {
                Some(Self::Staged { replica, family: family_of(*tag)?, key: Bytes::copy_from_slice(key) })
            }
            _ => None,
        }
    }

    /// Begins every [`NodeKey::Held`].
    pub fn held_prefix() -> Vec<u8> {
        row(HELD, None)
    }

    /// Begins every staged row of a replica.
    pub fn staged_prefix(replica: ReplicaId) -> Vec<u8> {
        row(STAGED, Some(replica))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_begin_with_their_prefix() {
        let replica = ReplicaId(7);
        let staged = NodeKey::Staged { replica, family: Family::Expiry, key: Bytes::from_static(b"k\xff") };
        for key in [NodeKey::Held(replica), NodeKey::Installing(replica), staged.clone()] {
            assert_eq!(NodeKey::decode(&key.encode()), Some(key));
        }
        assert!(NodeKey::Held(replica).encode().starts_with(&NodeKey::held_prefix()));
        assert!(staged.encode().starts_with(&NodeKey::staged_prefix(replica)));
        assert_eq!(NodeKey::decode(b"\xff\xff\xff\xff\x09"), None);
        assert!(Family::ALL.iter().all(|family| family_of(family_tag(*family)) == Some(*family)));
    }
}
