//! Which partition, and which run of its sort keys.
//!
//! A key condition is written in the grammar of conditions but may say much less: one comparison for each key attribute, joined
//! by `AND`. [`KeyCondition::of`] turns the condition tree into that, without knowing a table: it cannot tell a partition key from a sort
//! key, so it only keeps equalities apart from the rest. [`KeyCondition::bind`] brings in the key schema.
//!
//! Absent: keys of several attributes, which only indexes have. [`KeyCondition`] keeps as many conditions as they need.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{AttributeValue, KeyType, KeyValue};

use super::ast::{Comparator, Condition, Literal, Operand, Test};
use super::limits::{MAX_KEY_CONDITIONS, MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use super::path::Path;
use crate::error::OpError;
use crate::schema::KeyAttribute;

/// A condition on one key attribute. Over attribute values as it is read, over key values once it is bound.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum RangeTest<V = KeyValue> {
    /// The value itself.
    Eq(V),
    /// Below it.
    Lt(V),
    /// Below it or the value itself.
    Le(V),
    /// Above it.
    Gt(V),
    /// Above it or the value itself.
    Ge(V),
    /// From the first to the second, both included.
    Between(V, V),
    /// Strings or binaries that begin with it.
    BeginsWith(V),
}

/// A key condition as it is read. Attributes are distinct across its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyCondition {
    /// Attributes with an equality, in the order of the text: the partition key, and the sort key where it has one too.
    pub hash: Vec<(String, AttributeValue)>,
    /// The first attribute with another condition.
    pub range: Option<(String, RangeTest<AttributeValue>)>,
    /// Further attributes with another condition. No key schema takes them; which message says so is the schema's to decide.
    pub rest: Vec<(String, RangeTest<AttributeValue>)>,
}

/// A key condition that fits a key of one or two attributes.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct BoundKeyCondition {
    /// Value of the partition key.
    pub hash: KeyValue,
    /// Condition on the sort key; `None` takes the whole partition.
    pub range: Option<RangeTest>,
}

impl<V> RangeTest<V> {
    /// The values that it compares with.
    pub(crate) fn values(&self) -> Vec<&V> {
        match self {
            Self::Eq(value)
            | Self::Lt(value)
            | Self::Le(value)
            | Self::Gt(value)
            | Self::Ge(value)
            | Self::BeginsWith(value) => vec![value],
            Self::Between(low, high) => vec![low, high],
        }
    }

    /// The same test over other values.
    fn try_map<W, E>(self, mut map: impl FnMut(V) -> Result<W, E>) -> Result<RangeTest<W>, E> {
        Ok(match self {
            Self::Eq(value) => RangeTest::Eq(map(value)?),
            Self::Lt(value) => RangeTest::Lt(map(value)?),
            Self::Le(value) => RangeTest::Le(map(value)?),
            Self::Gt(value) => RangeTest::Gt(map(value)?),
            Self::Ge(value) => RangeTest::Ge(map(value)?),
            Self::Between(low, high) => RangeTest::Between(map(low)?, map(high)?),
            Self::BeginsWith(value) => RangeTest::BeginsWith(map(value)?),
        })
    }
}

impl RangeTest {
    /// Whether a sort key passes. Values of another type never do.
    pub fn matches(&self, key: &KeyValue) -> bool {
        let same_type = |value: &KeyValue| value.key_type() == key.key_type();
        match self {
            Self::Eq(value) => key == value,
            Self::Lt(value) => same_type(value) && key < value,
            Self::Le(value) => same_type(value) && key <= value,
            Self::Gt(value) => same_type(value) && key > value,
            Self::Ge(value) => same_type(value) && key >= value,
            Self::Between(low, high) => same_type(low) && same_type(high) && low <= key && key <= high,
            Self::BeginsWith(prefix) => match (key, prefix) {
                (KeyValue::S(key), KeyValue::S(prefix)) => key.starts_with(prefix.as_str()),
                (KeyValue::B(key), KeyValue::B(prefix)) => key.starts_with(prefix),
                _ => false,
            },
        }
    }
}

impl KeyCondition {
    /// Brings a condition under the narrower rules of keys that need no table.
    pub fn of(condition: Condition) -> Result<Self, OpError> {
        let mut conditions = Vec::new();
        flatten(&condition.test, &mut conditions)?;
        let mut lowered = Self { hash: Vec::new(), range: None, rest: Vec::new() };
        let mut seen = std::collections::BTreeSet::new();
        for test in &conditions {
            let (path, test) = one_condition(test)?;
            if !seen.insert(path.root().to_owned()) {
                return Err(OpError::validation(
                    "KeyConditionExpressions must only contain one condition per key",
                ));
            }
            if seen.len() > MAX_KEY_CONDITIONS {
                return Err(not_supported());
            }
            let name = path.root().to_owned();
            let test = test.try_map(|number| {
                condition.literals.get(usize::from(number)).cloned().ok_or_else(no_key_attribute)
            })?;
            match test {
                RangeTest::Eq(value) => lowered.hash.push((name, value)),
                other if lowered.range.is_none() => lowered.range = Some((name, other)),
                other => lowered.rest.push((name, other)),
            }
        }
        Ok(lowered)
    }

    /// Brings in the key schema: the partition key's name and type, and the sort key's where there is one.
    pub fn bind(
        &self,
        hash_name: &str,
        hash_type: KeyType,
        range: Option<(&str, KeyType)>,
    ) -> Result<BoundKeyCondition, OpError> {
        let mut hash = None;
        let mut others: Vec<(&str, RangeTest<AttributeValue>)> = Vec::new();
        for (name, value) in &self.hash {
            if name == hash_name {
                hash = Some(value);
            } else {
                others.push((name, RangeTest::Eq(value.clone())));
            }
        }
        others.extend(self.range.iter().chain(&self.rest).map(|(name, test)| (name.as_str(), test.clone())));
        if others.iter().any(|(name, _)| *name == hash_name) {
            return Err(not_supported());
        }
        let Some(hash) = hash else {
            return Err(OpError::validation(format!(
                "Query condition missed key schema element: {hash_name}"
            )));
        };
        let hash = key_value(hash_name, hash_type, hash.clone())?;
        check_hash_size(&hash)?;
        let range = match (others.pop(), range) {
            (None, _) => None,
            (Some((name, test)), Some((range_name, range_type)))
                if others.is_empty() && name == range_name =>
            {
                let test = test.try_map(|value| {
                    let value = key_value(range_name, range_type, value)?;
                    check_range_size(&value)?;
                    Ok::<_, OpError>(value)
                })?;
                if matches!(test, RangeTest::BeginsWith(KeyValue::N(_))) {
                    return Err(not_supported());
                }
                Some(test)
            }
            (Some(_), Some((range_name, _))) if others.is_empty() => {
                return Err(OpError::validation(format!(
                    "Query condition missed key schema element: {range_name}"
                )));
            }
            _ => return Err(not_supported()),
        };
        Ok(BoundKeyCondition { hash, range })
    }
}

/// A key condition that fits the key of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundIndexCondition {
    /// Values of the HASH attributes, all of them.
    pub hash: Vec<KeyValue>,
    /// Values of the leading RANGE attributes that have an equality, but for the last condition.
    pub equal: Vec<KeyValue>,
    /// Condition on the RANGE attribute that follows.
    pub range: Option<RangeTest>,
}

impl KeyCondition {
    /// Brings in the key schema of an index: an equality for every HASH attribute, then conditions on RANGE attributes
    /// from the left, of which only the last may be other than an equality.
    ///
    /// # Errors
    /// The service's texts, as [`KeyCondition::bind`].
    pub fn bind_index(
        &self,
        hash: &[KeyAttribute],
        range: &[KeyAttribute],
    ) -> Result<BoundIndexCondition, OpError> {
        let mut tests: BTreeMap<&str, RangeTest<AttributeValue>> = BTreeMap::new();
        for (name, value) in &self.hash {
            tests.insert(name, RangeTest::Eq(value.clone()));
        }
        for (name, test) in self.range.iter().chain(&self.rest) {
            tests.insert(name, test.clone());
        }
        let mut bound = BoundIndexCondition { hash: Vec::new(), equal: Vec::new(), range: None };
        for KeyAttribute { name, kind } in hash {
            match tests.remove(name.as_str()) {
                Some(RangeTest::Eq(value)) => {
                    let value = key_value(name, *kind, value)?;
                    check_hash_size(&value)?;
                    bound.hash.push(value);
                }
                Some(_) => return Err(not_supported()),
                None => {
                    return Err(OpError::validation(format!(
                        "Query condition missed key schema element: {name}"
                    )));
                }
            }
        }
        for KeyAttribute { name, kind } in range {
            let Some(test) = tests.remove(name.as_str()) else { break };
            if let Some(RangeTest::Eq(value)) = bound.range.take() {
                bound.equal.push(value);
            }
            let test = test.try_map(|value| {
                let value = key_value(name, *kind, value)?;
                check_range_size(&value)?;
                Ok::<_, OpError>(value)
            })?;
            if matches!(test, RangeTest::BeginsWith(KeyValue::N(_))) {
                return Err(not_supported());
            }
            let last = !matches!(test, RangeTest::Eq(_));
            bound.range = Some(test);
            if last {
                break;
            }
        }
        if tests.is_empty() { Ok(bound) } else { Err(not_supported()) }
    }
}

/// The conditions that `AND` joins. Every other connective and operator that keys do not take is refused by name.
fn flatten<'t>(test: &'t Test, conditions: &mut Vec<&'t Test>) -> Result<(), OpError> {
    let refused = match test {
        Test::And(tests) => {
            return tests.iter().try_for_each(|test| flatten(test, conditions));
        }
        Test::Compare(comparator, ..) if *comparator != Comparator::NotEqual => None,
        Test::Between(..) | Test::BeginsWith(..) => None,
        Test::Compare(comparator, ..) => Some(comparator.symbol()),
        Test::Or(_) => Some("OR"),
        Test::Not(_) => Some("NOT"),
        Test::In(..) => Some("IN"),
        Test::Exists(_) => Some("attribute_exists"),
        Test::NotExists(_) => Some("attribute_not_exists"),
        Test::HasType(..) => Some("attribute_type"),
        Test::Contains(..) => Some("contains"),
    };
    if let Some(operator) = refused {
        return Err(OpError::validation(format!(
            "Invalid operator used in KeyConditionExpression: {operator}"
        )));
    }
    conditions.push(test);
    Ok(())
}

/// The key attribute of one condition, and what is asked of it.
fn one_condition(test: &Test) -> Result<(&Path, RangeTest<Literal>), OpError> {
    match test {
        Test::Compare(comparator, left, right) => {
            let (path, values) = key_and_values(None, &[left, right])?;
            let value = first(&values)?;
            let comparator = match left {
                Operand::Path(_) => *comparator,
                _ => comparator.flipped(),
            };
            let test = match comparator {
                Comparator::Equal => RangeTest::Eq(value),
                Comparator::Less => RangeTest::Lt(value),
                Comparator::LessEqual => RangeTest::Le(value),
                Comparator::Greater => RangeTest::Gt(value),
                Comparator::GreaterEqual => RangeTest::Ge(value),
                Comparator::NotEqual => return Err(not_supported()),
            };
            Ok((path, test))
        }
        Test::Between(value, low, high) => {
            let (path, values) = key_and_values(Some("BETWEEN"), &[value, low, high])?;
            match values[..] {
                [low, high] => Ok((path, RangeTest::Between(low, high))),
                _ => Err(no_key_attribute()),
            }
        }
        Test::BeginsWith(value, prefix) => {
            let (path, values) = key_and_values(Some("begins_with"), &[value, prefix])?;
            Ok((path, RangeTest::BeginsWith(first(&values)?)))
        }
        _ => Err(not_supported()),
    }
}

fn first(values: &[Literal]) -> Result<Literal, OpError> {
    values.first().copied().ok_or_else(no_key_attribute)
}

/// The one attribute among the operands of a condition, and the values. `leader` names an operator whose first operand must be
/// the attribute.
fn key_and_values<'t>(
    leader: Option<&str>,
    operands: &[&'t Operand],
) -> Result<(&'t Path, Vec<Literal>), OpError> {
    let mut key: Option<&Path> = None;
    let mut values = Vec::new();
    for operand in operands {
        match operand {
            Operand::Path(_) if key.is_some() => {
                return Err(OpError::validation(
                    "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
                ));
            }
            Operand::Path(path) if path.is_nested() => {
                return Err(OpError::validation(
                    "KeyConditionExpressions cannot have conditions on nested attributes",
                ));
            }
            Operand::Path(path) => key = Some(path),
            Operand::Literal(number) => {
                if let (Some(operator), None) = (leader, key) {
                    return Err(OpError::validation(format!(
                        "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
                    )));
                }
                values.push(*number);
            }
            Operand::Size(_) | Operand::LiteralSize(_) => {
                return Err(OpError::validation("KeyConditionExpressions cannot contain nested operations"));
            }
        }
    }
    Ok((key.ok_or_else(no_key_attribute)?, values))
}

fn key_value(name: &str, key_type: KeyType, value: AttributeValue) -> Result<KeyValue, OpError> {
    let value = KeyValue::try_from(value)
        .ok()
        .filter(|value| value.key_type() == key_type)
        .ok_or_else(|| {
            OpError::validation(
                "One or more parameter values were invalid: Condition parameter type does not match schema type",
            )
        })?;
    if value.is_empty() {
        let what = match key_type {
            KeyType::B => "binary",
            KeyType::S | KeyType::N => "string",
        };
        return Err(OpError::validation(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {what} value. Key: {name}"
        )));
    }
    Ok(value)
}

/// Bytes that count against the limits of key sizes; numbers are always short enough.
fn key_bytes(value: &KeyValue) -> usize {
    match value {
        KeyValue::S(text) => text.len(),
        KeyValue::B(bytes) => bytes.len(),
        KeyValue::N(_) => 0,
    }
}

fn check_hash_size(value: &KeyValue) -> Result<(), OpError> {
    if key_bytes(value) > MAX_PARTITION_KEY_BYTES {
        return Err(OpError::validation(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ));
    }
    Ok(())
}

fn check_range_size(value: &KeyValue) -> Result<(), OpError> {
    if key_bytes(value) > MAX_SORT_KEY_BYTES {
        return Err(OpError::validation(
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
        ));
    }
    Ok(())
}

/// A condition that the key schema does not take. The service has been seen to answer some of these cases with the sort key as a
/// missed element; the contract has one text for all, and so has this place.
fn not_supported() -> OpError {
    OpError::validation("Query key condition not supported")
}

fn no_key_attribute() -> OpError {
    OpError::validation("Invalid condition in KeyConditionExpression: No key attribute specified")
}
