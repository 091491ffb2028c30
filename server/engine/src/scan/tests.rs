use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use trilith_domain::ops::ScanInput;
use trilith_values::Item;

use crate::test_support::requests::{create, item, n, put, scan, table};
use crate::test_support::{Client, LocalCluster};

async fn orders(shards: u32) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(shards);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    (cluster, client)
}

/// Every page of a scan, its items put together; and the number of pages.
async fn scan_all(client: &Client, input: ScanInput) -> (Vec<Item>, usize) {
    let (mut items, mut pages, mut start) = (Vec::new(), 0, None);
    loop {
        let input = ScanInput { exclusive_start_key: start, ..input.clone() };
        let page = client.scan(input.clone()).await.expect("reads");
        let found = page.items.expect("items were asked for");
        assert_eq!(page.count, found.len() as u64);
        assert!(page.scanned_count <= input.limit.map_or(u64::MAX, i64::unsigned_abs), "over the limit");
        items.extend(found);
        pages += 1;
        start = page.last_evaluated_key;
        if start.is_none() {
            return (items, pages);
        }
        assert!(pages < 10_000, "pages go on for ever");
    }
}

fn sorted(items: Vec<Item>) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
    texts.sort_unstable();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pages_and_segments_are_the_table(
        shards in 1..7u32,
        keys in prop::collection::btree_set((0..30u8, 0..6i64), 0..80),
        limit in prop::option::of(1..25i64),
        segments in 1..9i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (_, client) = orders(shards).await;
            let mut written = Vec::new();
            for (p, s) in &keys {
                let item = item(&format!("p{p}"), *s, n(*s));
                client.put_item(put("orders", item.clone())).await.expect("puts");
                written.push(item);
            }
            let (whole, _) = scan_all(&client, ScanInput { limit, ..scan("orders") }).await;
            assert_eq!(sorted(whole.clone()), sorted(written));
            let (again, _) = scan_all(&client, scan("orders")).await;
            assert_eq!(whole, again, "the order does not depend on the pages");

            let mut tiled = Vec::new();
            for segment in 0..segments {
                let part = ScanInput { limit, segment: Some(segment), total_segments: Some(segments), ..scan("orders") };
                tiled.extend(scan_all(&client, part).await.0);
            }
            assert_eq!(tiled, whole, "segments tile the table in its order");
        });
    }
}

#[tokio::test]
async fn a_page_ends_at_a_megabyte_across_shards() {
    let (_, client) = orders(4).await;
    let filler = "x".repeat(100_000);
    for i in 0..30 {
        client.put_item(put("orders", item(&format!("p{i}"), i, filler.as_str()))).await.expect("puts");
    }
    let page = client.scan(scan("orders")).await.expect("reads");
    assert_eq!(page.scanned_count, 11, "the item that goes over the megabyte is the last");
    assert!(page.last_evaluated_key.is_some());
    let (items, pages) = scan_all(&client, scan("orders")).await;
    assert_eq!((items.len(), pages), (30, 3));
}

#[tokio::test]
async fn a_filter_keeps_and_a_count_counts() {
    let (_, client) = orders(3).await;
    for i in 0..20 {
        client.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    let filtered = ScanInput {
        filter_expression: Some("v >= :v".to_owned()),
        expression_attribute_values: Some(BTreeMap::from([(":v".to_owned(), n(15))])),
        ..scan("orders")
    };
    let page = client.scan(filtered.clone()).await.expect("reads");
    assert_eq!((page.count, page.scanned_count, page.items.map(|items| items.len())), (5, 20, Some(5)));
    let counted = ScanInput { select: Some("COUNT".to_owned()), ..filtered };
    let page = client.scan(counted).await.expect("reads");
    assert_eq!((page.count, page.scanned_count, page.items), (5, 20, None));
}

#[tokio::test]
async fn an_eventual_scan_of_lagging_replicas_goes_to_the_leader() {
    let cluster = LocalCluster::new(3);
    cluster.freeze_followers();
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    for i in 0..10 {
        client.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    let eventual = ScanInput { consistent_read: None, ..scan("orders") };
    assert_eq!(client.scan(eventual).await.expect("reads").count, 10);
}

#[tokio::test]
async fn a_table_made_anew_is_scanned_by_a_node_that_knew_the_old_one() {
    let (cluster, client) = orders(3).await;
    let other = Client::of(&cluster.another_node());
    client.put_item(put("orders", item("old", 1, n(1)))).await.expect("puts");
    assert_eq!(other.scan(scan("orders")).await.expect("reads").count, 1);
    client.delete_table(table("orders")).await.expect("deletes");
    client.create_table(create("orders")).await.expect("a free name");
    for i in 0..10 {
        client.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    assert_eq!(other.scan(scan("orders")).await.expect("reads").count, 10);
}

#[tokio::test]
async fn a_page_goes_on_where_it_was_when_the_descriptor_changes_under_it() {
    let (cluster, client) = orders(4).await;
    for i in 0..40 {
        client.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    let world = Arc::clone(&cluster);
    let mut reads = 0;
    cluster.on_read(move |_, _, _| {
        reads += 1;
        if reads == 3 {
            for (shard, alter) in world.raise_version("orders") {
                world.apply(shard, alter);
            }
        }
        None
    });
    let page = client.scan(scan("orders")).await.expect("reads");
    assert_eq!((page.scanned_count, page.last_evaluated_key), (40, None));
    cluster.heal();
}
