//! Reads: plans that travel to the data and run beside it, over one moment of a store's rows.
//!
//! A plan ([`plan`]) is bound: keys are encoded values with their hash, expressions are trees. [`run()`] evaluates it over a
//! [`View`], after it asked the shard's [`Spans`] whether the shard owns what is asked for, in the version the plan was
//! bound to. Whoever runs a plan decides beforehand how fresh the view is; nothing here knows of consistency.
//!
//! Absent on purpose: walking from shard to shard (the caller continues with the next one), capacity, and the wire's
//! form of a page.

pub mod check;
pub mod plan;
pub mod vectors;
pub mod view;

mod index;
mod page;
mod rows;
mod run;
mod transactions;

#[cfg(test)]
mod tests;

pub use check::{CheckPage, CheckPlan, CheckRow, CheckRows, CheckSide};
pub use plan::{
    GetPlan, GotAt, IndexPage, IndexPlan, IndexRun, Nearest, Neighbour, Page, PageShape, Plan, QueryPlan,
    ReadReply, ScanPlan, TransactionsPage, VectorPlan,
};
pub(crate) use rows::{get_row, scan_rows};
pub use run::{Spans, StoredSpans, run};
pub use view::{View, ViewError, Visit};
