//! Attribute values to messages and back.

use std::collections::{BTreeMap, BTreeSet};

use trilith_proto::data::v1 as proto;
use trilith_proto::data::v1::attribute_value::Value;
use trilith_values::{AttributeValue, Item, Map, Number};

use crate::error::{Error, Result};

/// An item or key as a message.
pub fn item_out(item: Item) -> proto::Item {
    proto::Item { attributes: map_out(item) }
}

/// A map of values as a message's.
pub fn map_out(map: Map) -> BTreeMap<String, proto::AttributeValue> {
    map.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

/// A value as a message.
pub fn value_out(value: AttributeValue) -> proto::AttributeValue {
    let value = match value {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(number) => Value::N(number.to_string()),
        AttributeValue::B(bytes) => Value::B(bytes),
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::Null => Value::Null(true),
        AttributeValue::L(list) => {
            Value::L(proto::List { values: list.into_iter().map(value_out).collect() })
        }
        AttributeValue::M(map) => Value::M(proto::Map { entries: map_out(map) }),
        AttributeValue::Ss(set) => Value::Ss(proto::StringSet { values: set.into_iter().collect() }),
        AttributeValue::Ns(set) => {
            Value::Ns(proto::NumberSet { values: set.iter().map(ToString::to_string).collect() })
        }
        AttributeValue::Bs(set) => Value::Bs(proto::BinarySet { values: set.into_iter().collect() }),
    };
    proto::AttributeValue { value: Some(value) }
}

/// An item or key of an answer.
pub fn item_in(item: proto::Item) -> Result<Item> {
    map_in(item.attributes)
}

/// Items of an answer.
pub fn items_in(items: Vec<proto::Item>) -> Result<Vec<Item>> {
    items.into_iter().map(item_in).collect()
}

fn map_in(map: BTreeMap<String, proto::AttributeValue>) -> Result<Map> {
    map.into_iter().map(|(name, value)| Ok((name, value_in(value)?))).collect()
}

/// The recursion is bounded: the decoder took at most 100 nested messages.
fn value_in(value: proto::AttributeValue) -> Result<AttributeValue> {
    let value =
        value.value.ok_or_else(|| Error::protocol("the server answered with a value of no known type"))?;
    Ok(match value {
        Value::S(text) => AttributeValue::S(text),
        Value::N(text) => AttributeValue::N(number_in(&text)?),
        Value::B(bytes) => AttributeValue::B(bytes),
        Value::Bool(flag) => AttributeValue::Bool(flag),
        Value::Null(_) => AttributeValue::Null,
        Value::L(list) => AttributeValue::L(list.values.into_iter().map(value_in).collect::<Result<_>>()?),
        Value::M(map) => AttributeValue::M(map_in(map.entries)?),
        Value::Ss(set) => AttributeValue::Ss(set.values.into_iter().collect()),
        Value::Ns(set) => AttributeValue::Ns(
            set.values.iter().map(|text| number_in(text)).collect::<Result<BTreeSet<_>>>()?,
        ),
        Value::Bs(set) => AttributeValue::Bs(set.values.into_iter().collect()),
    })
}

fn number_in(text: &str) -> Result<Number> {
    Number::parse(text)
        .map_err(|error| Error::protocol(format!("the server answered with a bad number: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_goes_out_and_comes_back() {
        let number = |text| Number::parse(text).expect("a number");
        let values = [
            AttributeValue::S("ü".into()),
            AttributeValue::N(number("-1.5E-120")),
            AttributeValue::B(vec![0, 255]),
            AttributeValue::Bool(true),
            AttributeValue::Null,
            AttributeValue::L(vec![AttributeValue::Null, AttributeValue::L(vec![])]),
            AttributeValue::M(Map::from([("a".into(), AttributeValue::M(Map::new()))])),
            AttributeValue::Ss(["a".to_owned(), "b".to_owned()].into()),
            AttributeValue::Ns([number("1"), number("12345678901234567890123456789012345678")].into()),
            AttributeValue::Bs([vec![], vec![1]].into()),
        ];
        let item: Item = values.into_iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect();
        assert_eq!(item_in(item_out(item.clone())), Ok(item));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_panic() {
        assert!(value_in(proto::AttributeValue { value: None }).is_err());
        assert!(value_in(proto::AttributeValue { value: Some(Value::N("x".into())) }).is_err());
    }
}
