//! Generators for property tests, shared by the modules of this crate. They favour what breaks encodings: zero bytes, the ends of
//! ranges, equal prefixes.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use crate::key::KeyValue;
use crate::number::{MAX_DIGITS, MAX_MAGNITUDE, MIN_MAGNITUDE, Number};
use crate::value::{AttributeValue, Item};

/// A coefficient of 1 to 38 digits, each length equally likely, some of them powers of ten or one less.
fn coefficient() -> impl Strategy<Value = u128> {
    (1..=MAX_DIGITS, any::<u128>(), 0..8u8).prop_map(|(digits, random, shape)| {
        let (low, span) = (10u128.pow(digits - 1), 9 * 10u128.pow(digits - 1));
        match shape {
            0 => low,
            1 => low + (span - 1),
            _ => low + random % span,
        }
    })
}

/// Any number there is; a third of them close to 1, so that sums overlap and comparisons come down to digits.
pub fn number() -> impl Strategy<Value = Number> {
    let magnitude = prop_oneof![
        2 => -6..=6i32,
        4 => MIN_MAGNITUDE..=MAX_MAGNITUDE,
        1 => Just(MIN_MAGNITUDE),
        1 => Just(MAX_MAGNITUDE),
    ];
    let nonzero = (any::<bool>(), coefficient(), magnitude).prop_map(|(negative, digits, magnitude)| {
        let exponent = magnitude - digits.ilog10() as i32;
        Number::from_parts(negative, digits, exponent).expect("digits and magnitude are in range")
    });
    prop_oneof![1 => Just(Number::ZERO), 20 => nonzero]
}

/// The number with one more digit behind its last, if it has room for one.
pub fn lengthened(number: &Number, digit: u128) -> Option<Number> {
    let coefficient = number.coefficient().checked_mul(10)? + digit;
    Number::from_parts(number.is_negative(), coefficient, number.exponent() - 1).ok()
}

/// Text of few distinct characters, so that texts are often prefixes of each other.
pub fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::sample::select(vec!['\0', '\u{1}', 'a', 'b', '\u{ff}', '日']),
        1 => any::<char>(),
    ];
    vec(character, 0..8).prop_map(String::from_iter)
}

/// Bytes, with more than their share of those that the key encoding escapes with.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        2 => prop::sample::select(vec![0x00, 0x01, 0xfe, 0xff]),
        1 => any::<u8>(),
    ];
    vec(byte, 0..8)
}

/// A key value of any type.
pub fn key_value() -> impl Strategy<Value = KeyValue> {
    prop_oneof![text().prop_map(KeyValue::S), number().prop_map(KeyValue::N), bytes().prop_map(KeyValue::B),]
}

/// An attribute value of any type, a few levels deep.
pub fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        text().prop_map(AttributeValue::S),
        number().prop_map(AttributeValue::N),
        bytes().prop_map(AttributeValue::B),
        vec(any::<u8>(), 120..300).prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null),
        btree_set(text(), 1..5).prop_map(AttributeValue::Ss),
        btree_set(number(), 1..5).prop_map(AttributeValue::Ns),
        btree_set(bytes(), 1..5).prop_map(AttributeValue::Bs),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(AttributeValue::L),
            btree_map(text(), inner, 0..5).prop_map(AttributeValue::M),
        ]
    })
}

/// An item of up to seven attributes.
pub fn item() -> impl Strategy<Value = Item> {
    btree_map(text(), value(), 0..8)
}
