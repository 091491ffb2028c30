//! What Query and Scan have in common: what a page shows, where it starts, how it is answered.

use trilith_values::Item;

use super::legacy::LegacyFilter;
use super::options::Select;
use super::types::{PageOutput, ReturnConsumed};
use super::{TableRef, keys};
use crate::capacity::{self, Amount, IndexPart};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::{Condition, ExpressionKind, Placeholders, Projection};
use crate::item::ItemKey;
use crate::limits;
use crate::read::{IndexPage, PageShape};
use crate::schema::IndexKind;

/// The options of a page, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct PageOptions {
    /// Items evaluated at the most.
    pub limit: Option<u64>,
    /// Whether every earlier write must be seen.
    pub consistent: bool,
    /// `ExclusiveStartKey`, unchecked.
    pub start: Option<Item>,
    /// Keeps an item only if it holds.
    pub filter: Option<Condition>,
    /// What of each item; `None` is all.
    pub projection: Option<Projection>,
    /// Which attributes, by `Select` and projection.
    pub shown: Shown,
    /// The index that is read instead of the table.
    pub index: Option<String>,
    /// `ReturnConsumedCapacity`.
    pub consumed: ReturnConsumed,
}

impl PageOptions {
    /// The bounds and shape of a whole page.
    pub(super) fn shape(&self) -> PageShape {
        PageShape {
            limit: self.limit,
            max_bytes: limits::PAGE_BYTES_MAX,
            filter: self.filter.clone(),
            projection: self.projection.clone(),
            count_only: self.shown == Shown::Count,
        }
    }

    /// The answer, from all that was read for it.
    pub(super) fn output(&self, table: &TableRef, record: &TableRecord, read: IndexPage) -> PageOutput {
        let IndexPage { page, last, fetched_blocks } = read;
        let units = capacity::read_units(page.bytes, self.consistent);
        let consumed_capacity = match &self.index {
            None => capacity::consumed(table.given(), units, self.consumed),
            Some(index) => {
                let kind =
                    record.definition.index(index).map_or(IndexKind::Global, |index| index.schema.kind());
                let fetched = capacity::blocks(fetched_blocks, self.consistent);
                let part = IndexPart { name: index.clone(), kind, amount: Amount::Units(units) };
                capacity::consumed_with(table.given(), fetched, vec![part], self.consumed)
            }
        };
        PageOutput {
            items: (self.shown != Shown::Count).then_some(page.items),
            count: page.count,
            scanned_count: page.scanned,
            last_evaluated_key: last.or_else(|| page.last.map(|key| keys::item_of_key(record, &key))),
            consumed_capacity,
        }
    }

    /// The projection may not lead into the table's key.
    pub(super) fn check_projection(&self, record: &TableRecord) -> Result<(), OpError> {
        keys::check_scalar(record, self.projection.iter().flat_map(Projection::paths))
    }

    /// Nor may the filter.
    pub(super) fn check_filter_paths(&self, record: &TableRecord) -> Result<(), OpError> {
        keys::check_scalar(record, self.filter.iter().flat_map(Condition::paths))
    }

    /// The key that the page starts after, checked against the table.
    ///
    /// `wrong_size` answers a key of more or fewer attributes: Query and Scan have different words for it.
    pub(super) fn start_key(
        &self,
        record: &TableRecord,
        wrong_size: &'static str,
    ) -> Result<Option<ItemKey>, OpError> {
        let Some(start) = &self.start else {
            return Ok(None);
        };
        if start.len() != 1 + usize::from(record.definition.range.is_some()) {
            return Err(OpError::validation(wrong_size));
        }
        let key = keys::key_of_map(record, start).map_err(|error| {
            OpError::Validation(format!("The provided starting key is invalid: {}", error.message()))
        })?;
        Ok(Some(key))
    }
}

/// Which attributes of items a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All: an item's of a table, or asked for of an index.
    AllAttributes,
    /// What the table or index holds.
    Held,
    /// What the projection names.
    Specific,
    /// None: only how many items.
    Count,
}

/// `Select` against the projection, in either of its forms, of a table or of an index; answers what is shown.
pub(super) fn check_select(
    select: Option<Select>,
    projection: Option<&str>,
    attributes: Option<&Vec<String>>,
    of_index: bool,
) -> Result<Shown, OpError> {
    match (select, projection.is_some() || attributes.is_some()) {
        (None | Some(Select::SpecificAttributes), true) => Ok(Shown::Specific),
        (None, false) => Ok(Shown::Held),
        (Some(Select::AllAttributes), false) => Ok(Shown::AllAttributes),
        (Some(Select::AllProjectedAttributes), false) if of_index => Ok(Shown::Held),
        (Some(Select::Count), false) => Ok(Shown::Count),
        (Some(Select::SpecificAttributes), false) => Err(OpError::validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Some(Select::AllProjectedAttributes), false) => Err(OpError::validation(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        )),
        (Some(select), true) => Err(OpError::Validation(format!(
            "Cannot specify the {} when choosing to get {}",
            if projection.is_some() { "ProjectionExpression" } else { "AttributesToGet" },
            if select == Select::Count { "only the Count" } else { select.as_str() }
        ))),
    }
}

/// Reads the `FilterExpression`, where there is one, or the older filter. There are never both.
pub(super) fn read_filter(
    placeholders: &mut Placeholders<'_>,
    text: Option<&str>,
    older: LegacyFilter,
) -> Result<Option<Condition>, OpError> {
    match text {
        Some(text) => placeholders.condition(ExpressionKind::Filter, text).map(Some),
        None => older.filter(),
    }
}

/// A `Limit` that passed its constraint.
pub(super) fn limit(value: Option<i64>) -> Option<u64> {
    value.map(i64::unsigned_abs)
}
