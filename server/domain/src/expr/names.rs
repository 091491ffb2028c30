//! The placeholders of one request, and the way from its texts to trees.
//!
//! The two maps belong to the request, not to one of its expressions: a name may serve the condition and the update, and a
//! placeholder is unused only when no expression used it. So one [`Placeholders`] reads all of a request's expressions and then
//! [finishes](Placeholders::finish). In the service's order: the maps as such, each expression, unused entries.

use std::collections::{BTreeMap, BTreeSet};

use trilith_values::size::attribute_size;
use trilith_values::{AttributeValue, Map};

use super::ExpressionKind;
use super::ast::{Condition, Update};
use super::limits::{MAX_NAME_BYTES, MAX_PLACEHOLDER_BYTES, MAX_RESOLVED_NAME_BYTES, MAX_SUBSTITUTION_BYTES};
use super::parse;
use super::project::Projection;
use super::token::is_placeholder;
use crate::error::OpError;

const NAMES: &str = "ExpressionAttributeNames";
const VALUES: &str = "ExpressionAttributeValues";

/// The substitution maps of one request, checked, and which of their entries its expressions have used.
#[derive(Debug)]
pub struct Placeholders<'r> {
    names: Option<&'r BTreeMap<String, String>>,
    values: Option<&'r Map>,
    used_names: BTreeSet<&'r str>,
    used_values: BTreeSet<&'r str>,
    /// Bytes of names handed out so far, against [`MAX_RESOLVED_NAME_BYTES`].
    resolved_bytes: usize,
}

impl<'r> Placeholders<'r> {
    /// Takes the maps of a request (`None` where the member is absent).
    ///
    /// `expressions` names the operation's expression parameters in the service's order, each with whether the request has it:
    /// for UpdateItem `UpdateExpression`, `ConditionExpression`; for Query `FilterExpression`, `KeyConditionExpression` (and
    /// `ProjectionExpression`). Maps without an expression that can use them, empty maps and malformed keys are errors.
    pub fn new(
        names: Option<&'r BTreeMap<String, String>>,
        values: Option<&'r Map>,
        expressions: &[(ExpressionKind, bool)],
    ) -> Result<Self, OpError> {
        Self::check_use(names, values, expressions)?;
        if let Some(names) = names {
            check_keys(NAMES, '#', names.keys())?;
            check_names(names)?;
        }
        if let Some(values) = values {
            check_keys(VALUES, ':', values.keys())?;
        }
        check_size(names, values)?;
        Ok(Self {
            names,
            values,
            used_names: BTreeSet::new(),
            used_values: BTreeSet::new(),
            resolved_bytes: 0,
        })
    }

    /// Maps without an expression that can use them are errors, and come before those of any attribute value.
    pub fn check_use(
        names: Option<&BTreeMap<String, String>>,
        values: Option<&Map>,
        expressions: &[(ExpressionKind, bool)],
    ) -> Result<(), OpError> {
        if names.is_some() && !expressions.iter().any(|(_, present)| *present) {
            return Err(OpError::validation(format!("{NAMES} can only be specified when using expressions")));
        }
        if values.is_some() { check_values_have_use(expressions) } else { Ok(()) }
    }

    /// Whether this is an [`invalid_value`](Self::invalid_value): it comes after what is wrong with the maps' keys.
    pub fn is_invalid_value(error: &OpError) -> bool {
        error.message().starts_with("ExpressionAttributeValues contains invalid value")
    }

    /// The error for a value that the decoder of `ExpressionAttributeValues` refused: `reason` is the value's own message.
    pub fn invalid_value(key: &str, reason: &str) -> OpError {
        OpError::validation(format!("{VALUES} contains invalid value: {reason} for key {key}"))
    }

    /// Reads a condition. `kind` is `Condition`, `Filter` or `SearchCondition`: which parameter messages speak of.
    pub fn condition(&mut self, kind: ExpressionKind, text: &str) -> Result<Condition, OpError> {
        parse::condition(self, kind, text)
    }

    /// Reads an `UpdateExpression`.
    pub fn update(&mut self, text: &str) -> Result<Update, OpError> {
        parse::update(self, text)
    }

    /// Reads a `ProjectionExpression`.
    pub fn projection(&mut self, text: &str) -> Result<Projection, OpError> {
        parse::projection(self, text)
    }

    /// Reads a `KeyConditionExpression` by the grammar of conditions. The narrower rules of keys come after all other
    /// expressions and unused placeholders: [`KeyCondition::of`](super::KeyCondition::of).
    pub fn key_condition(&mut self, text: &str) -> Result<Condition, OpError> {
        parse::condition(self, ExpressionKind::KeyCondition, text)
    }

    /// Call it after the last expression: reports entries that none of them used.
    pub fn finish(&self) -> Result<(), OpError> {
        check_used(NAMES, self.names.map(BTreeMap::keys), &self.used_names)?;
        check_used(VALUES, self.values.map(BTreeMap::keys), &self.used_values)
    }

    /// The attribute name behind `#placeholder`, which counts as used now.
    pub(super) fn name(&mut self, placeholder: &str) -> Option<&'r str> {
        let (key, name) = self.names?.get_key_value(placeholder)?;
        self.used_names.insert(key);
        self.resolved_bytes += name.len();
        Some(name)
    }

    /// The value behind `:placeholder`, which counts as used now.
    pub(super) fn value(&mut self, placeholder: &str) -> Option<&'r AttributeValue> {
        let (key, value) = self.values?.get_key_value(placeholder)?;
        self.used_values.insert(key);
        Some(value)
    }

    /// The bytes of the names handed out, where they are more than a request may resolve to.
    pub(super) fn resolved_too_much(&self) -> Option<usize> {
        (self.resolved_bytes > MAX_RESOLVED_NAME_BYTES).then_some(self.resolved_bytes)
    }
}

/// Values are of use to every expression but a projection. The message names those that the request could have had.
fn check_values_have_use(expressions: &[(ExpressionKind, bool)]) -> Result<(), OpError> {
    let able: Vec<_> = expressions.iter().filter(|(kind, _)| *kind != ExpressionKind::Projection).collect();
    if able.iter().any(|(_, present)| *present) {
        return Ok(());
    }
    let mut text = format!("{VALUES} can only be specified when using expressions");
    if !able.is_empty() {
        let kinds: Vec<String> = able.iter().map(|(kind, _)| kind.to_string()).collect();
        let verb = if kinds.len() == 1 { "is" } else { "are" };
        text.push_str(&format!(": {} {verb} null", kinds.join(" and ")));
    }
    Err(OpError::Validation(text))
}

fn check_keys<'k>(
    map: &str,
    sigil: char,
    keys: impl ExactSizeIterator<Item = &'k String>,
) -> Result<(), OpError> {
    if keys.len() == 0 {
        return Err(OpError::validation(format!("{map} must not be empty")));
    }
    for key in keys {
        let fault = if key.is_empty() {
            let text =
                format!("{map} contains invalid key: The expression attribute map contains an empty key;");
            return Err(OpError::Validation(text));
        } else if !is_placeholder(key, sigil) {
            "Syntax error"
        } else if key.len() > MAX_PLACEHOLDER_BYTES {
            "The expression attribute map contains a key that is too long"
        } else {
            continue;
        };
        return Err(OpError::validation(format!("{map} contains invalid key: {fault}; key: \"{key}\"")));
    }
    Ok(())
}

/// An attribute name has 1 to 65535 bytes. The wording for the two ends is ours: the service's is not on record.
fn check_names(names: &BTreeMap<String, String>) -> Result<(), OpError> {
    for (key, name) in names {
        let fault = if name.is_empty() {
            "Attribute name must not be empty"
        } else if name.len() > MAX_NAME_BYTES {
            "Attribute name is too long"
        } else {
            continue;
        };
        return Err(OpError::validation(format!("{NAMES} contains invalid value: {fault} for key {key}")));
    }
    Ok(())
}

/// Both maps together are bounded. The wording is ours: the service's is not on record.
fn check_size(names: Option<&BTreeMap<String, String>>, values: Option<&Map>) -> Result<(), OpError> {
    let names = names.into_iter().flatten();
    let values = values.into_iter().flatten();
    let size = names
        .map(|(key, name)| key.len() + name.len())
        .chain(values.map(|(key, value)| attribute_size(key, value)))
        .fold(0usize, usize::saturating_add);
    if size > MAX_SUBSTITUTION_BYTES {
        return Err(OpError::validation(format!(
            "{NAMES} and {VALUES} have exceeded the maximum allowed size; size: {size}"
        )));
    }
    Ok(())
}

fn check_used<'k>(
    map: &str,
    keys: Option<impl Iterator<Item = &'k String>>,
    used: &BTreeSet<&str>,
) -> Result<(), OpError> {
    let unused: Vec<&str> =
        keys.into_iter().flatten().map(String::as_str).filter(|key| !used.contains(key)).collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(OpError::validation(format!(
        "Value provided in {map} unused in expressions: keys: {{{}}}",
        unused.join(", ")
    )))
}
