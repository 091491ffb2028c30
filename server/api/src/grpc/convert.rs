//! Attribute values, enums and shared shapes between protobuf and the domain.
//!
//! Inwards, values are made by the domain's value rules only. A faulty one leaves a stand-in and a kept fault (the
//! first counts), since the service reports it after the checks of the request's shape: see [`Values`].
//!
//! Recursion is bounded twice: the decoder took at most 100 nested messages, and of those the value rules take 32
//! levels.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use trilith_domain::OpError;
use trilith_domain::ops::types::{ConsumedCapacity, HalfUnits, ItemCollectionMetrics, UnitKind, ValueFault};
use trilith_domain::ops::value_rules;
use trilith_domain::time::Stamp;
use trilith_proto::data::v1 as proto;
use trilith_proto::data::v1::attribute_value::Value;
use trilith_values::{AttributeValue, Item, Map};

/// Makes the values of one request, and keeps the first fault met.
#[derive(Debug, Default)]
pub struct Values {
    fault: ValueFault,
}

impl Values {
    /// The first fault, for the input.
    pub fn fault(self) -> ValueFault {
        self.fault
    }

    /// An item or key, where one was sent.
    pub fn item(&mut self, item: Option<proto::Item>) -> Option<Item> {
        item.map(|item| self.map(item.attributes, 0))
    }

    /// `ExpressionAttributeValues`: an empty map is an absent one, and a fault names its placeholder.
    pub fn expression_values(&mut self, values: BTreeMap<String, proto::AttributeValue>) -> Option<Map> {
        let earlier = self.fault.take();
        let mut first = None;
        let mut map = Map::new();
        for (name, value) in values {
            let value = self.value(value, 0);
            if let Some(fault) = self.fault.take() {
                first.get_or_insert_with(|| value_rules::in_expression_values(&fault, &name));
            }
            map.insert(name, value);
        }
        self.fault = earlier.or(first);
        (!map.is_empty()).then_some(map)
    }

    /// A value inside `level` lists and maps.
    pub fn value(&mut self, value: proto::AttributeValue, level: usize) -> AttributeValue {
        let verdict = match value.value {
            None => Err(value_rules::empty_value()),
            Some(Value::S(text)) => Ok(AttributeValue::S(text)),
            Some(Value::N(text)) => value_rules::number(&text),
            Some(Value::B(bytes)) => Ok(AttributeValue::B(bytes)),
            Some(Value::Bool(flag)) => Ok(AttributeValue::Bool(flag)),
            Some(Value::Null(flag)) => value_rules::null(flag),
            Some(Value::L(list)) => value_rules::nesting(level + 1).map(|()| {
                AttributeValue::L(list.values.into_iter().map(|value| self.value(value, level + 1)).collect())
            }),
            Some(Value::M(map)) => {
                value_rules::nesting(level + 1).map(|()| AttributeValue::M(self.map(map.entries, level + 1)))
            }
            Some(Value::Ss(set)) => value_rules::string_set(set.values),
            Some(Value::Ns(set)) => value_rules::number_set(set.values),
            Some(Value::Bs(set)) => value_rules::binary_set(set.values),
        };
        verdict.unwrap_or_else(|fault: OpError| {
            self.fault.get_or_insert(fault);
            AttributeValue::Null
        })
    }

    fn map(&mut self, entries: BTreeMap<String, proto::AttributeValue>, level: usize) -> Map {
        entries.into_iter().map(|(name, value)| (name, self.value(value, level))).collect()
    }
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

/// An item or key as a message.
pub fn item_out(item: Item) -> proto::Item {
    proto::Item { attributes: map_out(item) }
}

fn map_out(map: Map) -> BTreeMap<String, proto::AttributeValue> {
    map.into_iter().map(|(name, value)| (name, value_out(value))).collect()
}

/// Consumed capacity as a message; units are shown as a double.
pub fn capacity_out(capacity: ConsumedCapacity) -> proto::ConsumedCapacity {
    let units = capacity.capacity_units.as_f64();
    proto::ConsumedCapacity {
        table_name: capacity.table_name,
        capacity_units: units,
        table_capacity_units: capacity.table.map(|units| units.as_f64()),
        read_capacity_units: (capacity.kind == Some(UnitKind::Read)).then_some(units),
        write_capacity_units: (capacity.kind == Some(UnitKind::Write)).then_some(units),
        local_secondary_indexes: index_parts(capacity.local),
        global_secondary_indexes: index_parts(capacity.global),
        vector_indexes: capacity.vector.into_iter().map(|(index, bytes)| (index, bytes as f64)).collect(),
    }
}

fn index_parts(parts: BTreeMap<String, HalfUnits>) -> BTreeMap<String, f64> {
    parts.into_iter().map(|(index, units)| (index, units.as_f64())).collect()
}

/// An item collection's size.
pub fn metrics_out(metrics: ItemCollectionMetrics) -> proto::ItemCollectionMetrics {
    proto::ItemCollectionMetrics {
        item_collection_key: Some(item_out(metrics.item_collection_key)),
        size_estimate_range_gb: vec![metrics.size_from_gb as f64, (metrics.size_from_gb + 1) as f64],
    }
}

/// A stamp as a point in time.
pub fn timestamp(stamp: Stamp) -> Timestamp {
    // Both fit: microseconds in a u64 are at most 1.8e13 seconds, and the rest is below a million.
    Timestamp { seconds: (stamp.0 / 1_000_000) as i64, nanos: (stamp.0 % 1_000_000) as i32 * 1000 }
}

/// A required text: protobuf cannot tell an empty one from an absent one, so it counts as absent.
pub fn required(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A list: an empty one counts as absent.
pub fn list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A map: an empty one counts as absent.
pub fn map<T>(map: BTreeMap<String, T>) -> Option<BTreeMap<String, T>> {
    (!map.is_empty()).then_some(map)
}

/// An enum whose values are the service's names behind a prefix, as protobuf's style asks for.
pub trait Named: TryFrom<i32> + Into<i32> {
    /// What stands before the service's name, such as `RETURN_VALUE_`.
    const PREFIX: &'static str;

    /// The full name in the `.proto` file.
    fn full_name(&self) -> &'static str;

    /// The value of a full name.
    fn of_full_name(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($name:ident $prefix:literal),* $(,)?) => {$(
        impl Named for proto::$name {
            const PREFIX: &'static str = $prefix;

            fn full_name(&self) -> &'static str {
                self.as_str_name()
            }

            fn of_full_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }
        }
    )*};
}

named! {
    ReturnValue "RETURN_VALUE_",
    ReturnValuesOnConditionCheckFailure "RETURN_VALUES_ON_CONDITION_CHECK_FAILURE_",
    ReturnConsumedCapacity "RETURN_CONSUMED_CAPACITY_",
    ReturnItemCollectionMetrics "RETURN_ITEM_COLLECTION_METRICS_",
    Select "SELECT_",
    KeyType "KEY_TYPE_",
    ProjectionType "PROJECTION_TYPE_",
    IndexStatus "INDEX_STATUS_",
    SearchSchemaElementType "SEARCH_SCHEMA_ELEMENT_TYPE_",
    VectorDistanceFunction "VECTOR_DISTANCE_FUNCTION_",
    ScalarAttributeType "SCALAR_ATTRIBUTE_TYPE_",
    BillingMode "BILLING_MODE_",
    TableClass "TABLE_CLASS_",
    TableStatus "TABLE_STATUS_",
}

/// The service's name of an enum's value: `None` for unspecified, and for a value that this version does not know its
/// number, which the operation's own check then refuses.
pub fn name_of<E: Named>(value: i32) -> Option<String> {
    if value == 0 {
        return None;
    }
    let known = E::try_from(value).ok();
    let name = known.as_ref().and_then(|known| known.full_name().strip_prefix(E::PREFIX));
    Some(name.map_or_else(|| value.to_string(), str::to_owned))
}

/// The enum's value of a service's name; unspecified for one that the messages do not have.
pub fn value_of<E: Named>(name: &str) -> i32 {
    E::of_full_name(&format!("{}{name}", E::PREFIX)).map_or(0, Into::into)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trilith_values::Number;

    use super::*;

    fn number() -> impl Strategy<Value = Number> {
        (any::<i64>(), -80..80i32)
            .prop_map(|(digits, power)| Number::parse(&format!("{digits}E{power}")).expect("in range"))
    }

    fn values() -> impl Strategy<Value = AttributeValue> {
        let leaf = prop_oneof![
            ".{0,8}".prop_map(AttributeValue::S),
            number().prop_map(AttributeValue::N),
            any::<Vec<u8>>().prop_map(AttributeValue::B),
            any::<bool>().prop_map(AttributeValue::Bool),
            Just(AttributeValue::Null),
            prop::collection::btree_set(".{0,4}", 1..4).prop_map(AttributeValue::Ss),
            prop::collection::btree_set(number(), 1..4).prop_map(AttributeValue::Ns),
            prop::collection::btree_set(any::<Vec<u8>>(), 1..4).prop_map(AttributeValue::Bs),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(AttributeValue::L),
                prop::collection::btree_map(".{0,4}", inner, 0..5).prop_map(AttributeValue::M),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_go_out_and_come_back(item in prop::collection::btree_map(".{0,6}", values(), 0..5)) {
            use prost::Message;
            let bytes = item_out(item.clone()).encode_to_vec();
            let mut values = Values::default();
            let back = values.item(Some(proto::Item::decode(&bytes[..]).expect("decodes")));
            prop_assert_eq!(back, Some(item));
            prop_assert_eq!(values.fault(), None);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in any::<Vec<u8>>()) {
            use prost::Message;
            if let Ok(item) = proto::Item::decode(&bytes[..]) {
                Values::default().item(Some(item));
            }
        }
    }

    fn fault(value: Value) -> String {
        let mut values = Values::default();
        assert_eq!(values.value(proto::AttributeValue { value: Some(value) }, 0), AttributeValue::Null);
        values.fault().expect("a fault").message().to_owned()
    }

    #[test]
    fn faults_are_those_of_the_value_rules() {
        assert_eq!(fault(Value::N("x".into())), "The parameter cannot be converted to a numeric value: x");
        assert!(fault(Value::Null(false)).ends_with("must have the value of true"));
        let twice = proto::StringSet { values: vec!["a".into(), "a".into()] };
        assert!(fault(Value::Ss(twice)).contains("contains duplicates"));
        assert!(fault(Value::Bs(proto::BinarySet::default())).contains("should not be empty"));
        let mut values = Values::default();
        values.value(proto::AttributeValue { value: None }, 0);
        assert_eq!(values.fault(), Some(value_rules::empty_value()));
    }

    #[test]
    fn thirty_two_levels_are_taken_and_no_more() {
        let nested = |levels: usize| {
            let leaf = proto::AttributeValue { value: Some(Value::Null(true)) };
            (0..levels).fold(leaf, |inner, _| proto::AttributeValue {
                value: Some(Value::L(proto::List { values: vec![inner] })),
            })
        };
        let mut values = Values::default();
        assert_eq!(values.value(nested(32), 0).depth(), 32);
        assert_eq!(values.fault, None);
        values.value(nested(33), 0);
        assert_eq!(values.fault(), Some(value_rules::too_deep()));
    }

    #[test]
    fn the_first_fault_counts_and_expression_values_name_their_placeholder() {
        let bad = || proto::AttributeValue { value: Some(Value::N("x".into())) };
        let mut values = Values::default();
        let map = values.expression_values([(":b".to_owned(), bad()), (":a".to_owned(), bad())].into());
        assert_eq!(map.map(|map| map.len()), Some(2));
        let fault = values.fault.clone().expect("a fault");
        assert!(fault.message().ends_with("for key :a"), "{fault}");
        values.value(proto::AttributeValue { value: None }, 0);
        assert_eq!(values.fault(), Some(fault));
        assert_eq!(Values::default().expression_values(BTreeMap::new()), None);
    }

    #[test]
    fn enums_bear_the_services_names() {
        assert_eq!(
            name_of::<proto::ReturnValue>(proto::ReturnValue::AllOld.into()).as_deref(),
            Some("ALL_OLD")
        );
        assert_eq!(name_of::<proto::ReturnValue>(0), None);
        assert_eq!(name_of::<proto::ReturnValue>(77).as_deref(), Some("77"));
        assert_eq!(value_of::<proto::TableStatus>("ACTIVE"), i32::from(proto::TableStatus::Active));
        assert_eq!(value_of::<proto::TableStatus>("ASLEEP"), 0);
    }

    /// A prefix that does not fit its enum would show as a number instead of a name.
    #[test]
    fn every_prefix_fits_its_enum() {
        fn fits<E: Named>() {
            let mut value = 1;
            while let Ok(known) = E::try_from(value) {
                let full = known.full_name();
                let name = name_of::<E>(value).expect("specified");
                assert_eq!(format!("{}{name}", E::PREFIX), full);
                assert_eq!(value_of::<E>(&name), value);
                value += 1;
            }
            assert!(value > 2, "an enum has values");
        }
        fits::<proto::ReturnValue>();
        fits::<proto::ReturnValuesOnConditionCheckFailure>();
        fits::<proto::ReturnConsumedCapacity>();
        fits::<proto::ReturnItemCollectionMetrics>();
        fits::<proto::Select>();
        fits::<proto::KeyType>();
        fits::<proto::ProjectionType>();
        fits::<proto::IndexStatus>();
        fits::<proto::SearchSchemaElementType>();
        fits::<proto::VectorDistanceFunction>();
        fits::<proto::ScalarAttributeType>();
        fits::<proto::BillingMode>();
        fits::<proto::TableClass>();
        fits::<proto::TableStatus>();
    }

    #[test]
    fn stamps_keep_their_microseconds() {
        let time = timestamp(Stamp(1_700_000_000_123_456));
        assert_eq!((time.seconds, time.nanos), (1_700_000_000, 123_456_000));
    }
}
