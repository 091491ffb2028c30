//! How a shape is read from JSON: one trait, its scalars and collections, and the macro for structures.
//!
//! A structure lists its members once, wire name to field. The macro makes the loop over members: a listed one is
//! read into its field (`null` leaves it absent), one that the service has and this server has not is reported in
//! `not_built` where it asks for anything, and any other is skipped. Whether a member is required, how long it may be
//! and which values it takes is not decided here: that is the operation's `parse`.

use std::collections::BTreeMap;

use super::read::{Read, Reader};

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Reads the value that comes next; never a `null`, which is the caller's matter.
    fn from_json(reader: &mut Reader<'_>) -> Read<Self>;

    /// What a `null` means where a value must stand (a list's element, a map's value): mostly the same complaint as
    /// about any other wrong kind.
    fn from_json_or_null(reader: &mut Reader<'_>) -> Read<Self> {
        Self::from_json(reader)
    }
}

/// Reads a member's value; `null` is an absent member.
pub fn optional<T: FromJson>(reader: &mut Reader<'_>) -> Read<Option<T>> {
    if reader.null()? {
        return Ok(None);
    }
    T::from_json(reader).map(Some)
}

impl FromJson for String {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        reader.text().map(|text| text.into_owned())
    }
}

impl FromJson for bool {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        reader.boolean()
    }
}

impl FromJson for i64 {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        reader.integer()
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        let mut elements = reader.list()?;
        let mut list = Vec::new();
        while reader.element(&mut elements)? {
            list.push(T::from_json_or_null(reader)?);
        }
        Ok(list)
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(reader: &mut Reader<'_>) -> Read<Self> {
        let mut members = reader.structure()?;
        let mut map = BTreeMap::new();
        while let Some(name) = reader.member(&mut members)? {
            let value = T::from_json_or_null(reader)?;
            map.insert(name.into_owned(), value);
        }
        Ok(map)
    }
}

/// Records that a member was sent that is not built here, unless what was sent asks for nothing.
pub fn not_built(reader: &mut Reader<'_>, name: &'static str, found: &mut Vec<&'static str>) -> Read<()> {
    if reader.skip_asking()? && !found.contains(&name) {
        found.push(name);
    }
    Ok(())
}

/// Implements [`FromJson`] for a structure with a `Default`: wire names to fields; then, for types that have the
/// fields for it, the member of expression values (whose faults name their placeholder), wire names that are not built (`not_built`), and
/// `takes faults` for an operation's input, which carries the first fault of an attribute value (`value_fault`).
macro_rules! structure {
    ($type:ty { $($wire:literal => $field:ident),* $(,)? }
        $(values { $values:literal => $values_field:ident })?
        $(not built { $($other:literal),* $(,)? })?
        $(takes $value_fault:ident)?
    ) => {
        impl $crate::json::shape::FromJson for $type {
            fn from_json(reader: &mut $crate::json::read::Reader<'_>) -> $crate::json::read::Read<Self> {
                // A type without members is never changed.
                #[allow(unused_mut)]
                let mut made = Self::default();
                let mut members = reader.structure()?;
                while let Some(name) = reader.member(&mut members)? {
                    match &*name {
                        $($wire => made.$field = $crate::json::shape::optional(reader)?,)*
                        $($values => made.$values_field = $crate::json::value::expression_values(reader)?,)?
                        $($($other => {
                            $crate::json::shape::not_built(reader, $other, &mut made.not_built)?;
                        })*)?
                        _ => reader.skip()?,
                    }
                }
                $(made.$value_fault = reader.take_value_fault();)?
                Ok(made)
            }
        }
    };
}
pub(crate) use structure;
