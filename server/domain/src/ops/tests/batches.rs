//! BatchGetItem and BatchWriteItem.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::super::batch_get_item::BatchGot;
use super::super::batch_write_item::BatchWritten;
use super::super::testing::*;
use super::super::types::{HalfUnits, KeysAndAttributes, WriteRequest, WriteRequestInput};
use super::super::*;
use crate::machine::{Action, ReplyBody, Written};

fn key(i: usize) -> Item {
    item([("pk", s("a")), ("sk", n(&i.to_string()))])
}

fn keys(count: usize) -> KeysAndAttributes {
    KeysAndAttributes { keys: Some((0..count).map(key).collect()), ..KeysAndAttributes::default() }
}

fn get(tables: Vec<(&str, KeysAndAttributes)>) -> BatchGetItemInput {
    let request_items = tables.into_iter().map(|(name, keys)| (name.to_owned(), keys)).collect();
    BatchGetItemInput {
        request_items: Some(request_items),
        return_consumed_capacity: text("TOTAL"),
        ..BatchGetItemInput::default()
    }
}

fn put(item: Item) -> WriteRequestInput {
    WriteRequestInput { put: Some(Some(item)), delete: None }
}

fn delete(key: Item) -> WriteRequestInput {
    WriteRequestInput { put: None, delete: Some(Some(key)) }
}

fn write(tables: Vec<(&str, Vec<WriteRequestInput>)>) -> BatchWriteItemInput {
    let request_items = tables.into_iter().map(|(name, list)| (name.to_owned(), list)).collect();
    BatchWriteItemInput {
        request_items: Some(request_items),
        return_consumed_capacity: text("INDEXES"),
        ..BatchWriteItemInput::default()
    }
}

#[test]
fn gets_that_need_no_table_to_be_refused() {
    let cases = [
        (
            BatchGetItemInput::default(),
            "1 validation error detected: Value null at 'requestItems' failed to satisfy constraint: Member must not be \
             null",
        ),
        (
            get(vec![]),
            "1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length \
             greater than or equal to 1",
        ),
        (
            get(vec![("orders", keys(101))]),
            "1 validation error detected: Value at 'requestItems.orders.member.keys' failed to satisfy constraint: \
             Member must have length less than or equal to 100",
        ),
        (
            get(vec![("orders", KeysAndAttributes::default())]),
            "1 validation error detected: Value null at 'requestItems.orders.member.keys' failed to satisfy constraint: \
             Member must not be null",
        ),
        (
            get(vec![("aaa", keys(60)), ("bbb", keys(41))]),
            "Too many items requested for the BatchGetItem call",
        ),
        (
            get(vec![("orders", KeysAndAttributes { keys: Some(vec![key(1), key(2), key(1)]), ..keys(0) })]),
            "Provided list of item keys contains duplicates",
        ),
        (
            get(vec![(
                "orders",
                KeysAndAttributes {
                    attributes_to_get: Some(vec!["a".to_owned()]),
                    projection_expression: text("b"),
                    ..keys(1)
                },
            )]),
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
             {AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(refused(BatchGetItem::parse(input)), expected);
    }
    assert!(BatchGetItem::parse(get(vec![("aaa", keys(60)), ("bbb", keys(40))])).is_ok());
}

#[test]
fn what_was_not_read_is_handed_back() {
    let sent = KeysAndAttributes {
        consistent_read: Some(true),
        projection_expression: text("#v"),
        expression_attribute_names: Some(names([("#v", "v")])),
        ..keys(4)
    };
    let op = BatchGetItem::parse(get(vec![("orders", sent.clone())])).expect("valid");
    assert_eq!(op.tables[0].bind(&table()).expect("binds").len(), 4);
    let found = item([("v", n("1"))]);
    let output = op.shape(vec![vec![
        BatchGot::Read { item: Some(found.clone()), size: 5000 },
        BatchGot::Unprocessed,
        BatchGot::Read { item: None, size: 0 },
        BatchGot::Unprocessed,
    ]]);
    assert_eq!(output.responses, BTreeMap::from([("orders".to_owned(), vec![found])]));
    let back = KeysAndAttributes { keys: Some(vec![key(1), key(3)]), ..sent };
    assert_eq!(output.unprocessed_keys, BTreeMap::from([("orders".to_owned(), back)]));
    let consumed = output.consumed_capacity.expect("asked for");
    assert_eq!((consumed.len(), consumed[0].capacity_units), (1, HalfUnits::whole(3)));
}

#[test]
fn a_batch_answers_16_mb_at_the_most() {
    let op = BatchGetItem::parse(get(vec![("orders", keys(50))])).expect("valid");
    let one = || BatchGot::Read { item: Some(Item::new()), size: 400 * 1024 };
    let output = op.shape(vec![(0..50).map(|_| one()).collect()]);
    // 40 items of 400 KB are 15.6 MB; one more would be over.
    assert_eq!(output.responses["orders"].len(), 40);
    let left = output.unprocessed_keys["orders"].keys.as_ref().expect("keys");
    assert_eq!(left.as_slice(), (40..50).map(key).collect::<Vec<_>>());
}

#[test]
fn writes_that_need_no_table_to_be_refused() {
    let list = "Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must \
                have length less than or equal to 25, Member must have length greater than or equal to 1]";
    let puts = |count: usize| (0..count).map(|i| put(key(i))).collect::<Vec<_>>();
    let cases = [
        (write(vec![("orders", vec![])]), format!("1 validation error detected: {list}")),
        (write(vec![("orders", puts(26))]), format!("1 validation error detected: {list}")),
        (
            write(vec![("aaa", puts(13)), ("bbb", puts(13))]),
            "Too many items requested for the BatchWriteItem call".to_owned(),
        ),
        (
            write(vec![("orders", vec![WriteRequestInput::default()])]),
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes".to_owned(),
        ),
        (
            write(vec![("orders", vec![WriteRequestInput { put: Some(None), delete: None }])]),
            "1 validation error detected: Value null at 'requestItems.orders.member.1.member.putRequest.item' failed to \
             satisfy constraint: Member must not be null"
                .to_owned(),
        ),
        (
            write(vec![("orders", vec![put(item([("pk", s(&"x".repeat(409_600)))]))])]),
            "Item size has exceeded the maximum allowed size".to_owned(),
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(refused(BatchWriteItem::parse(input)), expected);
    }
    let both = WriteRequestInput { put: Some(Some(key(1))), delete: Some(Some(key(2))) };
    let text = refused(BatchWriteItem::parse(write(vec![("orders", vec![both])])));
    assert!(text.ends_with("must contain exactly one of the supported datatypes"));
}

#[test]
fn no_two_requests_concern_one_item() {
    let with = |value: &str| item([("pk", s("a")), ("sk", n("1.0")), ("v", s(value))]);
    for second in [put(with("y")), delete(key(1))] {
        let op = BatchWriteItem::parse(write(vec![("orders", vec![put(with("x")), second])]))
            .expect("needs no table");
        assert_eq!(refused(op.tables[0].bind(&table())), "Provided list of item keys contains duplicates");
    }
}

#[test]
fn each_request_is_a_write_of_its_own() {
    let op =
        BatchWriteItem::parse(write(vec![("orders", vec![put(key(1)), delete(key(2))])])).expect("valid");
    let writes = op.tables[0].bind(&table()).expect("binds");
    assert_eq!(writes[0].action, Action::Put(key(1)));
    assert_eq!(writes[1].action, Action::Delete);
    assert!(writes.iter().all(|write| write.condition.is_none()));

    let reply = ReplyBody::Written(Written { attributes: None, old_size: 0, new_size: 2000 });
    let written = BatchWritten::of_reply(reply).expect("written");
    let output = op.shape(vec![vec![written, BatchWritten::Unprocessed]]);
    let left = BTreeMap::from([("orders".to_owned(), vec![WriteRequest::Delete(key(2))])]);
    assert_eq!(output.unprocessed_items, left);
    let consumed = &output.consumed_capacity.expect("asked for")[0];
    assert_eq!((consumed.capacity_units, consumed.table), (HalfUnits::whole(2), Some(HalfUnits::whole(2))));
    assert!(BatchWritten::of_reply(ReplyBody::Invalid("why".to_owned())).is_err());
}
