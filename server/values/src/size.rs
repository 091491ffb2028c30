//! How many bytes a value counts for.
//!
//! These are the service's own rules (contract 2.4), against which the 400 KB limit, capacity units and table sizes are measured.
//! They have nothing to do with how many bytes our encoding takes. Sizes are in bytes, without the 100 bytes per item that only
//! the storage bill adds.
//!
//! A number is counted as if it were stored in base 100: one byte for sign and exponent, one for each pair of digits, pairs lying
//! on even decimal exponents (so 10 is one pair, and 1.1 is two), one more byte if negative, 21 at the most.

use crate::key::KeyValue;
use crate::number::Number;
use crate::value::{AttributeValue, Item};

/// What a list or a map costs before its elements.
const CONTAINER_OVERHEAD: usize = 3;
/// What each element of a list or a map costs besides itself.
const ELEMENT_OVERHEAD: usize = 1;
/// The most a number counts for.
const NUMBER_MAX: usize = 21;

/// Size of an item: the sum of its attributes.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| attribute_size(name, value)).sum()
}

/// Size of a top-level attribute: the name's UTF-8 length and the value.
pub fn attribute_size(name: &str, value: &AttributeValue) -> usize {
    name.len() + value_size(value)
}

/// Size of a value alone.
pub fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::Bool(_) | AttributeValue::Null => 1,
        AttributeValue::L(list) => {
            let elements = list.iter().map(|value| ELEMENT_OVERHEAD + value_size(value));
            CONTAINER_OVERHEAD + elements.sum::<usize>()
        }
        AttributeValue::M(map) => {
            let elements = map.iter().map(|(name, value)| ELEMENT_OVERHEAD + attribute_size(name, value));
            CONTAINER_OVERHEAD + elements.sum::<usize>()
        }
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        AttributeValue::Ns(set) => set.iter().map(number_size).sum(),
        AttributeValue::Bs(set) => set.iter().map(Vec::len).sum(),
    }
}

/// Size of a key attribute's value, for the limits on keys.
pub fn key_value_size(value: &KeyValue) -> usize {
    match value {
        KeyValue::S(text) => text.len(),
        KeyValue::N(number) => number_size(number),
        KeyValue::B(bytes) => bytes.len(),
    }
}

/// Size of a number: 1 to 21.
pub fn number_size(number: &Number) -> usize {
    if number.is_zero() {
        return 1;
    }
    let first_pair = number.magnitude().div_euclid(2);
    let last_pair = number.exponent().div_euclid(2);
    let pairs = (first_pair - last_pair) as usize + 1;
    (1 + pairs + usize::from(number.is_negative())).min(NUMBER_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::value::Map;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("a number")
    }

    fn size_of_number(text: &str) -> usize {
        number_size(&number(text))
    }

    #[test]
    fn the_developer_guides_example() {
        let item = Item::from([
            ("shirt-color".to_owned(), AttributeValue::from("R")),
            ("shirt-size".to_owned(), AttributeValue::from("M")),
        ]);
        assert_eq!(item_size(&item), 23);
        assert_eq!(item_size(&Item::new()), 0);
    }

    #[test]
    fn text_counts_in_bytes() {
        assert_eq!(attribute_size("é", &AttributeValue::from("日本")), 2 + 6);
        assert_eq!(value_size(&AttributeValue::from("")), 0);
        assert_eq!(value_size(&AttributeValue::from(vec![0; 5])), 5);
    }

    #[test]
    fn numbers_count_pairs_on_even_exponents() {
        for (text, size) in [
            ("0", 1),
            ("1", 2),
            ("-1", 3),
            ("10", 2),
            ("99", 2),
            ("100", 2),
            ("101", 3),
            ("110", 3),
            ("1000", 2),
            ("1.1", 3),
            ("0.01", 2),
            ("0.1", 2),
            ("0.011", 3),
            ("1E125", 2),
            ("1E-130", 2),
            ("-1E-130", 3),
            ("12345678901234567890123456789012345678", 20),
            ("-12345678901234567890123456789012345678", 21),
            ("1234567890123456789012345678901234567.8", 21),
            ("-1234567890123456789012345678901234567.8", 21),
        ] {
            assert_eq!(size_of_number(text), size, "{text}");
        }
    }

    #[test]
    fn containers_cost_three_and_one_for_each_element() {
        assert_eq!(value_size(&AttributeValue::L(vec![])), 3);
        assert_eq!(value_size(&AttributeValue::M(Map::new())), 3);
        let list = AttributeValue::L(vec![AttributeValue::from("ab"), AttributeValue::Null]);
        assert_eq!(value_size(&list), 3 + (1 + 2) + (1 + 1));
        let map = Map::from([("key".to_owned(), AttributeValue::from(true)), ("list".to_owned(), list)]);
        assert_eq!(value_size(&AttributeValue::M(map)), 3 + (3 + 1 + 1) + (4 + 8 + 1));
    }

    #[test]
    fn sets_cost_their_elements() {
        let strings = BTreeSet::from(["a".to_owned(), String::new(), "bc".to_owned()]);
        assert_eq!(value_size(&AttributeValue::Ss(strings)), 3);
        let numbers = BTreeSet::from([number("0"), number("-1"), number("101")]);
        assert_eq!(value_size(&AttributeValue::Ns(numbers)), 1 + 3 + 3);
        let binaries = BTreeSet::from([vec![1], vec![1, 2]]);
        assert_eq!(value_size(&AttributeValue::Bs(binaries)), 3);
    }

    #[test]
    fn key_values_count_like_attribute_values() {
        for key in [KeyValue::S("日本".to_owned()), KeyValue::N(number("-101")), KeyValue::B(vec![0; 9])] {
            assert_eq!(key_value_size(&key), value_size(&AttributeValue::from(key)));
        }
    }
}
