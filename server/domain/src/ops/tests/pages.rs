//! Query and Scan.

use super::super::options::Select;
use super::super::testing::*;
use super::super::types::HalfUnits;
use super::super::*;
use crate::expr::RangeTest;
use crate::item::ItemKey;
use crate::read::{IndexPage, Page, Plan, QueryPlan};
use crate::schema::HashInterval;

fn query() -> QueryInput {
    QueryInput {
        table_name: text("orders"),
        key_condition_expression: text("pk = :p"),
        expression_attribute_values: Some(item([(":p", s("a"))])),
        ..QueryInput::default()
    }
}

fn scan() -> ScanInput {
    ScanInput { table_name: text("orders"), ..ScanInput::default() }
}

fn plan_of(input: QueryInput) -> QueryPlan {
    match Query::parse(input).expect("valid").bind(&table()) {
        Ok(Plan::Query(plan)) => plan,
        other => panic!("not a query plan: {other:?}"),
    }
}

fn key(partition: &str, sort: &str) -> ItemKey {
    super::super::keys::key_of_map(&table(), &item([("pk", s(partition)), ("sk", n(sort))])).expect("a key")
}

#[test]
fn queries_that_need_no_table_to_be_refused() {
    let cases = [
        (
            QueryInput { limit: Some(0), ..query() },
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            QueryInput { key_condition_expression: None, expression_attribute_values: None, ..query() },
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ),
        (
            QueryInput { select: text("SPECIFIC_ATTRIBUTES"), ..query() },
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            QueryInput { select: text("COUNT"), projection_expression: text("a"), ..query() },
            "Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            QueryInput { select: text("ALL_PROJECTED_ATTRIBUTES"), ..query() },
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            QueryInput { select: text("SOME"), ..query() },
            "1 validation error detected: Value 'SOME' at 'select' failed to satisfy constraint: Member must satisfy \
             enum value set: [ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES, SPECIFIC_ATTRIBUTES, COUNT]",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(refused(Query::parse(input)), expected);
    }
    assert_eq!(Select::AllProjectedAttributes.as_str(), "ALL_PROJECTED_ATTRIBUTES");
}

#[test]
fn queries_that_the_table_refuses() {
    let start = |pk: &str, sk| Some(item([("pk", s(pk)), ("sk", sk)]));
    let with_range = || QueryInput {
        key_condition_expression: text("pk = :p AND sk > :s"),
        expression_attribute_values: Some(item([(":p", s("a")), (":s", n("5"))])),
        ..query()
    };
    let cases = [
        (
            QueryInput { filter_expression: text("sk = :p"), ..query() },
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
        ),
        (
            QueryInput { key_condition_expression: text("price = :p"), ..query() },
            "Query condition missed key schema element: pk",
        ),
        (
            QueryInput { exclusive_start_key: Some(item([("pk", s("a"))])), ..query() },
            "The provided starting key is invalid",
        ),
        (
            QueryInput { exclusive_start_key: start("a", s("1")), ..query() },
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            QueryInput { exclusive_start_key: start("b", n("1")), ..query() },
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            QueryInput { exclusive_start_key: start("a", n("5")), ..with_range() },
            "The provided starting key does not match the range key predicate",
        ),
    ];
    for (input, expected) in cases {
        assert_eq!(refused(Query::parse(input).expect("needs no table").bind(&table())), expected);
    }
    assert!(
        plan_of(QueryInput { exclusive_start_key: start("a", n("6")), ..with_range() }).start_after.is_some()
    );
}

#[test]
fn a_query_names_partition_range_and_bounds() {
    let input = QueryInput {
        key_condition_expression: text("sk BETWEEN :l AND :h AND pk = :p"),
        expression_attribute_values: Some(item([(":p", s("a")), (":l", n("1")), (":h", n("2"))])),
        scan_index_forward: Some(false),
        limit: Some(7),
        select: text("COUNT"),
        ..query()
    };
    let plan = plan_of(input);
    assert_eq!(plan.hash, key("a", "1").hash);
    assert!(matches!(plan.range, Some(RangeTest::Between(..))) && !plan.forward);
    assert_eq!((plan.shape.limit, plan.shape.max_bytes, plan.shape.count_only), (Some(7), 1 << 20, true));
}

#[test]
fn a_page_is_answered_with_its_last_key_and_cost() {
    let input =
        QueryInput { return_consumed_capacity: text("TOTAL"), consistent_read: Some(true), ..query() };
    let op = Query::parse(input).expect("valid");
    let page = Page { count: 0, scanned: 2, bytes: 4097, last: Some(key("a", "2.0")), ..Page::default() };
    let output = op.shape(&table(), IndexPage { page, ..IndexPage::default() });
    assert_eq!(output.items, Some(Vec::new()), "no COUNT: an empty list");
    assert_eq!((output.count, output.scanned_count), (0, 2));
    assert_eq!(output.last_evaluated_key, Some(item([("pk", s("a")), ("sk", n("2"))])));
    assert_eq!(output.consumed_capacity.expect("asked for").capacity_units, HalfUnits::whole(2));

    let count = Query::parse(QueryInput { select: text("COUNT"), ..query() }).expect("valid");
    assert_eq!(count.shape(&table(), IndexPage::default()).items, None);
}

#[test]
fn segments_come_in_pairs() {
    let cases = [
        (
            (Some(0), None),
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        ),
        (
            (None, Some(4)),
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        ),
        (
            (Some(4), Some(4)),
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 4 is not less \
             than TotalSegments: 4",
        ),
        (
            (Some(0), Some(1_000_001)),
            "1 validation error detected: Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must \
             have value less than or equal to 1000000",
        ),
    ];
    for ((segment, total_segments), expected) in cases {
        assert_eq!(refused(Scan::parse(ScanInput { segment, total_segments, ..scan() })), expected);
    }
}

#[test]
fn a_segment_reads_its_hashes_and_no_others() {
    let input = |segment| ScanInput { segment: Some(segment), total_segments: Some(3), ..scan() };
    let plan = |segment| {
        let run = Scan::parse(input(segment)).expect("valid").bind(&table()).expect("binds");
        next_scan(&run).expect("open").interval
    };
    assert_eq!(plan(0).first, 0);
    assert_eq!(plan(1).first, plan(0).last + 1);
    assert_eq!(plan(2).last, u64::MAX);
    let hash = key("a", "1").hash;
    for segment in 0..3 {
        let start = Some(item([("pk", s("a")), ("sk", n("1"))]));
        let bound = Scan::parse(ScanInput { exclusive_start_key: start, ..input(segment) })
            .expect("valid")
            .bind(&table());
        assert_eq!(bound.is_ok(), plan(segment).contains(hash));
        if let Err(error) = bound {
            assert!(error.message().starts_with("The provided starting key is invalid"));
        }
    }
}

#[test]
fn a_scan_goes_through_all_shards() {
    let record = table();
    let op = Scan::parse(ScanInput { return_consumed_capacity: text("TOTAL"), ..scan() }).expect("valid");
    let mut run = op.bind(&record).expect("binds");
    let mut asked = Vec::new();
    while let Some(plan) = next_scan(&run) {
        let shard = record.shard_of(plan.interval.first);
        asked.push((shard.0, plan.shape.max_bytes));
        let covered_to = HashInterval::part(u64::from(shard.0 - 1), 2).last;
        let items = vec![item([("pk", s("x"))])];
        run.take(Page { items, count: 1, scanned: 3, bytes: 3000, covered_to: Some(covered_to), last: None });
    }
    assert_eq!(asked, [(1, 1 << 20), (2, (1 << 20) - 3000)]);
    let output = op.shape(&record, run);
    assert_eq!((output.count, output.scanned_count, output.last_evaluated_key), (2, 6, None));
    assert_eq!(output.items.map(|items| items.len()), Some(2));
    // 6000 bytes begin two blocks once, not one block in each shard.
    assert_eq!(output.consumed_capacity.expect("asked for").capacity_units, HalfUnits(2));
}

#[test]
fn a_scan_stops_where_a_shard_stopped() {
    let record = table();
    let op = Scan::parse(ScanInput { limit: Some(5), ..scan() }).expect("valid");
    let mut run = op.bind(&record).expect("binds");
    run.take(Page { scanned: 2, covered_to: Some(HashInterval::part(0, 2).last), ..Page::default() });
    assert_eq!(next_scan(&run).expect("open").shape.limit, Some(3));
    run.take(Page { scanned: 3, last: Some(key("a", "1")), covered_to: Some(u64::MAX), ..Page::default() });
    assert_eq!(next_scan(&run), None);
    let output = op.shape(&record, run);
    assert_eq!(output.last_evaluated_key, Some(item([("pk", s("a")), ("sk", n("1"))])));
}

#[test]
fn a_scan_goes_on_after_its_start_key() {
    let start = Some(item([("pk", s("a")), ("sk", n("1"))]));
    let op = Scan::parse(ScanInput { exclusive_start_key: start, ..scan() }).expect("valid");
    let run = op.bind(&table()).expect("binds");
    let plan = next_scan(&run).expect("open");
    assert_eq!((plan.interval.first, plan.start_after.as_ref()), (key("a", "1").hash, Some(&key("a", "1"))));
}

proptest::proptest! {
    /// However a table is cut into spans, a scan asks for every hash once, in order.
    #[test]
    fn a_scan_covers_every_hash_once(cuts in proptest::collection::btree_set(1u64.., 0..20), total in 1i64..9, seed in 0i64..9) {
        let input = ScanInput { total_segments: Some(total), segment: Some(seed % total), ..scan() };
        let asked = HashInterval::part((seed % total).unsigned_abs(), total.unsigned_abs());
        let mut run = Scan::parse(input).expect("valid").bind(&table()).expect("binds");
        let mut next = asked.first;
        let mut reached = None;
        while let Some(plan) = next_scan(&run) {
            proptest::prop_assert_eq!(plan.interval, HashInterval { first: next, last: asked.last });
            // The span that holds `next` ends before the next cut.
            let end = cuts.range(next.saturating_add(1)..).next().map_or(u64::MAX, |cut| cut - 1);
            reached = Some(end.min(asked.last));
            next = end.wrapping_add(1);
            run.take(Page { covered_to: reached, ..Page::default() });
        }
        proptest::prop_assert_eq!(reached, Some(asked.last));
    }
}

/// The next plan of a scan of a table.
fn next_scan(run: &crate::ops::scan::ScanRun) -> Option<crate::read::ScanPlan> {
    run.next_plan().map(|plan| match plan {
        Plan::Scan(plan) => plan,
        other => panic!("not a scan: {other:?}"),
    })
}
