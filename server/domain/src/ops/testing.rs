//! Tables and items for the tests of this module.

use std::collections::BTreeMap;

use trilith_values::key::KeyType;
use trilith_values::{AttributeValue, Item, Number, SchemaVersion, ShardId, TableId};

use crate::catalog::{BillingMode, SpanPlace, TableDefinition, TableRecord, TableStatus, Units};
use crate::error::OpError;
use crate::schema::{HashInterval, KeyAttribute};
use crate::time::Stamp;

/// Noon of 2026-11-21.
pub(super) const NOW: Stamp = Stamp(1_795_262_400_000_000);

/// An active on-demand table `t` with the key `pk` (S) and `sk` (N), over two shards.
pub(crate) fn table() -> TableRecord {
    let key = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    TableRecord {
        id: TableId(9),
        account: 0,
        name: "orders".to_owned(),
        uuid: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        created: NOW,
        status: TableStatus::Active,
        definition: TableDefinition {
            hash: key("pk", KeyType::S),
            range: Some(key("sk", KeyType::N)),
            billing: BillingMode::PayPerRequest,
            throughput: Units::default(),
            on_demand_maximum: None,
            warm: None,
            class: None,
            deletion_protection: false,
            indexes: Vec::new(),
        },
        version: SchemaVersion(3),
        seed: 77,
        spans: (0..2)
            .map(|i| SpanPlace { interval: HashInterval::part(i, 2), shard: ShardId(i as u32 + 1) })
            .collect(),
        tags: BTreeMap::new(),
        on_demand_since: None,
        last_increase: None,
        last_decrease: None,
        decreases: Vec::new(),
        to_on_demand: Vec::new(),
        class_changed: None,
        class_changes: Vec::new(),
    }
}

/// The same table with provisioned units.
pub(super) fn provisioned(read: i64, write: i64) -> TableRecord {
    let mut record = table();
    record.definition.billing = BillingMode::Provisioned;
    record.definition.throughput = Units { read, write };
    record
}

/// A string.
pub(super) fn s(text: &str) -> AttributeValue {
    AttributeValue::from(text)
}

/// A number.
pub(super) fn n(text: &str) -> AttributeValue {
    AttributeValue::N(Number::parse(text).expect("a number"))
}

/// An item, or a map of values.
pub(super) fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A map of names.
pub(super) fn names<const N: usize>(names: [(&str, &str); N]) -> BTreeMap<String, String> {
    names.into_iter().map(|(alias, name)| (alias.to_owned(), name.to_owned())).collect()
}

/// A present text.
pub(super) fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// The text of a refusal that must be a `ValidationException`.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, OpError>) -> String {
    match result {
        Err(OpError::Validation(text)) => text,
        other => panic!("not a ValidationException: {other:?}"),
    }
}
