//! Stored values: the envelope around every one of them, and the form of rows that are not items.
//!
//! ```text
//! | format: u8 | crc32 of format and payload: u32 little-endian | payload |
//! ```
//!
//! The envelope covers a value from the moment it is built in memory until it is used, on every replica, through
//! snapshots and moves; it also says which format the payload has. Payloads are of two kinds: items
//! ([`crate::item`]) and Borsh (everything else).
//!
//! Invariants: a value that is not exactly what [`seal`] made is a [`Damage`], never a panic and never a guess; the
//! bytes of format 1 are pinned by fixtures in `testdata/format/`. Absent on purpose: compression (the engine
//! compresses blocks) and any knowledge of where a value is stored, which the caller adds with [`Damage::at`].

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;

use crate::keyspace::Family;

/// The only format so far.
pub const FORMAT: u8 = 1;
/// Bytes before the payload.
pub const ENVELOPE: usize = 1 + 4;

/// What is wrong with a stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Too short to hold its envelope.
    Short,
    /// The checksum does not match.
    Checksum,
    /// Intact, but of a format that this version does not know.
    Format(u8),
    /// Intact, but its content is not what should stand there; the text says how.
    Content(String),
    /// Intact, but written by a state machine of a later version.
    MachineVersion(u32),
}

impl Damage {
    /// The reportable error, with the place of the value.
    pub fn at(self, family: Family, key: &[u8]) -> CorruptValue {
        CorruptValue { place: crate::explain::key(family, key), damage: self }
    }

    /// From what a decoder of the content reports.
    pub fn content(error: impl fmt::Display) -> Self {
        Self::Content(error.to_string())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the value is too short to hold its checksum"),
            Self::Checksum => f.write_str("the value does not match its checksum"),
            Self::Format(format) => {
                write!(f, "the value has format {format}, which this version cannot read")
            }
            Self::Content(what) => write!(f, "the value cannot be decoded: {what}"),
            Self::MachineVersion(version) => write!(
                f,
                "the shard was written by state machine version {version}, which is newer than this one"
            ),
        }
    }
}

/// A stored value that must not be used: where it stands, and why. Whoever meets one stops serving the shard and
/// recovers it from its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptValue {
    /// Family and key, readable.
    pub place: String,
    /// Why.
    pub damage: Damage,
}

impl fmt::Display for CorruptValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.damage)
    }
}

impl std::error::Error for CorruptValue {}

/// Wraps a payload, ready to be stored.
pub fn seal(payload: &[u8]) -> Bytes {
    seal_with(payload.len(), |out| out.extend_from_slice(payload))
}

/// [`seal`] of a payload that `write` appends, without copying it. `expected` is about how many bytes that will be.
pub fn seal_with(expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut sealed = Vec::with_capacity(ENVELOPE + expected);
    sealed.extend_from_slice(&[FORMAT, 0, 0, 0, 0]);
    write(&mut sealed);
    let crc = checksum(FORMAT, &sealed[ENVELOPE..]);
    sealed[1..ENVELOPE].copy_from_slice(&crc.to_le_bytes());
    sealed.into()
}

/// The payload of a value made by [`seal`].
///
/// # Errors
/// [`Damage`] if the value is too short, does not match its checksum, or is of an unknown format.
pub fn open(sealed: &[u8]) -> Result<&[u8], Damage> {
    let Some((envelope, payload)) = sealed.split_first_chunk::<ENVELOPE>() else {
        return Err(Damage::Short);
    };
    let [format, crc @ ..] = *envelope;
    if checksum(format, payload) != u32::from_le_bytes(crc) {
        return Err(Damage::Checksum);
    }
    // After the checksum: an unknown format that is intact comes from another version, not from a bad disk.
    if format != FORMAT {
        return Err(Damage::Format(format));
    }
    Ok(payload)
}

/// A row that is not an item, ready to be stored.
pub fn seal_row<T: BorshSerialize>(row: &T) -> Bytes {
    seal_with(128, |out| {
        row.serialize(out).expect("a vector takes any bytes");
    })
}

/// What [`seal_row`] made.
///
/// # Errors
/// [`Damage`] as [`open`], or if the payload is no `T`.
pub fn open_row<T: BorshDeserialize>(sealed: &[u8]) -> Result<T, Damage> {
    borsh::from_slice(open(sealed)?).map_err(Damage::content)
}

fn checksum(format: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(payload);
    hasher.finalize()
}

/// Borsh forms of items inside commands and replies: one frame for an item instead of one for each attribute.
pub(crate) mod items {
    use std::io::{Read, Result, Write};

    use borsh::{BorshDeserialize, BorshSerialize};
    use trilith_values::Item;
    pub(crate) use trilith_values::codec::{borsh_deserialize_item as read, borsh_serialize_item as write};

    pub(crate) fn write_option<W: Write>(item: &Option<Item>, writer: &mut W) -> Result<()> {
        item.is_some().serialize(writer)?;
        item.iter().try_for_each(|item| write(item, writer))
    }

    pub(crate) fn read_option<R: Read>(reader: &mut R) -> Result<Option<Item>> {
        let some = bool::deserialize_reader(reader)?;
        some.then(|| read(reader)).transpose()
    }

    pub(crate) fn write_list<W: Write>(items: &[Item], writer: &mut W) -> Result<()> {
        let count = u32::try_from(items.len()).map_err(std::io::Error::other)?;
        count.serialize(writer)?;
        items.iter().try_for_each(|item| write(item, writer))
    }

    pub(crate) fn read_list<R: Read>(reader: &mut R) -> Result<Vec<Item>> {
        let count = u32::deserialize_reader(reader)?;
        let mut items = Vec::new(); // Grows with what is really there, not with what the count claims.
        for _ in 0..count {
            items.push(read(reader)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod fixtures;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_and_foreign_values_are_refused() {
        for length in 0..ENVELOPE {
            assert_eq!(open(&vec![1; length]), Err(Damage::Short));
        }
        let mut foreign = vec![9];
        foreign.extend_from_slice(&checksum(9, b"x").to_le_bytes());
        foreign.push(b'x');
        assert_eq!(open(&foreign), Err(Damage::Format(9)));
        assert!(matches!(open_row::<u64>(&seal(b"x")), Err(Damage::Content(_))));
        assert!(matches!(open_row::<u8>(&seal(b"xy")), Err(Damage::Content(_))), "trailing bytes");
    }

    #[test]
    fn an_error_is_one_line_with_the_place() {
        let error = Damage::Checksum.at(Family::Meta, &[0, 0, 0, 7, 2]);
        assert_eq!(error.to_string(), "meta/shard 7/machine: the value does not match its checksum");
    }

    proptest! {
        #[test]
        fn any_payload_returns(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealed = seal(&payload);
            prop_assert_eq!(open(&sealed), Ok(&payload[..]));
        }

        #[test]
        fn any_flipped_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>()) {
            let mut sealed = seal(&payload).to_vec();
            let bit = at % (sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&sealed).is_err());
        }
    }
}
