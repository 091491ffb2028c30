//! How an attribute value comes into being: the service's checks on what a client sent for one (contract 14.3).
//!
//! An [`AttributeValue`] cannot hold what these checks refuse: a set with a duplicate, a number out of range, a
//! `NULL: false`. So decoders build values through these functions and nowhere else. A decoder keeps the first error
//! as the input's `value_fault` (see [`super::types`]) and goes on.

use std::collections::BTreeSet;

use trilith_values::{AttributeValue, Map, Number};

use crate::error::OpError;
use crate::expr::Placeholders;
use crate::limits::NESTING_MAX;

/// Prefix that most texts about values bear.
const INVALID: &str = "One or more parameter values were invalid:";

/// The members of an `AttributeValue` as a client sent them: exactly one must be there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// `S`.
    pub s: Option<String>,
    /// `N`.
    pub n: Option<String>,
    /// `B`, decoded.
    pub b: Option<Vec<u8>>,
    /// `BOOL`.
    pub bool: Option<bool>,
    /// `NULL`.
    pub null: Option<bool>,
    /// `L`, its elements made by these same rules.
    pub l: Option<Vec<AttributeValue>>,
    /// `M`, likewise.
    pub m: Option<Map>,
    /// `SS`.
    pub ss: Option<Vec<String>>,
    /// `NS`.
    pub ns: Option<Vec<String>>,
    /// `BS`, decoded.
    pub bs: Option<Vec<Vec<u8>>>,
}

/// A value from its members; for decoders that meet all of them at once. Others call the functions below.
pub fn attribute_from_parts(parts: Parts) -> Result<AttributeValue, OpError> {
    let Parts { s, n, b, bool, null, l, m, ss, ns, bs } = parts;
    let made = [
        s.map(|text| Ok(AttributeValue::S(text))),
        n.map(|text| number(&text)),
        b.map(|bytes| Ok(AttributeValue::B(bytes))),
        bool.map(|flag| Ok(AttributeValue::Bool(flag))),
        self::null_of(null),
        l.map(|list| Ok(AttributeValue::L(list))),
        m.map(|map| Ok(AttributeValue::M(map))),
        ss.map(string_set),
        ns.map(number_set),
        bs.map(binary_set),
    ];
    let mut present = made.into_iter().flatten();
    let value = present.next().ok_or_else(empty_value)?;
    if present.next().is_some() {
        return Err(several_types());
    }
    value
}

fn null_of(flag: Option<bool>) -> Option<Result<AttributeValue, OpError>> {
    flag.map(null)
}

/// A value without any type.
pub fn empty_value() -> OpError {
    OpError::validation(
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    )
}

/// A value with more than one type.
pub fn several_types() -> OpError {
    OpError::validation(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    )
}

/// `N` from decimal text.
pub fn number(text: &str) -> Result<AttributeValue, OpError> {
    parse_number(text).map(AttributeValue::N)
}

fn parse_number(text: &str) -> Result<Number, OpError> {
    Number::parse(text).map_err(|error| OpError::validation(error.message(text)))
}

/// `NULL`, which only `true` can stand for.
pub fn null(flag: bool) -> Result<AttributeValue, OpError> {
    if flag {
        return Ok(AttributeValue::Null);
    }
    Err(OpError::validation(format!("{INVALID} Null attribute value types must have the value of true")))
}

/// `SS`: not empty, no string twice.
pub fn string_set(list: Vec<String>) -> Result<AttributeValue, OpError> {
    if list.is_empty() {
        return Err(OpError::validation(format!("{INVALID} An string set  may not be empty")));
    }
    let set: BTreeSet<&String> = list.iter().collect();
    if set.len() < list.len() {
        let text = format!("{INVALID} Input collection [{}] contains duplicates.", list.join(", "));
        return Err(OpError::validation(text));
    }
    Ok(AttributeValue::Ss(list.into_iter().collect()))
}

/// `NS`: not empty, no number twice, however it is written.
pub fn number_set(list: Vec<String>) -> Result<AttributeValue, OpError> {
    if list.is_empty() {
        return Err(OpError::validation(format!("{INVALID} An number set  may not be empty")));
    }
    let set = list.iter().map(|text| parse_number(text)).collect::<Result<BTreeSet<_>, _>>()?;
    if set.len() < list.len() {
        return Err(OpError::validation("Input collection contains duplicates"));
    }
    Ok(AttributeValue::Ns(set))
}

/// `BS`: not empty, no binary twice.
pub fn binary_set(list: Vec<Vec<u8>>) -> Result<AttributeValue, OpError> {
    if list.is_empty() {
        return Err(OpError::validation(format!("{INVALID} Binary sets should not be empty")));
    }
    let set: BTreeSet<&Vec<u8>> = list.iter().collect();
    if set.len() < list.len() {
        return Err(OpError::validation(format!(
            "{INVALID} Input collection of type BS contains duplicates."
        )));
    }
    Ok(AttributeValue::Bs(list.into_iter().collect()))
}

/// Whether a list or map may stand at this level: 1 for an attribute that is one, 2 for one inside it. A decoder asks
/// before it goes down, so that its own recursion is bounded too.
pub fn nesting(level: usize) -> Result<(), OpError> {
    if level <= NESTING_MAX { Ok(()) } else { Err(too_deep()) }
}

/// The answer to a value nested too deeply.
pub fn too_deep() -> OpError {
    OpError::validation("Nesting Levels have exceeded supported limits")
}

/// The fault of a value in `ExpressionAttributeValues`, told with its placeholder.
pub fn in_expression_values(fault: &OpError, placeholder: &str) -> OpError {
    Placeholders::invalid_value(placeholder, fault.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn message(result: Result<AttributeValue, OpError>) -> String {
        result.expect_err("refused").message().to_owned()
    }

    #[test]
    fn sets_are_not_empty_and_have_no_duplicates() {
        assert_eq!(
            message(string_set(vec![])),
            "One or more parameter values were invalid: An string set  may not be empty"
        );
        assert_eq!(
            message(number_set(vec![])),
            "One or more parameter values were invalid: An number set  may not be empty"
        );
        assert_eq!(
            message(binary_set(vec![])),
            "One or more parameter values were invalid: Binary sets should not be empty"
        );
        assert_eq!(
            message(string_set(texts(&["a", "b", "a"]))),
            "One or more parameter values were invalid: Input collection [a, b, a] contains duplicates."
        );
        assert_eq!(message(number_set(texts(&["1", "1.0"]))), "Input collection contains duplicates");
        assert!(message(binary_set(vec![vec![1], vec![1]])).contains("contains duplicates"));
        assert_eq!(string_set(texts(&["", "a"])).expect("a set").type_name(), "SS");
    }

    #[test]
    fn numbers_keep_the_services_texts() {
        assert_eq!(message(number("abc")), "The parameter cannot be converted to a numeric value: abc");
        assert_eq!(
            message(number("1E126")),
            "Number overflow. Attempting to store a number with magnitude larger than supported range"
        );
        assert_eq!(
            message(number_set(texts(&["1", "x"]))),
            "The parameter cannot be converted to a numeric value: x"
        );
    }

    #[test]
    fn a_value_has_exactly_one_type() {
        assert_eq!(message(attribute_from_parts(Parts::default())), empty_value().message());
        let two = Parts { s: Some("a".into()), n: Some("1".into()), ..Parts::default() };
        assert_eq!(message(attribute_from_parts(two)), several_types().message());
        let one = Parts { bool: Some(false), ..Parts::default() };
        assert_eq!(attribute_from_parts(one), Ok(AttributeValue::Bool(false)));
        let no_null = Parts { null: Some(false), ..Parts::default() };
        assert!(message(attribute_from_parts(no_null)).ends_with("must have the value of true"));
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(nesting(32), Ok(()));
        assert_eq!(nesting(33), Err(too_deep()));
    }

    #[test]
    fn faults_of_expression_values_name_the_placeholder() {
        let fault = in_expression_values(&empty_value(), ":v");
        assert!(fault.message().starts_with("ExpressionAttributeValues contains invalid value: Supplied"));
        assert!(fault.message().ends_with(" for key :v"));
    }
}
