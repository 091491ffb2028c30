//! Which items a `WHERE` clause names by their keys.
//!
//! A write names one item: every key attribute with `=`, among conditions joined by `AND` ([`one_item`]). A read may name
//! several partitions, and in each a run of sort keys: [`branches`] takes the clause apart into alternatives, each of which is a
//! Query, and answers `None` where an alternative names no partition: then the table is scanned.
//!
//! `customer IN ['a', 'b'] AND (day = 1 OR day > 5) AND total > 10` has four alternatives, with `total > 10` in each.

use trilith_values::key::{encode_ordered, encode_prefix};
use trilith_values::{AttributeValue, Item, KeyType, KeyValue};

use super::ast::Expression;
use super::condition::too_many_operands;
use super::value::{is_value, value};
use crate::error::OpError;
use crate::expr::limits::MAX_IN_VALUES;
use crate::expr::{Comparator, Path, RangeTest};
use crate::schema::KeyAttribute;

/// Reads that one statement may become.
const READS_MAX: usize = 50;
/// Alternatives that are looked at before it is plain that there are too many. Ours.
const BRANCHES_MAX: usize = 512;

/// The key attributes of a table or index.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'k> {
    /// The partition key.
    pub hash: &'k KeyAttribute,
    /// The sort key.
    pub range: Option<&'k KeyAttribute>,
}

/// One alternative of a clause.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// The partition.
    pub hash: Option<AttributeValue>,
    /// The run of sort keys, and the condition it came from.
    pub range: Option<(RangeTest<AttributeValue>, Expression)>,
    /// What else must hold.
    pub rest: Vec<Expression>,
}

/// Why a statement does not fit its table. Transactions tell the two apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// It is a write that does not name one item by its key.
    Key(OpError),
    /// Anything else.
    Statement(OpError),
}

impl From<OpError> for Misfit {
    fn from(error: OpError) -> Self {
        Self::Statement(error)
    }
}

impl From<Misfit> for OpError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Key(error) | Misfit::Statement(error) => error,
        }
    }
}

/// The key of one item, and the conditions beside it.
pub type OneItem<'e> = (Item, Vec<&'e Expression>);

/// A place compared with a value, as it is written or the other way round.
fn comparison(expression: &Expression) -> Option<(&str, Comparator, &Expression)> {
    let Expression::Compare(comparator, left, right) = expression else {
        return None;
    };
    match (&**left, &**right) {
        (Expression::Path(path), other) if is_value(other) && !path.is_nested() => {
            Some((path.root(), *comparator, other))
        }
        (other, Expression::Path(path)) if is_value(other) && !path.is_nested() => {
            Some((path.root(), comparator.flipped(), other))
        }
        _ => None,
    }
}

/// The conditions that `AND` joins in a clause.
fn conjuncts(filter: &Expression) -> &[Expression] {
    match filter {
        Expression::And(all) => all,
        one => std::slice::from_ref(one),
    }
}

/// The key that the clause gives with equalities, and the conditions beside it; an incomplete key where it gives none.
///
/// `differ` answers a second value for the same attribute; `None` of it makes that a condition like any other.
fn equalities<'e>(
    filter: &'e Expression,
    keys: Keys<'_>,
    parameters: &[AttributeValue],
    differ: Option<fn(&str) -> OpError>,
) -> Result<OneItem<'e>, Misfit> {
    let mut key = Item::new();
    let mut rest = Vec::new();
    for condition in conjuncts(filter) {
        let equality = comparison(condition).filter(|(name, comparator, _)| {
            *comparator == Comparator::Equal && (*name == keys.hash.name || keys.is_range(name))
        });
        let Some((name, _, given)) = equality else {
            rest.push(condition);
            continue;
        };
        let given = value(given, parameters)?;
        match (key.get(name), differ) {
            (None, _) => {
                key.insert(name.to_owned(), given);
            }
            (Some(earlier), _) if *earlier == given => {}
            (Some(_), Some(differ)) => return Err(Misfit::Key(differ(name))),
            (Some(_), None) => rest.push(condition),
        }
    }
    Ok((key, rest))
}

/// The one item that a write is about.
///
/// # Errors
/// The service's, for a clause that does not name exactly one item.
pub fn one_item<'e>(
    filter: Option<&'e Expression>,
    keys: Keys<'_>,
    parameters: &[AttributeValue],
) -> Result<OneItem<'e>, Misfit> {
    let incomplete = || {
        let text = "Where clause does not contain a mandatory equality on all key attributes";
        Misfit::Key(OpError::validation(text))
    };
    let differ = |name: &str| {
        OpError::Validation(format!(
            "Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported"
        ))
    };
    let found = equalities(filter.ok_or_else(incomplete)?, keys, parameters, Some(differ))?;
    if found.0.len() == keys.count() { Ok(found) } else { Err(incomplete()) }
}

/// The item that the first equality of each key attribute names, and the conditions beside it; `None` where some have none.
pub fn first_item<'e>(
    filter: &'e Expression,
    keys: Keys<'_>,
    parameters: &[AttributeValue],
) -> Result<Option<OneItem<'e>>, OpError> {
    let found = equalities(filter, keys, parameters, None)?;
    Ok((found.0.len() == keys.count()).then_some(found))
}

/// The one item that a read is about, where it says no more than the item's key.
pub fn point(
    filter: Option<&Expression>,
    keys: Keys<'_>,
    parameters: &[AttributeValue],
) -> Result<Option<Item>, OpError> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    // Every other clause is taken apart anyway.
    if conjuncts(filter).iter().any(|condition| comparison(condition).is_none()) {
        return Ok(None);
    }
    let (key, rest) = equalities(filter, keys, parameters, None)?;
    Ok((rest.is_empty() && key.len() == keys.count()).then_some(key))
}

/// The alternatives of a clause, if each of them names a partition.
///
/// # Errors
/// Alternatives that overlap, that are too many, or whose values are not of the keys' types.
pub fn branches(
    filter: Option<&Expression>,
    keys: Keys<'_>,
    parameters: &[AttributeValue],
) -> Result<Option<Vec<Branch>>, OpError> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    let mut splitter = Splitter { keys, parameters, too_many: false };
    let branches = splitter.split(filter)?;
    if branches.iter().any(|branch| branch.hash.is_none()) {
        return Ok(None);
    }
    for branch in &branches {
        check_type(keys.hash, branch.hash.as_ref())?;
        if let (Some(range), Some((test, _))) = (keys.range, &branch.range) {
            test.values().into_iter().try_for_each(|value| check_type(range, Some(value)))?;
        }
    }
    if splitter.too_many || branches.len() > READS_MAX {
        return Err(OpError::validation("Too many decomposed read operations for a given query."));
    }
    Ok(Some(splitter.apart(branches)?))
}

impl Branch {
    /// What either has, of one partition.
    fn or(self, other: Self) -> Self {
        let hash = self.hash.clone();
        Self { hash, range: None, rest: vec![Expression::Or(vec![self.conditions(), other.conditions()])] }
    }

    /// What must hold beside the partition.
    fn conditions(self) -> Expression {
        let mut all: Vec<_> =
            self.range.into_iter().map(|(_, condition)| condition).chain(self.rest).collect();
        match all.pop() {
            Some(only) if all.is_empty() => only,
            last => Expression::And(all.into_iter().chain(last).collect()),
        }
    }
}

impl<'k> Keys<'k> {
    fn is_range(&self, name: &str) -> bool {
        self.range.is_some_and(|range| range.name == name)
    }

    fn count(&self) -> usize {
        1 + usize::from(self.range.is_some())
    }
}

fn check_type(attribute: &KeyAttribute, value: Option<&AttributeValue>) -> Result<(), OpError> {
    let kind = value.and_then(|value| KeyValue::try_from(value).ok()).map(|value| value.key_type());
    if kind == Some(attribute.kind) {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "Key attribute's data type should match its data type in table's schema: Key {}",
        attribute.name
    )))
}

struct Splitter<'s> {
    keys: Keys<'s>,
    parameters: &'s [AttributeValue],
    too_many: bool,
}

impl Splitter<'_> {
    /// The alternatives of one expression.
    fn split(&mut self, expression: &Expression) -> Result<Vec<Branch>, OpError> {
        let branches = match expression {
            Expression::And(all) => {
                let mut product = vec![Branch::default()];
                for condition in all {
                    let factor = self.split(condition)?;
                    product = self.product(&product, &factor);
                }
                product
            }
            Expression::Or(any) if any.iter().any(|condition| self.names_key(condition)) => {
                let mut sum = Vec::new();
                for condition in any {
                    sum.extend(self.split(condition)?);
                    self.bound(&mut sum);
                }
                sum
            }
            Expression::In(place, values) => match &**place {
                Expression::Path(path) if self.is_key(path) && values.iter().all(is_value) => {
                    if values.len() > MAX_IN_VALUES {
                        return Err(too_many_operands(values.len()));
                    }
                    let mut sum = Vec::with_capacity(values.len());
                    for value in values {
                        let place = Box::new(Expression::Path(path.clone()));
                        let equal = Expression::Compare(Comparator::Equal, place, Box::new(value.clone()));
                        sum.push(self.leaf(&equal)?);
                    }
                    sum
                }
                _ => vec![self.leaf(expression)?],
            },
            other => vec![self.leaf(other)?],
        };
        Ok(branches)
    }

    fn is_key(&self, path: &Path) -> bool {
        !path.is_nested() && (path.root() == self.keys.hash.name || self.keys.is_range(path.root()))
    }

    /// Whether a condition, or one that it is made of, is one that a Query's key takes.
    fn names_key(&self, expression: &Expression) -> bool {
        match expression {
            Expression::And(all) | Expression::Or(all) => all.iter().any(|one| self.names_key(one)),
            Expression::In(place, _) => matches!(&**place, Expression::Path(path) if self.is_key(path)),
            Expression::Compare(..) => comparison(expression).is_some_and(|(name, comparator, _)| {
                (name == self.keys.hash.name && comparator == Comparator::Equal)
                    || (self.keys.is_range(name) && comparator != Comparator::NotEqual)
            }),
            Expression::Between(place, ..) => self.is_range_path(place),
            Expression::Call(call) if call.name == "begins_with" => {
                call.operands.first().is_some_and(|place| self.is_range_path(place))
            }
            _ => false,
        }
    }

    fn is_range_path(&self, expression: &Expression) -> bool {
        matches!(expression, Expression::Path(path) if !path.is_nested() && self.keys.is_range(path.root()))
    }

    /// One condition that has no alternatives.
    fn leaf(&self, expression: &Expression) -> Result<Branch, OpError> {
        if let Some((name, comparator, given)) = comparison(expression)
            && name == self.keys.hash.name
            && comparator == Comparator::Equal
        {
            return Ok(Branch { hash: Some(value(given, self.parameters)?), ..Branch::default() });
        }
        Ok(match self.range_test(expression)? {
            Some(test) => Branch { range: Some((test, expression.clone())), ..Branch::default() },
            None => Branch { rest: vec![expression.clone()], ..Branch::default() },
        })
    }

    /// The run of sort keys that a condition takes.
    fn range_test(&self, expression: &Expression) -> Result<Option<RangeTest<AttributeValue>>, OpError> {
        let constant = |expression: &Expression| value(expression, self.parameters);
        Ok(match expression {
            Expression::Compare(..) => {
                let Some((name, comparator, given)) = comparison(expression) else {
                    return Ok(None);
                };
                if !self.keys.is_range(name) {
                    return Ok(None);
                }
                let given = constant(given)?;
                Some(match comparator {
                    Comparator::Equal => RangeTest::Eq(given),
                    Comparator::Less => RangeTest::Lt(given),
                    Comparator::LessEqual => RangeTest::Le(given),
                    Comparator::Greater => RangeTest::Gt(given),
                    Comparator::GreaterEqual => RangeTest::Ge(given),
                    Comparator::NotEqual => return Ok(None),
                })
            }
            Expression::Between(place, low, high)
                if self.is_range_path(place) && is_value(low) && is_value(high) =>
            {
                Some(RangeTest::Between(constant(low)?, constant(high)?))
            }
            Expression::Call(call) if call.name == "begins_with" && call.operands.len() == 2 => {
                let is_number = self.keys.range.is_some_and(|range| range.kind == KeyType::N);
                if is_number || !self.is_range_path(&call.operands[0]) || !is_value(&call.operands[1]) {
                    return Ok(None);
                }
                Some(RangeTest::BeginsWith(constant(&call.operands[1])?))
            }
            _ => None,
        })
    }

    /// All of one side with all of the other. Of two conditions on one attribute the first is the key's.
    fn product(&mut self, left: &[Branch], right: &[Branch]) -> Vec<Branch> {
        let mut product = Vec::new();
        // An alternative of two partitions has no items. One of them stays where there is no other.
        let mut apart = None;
        for a in left {
            for b in right {
                let mut both = a.clone();
                match (&both.hash, &b.hash) {
                    (None, _) => both.hash.clone_from(&b.hash),
                    (Some(first), Some(second)) if first != second => {
                        apart.get_or_insert(both);
                        continue;
                    }
                    (Some(_), _) => {}
                }
                match (&both.range, &b.range) {
                    (None, _) => both.range.clone_from(&b.range),
                    (Some(_), Some((_, condition))) => both.rest.push(condition.clone()),
                    (Some(_), None) => {}
                }
                both.rest.extend(b.rest.iter().cloned());
                product.push(both);
            }
            self.bound(&mut product);
        }
        if let (true, Some(mut none)) = (product.is_empty(), apart) {
            none.rest.push(never());
            product.push(none);
        }
        product
    }

    /// No item is read twice: alternatives of one partition must have runs of sort keys that do not meet. As the service has
    /// it, those with a negated condition on the sort key are read together with what they meet, and all others refused.
    fn apart(&self, branches: Vec<Branch>) -> Result<Vec<Branch>, OpError> {
        let mut apart: Vec<(Branch, Run, bool)> = Vec::with_capacity(branches.len());
        for branch in branches {
            let is_negated = branch.rest.iter().any(|condition| self.negates_range(condition));
            let mut next = (Run::of(&branch), is_negated, branch);
            // What it is joined with may meet others in turn.
            while let Some(at) =
                apart.iter().position(|(other, run, _)| other.hash == next.2.hash && run.meets(&next.0))
            {
                let (other, _, other_is_negated) = apart.remove(at);
                if !next.1 && !other_is_negated {
                    return Err(OpError::validation(
                        "Overlapping conditions with range keys are not supported in where clause",
                    ));
                }
                let branch = other.or(next.2);
                next = (Run::of(&branch), true, branch);
            }
            apart.push((next.2, next.0, next.1));
        }
        Ok(apart.into_iter().map(|(branch, ..)| branch).collect())
    }

    /// Whether a condition is a negated one on the sort key.
    fn negates_range(&self, expression: &Expression) -> bool {
        match expression {
            Expression::Not(negated) => self.names_range(negated),
            Expression::Compare(Comparator::NotEqual, ..) => {
                comparison(expression).is_some_and(|(name, ..)| self.keys.is_range(name))
            }
            _ => false,
        }
    }

    fn names_range(&self, expression: &Expression) -> bool {
        match expression {
            Expression::And(all) | Expression::Or(all) => all.iter().any(|one| self.names_range(one)),
            Expression::Compare(..) => {
                comparison(expression).is_some_and(|(name, ..)| self.keys.is_range(name))
            }
            Expression::In(place, _) | Expression::Between(place, ..) => self.is_range_path(place),
            Expression::Call(call) => call.operands.first().is_some_and(|place| self.is_range_path(place)),
            _ => false,
        }
    }

    /// Forgets what is beyond all limits, and that it was there.
    fn bound(&mut self, branches: &mut Vec<Branch>) {
        if branches.len() > BRANCHES_MAX {
            branches.truncate(BRANCHES_MAX);
            self.too_many = true;
        }
    }
}

/// A condition that no item meets: two different values for one attribute.
fn never() -> Expression {
    Expression::Or(Vec::new())
}

/// A run of sort keys, as the bytes that keys are ordered by: from `low` to below `high`.
struct Run {
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

impl Run {
    fn of(branch: &Branch) -> Self {
        let all = Self { low: Vec::new(), high: None };
        let Some((test, _)) = &branch.range else {
            return all;
        };
        let bytes = |value: &AttributeValue| {
            let mut bytes = Vec::new();
            if let Ok(value) = KeyValue::try_from(value) {
                encode_ordered(&value, &mut bytes);
            }
            bytes
        };
        // No encoded key is the beginning of another, so a byte more is behind it and before every other.
        let behind = |value: &AttributeValue| {
            let mut bytes = bytes(value);
            bytes.push(0);
            bytes
        };
        match test {
            RangeTest::Eq(value) => Self { low: bytes(value), high: Some(behind(value)) },
            RangeTest::Lt(value) => Self { high: Some(bytes(value)), ..all },
            RangeTest::Le(value) => Self { high: Some(behind(value)), ..all },
            RangeTest::Gt(value) => Self { low: behind(value), ..all },
            RangeTest::Ge(value) => Self { low: bytes(value), ..all },
            RangeTest::Between(low, high) => Self { low: bytes(low), high: Some(behind(high)) },
            RangeTest::BeginsWith(value) => {
                let mut prefix = Vec::new();
                if let Ok(value) = KeyValue::try_from(value) {
                    encode_prefix(&value, &mut prefix);
                }
                Self { low: bytes(value), high: successor(&prefix) }
            }
        }
    }

    fn meets(&self, other: &Self) -> bool {
        let before = |low: &Vec<u8>, high: &Option<Vec<u8>>| high.as_ref().is_none_or(|high| low < high);
        before(&self.low, &other.high) && before(&other.low, &self.high)
    }
}

/// The first bytes behind everything that begins with `prefix`; `None` where there are none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// Orders alternatives by partition, then by run of sort keys.
pub fn sort(branches: &mut [Branch], hash_descending: bool, range_descending: bool) {
    let hash = |branch: &Branch| {
        let mut bytes = Vec::new();
        if let Some(value) = branch.hash.as_ref().and_then(|value| KeyValue::try_from(value).ok()) {
            encode_ordered(&value, &mut bytes);
        }
        bytes
    };
    let turned =
        |order: std::cmp::Ordering, descending: bool| if descending { order.reverse() } else { order };
    branches.sort_by(|a, b| {
        turned(hash(a).cmp(&hash(b)), hash_descending)
            .then_with(|| turned(Run::of(a).low.cmp(&Run::of(b).low), range_descending))
    });
}
