//! What each write pays for before and inside apply: numbers, keys, item bytes, expressions.

#![allow(missing_docs)] // criterion's macros make public items without any

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trilith_domain::expr::{ExpressionKind, Placeholders};
use trilith_values::{AttributeValue, Item, KeyValue, Number, codec, key};

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: &str) -> Number {
    Number::parse(value).expect("a literal of this file")
}

/// An order as a shop would store it: about 250 bytes, three levels deep.
fn order() -> Item {
    let place = BTreeMap::from([
        ("city".to_owned(), text("Seoul")),
        ("zip".to_owned(), AttributeValue::L(vec![AttributeValue::N(number("4524")), AttributeValue::Null])),
    ]);
    BTreeMap::from([
        ("customer_id".to_owned(), text("c-000017")),
        ("date".to_owned(), text("2020-10-02T00001")),
        ("item".to_owned(), text("a sofa that seats three, in a colour that few would choose")),
        ("price".to_owned(), AttributeValue::N(number("1299.95"))),
        ("tags".to_owned(), AttributeValue::Ss(BTreeSet::from(["new".to_owned(), "heavy".to_owned()]))),
        ("where".to_owned(), AttributeValue::M(place)),
    ])
}

fn numbers(c: &mut Criterion) {
    c.bench_function("number/parse", |b| b.iter(|| Number::parse(black_box("1299.95"))));
    let (left, right) = (number("1299.95"), number("-0.000001"));
    c.bench_function("number/add", |b| b.iter(|| black_box(&left).checked_add(black_box(&right))));
}

fn keys(c: &mut Criterion) {
    let partition = KeyValue::S("c-000017".to_owned());
    let sort = KeyValue::N(number("1603411200.125"));
    c.bench_function("key/hash", |b| b.iter(|| key::partition_hash(black_box(7), black_box(&partition))));
    let mut bytes = Vec::with_capacity(64);
    c.bench_function("key/encode", |b| {
        b.iter(|| {
            bytes.clear();
            key::encode_ordered(black_box(&partition), &mut bytes);
            key::encode_ordered(black_box(&sort), &mut bytes);
            bytes.len()
        })
    });
}

fn items(c: &mut Criterion) {
    let item = order();
    let mut bytes = Vec::with_capacity(512);
    c.bench_function("item/encode", |b| {
        b.iter(|| {
            bytes.clear();
            codec::encode_item(&mut bytes, black_box(&item));
            bytes.len()
        })
    });
    let mut stored = Vec::new();
    codec::encode_item(&mut stored, &item);
    c.bench_function("item/decode", |b| b.iter(|| codec::decode_item(&mut black_box(stored.as_slice()))));
}

fn expressions(c: &mut Criterion) {
    let names = BTreeMap::from([("#w".to_owned(), "where".to_owned())]);
    let values = BTreeMap::from([
        (":d".to_owned(), AttributeValue::N(number("5"))),
        (":c".to_owned(), text("Busan")),
        (":m".to_owned(), AttributeValue::N(number("2000"))),
    ]);
    let kinds = [(ExpressionKind::Update, true), (ExpressionKind::Condition, true)];
    let parse = || {
        let mut placeholders = Placeholders::new(Some(&names), Some(&values), &kinds).expect("valid maps");
        let update =
            placeholders.update("SET price = price + :d, #w.city = :c REMOVE tags").expect("a valid update");
        let condition = placeholders
            .condition(ExpressionKind::Condition, "attribute_exists(customer_id) AND price < :m")
            .expect("a valid condition");
        placeholders.finish().expect("every placeholder is used");
        (update, condition)
    };
    c.bench_function("expression/parse", |b| b.iter(parse));
    let (update, condition) = parse();
    let item = order();
    c.bench_function("expression/apply", |b| {
        b.iter(|| {
            let mut changed = item.clone();
            let holds = condition.evaluate(black_box(&item));
            (holds, update.apply(&mut changed).is_ok(), changed)
        })
    });
}

criterion_group!(write_path, numbers, keys, items, expressions);
criterion_main!(write_path);
