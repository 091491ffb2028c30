use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::strategies;

fn encoded(value: &AttributeValue) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(&mut out, value);
    out
}

fn encoded_item(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    encode_item(&mut out, item);
    out
}

fn number(text: &str) -> Number {
    Number::parse(text).expect("a number")
}

/// A list in a list in a list, `depth` of them.
fn nest(depth: usize) -> AttributeValue {
    (0..depth).fold(AttributeValue::Null, |inner, _| AttributeValue::L(vec![inner]))
}

#[test]
fn the_bytes_are_these() {
    let strings = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let numbers = BTreeSet::from([number("2"), number("0")]);
    let map = Map::from([("k".to_owned(), AttributeValue::Null)]);
    let cases: [(AttributeValue, &[u8]); 14] = [
        (AttributeValue::Null, &[0]),
        (AttributeValue::Bool(false), &[1]),
        (AttributeValue::Bool(true), &[2]),
        (AttributeValue::from("hi"), &[3, 2, b'h', b'i']),
        (AttributeValue::N(Number::ZERO), &[4, 0]),
        (AttributeValue::N(number("7")), &[4, 1, 0, 7]),
        (AttributeValue::N(number("-256")), &[4, 0x82, 0, 0, 1]),
        (AttributeValue::N(number("0.5")), &[4, 1, 1, 5]),
        (AttributeValue::N(number("1E100")), &[4, 1, 0xc8, 1, 1]),
        (AttributeValue::from(vec![0, 255]), &[5, 2, 0, 255]),
        (AttributeValue::L(vec![AttributeValue::Null, nest(1)]), &[6, 4, 0, 6, 1, 0]),
        (AttributeValue::M(map), &[7, 3, 1, b'k', 0]),
        (AttributeValue::Ss(strings), &[8, 4, 1, b'a', 1, b'b']),
        (AttributeValue::Ns(numbers), &[9, 4, 0, 1, 0, 2]),
    ];
    for (value, bytes) in cases {
        assert_eq!(encoded(&value), bytes, "{value:?}");
    }
    let binaries = BTreeSet::from([vec![], vec![1]]);
    assert_eq!(encoded(&AttributeValue::Bs(binaries)), [10, 3, 0, 1, 1]);
    let item = Item::from([("k".to_owned(), AttributeValue::Bool(true))]);
    assert_eq!(encoded_item(&item), [3, 1, b'k', 2]);
}

#[test]
fn other_spellings_are_refused() {
    let cases: [(&[u8], CodecError); 20] = [
        (&[], CodecError::Truncated),
        (&[11], CodecError::Tag(11)),
        (&[255], CodecError::Tag(255)),
        (&[3, 2, b'h'], CodecError::Truncated),
        (&[3, 0x80], CodecError::Truncated),
        (&[3, 0x81, 0x00, b'h'], CodecError::Varint),
        (&[3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], CodecError::Varint),
        (&[3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], CodecError::Truncated),
        (&[3, 1, 0xff], CodecError::Utf8),
        (&[7, 3, 1, 0xff, 0], CodecError::Utf8),
        (&[4, 0x80], CodecError::Number),
        (&[4, 0x11], CodecError::Number),
        (&[4, 1, 0, 0], CodecError::Number),
        (&[4, 1, 0, 10], CodecError::Number),
        (&[4, 2, 0, 7, 0], CodecError::Number),
        (&[4, 1, 0xfc, 1, 1], CodecError::Number),
        (&[4, 1, 0, 7, 0], CodecError::Trailing),
        (&[7, 6, 1, b'b', 0, 1, b'a', 0], CodecError::Order),
        (&[7, 6, 1, b'a', 0, 1, b'a', 0], CodecError::Order),
        (&[9, 6, 1, 0, 2, 1, 0, 2], CodecError::Order),
    ];
    for (bytes, error) in cases {
        let mut input = bytes;
        let decoded = decode_value(&mut input);
        match error {
            CodecError::Trailing => assert!(decoded.is_ok() && !input.is_empty(), "{bytes:?}"),
            _ => assert_eq!(decoded, Err(error), "{bytes:?}"),
        }
    }
}

#[test]
fn depth_is_bounded() {
    let deepest = nest(MAX_DEPTH);
    assert_eq!(decode_value(&mut &encoded(&deepest)[..]), Ok(deepest));
    let deeper = encoded(&nest(MAX_DEPTH + 1));
    assert_eq!(decode_value(&mut &deeper[..]), Err(CodecError::Depth));
    // So deep that following it down would overflow the stack.
    let tower = (0..5_000).fold(vec![NULL], |inner, _| {
        let mut outer = vec![LIST];
        encode_bytes(&mut outer, &inner);
        outer
    });
    assert_eq!(decode_value(&mut &tower[..]), Err(CodecError::Depth));
}

#[test]
fn varints_at_their_ends() {
    for (value, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
        let mut out = Vec::new();
        encode_varint(&mut out, value);
        assert_eq!(out.len(), length);
        assert_eq!(decode_varint(&mut &out[..]), Ok(value));
    }
}

#[test]
fn reading_stops_at_the_first_error() {
    // The first pair is sound, the second has no value.
    let bytes = [5, 1, b'a', 0, 1, b'b'];
    let mut reader = ItemReader::new(&mut &bytes[..]).expect("the frame is whole");
    assert_eq!(reader.find("a"), Ok(Some(AttributeValue::Null)));
    assert_eq!(reader.find("b"), Err(CodecError::Truncated));
    // Past its place in the order, a name is not searched for any further.
    assert_eq!(reader.find("A"), Ok(None));
    assert_eq!(reader.next(), Some(Ok(("a", &[NULL][..]))));
    assert_eq!(reader.next(), Some(Err(CodecError::Truncated)));
    assert_eq!(reader.next(), None);
}

#[derive(Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Row {
    #[borsh(serialize_with = "borsh_serialize_item", deserialize_with = "borsh_deserialize_item")]
    item: Item,
    value: AttributeValue,
    number: Number,
}

proptest! {
    #[test]
    fn values_round_trip(value in strategies::value(), rest in strategies::bytes()) {
        let mut bytes = encoded(&value);
        let length = bytes.len();
        bytes.extend_from_slice(&rest);
        let mut input = &bytes[..];
        prop_assert_eq!(decode_value(&mut input), Ok(value));
        prop_assert_eq!(input, &rest[..]);
        let mut input = &bytes[..];
        prop_assert_eq!(skip_value(&mut input), Ok(&bytes[..length]));
        prop_assert_eq!(input, &rest[..]);
    }

    #[test]
    fn items_round_trip_whole_and_by_attribute(item in strategies::item(), name in strategies::text()) {
        let bytes = encoded_item(&item);
        let mut input = &bytes[..];
        prop_assert_eq!(decode_item(&mut input), Ok(item.clone()));
        prop_assert!(input.is_empty());

        let reader = ItemReader::new(&mut &bytes[..]).expect("the frame is whole");
        let read: Item = reader
            .clone()
            .map(|pair| {
                let (name, mut value) = pair.expect("pairs are whole");
                (name.to_owned(), decode_value(&mut value).expect("values are whole"))
            })
            .collect();
        prop_assert_eq!(&read, &item);
        for wanted in item.keys().chain([&name]) {
            prop_assert_eq!(reader.find(wanted), Ok(item.get(wanted).cloned()));
        }
    }

    #[test]
    fn every_cut_is_an_error(value in strategies::value(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&value);
        let cut = cut.index(bytes.len());
        prop_assert!(decode_value(&mut &bytes[..cut]).is_err());
    }

    #[test]
    fn any_bytes_decode_to_an_error_or_to_what_encodes_to_them(bytes in vec(0..16u8, 0..40)) {
        let mut input = &bytes[..];
        if let Ok(value) = decode_value(&mut input) {
            prop_assert_eq!(&encoded(&value)[..], &bytes[..bytes.len() - input.len()]);
        }
        let mut input = &bytes[..];
        if let Ok(item) = decode_item(&mut input) {
            prop_assert_eq!(&encoded_item(&item)[..], &bytes[..bytes.len() - input.len()]);
        }
    }

    #[test]
    fn damaged_bytes_decode_to_an_error_or_to_what_encodes_to_them(
        item in strategies::item(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded_item(&item);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut input = &bytes[..];
        if let Ok(item) = decode_item(&mut input) {
            prop_assert_eq!(&encoded_item(&item)[..], &bytes[..bytes.len() - input.len()]);
        }
        if let Ok(reader) = ItemReader::new(&mut &bytes[..]) {
            prop_assert!(reader.count() <= bytes.len());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(value) = decode_number(&mut &bytes[..]) {
            let mut out = Vec::new();
            encode_number(&mut out, &value);
            prop_assert!(bytes.starts_with(&out));
        }
        let _ = (decode_value(&mut &bytes[..]), decode_item(&mut &bytes[..]));
    }

    #[test]
    fn borsh_round_trips(
        item in strategies::item(),
        value in strategies::value(),
        number in strategies::number(),
    ) {
        let row = Row { item, value, number };
        let bytes = borsh::to_vec(&row).expect("a vector takes any bytes");
        prop_assert_eq!(borsh::from_slice::<Row>(&bytes).expect("what was written"), row);
        prop_assert!(borsh::from_slice::<Row>(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn borsh_refuses_bytes_behind_the_value() {
    assert!(borsh::from_slice::<AttributeValue>(&[1, 0, 0, 0, NULL]).is_ok());
    assert!(borsh::from_slice::<AttributeValue>(&[2, 0, 0, 0, NULL, NULL]).is_err());
}
