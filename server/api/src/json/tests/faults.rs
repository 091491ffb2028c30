//! Bad input: what is a fault of the JSON, what is a fault of a value, and in which words.

use trilith_domain::OpError;
use trilith_domain::ops::{BatchWriteItemInput, CreateTableInput, GetItemInput, PutItemInput};

use super::{read, value};

fn serialization(error: OpError) -> String {
    match error {
        OpError::Serialization(text) => text,
        other => panic!("not a SerializationException: {other}"),
    }
}

fn fault_of<T: std::fmt::Debug>(result: Result<T, OpError>) -> String {
    serialization(result.expect_err("refused"))
}

#[test]
fn malformed_json_names_the_place() {
    for (json, expected) in [
        ("", "Malformed JSON at byte 0: unexpected end of the document"),
        ("  ", "Malformed JSON at byte 2: unexpected end of the document"),
        ("{", "Malformed JSON at byte 1: expected a member name"),
        (r#"{"TableName""#, "Malformed JSON at byte 12: expected a colon"),
        (r#"{"TableName":"#, "Malformed JSON at byte 13: unexpected end of the document"),
        (r#"{"TableName":"t"#, "Malformed JSON at byte 15: unterminated string"),
        (r#"{"TableName":"t",}"#, "Malformed JSON at byte 17: unexpected comma"),
        (r#"{"TableName":"t"}}"#, "Malformed JSON at byte 17: unexpected text after the end of the document"),
        (
            r#"{"TableName":"t"} x"#,
            "Malformed JSON at byte 18: unexpected text after the end of the document",
        ),
        (r#"{TableName:"t"}"#, "Malformed JSON at byte 1: expected a member name"),
        ("{\"TableName\":\"a\u{1}b\"}", "Malformed JSON at byte 15: control character inside a string"),
        (r#"{"TableName":"\x"}"#, "Malformed JSON at byte 15: unknown escape"),
        (r#"{"TableName":"\u12"}"#, "Malformed JSON at byte 16: expected four hexadecimal digits"),
        (r#"{"TableName":"\ud800"}"#, "Malformed JSON at byte 20: lone surrogate"),
        (r#"{"TableName":"\ud800\u0041"}"#, "Malformed JSON at byte 26: lone surrogate"),
        (r#"{"TableName":"\udc00"}"#, "Malformed JSON at byte 20: lone surrogate"),
        (r#"{"X":[1,2}"#, "Malformed JSON at byte 9: expected a comma or the end of an object or array"),
        (r#"{"X":01}"#, "Malformed JSON at byte 6: expected a comma or the end of an object or array"),
        (r#"{"X":-}"#, "Malformed JSON at byte 6: expected a digit"),
        (r#"{"X":1.}"#, "Malformed JSON at byte 7: expected a digit"),
        (r#"{"X":nul}"#, "Malformed JSON at byte 5: unexpected character"),
        (r#"{"X":NaN}"#, "Malformed JSON at byte 5: unexpected character"),
        (r#"{'X':1}"#, "Malformed JSON at byte 1: expected a member name"),
    ] {
        assert_eq!(fault_of(read::<GetItemInput>(json)), expected, "{json}");
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let body = b"{\"TableName\":\"\xff\"}";
    let error = super::Reader::new(body).expect_err("refused");
    assert_eq!(serialization(error), "Malformed JSON at byte 14: invalid UTF-8");
}

#[test]
fn nul_is_a_character_like_any_other_where_it_is_escaped() {
    assert_eq!(read::<String>("\"a\\u0000\"").as_deref(), Ok("a\0"));
    assert_eq!(
        fault_of(read::<String>("\"a\0\"")),
        "Malformed JSON at byte 2: control character inside a string"
    );
    assert_eq!(
        fault_of(read::<GetItemInput>("{}\0")),
        "Malformed JSON at byte 2: unexpected text after the end of the document"
    );
}

#[test]
fn wrong_types_in_the_services_words() {
    let structure = "Start of structure or map found where not expected";
    let list = "Start of list found where not expected";
    for (json, expected) in [
        (r#"{"TableName":5}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"TableName":true}"#, "TRUE_VALUE cannot be converted to String"),
        (r#"{"TableName":false}"#, "FALSE_VALUE cannot be converted to String"),
        (r#"{"TableName":{}}"#, structure),
        (r#"{"TableName":[]}"#, list),
        (r#"{"ConsistentRead":"true"}"#, "STRING_VALUE cannot be converted to Boolean"),
        (r#"{"ConsistentRead":1}"#, "NUMBER_VALUE cannot be converted to Boolean"),
        (r#"{"Key":"k"}"#, "Unexpected value type in payload"),
        (r#"{"Key":[]}"#, list),
        (r#"{"Key":{"k":"v"}}"#, "Unexpected value type in payload"),
        (r#"{"Key":{"k":{"S":1}}}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"Key":{"k":{"N":1}}}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"Key":{"k":{"N":{}}}}"#, structure),
        (r#"{"Key":{"k":{"SS":"a"}}}"#, "Unexpected value type in payload"),
        (r#"{"Key":{"k":{"SS":{}}}}"#, structure),
        (r#"{"Key":{"k":{"SS":[null]}}}"#, "NULL_VALUE cannot be converted to String"),
        (r#"{"Key":{"k":{"L":{}}}}"#, structure),
        (r#"{"Key":{"k":{"M":[]}}}"#, list),
        (r##"{"ExpressionAttributeNames":{"#a":1}}"##, "NUMBER_VALUE cannot be converted to String"),
        ("[]", list),
        ("null", "Unexpected value type in payload"),
        ("\"x\"", "Unexpected value type in payload"),
    ] {
        assert_eq!(fault_of(read::<GetItemInput>(json)), expected, "{json}");
    }
    assert_eq!(fault_of(read::<i64>("1.5")), "NUMBER_VALUE cannot be converted to Long");
    assert_eq!(fault_of(read::<i64>("1e300")), "NUMBER_VALUE cannot be converted to Long");
    assert_eq!(fault_of(read::<i64>("\"1\"")), "STRING_VALUE cannot be converted to Long");
    let write = r#"{"RequestItems":{"t":{"PutRequest":{}}}}"#;
    assert_eq!(fault_of(read::<BatchWriteItemInput>(write)), structure);
}

#[test]
fn base64_is_strict() {
    for json in [
        r#"{"B":"A"}"#,
        r#"{"B":"AA"}"#,
        r#"{"B":"A A="}"#,
        r#"{"B":"AB=="}"#,
        r#"{"B":"_-=="}"#,
        r#"{"BS":["?"]}"#,
    ] {
        assert!(fault_of(value(json)).starts_with("Invalid Base64: "), "{json}");
    }
}

#[test]
fn faults_of_values_are_kept_while_decoding_goes_on() {
    let number = "The parameter cannot be converted to a numeric value: x";
    for (json, expected) in [
        (r#"{}"#, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            r#"{"X":"y"}"#,
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            r#"{"S":null}"#,
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (r#"null"#, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
        (
            r#"{"L":[null]}"#,
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            r#"{"S":"a","N":"1"}"#,
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
        ),
        (r#"{"N":"x"}"#, number),
        (r#"{"M":{"a":{"L":[{"N":"x"},{"N":"y"}]}}}"#, number),
        (
            r#"{"NULL":false}"#,
            "One or more parameter values were invalid: Null attribute value types must have the value of true",
        ),
        (r#"{"SS":[]}"#, "One or more parameter values were invalid: An string set  may not be empty"),
    ] {
        assert_eq!(value(json), Err(OpError::validation(expected)), "{json}");
    }
    // What comes after a fault is still read: its own faults of JSON come first, its members arrive.
    let put: PutItemInput = read(r#"{"Item":{"a":{"N":"x"},"b":{}},"TableName":"t"}"#).expect("sound JSON");
    assert_eq!(put.table_name.as_deref(), Some("t"));
    assert_eq!(put.value_fault, Some(OpError::validation(number)));
    assert!(put.item.is_some());
    assert_eq!(
        fault_of(read::<PutItemInput>(r#"{"Item":{"a":{"N":"x"}},"TableName":5}"#)),
        "NUMBER_VALUE cannot be converted to String"
    );
}

#[test]
fn faults_of_expression_values_name_their_placeholder() {
    let put: PutItemInput =
        read(r#"{"ExpressionAttributeValues":{":a":{"S":"a"},":b":{"L":[{}]},":c":{"N":"x"}}}"#)
            .expect("sound JSON");
    let fault = put.value_fault.expect("a fault");
    assert!(fault.message().contains("for key :b"), "{fault}");
    let put: PutItemInput =
        read(r#"{"Item":{"a":{}},"ExpressionAttributeValues":{":c":{"N":"x"}}}"#).expect("sound JSON");
    let fault = put.value_fault.expect("a fault");
    assert!(fault.message().starts_with("Supplied AttributeValue is empty"), "the first one: {fault}");
}

/// A value of `levels` lists or maps, one inside the other.
fn nested(levels: usize, open: &str, close: &str) -> String {
    format!("{}{{\"S\":\"x\"}}{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn nesting_beyond_32_levels_is_a_fault_of_the_value() {
    for (open, close) in [(r#"{"L":["#, "]}"), (r#"{"M":{"a":"#, "}}")] {
        let deepest = value(&nested(32, open, close)).expect("32 levels");
        assert_eq!(deepest.depth(), 32);
        for levels in [33, 40, 1000, 100_000] {
            let fault = value(&nested(levels, open, close)).expect_err("too deep");
            assert_eq!(
                fault,
                OpError::validation("Nesting Levels have exceeded supported limits"),
                "{levels}"
            );
        }
    }
}

#[test]
fn deep_json_is_passed_over_to_a_bound_and_refused_beyond_it() {
    let deep =
        |levels: usize, open: &str, close: &str| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    let unknown = |levels| format!(r#"{{"Unknown":{},"TableName":"t"}}"#, deep(levels, "[", "]"));
    let sound = read::<GetItemInput>(&unknown(1000)).expect("sound");
    assert_eq!(sound.table_name.as_deref(), Some("t"));
    let not_built = |levels| format!(r#"{{"ResourcePolicy":{}}}"#, deep(levels, r#"{"a":"#, "}"));
    let sound = read::<CreateTableInput>(&not_built(1000)).expect("sound");
    assert_eq!(sound.not_built, ["ResourcePolicy"]);
    for levels in [1001, 100_000] {
        let text = "Document nesting depth exceeds the maximum allowed";
        assert_eq!(fault_of(read::<GetItemInput>(&unknown(levels))), text);
        assert_eq!(fault_of(read::<CreateTableInput>(&not_built(levels))), text);
    }
    let open_only = format!(r#"{{"Unknown":{}"#, "[".repeat(1000));
    assert!(fault_of(read::<GetItemInput>(&open_only)).starts_with("Malformed JSON"));
    let as_value = format!(r#"{{"Key":{}}}"#, deep(100_000, "[", "]"));
    assert_eq!(fault_of(read::<GetItemInput>(&as_value)), "Start of list found where not expected");
}

#[test]
fn members_that_ask_for_nothing_are_not_reported() {
    for (json, asks) in [
        (r#"{"ResourcePolicy":null}"#, false),
        (r#"{"ResourcePolicy":[]}"#, false),
        (r#"{"ResourcePolicy":{"Enabled":false,"Other":{"x":[null]}}}"#, false),
        (r#"{"ResourcePolicy":{"Enabled":true}}"#, true),
        (r#"{"ResourcePolicy":["a"],"ResourcePolicy":["b"]}"#, true),
        (r#"{"ResourcePolicy":0}"#, true),
    ] {
        let create: CreateTableInput = read(json).expect("sound");
        assert_eq!(create.not_built.len(), usize::from(asks), "{json}");
    }
}
