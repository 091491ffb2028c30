//! No bytes make a decoder panic, and what is written reads back the same.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use trilith_values::{AttributeValue, Number};

use super::value;
use crate::json::write::{ToJson, Writer};
use crate::operations::operations;

fn number() -> impl Strategy<Value = Number> {
    (any::<i64>(), -120..100i32)
        .prop_map(|(digits, exponent)| Number::parse(&format!("{digits}E{exponent}")).expect("in range"))
}

fn attribute_value() -> impl Strategy<Value = AttributeValue> {
    let text = prop_oneof!["\\PC{0,8}", "[\\x00-\\x1f\"\\\\/]{0,6}"];
    let leaf = prop_oneof![
        text.clone().prop_map(AttributeValue::S),
        number().prop_map(AttributeValue::N),
        vec(any::<u8>(), 0..9).prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        btree_set(text.clone(), 1..4).prop_map(AttributeValue::Ss),
        btree_set(number(), 1..4).prop_map(AttributeValue::Ns),
        btree_set(vec(any::<u8>(), 0..5), 1..4).prop_map(AttributeValue::Bs),
    ];
    leaf.prop_recursive(6, 40, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            btree_map(text.clone(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

/// Bodies that are nearly right: every operation finds members of its own in some of them.
const SEEDS: &[&str] = &[
    r#"{"TableName":"orders","Key":{"a":{"S":"x"},"b":{"N":"-1.5e3"}},"ConsistentRead":true,"Limit":10}"#,
    r##"{"TableName":"orders","Item":{"a":{"M":{"b":{"L":[{"B":"AAE="},{"NULL":true},{"SS":["a","b"]}]}}}},"ConditionExpression":"attribute_exists(#a) AND b < :c","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":c":{"N":"5"}}}"##,
    r#"{"TableName":"orders","Key":{"a":{"S":"\u00e9\ud83d\ude00\n"}},"UpdateExpression":"SET b = b + :c REMOVE d","ExpressionAttributeValues":{":c":{"NS":["1","2.5"]}}}"#,
    r#"{"RequestItems":{"orders":[{"PutRequest":{"Item":{"a":{"BS":["AA=="]}}}},{"DeleteRequest":{"Key":{"a":{"BOOL":false}}}}]}}"#,
    r#"{"RequestItems":{"orders":{"Keys":[{"a":{"S":"x"}}],"ProjectionExpression":"a.b[0].c"}}}"#,
    r#"{"TableName":"orders","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"Tags":[{"Key":"k","Value":"v"}],"GlobalSecondaryIndexes":[]}"#,
    r#"{"TableName":"orders","KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"x"}},"Segment":0,"TotalSegments":4,"Select":"COUNT"}"#,
];

/// What happens to a seed: bytes replaced, cut out, or repeated.
#[derive(Clone, Debug)]
enum Change {
    Put(usize, u8),
    Cut(usize, usize),
    Double(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let telling = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\u0-1.eE \0n".to_vec())];
    prop_oneof![
        (any::<usize>(), telling).prop_map(|(at, byte)| Change::Put(at, byte)),
        (any::<usize>(), 1..20usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (any::<usize>(), 1..20usize).prop_map(|(at, length)| Change::Double(at, length)),
    ]
}

fn mutate(seed: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match *change {
            Change::Put(at, byte) => bytes[at % length] = byte,
            Change::Cut(at, many) => drop(bytes.drain(at % length..(at % length + many).min(length))),
            Change::Double(at, many) => {
                let part = bytes[at % length..(at % length + many).min(length)].to_vec();
                bytes.splice(at % length..at % length, part);
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn a_value_reads_back_as_it_was_written(original in attribute_value()) {
        let mut out = Writer::new();
        original.to_json(&mut out);
        let json = String::from_utf8(out.into_bytes()).expect("UTF-8");
        prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
        prop_assert_eq!(value(&json), Ok(original), "{}", json);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(body in vec(any::<u8>(), 0..200)) {
        for operation in operations() {
            let _ = (operation.decode)(&body, None);
        }
    }

    #[test]
    fn no_change_of_a_sound_body_makes_a_decoder_panic(
        seed in prop::sample::select(SEEDS),
        changes in vec(change(), 1..6),
    ) {
        let body = mutate(seed, &changes);
        for operation in operations() {
            let _ = (operation.decode)(&body, Some("localhost"));
        }
    }

    /// The reader takes for sound what another parser takes for sound, and nothing else.
    #[test]
    fn agrees_with_another_parser_on_what_json_is(
        seed in prop::sample::select(SEEDS),
        changes in vec(change(), 0..4),
    ) {
        let body = mutate(seed, &changes);
        let ours = super::Reader::new(&body).and_then(|mut reader| {
            reader.skip()?;
            reader.finish()
        });
        let theirs = serde_json::from_slice::<serde_json::Value>(&body);
        // It turns numbers into doubles, we do not before we are asked for one.
        prop_assume!(!theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range")));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
    }
}
