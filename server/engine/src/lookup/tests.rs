use std::sync::atomic::AtomicUsize;

use futures::future::join_all;
use trilith_domain::machine::ReplyBody;
use trilith_domain::ops::{QueryInput, ScanInput};
use trilith_values::{SchemaVersion, ShardId};

use super::*;
use crate::test_support::requests::{batch_get, batch_put, create, get, item, key, put, query, scan, table};
use crate::test_support::{Client, Fault, LocalCluster, caller_within};

const NOT_FOUND: &str = "Requested resource not found";

fn count_refreshes(cluster: &LocalCluster) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    cluster.on_read(move |shard, _, _| {
        counter.fetch_add(usize::from(shard == ShardId(0)), Ordering::Relaxed);
        None
    });
    count
}

#[tokio::test]
async fn a_table_that_is_not_there_is_looked_for_once_more() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    let refreshes = count_refreshes(&cluster);
    let error = client.put_item(put("none", item("a", 1, "x"))).await.expect_err("no table");
    assert_eq!(error, OpError::ResourceNotFound(NOT_FOUND.to_owned()));
    assert_eq!(refreshes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn many_who_miss_a_table_share_their_looks() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    let refreshes = count_refreshes(&cluster);
    let misses = join_all((0..50).map(|i| client.get_item(get("none", key("a", i), true)))).await;
    assert!(misses.iter().all(Result::is_err));
    assert!((1..=2).contains(&refreshes.load(Ordering::Relaxed)), "{refreshes:?}");
}

#[tokio::test]
async fn a_refresh_that_failed_is_nobodys_but_its_own() {
    let refreshes = Refreshes::default();
    let deadline = now() + Duration::from_secs(10);
    let fails = refreshes.run(deadline, || async { Err(ClusterError::NotDone(String::new())) });
    let works = refreshes.run(deadline, || async { Ok(()) });
    let (failed, worked) = tokio::join!(fails, works);
    assert!(failed.is_err() && worked.is_ok());
}

#[tokio::test]
async fn a_node_that_has_not_heard_of_a_table_finds_it() {
    let cluster = LocalCluster::new(3);
    let other = Client::of(&cluster.another_node());
    Client::of(&cluster).create_table(create("orders")).await.expect("a new name");
    other.put_item(put("orders", item("a", 1, "x"))).await.expect("the table is there");
    let found = other.get_item(get("orders", key("a", 1), true)).await.expect("and readable");
    assert_eq!(found.item, Some(item("a", 1, "x")));
}

#[tokio::test]
async fn whether_an_unknown_table_exists_is_not_decided_without_the_catalog() {
    let cluster = LocalCluster::new(1);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    cluster
        .on_read(|shard, _, _| (shard == ShardId(0)).then(|| ClusterError::NotDone("no leader".to_owned())));
    let error = client.describe_table(table("other")).await.expect_err("nobody knows");
    assert_eq!(error.name(), "ServiceUnavailable");
    // What this node knows goes on.
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("data needs no catalog");
    client.describe_table(table("orders")).await.expect("from this node's copy");
}

#[tokio::test]
async fn an_arn_of_another_region_names_no_table() {
    let cluster = LocalCluster::new(1);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    let here = "arn:aws:dynamodb:us-east-1:000000000000:table/orders";
    client.put_item(put(here, item("a", 1, "x"))).await.expect("this table");
    let there = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders";
    let error = client.put_item(put(there, item("a", 1, "x"))).await.expect_err("not here");
    assert_eq!(error.name(), "ResourceNotFoundException");
}

#[tokio::test]
async fn an_op_is_bound_again_until_the_shard_agrees() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    let mut refusals = vec![
        Fault::Reply(ReplyBody::SchemaMismatch { current: SchemaVersion(2) }),
        Fault::Reply(ReplyBody::NotMine),
    ];
    cluster.on_write(move |_, _| refusals.pop().unwrap_or(Fault::None));
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("at the third time");
    let found = client.get_item(get("orders", key("a", 1), true)).await.expect("readable");
    assert_eq!(found.item, Some(item("a", 1, "x")));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_never_agrees_ends_at_the_deadline_as_not_done() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&attempts);
    cluster.on_write(move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Fault::Reply(ReplyBody::NotMine)
    });
    for seconds in [1, 3_600] {
        attempts.store(0, Ordering::Relaxed);
        let (begun, allowed) = (now(), Duration::from_secs(seconds));
        let hurried = client.with_caller(caller_within(allowed));
        let error = hurried.put_item(put("orders", item("a", 1, "x"))).await.expect_err("never");
        assert_eq!(error.name(), "ServiceUnavailable");
        assert!(now() - begun <= allowed + PAUSE_MAX, "{:?}", now() - begun);
        let attempts = attempts.load(Ordering::Relaxed);
        assert!(attempts > 5 && attempts <= BINDS_MAX as usize, "{attempts} attempts");
    }
}

#[tokio::test]
async fn a_table_made_anew_under_its_name_is_the_one_that_is_meant() {
    let cluster = LocalCluster::new(3);
    let (here, there) = (Client::of(&cluster), Client::of(&cluster.another_node()));
    here.create_table(create("orders")).await.expect("a new name");
    there.put_item(put("orders", item("a", 1, "old"))).await.expect("the first table");
    here.delete_table(table("orders")).await.expect("deletes");
    here.create_table(create("orders")).await.expect("a free name");
    let gone = there.get_item(get("orders", key("a", 1), true)).await.expect("the second table");
    assert_eq!(gone.item, None);
    there.put_item(put("orders", item("a", 1, "new"))).await.expect("the second table");
    let found = here.get_item(get("orders", key("a", 1), true)).await.expect("readable");
    assert_eq!(found.item, Some(item("a", 1, "new")));
}

#[tokio::test]
async fn every_op_on_data_follows_a_new_descriptor() {
    let cluster = LocalCluster::new(3);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("puts");
    for consistent in [false, true] {
        for op in ["put", "get", "query", "scan", "batch get", "batch put"] {
            for (shard, alter) in cluster.raise_version("orders") {
                cluster.apply(shard, alter);
            }
            let consistent = Some(consistent);
            let found = match op {
                "put" => client.put_item(put("orders", item("a", 1, "x"))).await.map(|_| 1),
                "get" => {
                    client.get_item(get("orders", key("a", 1), consistent == Some(true))).await.map(|_| 1)
                }
                "query" => {
                    let query = QueryInput { consistent_read: consistent, ..query("orders", "a") };
                    client.query(query).await.map(|page| page.count)
                }
                "scan" => {
                    let scan = ScanInput { consistent_read: consistent, ..scan("orders") };
                    client.scan(scan).await.map(|page| page.count)
                }
                "batch get" => {
                    let got = client.batch_get_item(batch_get("orders", vec![key("a", 1)])).await;
                    got.map(|got| got.responses["orders"].len() as u64)
                }
                _ => client.batch_write_item(batch_put("orders", vec![item("a", 1, "x")])).await.map(|_| 1),
            };
            assert_eq!(found, Ok(1), "{op}, consistent: {consistent:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_op_bound_ahead_of_its_shard_waits_for_it() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    let alter = cluster.raise_version("orders");
    let node = cluster.another_node();
    let ahead = Client::of(&node);
    let mut attempts = 0;
    let world = Arc::clone(&cluster);
    cluster.on_write(move |_, _| {
        attempts += 1;
        if attempts == 4 {
            alter.iter().for_each(|(shard, alter)| drop(world.apply(*shard, alter.clone())));
        }
        Fault::None
    });
    ahead.put_item(put("orders", item("a", 1, "x"))).await.expect("the shard has followed");
    cluster.heal();
}
