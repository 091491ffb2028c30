use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::strategies;

fn encoded(value: &KeyValue) -> Vec<u8> {
    let mut out = Vec::new();
    encode_ordered(value, &mut out);
    out
}

fn prefix(value: &KeyValue) -> Vec<u8> {
    let mut out = Vec::new();
    encode_prefix(value, &mut out);
    out
}

fn text(text: &str) -> KeyValue {
    KeyValue::S(text.to_owned())
}

fn number(text: &str) -> KeyValue {
    KeyValue::N(Number::parse(text).expect("a number"))
}

/// The bytes of stored keys: a change here is a change of the format on disk.
#[test]
fn the_bytes_are_these() {
    let cases: [(KeyValue, &[u8]); 11] = [
        (text(""), &[0x10, 0x00, 0x01]),
        (text("ab"), &[0x10, b'a', b'b', 0x00, 0x01]),
        (text("a\0"), &[0x10, b'a', 0x00, 0xff, 0x00, 0x01]),
        (KeyValue::B(vec![0, 0, 1]), &[0x30, 0x00, 0xff, 0x00, 0xff, 0x01, 0x00, 0x01]),
        (number("0"), &[0x21]),
        (number("1"), &[0x22, 130, 20]),
        (number("10"), &[0x22, 131, 20]),
        (number("1234"), &[0x22, 133, 25, 68]),
        (number("-1"), &[0x20, 255 - 130, 255 - 20]),
        (number("1E-130"), &[0x22, 0, 20]),
        (number("-9.9E125"), &[0x20, 0, 255 - 198]),
    ];
    for (value, bytes) in cases {
        assert_eq!(encoded(&value), bytes, "{value:?}");
    }
}

#[test]
fn numbers_stand_in_numeric_order() {
    let ascending = [
        "-9.9E125",
        "-1E125",
        "-101",
        "-100.5",
        "-100",
        "-99",
        "-10",
        "-9",
        "-1.1",
        "-1",
        "-0.99",
        "-1.1E-130",
        "-1E-130",
        "0",
        "1E-130",
        "1.1E-130",
        "0.1",
        "0.99",
        "1",
        "1.1",
        "1.11",
        "1.2",
        "9",
        "9.9",
        "10",
        "11",
        "99",
        "100",
        "100.5",
        "101",
        "1E125",
        "9.9E125",
    ];
    for pair in ascending.windows(2) {
        assert!(encoded(&number(pair[0])) < encoded(&number(pair[1])), "{pair:?}");
    }
}

#[test]
fn other_spellings_are_refused() {
    let cases: [(&[u8], CodecError); 13] = [
        (&[], CodecError::Truncated),
        (&[0x00], CodecError::Tag(0x00)),
        (&[0x23], CodecError::Tag(0x23)),
        (&[0x10, b'a'], CodecError::Truncated),
        (&[0x10, b'a', 0x00], CodecError::Truncated),
        (&[0x10, b'a', 0x00, 0x02], CodecError::Escape),
        (&[0x10, 0xff, 0x00, 0x01], CodecError::Utf8),
        (&[0x22], CodecError::Truncated),
        (&[0x22, 130], CodecError::Truncated),
        (&[0x22, 130, 21], CodecError::Truncated),
        // A first digit that is zero, a pair above 99, a last pair of nothing.
        (&[0x22, 130, 18], CodecError::Number),
        (&[0x22, 130, 200], CodecError::Number),
        (&[0x22, 130, 21, 0], CodecError::Number),
    ];
    for (bytes, error) in cases {
        assert_eq!(decode_ordered(&mut &bytes[..]), Err(error), "{bytes:?}");
    }
    // Twenty pairs where nineteen are the most.
    let mut long = vec![0x22, 130];
    long.extend([21; 20]);
    assert_eq!(decode_ordered(&mut &long[..]), Err(CodecError::Number));
}

#[test]
fn only_three_types_are_keys() {
    assert_eq!(KeyValue::try_from(&AttributeValue::from("a")), Ok(text("a")));
    assert_eq!(KeyValue::try_from(AttributeValue::from(vec![1])), Ok(KeyValue::B(vec![1])));
    for value in [AttributeValue::Null, AttributeValue::Bool(true), AttributeValue::L(vec![])] {
        assert_eq!(KeyValue::try_from(&value), Err(NotAKey));
        assert_eq!(KeyValue::try_from(value), Err(NotAKey));
    }
    for key_type in [KeyType::S, KeyType::N, KeyType::B] {
        assert_eq!(key_type.to_string().parse(), Ok(key_type));
    }
    assert_eq!("SS".parse::<KeyType>(), Err(NotAKey));
    assert!(text("").is_empty() && KeyValue::B(vec![]).is_empty() && !number("0").is_empty());
}

/// Values of the placement hash, computed with the reference implementation: a change here moves every item in every cluster.
#[test]
fn the_hash_never_changes() {
    let long = "k".repeat(2048);
    for (seed, value, hash) in [
        (0, text(""), HASHES[0]),
        (0, text("user#1"), HASHES[1]),
        (7, text("user#1"), HASHES[2]),
        (0, text(&long), HASHES[3]),
        (0, number("42"), HASHES[4]),
        (0, KeyValue::B(b"user#1".to_vec()), HASHES[5]),
    ] {
        assert_eq!(partition_hash(seed, &value), hash, "{seed} {value:?}");
    }
}

const HASHES: [u64; 6] = [
    0xea3c_7cc8_30b6_3826,
    0x1896_bac1_188a_3ae4,
    0x5a51_754c_5aad_accc,
    0x781a_d9d9_282b_702a,
    0xa066_9236_8cdf_675f,
    0x0c07_fa1f_4f13_75c4,
];

proptest! {
    #[test]
    fn byte_order_is_value_order(a in strategies::key_value(), b in strategies::key_value()) {
        prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), a.cmp(&b));
    }

    #[test]
    fn byte_order_is_numeric_order(a in strategies::number(), b in strategies::number()) {
        let order = encoded(&KeyValue::N(a)).cmp(&encoded(&KeyValue::N(b)));
        prop_assert_eq!(order, a.cmp(&b));
    }

    #[test]
    fn byte_order_is_numeric_order_to_the_last_digit(a in strategies::number(), last in 1..10u128) {
        if let Some(b) = strategies::lengthened(&a, last) {
            let order = encoded(&KeyValue::N(a)).cmp(&encoded(&KeyValue::N(b)));
            prop_assert_eq!(order, a.cmp(&b));
        }
    }

    #[test]
    fn byte_order_of_tuples_is_their_order(
        a in (strategies::text(), strategies::number(), strategies::bytes()),
        b in (strategies::text(), strategies::number(), strategies::bytes()),
        same_text in any::<bool>(),
    ) {
        let b = if same_text { (a.0.clone(), b.1, b.2) } else { b };
        let joined = |(s, n, b): (String, Number, Vec<u8>)| {
            [KeyValue::S(s), KeyValue::N(n), KeyValue::B(b)].iter().flat_map(encoded).collect::<Vec<u8>>()
        };
        prop_assert_eq!(joined(a.clone()).cmp(&joined(b.clone())), a.cmp(&b));
    }

    #[test]
    fn keys_round_trip(value in strategies::key_value(), rest in strategies::bytes()) {
        let mut bytes = encoded(&value);
        bytes.extend_from_slice(&rest);
        let mut input = &bytes[..];
        prop_assert_eq!(decode_ordered(&mut input), Ok(value));
        prop_assert_eq!(input, &rest[..]);
    }

    #[test]
    fn no_encoding_is_a_prefix_of_another(a in strategies::key_value(), b in strategies::key_value()) {
        prop_assert_eq!(encoded(&b).starts_with(&encoded(&a)), a == b);
    }

    #[test]
    fn prefixes_find_what_begins_with_them(a in strategies::bytes(), b in strategies::bytes(), cut in 0..8usize) {
        let found = |a: &[u8], b: &[u8]| {
            encoded(&KeyValue::B(b.to_vec())).starts_with(&prefix(&KeyValue::B(a.to_vec())))
        };
        prop_assert_eq!(found(&a, &b), b.starts_with(&a));
        prop_assert!(found(&b[..cut.min(b.len())], &b));
    }

    #[test]
    fn any_bytes_decode_to_an_error_or_to_what_encodes_to_them(
        tag in prop::sample::select(vec![STRING, NEGATIVE, ZERO, POSITIVE, BINARY, 0x40]),
        rest in prop_oneof![strategies::bytes(), vec(any::<u8>(), 0..30)],
    ) {
        let bytes = [vec![tag], rest].concat();
        let mut input = &bytes[..];
        if let Ok(value) = decode_ordered(&mut input) {
            prop_assert_eq!(&encoded(&value)[..], &bytes[..bytes.len() - input.len()]);
        }
    }

    #[test]
    fn the_hash_is_of_tag_and_bytes(seed in any::<u64>(), content in vec(any::<u8>(), 0..300)) {
        let tagged = [vec![BINARY], content.clone()].concat();
        prop_assert_eq!(partition_hash(seed, &KeyValue::B(content)), xxh3_64_with_seed(&tagged, seed));
    }

    #[test]
    fn equal_numbers_hash_alike_and_types_apart(seed in any::<u64>(), value in any::<u32>()) {
        let spelled = Number::parse(&format!("{value}.00")).expect("a number");
        let number = KeyValue::N(Number::from_u64(value.into()));
        prop_assert_eq!(partition_hash(seed, &number), partition_hash(seed, &KeyValue::N(spelled)));
        prop_assert_ne!(partition_hash(seed, &text("a")), partition_hash(seed, &KeyValue::B(b"a".to_vec())));
    }

    #[test]
    fn borsh_round_trips(value in strategies::key_value()) {
        let bytes = borsh::to_vec(&value).expect("a vector takes any bytes");
        prop_assert_eq!(borsh::from_slice::<KeyValue>(&bytes).expect("what was written"), value);
    }
}
