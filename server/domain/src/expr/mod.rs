//! The expression language: conditions, filters, projections, updates and key conditions.
//!
//! An expression is read once in its life. The text, the name placeholders and the value placeholders of a request go in; a tree
//! comes out that holds real attribute names and the values themselves, and from there on nothing is a string. The tree travels
//! in a command or a read plan and runs beside the data, on every replica.
//!
//! The way of an expression:
//!
//! 1. [`Placeholders::new`] checks the two maps of a request, before any expression is read.
//! 2. [`Placeholders::condition`], [`Placeholders::update`], [`Placeholders::projection`] and [`Placeholders::key_condition`] cut
//!    the text into tokens, read them by the grammar, and check all that can be known without an item. A syntax error ends the
//!    reading at once; every other fault is noted with a rank, and the first by rank is the answer, which is the service's order.
//! 3. [`Placeholders::finish`] reports placeholders that no expression used.
//! 4. [`Condition::evaluate`], [`Update::apply`], [`Projection::project`] and [`KeyCondition::bind`] do the work.
//!
//! Invariants:
//!
//! - Nothing here panics or overflows the stack, whatever text, item or bytes it is given. Nesting is bounded by the number of
//!   operators (300) for everything that is read, and by `ast::MAX_DEPTH` for everything that is decoded.
//! - Evaluation is total: a missing attribute or a wrong type makes a comparison false, never an error.
//! - All right-hand sides of an update read the item as it was before the update.
//! - A value placeholder is stored once in its tree however often it is used, and an update never builds more than an item may
//!   hold: a small request cannot become a large command or a large heap.
//!
//! Deliberately absent: knowledge of tables and indexes (key attributes are checked by whoever holds the descriptor, through
//! `paths` and `targets`) and sizes of whole items. The older parameters (`Expected`, `AttributeUpdates` and their kin) are lowered
//! to these trees by [`legacy`].

mod ast;
mod condition;
pub mod key_condition;
pub mod legacy;
pub mod limits;
mod names;
mod parse;
mod path;
mod project;
mod reserved;
mod token;
mod update;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod notation;
#[cfg(test)]
mod properties;

use std::fmt;

pub use ast::{Action, Comparator, Condition, Operand, SetValue, Test, Update, ValueType};
pub use key_condition::{BoundKeyCondition, KeyCondition, RangeTest};
pub use names::Placeholders;
pub(crate) use parse::{bounds_fault, path_clash};
pub use path::{Path, Segment};
pub use project::{Projection, updated_view};
pub use reserved::is_reserved;
pub use update::UpdateError;

/// Which request parameter an expression came from. `Display` is the parameter's name, as it stands in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpressionKind {
    /// Must hold for a write to happen.
    Condition,
    /// Keeps or drops an item that a query or scan has read.
    Filter,
    /// Names the parts of an item to return.
    Projection,
    /// Says how an item changes.
    Update,
    /// Picks a partition and a run of sort keys.
    KeyCondition,
    /// Keeps or drops a vector that a search meets.
    SearchCondition,
}

impl fmt::Display for ExpressionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Condition => "ConditionExpression",
            Self::Filter => "FilterExpression",
            Self::Projection => "ProjectionExpression",
            Self::Update => "UpdateExpression",
            Self::KeyCondition => "KeyConditionExpression",
            Self::SearchCondition => "SearchConditionExpression",
        })
    }
}
