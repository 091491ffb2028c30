//! What a condition says of an item.
//!
//! Total: every tree answers true or false for every item. A place that does not exist equals nothing, not even another such
//! place; so `=` is false and `<>` is true for it, and every order, prefix and membership is false. `NOT` negates the answer of
//! what it stands before, so `NOT a = :v` holds for an item without `a`.

use std::borrow::Cow;
use std::cmp::Ordering;

use trilith_values::{AttributeValue, Item, Number};

use super::ast::{Comparator, Condition, Operand, Test};
use super::path::Path;

impl Condition {
    /// Whether the condition holds for `item`. An item that does not exist is an empty one.
    pub fn evaluate(&self, item: &Item) -> bool {
        self.view(item).holds(&self.test)
    }

    /// [`Condition::evaluate`] where the item may not exist.
    pub fn holds_for(&self, item: Option<&Item>) -> bool {
        match item {
            Some(item) => self.evaluate(item),
            None => self.evaluate(&Item::new()),
        }
    }

    /// Every place that the condition looks at, in the order of the text.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let mut paths = Vec::new();
        self.test.collect_paths(&mut paths);
        paths.into_iter()
    }

    fn view<'v>(&'v self, item: &'v Item) -> View<'v> {
        View { literals: &self.literals, item }
    }
}

/// An item with the values of a request: all that operands can mean.
#[derive(Clone, Copy)]
struct View<'v> {
    literals: &'v [AttributeValue],
    item: &'v Item,
}

impl<'v> View<'v> {
    fn holds(self, test: &Test) -> bool {
        match test {
            Test::And(tests) => tests.iter().all(|test| self.holds(test)),
            Test::Or(tests) => tests.iter().any(|test| self.holds(test)),
            Test::Not(test) => !self.holds(test),
            Test::Compare(comparator, left, right) => self.compares(*comparator, left, right),
            Test::Between(value, low, high) => {
                self.compares(Comparator::GreaterEqual, value, low)
                    && self.compares(Comparator::LessEqual, value, high)
            }
            Test::In(value, list) => self.value(value).is_some_and(|value| {
                list.iter().any(|other| self.value(other).is_some_and(|other| value == other))
            }),
            Test::Exists(path) => path.find(self.item).is_some(),
            Test::NotExists(path) => path.find(self.item).is_none(),
            Test::HasType(path, wanted) => path.find(self.item).is_some_and(|value| wanted.matches(value)),
            Test::BeginsWith(value, prefix) => {
                self.pair(value, prefix).is_some_and(|(value, prefix)| begins_with(&value, &prefix))
            }
            Test::Contains(value, element) => {
                self.pair(value, element).is_some_and(|(value, element)| contains(&value, &element))
            }
        }
    }

    fn compares(self, comparator: Comparator, left: &Operand, right: &Operand) -> bool {
        let Some((left, right)) = self.pair(left, right) else {
            return comparator == Comparator::NotEqual;
        };
        let order = |wanted: fn(Ordering) -> bool| left.compare(&right).is_some_and(wanted);
        match comparator {
            Comparator::Equal => left == right,
            Comparator::NotEqual => left != right,
            Comparator::Less => order(Ordering::is_lt),
            Comparator::LessEqual => order(Ordering::is_le),
            Comparator::Greater => order(Ordering::is_gt),
            Comparator::GreaterEqual => order(Ordering::is_ge),
        }
    }

    /// Both values, if both exist.
    fn pair(
        self,
        left: &Operand,
        right: &Operand,
    ) -> Option<(Cow<'v, AttributeValue>, Cow<'v, AttributeValue>)>
    where
        Self: 'v,
    {
        self.value(left).zip(self.value(right))
    }

    fn value(self, operand: &Operand) -> Option<Cow<'v, AttributeValue>> {
        match operand {
            Operand::Path(path) => path.find(self.item).map(Cow::Borrowed),
            Operand::Literal(number) => self.literal(*number).map(Cow::Borrowed),
            Operand::Size(path) => path.find(self.item).and_then(size).map(Cow::Owned),
            Operand::LiteralSize(number) => self.literal(*number).and_then(size).map(Cow::Owned),
        }
    }

    fn literal(self, number: u16) -> Option<&'v AttributeValue> {
        self.literals.get(usize::from(number))
    }
}

impl Test {
    fn collect_paths<'t>(&'t self, paths: &mut Vec<&'t Path>) {
        match self {
            Test::And(tests) | Test::Or(tests) => {
                for test in tests {
                    test.collect_paths(paths);
                }
            }
            Test::Not(test) => test.collect_paths(paths),
            Test::Compare(_, left, right) | Test::BeginsWith(left, right) | Test::Contains(left, right) => {
                paths.extend([left, right].into_iter().filter_map(Operand::path));
            }
            Test::Between(value, low, high) => {
                paths.extend([value, low, high].into_iter().filter_map(Operand::path));
            }
            Test::In(value, list) => {
                paths.extend(value.path());
                paths.extend(list.iter().filter_map(Operand::path));
            }
            Test::Exists(path) | Test::NotExists(path) | Test::HasType(path, _) => {
                paths.push(path);
            }
        }
    }
}

impl Operand {
    /// The place in the item that it looks at, if any.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Operand::Path(path) | Operand::Size(path) => Some(path),
            Operand::Literal(_) | Operand::LiteralSize(_) => None,
        }
    }
}

/// What `size` answers: bytes of a string (as UTF-8) or binary, elements of a set, list or map. Other types have no size.
///
/// Whether the service counts bytes or characters of a string is not on record; bytes are what it counts everywhere else.
fn size(value: &AttributeValue) -> Option<AttributeValue> {
    let size = match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.len(),
        AttributeValue::L(list) => list.len(),
        AttributeValue::M(map) => map.len(),
        AttributeValue::Ss(set) => set.len(),
        AttributeValue::Ns(set) => set.len(),
        AttributeValue::Bs(set) => set.len(),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null => return None,
    };
    Some(AttributeValue::N(Number::from_u64(size as u64)))
}

fn begins_with(value: &AttributeValue, prefix: &AttributeValue) -> bool {
    match (value, prefix) {
        (AttributeValue::S(value), AttributeValue::S(prefix)) => value.starts_with(prefix.as_str()),
        (AttributeValue::B(value), AttributeValue::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

fn contains(value: &AttributeValue, element: &AttributeValue) -> bool {
    match (value, element) {
        (AttributeValue::S(value), AttributeValue::S(part)) => value.contains(part.as_str()),
        (AttributeValue::B(value), AttributeValue::B(part)) => contains_bytes(value, part),
        (AttributeValue::Ss(set), AttributeValue::S(element)) => set.contains(element),
        (AttributeValue::Ns(set), AttributeValue::N(element)) => set.contains(element),
        (AttributeValue::Bs(set), AttributeValue::B(element)) => set.contains(element),
        (AttributeValue::L(list), element) => list.contains(element),
        _ => false,
    }
}

/// Whether `part` stands somewhere in `bytes`, in time proportional to the sum of their lengths (Knuth, Morris and Pratt):
/// both may be as long as an item, and the plain search takes the product.
fn contains_bytes(bytes: &[u8], part: &[u8]) -> bool {
    if part.is_empty() {
        return true;
    }
    if part.len() > bytes.len() {
        return false;
    }
    // borders[i]: how much of the part's beginning also ends its first i + 1 bytes, all of them excepted.
    let mut borders = vec![0usize; part.len()];
    let mut matched = 0;
    for at in 1..part.len() {
        while matched > 0 && part[at] != part[matched] {
            matched = borders[matched - 1];
        }
        if part[at] == part[matched] {
            matched += 1;
        }
        borders[at] = matched;
    }
    let mut matched = 0;
    for byte in bytes {
        while matched > 0 && *byte != part[matched] {
            matched = borders[matched - 1];
        }
        if *byte == part[matched] {
            matched += 1;
        }
        if matched == part.len() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn byte_search_agrees_with_windows(
            bytes in prop::collection::vec(0u8..3, 0..40),
            part in prop::collection::vec(0u8..3, 0..6),
        ) {
            let expected = part.is_empty() || bytes.windows(part.len()).any(|w| w == part);
            prop_assert_eq!(contains_bytes(&bytes, &part), expected);
        }
    }

    #[test]
    fn an_absent_item_is_an_empty_one() {
        let condition = Condition { literals: Vec::new(), test: Test::NotExists(Path::attribute("a")) };
        assert!(condition.holds_for(None));
        assert!(condition.holds_for(Some(&Item::new())));
        let item = Item::from([("a".to_owned(), AttributeValue::Null)]);
        assert!(!condition.holds_for(Some(&item)));
    }

    #[test]
    fn a_literal_without_an_entry_does_not_exist() {
        let dangling = Operand::Literal(7);
        let compare = |comparator| Condition {
            literals: Vec::new(),
            test: Test::Compare(comparator, dangling.clone(), dangling.clone()),
        };
        assert!(!compare(Comparator::Equal).evaluate(&Item::new()));
        assert!(compare(Comparator::NotEqual).evaluate(&Item::new()));
    }
}
