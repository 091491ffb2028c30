//! Queries and scans: pages of items.

use std::collections::BTreeMap;

use trilith_proto::data::v1 as proto;
use trilith_values::{Item, Map};

use crate::convert::{item_in, item_out, items_in, map_out};
use crate::error::Result;
use crate::items::{Capacity, metered, placeholders, report};

/// Items of one partition key, in the order of the sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    table: String,
    key_condition: String,
    filter: Option<String>,
    projection: Option<String>,
    names: BTreeMap<String, String>,
    values: Map,
    limit: Option<i64>,
    start: Option<Item>,
    consistent: bool,
    descending: bool,
    count_only: bool,
    capacity: bool,
}

impl Query {
    /// Of the items whose key holds to a condition such as `customer = :c AND begins_with(date, :d)`.
    pub fn new(table: impl Into<String>, key_condition: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            key_condition: key_condition.into(),
            filter: None,
            projection: None,
            names: BTreeMap::new(),
            values: Map::new(),
            limit: None,
            start: None,
            consistent: false,
            descending: false,
            count_only: false,
            capacity: false,
        }
    }

    /// From the highest sort key down.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    pub(crate) fn message(self) -> proto::QueryRequest {
        proto::QueryRequest {
            table_name: self.table,
            index_name: None,
            select: select(self.count_only),
            limit: self.limit,
            consistent_read: Some(self.consistent),
            scan_index_forward: Some(!self.descending),
            exclusive_start_key: self.start.map(item_out),
            return_consumed_capacity: report(self.capacity),
            projection_expression: self.projection,
            filter_expression: self.filter,
            key_condition_expression: Some(self.key_condition),
            expression_attribute_names: self.names,
            expression_attribute_values: map_out(self.values),
        }
    }
}

/// All items of a table, or of one segment of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    table: String,
    filter: Option<String>,
    projection: Option<String>,
    names: BTreeMap<String, String>,
    values: Map,
    limit: Option<i64>,
    start: Option<Item>,
    segment: Option<(i64, i64)>,
    consistent: bool,
    count_only: bool,
    capacity: bool,
}

impl Scan {
    /// Of a whole table.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            filter: None,
            projection: None,
            names: BTreeMap::new(),
            values: Map::new(),
            limit: None,
            start: None,
            segment: None,
            consistent: false,
            count_only: false,
            capacity: false,
        }
    }

    /// Only segment `segment`, counted from 0, of `of`: so many clients scan a table together.
    pub fn segment(mut self, segment: u32, of: u32) -> Self {
        self.segment = Some((segment.into(), of.into()));
        self
    }

    pub(crate) fn message(self) -> proto::ScanRequest {
        proto::ScanRequest {
            table_name: self.table,
            index_name: None,
            select: select(self.count_only),
            limit: self.limit,
            consistent_read: Some(self.consistent),
            exclusive_start_key: self.start.map(item_out),
            return_consumed_capacity: report(self.capacity),
            total_segments: self.segment.map(|(_, of)| of),
            segment: self.segment.map(|(segment, _)| segment),
            projection_expression: self.projection,
            filter_expression: self.filter,
            expression_attribute_names: self.names,
            expression_attribute_values: map_out(self.values),
        }
    }
}

fn select(count_only: bool) -> i32 {
    use proto::Select::{Count, Unspecified};
    (if count_only { Count } else { Unspecified }).into()
}

/// Adds what both kinds of page share.
macro_rules! paged {
    ($($request:ident),*) => {$(
        impl $request {
            /// Which of the items read to return.
            pub fn filter(mut self, expression: impl Into<String>) -> Self {
                self.filter = Some(expression.into());
                self
            }

            /// Only these paths of each item.
            pub fn projection(mut self, expression: impl Into<String>) -> Self {
                self.projection = Some(expression.into());
                self
            }

            /// Reads at most so many items for a page, before the filter.
            pub fn limit(mut self, items: u32) -> Self {
                self.limit = Some(items.into());
                self
            }

            /// Begins behind this key.
            pub fn start_after(mut self, key: Item) -> Self {
                self.start = Some(key);
                self
            }

            /// Sees every write that was acknowledged before this read began.
            pub fn consistent(mut self) -> Self {
                self.consistent = true;
                self
            }

            /// Returns counts instead of items.
            pub fn count_only(mut self) -> Self {
                self.count_only = true;
                self
            }
        }

        impl Start for $request {
            fn start_after(self, key: Item) -> Self {
                self.start_after(key)
            }
        }
    )*};
}

/// A request for pages, which can begin anywhere.
pub trait Start: Clone {
    /// The same request, from behind this key on.
    fn start_after(self, key: Item) -> Self;
}

paged!(Query, Scan);
placeholders!(Query, Scan);
metered!(Query, Scan);

/// A page of a query or scan: up to 1 MB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items that passed the filter.
    pub items: Vec<Item>,
    /// How many passed the filter.
    pub count: u64,
    /// How many were read.
    pub scanned: u64,
    /// The last key read, if there may be more.
    pub last_key: Option<Item>,
    /// Capacity, where asked for.
    pub capacity: Option<Capacity>,
}

impl Page {
    /// The request for the page behind this one; `None` behind the last.
    ///
    /// ```no_run
    /// # async fn all(db: trilith_client::Client) -> Result<(), trilith_client::Error> {
    /// let mut next = Some(trilith_client::Scan::new("orders"));
    /// while let Some(scan) = next {
    ///     let page = db.scan(scan.clone()).await?;
    ///     next = page.next(scan);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn next<Q: Start>(&self, request: Q) -> Option<Q> {
        self.last_key.clone().map(|key| request.start_after(key))
    }

    pub(crate) fn of_query(answer: proto::QueryResponse) -> Result<Self> {
        Ok(Self {
            items: items_in(answer.items)?,
            count: answer.count,
            scanned: answer.scanned_count,
            last_key: answer.last_evaluated_key.map(item_in).transpose()?,
            capacity: answer.consumed_capacity.map(Capacity::of),
        })
    }

    pub(crate) fn of_scan(answer: proto::ScanResponse) -> Result<Self> {
        Ok(Self {
            items: items_in(answer.items)?,
            count: answer.count,
            scanned: answer.scanned_count,
            last_key: answer.last_evaluated_key.map(item_in).transpose()?,
            capacity: answer.consumed_capacity.map(Capacity::of),
        })
    }
}
