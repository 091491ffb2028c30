//! The older parameters, lowered to the trees that expressions become.
//!
//! `Expected`, the filters, `KeyConditions`, `AttributeUpdates` and `AttributesToGet` say less than expressions: whole attributes,
//! one test each, joined by `AND` or `OR`. Here each of them becomes the tree that an expression of the same meaning has, so nothing
//! behind the request knows of them. Which members a request may combine is decided where the request is read
//! (the operations' own `legacy` module); here is what a comparison takes, and what it means.
//!
//! Texts are the service's, as far as they are on record (contract 3.8 and 14.5).

use trilith_values::AttributeValue;
use trilith_values::size::value_size;

use super::ast::{Action, Comparator, Condition, Literal, Operand, SetValue, Test, Update};
use super::key_condition::{KeyCondition, RangeTest};
use super::limits::{MAX_IN_VALUES, MAX_SUBSTITUTION_BYTES};
use super::path::Path;
use super::project::Projection;
use crate::error::OpError;

/// `ComparisonOperator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `EQ`
    Eq,
    /// `NE`
    Ne,
    /// `IN`
    In,
    /// `LE`
    Le,
    /// `LT`
    Lt,
    /// `GE`
    Ge,
    /// `GT`
    Gt,
    /// `BETWEEN`
    Between,
    /// `NOT_NULL`: the attribute exists.
    NotNull,
    /// `NULL`: the attribute does not exist.
    Null,
    /// `CONTAINS`
    Contains,
    /// `NOT_CONTAINS`
    NotContains,
    /// `BEGINS_WITH`
    BeginsWith,
}

/// The names on the wire, in the model's order.
pub const COMPARISONS: [(&str, Comparison); 13] = [
    ("EQ", Comparison::Eq),
    ("NE", Comparison::Ne),
    ("IN", Comparison::In),
    ("LE", Comparison::Le),
    ("LT", Comparison::Lt),
    ("GE", Comparison::Ge),
    ("GT", Comparison::Gt),
    ("BETWEEN", Comparison::Between),
    ("NOT_NULL", Comparison::NotNull),
    ("NULL", Comparison::Null),
    ("CONTAINS", Comparison::Contains),
    ("NOT_CONTAINS", Comparison::NotContains),
    ("BEGINS_WITH", Comparison::BeginsWith),
];

impl Comparison {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        COMPARISONS.iter().find(|(_, comparison)| *comparison == self).map_or("", |(name, _)| name)
    }

    fn takes(self, count: usize) -> bool {
        match self {
            Self::NotNull | Self::Null => count == 0,
            Self::Between => count == 2,
            Self::In => (1..=MAX_IN_VALUES).contains(&count),
            _ => count == 1,
        }
    }

    fn takes_type(self, value: &AttributeValue) -> bool {
        let name = value.type_name();
        match self {
            Self::Eq | Self::Ne | Self::NotNull | Self::Null => true,
            Self::In => matches!(name, "S" | "N" | "B" | "BOOL" | "NULL"),
            Self::BeginsWith => matches!(name, "S" | "B"),
            _ => matches!(name, "S" | "N" | "B"),
        }
    }
}

/// A comparison with its values, checked: the right number of them, of types that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    comparison: Comparison,
    values: Vec<AttributeValue>,
}

impl Compared {
    /// Checks number and types of the values.
    pub fn new(comparison: Comparison, values: Vec<AttributeValue>) -> Result<Self, OpError> {
        let name = comparison.as_str();
        if !comparison.takes(values.len()) {
            return Err(invalid(format!("Invalid number of argument(s) for the {name} ComparisonOperator")));
        }
        if let Some(wrong) = values.iter().find(|value| !comparison.takes_type(value)) {
            let wrong = wrong.type_name();
            return Err(invalid(format!(
                "ComparisonOperator {name} is not valid for {wrong} AttributeValue type"
            )));
        }
        if values.windows(2).any(|pair| pair[0].type_name() != pair[1].type_name()) {
            return Err(invalid("AttributeValues inside AttributeValueList must be of same type".to_owned()));
        }
        if comparison == Comparison::Between
            && values[0].compare(&values[1]).is_some_and(|order| order.is_gt())
        {
            return Err(OpError::validation(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
            ));
        }
        Ok(Self { comparison, values })
    }

    /// As a test of the attribute `name`. A missing attribute is unequal to everything and contains nothing, so `NE` and
    /// `NOT_CONTAINS` hold for it.
    fn test(self, name: &str, literals: &mut Literals) -> Result<Test, OpError> {
        let path = Path::attribute(name);
        let mut values = Vec::with_capacity(self.values.len());
        for value in self.values {
            values.push(Operand::Literal(literals.add(value)?));
        }
        let mut values = values.into_iter();
        let mut next = || values.next().expect("the number of values was checked");
        let operand = Operand::Path(path.clone());
        let compare = |comparator, value| Test::Compare(comparator, operand.clone(), value);
        Ok(match self.comparison {
            Comparison::Eq => compare(Comparator::Equal, next()),
            Comparison::Ne => compare(Comparator::NotEqual, next()),
            Comparison::Le => compare(Comparator::LessEqual, next()),
            Comparison::Lt => compare(Comparator::Less, next()),
            Comparison::Ge => compare(Comparator::GreaterEqual, next()),
            Comparison::Gt => compare(Comparator::Greater, next()),
            Comparison::Between => Test::Between(operand, next(), next()),
            Comparison::In => Test::In(operand, values.collect()),
            Comparison::NotNull => Test::Exists(path),
            Comparison::Null => Test::NotExists(path),
            Comparison::Contains => Test::Contains(operand, next()),
            Comparison::NotContains => Test::Not(Box::new(Test::Contains(operand, next()))),
            Comparison::BeginsWith => Test::BeginsWith(operand, next()),
        })
    }
}

/// The values of a tree under construction, and the bytes of all that goes into it.
#[derive(Default)]
struct Literals {
    values: Vec<AttributeValue>,
    bytes: usize,
}

impl Literals {
    /// Counts an attribute's name against the bound.
    fn name(&mut self, name: &str) -> Result<(), OpError> {
        self.count(name.len())
    }

    fn add(&mut self, value: AttributeValue) -> Result<Literal, OpError> {
        self.count(value_size(&value))?;
        let number = Literal::try_from(self.values.len()).map_err(|_| too_large())?;
        self.values.push(value);
        Ok(number)
    }

    /// The bound is ours: what the maps of an expression may hold, so that no request becomes a larger command.
    fn count(&mut self, bytes: usize) -> Result<(), OpError> {
        self.bytes += bytes;
        if self.bytes > MAX_SUBSTITUTION_BYTES { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> OpError {
    invalid("Conditions or updates have exceeded the maximum allowed size".to_owned())
}

/// The condition that all of the tests hold, or any of them.
pub fn condition(tests: Vec<(String, Compared)>, any: bool) -> Result<Condition, OpError> {
    let mut literals = Literals::default();
    let mut made = Vec::with_capacity(tests.len());
    for (name, compared) in tests {
        literals.name(&name)?;
        made.push(compared.test(&name, &mut literals)?);
    }
    let test = if any { Test::Or(made) } else { Test::And(made) };
    Ok(Condition { literals: literals.values, test })
}

/// The key condition of `KeyConditions`.
pub fn key_condition(tests: Vec<(String, Compared)>) -> Result<KeyCondition, OpError> {
    let mut made = KeyCondition { hash: Vec::new(), range: None, rest: Vec::new() };
    for (name, Compared { comparison, values }) in tests {
        let mut values = values.into_iter();
        let mut next = || values.next().expect("the number of values was checked");
        let test = match comparison {
            Comparison::Eq => {
                made.hash.push((name, next()));
                continue;
            }
            Comparison::Le => RangeTest::Le(next()),
            Comparison::Lt => RangeTest::Lt(next()),
            Comparison::Ge => RangeTest::Ge(next()),
            Comparison::Gt => RangeTest::Gt(next()),
            Comparison::Between => RangeTest::Between(next(), next()),
            Comparison::BeginsWith => RangeTest::BeginsWith(next()),
            Comparison::Ne
            | Comparison::In
            | Comparison::NotNull
            | Comparison::Null
            | Comparison::Contains
            | Comparison::NotContains => {
                return Err(OpError::validation(
                    "Attempted conditional constraint is not an indexable operation",
                ));
            }
        };
        match made.range {
            None => made.range = Some((name, test)),
            Some(_) => made.rest.push((name, test)),
        }
    }
    Ok(made)
}

/// `Action` of `AttributeUpdates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `ADD`: to a number, into a set, behind a list.
    Add,
    /// `PUT`: the value takes the attribute's place.
    Put,
    /// `DELETE`: the attribute, or elements of a set.
    Delete,
}

/// The names on the wire, in the model's order.
pub const CHANGES: [(&str, Change); 3] =
    [("ADD", Change::Add), ("PUT", Change::Put), ("DELETE", Change::Delete)];

/// The update of `AttributeUpdates`: each attribute's change and value.
pub fn update(changes: Vec<(String, Change, Option<AttributeValue>)>) -> Result<Update, OpError> {
    let mut literals = Literals::default();
    let mut actions = Vec::with_capacity(changes.len());
    for (name, change, value) in changes {
        literals.name(&name)?;
        let path = Path::attribute(name);
        let Some(value) = value else {
            if change != Change::Delete {
                return Err(invalid(
                    "Only DELETE action is allowed when no attribute value is specified".to_owned(),
                ));
            }
            actions.push(Action::Remove(path));
            continue;
        };
        let kind = value.type_name();
        actions.push(match (change, kind) {
            (Change::Put, _) => Action::Set(path, SetValue::Literal(literals.add(value)?)),
            (Change::Add, "N" | "SS" | "NS" | "BS") => Action::Add(path, literals.add(value)?),
            (Change::Add, "L") => {
                let empty = SetValue::Literal(literals.add(AttributeValue::L(Vec::new()))?);
                let old = SetValue::IfNotExists(path.clone(), Box::new(empty));
                let more = SetValue::Literal(literals.add(value)?);
                Action::Set(path, SetValue::ListAppend(Box::new(old), Box::new(more)))
            }
            (Change::Add, _) => {
                return Err(invalid(format!("ADD action is not supported for the type {kind}")));
            }
            (Change::Delete, "SS" | "NS" | "BS") => Action::Delete(path, literals.add(value)?),
            (Change::Delete, _) => {
                return Err(invalid(format!(
                    "DELETE action with value is not supported for the type {kind}"
                )));
            }
        });
    }
    Ok(Update { literals: literals.values, actions })
}

/// The projection of `AttributesToGet`: whole attributes, each named once.
pub fn projection(names: &[String]) -> Result<Projection, OpError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut bytes = Literals::default();
    for name in names {
        bytes.name(name)?;
        if !seen.insert(name) {
            return Err(invalid(format!("Duplicate value in attribute name: {name}")));
        }
    }
    Ok(Projection::new(names.iter().map(Path::attribute).collect()))
}

fn invalid(text: String) -> OpError {
    OpError::Validation(format!("One or more parameter values were invalid: {text}"))
}

#[cfg(test)]
mod tests {
    use trilith_values::{Item, KeyType, KeyValue};

    use super::*;
    use crate::testing::{n, s};

    fn compared(comparison: Comparison, values: &[AttributeValue]) -> Compared {
        Compared::new(comparison, values.to_vec()).expect("valid")
    }

    fn item() -> Item {
        Item::from([
            ("n".to_owned(), n(5)),
            ("t".to_owned(), s("hello")),
            ("l".to_owned(), AttributeValue::L(vec![n(1), n(2)])),
        ])
    }

    #[test]
    fn each_comparison_means_what_it_says() {
        use Comparison::*;
        for (name, comparison, values, holds) in [
            ("n", Eq, vec![n(5)], true),
            ("n", Eq, vec![s("5")], false),
            ("n", Ne, vec![n(5)], false),
            ("none", Ne, vec![n(5)], true),
            ("none", Eq, vec![n(5)], false),
            ("n", In, vec![n(4), n(5)], true),
            ("n", In, vec![n(4)], false),
            ("n", Le, vec![n(5)], true),
            ("n", Lt, vec![n(5)], false),
            ("n", Ge, vec![n(5)], true),
            ("n", Gt, vec![n(5)], false),
            ("none", Lt, vec![n(5)], false),
            ("n", Between, vec![n(5), n(6)], true),
            ("n", Between, vec![n(6), n(7)], false),
            ("n", NotNull, vec![], true),
            ("none", NotNull, vec![], false),
            ("none", Null, vec![], true),
            ("t", Contains, vec![s("ell")], true),
            ("l", Contains, vec![n(2)], true),
            ("l", NotContains, vec![n(2)], false),
            ("none", NotContains, vec![n(2)], true),
            ("t", BeginsWith, vec![s("he")], true),
            ("t", BeginsWith, vec![s("el")], false),
        ] {
            let case = format!("{name} {comparison:?} {values:?}");
            let condition = condition(vec![(name.to_owned(), compared(comparison, &values))], false);
            assert_eq!(condition.expect("lowers").evaluate(&item()), holds, "{case}");
        }
    }

    #[test]
    fn tests_are_joined_by_and_or_by_or() {
        let tests = || {
            vec![
                ("n".to_owned(), compared(Comparison::Eq, &[n(5)])),
                ("t".to_owned(), compared(Comparison::Eq, &[s("other")])),
            ]
        };
        assert!(!condition(tests(), false).expect("lowers").evaluate(&item()));
        assert!(condition(tests(), true).expect("lowers").evaluate(&item()));
    }

    #[test]
    fn values_have_the_number_and_types_that_a_comparison_takes() {
        let set = AttributeValue::Ss(["a".to_owned()].into());
        for (comparison, values, text) in [
            (Comparison::Eq, vec![], "Invalid number of argument(s) for the EQ ComparisonOperator"),
            (Comparison::Null, vec![n(1)], "Invalid number of argument(s) for the NULL ComparisonOperator"),
            (Comparison::In, vec![], "Invalid number of argument(s) for the IN ComparisonOperator"),
            (Comparison::In, vec![n(1); 101], "Invalid number of argument(s) for the IN ComparisonOperator"),
            (
                Comparison::Between,
                vec![n(1)],
                "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
            ),
            (
                Comparison::Lt,
                vec![set.clone()],
                "ComparisonOperator LT is not valid for SS AttributeValue type",
            ),
            (Comparison::In, vec![set], "ComparisonOperator IN is not valid for SS AttributeValue type"),
            (
                Comparison::BeginsWith,
                vec![n(1)],
                "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
            ),
            (
                Comparison::In,
                vec![n(1), s("a")],
                "AttributeValues inside AttributeValueList must be of same type",
            ),
        ] {
            let error = Compared::new(comparison, values).expect_err(text);
            assert_eq!(error.message(), format!("One or more parameter values were invalid: {text}"));
        }
        let error = Compared::new(Comparison::Between, vec![n(2), n(1)]).expect_err("upside down");
        assert_eq!(
            error.message(),
            "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
        );
    }

    #[test]
    fn key_conditions_bind_like_those_of_expressions() {
        let made = key_condition(vec![
            ("pk".to_owned(), compared(Comparison::Eq, &[s("a")])),
            ("sk".to_owned(), compared(Comparison::Between, &[n(1), n(2)])),
        ]);
        let bound = made.expect("lowers").bind("pk", KeyType::S, Some(("sk", KeyType::N))).expect("binds");
        assert_eq!(bound.hash, KeyValue::S("a".to_owned()));
        assert!(matches!(bound.range, Some(RangeTest::Between(..))));
        let refused = key_condition(vec![("pk".to_owned(), compared(Comparison::Ne, &[s("a")]))]);
        assert!(refused.is_err());
    }

    #[test]
    fn updates_change_whole_attributes() {
        let list = |numbers: &[i64]| AttributeValue::L(numbers.iter().map(|number| n(*number)).collect());
        let changes = vec![
            ("n".to_owned(), Change::Add, Some(n(2))),
            ("t".to_owned(), Change::Delete, None),
            ("l".to_owned(), Change::Add, Some(list(&[3]))),
            ("new".to_owned(), Change::Add, Some(list(&[4]))),
            ("p".to_owned(), Change::Put, Some(s("q"))),
        ];
        let mut changed = item();
        update(changes).expect("lowers").apply(&mut changed).expect("applies");
        let expected = Item::from([
            ("n".to_owned(), n(7)),
            ("l".to_owned(), list(&[1, 2, 3])),
            ("new".to_owned(), list(&[4])),
            ("p".to_owned(), s("q")),
        ]);
        assert_eq!(changed, expected);
        for (change, value, text) in [
            (Change::Put, None, "Only DELETE action is allowed when no attribute value is specified"),
            (Change::Add, Some(s("x")), "ADD action is not supported for the type S"),
            (Change::Delete, Some(s("x")), "DELETE action with value is not supported for the type S"),
        ] {
            let error = update(vec![("a".to_owned(), change, value)]).expect_err(text);
            assert_eq!(error.message(), format!("One or more parameter values were invalid: {text}"));
        }
    }

    #[test]
    fn an_attribute_is_asked_for_once() {
        let names = ["t".to_owned(), "none".to_owned()];
        let part = projection(&names).expect("lowers").project(&item());
        assert_eq!(part, Item::from([("t".to_owned(), s("hello"))]));
        let twice = ["t".to_owned(), "t".to_owned()];
        assert!(projection(&twice).is_err());
    }

    #[test]
    fn what_goes_into_a_tree_is_bounded() {
        let large = s(&"x".repeat(MAX_SUBSTITUTION_BYTES / 2 + 1));
        let put = |name: &str| (name.to_owned(), Change::Put, Some(large.clone()));
        assert!(update(vec![put("a")]).is_ok());
        assert!(update(vec![put("a"), put("b")]).is_err());
        let test = |name: &str| (name.to_owned(), compared(Comparison::Eq, std::slice::from_ref(&large)));
        assert!(condition(vec![test("a")], false).is_ok());
        assert!(condition(vec![test("a"), test("b")], false).is_err());
    }
}
