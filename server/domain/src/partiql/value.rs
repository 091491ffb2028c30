//! Literals and parameters as attribute values.
//!
//! The service reads a literal from its root downwards and names the place of a fault: `root.k[0]`. A parameter stands for a
//! whole value only, never for a part of one.

use trilith_values::{AttributeValue, Map};

use super::ast::Expression;
use crate::error::OpError;
use crate::limits::NESTING_MAX;
use crate::ops::value_rules;

/// Whether `expression` is a value by itself: no place in an item, no call, no operator.
pub(super) fn is_value(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Text(_)
            | Expression::Number(_)
            | Expression::Boolean(_)
            | Expression::Null
            | Expression::Parameter(..)
            | Expression::List(_)
            | Expression::Set(_)
            | Expression::Map(_)
    )
}

/// The value that `expression` stands for. There are as many `parameters` as the statement takes.
///
/// # Errors
/// What is no value, or none that can be stored.
pub(super) fn value(
    expression: &Expression,
    parameters: &[AttributeValue],
) -> Result<AttributeValue, OpError> {
    match expression {
        Expression::Parameter(number, _) => parameters.get(*number).cloned().ok_or_else(parameters_differ),
        literal => constant(literal, &mut String::from("root"), 0),
    }
}

/// The service's text for a request with too many or too few parameters.
pub(super) fn parameters_differ() -> OpError {
    OpError::validation("Number of parameters in request and statement don't match.")
}

/// A literal inside `level` lists and maps, at `place`.
fn constant(expression: &Expression, place: &mut String, level: usize) -> Result<AttributeValue, OpError> {
    if level >= NESTING_MAX {
        return Err(OpError::Validation(format!(
            "Nesting Levels have exceeded supported limits under {}",
            deepest(expression, place)
        )));
    }
    let unsupported = |what: &str, place: &str| {
        OpError::Validation(format!("Unsupported data type: {what} under key {place}"))
    };
    Ok(match expression {
        Expression::Text(text) => AttributeValue::S(text.clone()),
        Expression::Number(number) => number_at(number, place)?,
        Expression::Boolean(flag) => AttributeValue::Bool(*flag),
        Expression::Null => AttributeValue::Null,
        Expression::List(elements) => {
            let mut list = Vec::with_capacity(elements.len());
            for (i, element) in elements.iter().enumerate() {
                list.push(below(place, &format!("[{i}]"), |place| constant(element, place, level + 1))?);
            }
            AttributeValue::L(list)
        }
        Expression::Map(members) => {
            let mut map = Map::new();
            for (name, member) in members {
                let member = below(place, &format!(".{name}"), |place| constant(member, place, level + 1))?;
                if map.insert(name.clone(), member).is_some() {
                    return Err(duplicate(name, place));
                }
            }
            AttributeValue::M(map)
        }
        Expression::Set(elements) => set(elements, place)?,
        Expression::Parameter(_, at) => return Err(unsupported("Parameter", &format!("{place} at {at}"))),
        Expression::Call(call) => return Err(unsupported(&call.name, &format!("{place} at {}", call.at))),
        Expression::Missing => return Err(unsupported("MISSING", place)),
        Expression::Path(_) => return Err(unsupported("VariableReference", place)),
        Expression::Not(_)
        | Expression::And(_)
        | Expression::Or(_)
        | Expression::Compare(..)
        | Expression::Between(..)
        | Expression::In(..)
        | Expression::IsMissing(_)
        | Expression::IsType(..)
        | Expression::Plus(..)
        | Expression::Minus(..) => return Err(unsupported("NAry", place)),
    })
}

/// A number; what is no number of the service's is told with its place.
fn number_at(number: &str, place: &str) -> Result<AttributeValue, OpError> {
    value_rules::number(number).map_err(|error| match error {
        OpError::Validation(text) => OpError::Validation(format!("{text} under {place}")),
        other => other,
    })
}

/// Runs `read` with `step` behind the place.
fn below<T>(place: &mut String, step: &str, read: impl FnOnce(&mut String) -> T) -> T {
    let length = place.len();
    place.push_str(step);
    let read = read(place);
    place.truncate(length);
    read
}

/// The service's text for a map that has a member twice.
pub(super) fn duplicate(name: &str, place: &str) -> OpError {
    OpError::Validation(format!("Duplicate keys in tuple. Key: {name} under {place}"))
}

/// The place of the first value below this one that holds no other: what the service names when a literal is too deep.
fn deepest(expression: &Expression, place: &str) -> String {
    let mut place = place.to_owned();
    let mut expression = expression;
    loop {
        expression = match expression {
            Expression::List(elements) if !elements.is_empty() => {
                place.push_str("[0]");
                &elements[0]
            }
            Expression::Map(members) if !members.is_empty() => {
                place.push('.');
                place.push_str(&members[0].0);
                &members[0].1
            }
            _ => return place,
        };
    }
}

/// A set: strings or numbers, at least one, none twice.
fn set(elements: &[Expression], place: &str) -> Result<AttributeValue, OpError> {
    if elements.is_empty() {
        return Err(OpError::validation("Empty bags are not supported"));
    }
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    for element in elements {
        match element {
            Expression::Text(text) => texts.push(text.clone()),
            Expression::Number(number) => numbers.push(number.clone()),
            _ => {}
        }
    }
    if texts.len() == elements.len() {
        return value_rules::string_set(texts);
    }
    if numbers.len() < elements.len() {
        return Err(OpError::validation(
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ));
    }
    let list = numbers.join(", ");
    for number in &numbers {
        number_at(number, place)?;
    }
    value_rules::number_set(numbers).map_err(|_| {
        OpError::Validation(format!(
            "One or more parameter values were invalid: Input collection [{list}] contains duplicates! under {place}"
        ))
    })
}
