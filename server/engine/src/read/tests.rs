use std::sync::Arc;

use trilith_cluster::ClusterError;
use trilith_domain::ops::{GetItemInput, QueryInput};

use crate::test_support::requests::{create, get, item, key, n, put, query};
use crate::test_support::{Client, LocalCluster};

async fn orders(shards: u32) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(shards);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    (cluster, client)
}

#[tokio::test]
async fn an_eventual_read_may_be_old_and_a_strong_one_may_not() {
    let (cluster, client) = orders(2).await;
    client.put_item(put("orders", item("a", 1, "old"))).await.expect("puts");
    cluster.freeze_followers();
    client.put_item(put("orders", item("a", 1, "new"))).await.expect("puts");
    let read = |consistent| client.get_item(get("orders", key("a", 1), consistent));
    assert_eq!(read(false).await.expect("reads").item, Some(item("a", 1, "old")));
    assert_eq!(read(true).await.expect("reads").item, Some(item("a", 1, "new")));
}

#[tokio::test]
async fn a_replica_that_does_not_know_the_table_yet_sends_the_read_to_the_leader() {
    let cluster = LocalCluster::new(2);
    cluster.freeze_followers();
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("puts");
    let got = client.get_item(get("orders", key("a", 1), false)).await.expect("reads");
    assert_eq!(got.item, Some(item("a", 1, "x")));
    let eventual = QueryInput { consistent_read: None, ..query("orders", "a") };
    assert_eq!(client.query(eventual).await.expect("reads").count, 1);
}

#[tokio::test]
async fn a_get_projects_and_charges_the_whole_item() {
    let (_, client) = orders(2).await;
    client.put_item(put("orders", item("a", 1, "x".repeat(5_000).as_str()))).await.expect("puts");
    let input = GetItemInput {
        projection_expression: Some("s".to_owned()),
        return_consumed_capacity: Some("TOTAL".to_owned()),
        ..get("orders", key("a", 1), true)
    };
    let got = client.get_item(input).await.expect("reads");
    assert_eq!(got.item.map(|item| item.into_keys().collect::<Vec<_>>()), Some(vec!["s".to_owned()]));
    assert_eq!(got.consumed_capacity.map(|capacity| capacity.capacity_units.as_f64()), Some(2.0));
}

#[tokio::test]
async fn a_query_pages_through_its_partition_in_both_directions() {
    let (_, client) = orders(3).await;
    for i in 0..10 {
        client.put_item(put("orders", item("a", i, n(i)))).await.expect("puts");
        client.put_item(put("orders", item("b", i, n(i)))).await.expect("puts");
    }
    for forward in [true, false] {
        let mut seen = Vec::new();
        let mut start = None;
        loop {
            let input = QueryInput {
                limit: Some(3),
                scan_index_forward: Some(forward),
                exclusive_start_key: start,
                ..query("orders", "a")
            };
            let page = client.query(input).await.expect("reads");
            seen.extend(page.items.expect("items were asked for"));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let order: Vec<i64> = if forward { (0..10).collect() } else { (0..10).rev().collect() };
        let expected: Vec<_> = order.into_iter().map(|i| item("a", i, n(i))).collect();
        assert_eq!(seen, expected, "forward: {forward}");
    }
}

#[tokio::test]
async fn failures_of_reads_become_the_services_errors() {
    let (cluster, client) = orders(2).await;
    for (error, name) in [
        (ClusterError::NotDone("no leader".to_owned()), "ServiceUnavailable"),
        (ClusterError::Storage("damaged".to_owned()), "InternalServerError"),
    ] {
        cluster.on_read(move |_, _, _| Some(error.clone()));
        let got = client.get_item(get("orders", key("a", 1), true)).await.expect_err("a fault");
        let found = client.query(query("orders", "a")).await.expect_err("a fault");
        assert_eq!((got.name(), found.name()), (name, name));
    }
}
