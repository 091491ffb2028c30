//! PutItem, GetItem, UpdateItem, DeleteItem.

use trilith_values::AttributeValue;

use super::super::testing::*;
use super::super::types::{ConsumedCapacity, Expectation, HalfUnits};
use super::super::*;
use crate::error::OpError;
use crate::machine::{Action, CommandBody, ReplyBody, ReturnValues, Write, Written};
use crate::read::Plan;

fn key() -> trilith_values::Item {
    item([("pk", s("a")), ("sk", n("1"))])
}

fn put() -> PutItemInput {
    PutItemInput { table_name: text("orders"), item: Some(key()), ..PutItemInput::default() }
}

fn get() -> GetItemInput {
    GetItemInput { table_name: text("orders"), key: Some(key()), ..GetItemInput::default() }
}

fn update() -> UpdateItemInput {
    UpdateItemInput { table_name: text("orders"), key: Some(key()), ..UpdateItemInput::default() }
}

fn delete() -> DeleteItemInput {
    DeleteItemInput { table_name: text("orders"), key: Some(key()), ..DeleteItemInput::default() }
}

fn write_of(body: CommandBody) -> Write {
    match body {
        CommandBody::Write(write) => write,
        other => panic!("not a write: {other:?}"),
    }
}

#[test]
fn requests_that_need_no_table_to_be_refused() {
    let put_cases = [
        (
            PutItemInput::default(),
            "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: Member must not be \
             null; Value null at 'item' failed to satisfy constraint: Member must not be null",
        ),
        (
            PutItemInput { return_values: text("OLD"), ..put() },
            "1 validation error detected: Value 'OLD' at 'returnValues' failed to satisfy constraint: Member must \
             satisfy enum value set: [NONE, ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATED_NEW]",
        ),
        (
            PutItemInput { return_consumed_capacity: text("all"), ..put() },
            "1 validation error detected: Value 'all' at 'returnConsumedCapacity' failed to satisfy constraint: Member \
             must satisfy enum value set: [INDEXES, TOTAL, NONE]",
        ),
        (
            PutItemInput { return_item_collection_metrics: text("x"), ..put() },
            "1 validation error detected: Value 'x' at 'returnItemCollectionMetrics' failed to satisfy constraint: \
             Member must satisfy enum value set: [SIZE, NONE]",
        ),
        (
            PutItemInput { return_values_on_condition_check_failure: text("x"), ..put() },
            "1 validation error detected: Value 'x' at 'returnValuesOnConditionCheckFailure' failed to satisfy \
             constraint: Member must satisfy enum value set: [ALL_OLD, NONE]",
        ),
        (PutItemInput { return_values: text("ALL_NEW"), ..put() }, "Return values set to invalid value"),
        (
            PutItemInput {
                expected: Some([("a".to_owned(), Expectation::default())].into()),
                condition_expression: text("attribute_exists(a)"),
                ..put()
            },
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: \
             {Expected} Expression parameters: {ConditionExpression}",
        ),
        (
            PutItemInput { expression_attribute_names: Some(names([("#a", "a")])), ..put() },
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            PutItemInput { item: Some(item([("pk", s(&"x".repeat(409_600)))])), ..put() },
            "Item size has exceeded the maximum allowed size",
        ),
        (
            PutItemInput { value_fault: Some(value_rules::empty_value()), ..put() },
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
    ];
    for (input, expected) in put_cases {
        assert_eq!(refused(PutItem::parse(input)), expected);
    }
    let long = "a".repeat(256);
    for (name, expected) in [
        ("", "Member must have length greater than or equal to 1"),
        ("ab", "Member must have length greater than or equal to 3"),
        ("a b", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
        (long.as_str(), "Member must have length less than or equal to 255"),
    ] {
        let input = GetItemInput { table_name: text(name), ..get() };
        let expected = format!(
            "1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: {expected}"
        );
        assert_eq!(refused(GetItem::parse(input)), expected);
    }
}

#[test]
fn constraints_rank_before_values_and_values_before_expressions() {
    let fault = Some(value_rules::empty_value());
    let both = PutItemInput { table_name: None, value_fault: fault.clone(), ..put() };
    assert!(
        refused(PutItem::parse(both)).starts_with("1 validation error detected: Value null at 'tableName'")
    );
    let syntax = PutItemInput { condition_expression: text("a ="), value_fault: fault, ..put() };
    assert_eq!(refused(PutItem::parse(syntax)), value_rules::empty_value().message());
}

#[test]
fn a_refused_expression_value_is_not_told_as_missing() {
    let fault = Some(value_rules::in_expression_values(&value_rules::empty_value(), ":v"));
    let expected = fault.clone().expect("just made").message().to_owned();
    let values = item([(":v", AttributeValue::Null)]);
    let input = || PutItemInput {
        expression_attribute_values: Some(values.clone()),
        value_fault: fault.clone(),
        ..put()
    };
    let with_use = PutItemInput { condition_expression: text("a = :v"), ..input() };
    assert_eq!(refused(PutItem::parse(with_use)), expected);
    assert_eq!(
        refused(PutItem::parse(input())),
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| (0..levels).fold(n("1"), |inner, _| AttributeValue::L(vec![inner]));
    let input = |levels| PutItemInput { item: Some(item([("pk", s("a")), ("v", nested(levels))])), ..put() };
    assert!(PutItem::parse(input(32)).is_ok());
    assert_eq!(refused(PutItem::parse(input(33))), "Nesting Levels have exceeded supported limits");
}

#[test]
fn an_item_of_the_largest_size_is_taken() {
    let largest = item([("pk", s(&"x".repeat(409_600 - 2)))]);
    assert!(PutItem::parse(PutItemInput { item: Some(largest), ..put() }).is_ok());
}

#[test]
fn keys_of_items_fit_the_schema() {
    let cases = [
        (item([("sk", n("1"))]), "One or more parameter values were invalid: Missing the key pk in the item"),
        (item([("pk", s("a"))]), "One or more parameter values were invalid: Missing the key sk in the item"),
        (
            item([("pk", n("1")), ("sk", n("1"))]),
            "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
        ),
        (
            item([("pk", s("a")), ("sk", AttributeValue::Bool(true))]),
            "One or more parameter values were invalid: Type mismatch for key sk expected: N actual: BOOL",
        ),
        (
            item([("pk", s("")), ("sk", n("1"))]),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
             string value. Key: pk",
        ),
        (
            item([("pk", s(&"k".repeat(2049))), ("sk", n("1"))]),
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
    ];
    for (map, expected) in cases {
        let op = PutItem::parse(PutItemInput { item: Some(map), ..put() }).expect("needs no table");
        assert_eq!(refused(op.bind(&table())), expected);
    }
    let longest = item([("pk", s(&"k".repeat(2048))), ("sk", n("1"))]);
    let op = PutItem::parse(PutItemInput { item: Some(longest), ..put() }).expect("needs no table");
    assert!(op.bind(&table()).is_ok());
}

#[test]
fn a_sort_key_has_1024_bytes_at_most() {
    let mut record = table();
    record.definition.range.as_mut().expect("a sort key").kind = trilith_values::KeyType::B;
    let key = |length| item([("pk", s("a")), ("sk", AttributeValue::B(vec![7; length]))]);
    let bind = |length| {
        GetItem::parse(GetItemInput { key: Some(key(length)), ..get() }).expect("valid").bind(&record)
    };
    assert!(bind(1024).is_ok());
    assert_eq!(
        refused(bind(1025)),
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
         1024 bytes"
    );
    assert_eq!(
        refused(bind(0)),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty \
         binary value. Key: sk"
    );
}

#[test]
fn key_maps_are_exactly_the_key() {
    let wrong = [
        item([]),
        item([("pk", s("a"))]),
        item([("pk", s("a")), ("other", n("1"))]),
        item([("pk", s("a")), ("sk", s("1"))]),
        item([("pk", s("a")), ("sk", n("1")), ("more", n("1"))]),
        item([("pk", AttributeValue::Null), ("sk", n("1"))]),
    ];
    for map in wrong {
        let expected = "The provided key element does not match the schema";
        let op = GetItem::parse(GetItemInput { key: Some(map.clone()), ..get() }).expect("needs no table");
        assert_eq!(refused(op.bind(&table())), expected, "{map:?}");
        let op = DeleteItem::parse(DeleteItemInput { key: Some(map.clone()), ..delete() })
            .expect("needs no table");
        assert_eq!(refused(op.bind(&table())), expected, "{map:?}");
        let op = UpdateItem::parse(UpdateItemInput { key: Some(map.clone()), ..update() })
            .expect("needs no table");
        assert_eq!(refused(op.bind(&table())), expected, "{map:?}");
    }
}

#[test]
fn tables_that_come_or_go_have_no_data() {
    use crate::catalog::TableStatus;
    for (status, usable) in [
        (TableStatus::Creating, false),
        (TableStatus::Active, true),
        (TableStatus::Updating, true),
        (TableStatus::Deleting, false),
    ] {
        let mut record = table();
        record.status = status;
        let bound = GetItem::parse(get()).expect("valid").bind(&record);
        let missing = OpError::ResourceNotFound("Requested resource not found".to_owned());
        assert_eq!(bound.err(), (!usable).then_some(missing), "{status:?}");
    }
}

#[test]
fn a_write_bears_the_key_and_the_version_it_was_bound_to() {
    let input = PutItemInput {
        condition_expression: text("attribute_not_exists(#p)"),
        expression_attribute_names: Some(names([("#p", "pk")])),
        return_values: text("ALL_OLD"),
        return_values_on_condition_check_failure: text("ALL_OLD"),
        ..put()
    };
    let record = table();
    let write = write_of(PutItem::parse(input).expect("valid").bind(&record).expect("binds"));
    assert_eq!((write.table, write.schema), (record.id, record.version));
    assert_eq!(write.key.hash, trilith_values::key::partition_hash(record.seed, &write.key.partition));
    assert_eq!(write.action, Action::Put(key()));
    assert!(write.condition.is_some() && write.old_on_failure);
    assert_eq!(write.returns, ReturnValues::AllOld);
}

#[test]
fn key_attributes_cannot_be_updated() {
    for (expression, name) in [("SET sk = :v", "sk"), ("REMOVE pk", "pk"), ("ADD sk :v", "sk")] {
        let input = UpdateItemInput {
            update_expression: text(expression),
            expression_attribute_values: expression.contains(":v").then(|| item([(":v", n("1"))])),
            ..update()
        };
        let expected = format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
        );
        assert_eq!(refused(UpdateItem::parse(input).expect("needs no table").bind(&table())), expected);
    }
}

#[test]
fn an_update_without_an_expression_touches_nothing() {
    let write = write_of(UpdateItem::parse(update()).expect("valid").bind(&table()).expect("binds"));
    match write.action {
        Action::Update(update) => assert_eq!(update.targets().count(), 0),
        other => panic!("not an update: {other:?}"),
    }
}

#[test]
fn replies_become_answers() {
    let input = UpdateItemInput {
        return_values: text("UPDATED_OLD"),
        return_consumed_capacity: text("INDEXES"),
        ..update()
    };
    let op = UpdateItem::parse(input).expect("valid");
    let written = |attributes| ReplyBody::Written(Written { attributes, old_size: 100, new_size: 1025 });
    let output = op.shape(written(Some(item([("a", n("1"))])))).expect("written");
    assert_eq!(output.attributes, Some(item([("a", n("1"))])));
    let two = HalfUnits::whole(2);
    let expected = ConsumedCapacity {
        table_name: "orders".to_owned(),
        capacity_units: two,
        table: Some(two),
        ..ConsumedCapacity::default()
    };
    assert_eq!(output.consumed_capacity, Some(expected));
    assert_eq!(op.shape(written(Some(item([])))).expect("written").attributes, None, "nothing to return");

    let failed = |item| ReplyBody::ConditionFailed { item, old_size: 5, new_size: 0 };
    let answer = op.shape(failed(Some(key()))).expect_err("failed");
    assert_eq!(answer, OpError::ConditionalCheckFailed { item: Some(key()) });
    assert_eq!(answer.message(), "The conditional request failed");
    let invalid = ReplyBody::Invalid("why".to_owned());
    assert_eq!(op.shape(invalid), Err(OpError::Validation("why".to_owned())));
    assert_eq!(op.shape(ReplyBody::Poisoned).expect_err("poisoned").name(), "InternalServerError");
}

#[test]
fn a_get_costs_by_the_whole_item() {
    for (consistent, size, halves) in [(false, 0, 1), (true, 0, 2), (false, 4097, 2), (true, 4097, 4)] {
        let input = GetItemInput {
            consistent_read: Some(consistent),
            return_consumed_capacity: text("TOTAL"),
            ..get()
        };
        let output = GetItem::parse(input).expect("valid").shape(None, size);
        assert_eq!(output.item, None);
        let consumed = output.consumed_capacity.expect("asked for");
        assert_eq!((consumed.capacity_units, consumed.table), (HalfUnits(halves), None));
    }
}

#[test]
fn answers_echo_an_arn() {
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders";
    let input = GetItemInput { table_name: text(arn), return_consumed_capacity: text("TOTAL"), ..get() };
    let op = GetItem::parse(input).expect("valid");
    assert!(matches!(op.bind(&table()), Ok(Plan::Get(_))));
    assert_eq!(op.shape(None, 0).consumed_capacity.expect("asked for").table_name, arn);
}
