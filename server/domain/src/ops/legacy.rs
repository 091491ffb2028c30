//! The older parameters of item operations, queries and scans: how they arrive, which may stand together, what they become.
//!
//! Each of them means what some expression means, and becomes its tree here ([`crate::expr::legacy`]): behind `parse` nothing
//! knows of them. A request speaks one language: an older parameter beside an expression is refused. An empty map counts as
//! absent, as a `null` does.

use std::collections::BTreeMap;

use trilith_values::AttributeValue;

use super::types::{AttributeUpdate, ConditionInput, Expectation};
use crate::error::OpError;
use crate::expr::legacy::{self, CHANGES, COMPARISONS, Change, Compared, Comparison};
use crate::expr::{Condition, KeyCondition, Projection, Update};
use crate::limits;
use crate::validate::{CHECKED, Constraints};

/// `ConditionalOperator`, in the model's order: whether one test is enough.
const JOINS: [(&str, bool); 2] = [("AND", false), ("OR", true)];

/// `Expected`, `QueryFilter` or `ScanFilter` with the operator that joins their tests: enums checked, contents not yet.
#[derive(Debug)]
pub(super) struct LegacyCondition<T> {
    tests: BTreeMap<String, T>,
    /// Whether it was sent, be it empty.
    sent: bool,
    /// `ConditionalOperator`, where it was sent: whether it was `OR`.
    any: Option<bool>,
}

/// `Expected` of a write.
pub(super) type LegacyExpected = LegacyCondition<Expectation>;
/// `QueryFilter` or `ScanFilter` of a page.
pub(super) type LegacyFilter = LegacyCondition<ConditionInput>;

impl<T> LegacyCondition<T> {
    /// Whether it was sent: an empty one does nothing, and cannot stand beside an expression all the same.
    pub(super) fn is_present(&self) -> bool {
        self.sent
    }

    /// Whether a `ConditionalOperator` was sent.
    pub(super) fn has_operator(&self) -> bool {
        self.any.is_some()
    }

    /// The tree, or `None` where there is nothing to test.
    fn lower(self, compared: fn(&str, T) -> Result<Compared, OpError>) -> Result<Option<Condition>, OpError> {
        if self.any.is_some() && self.tests.len() < 2 {
            return Err(OpError::validation(if self.tests.is_empty() {
                "ConditionalOperator cannot be used without Filter or Expected"
            } else {
                "ConditionalOperator can only be used when Filter or Expected has two or more elements"
            }));
        }
        if self.tests.is_empty() {
            return Ok(None);
        }
        let mut tests = Vec::with_capacity(self.tests.len());
        for (name, test) in self.tests {
            let test = compared(&name, test)?;
            tests.push((name, test));
        }
        legacy::condition(tests, self.any.unwrap_or(false)).map(Some)
    }
}

impl LegacyExpected {
    /// Constraints of `Expected` and `ConditionalOperator`.
    pub(super) fn of_write(
        check: &mut Constraints,
        expected: Option<BTreeMap<String, Expectation>>,
        operator: Option<&str>,
    ) -> Self {
        let sent = expected.is_some();
        let tests = expected.unwrap_or_default();
        for (name, test) in &tests {
            let path = format!("expected.{name}.member.comparisonOperator");
            check.one_of(&path, test.comparison_operator.as_deref(), &COMPARISONS);
        }
        Self { tests, sent, any: check.one_of("conditionalOperator", operator, &JOINS) }
    }

    /// The condition of the write.
    pub(super) fn condition(self) -> Result<Option<Condition>, OpError> {
        self.lower(expected)
    }
}

impl LegacyFilter {
    /// Constraints of a filter (`path` names the parameter) and `ConditionalOperator`.
    pub(super) fn of_page(
        check: &mut Constraints,
        path: &str,
        filter: Option<BTreeMap<String, ConditionInput>>,
        operator: Option<&str>,
    ) -> Self {
        let sent = filter.is_some();
        let tests = filter.unwrap_or_default();
        check_conditions(check, path, &tests);
        Self { tests, sent, any: check.one_of("conditionalOperator", operator, &JOINS) }
    }

    /// The filter of the page.
    pub(super) fn filter(self) -> Result<Option<Condition>, OpError> {
        self.lower(|_, test| compared(test))
    }
}

/// Constraints of `KeyConditions`; `None` where there are none.
pub(super) fn check_key_conditions(
    check: &mut Constraints,
    conditions: Option<BTreeMap<String, ConditionInput>>,
) -> Option<BTreeMap<String, ConditionInput>> {
    let conditions = conditions.filter(|conditions| !conditions.is_empty())?;
    check_conditions(check, "keyConditions", &conditions);
    Some(conditions)
}

/// The key condition of a query.
pub(super) fn key_condition(conditions: BTreeMap<String, ConditionInput>) -> Result<KeyCondition, OpError> {
    let mut tests = Vec::with_capacity(conditions.len());
    for (name, condition) in conditions {
        tests.push((name, compared(condition)?));
    }
    legacy::key_condition(tests)
}

/// Constraints of `AttributeUpdates`; `None` where there are none.
pub(super) fn check_updates(
    check: &mut Constraints,
    updates: Option<BTreeMap<String, AttributeUpdate>>,
) -> Option<BTreeMap<String, AttributeUpdate>> {
    let updates = updates.filter(|updates| !updates.is_empty())?;
    for (name, update) in &updates {
        let path = format!("attributeUpdates.{name}.member.action");
        check.one_of(&path, update.action.as_deref(), &CHANGES);
    }
    Some(updates)
}

/// The update of `AttributeUpdates`. `PUT` is what is meant where no action is named.
pub(super) fn update(updates: BTreeMap<String, AttributeUpdate>) -> Result<Update, OpError> {
    let change = |(name, update): (String, AttributeUpdate)| {
        let change = named(update.action.as_deref(), &CHANGES).unwrap_or(Change::Put);
        (name, change, update.value)
    };
    legacy::update(updates.into_iter().map(change).collect())
}

/// Constraints of `AttributesToGet`: one name at least, none of them empty or too long.
pub(super) fn check_attributes(check: &mut Constraints, path: &str, names: Option<&Vec<String>>) {
    let Some(names) = names else { return };
    check.count(path, names.len(), 1, usize::MAX);
    for (i, name) in names.iter().enumerate() {
        if check.is_full() {
            return;
        }
        check.length(&format!("{path}.{}.member", i + 1), Some(name), 1, limits::ATTRIBUTE_NAME_MAX);
    }
}

/// The projection of `AttributesToGet`.
pub(super) fn projection(names: &[String]) -> Result<Projection, OpError> {
    legacy::projection(names)
}

/// Refuses a request that speaks both languages. The members come with whether they were sent.
pub(super) fn check_not_mixed(older: &[(&str, bool)], expressions: &[(&str, bool)]) -> Result<(), OpError> {
    let sent = |members: &[(&str, bool)]| {
        let sent: Vec<&str> = members.iter().filter(|(_, sent)| *sent).map(|(name, _)| *name).collect();
        sent.join(", ")
    };
    let (older, expressions) = (sent(older), sent(expressions));
    if older.is_empty() || expressions.is_empty() {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "Can not use both expression and non-expression parameters in the same request: \
         Non-expression parameters: {{{older}}} Expression parameters: {{{expressions}}}"
    )))
}

fn check_conditions(check: &mut Constraints, path: &str, tests: &BTreeMap<String, ConditionInput>) {
    for (name, test) in tests {
        let path = format!("{path}.{name}.member.comparisonOperator");
        check.required(&path, test.comparison_operator.as_ref());
        check.one_of(&path, test.comparison_operator.as_deref(), &COMPARISONS);
    }
}

fn named<T: Copy>(name: Option<&str>, set: &[(&str, T)]) -> Option<T> {
    let name = name?;
    set.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning)
}

fn compared(condition: ConditionInput) -> Result<Compared, OpError> {
    let comparison = named(condition.comparison_operator.as_deref(), &COMPARISONS).expect(CHECKED);
    Compared::new(comparison, condition.attribute_value_list.unwrap_or_default())
}

/// One entry of `Expected`, in either of its two styles: a comparison with values, or a value that must (not) be there.
fn expected(name: &str, test: Expectation) -> Result<Compared, OpError> {
    let invalid = |text: &str| {
        Err(OpError::Validation(format!(
            "One or more parameter values were invalid: {text} for Attribute: {name}"
        )))
    };
    let Expectation { exists, value, comparison_operator, attribute_value_list: list } = test;
    if value.is_some() && list.is_some() {
        return invalid("Value and AttributeValueList cannot be used together");
    }
    if let Some(comparison) = named(comparison_operator.as_deref(), &COMPARISONS) {
        if exists.is_some() {
            return invalid("Exists and ComparisonOperator cannot be used together");
        }
        let bare = matches!(comparison, Comparison::Null | Comparison::NotNull);
        if value.is_none() && list.is_none() && !bare {
            let comparison = comparison.as_str();
            return invalid(&format!(
                "Value or AttributeValueList must be used with ComparisonOperator: {comparison}"
            ));
        }
        let values = list.unwrap_or_else(|| value.into_iter().collect());
        return Compared::new(comparison, values);
    }
    if list.is_some() {
        return invalid("AttributeValueList can only be used with a ComparisonOperator");
    }
    let equal = |value: AttributeValue| Compared::new(Comparison::Eq, vec![value]);
    match (exists, value) {
        (Some(false), None) => Compared::new(Comparison::Null, Vec::new()),
        (Some(false), Some(_)) => invalid("Value cannot be used when Exists is false"),
        (Some(true) | None, Some(value)) => equal(value),
        (Some(true), None) => invalid("Value must be provided when Exists is true"),
        (None, None) => invalid("Value must be provided when Exists is null"),
    }
}
