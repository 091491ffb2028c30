//! Keys and items against a table's key schema: the checks that need the descriptor, and their texts (contract 14.3).

use trilith_values::key::{KeyType, KeyValue, partition_hash};
use trilith_values::size::{item_size, key_value_size};
use trilith_values::{AttributeValue, Item};

use crate::catalog::{TableRecord, TableStatus};
use crate::error::OpError;
use crate::expr::Path;
use crate::item::ItemKey;
use crate::limits;
use crate::schema::KeyAttribute;

/// Data can be read and written while a table is active or being altered. Before and after, it is not found.
pub(super) fn check_usable(record: &TableRecord) -> Result<(), OpError> {
    match record.status {
        TableStatus::Active | TableStatus::Updating => Ok(()),
        TableStatus::Creating | TableStatus::Deleting => {
            Err(OpError::ResourceNotFound("Requested resource not found".to_owned()))
        }
    }
}

/// The answer to a `Key` that is not the table's key: wrong names, number or types of attributes.
pub(super) fn no_match() -> OpError {
    OpError::validation("The provided key element does not match the schema")
}

/// The key that a `Key` member means: exactly the table's key attributes, each of its declared type.
pub(super) fn key_of_map(record: &TableRecord, map: &Item) -> Result<ItemKey, OpError> {
    let definition = &record.definition;
    if map.len() != 1 + usize::from(definition.range.is_some()) {
        return Err(no_match());
    }
    let element = |attribute: &KeyAttribute| {
        let value = map.get(&attribute.name).and_then(|value| KeyValue::try_from(value).ok());
        value.filter(|value| value.key_type() == attribute.kind).ok_or_else(no_match)
    };
    let partition = element(&definition.hash)?;
    let sort = definition.range.as_ref().map(element).transpose()?;
    key(record, partition, sort)
}

/// The key of a whole item that is about to be put.
pub(super) fn key_of_item(record: &TableRecord, item: &Item) -> Result<ItemKey, OpError> {
    let partition = key_attribute(item, &record.definition.hash)?;
    let sort = record.definition.range.as_ref().map(|range| key_attribute(item, range)).transpose()?;
    key(record, partition, sort)
}

/// A key attribute of an item, there and of its declared type.
fn key_attribute(item: &Item, attribute: &KeyAttribute) -> Result<KeyValue, OpError> {
    let KeyAttribute { name, kind } = attribute;
    let Some(value) = item.get(name) else {
        let text = format!("One or more parameter values were invalid: Missing the key {name} in the item");
        return Err(OpError::Validation(text));
    };
    match KeyValue::try_from(value) {
        Ok(value) if value.key_type() == *kind => Ok(value),
        _ => Err(OpError::Validation(format!(
            "One or more parameter values were invalid: Type mismatch for key {name} expected: {} actual: {}",
            type_name(*kind),
            value.type_name()
        ))),
    }
}

/// A key from values of the right types: not empty, not too long, and placed by its hash.
fn key(record: &TableRecord, partition: KeyValue, sort: Option<KeyValue>) -> Result<ItemKey, OpError> {
    check_not_empty(&record.definition.hash.name, &partition)?;
    if let (Some(range), Some(sort)) = (&record.definition.range, &sort) {
        check_not_empty(&range.name, sort)?;
    }
    check_partition_size(&partition)?;
    sort.as_ref().map_or(Ok(()), check_sort_size)?;
    Ok(ItemKey { hash: partition_hash(record.seed, &partition), partition, sort })
}

fn check_not_empty(name: &str, value: &KeyValue) -> Result<(), OpError> {
    if !value.is_empty() {
        return Ok(());
    }
    let kind = if value.key_type() == KeyType::B { "binary" } else { "string" };
    Err(empty_key(name, kind))
}

/// The answer to an empty value of a key attribute.
fn empty_key(name: &str, kind: &str) -> OpError {
    OpError::Validation(format!(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
         {kind} value. Key: {name}"
    ))
}

/// No key attribute of a `Key` or of an item is empty, whatever else is the matter with it.
pub(super) fn check_filled(record: &TableRecord, item: &Item) -> Result<(), OpError> {
    for KeyAttribute { name, .. } in std::iter::once(&record.definition.hash).chain(&record.definition.range)
    {
        match item.get(name) {
            Some(AttributeValue::S(text)) if text.is_empty() => return Err(empty_key(name, "string")),
            Some(AttributeValue::B(bytes)) if bytes.is_empty() => return Err(empty_key(name, "binary")),
            _ => {}
        }
    }
    Ok(())
}

/// The service's text has no blank before the number.
pub(super) fn check_partition_size(value: &KeyValue) -> Result<(), OpError> {
    if key_value_size(value) <= limits::PARTITION_KEY_MAX {
        return Ok(());
    }
    let max = limits::PARTITION_KEY_MAX;
    Err(OpError::Validation(format!(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of{max} bytes"
    )))
}

fn check_sort_size(value: &KeyValue) -> Result<(), OpError> {
    if key_value_size(value) <= limits::SORT_KEY_MAX {
        return Ok(());
    }
    let max = limits::SORT_KEY_MAX;
    Err(OpError::Validation(format!(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
         {max} bytes"
    )))
}

/// A key as the wire shows it.
pub(super) fn item_of_key(record: &TableRecord, key: &ItemKey) -> Item {
    let mut item = Item::from([(record.definition.hash.name.clone(), AttributeValue::from(&key.partition))]);
    if let (Some(range), Some(sort)) = (&record.definition.range, &key.sort) {
        item.insert(range.name.clone(), AttributeValue::from(sort));
    }
    item
}

/// Whether `name` is one of the table's key attributes.
pub(super) fn is_key_attribute(record: &TableRecord, name: &str) -> bool {
    let definition = &record.definition;
    definition.hash.name == name || definition.range.as_ref().is_some_and(|range| range.name == name)
}

/// Paths of an expression may name a key attribute, and not lead into one: it is a scalar. Contract: silent; the text and
/// the places are DynamoDB Local's, and dynalite has them from the service.
pub(super) fn check_scalar<'p>(
    record: &TableRecord,
    paths: impl IntoIterator<Item = &'p Path>,
) -> Result<(), OpError> {
    let nested: Vec<&str> =
        paths.into_iter().filter(|path| path.is_nested()).map(|path| path.root()).collect();
    if nested.is_empty() {
        return Ok(());
    }
    let definition = &record.definition;
    let mut key = std::iter::once(&definition.hash).chain(&definition.range);
    match key.find(|attribute| nested.contains(&attribute.name.as_str())) {
        None => Ok(()),
        Some(attribute) => Err(OpError::Validation(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: {}",
            attribute.name
        ))),
    }
}

/// Whether an item that is about to be put can be in the table's indexes.
pub(super) fn check_index_keys(record: &TableRecord, item: &Item) -> Result<(), OpError> {
    let mut indexes = record.live_indexes();
    indexes.try_for_each(|index| index.schema.check(item)).map_err(OpError::Validation)
}

/// What can be checked of an item without its table: names, nesting, size.
pub(super) fn check_item(item: &Item) -> Result<(), OpError> {
    check_names(item)?;
    if item.values().any(|value| value.depth() > limits::NESTING_MAX) {
        return Err(super::value_rules::too_deep());
    }
    if item_size(item) > limits::ITEM_SIZE_MAX {
        return Err(OpError::validation("Item size has exceeded the maximum allowed size"));
    }
    Ok(())
}

/// Attribute names have 1 to 65535 bytes. The texts are not the service's, which are not known.
fn check_names(item: &Item) -> Result<(), OpError> {
    for name in item.keys() {
        if name.is_empty() {
            return Err(OpError::validation(
                "One or more parameter values were invalid: Attribute name must not be empty",
            ));
        }
        if name.len() > limits::ATTRIBUTE_NAME_MAX {
            return Err(OpError::validation(
                "One or more parameter values were invalid: Attribute name is too long, it must have at most 65535 bytes",
            ));
        }
    }
    Ok(())
}

/// A key type's descriptor.
pub(super) fn type_name(kind: KeyType) -> &'static str {
    match kind {
        KeyType::S => "S",
        KeyType::N => "N",
        KeyType::B => "B",
    }
}
