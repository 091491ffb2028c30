//! The envelope of a stored value: a format byte, a checksum, the payload.
//!
//! ```text
//! | format: u8 | crc32 of format and payload: u32 little-endian | payload |
//! ```
//!
//! RocksDB checks its own blocks when it reads them from disk; the envelope covers the rest of the way, from the
//! moment a value is built in memory until it is used, on every replica, and it carries the version of what is inside.

use crate::error::Damaged;

/// The only format so far: the payload as it is.
const FORMAT: u8 = 1;
/// Bytes before the payload.
const HEADER: usize = 5;

/// Wraps `payload` in an envelope, ready to be stored.
pub fn seal(payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEADER + payload.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&checksum(FORMAT, payload).to_le_bytes());
    sealed.extend_from_slice(payload);
    sealed
}

/// The payload of a value made by [`seal`].
///
/// # Errors
/// [`Damaged`] if the envelope is too short, of an unknown format, or does not match its checksum.
pub fn open(sealed: &[u8]) -> Result<&[u8], Damaged> {
    let Some((header, payload)) = sealed.split_first_chunk::<HEADER>() else {
        return Err(Damaged::Short);
    };
    let [format, crc @ ..] = *header;
    if checksum(format, payload) != u32::from_le_bytes(crc) {
        return Err(Damaged::Checksum);
    }
    // After the checksum: an unknown format that is intact comes from another version, not from a bad disk.
    if format != FORMAT {
        return Err(Damaged::Format(format));
    }
    Ok(payload)
}

fn checksum(format: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_is_fixed() {
        // The fixture of format 1: these bytes must open for ever.
        let fixture = [1, 0x7d, 0xba, 0x67, 0xe3, b't', b'r', b'i'];
        assert_eq!(seal(b"tri"), fixture);
        assert_eq!(open(&fixture), Ok(&b"tri"[..]));
    }

    #[test]
    fn short_and_foreign_values_are_refused() {
        for length in 0..HEADER {
            assert_eq!(open(&vec![1; length]), Err(Damaged::Short));
        }
        let mut foreign = vec![9];
        foreign.extend_from_slice(&checksum(9, b"x").to_le_bytes());
        foreign.push(b'x');
        assert_eq!(open(&foreign), Err(Damaged::Format(9)));
    }

    proptest! {
        #[test]
        fn any_payload_returns(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let sealed = seal(&payload);
            prop_assert_eq!(open(&sealed), Ok(&payload[..]));
        }

        #[test]
        fn any_flipped_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>()) {
            let mut sealed = seal(&payload);
            let bit = at % (sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&sealed).is_err());
        }
    }
}
