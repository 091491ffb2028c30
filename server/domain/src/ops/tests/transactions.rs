//! TransactWriteItems.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::super::testing::*;
use super::super::transact_write_items::{ActionInput, TransactWriteItemInput};
use super::super::types::{HalfUnits, UnitKind};
use super::super::*;
use crate::error::OpError;
use crate::machine::{Action, IndexCharge, PartVerdict, Written, WrittenIndexed};
use crate::schema::IndexKind;

fn key(i: usize) -> Item {
    item([("pk", s("a")), ("sk", n(&i.to_string()))])
}

fn of_key(i: usize) -> ActionInput {
    ActionInput { table_name: text("orders"), key: Some(key(i)), ..ActionInput::default() }
}

fn put(i: usize) -> TransactWriteItemInput {
    let put = ActionInput { table_name: text("orders"), item: Some(key(i)), ..ActionInput::default() };
    TransactWriteItemInput { put: Some(put), ..TransactWriteItemInput::default() }
}

fn delete(i: usize) -> TransactWriteItemInput {
    TransactWriteItemInput { delete: Some(of_key(i)), ..TransactWriteItemInput::default() }
}

fn update(i: usize, expression: &str) -> TransactWriteItemInput {
    let update = ActionInput { update_expression: text(expression), ..of_key(i) };
    TransactWriteItemInput { update: Some(update), ..TransactWriteItemInput::default() }
}

fn check(i: usize, expression: &str) -> TransactWriteItemInput {
    let check = ActionInput { condition_expression: text(expression), ..of_key(i) };
    TransactWriteItemInput { condition_check: Some(check), ..TransactWriteItemInput::default() }
}

fn input(items: Vec<TransactWriteItemInput>) -> TransactWriteItemsInput {
    TransactWriteItemsInput { transact_items: Some(items), ..TransactWriteItemsInput::default() }
}

fn refusal(items: Vec<TransactWriteItemInput>) -> String {
    refused(TransactWriteItems::parse(input(items)))
}

#[test]
fn what_needs_no_table_to_be_refused() {
    assert!(
        refused(TransactWriteItems::parse(TransactWriteItemsInput::default())).ends_with("must not be null")
    );
    assert!(refusal(vec![]).contains("at 'transactItems' failed to satisfy constraint"));
    let many = (0..101).map(put).collect();
    assert!(
        refusal(many).contains("'transactItems' failed to satisfy constraint: Member must have length less")
    );
    let one_of = "TransactItems can only contain one of Check, Put, Update or Delete";
    assert_eq!(refusal(vec![TransactWriteItemInput::default()]), one_of);
    assert_eq!(refusal(vec![TransactWriteItemInput { put: put(1).put, ..delete(1) }]), one_of);
    let mut unconditional = check(1, "x");
    unconditional.condition_check.as_mut().expect("a check").condition_expression = None;
    assert_eq!(
        refusal(vec![put(0), unconditional]),
        "1 validation error detected: Value null at 'transactItems.2.member.conditionCheck.conditionExpression' failed \
         to satisfy constraint: Member must not be null"
    );
    let mut empty = update(1, "x");
    empty.update.as_mut().expect("an update").update_expression = None;
    assert!(refusal(vec![empty]).contains("'transactItems.1.member.update.updateExpression'"));
    assert!(refusal(vec![put(0), update(1, "SET")]).starts_with("Invalid UpdateExpression: Syntax error"));
    assert!(refusal(vec![check(1, "v = :v")]).contains("attribute value: :v"));
    let big = |i| {
        let mut put = put(i);
        let item = put.put.as_mut().and_then(|put| put.item.as_mut()).expect("an item");
        item.insert("v".to_owned(), s(&"x".repeat(400_000)));
        put
    };
    assert!(refusal((0..11).map(big).collect()).contains("size"));
    assert!(TransactWriteItems::parse(input((0..10).map(big).collect())).is_ok());
}

#[test]
fn each_action_becomes_a_write_of_its_item() {
    let actions = vec![put(1), update(2, "REMOVE v"), delete(3), check(4, "attribute_exists(v)")];
    let op = TransactWriteItems::parse(input(actions)).expect("fine");
    let record = table();
    let writes = op.bind(|_| &record).expect("binds");
    assert!(matches!(
        writes.iter().map(|write| &write.action).collect::<Vec<_>>()[..],
        [Action::Put(_), Action::Update(_), Action::Delete, Action::Check]
    ));
    assert!(writes.iter().all(|write| write.table == record.id && write.schema == record.version));
    let access: Vec<_> = Op::from(op).access().iter().map(|access| access.action).collect();
    assert_eq!(access, ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"]);
}

#[test]
fn no_item_stands_twice_and_no_key_is_updated() {
    let record = table();
    let bind = |items| refused(TransactWriteItems::parse(input(items)).expect("fine").bind(|_| &record));
    assert_eq!(
        bind(vec![put(1), put(2), check(1, "attribute_exists(v)")]),
        "Transaction request cannot include multiple operations on one item"
    );
    let with_key = |key: Item| {
        let mut delete = delete(1);
        delete.delete.as_mut().expect("a delete").key = Some(key);
        delete
    };
    assert!(bind(vec![put(1), with_key(item([("pk", s("")), ("sk", n("1"))]))]).ends_with("Key: pk"));
    let misfits = vec![put(1), put(1), with_key(item([("pk", s("a"))])), update(3, "REMOVE sk")];
    let error =
        TransactWriteItems::parse(input(misfits)).expect("fine").bind(|_| &record).expect_err("refused");
    let OpError::TransactionCanceled(cancellation) = error else { panic!("another error: {error}") };
    let reasons: Vec<_> = cancellation.reasons.iter().map(|one| (one.code, one.message.as_deref())).collect();
    let mismatch = "The provided key element does not match the schema";
    assert_eq!(reasons[..3], [("None", None), ("None", None), ("ValidationError", Some(mismatch))]);
    assert!(reasons[3].1.is_some_and(|text| text.ends_with("This attribute is part of the key")));
}

#[test]
fn a_cancellation_gives_a_reason_for_each_action() {
    let op = TransactWriteItems::parse(input(vec![put(1), delete(2), put(3)])).expect("fine");
    let failed = PartVerdict::ConditionFailed { item: Some(key(2)) };
    let error = op.cancelled(vec![
        PartVerdict::Fine(Box::default()),
        failed,
        PartVerdict::Invalid("too large".to_owned()),
    ]);
    assert_eq!(
        error.message(),
        "Transaction cancelled, please refer cancellation reasons for specific reasons \
         [None, ConditionalCheckFailed, ValidationError]"
    );
    let OpError::TransactionCanceled(cancellation) = error else { panic!("another error") };
    let reasons =
        cancellation.reasons.iter().map(|reason| (reason.message.as_deref(), reason.item.is_some()));
    let expected =
        [(None, false), (Some("The conditional request failed"), true), (Some("too large"), false)];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
}

#[test]
fn every_action_costs_twice_and_tables_stand_in_the_order_of_the_request() {
    let mut other = put(3);
    other.put.as_mut().expect("a put").table_name = text("another");
    let asked = TransactWriteItemsInput {
        return_consumed_capacity: text("INDEXES"),
        ..input(vec![put(1), other, check(2, "attribute_exists(v)")])
    };
    let op = TransactWriteItems::parse(asked).expect("fine");
    let sizes = [(0, 1025), (0, 1), (3000, 3000)];
    let written = sizes.map(|(old_size, new_size)| WrittenIndexed {
        written: Written { attributes: None, old_size, new_size },
        charges: vec![IndexCharge { name: "by_v".to_owned(), kind: IndexKind::Global, units: 1 }],
        collection: None,
    });
    let capacity = op.shape(written.into()).consumed_capacity.expect("asked for");
    let shown: Vec<_> = capacity.iter().map(|one| (one.table_name.as_str(), one.capacity_units)).collect();
    // An index costs what it costs elsewhere.
    assert_eq!(shown, [("orders", HalfUnits::whole(4 + 6 + 2)), ("another", HalfUnits::whole(2 + 1))]);
    assert_eq!(capacity[0].global, BTreeMap::from([("by_v".to_owned(), HalfUnits::whole(2))]));
    assert!(capacity.iter().all(|one| one.kind == Some(UnitKind::Write) && one.table.is_some()));
}
