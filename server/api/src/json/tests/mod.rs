//! Tables of what is read and written, the family of bad input, and properties over arbitrary bytes.

mod decode;
mod encode;
mod faults;
mod properties;

use trilith_domain::OpError;
use trilith_values::AttributeValue;

use super::read::Reader;
use super::shape::FromJson;

/// Reads a whole text as one shape.
fn read<T: FromJson>(text: &str) -> Result<T, OpError> {
    let mut reader = Reader::new(text.as_bytes())?;
    let shape = T::from_json(&mut reader)?;
    reader.finish()?;
    Ok(shape)
}

/// Reads one attribute value, with the fault that decoding kept.
fn value(text: &str) -> Result<AttributeValue, OpError> {
    let mut reader = Reader::new(text.as_bytes())?;
    let value = AttributeValue::from_json(&mut reader)?;
    reader.finish()?;
    match reader.take_value_fault() {
        Some(fault) => Err(fault),
        None => Ok(value),
    }
}
