//! The rules of tags (contract 12). Texts without a source in the contract are our own.

use std::collections::BTreeMap;

use super::TableRef;
use super::types::Tag;
use crate::error::OpError;
use crate::limits;
use crate::validate::Constraints;

/// What begins so belongs to the service.
const RESERVED_PREFIX: &str = "aws:";

/// The model's constraints on a list of tags, where present.
pub(super) fn check(check: &mut Constraints, tags: Option<&[Tag]>) {
    for (i, tag) in tags.unwrap_or_default().iter().enumerate() {
        if check.is_full() {
            break;
        }
        let path = format!("tags.{}.member", i + 1);
        check.required(&format!("{path}.key"), tag.key.as_ref());
        check.length(&format!("{path}.key"), tag.key.as_deref(), 1, limits::TAG_KEY_MAX);
        check.required(&format!("{path}.value"), tag.value.as_ref());
        check.length(&format!("{path}.value"), tag.value.as_deref(), 0, limits::TAG_VALUE_MAX);
    }
}

/// Tags that passed the constraints: characters, reserved keys, no key twice.
pub(super) fn resolve(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, OpError> {
    let mut resolved = BTreeMap::new();
    for tag in tags {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        check_key(&key)?;
        if !has_tag_characters(&value) {
            return Err(invalid(format!("Tag value of key {key} contains characters that are not allowed")));
        }
        if let Some(twice) = resolved.insert(key.clone(), value) {
            return Err(invalid(format!("Tag key {key} is given twice, also with the value {twice}")));
        }
    }
    Ok(resolved)
}

fn check_key(key: &str) -> Result<(), OpError> {
    let reserved =
        key.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX));
    if reserved {
        return Err(invalid(format!("Tag key {key} begins with aws:, which is reserved")));
    }
    if !has_tag_characters(key) {
        return Err(invalid(format!("Tag key {key} contains characters that are not allowed")));
    }
    Ok(())
}

fn invalid(what: String) -> OpError {
    OpError::Validation(format!("One or more parameter values were invalid: {what}"))
}

/// Letters, digits, white space and `+ - = . _ : / @`; the last is taken by most of the service's siblings.
fn has_tag_characters(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "+-=._:/@".contains(c))
}

/// All tags of one resource together.
pub(super) fn check_total(tags: &BTreeMap<String, String>) -> Result<(), OpError> {
    if tags.len() > limits::TAGS_MAX {
        let text = format!("Number of tags exceeds the limit of {} for a resource", limits::TAGS_MAX);
        return Err(OpError::LimitExceeded(text));
    }
    let bytes: usize = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > limits::TAG_BYTES_MAX {
        let text =
            format!("Size of tags exceeds the limit of {} bytes for a resource", limits::TAG_BYTES_MAX);
        return Err(OpError::LimitExceeded(text));
    }
    Ok(())
}

/// The answer to an operation on tags whose resource is not there. The spelling is the service's.
pub(super) fn resource_not_found(table: &TableRef) -> OpError {
    OpError::ResourceNotFound(format!(
        "Requested resource not found: ResourcArn: {} not found",
        table.given()
    ))
}
