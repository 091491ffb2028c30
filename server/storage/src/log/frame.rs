//! The bytes of the log: frames and the seeds of their checksums.
//!
//! ```text
//! | header crc u32 | payload crc u32 | length u32 | synced u32 | log u64 | index u64 | kind u8 | "TRF" | 0 u32 | payload | 0.. |
//! ```
//!
//! Little-endian; a frame starts at a multiple of 8 and is padded to one.
//!
//! - Both checksums start from a seed that names the segment and how often it was reopened. A recycled file still
//!   holds frames that were valid once; under another seed they are not. The same goes for frames that a crash left
//!   behind a torn one: the segment's next incarnation does not read them.
//! - The header is checked on its own, so that damage in a payload can be pinned on one log.
//! - `synced` says how many bytes of the segment were durable when the frame was made. A valid frame behind a bad one
//!   thereby tells damage (the bad one was durable) from a torn tail (it was not).

use bytes::Bytes;

/// Bytes of a frame before its payload.
pub(super) const HEADER: usize = 40;
/// Frames start at multiples of this.
pub(super) const ALIGN: usize = 8;
/// The largest payload of one frame. Far above what a log entry may be; it bounds what recovery believes.
pub(super) const PAYLOAD_MAX: usize = 1 << 28;

const MAGIC: [u8; 3] = *b"TRF";

/// What a frame says about its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An entry; all entries from its index on are replaced.
    Append,
    /// An entry again, moved out of an old segment. It replaces nothing.
    Rewrite,
    /// The entries from `index` on are gone.
    Truncate,
    /// The entries up to `index` are gone; the payload is the caller's note about the last of them.
    Purge,
    /// The vote.
    Vote,
    /// How far entries are known to be committed.
    Committed,
    /// The log was destroyed.
    Forget,
    /// The segment was reopened; the frames behind are of incarnation `index`. Of no log.
    Resume,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Append => 1,
            Kind::Rewrite => 2,
            Kind::Truncate => 3,
            Kind::Purge => 4,
            Kind::Vote => 5,
            Kind::Committed => 6,
            Kind::Forget => 7,
            Kind::Resume => 8,
        }
    }

    fn from_code(code: u8) -> Option<Kind> {
        const ALL: [Kind; 8] = [
            Kind::Append,
            Kind::Rewrite,
            Kind::Truncate,
            Kind::Purge,
            Kind::Vote,
            Kind::Committed,
            Kind::Forget,
            Kind::Resume,
        ];
        ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The start of all checksums of one incarnation of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    /// `incarnation` counts how often the segment was reopened for writing.
    pub(super) fn new(segment: u64, incarnation: u32) -> Seed {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&segment.to_le_bytes());
        hasher.update(&incarnation.to_le_bytes());
        Seed(hasher.finalize())
    }

    fn crc(self, bytes: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// What the header of a valid frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) log: u64,
    pub(super) index: u64,
    /// Bytes of the segment that were durable when the frame was made.
    pub(super) synced: u32,
    /// Bytes of the payload.
    pub(super) length: u32,
    payload_crc: u32,
}

/// Bytes that a frame with a payload of `length` bytes takes in the segment.
pub(super) fn size(length: usize) -> usize {
    (HEADER + length).next_multiple_of(ALIGN)
}

/// Appends a frame to `buffer`.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    seed: Seed,
    kind: Kind,
    (log, index): (u64, u64),
    synced: u32,
    payload: &Bytes,
) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&seed.crc(payload).to_le_bytes());
    let length = u32::try_from(payload.len()).expect("append() refuses payloads above PAYLOAD_MAX");
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&synced.to_le_bytes());
    buffer.extend_from_slice(&log.to_le_bytes());
    buffer.extend_from_slice(&index.to_le_bytes());
    buffer.push(kind.code());
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&[0; 4]);
    let crc = seed.crc(&buffer[start + 4..start + HEADER]);
    buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(payload);
    buffer.resize(start + size(payload.len()), 0);
}

/// The header at the start of `bytes`, if it is one and valid under `seed`.
pub(super) fn decode_head(bytes: &[u8], seed: Seed) -> Option<Head> {
    let head = bytes.first_chunk::<HEADER>()?;
    // The cheap test first: recovery asks this of every eighth byte behind a torn tail.
    if head[33..36] != MAGIC || u32_at(head, 0) != seed.crc(&head[4..]) {
        return None;
    }
    let length = u32_at(head, 8);
    if length as usize > PAYLOAD_MAX {
        return None;
    }
    Some(Head {
        kind: Kind::from_code(head[32])?,
        log: u64_at(head, 16),
        index: u64_at(head, 24),
        synced: u32_at(head, 12),
        length,
        payload_crc: u32_at(head, 4),
    })
}

impl Head {
    /// Whether `payload` is the one that the frame was made with.
    pub(super) fn vouches_for(&self, payload: &[u8], seed: Seed) -> bool {
        payload.len() == self.length as usize && self.payload_crc == seed.crc(payload)
    }
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(seed: Seed, payload: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(&mut buffer, seed, Kind::Append, (7, 9), 64, &Bytes::copy_from_slice(payload));
        buffer
    }

    #[test]
    fn a_frame_of_another_segment_or_incarnation_is_not_read() {
        let bytes = frame(Seed::new(3, 0), b"payload");
        assert!(decode_head(&bytes, Seed::new(3, 0)).is_some());
        for seed in [Seed::new(2, 0), Seed::new(4, 0), Seed::new(3, 1), Seed::new(3 << 32, 0)] {
            assert_eq!(decode_head(&bytes, seed), None);
        }
    }

    /// A frame of format 1, made by another implementation of the layout above: these bytes are read for ever.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let fixture = [
            0x54, 0x93, 0x14, 0x95, 0xef, 0x42, 0x4d, 0x1d, 6, 0, 0, 0, 64, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
            9, 0, 0, 0, 0, 0, 0, 0, 1, b'T', b'R', b'F', 0, 0, 0, 0, b's', b't', b'o', b'n', b'e', b's', 0,
            0,
        ];
        let seed = Seed::new(5, 1);
        assert_eq!(frame(seed, b"stones"), fixture);
        let head = decode_head(&fixture, seed).expect("valid");
        assert!(head.vouches_for(b"stones", seed));
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(decode_head(&[0; 64], Seed::new(1, 0)), None);
        assert_eq!(decode_head(&[], Seed::new(1, 0)), None);
    }

    proptest! {
        #[test]
        fn a_frame_returns(payload in proptest::collection::vec(any::<u8>(), 0..100), segment in any::<u64>()) {
            let seed = Seed::new(segment, 2);
            let bytes = frame(seed, &payload);
            prop_assert_eq!(bytes.len(), size(payload.len()));
            prop_assert_eq!(bytes.len() % ALIGN, 0);
            let head = decode_head(&bytes, seed).expect("valid");
            prop_assert_eq!((head.kind, head.log, head.index, head.synced), (Kind::Append, 7, 9, 64));
            prop_assert!(head.vouches_for(&bytes[HEADER..HEADER + payload.len()], seed));
        }

        #[test]
        fn any_flipped_bit_is_noticed(payload in proptest::collection::vec(any::<u8>(), 1..100), at in any::<usize>()) {
            let seed = Seed::new(5, 0);
            let mut bytes = frame(seed, &payload);
            let bit = at % ((HEADER + payload.len()) * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let intact = decode_head(&bytes, seed)
                .is_some_and(|head| head.vouches_for(&bytes[HEADER..HEADER + payload.len()], seed));
            prop_assert!(!intact);
        }
    }
}
