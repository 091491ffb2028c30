use proptest::prelude::*;
use trilith_values::{AttributeValue, Number, SchemaVersion, ShardId, TableId};

use super::*;
use crate::codec;
use crate::item::{ItemHeader, ItemKey, seal_item};
use crate::keyspace::Key;
use crate::read::{Plan, StoredSpans, run};
use crate::schema::{
    DistanceFunction, HashInterval, IndexEntry, IndexProjection, IndexSchema, IndexScope, KeyAttribute,
    TableSchema, VectorSchema,
};
use crate::testing::{Rows, schema};
use crate::time::Stamp;

const SHARD: ShardId = ShardId(1);
const FUNCTIONS: [DistanceFunction; 3] =
    [DistanceFunction::Cosine, DistanceFunction::DotProduct, DistanceFunction::Euclidean];

fn index(distance: DistanceFunction) -> IndexSchema {
    let filter = KeyAttribute { name: "f".to_owned(), kind: trilith_values::KeyType::N };
    let vector = VectorSchema { attribute: "v".to_owned(), dimensions: 3, distance, filters: vec![filter] };
    IndexSchema {
        id: TableId(9),
        name: "near".to_owned(),
        scope: IndexScope::Global { seed: 3 },
        hash: Vec::new(),
        range: Vec::new(),
        projection: IndexProjection::All,
        vector: Some(vector),
    }
}

fn n(value: i64) -> AttributeValue {
    AttributeValue::N(Number::from_i64(value))
}

/// Entries of items with these vectors and filters, in the order of their keys, in a shard that owns all of the index.
fn entries(index: &IndexSchema, vectors: &[([i8; 3], i64)]) -> (Rows, Vec<IndexEntry>) {
    let table: TableSchema = schema(7, false);
    let mut rows = Rows::default();
    let mut all = Vec::new();
    for (at, (vector, filter)) in vectors.iter().enumerate() {
        let key = ItemKey::new(table.seed, trilith_values::KeyValue::S(at.to_string()), None);
        let mut item = key.attributes(&table);
        let numbers = vector.iter().map(|number| n(i64::from(*number))).collect();
        item.insert("v".to_owned(), AttributeValue::L(numbers));
        item.insert("f".to_owned(), n(*filter));
        let entry = index.entry(&table, &key, &item).expect("has a vector");
        let sealed = seal_item(&ItemHeader::local(Stamp(1), &entry.item), &entry.item);
        rows.0.insert((Family::GlobalIndex, entry.key.clone()), sealed);
        all.push(entry);
    }
    let span = Span::new(index.span_schema(table.table), HashInterval::ALL);
    rows.0.insert((Family::Meta, Key::Span(SHARD, index.id).encode()), codec::seal_row(&span));
    (rows, all)
}

fn plan(index: &IndexSchema, probe: [i8; 3], top: u32) -> VectorPlan {
    VectorPlan {
        index: index.id,
        schema: SchemaVersion::FIRST,
        run: IndexRun::Interval(HashInterval::ALL),
        distance: index.vector.as_ref().expect("a vector index").distance,
        vector: probe.map(f32::from).to_vec(),
        top,
        filters: Vec::new(),
        shown: None,
        projection: None,
    }
}

fn found(rows: &Rows, plan: VectorPlan) -> Nearest {
    let spans = StoredSpans { shard: SHARD, view: rows };
    match run(&spans, rows, &Plan::Vectors(Box::new(plan))).expect("nothing is damaged") {
        ReadReply::Nearest(nearest) => nearest,
        other => panic!("not a search: {other:?}"),
    }
}

proptest! {
    /// The nearest, by sorting everything.
    #[test]
    fn a_search_finds_what_sorting_finds(
        vectors in prop::collection::vec((any::<[i8; 3]>(), 0i64..3), 0..40),
        probe in any::<[i8; 3]>(),
        top in 1u32..12,
        filter in prop::option::of(0i64..3),
    ) {
        for function in FUNCTIONS {
            let index = index(function);
            let (rows, all) = entries(&index, &vectors);
            let probe_floats = probe.map(f32::from);
            let measure = Probe::new(function, &probe_floats);
            let mut expected: Vec<_> = all
                .iter()
                .filter(|entry| filter.is_none_or(|filter| entry.item.get("f") == Some(&n(filter))))
                .map(|entry| {
                    let AttributeValue::B(packed) = &entry.item[VECTOR] else { panic!("a packed vector") };
                    (measure.distance(packed), entry.key.to_vec())
                })
                .collect();
            expected.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| one.1.cmp(&other.1)));
            expected.truncate(top as usize);
            let filters = filter.map(|filter| ("f".to_owned(), n(filter))).into_iter().collect();
            let nearest = found(&rows, VectorPlan { filters, ..plan(&index, probe, top) });
            let places: Vec<_> = nearest.found.into_iter().map(|one| (one.distance, one.key)).collect();
            prop_assert_eq!(places, expected);
            prop_assert_eq!(nearest.vectors, vectors.len() as u64);
        }
    }
}

#[test]
fn the_vector_is_shown_only_where_it_is_named() {
    let index = index(DistanceFunction::Euclidean);
    let (rows, _) = entries(&index, &[([1, 2, 3], 7)]);
    let hidden = found(&rows, plan(&index, [0, 0, 0], 1)).found.remove(0).item;
    assert_eq!(hidden.keys().collect::<Vec<_>>(), ["f", "pk"]);
    let shown = VectorPlan { shown: Some("v".to_owned()), ..plan(&index, [0, 0, 0], 1) };
    let shown = found(&rows, shown).found.remove(0).item;
    assert_eq!(shown["v"], AttributeValue::L(vec![n(1), n(2), n(3)]));
}

#[test]
fn a_shard_answers_only_for_what_it_owns_whole() {
    let index = index(DistanceFunction::Cosine);
    let (mut rows, _) = entries(&index, &[]);
    let half = Span::new(index.span_schema(TableId(7)), HashInterval::part(0, 2));
    rows.0.insert((Family::Meta, Key::Span(SHARD, index.id).encode()), codec::seal_row(&half));
    let spans = StoredSpans { shard: SHARD, view: &rows };
    let asked = Plan::Vectors(Box::new(plan(&index, [1, 0, 0], 1)));
    assert_eq!(run(&spans, &rows, &asked), Ok(ReadReply::NotMine));
}

#[test]
fn a_row_without_a_vector_is_damage() {
    let index = index(DistanceFunction::Cosine);
    let (mut rows, entry) = entries(&index, &[([1, 0, 0], 0)]);
    let item = Item::from([("pk".to_owned(), AttributeValue::from("a"))]);
    let sealed = seal_item(&ItemHeader::local(Stamp(1), &item), &item);
    rows.0.insert((Family::GlobalIndex, entry[0].key.clone()), sealed);
    let spans = StoredSpans { shard: SHARD, view: &rows };
    let asked = Plan::Vectors(Box::new(plan(&index, [1, 0, 0], 1)));
    assert!(matches!(run(&spans, &rows, &asked), Err(ViewError::Corrupt(_))));
}
