//! What a shard keeps of transactions, for the worker that finishes them.

use std::ops::ControlFlow;

use borsh::BorshDeserialize;
use trilith_values::ShardId;

use super::plan::TransactionsPage;
use super::view::{View, ViewError};
use crate::codec::{self, Damage};
use crate::keyspace::{Family, Key, Prefix};
use crate::machine::ledger::AgingRow;
use crate::time::Stamp;

/// The first rows of each kind.
pub(super) fn page(view: &dyn View, shard: ShardId, limit: u32) -> Result<TransactionsPage, ViewError> {
    let mut page = TransactionsPage::default();
    scan(view, &Prefix::Prepared(shard), limit, |key, row| match key {
        Key::Prepared(_, transaction) => page.prepared.push((transaction, row)),
        _ => unreachable!("the prefix is that of prepared transactions"),
    })?;
    scan(view, &Prefix::Ledger(shard), limit, |key, row| match key {
        Key::Ledger(_, transaction) => page.decided.push((transaction, row)),
        _ => unreachable!("the prefix is that of decisions"),
    })?;
    scan(view, &Prefix::Aging(shard), limit, |key, row: AgingRow| match key {
        Key::Aging(_, at) => page.aged.push((at, row.account, row.token)),
        _ => unreachable!("the prefix is that of tokens by age"),
    })?;
    Ok(page)
}

/// When an item of the shard was last removed.
pub(super) fn last_removal(view: &dyn View, shard: ShardId) -> Result<Stamp, ViewError> {
    let key = Key::LastRemoval(shard).encode();
    let sealed = view.get(Family::Meta, &key)?;
    let stamp = sealed.map(|sealed| codec::open_row(&sealed)).transpose();
    Ok(stamp.map_err(|damage| damage.at(Family::Meta, &key))?.unwrap_or(Stamp::ZERO))
}

fn scan<T: BorshDeserialize>(
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
