//! What transactions have in common: how the items of one are bound to their tables.
//!
//! A request is refused whole for what can be said of it without its tables, for two operations on one item, and for an empty
//! key value. What else does not fit a table (a key of other names or types, one that is too long) cancels the transaction,
//! with a reason in the place of the item: so the service was seen to answer, where its documentation is silent.

use std::collections::BTreeSet;

use super::statement::StatementError;
use crate::error::{CancellationReason, OpError};

/// What is wrong with one item of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// The request is refused for it.
    Whole(OpError),
    /// The transaction is cancelled for it.
    One(OpError),
}

impl From<OpError> for Fault {
    fn from(error: OpError) -> Self {
        if matches!(error, OpError::Validation(_)) { Self::One(error) } else { Self::Whole(error) }
    }
}

/// Binds all of `items`; `item_of` says which item of which table one is about.
///
/// # Errors
/// The refusal of the whole, or the cancellation.
pub(super) fn bind_all<A, B, K: Ord>(
    items: &[A],
    bind: impl Fn(&A) -> Result<B, Fault>,
    item_of: impl Fn(&B) -> K,
) -> Result<Vec<B>, OpError> {
    let mut bound = Vec::with_capacity(items.len());
    let mut faults: Vec<(usize, OpError)> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match bind(item) {
            Ok(one) => bound.push(one),
            Err(Fault::One(error)) => faults.push((place, error)),
            Err(Fault::Whole(error)) => return Err(error),
        }
    }
    if !faults.is_empty() {
        let mut reasons = vec![CancellationReason::none(); items.len()];
        faults.into_iter().for_each(|(place, error)| reasons[place] = reason(error));
        return Err(OpError::cancelled(reasons));
    }
    let mut seen = BTreeSet::new();
    if bound.iter().all(|one| seen.insert(item_of(one))) {
        return Ok(bound);
    }
    Err(OpError::validation("Transaction request cannot include multiple operations on one item"))
}

/// The reason that an error of one item is.
pub(super) fn reason(error: OpError) -> CancellationReason {
    let StatementError { code, message, item } = StatementError::of(error);
    CancellationReason { code, message: Some(message), item }
}
