//! Scan: a page of a whole table, or of one of its segments, in the order of hashes, then keys.
//!
//! A page may take several shards. [`ScanRun`] is the way through them, without doing any of it: it says which plan is
//! next, takes the page that came back, and ends at the first shard that stopped early, at the end of the hashes, or when
//! the page is full. A segment is an interval of hashes, so the union of all segments is the table, each item once.

use std::collections::BTreeMap;

use trilith_values::Item;

use super::legacy::{self, LegacyFilter};
use super::page::{self, PageOptions};
use super::types::{ConditionInput, Names, PageOutput, ValueFault, Values};
use super::{TableRef, index_read, keys, write};
use crate::catalog::TableRecord;
use crate::error::OpError;
use crate::expr::ExpressionKind;
use crate::limits;
use crate::read::{IndexPage, IndexPlan, IndexRun, Page, PageShape, Plan, ScanPlan};
use crate::schema::HashInterval;
use crate::validate::{CHECKED, Constraints};

/// What Scan is asked. See [`super::types`] on how members arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanInput {
    /// `TableName`.
    pub table_name: Option<String>,
    /// `IndexName`.
    pub index_name: Option<String>,
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
    rest: Rest,
    /// Whether the next plan is worth asking.
    open: bool,
    /// What was read so far.
    sum: IndexPage,
}

/// What is left of a table, or of an index.
#[derive(Clone, Debug)]
enum Rest {
    Table(ScanPlan),
    Index(IndexPlan),
}

impl Scan {
    /// All checks that need no table.
    pub fn parse(input: ScanInput) -> Result<Self, OpError> {
        let mut check = Constraints::new();
        let table = check.table("tableName", input.table_name.as_deref());
        check.name("indexName", input.index_name.as_deref());
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
        let shown = page::check_select(select, projection, attributes, input.index_name.is_some())?;
        let segment = check_segment(input.segment, input.total_segments)?;
        let options = PageOptions {
            limit: page::limit(input.limit),
            consistent: input.consistent_read.unwrap_or(false),
            start: input.exclusive_start_key,
            filter,
            projection: projection_shown,
            shown,
            index: input.index_name,
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
        if let Some(name) = &self.options.index {
            let index = index_read::find(record, "Scan", name, &self.options)?;
            let plan = index_read::scan(record, index, interval, &self.options)?;
            if let (Some(start), Some(segment)) = (index_read::start_hash(&plan), self.segment) {
                check_start(start, interval, segment)?;
            }
            return Ok(ScanRun { rest: Rest::Index(plan), open: true, sum: IndexPage::default() });
        }
        let start_after = self
            .options
            .start_key(record, "Exclusive Start Key must have same size as table's key schema")?;
        if let (Some(start), Some(segment)) = (&start_after, self.segment) {
            check_start(start.hash, interval, segment)?;
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
        Ok(ScanRun { rest: Rest::Table(rest), open: true, sum: IndexPage::default() })
    }

    /// The answer, from a run that has come to its end.
    pub fn shape(&self, record: &TableRecord, run: ScanRun) -> PageOutput {
        self.options.output(&self.table, record, run.sum)
    }
}

impl ScanRun {
    /// The next plan, for the shard that owns its first hash; `None` when the page is done.
    pub fn next_plan(&self) -> Option<Plan> {
        self.open.then(|| match &self.rest {
            Rest::Table(plan) => Plan::Scan(plan.clone()),
            Rest::Index(plan) => Plan::Index(plan.clone()),
        })
    }

    /// Takes another scan's first plan in place of the one that is due: after a reply of another schema version, with
    /// what was read kept.
    pub fn rebind(&mut self, record: &TableRecord) {
        match &mut self.rest {
            Rest::Table(plan) => (plan.table, plan.schema) = (record.id, record.version),
            Rest::Index(plan) if plan.local.is_some() => plan.schema = record.version,
            // A global index's own descriptor never changes.
            Rest::Index(_) => {}
        }
    }

    /// Takes the page that the next plan brought.
    pub fn take(&mut self, page: Page) {
        self.take_index(IndexPage { page, ..IndexPage::default() });
    }

    /// Takes the page of an index that the next plan brought.
    pub fn take_index(&mut self, read: IndexPage) {
        assert!(self.open, "no plan was due");
        let IndexPage { page, last: last_key, fetched_blocks } = read;
        let (interval, shape) = self.rest.parts();
        let (first, last) = (interval.first, interval.last);
        let covered_to = page.covered_to.unwrap_or(last);
        assert!(covered_to >= first, "a shard covers the first hash it is asked for");
        // A page that used up its limit or bytes names its last key and so ends the run. Were one not to, going on
        // with the least there is returns an item too many, which is better than to leave out what lies behind.
        if let Some(limit) = &mut shape.limit {
            *limit = limit.saturating_sub(page.scanned).max(1);
        }
        let evaluated = page.bytes + fetched_blocks * limits::READ_UNIT_BYTES;
        shape.max_bytes = shape.max_bytes.saturating_sub(evaluated).max(1);
        let sum = &mut self.sum.page;
        sum.items.extend(page.items);
        sum.count += page.count;
        sum.scanned += page.scanned;
        sum.bytes += page.bytes;
        sum.last = page.last;
        self.open = sum.last.is_none() && last_key.is_none() && covered_to < last;
        self.sum.last = last_key;
        self.sum.fetched_blocks += fetched_blocks;
        if self.open {
            self.rest.go_on(HashInterval { first: covered_to + 1, last });
        }
    }
}

impl Rest {
    fn parts(&mut self) -> (HashInterval, &mut PageShape) {
        match self {
            Self::Table(plan) => (plan.interval, &mut plan.shape),
            Self::Index(plan) => match &plan.run {
                IndexRun::Interval(interval) => (*interval, &mut plan.shape),
                IndexRun::Partition { .. } => unreachable!("a scan reads an interval"),
            },
        }
    }

    fn go_on(&mut self, interval: HashInterval) {
        match self {
            Self::Table(plan) => (plan.interval, plan.start_after) = (interval, None),
            Self::Index(plan) => (plan.run, plan.start_after) = (IndexRun::Interval(interval), None),
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
fn check_start(start: u64, interval: HashInterval, segment: Segment) -> Result<(), OpError> {
    if interval.contains(start) {
        return Ok(());
    }
    Err(OpError::Validation(format!(
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct \
         Segment. TotalSegments: {} Segment: {}",
        segment.total, segment.index
    )))
}
