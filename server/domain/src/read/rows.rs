//! Rows of what a shard keeps for itself, opened: one by its key, or those under a prefix.

use std::ops::ControlFlow;

use borsh::BorshDeserialize;

use super::view::{View, ViewError};
use crate::codec::{self, Damage};
use crate::keyspace::{Family, Key, Prefix};

/// The row of `key`, if there is one.
///
/// # Errors
/// [`ViewError`] when it cannot be read or is damaged.
pub(crate) fn get_row<T: BorshDeserialize>(view: &dyn View, key: &Key) -> Result<Option<T>, ViewError> {
    let (family, bytes) = (key.family(), key.encode());
    let sealed = view.get(family, &bytes)?;
    let row = sealed.map(|sealed| codec::open_row(&sealed)).transpose();
    Ok(row.map_err(|damage| damage.at(family, &bytes))?)
}

/// Hands the rows under a prefix of the Meta family to `each`, in the order of their keys, `limit` of them at the most.
///
/// # Errors
/// [`ViewError`] when one of them cannot be read or is damaged, its key included.
pub(crate) fn scan_rows<T: BorshDeserialize>(
    view: &dyn View,
    prefix: &Prefix,
    limit: u32,
    mut each: impl FnMut(Key, T),
) -> Result<(), ViewError> {
    let (start, end) = prefix.range();
    let (mut left, mut fault) = (limit, None);
    view.scan(Family::Meta, &start, &end, false, &mut |key, sealed| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        let decoded = Key::decode(Family::Meta, key).map_err(Damage::content);
        match decoded.and_then(|decoded| Ok((decoded, codec::open_row(sealed)?))) {
            Ok((decoded, row)) => {
                each(decoded, row);
                ControlFlow::Continue(())
            }
            Err(damage) => {
                fault = Some(damage.at(Family::Meta, key));
                ControlFlow::Break(())
            }
        }
    })?;
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}
