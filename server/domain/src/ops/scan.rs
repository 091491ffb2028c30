//! Scan: a page of a whole table, or of one of its segments, in the order of hashes, then keys.
//!
//! A page may take several shards. [`ScanRun`] is the way through them, without doing any of it: it says which plan is
//! next, takes the page that came back, and ends at the first shard that stopped early, at the end of the hashes, or when
//! the page is full. A segment is an interval of hashes, so the union of all segments is the table, each item once.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::legacy::{self, LegacyFilter};
use super::page::{self, PageOptions};
use super::types::{ConditionInput, Names, NotBuilt, PageOutput, ValueFault, Values};
use super::{TableRef, keys, write};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::ExpressionKind;
use crate::item::ItemKey;
use crate::limits;
use crate::read::{Page, ScanPlan};
use crate::schema::HashInterval;
use crate::validate::{self, CHECKED, Constraints};

/// What Scan is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `Select`.
    pub select: Option<String>,
    /// `Limit`.
    pub limit: Option<i64>,
    /// `ConsistentRead`.
    pub consistent_read: Option<bool>,
    /// `ExclusiveStartKey`.
    pub exclusive_start_key: Option<Item>,
    /// `ReturnConsumedCapacity`.
    pub return_consumed_capacity: Option<String>,
    /// `TotalSegments`.
    pub total_segments: Option<i64>,
    /// `Segment`.
    pub segment: Option<i64>,
    /// `ProjectionExpression`.
    pub projection_expression: Option<String>,
    /// `FilterExpression`.
    pub filter_expression: Option<String>,
    /// `ExpressionAttributeNames`.
    pub expression_attribute_names: Option<Names>,
    /// `ExpressionAttributeValues`.
    pub expression_attribute_values: Option<Values>,
    /// `AttributesToGet`.
    pub attributes_to_get: Option<Vec<String>>,
    /// `ScanFilter`.
    pub scan_filter: Option<BTreeMap<String, ConditionInput>>,
    /// `ConditionalOperator`.
    pub conditional_operator: Option<String>,
    /// Members that were sent and are not built.
    pub not_built: NotBuilt,
    /// First fault met while decoding attribute values.
    pub value_fault: ValueFault,
}

/// One of the segments of a parallel scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub total: u64,
}

/// Scan, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// The table.
    pub table: TableRef,
    /// Which part of it; `None` is all.
    pub segment: Option<Segment>,
    /// What the page shows.
    pub options: PageOptions,
}

/// A page of a scan on its way through the shards.
#[derive(Clone, Debug)]
pub struct ScanRun {
    /// The plan for the hashes that are still to be read.
    rest: ScanPlan,
    /// Whether the next plan is worth asking.
    open: bool,
    /// What was read so far.
    sum: Page,
}

impl Scan {
    /// All checks that need no table.
    pub fn parse(input: ScanInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.at_least("limit", input.limit, 1);
        let select = check.select(input.select.as_deref());
        let consumed = check.return_consumed(input.return_consumed_capacity.as_deref());
        check.range("totalSegments", input.total_segments, 1, limits::SEGMENTS_MAX);
        check.range("segment", input.segment, 0, limits::SEGMENTS_MAX - 1);
        let attributes = input.attributes_to_get.as_ref();
        legacy::check_attributes(&mut check, "attributesToGet", attributes);
        let operator = input.conditional_operator.as_deref();
        let older = LegacyFilter::of_page(&mut check, "scanFilter", input.scan_filter, operator);
        check.finish()?;
        validate::refuse_not_built(&input.not_built)?;

        let filter = input.filter_expression.as_deref();
        let projection = input.projection_expression.as_deref();
        legacy::check_not_mixed(
            &[
                ("AttributesToGet", attributes.is_some()),
                ("ScanFilter", older.is_present()),
                ("ConditionalOperator", older.has_operator()),
            ],
            &[("ProjectionExpression", projection.is_some()), ("FilterExpression", filter.is_some())],
        )?;
        let mut placeholders = write::placeholders(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
            input.value_fault,
            &[(ExpressionKind::Filter, filter.is_some()), (ExpressionKind::Projection, projection.is_some())],
        )?;
        let filter = page::read_filter(&mut placeholders, filter, older)?;
        let projection_shown = write::read_projection(&mut placeholders, projection, attributes)?;
        placeholders.finish()?;
        let count_only = page::check_select(select, projection, attributes)?;
        let segment = check_segment(input.segment, input.total_segments)?;
        let options = PageOptions {
            limit: page::limit(input.limit),
            consistent: input.consistent_read.unwrap_or(false),
            start: input.exclusive_start_key,
            filter,
            projection: projection_shown,
            count_only,
            consumed,
        };
        Ok(Self { table: table.expect(CHECKED), segment, options })
    }

    /// The way through this table's shards.
    pub fn bind(&self, record: &TableRecord) -> Result<ScanRun, OpError> {
        keys::check_usable(record)?;
        let interval = match self.segment {
            None => HashInterval::ALL,
            Some(Segment { index, total }) => HashInterval::part(index, total),
        };
        let start_after = self
            .options
            .start_key(record, "Exclusive Start Key must have same size as table's key schema")?;
        if let (Some(start), Some(segment)) = (&start_after, self.segment) {
            check_start(start, interval, segment)?;
        }
        self.options.check_projection(record)?;
        self.options.check_filter_paths(record)?;
        let first = start_after.as_ref().map_or(interval.first, |start| start.hash);
        let rest = ScanPlan {
            table: record.id,
            schema: record.version,
            interval: HashInterval { first, last: interval.last },
            start_after,
            shape: self.options.shape(),
        };
        Ok(ScanRun { rest, open: true, sum: Page::default() })
    }

    /// The answer, from a run that has come to its end.
    pub fn shape(&self, record: &TableRecord, run: ScanRun) -> PageOutput {
        self.options.output(&self.table, record, run.sum)
    }
}

impl ScanRun {
    /// The next plan, for the shard that owns the first hash of its interval; `None` when the page is done.
    pub fn next_plan(&self) -> Option<&ScanPlan> {
        self.open.then_some(&self.rest)
    }

    /// The plan bound to a newer descriptor: after a reply of another schema version, with what was read kept.
    pub fn rebind(&mut self, record: &TableRecord) {
        self.rest.table = record.id;
        self.rest.schema = record.version;
    }

    /// Takes the page that the next plan brought.
    pub fn take(&mut self, page: Page) {
        assert!(self.open, "no plan was due");
        let (first, last) = (self.rest.interval.first, self.rest.interval.last);
        let covered_to = page.covered_to.unwrap_or(last);
        assert!(covered_to >= first, "a shard covers the first hash it is asked for");
        // A page that used up its limit or bytes names its last key and so ends the run. Were one not to, going on
        // with the least there is returns an item too many, which is better than to leave out what lies behind.
        let shape = &mut self.rest.shape;
        if let Some(limit) = &mut shape.limit {
            *limit = limit.saturating_sub(page.scanned).max(1);
        }
        shape.max_bytes = shape.max_bytes.saturating_sub(page.bytes).max(1);
        self.sum.items.extend(page.items);
        self.sum.count += page.count;
        self.sum.scanned += page.scanned;
        self.sum.bytes += page.bytes;
        self.sum.last = page.last;
        self.open = self.sum.last.is_none() && covered_to < last;
        if self.open {
            self.rest.interval.first = covered_to + 1;
            self.rest.start_after = None;
        }
    }
}

/// Both members or neither, and a segment below their number.
fn check_segment(segment: Option<i64>, total: Option<i64>) -> Result<Option<Segment>, OpError> {
    match (segment, total) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(OpError::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(OpError::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(OpError::Validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not \
             less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => {
            Ok(Some(Segment { index: segment.unsigned_abs(), total: total.unsigned_abs() }))
        }
    }
}

/// A segment goes on where that segment stopped.
fn check_start(start: &ItemKey, interval: HashInterval, segment: Segment) -> Result<(), OpError> {
    if interval.contains(start.hash) {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct \
         Segment. TotalSegments: {} Segment: {}",
        segment.total, segment.index
    )))
}
