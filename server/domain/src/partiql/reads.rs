//! The page of a `SELECT`: one operation after another, until the page is full.
//!
//! Like a scan's walk through the shards, [`ReadRun`] is the way without doing any of it: it says which operation is next,
//! takes what it answered, and makes the token that the next page goes on with. A token names the statement and the parameters
//! that it was made for; another statement does not take it.

use std::collections::VecDeque;

use trilith_values::Item;
use trilith_values::codec::{decode_item, encode_item};
use trilith_values::size::item_size;
use xxhash_rust::xxh3::xxh3_128;

use super::ast::{Select, Statement};
use super::lower::Prepared;
use crate::error::OpError;
use crate::expr::{Path, Segment};
use crate::limits::PAGE_BYTES_MAX;
use crate::ops::get_item::GetItemOutput;
use crate::ops::types::ConsumedCapacity;
use crate::ops::{GetItem, PageOutput, Query, Scan};

/// The first byte of a token: its form.
const TOKEN_FORM: u8 = 1;

/// One operation of a `SELECT`.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// One item, by its key alone.
    Get(GetItem),
    /// A run of one partition.
    Query(Box<Query>),
    /// The table.
    Scan(Scan),
}

/// The operations of a `SELECT`, in order. Together they read no item twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Reads {
    reads: Vec<Read>,
    limit: Option<u64>,
}

/// The page of a `SELECT`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadPage {
    /// What was read, in order.
    pub items: Vec<Item>,
    /// Goes on behind this page.
    pub next_token: Option<String>,
    /// The key of the last item that was evaluated, where the page ended before its reads did.
    pub last_evaluated_key: Option<Item>,
    /// What all reads cost.
    pub consumed_capacity: Option<ConsumedCapacity>,
}

/// A page on its way.
#[derive(Debug)]
pub struct ReadRun<'p> {
    prepared: &'p Prepared,
    rest: VecDeque<Read>,
    /// The number of the read that comes next, among all of the statement.
    next: u32,
    start: Option<Item>,
    limit: Option<u64>,
    bytes: u64,
    done: bool,
    page: ReadPage,
}

impl Reads {
    pub(super) fn new(reads: Vec<Read>, limit: Option<u64>) -> Self {
        Self { reads, limit }
    }

    /// The operations.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// A page of them, from where `token` says.
    ///
    /// # Errors
    /// `ValidationException` for a token of another statement.
    pub fn run<'p>(self, prepared: &'p Prepared, token: Option<&str>) -> Result<ReadRun<'p>, OpError> {
        let (next, start) = match token {
            None => (0, None),
            Some(token) => read_token(prepared, token, self.reads.len())?,
        };
        let mut rest = VecDeque::from(self.reads);
        rest.drain(..next as usize);
        let page = ReadPage::default();
        Ok(ReadRun { prepared, rest, next, start, limit: self.limit, bytes: 0, done: false, page })
    }
}

impl ReadRun<'_> {
    /// The operation that comes next; `None` when the page is done.
    pub fn next_read(&mut self) -> Option<Read> {
        if self.done {
            return None;
        }
        let mut read = self.rest.pop_front()?;
        let start = self.start.take();
        match &mut read {
            Read::Get(_) => {}
            Read::Query(query) => (query.options.limit, query.options.start) = (self.limit, start),
            Read::Scan(scan) => (scan.options.limit, scan.options.start) = (self.limit, start),
        }
        Some(read)
    }

    /// Takes what a [`Read::Get`] answered.
    pub fn take_item(&mut self, got: GetItemOutput) {
        self.bytes += got.item.as_ref().map_or(0, |item| item_size(item) as u64);
        self.charge(got.consumed_capacity);
        self.page.items.extend(got.item);
        self.end_read(1, None);
    }

    /// Takes what another read answered.
    pub fn take_page(&mut self, read: PageOutput) {
        let items = read.items.unwrap_or_default();
        self.bytes += items.iter().map(|item| item_size(item) as u64).sum::<u64>();
        self.charge(read.consumed_capacity);
        self.page.items.extend(items);
        self.end_read(read.scanned_count, read.last_evaluated_key);
    }

    /// The page.
    pub fn finish(mut self) -> ReadPage {
        if let Statement::Select(select) = &self.prepared.statement {
            self.page.items.iter_mut().for_each(|item| show(select, item));
        }
        self.page
    }

    fn charge(&mut self, consumed: Option<ConsumedCapacity>) {
        match (&mut self.page.consumed_capacity, consumed) {
            (Some(sum), Some(consumed)) => sum.add(consumed),
            (sum @ None, consumed) => *sum = consumed,
            (Some(_), None) => {}
        }
    }

    fn end_read(&mut self, evaluated: u64, last: Option<Item>) {
        self.limit = self.limit.map(|limit| limit.saturating_sub(evaluated));
        if last.is_none() {
            self.next += 1;
        }
        let is_full = self.limit == Some(0) || self.bytes >= PAGE_BYTES_MAX;
        self.done = last.is_some() || is_full;
        if last.is_some() || (is_full && !self.rest.is_empty()) {
            self.page.next_token = Some(write_token(self.prepared, self.next, last.as_ref()));
        }
        self.page.last_evaluated_key = last;
    }
}

/// Makes of an item that was read what a `SELECT` shows of it. Only columns that are places within attributes are still to
/// be taken out; they are named by their last steps.
pub(crate) fn show(select: &Select, item: &mut Item) {
    let Some(columns) = select.columns.as_ref().filter(|columns| columns.iter().any(Path::is_nested)) else {
        return;
    };
    let found = columns.iter().filter_map(|path| Some((column_name(path), path.find(item)?.clone())));
    *item = found.collect();
}

/// The name of a column: the last name of its path, and the indexes behind that.
fn column_name(path: &Path) -> String {
    let mut name = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Name(step) => name.clone_from(step),
            Segment::Index(index) => name.push_str(&format!("[{index}]")),
        }
    }
    name
}

/// What a token is bound to.
fn fingerprint(prepared: &Prepared) -> [u8; 16] {
    let mut bytes = (prepared.text.len() as u64).to_be_bytes().to_vec();
    bytes.extend_from_slice(prepared.text.as_bytes());
    for (i, parameter) in prepared.parameters.iter().enumerate() {
        encode_item(&mut bytes, &Item::from([(i.to_string(), parameter.clone())]));
    }
    xxh3_128(&bytes).to_be_bytes()
}

fn write_token(prepared: &Prepared, next: u32, start: Option<&Item>) -> String {
    let mut bytes = vec![TOKEN_FORM];
    bytes.extend_from_slice(&fingerprint(prepared));
    bytes.extend_from_slice(&next.to_be_bytes());
    if let Some(start) = start {
        encode_item(&mut bytes, start);
    }
    let mut token = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        token.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    token
}

fn read_token(prepared: &Prepared, token: &str, reads: usize) -> Result<(u32, Option<Item>), OpError> {
    let mismatch = || OpError::validation("NextToken does not match request");
    let digits = token.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<u32>>>();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(mismatch)?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    let (form, bytes) = bytes.split_first().ok_or_else(mismatch)?;
    let (bound, bytes) = bytes.split_first_chunk::<16>().ok_or_else(mismatch)?;
    let (next, mut start) = bytes.split_first_chunk::<4>().ok_or_else(mismatch)?;
    let next = u32::from_be_bytes(*next);
    if *form != TOKEN_FORM || *bound != fingerprint(prepared) || next as usize >= reads {
        return Err(mismatch());
    }
    if start.is_empty() {
        return Ok((next, None));
    }
    let item = decode_item(&mut start).map_err(|_| mismatch())?;
    if start.is_empty() { Ok((next, Some(item))) } else { Err(mismatch()) }
}
