//! What a shard keeps of transactions, for the worker that finishes them.

use trilith_values::ShardId;

use super::plan::TransactionsPage;
use super::rows::{get_row, scan_rows};
use super::view::{View, ViewError};
use crate::keyspace::{Key, Prefix};
use crate::machine::ledger::AgingRow;
use crate::time::Stamp;

/// The first rows of each kind.
pub(super) fn page(view: &dyn View, shard: ShardId, limit: u32) -> Result<TransactionsPage, ViewError> {
    let mut page = TransactionsPage::default();
    scan_rows(view, &Prefix::Prepared(shard), limit, |key, row| match key {
        Key::Prepared(_, transaction) => page.prepared.push((transaction, row)),
        _ => unreachable!("the prefix is that of prepared transactions"),
    })?;
    scan_rows(view, &Prefix::Ledger(shard), limit, |key, row| match key {
        Key::Ledger(_, transaction) => page.decided.push((transaction, row)),
        _ => unreachable!("the prefix is that of decisions"),
    })?;
    scan_rows(view, &Prefix::Aging(shard), limit, |key, row: AgingRow| match key {
        Key::Aging(_, at) => page.aged.push((at, row.account, row.token)),
        _ => unreachable!("the prefix is that of tokens by age"),
    })?;
    Ok(page)
}

/// When an item of the shard was last removed.
pub(super) fn last_removal(view: &dyn View, shard: ShardId) -> Result<Stamp, ViewError> {
    Ok(get_row(view, &Key::LastRemoval(shard))?.unwrap_or(Stamp::ZERO))
}
