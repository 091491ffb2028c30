//! Indexes: entries follow the items, whatever is written, and whatever becomes of what is shipped on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use trilith_values::KeyType;

use super::*;
use crate::codec;
use crate::keyspace::{Prefix, collection_key};
use crate::schema::{IndexCount, IndexProjection, IndexSchema, IndexScope, KeyAttribute, Span};
use crate::testing::number;

const INDEX: TableId = TableId(9);

fn index(id: u64, name: &str, key: (&str, KeyType), projection: IndexProjection, local: bool) -> IndexSchema {
    let attribute = |(name, kind): (&str, KeyType)| KeyAttribute { name: name.to_owned(), kind };
    let (scope, hash, range) = if local {
        (IndexScope::Local, vec![table().hash], vec![attribute(key)])
    } else {
        (IndexScope::Global { seed: 5 }, vec![attribute(key)], vec![attribute(("v", KeyType::N))])
    };
    IndexSchema { id: TableId(id), name: name.to_owned(), scope, hash, range, projection, vector: None }
}

/// Table 7 with two local indexes and a global one.
fn indexed() -> TableSchema {
    let include = IndexProjection::Include(vec!["x".to_owned()]);
    TableSchema {
        indexes: vec![
            index(8, "by-v", ("v", KeyType::N), IndexProjection::KeysOnly, true),
            index(10, "by-w", ("w", KeyType::S), include, true),
            index(INDEX.0, "g", ("w", KeyType::S), IndexProjection::All, false),
        ],
        ..table()
    }
}

fn open(schema: TableSchema) -> CommandBody {
    CommandBody::SpanOpen { schema, interval: HashInterval::ALL }
}

/// Base shard 1 and index shard 2.
fn shards() -> (Shard, Shard) {
    let (mut base, mut target) = (Shard::empty(1), Shard::empty(2));
    base.apply(vec![open(indexed())]);
    let global = &indexed().indexes[2];
    target.apply(vec![open(global.span_schema(table().table))]);
    (base, target)
}

fn rows_of(shard: &Shard, family: Family) -> BTreeMap<Bytes, Item> {
    let rows = shard.rows.0.iter().filter(|((of, _), _)| *of == family);
    rows.filter_map(|((_, key), sealed)| {
        let row = StoredItem::open(sealed).ok().filter(|_| !is_collection(family, key))?;
        Some((key.clone(), row.item().expect("decodes")))
    })
    .collect()
}

fn is_collection(family: Family, key: &[u8]) -> bool {
    matches!(Key::decode(family, key), Ok(Key::Collection { .. }))
}

/// The entries that the items of a shard have in an index.
fn entries(base: &Shard, of: impl Fn(&IndexSchema) -> bool) -> BTreeMap<Bytes, Item> {
    let schema = indexed();
    let mut all = BTreeMap::new();
    for item in rows_of(base, Family::Items).values() {
        let key = crate::item::ItemKey::of_item(&schema, item).expect("an item has its key");
        for index in schema.indexes.iter().filter(|index| of(index)) {
            all.extend(index.entry(&schema, &key, item).map(|entry| (entry.key, entry.item)));
        }
    }
    all
}

fn owed(base: &Shard) -> Vec<(Stamp, Vec<OwedRow>, u64)> {
    let (start, end) = Prefix::Shard(base.state.shard()).range();
    let rows = base.rows.range(Family::Outbox, &start, &end).into_iter();
    rows.map(|(key, sealed)| match Key::decode(Family::Outbox, &key) {
        Ok(Key::Owed(_, stamp)) => (stamp, codec::open_row(&sealed).expect("intact"), sealed.len() as u64),
        other => panic!("not owed: {other:?}"),
    })
    .collect()
}

/// What a worker sends of the first `count` rows that are owed.
fn shipment(base: &Shard, count: usize) -> CommandBody {
    let rows = owed(base).into_iter().take(count);
    let rows = rows.flat_map(|(stamp, rows, _)| rows.into_iter().map(move |row| (stamp, row))).collect();
    CommandBody::IndexApply(IndexApply { index: INDEX, source: base.state.shard(), rows })
}

fn trim(base: &Shard, count: usize) -> CommandBody {
    CommandBody::OutboxTrim(
        owed(base).into_iter().take(count).map(|(stamp, _, bytes)| (stamp, bytes)).collect(),
    )
}

fn counted(shard: &Shard) -> IndexCount {
    let span: &Span = &shard.state.spans()[&INDEX];
    IndexCount { items: span.items, bytes: span.bytes }
}

fn check_local(base: &Shard) {
    let rows = rows_of(base, Family::LocalIndex);
    assert_eq!(rows, entries(base, IndexSchema::is_local), "entries of local indexes are those of the items");
    let span = &base.state.spans()[&table().table];
    for index in indexed().indexes.iter().filter(|index| index.is_local()) {
        let own = entries(base, |of| of.id == index.id);
        let bytes = own.values().map(|item| trilith_values::size::item_size(item) as u64).sum();
        let count = span.local.get(&index.id).copied().unwrap_or_default();
        assert_eq!(count, IndexCount { items: own.len() as u64, bytes }, "{} is counted", index.name);
    }
    let mut collections: BTreeMap<Bytes, u64> = BTreeMap::new();
    let items = rows_of(base, Family::Items);
    for item in items.values().chain(rows.values()) {
        let Some(AttributeValue::S(partition)) = item.get("pk") else { panic!("a partition key") };
        let key = key(&table(), partition, 0);
        let row = collection_key(table().table, key.hash, &key.partition);
        *collections.entry(row).or_default() += trilith_values::size::item_size(item) as u64;
    }
    let stored: BTreeMap<Bytes, u64> = base
        .rows
        .0
        .iter()
        .filter(|((family, key), _)| is_collection(*family, key))
        .map(|((_, key), sealed)| (key.clone(), codec::open_row(sealed).expect("intact")))
        .collect();
    assert_eq!(stored, collections, "the bytes of item collections");
}

#[derive(Clone, Debug)]
enum Step {
    Write(String, i64, Option<Item>),
    Update(String, i64, Option<i64>),
    /// Ships so many of the oldest rows; trims what has arrived, or not.
    Ship(usize, bool),
    /// Sends again what was sent before: which of the shipments.
    Repeat(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let attributes =
        (proptest::option::of(0i64..3), proptest::option::of("[ab]"), proptest::option::of(0i64..2));
    let attributes = attributes.prop_map(|(v, w, x)| {
        let mut all = Item::new();
        v.map(|v| all.insert("v".to_owned(), n(v)));
        w.map(|w| all.insert("w".to_owned(), s(&w)));
        x.map(|x| all.insert("x".to_owned(), AttributeValue::N(number(x))));
        all
    });
    let place = || ("[pq]", 0i64..3);
    prop_oneof![
        6 => (place(), proptest::option::weighted(0.8, attributes)).prop_map(|((p, s), a)| Step::Write(p, s, a)),
        2 => (place(), proptest::option::of(0i64..3)).prop_map(|((p, s), v)| Step::Update(p, s, v)),
        4 => (1usize..6, any::<bool>()).prop_map(|(count, trims)| Step::Ship(count, trims)),
        2 => (0usize..10).prop_map(Step::Repeat),
    ]
}

fn run(steps: &[Step]) {
    let (mut base, mut target) = shards();
    let mut sent = Vec::new();
    for step in steps {
        match step {
            Step::Write(partition, sort, Some(attributes)) => {
                let attributes: Vec<_> = attributes.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
                base.write(put(partition, *sort, &attributes));
            }
            Step::Write(partition, sort, None) => drop(base.write(write(partition, *sort, Action::Delete))),
            Step::Update(partition, sort, value) => {
                let change = match value {
                    Some(value) => update("SET v = :v", &[(":v", n(*value))]),
                    None => update("REMOVE v", &[]),
                };
                base.write(write(partition, *sort, Action::Update(change)));
            }
            Step::Ship(count, trims) => {
                let shipment = shipment(&base, *count);
                sent.push(shipment.clone());
                assert_eq!(target.apply(vec![shipment]), [ReplyBody::SpanDone]);
                if *trims {
                    base.apply(vec![trim(&base, *count)]);
                }
            }
            // Late and out of order: a worker that lost its leadership, a command that was on its way.
            Step::Repeat(which) => {
                if let Some(old) = sent.get(*which) {
                    target.apply(vec![old.clone()]);
                }
            }
        }
        check_local(&base);
    }
    while !owed(&base).is_empty() {
        target.apply(vec![shipment(&base, 100)]);
        for old in &sent {
            target.apply(vec![old.clone()]);
        }
        base.apply(vec![trim(&base, 100)]);
    }
    assert_eq!((base.state.outbox().rows, base.state.outbox().bytes), (0, 0), "nothing is owed");
    let rows = rows_of(&target, Family::GlobalIndex);
    assert_eq!(rows, entries(&base, |index| !index.is_local()), "no ghost, and no row is lost");
    let bytes = rows.values().map(|item| trilith_values::size::item_size(item) as u64).sum();
    assert_eq!(counted(&target), IndexCount { items: rows.len() as u64, bytes });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn indexes_equal_their_table(steps in proptest::collection::vec(any_step(), 1..60)) {
        run(&steps);
    }
}

#[test]
fn a_late_put_does_not_come_back_after_a_delete() {
    let item = [("w", s("a")), ("v", n(1))].map(|(k, v)| (k.to_owned(), v)).into_iter().collect();
    run(&[
        Step::Write("p".to_owned(), 1, Some(item)),
        Step::Ship(1, true),
        Step::Write("p".to_owned(), 1, None),
        Step::Ship(1, true),
        Step::Repeat(0),
    ]);
}

#[test]
fn a_backfill_brings_in_what_was_there_and_skips_what_cannot_be() {
    let (mut base, mut target) = (Shard::empty(1), Shard::empty(2));
    let bare = TableSchema { indexes: indexed().indexes[..2].to_vec(), ..table() };
    base.apply(vec![open(bare)]);
    base.write(put("p", 1, &[("w", s("a")), ("v", n(1))]));
    base.write(put("p", 2, &[("w", s("a"))]));
    base.write(put("p", 3, &[("w", s("b")), ("v", n(2))]));
    let newer = TableSchema { version: SchemaVersion(2), ..indexed() };
    base.apply(vec![CommandBody::SpanAlter { schema: newer }]);
    target.apply(vec![open(indexed().indexes[2].span_schema(table().table))]);
    let newer_write = |write: Write| Write { schema: SchemaVersion(2), ..write };
    // Gone before the backfill comes to it.
    base.write(newer_write(write("p", 3, Action::Delete)));
    let keys = (1..4).map(|sort| key(&table(), "p", sort)).collect();
    let backfill = Backfill { table: table().table, index: INDEX, keys, done: true };
    base.apply(vec![CommandBody::Backfill(backfill)]);
    assert!(base.state.spans()[&table().table].backfilled.contains_key(&INDEX));
    target.apply(vec![shipment(&base, 10)]);
    let rows = rows_of(&target, Family::GlobalIndex);
    assert_eq!(rows, entries(&base, |index| !index.is_local()));
    assert_eq!(rows.len(), 1, "one item has both attributes and is still there");
}

#[test]
fn rows_of_another_index_or_place_are_not_taken() {
    let (mut base, mut target) = shards();
    base.write(put("p", 1, &[("w", s("a")), ("v", n(1))]));
    let CommandBody::IndexApply(shipment) = shipment(&base, 1) else { panic!("a shipment") };
    let other = IndexApply { index: TableId(77), ..shipment.clone() };
    assert_eq!(target.apply(vec![CommandBody::IndexApply(other)]), [ReplyBody::NotMine]);
    let mut elsewhere = shipment;
    elsewhere.rows[0].1.key[7] = 1;
    assert_eq!(target.apply(vec![CommandBody::IndexApply(elsewhere)]), [ReplyBody::NotMine]);
}
