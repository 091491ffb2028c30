use std::sync::Arc;

use trilith_domain::ops::{BatchGetItemInput, BatchWriteItemInput, ScanInput};
use trilith_values::{Item, ShardId};

use super::*;
use crate::test_support::requests::{batch_get, batch_put, create, get, item, key, n, put, scan};
use crate::test_support::{Client, Fault, LocalCluster};

async fn orders(shards: u32) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(shards);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    (cluster, client)
}

fn items(count: i64) -> Vec<Item> {
    (0..count).map(|i| item(&format!("p{i}"), i, n(i))).collect()
}

fn keys(count: i64) -> Vec<Item> {
    (0..count).map(|i| key(&format!("p{i}"), i)).collect()
}

#[tokio::test]
async fn what_is_written_in_a_batch_is_read_in_a_batch() {
    let (_, client) = orders(4).await;
    let done = client.batch_write_item(batch_put("orders", items(25))).await.expect("writes");
    assert!(done.unprocessed_items.is_empty());
    let mut wanted = keys(25);
    wanted.push(key("none", 1));
    let got = client.batch_get_item(batch_get("orders", wanted)).await.expect("reads");
    assert_eq!(got.responses["orders"], items(25));
    assert!(got.unprocessed_keys.is_empty());
}

#[tokio::test]
async fn a_batch_may_concern_several_tables_and_delete() {
    let (_, client) = orders(2).await;
    client.create_table(create("clients")).await.expect("a new name");
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("puts");
    let mut requests = batch_put("clients", items(3)).request_items.expect("made here");
    let delete = trilith_domain::ops::types::WriteRequestInput { put: None, delete: Some(Some(key("a", 1))) };
    requests.insert("orders".to_owned(), vec![delete]);
    let both = BatchWriteItemInput { request_items: Some(requests), ..Default::default() };
    client.batch_write_item(both).await.expect("writes");
    assert_eq!(client.get_item(get("orders", key("a", 1), true)).await.expect("reads").item, None);

    let mut requests = batch_get("clients", keys(3)).request_items.expect("made here");
    requests.extend(batch_get("orders", vec![key("a", 1)]).request_items.expect("made here"));
    let both = BatchGetItemInput { request_items: Some(requests), ..Default::default() };
    let got = client.batch_get_item(both).await.expect("reads");
    assert_eq!((got.responses["clients"].len(), got.responses["orders"].len()), (3, 0));
}

#[tokio::test]
async fn a_batch_is_refused_whole_where_one_table_is_missing() {
    let (cluster, client) = orders(2).await;
    let mut requests = batch_put("orders", items(3)).request_items.expect("made here");
    requests.extend(batch_put("zero", items(1)).request_items.expect("made here"));
    let both = BatchWriteItemInput { request_items: Some(requests), ..Default::default() };
    cluster.on_write(|_, _| panic!("nothing is sent"));
    let error = client.batch_write_item(both).await.expect_err("no such table");
    assert_eq!(error, OpError::ResourceNotFound("Requested resource not found".to_owned()));
}

#[tokio::test]
async fn what_does_not_fit_16_megabytes_is_handed_back_and_read_the_next_time() {
    let (_, client) = orders(3).await;
    let large = "x".repeat(390_000);
    for i in 0..50 {
        client.put_item(put("orders", item(&format!("p{i}"), i, large.as_str()))).await.expect("puts");
    }
    let (mut found, mut rounds) = (0, 0);
    let mut wanted = batch_get("orders", keys(50));
    loop {
        let got = client.batch_get_item(wanted).await.expect("reads");
        let bytes: usize = got.responses["orders"].iter().map(trilith_values::size::item_size).sum();
        assert!(bytes as u64 <= BATCH_BYTES_MAX);
        found += got.responses["orders"].len();
        rounds += 1;
        if got.unprocessed_keys.is_empty() {
            break;
        }
        wanted = BatchGetItemInput { request_items: Some(got.unprocessed_keys), ..Default::default() };
    }
    assert_eq!((found, rounds), (50, 2));
}

#[tokio::test]
async fn a_shard_without_a_leader_leaves_its_part_unprocessed() {
    let (cluster, client) = orders(3).await;
    let lost = ShardId(2);
    cluster.on_write(move |shard, _| if shard == lost { Fault::NotDone } else { Fault::None });
    let done = client.batch_write_item(batch_put("orders", items(25))).await.expect("most is done");
    let left = done.unprocessed_items["orders"].len();
    assert!((1..25).contains(&left), "{left}");
    let counted = ScanInput { select: Some("COUNT".to_owned()), ..scan("orders") };
    assert_eq!(client.scan(counted).await.expect("reads").count, 25 - left as u64);

    cluster
        .on_read(move |shard, _, _| (shard == lost).then(|| ClusterError::NotDone("no leader".to_owned())));
    let got = client.batch_get_item(batch_get("orders", keys(25))).await.expect("most is read");
    assert_eq!(got.responses["orders"].len(), 25 - left);
    assert_eq!(got.unprocessed_keys["orders"].keys.as_ref().map(Vec::len), Some(left));
}

#[tokio::test]
async fn an_unknown_outcome_fails_the_batch_and_sending_again_is_right() {
    let (cluster, client) = orders(3).await;
    cluster.on_write(|shard, _| if shard == ShardId(1) { Fault::AnswerLost } else { Fault::None });
    let failed = client.batch_write_item(batch_put("orders", items(25))).await;
    assert!(matches!(failed, Err(OpError::Internal(_))), "{failed:?}");
    cluster.heal();
    let done = client.batch_write_item(batch_put("orders", items(25))).await.expect("writes");
    assert!(done.unprocessed_items.is_empty());
    let got = client.batch_get_item(batch_get("orders", keys(25))).await.expect("reads");
    assert_eq!(got.responses["orders"], items(25));
}

#[tokio::test]
async fn where_nothing_is_done_the_batch_is_an_error() {
    let (cluster, client) = orders(3).await;
    cluster.on_write(|_, _| Fault::NotDone);
    cluster.on_read(|_, _, _| Some(ClusterError::NotDone("no leader".to_owned())));
    let written = client.batch_write_item(batch_put("orders", items(5))).await.expect_err("nothing is done");
    let read = client.batch_get_item(batch_get("orders", keys(5))).await.expect_err("nothing is done");
    assert_eq!((written.name(), read.name()), ("ServiceUnavailable", "ServiceUnavailable"));
}

#[tokio::test]
async fn damaged_data_fails_the_batch() {
    let (cluster, client) = orders(3).await;
    let damaged = ShardId(2);
    cluster
        .on_read(move |shard, _, _| (shard == damaged).then(|| ClusterError::Storage("damaged".to_owned())));
    let error = client.batch_get_item(batch_get("orders", keys(25))).await.expect_err("it can never succeed");
    assert_eq!(error.name(), "InternalServerError");
}
