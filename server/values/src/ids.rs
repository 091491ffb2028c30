//! Identifiers, one type each, so that a shard's number cannot be passed where a node's is wanted.
//!
//! All are plain numbers given out by the catalog, displayed in decimal, except where noted. None is ever used again: not a
//! table's after DropTable, not a replica's after its disk was lost. There is no default id: an id that nobody gave out is a bug.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> $name {
                $name(value)
            }
        }
    };
}

id! {
    /// A table or an index: both draw from one sequence, which is unique across accounts.
    TableId(u64), "{}"
}
id! {
    /// A span: an interval of hashes of one table or index.
    SpanId(u64), "{}"
}
id! {
    /// A shard: one Raft group.
    ShardId(u32), "{}"
}
id! {
    /// One copy of a shard.
    ReplicaId(u64), "{}"
}
id! {
    /// A server process.
    NodeId(u64), "{}"
}
id! {
    /// How often a table's descriptor has changed; commands bear the version they were bound to.
    SchemaVersion(u64), "{}"
}
id! {
    /// How often a shard's set of spans has changed; commands bear the epoch they were routed by.
    Epoch(u64), "{}"
}
id! {
    /// One command, the same through all its retries. Displayed as 32 hexadecimal digits.
    CommandId(u128), "{:032x}"
}
id! {
    /// A transaction across shards. Displayed as 32 hexadecimal digits.
    TransactionId(u128), "{:032x}"
}
id! {
    /// An account, the level above tables. Displayed with 12 digits, as in an ARN.
    AccountId(u64), "{:012}"
}

impl SchemaVersion {
    /// The version of a table that was just created.
    pub const FIRST: SchemaVersion = SchemaVersion(1);

    /// The version after this one.
    pub fn next(self) -> SchemaVersion {
        SchemaVersion(self.0 + 1)
    }
}

impl Epoch {
    /// The epoch of a shard that was just created.
    pub const FIRST: Epoch = Epoch(1);

    /// The epoch after this one.
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// A text that is not a 12-digit account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAccountId;

impl fmt::Display for BadAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account id has exactly 12 digits")
    }
}

impl std::error::Error for BadAccountId {}

impl FromStr for AccountId {
    type Err = BadAccountId;

    fn from_str(text: &str) -> Result<AccountId, BadAccountId> {
        if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadAccountId);
        }
        text.parse().map(AccountId).map_err(|_| BadAccountId)
    }
}

/// The name of a zone: the failure domain a node stands in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ZoneName(pub String);

impl ZoneName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for ZoneName {
    fn from(name: &str) -> ZoneName {
        ZoneName(name.to_owned())
    }
}

impl From<String> for ZoneName {
    fn from(name: String) -> ZoneName {
        ZoneName(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_show_as_their_readers_expect() {
        assert_eq!(TableId(12).to_string(), "12");
        assert_eq!(ShardId(7).to_string(), "7");
        assert_eq!(CommandId(0xabc).to_string(), format!("{:0>32}", "abc"));
        assert_eq!(AccountId(0).to_string(), "000000000000");
        assert_eq!(AccountId(123).to_string(), "000000000123");
        assert_eq!(ZoneName::from("a").to_string(), "a");
    }

    #[test]
    fn account_ids_have_twelve_digits() {
        assert_eq!("000000000123".parse(), Ok(AccountId(123)));
        assert_eq!("999999999999".parse(), Ok(AccountId(999_999_999_999)));
        for bad in ["", "123", "0000000001234", "00000000012x", "+00000000123"] {
            assert_eq!(bad.parse::<AccountId>(), Err(BadAccountId), "{bad}");
        }
    }

    #[test]
    fn versions_count_up() {
        assert_eq!(SchemaVersion::FIRST.next(), SchemaVersion(2));
        assert!(Epoch::FIRST < Epoch::FIRST.next());
    }

    #[test]
    fn ids_survive_borsh() {
        let id = CommandId(u128::MAX - 5);
        let bytes = borsh::to_vec(&id).expect("a vector takes any bytes");
        assert_eq!(borsh::from_slice::<CommandId>(&bytes).ok(), Some(id));
    }
}
