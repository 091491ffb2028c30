//! Key values: what a partition or sort key may hold, how it is ordered on disk, and which shard it falls to.
//!
//! The ordered encoding makes byte order the order of values, so that a store that knows only bytes keeps items in sort-key order:
//!
//! ```text
//! S, B   = tag, bytes with 00 written as 00 FF, then 00 01
//! zero   = tag
//! number = tag of its sign, magnitude + 130, digits in pairs from the first one on; each pair p is the byte 2p + 1, the last 2p
//! ```
//!
//! All bytes of a negative number behind its tag are inverted. A shorter number sorts before one that continues it, because its
//! last byte is even where the other's is odd; a shorter string does, because 01 is less than FF and anything else.
//!
//! Invariants: encodings are prefix-free, so they can be put one behind the other and the order is that of the tuples; each value
//! has one encoding, and decoding refuses any other; for strings and binaries, [`encode_prefix`] of a value is a byte prefix of
//! the encodings of exactly those values that begin with it.
//!
//! The tags and the hash are on disk and in every shard map: they never change.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::{CodecError, take_byte};
use crate::number::{MAX_DIGITS, MIN_MAGNITUDE, Number};
use crate::value::AttributeValue;

const STRING: u8 = 0x10;
const NEGATIVE: u8 = 0x20;
const ZERO: u8 = 0x21;
const POSITIVE: u8 = 0x22;
const BINARY: u8 = 0x30;

/// Starts both an escaped zero byte and the end of a string.
const ESCAPE: u8 = 0x00;
/// Behind [`ESCAPE`]: a zero byte of the content.
const ESCAPED_ZERO: u8 = 0xff;
/// Behind [`ESCAPE`]: the end.
const END: u8 = 0x01;

/// Most pairs of digits in a number.
const MAX_PAIRS: usize = MAX_DIGITS as usize / 2;

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

impl KeyType {
    /// `S`, `N` or `B`, as in attribute definitions.
    pub fn as_str(&self) -> &'static str {
        match self {
            KeyType::S => "S",
            KeyType::N => "N",
            KeyType::B => "B",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<KeyType, NotAKey> {
        match text {
            "S" => Ok(KeyType::S),
            "N" => Ok(KeyType::N),
            "B" => Ok(KeyType::B),
            _ => Err(NotAKey),
        }
    }
}

/// A value or type name that is not S, N or B and so cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAKey;

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key attribute must be of type S, N or B")
    }
}

impl std::error::Error for NotAKey {}

/// The value of a key attribute.
///
/// `Ord` is the order of the encodings: within a type the service's sort order; the types stand in the order S, N, B, which
/// never matters, since a key attribute has one type for the life of its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum KeyValue {
    /// Text, ordered bytewise.
    S(String),
    /// A number, ordered numerically.
    N(Number),
    /// Bytes, ordered as unsigned.
    B(Vec<u8>),
}

impl KeyValue {
    /// The value's type.
    pub fn key_type(&self) -> KeyType {
        match self {
            KeyValue::S(_) => KeyType::S,
            KeyValue::N(_) => KeyType::N,
            KeyValue::B(_) => KeyType::B,
        }
    }

    /// Whether it is an empty string or binary, which the service refuses in keys.
    pub fn is_empty(&self) -> bool {
        match self {
            KeyValue::S(text) => text.is_empty(),
            KeyValue::N(_) => false,
            KeyValue::B(bytes) => bytes.is_empty(),
        }
    }
}

impl TryFrom<&AttributeValue> for KeyValue {
    type Error = NotAKey;

    fn try_from(value: &AttributeValue) -> Result<KeyValue, NotAKey> {
        match value {
            AttributeValue::S(text) => Ok(KeyValue::S(text.clone())),
            AttributeValue::N(number) => Ok(KeyValue::N(*number)),
            AttributeValue::B(bytes) => Ok(KeyValue::B(bytes.clone())),
            _ => Err(NotAKey),
        }
    }
}

impl TryFrom<AttributeValue> for KeyValue {
    type Error = NotAKey;

    fn try_from(value: AttributeValue) -> Result<KeyValue, NotAKey> {
        match value {
            AttributeValue::S(text) => Ok(KeyValue::S(text)),
            AttributeValue::N(number) => Ok(KeyValue::N(number)),
            AttributeValue::B(bytes) => Ok(KeyValue::B(bytes)),
            _ => Err(NotAKey),
        }
    }
}

impl From<KeyValue> for AttributeValue {
    fn from(value: KeyValue) -> AttributeValue {
        match value {
            KeyValue::S(text) => AttributeValue::S(text),
            KeyValue::N(number) => AttributeValue::N(number),
            KeyValue::B(bytes) => AttributeValue::B(bytes),
        }
    }
}

impl From<&KeyValue> for AttributeValue {
    fn from(value: &KeyValue) -> AttributeValue {
        value.clone().into()
    }
}

/// Appends the ordered encoding of a key value.
pub fn encode_ordered(value: &KeyValue, out: &mut Vec<u8>) {
    encode_prefix(value, out);
    if !matches!(value, KeyValue::N(_)) {
        out.extend_from_slice(&[ESCAPE, END]);
    }
}

/// Appends the ordered encoding without its end, for `begins_with`: the encodings of all values that begin with this one start
/// with these bytes. A number has no beginnings, so for it this is the whole encoding.
pub fn encode_prefix(value: &KeyValue, out: &mut Vec<u8>) {
    match value {
        KeyValue::S(text) => encode_escaped(STRING, text.as_bytes(), out),
        KeyValue::N(number) => encode_number(number, out),
        KeyValue::B(bytes) => encode_escaped(BINARY, bytes, out),
    }
}

fn encode_escaped(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    // Room for the end too; content with zero bytes is rare.
    out.reserve(bytes.len() + 3);
    out.push(tag);
    for (index, run) in bytes.split(|&byte| byte == 0).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[ESCAPE, ESCAPED_ZERO]);
        }
        out.extend_from_slice(run);
    }
}

fn encode_number(number: &Number, out: &mut Vec<u8>) {
    if number.is_zero() {
        out.push(ZERO);
        return;
    }
    out.push(if number.is_negative() { NEGATIVE } else { POSITIVE });
    let start = out.len();
    // There are 256 magnitudes, so the difference fits a byte.
    out.push((number.magnitude() - MIN_MAGNITUDE) as u8);
    let (pairs, count) = digit_pairs(number);
    let (last, others) = pairs[..count].split_last().expect("a number other than zero has a digit");
    out.extend(others.iter().map(|pair| pair * 2 + 1));
    out.push(last * 2);
    if number.is_negative() {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The digits in pairs from the first one on, a zero added to the last if their count is odd.
fn digit_pairs(number: &Number) -> ([u8; MAX_PAIRS], usize) {
    let digits = number.digits();
    let count = digits.div_ceil(2) as usize;
    // 38 is even: the padded coefficient stays below 10^38.
    let mut rest = number.coefficient() * if digits % 2 == 1 { 10 } else { 1 };
    let mut pairs = [0; MAX_PAIRS];
    for pair in pairs[..count].iter_mut().rev() {
        match u64::try_from(rest) {
            Ok(small) => {
                *pair = (small % 100) as u8;
                rest = u128::from(small / 100);
            }
            Err(_) => {
                *pair = (rest % 100) as u8;
                rest /= 100;
            }
        }
    }
    (pairs, count)
}

/// Takes a key value off the front of the input.
pub fn decode_ordered(input: &mut &[u8]) -> Result<KeyValue, CodecError> {
    match take_byte(input)? {
        STRING => {
            let bytes = decode_escaped(input)?;
            let text = String::from_utf8(bytes).map_err(|_| CodecError::Utf8)?;
            Ok(KeyValue::S(text))
        }
        NEGATIVE => decode_number(input, true).map(KeyValue::N),
        ZERO => Ok(KeyValue::N(Number::ZERO)),
        POSITIVE => decode_number(input, false).map(KeyValue::N),
        BINARY => decode_escaped(input).map(KeyValue::B),
        tag => Err(CodecError::Tag(tag)),
    }
}

fn decode_escaped(input: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    loop {
        let zero = input.iter().position(|&byte| byte == ESCAPE);
        let (run, rest) = input.split_at(zero.ok_or(CodecError::Truncated)?);
        bytes.extend_from_slice(run);
        match rest.get(1) {
            Some(&END) => {
                *input = &rest[2..];
                return Ok(bytes);
            }
            Some(&ESCAPED_ZERO) => {
                bytes.push(0);
                *input = &rest[2..];
            }
            Some(_) => return Err(CodecError::Escape),
            None => return Err(CodecError::Truncated),
        }
    }
}

fn decode_number(input: &mut &[u8], negative: bool) -> Result<Number, CodecError> {
    let inverted = if negative { 0xff } else { 0 };
    let magnitude = i32::from(take_byte(input)? ^ inverted) + MIN_MAGNITUDE;
    let mut coefficient = 0u128;
    for count in 1..=MAX_PAIRS as i32 {
        let byte = take_byte(input)? ^ inverted;
        let pair = byte / 2;
        // The first pair starts with the first digit, which is not zero; the last one holds the last digit that is not zero.
        if pair > 99 || (count == 1 && pair < 10) || byte == 0 {
            return Err(CodecError::Number);
        }
        coefficient = coefficient * 100 + u128::from(pair);
        if byte % 2 == 0 {
            return Number::from_parts(negative, coefficient, magnitude - (2 * count - 1))
                .map_err(|_| CodecError::Number);
        }
    }
    Err(CodecError::Number)
}

/// The hash that places a partition key: xxh3-64 over the type's tag and the raw bytes (of a number, its ordered encoding, so
/// that equal numbers hash alike). `seed` belongs to the table and never changes.
pub fn partition_hash(seed: u64, value: &KeyValue) -> u64 {
    match value {
        KeyValue::S(text) => hash_tagged(seed, STRING, text.as_bytes()),
        KeyValue::B(bytes) => hash_tagged(seed, BINARY, bytes),
        KeyValue::N(number) => {
            let mut encoded = Vec::with_capacity(2 + MAX_PAIRS);
            encode_number(number, &mut encoded);
            xxh3_64_with_seed(&encoded, seed)
        }
    }
}

fn hash_tagged(seed: u64, tag: u8, bytes: &[u8]) -> u64 {
    // Most keys are short: they are put behind their tag without an allocation.
    let mut short = [0; 128];
    let length = 1 + bytes.len();
    if length <= short.len() {
        short[0] = tag;
        short[1..length].copy_from_slice(bytes);
        return xxh3_64_with_seed(&short[..length], seed);
    }
    let mut long = Vec::with_capacity(length);
    long.push(tag);
    long.extend_from_slice(bytes);
    xxh3_64_with_seed(&long, seed)
}

#[cfg(test)]
mod tests;
