//! What the tests of several modules share: rows in a map, expressions from text, small tables, random values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;
use trilith_values::{AttributeValue, Item, KeyType, KeyValue, Number, SchemaVersion, TableId};

use crate::expr::{Condition, ExpressionKind, Placeholders, Projection, Update};
use crate::item::ItemKey;
use crate::keyspace::Family;
use crate::machine::{Batch, Effect, Effects, Prefetched, reads_of};
use crate::read::{View, ViewError, Visit};
use crate::schema::{KeyAttribute, TableSchema};

/// A store in a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows(pub(crate) BTreeMap<(Family, Bytes), Bytes>);

impl Rows {
    pub(crate) fn write(&mut self, effects: Effects) {
        for effect in effects.0 {
            match effect {
                Effect::Put { family, key, value } => drop(self.0.insert((family, key), value)),
                Effect::Delete { family, key } => drop(self.0.remove(&(family, key))),
                Effect::DeleteRange { family, start, end } => {
                    self.0.retain(|(of, key), _| *of != family || *key < start || *key >= end)
                }
            }
        }
    }

    pub(crate) fn fetch(&self, batches: &[&Batch]) -> Prefetched {
        let mut fetched = Prefetched::default();
        for (family, key) in batches.iter().flat_map(|batch| reads_of(batch)) {
            let value = self.0.get(&(family, key.clone())).cloned();
            fetched.insert(family, key, value);
        }
        fetched
    }

    /// Keys and values of a range, in order.
    pub(crate) fn range(&self, family: Family, start: &[u8], end: &[u8]) -> Vec<(Bytes, Bytes)> {
        let (start, end) = (Bytes::copy_from_slice(start), Bytes::copy_from_slice(end));
        if start >= end {
            return Vec::new();
        }
        let rows = self.0.range((family, start)..(family, end));
        rows.map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }
}

impl View for Rows {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        Ok(self.0.get(&(family, Bytes::copy_from_slice(key))).cloned())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        let mut rows = self.range(family, start, end);
        if reverse {
            rows.reverse();
        }
        let _ = rows.iter().try_for_each(|(key, value)| match visit(key, value) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(()),
        });
        Ok(())
    }
}

pub(crate) fn number(value: i64) -> Number {
    Number::from_i64(value)
}

pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::from(text)
}

pub(crate) fn n(value: i64) -> AttributeValue {
    AttributeValue::N(number(value))
}

pub(crate) fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// A table with the keys `pk` (S) and, if asked for, `sk` (N).
pub(crate) fn schema(table: u64, with_sort: bool) -> TableSchema {
    let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    TableSchema {
        table: TableId(table),
        version: SchemaVersion::FIRST,
        hash: attribute("pk", KeyType::S),
        range: with_sort.then(|| attribute("sk", KeyType::N)),
        seed: 1000 + table,
        indexes: Vec::new(),
        index_of: None,
        vector: None,
    }
}

pub(crate) fn key(schema: &TableSchema, partition: &str, sort: i64) -> ItemKey {
    let sort = schema.range.is_some().then(|| KeyValue::N(number(sort)));
    ItemKey::new(schema.seed, KeyValue::S(partition.to_owned()), sort)
}

type Values<'v> = &'v [(&'v str, AttributeValue)];

fn with_values<T>(
    kind: ExpressionKind,
    values: Values<'_>,
    read: impl FnOnce(&mut Placeholders<'_>) -> Result<T, crate::OpError>,
) -> T {
    let values = item(values);
    let values = (!values.is_empty()).then_some(&values);
    let mut placeholders = Placeholders::new(None, values, &[(kind, true)]).expect("placeholders");
    read(&mut placeholders).expect("an expression")
}

pub(crate) fn condition(text: &str, values: Values<'_>) -> Condition {
    let kind = ExpressionKind::Condition;
    with_values(kind, values, |placeholders| placeholders.condition(kind, text))
}

pub(crate) fn update(text: &str, values: Values<'_>) -> Update {
    with_values(ExpressionKind::Update, values, |placeholders| placeholders.update(text))
}

pub(crate) fn projection(text: &str) -> Projection {
    with_values(ExpressionKind::Projection, &[], |placeholders| placeholders.projection(text))
}

pub(crate) fn any_value() -> impl Strategy<Value = AttributeValue> {
    let text = "[a-c]{0,3}";
    let leaf = prop_oneof![
        text.prop_map(AttributeValue::S),
        (-5i64..100).prop_map(n),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        proptest::collection::btree_set(text, 1..3).prop_map(AttributeValue::Ss),
        proptest::collection::btree_set(-3i64..3, 1..3)
            .prop_map(|set| AttributeValue::Ns(set.into_iter().map(number).collect::<BTreeSet<_>>())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            proptest::collection::btree_map("[a-c]", inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

/// Attributes that are no keys of [`schema`].
pub(crate) fn any_attributes() -> impl Strategy<Value = Item> {
    proptest::collection::btree_map("[v-z]", any_value(), 0..4)
}
