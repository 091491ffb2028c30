use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use trilith_values::size::item_size;
use trilith_values::{Item, KeyType, KeyValue, SchemaVersion, ShardId, TableId};

use super::*;
use crate::codec::{self, Damage};
use crate::expr::{Condition, RangeTest};
use crate::item::{ItemHeader, ItemKey, seal_item};
use crate::keyspace::{Family, Key, item_key};
use crate::schema::{HashInterval, KeyAttribute, Span, TableSchema};
use crate::testing::{Rows, any_attributes, condition, n, projection, s, schema};
use crate::time::Stamp;

const SHARD: ShardId = ShardId(1);

/// A table with keys `pk` (S) and `sk` (S), or `pk` alone.
fn text_schema(with_sort: bool) -> TableSchema {
    let range = KeyAttribute { name: "sk".to_owned(), kind: KeyType::S };
    TableSchema { range: with_sort.then_some(range), ..schema(7, false) }
}

fn text(text: &str) -> KeyValue {
    KeyValue::S(text.to_owned())
}

/// A shard that owns `interval` of a table with these items.
#[derive(Clone, Debug)]
struct Data {
    schema: TableSchema,
    items: BTreeMap<ItemKey, Item>,
    rows: Rows,
}

impl Data {
    fn new(
        schema: TableSchema,
        interval: HashInterval,
        items: impl IntoIterator<Item = (KeyValue, Option<KeyValue>, Item)>,
    ) -> Self {
        let mut data = Self { items: BTreeMap::new(), rows: Rows::default(), schema };
        for (partition, sort, attributes) in items {
            let key = ItemKey::new(data.schema.seed, partition, sort);
            if !interval.contains(key.hash) {
                continue;
            }
            let mut item = key.attributes(&data.schema);
            item.extend(attributes);
            let sealed = seal_item(&ItemHeader::local(Stamp(1), &item), &item);
            let place = (Family::Items, item_key(data.schema.table, &key));
            data.rows.0.insert(place, sealed);
            data.items.insert(key, item);
        }
        let bytes = data.items.values().map(|item| item_size(item) as u64).sum();
        let schema = data.schema.clone();
        let span = Span { items: data.items.len() as u64, bytes, ..Span::new(schema, interval) };
        let place = (Family::Meta, Key::Span(SHARD, data.schema.table).encode());
        data.rows.0.insert(place, codec::seal_row(&span));
        data
    }

    fn run(&self, plan: &Plan) -> ReadReply {
        let spans = StoredSpans { shard: SHARD, view: &self.rows };
        run(&spans, &self.rows, plan).expect("nothing is damaged")
    }

    fn page(&self, plan: &Plan) -> Page {
        match self.run(plan) {
            ReadReply::Page(page) => page,
            other => panic!("not a page: {other:?}"),
        }
    }

    fn key(&self, partition: &str, sort: Option<&str>) -> ItemKey {
        ItemKey::new(self.schema.seed, text(partition), sort.map(text))
    }

    fn query(&self, partition: &str) -> QueryPlan {
        let key = self.key(partition, None);
        QueryPlan {
            table: self.schema.table,
            schema: self.schema.version,
            partition: key.partition,
            hash: key.hash,
            range: None,
            forward: true,
            start_after: None,
            shape: whole(),
        }
    }

    fn scan(&self, interval: HashInterval) -> ScanPlan {
        ScanPlan {
            table: self.schema.table,
            schema: self.schema.version,
            interval,
            start_after: None,
            shape: whole(),
        }
    }
}

fn whole() -> PageShape {
    PageShape { limit: None, max_bytes: 1 << 20, filter: None, projection: None, count_only: false }
}

/// What a page should be, from items in reading order.
fn expected_page<'i>(items: impl Iterator<Item = (&'i ItemKey, &'i Item)>, shape: &PageShape) -> Page {
    let mut page = Page::default();
    for (key, item) in items {
        page.scanned += 1;
        page.bytes += item_size(item) as u64;
        if shape.filter.as_ref().is_none_or(|filter| filter.evaluate(item)) {
            page.count += 1;
            if !shape.count_only {
                let projected = shape.projection.as_ref().map(|projection| projection.project(item));
                page.items.push(projected.unwrap_or_else(|| item.clone()));
            }
        }
        if shape.limit == Some(page.scanned) || page.bytes >= shape.max_bytes {
            page.last = Some(key.clone());
            break;
        }
    }
    page
}

fn any_data(with_sort: bool) -> impl Strategy<Value = Data> {
    let sort = "[ab\0]{0,3}".prop_map(move |sort| with_sort.then_some(KeyValue::S(sort)));
    let item = ("[a-d]".prop_map(KeyValue::S), sort, any_attributes());
    let interval = prop_oneof![2 => Just(HashInterval::ALL), 1 => Just(HashInterval::part(1, 3))];
    (proptest::collection::vec(item, 0..30), interval)
        .prop_map(move |(items, interval)| Data::new(text_schema(with_sort), interval, items))
}

fn any_shape() -> impl Strategy<Value = PageShape> {
    let filter: BoxedStrategy<Option<Condition>> = prop_oneof![
        2 => Just(None),
        1 => Just(Some(condition("attribute_exists(v)", &[]))),
        1 => Just(Some(condition("v > :v", &[(":v", n(3))]))),
    ]
    .boxed();
    let limit = proptest::option::of(1u64..8);
    let max_bytes = prop_oneof![Just(1u64 << 20), 1u64..60];
    (limit, max_bytes, filter, any::<bool>(), any::<bool>()).prop_map(
        |(limit, max_bytes, filter, projected, count_only)| {
            let projection = projected.then(|| projection("sk, v"));
            PageShape { limit, max_bytes, filter, projection, count_only }
        },
    )
}

fn any_range() -> impl Strategy<Value = RangeTest> {
    let value = || "[ab\0]{0,3}".prop_map(KeyValue::S);
    prop_oneof![
        value().prop_map(RangeTest::Eq),
        value().prop_map(RangeTest::Lt),
        value().prop_map(RangeTest::Le),
        value().prop_map(RangeTest::Gt),
        value().prop_map(RangeTest::Ge),
        (value(), value()).prop_map(|(low, high)| RangeTest::Between(low, high)),
        value().prop_map(RangeTest::BeginsWith),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Page after page, a query reads what a filter over all items would leave, in order.
    #[test]
    fn queries_read_their_run_of_sort_keys(
        data in any_data(true),
        partition in "[a-d]",
        range in proptest::option::of(any_range()),
        forward in any::<bool>(),
        shape in any_shape(),
    ) {
        let mut plan = QueryPlan { range, forward, shape, ..data.query(&partition) };
        let passes = |key: &ItemKey| {
            let sort = key.sort.as_ref().expect("the table has a sort key");
            key.partition == plan.partition && plan.range.as_ref().is_none_or(|range| range.matches(sort))
        };
        let mut run: Vec<_> = data.items.iter().filter(|(key, _)| passes(key)).collect();
        if !forward {
            run.reverse();
        }
        let owned = data.run(&Plan::Query(plan.clone())) != ReadReply::NotMine;
        let span = StoredSpans { shard: SHARD, view: &data.rows }.span(TableId(7)).expect("read").expect("there");
        prop_assert_eq!(owned, span.interval.contains(plan.hash));
        if !owned {
            return Ok(());
        }
        let mut rest = &run[..];
        loop {
            let expected = expected_page(rest.iter().copied(), &plan.shape);
            let page = data.page(&Plan::Query(plan.clone()));
            prop_assert_eq!(&page, &expected);
            rest = &rest[page.scanned as usize..];
            plan.start_after = page.last;
            if plan.start_after.is_none() {
                break;
            }
        }
        prop_assert!(rest.is_empty());
    }

    /// Segments and shards tile the hashes: page after page, scans of all parts read every item once.
    #[test]
    fn scans_read_every_item_once(
        data in prop_oneof![any_data(true), any_data(false)],
        shape in any_shape(),
        segments in 1u64..5,
    ) {
        let view = StoredSpans { shard: SHARD, view: &data.rows };
        let span = view.span(TableId(7)).expect("read").expect("there").interval;
        let mut seen = 0;
        for segment in (0..segments).map(|i| HashInterval::part(i, segments)) {
            let Some(interval) = segment.intersect(&span) else { continue };
            let inside: Vec<_> = data.items.iter().filter(|(key, _)| interval.contains(key.hash)).collect();
            let mut plan = ScanPlan { shape: shape.clone(), ..data.scan(HashInterval { first: interval.first, ..segment }) };
            let mut rest = &inside[..];
            loop {
                let mut expected = expected_page(rest.iter().copied(), &plan.shape);
                expected.covered_to = Some(interval.last);
                let page = data.page(&Plan::Scan(plan.clone()));
                prop_assert_eq!(&page, &expected);
                seen += page.scanned as usize;
                rest = &rest[page.scanned as usize..];
                plan.start_after = page.last;
                if plan.start_after.is_none() {
                    break;
                }
            }
            prop_assert!(rest.is_empty());
        }
        prop_assert_eq!(seen, data.items.len());
    }
}

fn small() -> Data {
    let items = ["x", "y", "z"].map(|sort| (text("a"), Some(text(sort)), Item::new()));
    Data::new(text_schema(true), HashInterval::ALL, items)
}

#[test]
fn a_get_answers_the_item_and_its_whole_size() {
    let data = small();
    let get = |sort, projection| {
        let key = data.key("a", Some(sort));
        let schema = data.schema.version;
        data.run(&Plan::Get(GetPlan { table: TableId(7), schema, key, projection }))
    };
    let size = 3 + 3;
    let item = crate::testing::item(&[("pk", s("a")), ("sk", s("y"))]);
    assert_eq!(get("y", None), ReadReply::Got { item: Some(item), size });
    let part = crate::testing::item(&[("sk", s("y"))]);
    assert_eq!(get("y", Some(projection("sk, nothing"))), ReadReply::Got { item: Some(part), size });
    assert_eq!(get("w", None), ReadReply::Got { item: None, size: 0 });
}

#[test]
fn the_item_that_reaches_a_limit_belongs_to_the_page() {
    let data = small();
    let with = |limit, max_bytes| {
        let shape = PageShape { limit, max_bytes, ..whole() };
        let page = data.page(&Plan::Query(QueryPlan { shape, ..data.query("a") }));
        (page.count, page.last.and_then(|key| key.sort))
    };
    assert_eq!(with(None, 1), (1, Some(text("x"))), "a page always makes progress");
    assert_eq!(with(None, 6), (1, Some(text("x"))));
    assert_eq!(with(None, 7), (2, Some(text("y"))));
    assert_eq!(with(None, 18), (3, Some(text("z"))), "with nothing behind it");
    assert_eq!(with(None, 19), (3, None));
    assert_eq!(with(Some(2), 19), (2, Some(text("y"))));
    assert_eq!(with(Some(3), 19), (3, Some(text("z"))));
    assert_eq!(with(Some(4), 19), (3, None));
}

#[test]
fn a_table_without_a_sort_key_has_pages_of_one() {
    let data = Data::new(text_schema(false), HashInterval::ALL, [(text("a"), None, Item::new())]);
    let query = |forward, start_after| {
        let plan = QueryPlan { forward, start_after, ..data.query("a") };
        data.page(&Plan::Query(plan)).count
    };
    for forward in [true, false] {
        assert_eq!(query(forward, None), 1);
        assert_eq!(query(forward, Some(data.key("a", None))), 0, "after the only item");
    }
}

#[test]
fn who_does_not_own_it_says_so() {
    let half = HashInterval::part(1, 2);
    let letters = "abcdefghijklmnop".chars().map(|letter| (text(&letter.to_string()), None, Item::new()));
    let data = Data::new(text_schema(false), half, letters);
    let outside = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let outside = outside.iter().find(|name| !half.contains(data.key(name, None).hash));
    let outside = outside.expect("one of ten partitions is in the other half");
    assert_eq!(data.run(&Plan::Query(data.query(outside))), ReadReply::NotMine);
    let key = data.key(outside, None);
    let schema = data.schema.version;
    let get = GetPlan { table: TableId(7), schema, key, projection: None };
    assert_eq!(data.run(&Plan::Get(get)), ReadReply::NotMine);
    // A scan that begins before the span would leave hashes out: it must begin with the shard that owns them.
    assert_eq!(data.run(&Plan::Scan(data.scan(HashInterval::ALL))), ReadReply::NotMine);
    assert_eq!(data.page(&Plan::Scan(data.scan(half))).count, data.items.len() as u64);
    let unknown = QueryPlan { table: TableId(8), ..data.query("a") };
    assert_eq!(data.run(&Plan::Query(unknown)), ReadReply::NotMine);
    assert_eq!(data.run(&Plan::Count { table: TableId(8) }), ReadReply::NotMine);
}

#[test]
fn another_version_is_bound_again() {
    let data = small();
    let mismatch = ReadReply::SchemaMismatch { current: SchemaVersion(1) };
    let schema = SchemaVersion(2);
    assert_eq!(data.run(&Plan::Query(QueryPlan { schema, ..data.query("a") })), mismatch);
    let scan = ScanPlan { schema, ..data.scan(HashInterval::ALL) };
    assert_eq!(data.run(&Plan::Scan(scan)), mismatch);
    let key = data.key("a", Some("x"));
    let get = GetPlan { table: TableId(7), schema, key, projection: None };
    assert_eq!(data.run(&Plan::Get(get)), mismatch);
}

#[test]
fn counters_are_the_spans() {
    let count = Plan::Count { table: TableId(7) };
    assert_eq!(small().run(&count), ReadReply::Counted { items: 3, bytes: 18 });
}

#[test]
fn damage_is_an_error_and_never_an_answer() {
    let mut data = small();
    let place = (Family::Items, item_key(TableId(7), &data.key("a", Some("y"))));
    let count_only = PageShape { count_only: true, ..whole() };
    let plans = |data: &Data| {
        let key = data.key("a", Some("y"));
        let schema = data.schema.version;
        [
            Plan::Get(GetPlan { table: TableId(7), schema, key, projection: None }),
            Plan::Query(QueryPlan { shape: count_only.clone(), ..data.query("a") }),
            Plan::Scan(data.scan(HashInterval::ALL)),
        ]
    };
    let sealed = data.rows.0[&place].clone();
    let mut flipped = sealed.to_vec();
    *flipped.last_mut().expect("not empty") ^= 1;
    let short = codec::seal(b"short");
    for (value, damage) in [(Bytes::from(flipped), Some(Damage::Checksum)), (short, None)] {
        data.rows.0.insert(place.clone(), value);
        for plan in plans(&data) {
            let spans = StoredSpans { shard: SHARD, view: &data.rows };
            let Err(ViewError::Corrupt(error)) = run(&spans, &data.rows, &plan) else {
                panic!("answered: {plan:?}");
            };
            assert!(error.place.ends_with("\"a\"/\"y\""), "{}", error.place);
            if let Some(damage) = &damage {
                assert_eq!(&error.damage, damage);
            }
        }
    }
}
