//! Attribute values: JSON in, JSON out.
//!
//! A value is an object of one member, `{"S": "text"}`. Its JSON must have the right types (else a
//! `SerializationException`); what it holds is judged by the domain's value rules, and a fault there is kept in the
//! reader while decoding goes on (see [`super::read`]). Where a value is at fault, a `NULL` stands in its place: nobody
//! sees it, since the fault refuses the request.
//!
//! Recursion is bounded by the service's own limit of 32 levels of lists and maps; a deeper value is a fault, and is
//! skipped without recursion.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trilith_domain::OpError;
use trilith_domain::ops::value_rules;
use trilith_values::{AttributeValue, Map};

use super::read::{Read, Reader, serialization};
use super::shape::FromJson;
use super::write::{ToJson, Writer};

impl FromJson for AttributeValue {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        value(reader, 0)
    }

    fn from_json_or_null(reader: &mut Reader<'_>) -> Read<Self> {
        value(reader, 0)
    }
}

/// A value inside `level` lists and maps.
fn value(reader: &mut Reader<'_>, level: usize) -> Read<AttributeValue> {
    if reader.null()? {
        reader.keep_value_fault(value_rules::empty_value());
        return Ok(AttributeValue::Null);
    }
    let mut members = reader.structure()?;
    let mut found = None;
    let mut several = false;
    while let Some(name) = reader.member(&mut members)? {
        let Some(kind) = Descriptor::of(&name) else {
            reader.skip()?;
            continue;
        };
        if reader.null()? {
            continue;
        }
        let value = typed(reader, kind, level)?;
        several |= found.as_ref().is_some_and(|(other, _)| *other != kind);
        found = Some((kind, value));
    }
    match found {
        Some((_, value)) if !several => Ok(value),
        Some(_) => fault(reader, value_rules::several_types()),
        None => fault(reader, value_rules::empty_value()),
    }
}

/// The ten type descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Descriptor {
    S,
    N,
    B,
    Bool,
    Null,
    L,
    M,
    Ss,
    Ns,
    Bs,
}

impl Descriptor {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            "BOOL" => Self::Bool,
            "NULL" => Self::Null,
            "L" => Self::L,
            "M" => Self::M,
            "SS" => Self::Ss,
            "NS" => Self::Ns,
            "BS" => Self::Bs,
            _ => return None,
        })
    }
}

/// What stands under a type descriptor.
fn typed(reader: &mut Reader<'_>, kind: Descriptor, level: usize) -> Read<AttributeValue> {
    match kind {
        Descriptor::S => reader.text().map(|text| AttributeValue::S(text.into_owned())),
        Descriptor::N => {
            let text = reader.text()?;
            checked(reader, value_rules::number(&text))
        }
        Descriptor::B => binary(reader).map(AttributeValue::B),
        Descriptor::Bool => reader.boolean().map(AttributeValue::Bool),
        Descriptor::Null => {
            let is_null = reader.boolean()?;
            checked(reader, value_rules::null(is_null))
        }
        Descriptor::L => list(reader, level + 1),
        Descriptor::M => map(reader, level + 1),
        Descriptor::Ss => {
            let texts = Vec::from_json(reader)?;
            checked(reader, value_rules::string_set(texts))
        }
        Descriptor::Ns => {
            let texts = Vec::from_json(reader)?;
            checked(reader, value_rules::number_set(texts))
        }
        Descriptor::Bs => {
            let mut elements = reader.list()?;
            let mut list = Vec::new();
            while reader.element(&mut elements)? {
                list.push(binary(reader)?);
            }
            checked(reader, value_rules::binary_set(list))
        }
    }
}

/// A list at `level`, or what is left of it where that is too deep.
fn list(reader: &mut Reader<'_>, level: usize) -> Read<AttributeValue> {
    let mut elements = reader.list()?;
    if let Err(error) = value_rules::nesting(level) {
        while reader.element(&mut elements)? {
            reader.skip_all()?;
        }
        return fault(reader, error);
    }
    let mut list = Vec::new();
    while reader.element(&mut elements)? {
        list.push(value(reader, level)?);
    }
    Ok(AttributeValue::L(list))
}

/// A map at `level`, likewise.
fn map(reader: &mut Reader<'_>, level: usize) -> Read<AttributeValue> {
    let mut members = reader.structure()?;
    if let Err(error) = value_rules::nesting(level) {
        while reader.member(&mut members)?.is_some() {
            reader.skip_all()?;
        }
        return fault(reader, error);
    }
    let mut map = Map::new();
    while let Some(name) = reader.member(&mut members)? {
        let value = value(reader, level)?;
        map.insert(name.into_owned(), value);
    }
    Ok(AttributeValue::M(map))
}

/// `ExpressionAttributeValues`: a fault in it names its placeholder.
pub(super) fn expression_values(reader: &mut Reader<'_>) -> Read<Option<Map>> {
    if reader.null()? {
        return Ok(None);
    }
    let earlier = reader.take_value_fault();
    let mut members = reader.structure()?;
    let mut map = Map::new();
    let mut first = None;
    while let Some(name) = reader.member(&mut members)? {
        let value = value(reader, 0)?;
        if let Some(fault) = reader.take_value_fault() {
            first.get_or_insert_with(|| value_rules::in_expression_values(&fault, &name));
        }
        map.insert(name.into_owned(), value);
    }
    if let Some(fault) = earlier.or(first) {
        reader.keep_value_fault(fault);
    }
    Ok(Some(map))
}

/// Base64, strict: the standard alphabet, padded, without blanks.
fn binary(reader: &mut Reader<'_>) -> Read<Vec<u8>> {
    let text = reader.text()?;
    STANDARD.decode(text.as_bytes()).map_err(|error| serialization(format!("Invalid Base64: {error}")))
}

/// A rule's verdict: the value, or a kept fault with a stand-in.
fn checked(reader: &mut Reader<'_>, verdict: Result<AttributeValue, OpError>) -> Read<AttributeValue> {
    verdict.or_else(|error| fault(reader, error))
}

fn fault(reader: &mut Reader<'_>, error: OpError) -> Read<AttributeValue> {
    reader.keep_value_fault(error);
    Ok(AttributeValue::Null)
}

impl ToJson for AttributeValue {
    fn to_json(&self, out: &mut Writer) {
        out.object(|out| {
            out.name(self.type_name());
            match self {
                Self::S(text) => out.text(text),
                Self::N(number) => out.plain(number),
                Self::B(bytes) => out.base64(bytes),
                Self::Bool(value) => out.boolean(*value),
                Self::Null => out.boolean(true),
                Self::L(list) => list.to_json(out),
                Self::M(map) => map.to_json(out),
                Self::Ss(set) => out.array(set, |out, text| out.text(text)),
                Self::Ns(set) => out.array(set, |out, number| out.plain(number)),
                Self::Bs(set) => out.array(set, |out, bytes| out.base64(bytes)),
            }
        });
    }
}
