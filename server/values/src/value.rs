//! Attribute values and items.
//!
//! An item is a map from attribute names to values; a value has one of ten types. Equality is the service's: the type is part of
//! it (`S "6"` is not `N 6`), sets are equal as sets, lists by position, maps by content. All of that falls out of the shapes:
//! sets and maps are B-trees, and a [`Number`] is always in normal form. Their order is the order of bytes, so every replica
//! walks and writes them alike.
//!
//! Values of different types have no order, and most types have none at all, hence no `PartialOrd`:
//! [`AttributeValue::compare`] answers for two strings, two numbers or two binaries.
//!
//! Absent on purpose: limits and checks (empty sets, nesting, sizes). Those need the service's messages, which the domain has.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::number::Number;

/// Names with values: the content of an item or of a map value.
pub type Map = BTreeMap<String, AttributeValue>;

/// A row of a table, keys included.
pub type Item = Map;

/// One attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// Text, compared bytewise.
    S(String),
    /// A number.
    N(Number),
    /// Bytes, compared as unsigned.
    B(Vec<u8>),
    /// True or false.
    Bool(bool),
    /// Null.
    Null,
    /// A list of any values.
    L(Vec<AttributeValue>),
    /// A map of any values.
    M(Map),
    /// A set of strings; never empty in an item.
    Ss(BTreeSet<String>),
    /// A set of numbers; never empty in an item.
    Ns(BTreeSet<Number>),
    /// A set of binaries; never empty in an item.
    Bs(BTreeSet<Vec<u8>>),
}

impl AttributeValue {
    /// The type's descriptor as the API writes it: `S`, `N`, `B`, `BOOL`, `NULL`, `L`, `M`, `SS`, `NS` or `BS`.
    pub fn type_name(&self) -> &'static str {
        match self {
            AttributeValue::S(_) => "S",
            AttributeValue::N(_) => "N",
            AttributeValue::B(_) => "B",
            AttributeValue::Bool(_) => "BOOL",
            AttributeValue::Null => "NULL",
            AttributeValue::L(_) => "L",
            AttributeValue::M(_) => "M",
            AttributeValue::Ss(_) => "SS",
            AttributeValue::Ns(_) => "NS",
            AttributeValue::Bs(_) => "BS",
        }
    }

    /// Levels of lists and maps: 0 for scalars and sets, 1 for a list or map (an empty one too) of those, and so on.
    pub fn depth(&self) -> usize {
        match self {
            AttributeValue::L(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            AttributeValue::M(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The order of two strings, two numbers or two binaries; `None` for every other pair.
    pub fn compare(&self, other: &AttributeValue) -> Option<Ordering> {
        match (self, other) {
            (AttributeValue::S(a), AttributeValue::S(b)) => Some(a.cmp(b)),
            (AttributeValue::N(a), AttributeValue::N(b)) => Some(a.cmp(b)),
            (AttributeValue::B(a), AttributeValue::B(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether the value is one of the three set types.
    pub fn is_set(&self) -> bool {
        matches!(self, AttributeValue::Ss(_) | AttributeValue::Ns(_) | AttributeValue::Bs(_))
    }

    /// The text of an `S`.
    pub fn as_s(&self) -> Option<&str> {
        match self {
            AttributeValue::S(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an `N`.
    pub fn as_n(&self) -> Option<&Number> {
        match self {
            AttributeValue::N(number) => Some(number),
            _ => None,
        }
    }

    /// The bytes of a `B`.
    pub fn as_b(&self) -> Option<&[u8]> {
        match self {
            AttributeValue::B(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> AttributeValue {
        AttributeValue::S(text)
    }
}

impl From<Number> for AttributeValue {
    fn from(number: Number) -> AttributeValue {
        AttributeValue::N(number)
    }
}

impl From<Vec<u8>> for AttributeValue {
    fn from(bytes: Vec<u8>) -> AttributeValue {
        AttributeValue::B(bytes)
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> AttributeValue {
        AttributeValue::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(Number::parse(text).expect("a number"))
    }

    #[test]
    fn type_is_part_of_equality() {
        let set = AttributeValue::Ns(BTreeSet::from([Number::from_u64(6)]));
        assert_ne!(AttributeValue::from("6"), number("6"));
        assert_ne!(number("6"), set);
        assert_ne!(AttributeValue::from("6"), AttributeValue::from(b"6".to_vec()));
        assert_eq!(number("6"), number("6.0"));
    }

    #[test]
    fn sets_are_equal_as_sets_and_lists_by_position() {
        let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(AttributeValue::Ss(strings(&["b", "a"])), AttributeValue::Ss(strings(&["a", "b"])));
        let list = |texts: [&str; 2]| AttributeValue::L(texts.map(AttributeValue::from).to_vec());
        assert_ne!(list(["a", "b"]), list(["b", "a"]));
    }

    #[test]
    fn only_like_scalars_compare() {
        assert_eq!(number("10").compare(&number("9")), Some(Ordering::Greater));
        let (text, other) = (AttributeValue::from("10"), AttributeValue::from("9"));
        assert_eq!(text.compare(&other), Some(Ordering::Less));
        assert_eq!(
            AttributeValue::from(vec![0x80]).compare(&AttributeValue::from(vec![0x7f])),
            Some(Ordering::Greater)
        );
        assert_eq!(text.compare(&number("9")), None);
        assert_eq!(AttributeValue::Null.compare(&AttributeValue::Null), None);
        assert_eq!(AttributeValue::from(true).compare(&AttributeValue::from(true)), None);
    }

    #[test]
    fn depth_counts_lists_and_maps() {
        let nested = AttributeValue::L(vec![
            AttributeValue::Null,
            AttributeValue::M(Map::from([("a".to_owned(), AttributeValue::L(vec![]))])),
        ]);
        assert_eq!(number("1").depth(), 0);
        assert_eq!(AttributeValue::Bs(BTreeSet::from([vec![1]])).depth(), 0);
        assert_eq!(AttributeValue::M(Map::new()).depth(), 1);
        assert_eq!(nested.depth(), 3);
    }

    #[test]
    fn a_value_is_four_words() {
        assert_eq!(size_of::<Number>(), 24);
        assert_eq!(size_of::<AttributeValue>(), 32);
    }
}
