//! PartiQL, the service's dialect: statements instead of requests.
//!
//! A statement is read once ([`parse`]), and with a table's key schema becomes the operations that a client could have sent
//! instead ([`lower`]): `INSERT` a PutItem that wants the item absent, `UPDATE` an UpdateItem that wants it there, `SELECT` a
//! GetItem, some Queries or a Scan. They go the way of those operations; nothing is executed here, and no rule of items,
//! conditions or updates is told twice.
//!
//! ```text
//! SELECT * FROM "orders" WHERE customer = 'c1' AND begins_with("date", '2026-') AND total > 10
//!     = Query, KeyConditionExpression "customer = :c AND begins_with(date, :d)", FilterExpression "total > :t"
//! ```
//!
//! - [`token`], [`parse`] and [`keyword`]: from text to the tree of [`ast`].
//! - [`value`]: literals and parameters to attribute values.
//! - [`condition`], [`change`]: expressions to the trees of [`crate::expr`].
//! - [`branch`]: which partitions a `WHERE` clause pins.
//! - [`lower`]: statements to operations; [`reads`]: the page of a `SELECT` that takes several of them.
//!
//! Invariants: nothing panics or overflows the stack, whatever the text; a statement is at most 8192 characters, its brackets
//! nest at most 48 deep and its operators are at most 300, so that every tree made here is bounded.
//!
//! Where the service's own texts are on record, they stand here word for word, positions included.
//!
//! Deliberately absent: joins, aliases, grouping, aggregates and sub-queries, which the service has not either; execution.

pub mod ast;
pub mod branch;
mod change;
mod condition;
mod keyword;
pub mod lower;
mod parse;
pub mod reads;
mod token;
mod value;

#[cfg(test)]
mod print;
#[cfg(test)]
mod tests;

pub use parse::{Parsed, parse};
pub use token::Position;

use crate::error::OpError;

/// A statement that cannot be read.
fn malformed(detail: &str) -> OpError {
    OpError::Validation(format!("Statement wasn't well formed, can't be processed: {detail}"))
}

/// The service's text for an operand of the wrong type.
fn operand_type(operator: &str, found: &str) -> OpError {
    OpError::Validation(format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {found}"
    ))
}

/// The service's text for the wrong number of operands.
fn arity(function: &str, operands: usize) -> OpError {
    OpError::Validation(format!(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: \
         {operands}"
    ))
}
