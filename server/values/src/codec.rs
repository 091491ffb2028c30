//! The compact binary form of values and items.
//!
//! ```text
//! value   = tag, then by tag: nothing (null, false, true) | frame (all the others) | number
//! frame   = length in bytes as varint, body of that length
//! body    = S: UTF-8   B: bytes   L: values   SS, BS: frames   NS: numbers   M: (name as frame, value) pairs
//! item    = frame of (name as frame, value) pairs
//! number  = header, then unless zero: exponent as zigzag varint, coefficient in little-endian bytes
//! header  = 0 for zero, else count of coefficient bytes (1 to 16), plus 0x80 when negative
//! varint  = seven bits a byte, lowest first, 0x80 set on all bytes but the last
//! ```
//!
//! A frame bears its length, so any value is skipped in one step, however large: [`ItemReader`] walks an item attribute by
//! attribute and decodes only those that are asked for. There is no version in here; whoever stores these bytes puts one around.
//!
//! Invariants: a value has one encoding (names and set elements ascend strictly, varints and numbers are minimal), and decoding
//! refuses any other, so equal bytes and equal values are the same question. Decoding never panics, recurses at most
//! [`MAX_DEPTH`] levels, and allocates only for elements that are present in the input, never for a length that is merely claimed.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::number::Number;
use crate::value::{AttributeValue, Item, Map};

/// Levels of lists and maps that can be decoded: twice what the service lets into an item.
pub const MAX_DEPTH: usize = 64;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const STRING: u8 = 3;
const NUMBER: u8 = 4;
const BINARY: u8 = 5;
const LIST: u8 = 6;
const MAP: u8 = 7;
const STRING_SET: u8 = 8;
const NUMBER_SET: u8 = 9;
const BINARY_SET: u8 = 10;

/// Set in a number's header when it is negative.
const NEGATIVE: u8 = 0x80;

/// Why bytes are not an encoded value or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecError {
    /// The input ends before the value does.
    Truncated,
    /// No type has this tag.
    Tag(u8),
    /// A length is longer than 64 bits, or has needless bytes.
    Varint,
    /// Text is not UTF-8.
    Utf8,
    /// A number out of range or not in normal form.
    Number,
    /// Names of a map or elements of a set that do not ascend.
    Order,
    /// Lists and maps nested deeper than [`MAX_DEPTH`].
    Depth,
    /// A zero byte in a key that neither escapes nor ends.
    Escape,
    /// Bytes left over after the value.
    Trailing,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Truncated => f.write_str("the encoded value is cut off"),
            CodecError::Tag(tag) => write!(f, "no value type has the tag {tag:#04x}"),
            CodecError::Varint => f.write_str("a length is malformed"),
            CodecError::Utf8 => f.write_str("text is not UTF-8"),
            CodecError::Number => f.write_str("a number is malformed"),
            CodecError::Order => f.write_str("names or set elements are not in ascending order"),
            CodecError::Depth => write!(f, "values are nested deeper than {MAX_DEPTH} levels"),
            CodecError::Escape => f.write_str("a key holds a stray zero byte"),
            CodecError::Trailing => f.write_str("bytes follow the encoded value"),
        }
    }
}

impl std::error::Error for CodecError {}

impl From<CodecError> for io::Error {
    fn from(error: CodecError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Appends a value. Values nested deeper than [`MAX_DEPTH`] cannot be read back: check [`AttributeValue::depth`] where they enter.
pub fn encode_value(out: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::Null => out.push(NULL),
        AttributeValue::Bool(false) => out.push(FALSE),
        AttributeValue::Bool(true) => out.push(TRUE),
        AttributeValue::S(text) => encode_tagged(out, STRING, text.as_bytes()),
        AttributeValue::B(bytes) => encode_tagged(out, BINARY, bytes),
        AttributeValue::N(number) => {
            out.push(NUMBER);
            encode_number(out, number);
        }
        AttributeValue::L(list) => encode_frame(out, LIST, |out| {
            list.iter().for_each(|value| encode_value(out, value));
        }),
        AttributeValue::M(map) => encode_frame(out, MAP, |out| encode_pairs(out, map)),
        AttributeValue::Ss(set) => encode_frame(out, STRING_SET, |out| {
            set.iter().for_each(|text| encode_bytes(out, text.as_bytes()));
        }),
        AttributeValue::Ns(set) => encode_frame(out, NUMBER_SET, |out| {
            set.iter().for_each(|number| encode_number(out, number));
        }),
        AttributeValue::Bs(set) => encode_frame(out, BINARY_SET, |out| {
            set.iter().for_each(|bytes| encode_bytes(out, bytes));
        }),
    }
}

/// Appends an item.
pub fn encode_item(out: &mut Vec<u8>, item: &Item) {
    let start = out.len();
    encode_pairs(out, item);
    prefix_length(out, start);
}

/// Appends a number: 1 byte for zero, 3 for a small integer, 19 at the most.
pub fn encode_number(out: &mut Vec<u8>, number: &Number) {
    let coefficient = number.coefficient();
    let count = (u128::BITS - coefficient.leading_zeros()).div_ceil(8) as usize;
    if count == 0 {
        out.push(0);
        return;
    }
    let sign = if number.is_negative() { NEGATIVE } else { 0 };
    out.push(sign | count as u8);
    encode_varint(out, zigzag(number.exponent()));
    out.extend_from_slice(&coefficient.to_le_bytes()[..count]);
}

/// Appends an unsigned integer in 1 to 10 bytes.
pub fn encode_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn encode_tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    encode_bytes(out, bytes);
}

/// Appends bytes as a frame.
fn encode_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn encode_pairs(out: &mut Vec<u8>, map: &Map) {
    for (name, value) in map {
        encode_bytes(out, name.as_bytes());
        encode_value(out, value);
    }
}

fn encode_frame(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    body(out);
    prefix_length(out, start);
}

/// Makes a frame of the bytes from `start` on. Moving the body by the few bytes of its length costs less than a first walk over
/// the tree to learn the length.
fn prefix_length(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    encode_varint(out, length as u64);
    let width = out.len() - start - length;
    out[start..].rotate_right(width);
}

/// Small numbers of either sign become small unsigned ones.
fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Takes a value off the front of the input.
pub fn decode_value(input: &mut &[u8]) -> Result<AttributeValue, CodecError> {
    decode_nested(input, MAX_DEPTH)
}

/// Takes an item off the front of the input.
pub fn decode_item(input: &mut &[u8]) -> Result<Item, CodecError> {
    let mut body = take_frame(input)?;
    decode_pairs(&mut body, MAX_DEPTH)
}

/// Takes a number off the front of the input.
pub fn decode_number(input: &mut &[u8]) -> Result<Number, CodecError> {
    let header = take_byte(input)?;
    let count = usize::from(header & !NEGATIVE);
    if header == 0 {
        return Ok(Number::ZERO);
    }
    if count == 0 || count > size_of::<u128>() {
        return Err(CodecError::Number);
    }
    let exponent = u32::try_from(decode_varint(input)?).map_err(|_| CodecError::Number)?;
    let exponent = unzigzag(exponent);
    let bytes = take(input, count)?;
    let mut wide = [0; size_of::<u128>()];
    wide[..count].copy_from_slice(bytes);
    let coefficient = u128::from_le_bytes(wide);
    // Only the minimal form passes: no zero byte on top, and nothing for normalisation to do.
    let number =
        Number::from_parts(header & NEGATIVE != 0, coefficient, exponent).map_err(|_| CodecError::Number)?;
    if bytes[count - 1] == 0 || number.coefficient() != coefficient {
        return Err(CodecError::Number);
    }
    Ok(number)
}

/// Takes an unsigned integer off the front of the input; only the shortest form is accepted.
pub fn decode_varint(input: &mut &[u8]) -> Result<u64, CodecError> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take_byte(input)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(CodecError::Varint);
        }
        value |= bits << shift;
        if byte < 0x80 {
            let minimal = byte != 0 || shift == 0;
            return if minimal { Ok(value) } else { Err(CodecError::Varint) };
        }
    }
    Err(CodecError::Varint)
}

/// The content of an encoded binary, in place; `None` for a value of another type.
pub fn binary_in_place(mut input: &[u8]) -> Result<Option<&[u8]>, CodecError> {
    match take_byte(&mut input)? {
        BINARY => take_frame(&mut input).map(Some),
        _ => Ok(None),
    }
}

/// Takes a value off the front of the input without looking inside; returns its bytes.
pub fn skip_value<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let start = *input;
    match take_byte(input)? {
        NULL | FALSE | TRUE => {}
        NUMBER => drop(decode_number(input)?),
        STRING | BINARY | LIST..=BINARY_SET => drop(take_frame(input)?),
        tag => return Err(CodecError::Tag(tag)),
    }
    Ok(&start[..start.len() - input.len()])
}

/// `levels` is how many more lists and maps may be entered.
fn decode_nested(input: &mut &[u8], levels: usize) -> Result<AttributeValue, CodecError> {
    Ok(match take_byte(input)? {
        NULL => AttributeValue::Null,
        FALSE => AttributeValue::Bool(false),
        TRUE => AttributeValue::Bool(true),
        STRING => AttributeValue::S(take_str(input)?.to_owned()),
        NUMBER => AttributeValue::N(decode_number(input)?),
        BINARY => AttributeValue::B(take_frame(input)?.to_vec()),
        LIST => AttributeValue::L(decode_list(take_frame(input)?, inner(levels)?)?),
        MAP => AttributeValue::M(decode_pairs(&mut take_frame(input)?, inner(levels)?)?),
        STRING_SET => {
            AttributeValue::Ss(decode_set(take_frame(input)?, |input| take_str(input).map(str::to_owned))?)
        }
        NUMBER_SET => AttributeValue::Ns(decode_set(take_frame(input)?, decode_number)?),
        BINARY_SET => {
            AttributeValue::Bs(decode_set(take_frame(input)?, |input| take_frame(input).map(<[u8]>::to_vec))?)
        }
        tag => return Err(CodecError::Tag(tag)),
    })
}

fn inner(levels: usize) -> Result<usize, CodecError> {
    levels.checked_sub(1).ok_or(CodecError::Depth)
}

fn decode_list(mut body: &[u8], levels: usize) -> Result<Vec<AttributeValue>, CodecError> {
    let mut list = Vec::new();
    while !body.is_empty() {
        list.push(decode_nested(&mut body, levels)?);
    }
    Ok(list)
}

fn decode_pairs(body: &mut &[u8], levels: usize) -> Result<Map, CodecError> {
    let mut pairs: Vec<(String, AttributeValue)> = Vec::new();
    while !body.is_empty() {
        let name = take_str(body)?;
        if pairs.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return Err(CodecError::Order);
        }
        pairs.push((name.to_owned(), decode_nested(body, levels)?));
    }
    // Collecting a sorted vector builds the tree in one pass.
    Ok(pairs.into_iter().collect())
}

fn decode_set<T: Ord>(
    mut body: &[u8],
    decode: impl Fn(&mut &[u8]) -> Result<T, CodecError>,
) -> Result<BTreeSet<T>, CodecError> {
    let mut elements: Vec<T> = Vec::new();
    while !body.is_empty() {
        let element = decode(&mut body)?;
        if elements.last().is_some_and(|last| *last >= element) {
            return Err(CodecError::Order);
        }
        elements.push(element);
    }
    Ok(elements.into_iter().collect())
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], CodecError> {
    let (taken, rest) = input.split_at_checked(count).ok_or(CodecError::Truncated)?;
    *input = rest;
    Ok(taken)
}

pub(crate) fn take_byte(input: &mut &[u8]) -> Result<u8, CodecError> {
    let (&byte, rest) = input.split_first().ok_or(CodecError::Truncated)?;
    *input = rest;
    Ok(byte)
}

fn take_frame<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let length = usize::try_from(decode_varint(input)?).map_err(|_| CodecError::Truncated)?;
    take(input, length)
}

fn take_str<'a>(input: &mut &'a [u8]) -> Result<&'a str, CodecError> {
    str::from_utf8(take_frame(input)?).map_err(|_| CodecError::Utf8)
}

/// Walks an encoded item in the order of its names, without building it.
///
/// Yields each name with the bytes of its value, for [`decode_value`]. After an error it ends.
#[derive(Clone, Debug)]
pub struct ItemReader<'a> {
    body: &'a [u8],
}

impl<'a> ItemReader<'a> {
    /// Takes an item off the front of the input, to be read later.
    pub fn new(input: &mut &'a [u8]) -> Result<ItemReader<'a>, CodecError> {
        Ok(ItemReader { body: take_frame(input)? })
    }

    /// The value of one attribute, if the item has it. Values in front of it are skipped, those behind are not touched.
    pub fn find(&self, name: &str) -> Result<Option<AttributeValue>, CodecError> {
        for pair in self.clone() {
            let (found, mut value) = pair?;
            if found >= name {
                // Names ascend: a greater one means that the wanted one is not there.
                return (found == name).then(|| decode_value(&mut value)).transpose();
            }
        }
        Ok(None)
    }

    fn take_pair(&mut self) -> Result<(&'a str, &'a [u8]), CodecError> {
        let name = take_str(&mut self.body)?;
        Ok((name, skip_value(&mut self.body)?))
    }
}

impl<'a> Iterator for ItemReader<'a> {
    type Item = Result<(&'a str, &'a [u8]), CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.body.is_empty() {
            return None;
        }
        let pair = self.take_pair();
        if pair.is_err() {
            self.body = &[];
        }
        Some(pair)
    }
}

/// For `#[borsh(serialize_with)]` on an [`Item`]: one frame instead of one for each attribute.
pub fn borsh_serialize_item<W: Write>(item: &Item, writer: &mut W) -> io::Result<()> {
    write_framed(writer, |out| encode_item(out, item))
}

/// For `#[borsh(deserialize_with)]` on an [`Item`].
pub fn borsh_deserialize_item<R: Read>(reader: &mut R) -> io::Result<Item> {
    read_framed(reader, decode_item)
}

impl BorshSerialize for Number {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_framed(writer, |out| encode_number(out, self))
    }
}

impl BorshDeserialize for Number {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Number> {
        read_framed(reader, decode_number)
    }
}

impl BorshSerialize for AttributeValue {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        write_framed(writer, |out| encode_value(out, self))
    }
}

impl BorshDeserialize for AttributeValue {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<AttributeValue> {
        read_framed(reader, decode_value)
    }
}

/// Writes an encoding as Borsh writes a byte vector: length in 32 bits, then the bytes. A reader cannot give back what it read
/// too much, so the length has to come first.
fn write_framed<W: Write>(writer: &mut W, encode: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes.serialize(writer)
}

fn read_framed<R: Read, T>(
    reader: &mut R,
    decode: impl FnOnce(&mut &[u8]) -> Result<T, CodecError>,
) -> io::Result<T> {
    let bytes = Vec::<u8>::deserialize_reader(reader)?;
    let mut input = &bytes[..];
    let value = decode(&mut input)?;
    match input.is_empty() {
        true => Ok(value),
        false => Err(CodecError::Trailing.into()),
    }
}

#[cfg(test)]
mod tests;
