//! The older parameters: which may stand together, and in which words a wrong one is refused.

use std::collections::BTreeMap;

use trilith_values::AttributeValue;

use super::super::testing::*;
use super::super::types::{AttributeUpdate, ConditionInput, Expectation};
use super::super::*;
use crate::expr::UpdateError;
use crate::machine::ReplyBody;

fn one<T>(name: &str, test: T) -> Option<BTreeMap<String, T>> {
    Some([(name.to_owned(), test)].into())
}

fn put(expected: Option<BTreeMap<String, Expectation>>) -> PutItemInput {
    let key = item([("pk", s("a")), ("sk", n("1"))]);
    PutItemInput { table_name: text("orders"), item: Some(key), expected, ..PutItemInput::default() }
}

fn update(changes: Option<BTreeMap<String, AttributeUpdate>>) -> UpdateItemInput {
    let key = item([("pk", s("a")), ("sk", n("1"))]);
    UpdateItemInput {
        table_name: text("orders"),
        key: Some(key),
        attribute_updates: changes,
        ..UpdateItemInput::default()
    }
}

fn compared(comparison: &str, values: Vec<AttributeValue>) -> ConditionInput {
    ConditionInput { comparison_operator: text(comparison), attribute_value_list: Some(values) }
}

fn query(conditions: Option<BTreeMap<String, ConditionInput>>) -> QueryInput {
    QueryInput { table_name: text("orders"), key_conditions: conditions, ..QueryInput::default() }
}

fn of_key() -> Option<BTreeMap<String, ConditionInput>> {
    one("pk", compared("EQ", vec![s("a")]))
}

#[test]
fn each_style_of_expected_is_checked() {
    let value = || Some(n("1"));
    let list = || Some(vec![n("1")]);
    let bare = Expectation::default;
    for (test, complaint) in [
        (
            Expectation { exists: Some(false), value: value(), ..bare() },
            "Value cannot be used when Exists is false",
        ),
        (Expectation { exists: Some(true), ..bare() }, "Value must be provided when Exists is true"),
        (bare(), "Value must be provided when Exists is null"),
        (
            Expectation { attribute_value_list: list(), ..bare() },
            "AttributeValueList can only be used with a ComparisonOperator",
        ),
        (
            Expectation { attribute_value_list: list(), value: value(), ..bare() },
            "Value and AttributeValueList cannot be used together",
        ),
        (
            Expectation { comparison_operator: text("EQ"), exists: Some(true), ..bare() },
            "Exists and ComparisonOperator cannot be used together",
        ),
        (
            Expectation { comparison_operator: text("EQ"), ..bare() },
            "Value or AttributeValueList must be used with ComparisonOperator: EQ",
        ),
    ] {
        let expected = format!("One or more parameter values were invalid: {complaint} for Attribute: n");
        assert_eq!(refused(PutItem::parse(put(one("n", test)))), expected);
    }
    for (test, holds_for_nothing) in [
        (Expectation { exists: Some(false), ..bare() }, true),
        (Expectation { value: value(), ..bare() }, false),
        (Expectation { exists: Some(true), value: value(), ..bare() }, false),
        (Expectation { comparison_operator: text("NULL"), ..bare() }, true),
        (Expectation { comparison_operator: text("NE"), value: value(), ..bare() }, true),
    ] {
        let op = PutItem::parse(put(one("n", test.clone()))).expect("valid");
        let condition = op.options.condition.expect("a condition");
        assert_eq!(condition.holds_for(None), holds_for_nothing, "{test:?}");
    }
}

#[test]
fn an_operator_needs_tests_to_join() {
    let test = || Expectation { exists: Some(false), ..Expectation::default() };
    let with = |expected, operator| PutItemInput { conditional_operator: text(operator), ..put(expected) };
    assert_eq!(
        refused(PutItem::parse(with(None, "OR"))),
        "ConditionalOperator cannot be used without Filter or Expected"
    );
    assert_eq!(
        refused(PutItem::parse(with(one("a", test()), "AND"))),
        "ConditionalOperator can only be used when Filter or Expected has two or more elements"
    );
    assert_eq!(
        refused(PutItem::parse(with(one("a", test()), "XOR"))),
        "1 validation error detected: Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must \
         satisfy enum value set: [AND, OR]"
    );
    let two = Some([("a".to_owned(), test()), ("b".to_owned(), test())].into());
    assert!(PutItem::parse(with(two, "OR")).is_ok());
}

#[test]
fn enums_and_required_members_are_constraints() {
    assert_eq!(
        refused(Query::parse(query(one("pk", ConditionInput::default())))),
        "1 validation error detected: Value null at 'keyConditions.pk.member.comparisonOperator' failed to satisfy \
         constraint: Member must not be null"
    );
    let change = AttributeUpdate { action: text("SET"), value: None };
    assert_eq!(
        refused(UpdateItem::parse(update(one("a", change)))),
        "1 validation error detected: Value 'SET' at 'attributeUpdates.a.member.action' failed to satisfy \
         constraint: Member must satisfy enum value set: [ADD, PUT, DELETE]"
    );
    assert_eq!(
        refused(Query::parse(QueryInput { attributes_to_get: Some(vec![]), ..query(of_key()) })),
        "1 validation error detected: Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have \
         length greater than or equal to 1"
    );
}

#[test]
fn a_request_speaks_one_language() {
    let change = || one("a", AttributeUpdate { action: text("DELETE"), value: None });
    let mixed = |older: &str, expressions: &str| {
        format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression \
             parameters: {{{older}}} Expression parameters: {{{expressions}}}"
        )
    };
    let input = UpdateItemInput {
        update_expression: text("REMOVE b"),
        condition_expression: text("attribute_exists(a)"),
        conditional_operator: text("OR"),
        ..update(change())
    };
    assert_eq!(
        refused(UpdateItem::parse(input)),
        mixed("AttributeUpdates, ConditionalOperator", "UpdateExpression, ConditionExpression")
    );
    let input = QueryInput { filter_expression: text("a = b"), ..query(of_key()) };
    assert_eq!(refused(Query::parse(input)), mixed("KeyConditions", "FilterExpression"));
    let input = ScanInput {
        table_name: text("orders"),
        scan_filter: one("a", compared("NULL", vec![])),
        projection_expression: text("a"),
        ..ScanInput::default()
    };
    assert_eq!(refused(Scan::parse(input)), mixed("ScanFilter", "ProjectionExpression"));
    let empty = UpdateItemInput { update_expression: text("REMOVE b"), ..update(Some(BTreeMap::new())) };
    assert!(UpdateItem::parse(empty).is_ok(), "an empty map is none");
}

#[test]
fn queries_speak_of_their_own_parameters() {
    let select = QueryInput {
        attributes_to_get: Some(vec!["a".to_owned()]),
        select: text("ALL_ATTRIBUTES"),
        ..query(of_key())
    };
    assert_eq!(
        refused(Query::parse(select)),
        "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES"
    );
    let filter = QueryInput { query_filter: one("sk", compared("EQ", vec![n("1")])), ..query(of_key()) };
    assert_eq!(
        refused(Query::parse(filter).expect("needs no table").bind(&table())),
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"
    );
    assert!(Query::parse(query(of_key())).expect("valid").bind(&table()).is_ok());
    assert_eq!(
        refused(Query::parse(query(Some(BTreeMap::new())))),
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    );
}

#[test]
fn a_wrong_type_is_told_in_the_words_of_the_parameter() {
    let wrong = || ReplyBody::Invalid(UpdateError::OperandType.to_string());
    let change = AttributeUpdate { action: text("ADD"), value: Some(n("1")) };
    let older = UpdateItem::parse(update(one("a", change))).expect("valid");
    assert_eq!(refused(older.shape(wrong())), "Type mismatch for attribute to update");
    let newer = UpdateItemInput { update_expression: text("REMOVE a"), ..update(None) };
    let newer = UpdateItem::parse(newer).expect("valid");
    assert_eq!(refused(newer.shape(wrong())), UpdateError::OperandType.to_string());
}
