//! The constraint family: what the service's model says of a member's presence, length, range, pattern and values,
//! checked before anything else, counted and joined into one text (contract 14.1).
//!
//! Members are named in lower camel case; elements of lists as `x.1.member.y`, values of maps as `x.<key>.member.y`.
//! Scalars are quoted as sent, null stands unquoted. Lists and structures are only counted, never printed: the
//! service prints them as its own Java classes, which nobody can match.

use std::fmt;

use crate::error::OpError;
use crate::limits;
use crate::ops::table_ref::{TableRef, has_name_characters};

/// What to `expect` of a required member after [`Constraints::finish`].
pub(crate) const CHECKED: &str = "a required member, checked for presence before";

/// The pattern of names, as texts quote it.
const NAME_PATTERN: &str = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";

/// Violations that one answer names.
const REPORTED_MAX: usize = 10;

/// Collects violations in the order they are met.
#[derive(Debug, Default)]
pub struct Constraints {
    found: Vec<String>,
    /// An ARN that is none; reported where no constraint was violated.
    bad_arn: Option<OpError>,
}

impl Constraints {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was violated so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty() && self.bad_arn.is_none()
    }

    /// All violations as one `ValidationException`, or nothing.
    pub fn finish(self) -> Result<(), OpError> {
        match self.found.as_slice() {
            [] => self.bad_arn.map_or(Ok(()), Err),
            [one] => Err(OpError::Validation(format!("1 validation error detected: {one}"))),
            many => {
                let text = format!("{} validation errors detected: {}", many.len(), many.join("; "));
                Err(OpError::Validation(text))
            }
        }
    }

    /// Keeps a violation, of the first few: a request of many must not make an answer larger than itself.
    fn record(&mut self, text: fmt::Arguments<'_>) {
        if !self.is_full() {
            self.found.push(text.to_string());
        }
    }

    /// Whether further violations would not be reported, so that no loop need look for them.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= REPORTED_MAX
    }

    /// Records that a scalar violates a constraint.
    fn scalar(&mut self, path: &str, value: &dyn fmt::Display, constraint: &str) {
        self.record(format_args!("Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// Records that a list, map or structure violates a constraint; its content is not printed.
    pub(crate) fn aggregate(&mut self, path: &str, constraint: &str) {
        self.record(format_args!("Value at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// A required member must be there.
    pub fn required<T>(&mut self, path: &str, value: Option<&T>) {
        if value.is_none() {
            self.missing(path);
        }
    }

    /// Records that a required member is not there.
    pub(crate) fn missing(&mut self, path: &str) {
        self.record(format_args!(
            "Value null at '{path}' failed to satisfy constraint: Member must not be null"
        ));
    }

    /// A text has `min` to `max` characters, where present.
    pub fn length(&mut self, path: &str, value: Option<&str>, min: usize, max: usize) {
        let Some(value) = value else { return };
        let length = value.chars().count();
        if length < min {
            self.scalar(path, &value, &length_min(min));
        }
        if length > max {
            self.scalar(path, &value, &length_max(max));
        }
    }

    /// A list has `min` to `max` elements.
    pub fn count(&mut self, path: &str, count: usize, min: usize, max: usize) {
        self.size(path, count, min, max, &"[]");
    }

    /// A map has `min` to `max` entries.
    pub fn entries(&mut self, path: &str, count: usize, min: usize, max: usize) {
        self.size(path, count, min, max, &"{}");
    }

    /// Of lists and maps only the empty ones are printed: there is one way to.
    fn size(&mut self, path: &str, count: usize, min: usize, max: usize, empty: &dyn fmt::Display) {
        if count < min && count == 0 {
            self.scalar(path, empty, &length_min(min));
        } else if count < min {
            self.aggregate(path, &length_min(min));
        }
        if count > max {
            self.aggregate(path, &length_max(max));
        }
    }

    /// A number is `min` or more, where present.
    pub fn at_least(&mut self, path: &str, value: Option<i64>, min: i64) {
        if let Some(value) = value.filter(|value| *value < min) {
            let text = format!("Member must have value greater than or equal to {min}");
            self.scalar(path, &value, &text);
        }
    }

    /// A number is `max` or less, where present.
    pub fn at_most(&mut self, path: &str, value: Option<i64>, max: i64) {
        if let Some(value) = value.filter(|value| *value > max) {
            self.scalar(path, &value, &format!("Member must have value less than or equal to {max}"));
        }
    }

    /// A number is `min` to `max`, where present.
    pub fn range(&mut self, path: &str, value: Option<i64>, min: i64, max: i64) {
        self.at_least(path, value, min);
        self.at_most(path, value, max);
    }

    /// A text is one of an enum's values, in the model's order, and what it stands for; `None` where absent or wrong.
    pub fn one_of<T: Copy>(&mut self, path: &str, value: Option<&str>, set: &[(&str, T)]) -> Option<T> {
        let value = value?;
        let known = set.iter().find(|(name, _)| *name == value).map(|(_, meaning)| *meaning);
        if known.is_none() {
            let names: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
            self.scalar(path, &value, &format!("Member must satisfy enum value set: [{}]", names.join(", ")));
        }
        known
    }

    /// A name of a table, index or backup, where present.
    pub fn name(&mut self, path: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if !has_name_characters(value) {
            self.scalar(path, &value, NAME_PATTERN);
        }
        self.length(path, Some(value), limits::NAME_MIN, limits::NAME_MAX);
    }

    /// A token of the transfers' listings, where present: sixteens of hexadecimal digits, `min` to `max` characters.
    pub(crate) fn hex_token(&mut self, path: &str, value: Option<&str>, min: usize, max: usize) {
        let Some(value) = value else { return };
        let hex = value.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if value.is_empty() || !value.len().is_multiple_of(16) || !hex {
            self.scalar(path, &value, "Member must satisfy regular expression pattern: ([0-9a-f]{16})+");
        }
        self.length(path, Some(value), min, max);
    }

    /// A required bare table name (where the operation takes no ARN).
    pub fn bare_table(&mut self, path: &str, value: Option<&str>) -> Option<TableRef> {
        if value.is_none() {
            self.missing(path);
        }
        let before = self.found.len();
        self.name(path, value);
        value.filter(|_| self.found.len() == before).map(TableRef::of_name)
    }

    /// A required table, by name or ARN.
    pub fn table(&mut self, path: &str, value: Option<&str>) -> Option<TableRef> {
        if value.is_none() {
            self.missing(path);
        }
        self.optional_table(path, value)
    }

    /// A table by name or ARN, where present. The model bounds the member to 1 to 1024 characters; a bare name
    /// keeps the bounds of names.
    pub fn optional_table(&mut self, path: &str, value: Option<&str>) -> Option<TableRef> {
        let value = value?;
        if value.is_empty() || value.len() > limits::TABLE_ARN_MAX {
            self.length(path, Some(value), 1, limits::TABLE_ARN_MAX);
            return None;
        }
        if !value.starts_with("arn:") {
            let before = self.found.len();
            self.name(path, Some(value));
            return (self.found.len() == before).then(|| TableRef::of_name(value));
        }
        match TableRef::of_resource(value) {
            Ok(table) => Some(table),
            Err(error) => {
                self.bad_arn.get_or_insert(error);
                None
            }
        }
    }

    /// The required ARN of a backup, export, import, bulk operation or stream: 37 to 1024 characters.
    pub fn long_arn(&mut self, path: &str, value: Option<&str>) {
        if value.is_none() {
            self.missing(path);
        }
        self.length(path, value, limits::LONG_ARN_MIN, limits::LONG_ARN_MAX);
    }

    /// The required `ResourceArn`.
    pub fn resource_arn(&mut self, value: Option<&str>) {
        if value.is_none() {
            self.missing("resourceArn");
        }
        self.length("resourceArn", value, 1, limits::RESOURCE_ARN_MAX);
    }
}

/// The text of a lower bound of a length.
fn length_min(min: usize) -> String {
    format!("Member must have length greater than or equal to {min}")
}

/// The text of an upper bound of a length.
fn length_max(max: usize) -> String {
    format!("Member must have length less than or equal to {max}")
}

/// Refuses members that the service has and this server does not build yet, by name. A text of our own.
pub fn refuse_not_built(members: &[&str]) -> Result<(), OpError> {
    if members.is_empty() {
        return Ok(());
    }
    let verb = if members.len() == 1 { "is" } else { "are" };
    let text =
        format!("One or more parameter values were invalid: {} {verb} not supported yet", members.join(", "));
    Err(OpError::Validation(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(check: Constraints) -> String {
        check.finish().expect_err("violated").message().to_owned()
    }

    #[test]
    fn one_violation_is_counted_alone() {
        let mut check = Constraints::new();
        check.range("limit", Some(0), 1, 100);
        assert_eq!(
            text(check),
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: \
             Member must have value greater than or equal to 1"
        );
    }

    #[test]
    fn several_violations_are_joined_in_order() {
        let mut check = Constraints::new();
        check.table("tableName", None);
        check.one_of("returnConsumedCapacity", Some("ALL"), &[("INDEXES", ()), ("TOTAL", ()), ("NONE", ())]);
        assert_eq!(
            text(check),
            "2 validation errors detected: Value null at 'tableName' failed to satisfy constraint: \
             Member must not be null; Value 'ALL' at 'returnConsumedCapacity' failed to satisfy constraint: \
             Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
        );
    }

    #[test]
    fn an_answer_names_the_first_few() {
        let mut check = Constraints::new();
        for _ in 0..1_000 {
            check.missing("x");
        }
        let text = text(check);
        assert!(text.starts_with("10 validation errors detected: "), "{text}");
        assert_eq!(text.matches("Value null at 'x'").count(), 10);
    }

    #[test]
    fn tables_come_by_name_or_arn() {
        let mut check = Constraints::new();
        assert_eq!(check.table("tableName", Some("orders")).expect("a name").name(), "orders");
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders";
        assert_eq!(check.table("tableName", Some(arn)).expect("an ARN").name(), "orders");
        assert_eq!(check.finish(), Ok(()));
        for bad in ["", "ab", "a b", "ü", "arn:aws:dynamodb:x", &"a".repeat(256), &"a".repeat(1025)] {
            let mut check = Constraints::new();
            assert_eq!(check.table("tableName", Some(bad)), None);
            assert!(check.finish().is_err(), "{bad}");
        }
    }

    #[test]
    fn members_not_built_are_named() {
        assert_eq!(refuse_not_built(&[]), Ok(()));
        let error = refuse_not_built(&["IndexName"]).expect_err("refused");
        assert_eq!(
            error.message(),
            "One or more parameter values were invalid: IndexName is not supported yet"
        );
    }
}
