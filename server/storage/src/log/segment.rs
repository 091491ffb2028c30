//! One file of the log, and its header.
//!
//! ```text
//! | "TRILOG" 0 0 | version u32 | crc u32 | sequence u64 | end of the previous segment u64 | 0.. | frames
//! ```
//!
//! Sequence numbers rise by one and are in the file's name too. A segment is begun only when the one before is
//! durable to its end; the header says where that end is, so that a closed segment has no torn tail to guess at: every
//! byte up to its end is a valid frame, or the segment is damaged.

use super::frame::{self, HEADER, Head, Seed};
use crate::error::StorageError;
use crate::files::{Files, LogFile};
use bytes::Bytes;
use std::path::PathBuf;

/// Bytes before the first frame.
pub(super) const START: u32 = 64;
/// The version of the segments' format.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"TRILOG\0\0";
const SUFFIX: &str = ".log";
const SPARE: &str = "spare-";

/// The file name of a segment.
pub(super) fn name(sequence: u64) -> String {
    format!("{sequence:016x}{SUFFIX}")
}

/// The sequence number in a segment's file name.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The name of a file that waits to be used again; `sequence` was its last one.
pub(super) fn spare_name(sequence: u64) -> String {
    format!("{SPARE}{sequence:016x}")
}

/// Whether a file is a spare.
pub(super) fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE)
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u32,
    /// Bytes of the payload.
    pub(super) length: u32,
    /// The segment's incarnation when the frame was written: part of its seed.
    pub(super) incarnation: u32,
}

impl Location {
    /// Bytes that the frame takes.
    pub(super) fn size(&self) -> u64 {
        frame::size(self.length as usize) as u64
    }
}

/// An open segment.
pub(super) struct Segment {
    pub(super) sequence: u64,
    pub(super) file: Box<dyn LogFile>,
}

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) sequence: u64,
    /// Bytes of the previous segment up to the end of its last frame; 0 if there was none.
    pub(super) previous_end: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(START as usize);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&u64::from(self.previous_end).to_le_bytes());
        bytes.resize(START as usize, 0);
        let crc = crc32fast::hash(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in `bytes`; `Ok(None)` if these are none.
    ///
    /// # Errors
    /// The version found, if it is newer than ours.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<SegmentHeader>, u32> {
        let Some(header) = bytes.first_chunk::<{ START as usize }>() else {
            return Ok(None);
        };
        let u32_at =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let mut blank = *header;
        blank[12..16].fill(0);
        if header[..8] != MAGIC || u32_at(12) != crc32fast::hash(&blank) {
            return Ok(None);
        }
        if u32_at(8) > VERSION {
            return Err(u32_at(8));
        }
        let sequence = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
        Ok(Some(SegmentHeader { sequence, previous_end: u32_at(24) }))
    }
}

impl Segment {
    /// Opens the file of a segment that exists.
    pub(super) fn open(files: &dyn Files, sequence: u64) -> Result<Segment, StorageError> {
        let name = name(sequence);
        let file = files
            .open(&name)
            .map_err(|error| StorageError::io(format!("opening log segment {name}"), error))?;
        Ok(Segment { sequence, file })
    }

    /// The header; `None` if the file does not begin with one.
    pub(super) fn header(&self) -> Result<Option<SegmentHeader>, StorageError> {
        let mut bytes = [0; START as usize];
        let count = self.read_raw(0, &mut bytes)?;
        SegmentHeader::decode(&bytes[..count]).map_err(|found| StorageError::NewerFormat {
            path: PathBuf::from(name(self.sequence)),
            found,
            supported: VERSION,
        })
    }

    /// The payload of the frame at `location`, checked: that it is intact, and of this log and index.
    pub(super) fn read(&self, location: Location, log: u64, index: u64) -> Result<Bytes, StorageError> {
        let mut bytes = vec![0; HEADER + location.length as usize];
        let count = self.read_raw(u64::from(location.offset), &mut bytes)?;
        let seed = Seed::new(location.segment, location.incarnation);
        let is_it =
            |head: &Head| head.log == log && head.index == index && head.vouches_for(&bytes[HEADER..], seed);
        if count == bytes.len() && frame::decode_head(&bytes, seed).as_ref().is_some_and(is_it) {
            return Ok(Bytes::from(bytes).slice(HEADER..));
        }
        Err(self.corrupt(
            location.offset,
            format!("entry {index} of log {log} does not match its checksum"),
            vec![log],
        ))
    }

    /// Reads from the file; fewer bytes only at its end.
    pub(super) fn read_raw(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let read = self.file.read_at(offset, buffer);
        read.map_err(|error| StorageError::io(format!("reading log segment {}", name(self.sequence)), error))
    }

    /// The error for damage at `offset`.
    pub(super) fn corrupt(&self, offset: u32, detail: impl Into<String>, affected: Vec<u64>) -> StorageError {
        let place = format!("log segment {} at offset {offset}", name(self.sequence));
        StorageError::Corrupt { place, detail: detail.into(), affected }
    }
}

/// Reads a segment front to back through a window, so that a large segment needs little memory.
pub(super) struct Window<'a> {
    segment: &'a Segment,
    buffer: Vec<u8>,
    /// The file offset of the buffer's first byte.
    start: u64,
}

/// Bytes read at a time.
const WINDOW: usize = 1 << 20;

impl<'a> Window<'a> {
    pub(super) fn new(segment: &'a Segment) -> Window<'a> {
        Window { segment, buffer: Vec::new(), start: 0 }
    }

    /// The bytes at `offset`: at least `count` of them, or all up to the end of the file.
    pub(super) fn at(&mut self, offset: u32, count: usize) -> Result<&[u8], StorageError> {
        let offset = u64::from(offset);
        let within = offset >= self.start && offset + count as u64 <= self.start + self.buffer.len() as u64;
        if !within {
            self.buffer.resize(count.max(WINDOW), 0);
            let read = self.segment.read_raw(offset, &mut self.buffer)?;
            self.buffer.truncate(read);
            self.start = offset;
        }
        Ok(&self.buffer[(offset - self.start) as usize..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_numbers() {
        assert_eq!(parse_name(&name(0xabc)), Some(0xabc));
        assert_eq!(name(1), "0000000000000001.log");
        assert_eq!((parse_name("1.log"), parse_name(&spare_name(1)), parse_name("LOCK")), (None, None, None));
        assert!(is_spare(&spare_name(1)) && !is_spare(&name(1)));
    }

    #[test]
    fn a_header_returns_and_a_flipped_bit_is_noticed() {
        let header = SegmentHeader { sequence: 1 << 40, previous_end: 77 };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(Some(header)));
        assert_eq!(SegmentHeader::decode(&bytes[..63]), Ok(None));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Ok(None), "bit {bit}");
        }
    }

    /// A header of version 1, made by another implementation of the layout above: these bytes are read for ever.
    #[test]
    fn the_first_version_is_read_for_ever() {
        let mut fixture = [0; START as usize];
        fixture[..26].copy_from_slice(b"TRILOG\0\0\x01\0\0\0\xa4\0\x8a\x4a\x05\0\0\0\0\0\0\0\0\x10");
        let header = SegmentHeader { sequence: 5, previous_end: 4096 };
        assert_eq!(header.encode(), fixture);
        assert_eq!(SegmentHeader::decode(&fixture), Ok(Some(header)));
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut bytes = SegmentHeader { sequence: 1, previous_end: 0 }.encode();
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let crc = crc32fast::hash(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(2));
    }
}
