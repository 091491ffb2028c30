use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trilith_domain::OpError;
use trilith_domain::machine::ReplyBody;
use trilith_domain::ops::{DeleteItemInput, PutItemInput, UpdateItemInput};

mod limits;

use crate::test_support::requests::{create, get, item, key, n, put, update};
use crate::test_support::{Client, Fault, LocalCluster};

async fn orders(shards: u32) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(shards);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    (cluster, client)
}

#[tokio::test]
async fn items_are_written_to_the_shards_that_own_them() {
    let (cluster, client) = orders(4).await;
    for i in 0..40 {
        client.put_item(put("orders", item(&format!("p{i}"), i, n(i)))).await.expect("puts");
    }
    let counts = cluster.data_shards().into_iter().map(|id| {
        let shard = cluster.shard(id);
        shard.state().spans().values().map(|span| span.items).sum::<u64>()
    });
    let counts: Vec<u64> = counts.collect();
    assert_eq!(counts.iter().sum::<u64>(), 40);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[tokio::test]
async fn writes_answer_what_they_were_asked_for() {
    let (_, client) = orders(2).await;
    let old = PutItemInput { return_values: Some("ALL_OLD".to_owned()), ..put("orders", item("a", 1, "x")) };
    assert_eq!(client.put_item(old.clone()).await.expect("puts").attributes, None);
    assert_eq!(client.put_item(old).await.expect("puts").attributes, Some(item("a", 1, "x")));

    let new = UpdateItemInput {
        return_values: Some("ALL_NEW".to_owned()),
        return_consumed_capacity: Some("TOTAL".to_owned()),
        ..update("orders", key("a", 1), "SET v = :v", "y")
    };
    let updated = client.update_item(new).await.expect("updates");
    assert_eq!(updated.attributes, Some(item("a", 1, "y")));
    assert_eq!(updated.consumed_capacity.map(|capacity| capacity.table_name), Some("orders".to_owned()));

    let delete = DeleteItemInput {
        table_name: Some("orders".to_owned()),
        key: Some(key("a", 1)),
        return_values: Some("ALL_OLD".to_owned()),
        ..Default::default()
    };
    assert_eq!(client.delete_item(delete).await.expect("deletes").attributes, Some(item("a", 1, "y")));
    assert_eq!(client.get_item(get("orders", key("a", 1), true)).await.expect("reads").item, None);
}

#[tokio::test]
async fn a_false_condition_is_an_answer() {
    let (_, client) = orders(2).await;
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("puts");
    let guarded = PutItemInput {
        condition_expression: Some("attribute_not_exists(p)".to_owned()),
        return_values_on_condition_check_failure: Some("ALL_OLD".to_owned()),
        ..put("orders", item("a", 1, "y"))
    };
    let error = client.put_item(guarded).await.expect_err("it exists");
    assert_eq!(error, OpError::ConditionalCheckFailed { item: Some(item("a", 1, "x")) });
}

#[tokio::test]
async fn a_wrong_key_is_refused_before_anything_is_sent() {
    let (cluster, client) = orders(2).await;
    cluster.on_write(|_, _| panic!("nothing is sent"));
    let error = client.put_item(put("orders", item("a", 1, "x").into_iter().skip(1).collect())).await;
    assert_eq!(error.expect_err("no p").name(), "ValidationException");
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_becomes_of_it() {
    let (cluster, client) = orders(2).await;
    for (fault, name, happened) in [
        (Fault::NotDone, "ServiceUnavailable", false),
        (Fault::AnswerLost, "InternalServerError", true),
        (Fault::CommandLost, "InternalServerError", false),
        (Fault::Reply(ReplyBody::Poisoned), "InternalServerError", false),
        (Fault::Reply(ReplyBody::Invalid("too large".to_owned())), "ValidationException", false),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let what = format!("{fault:?}");
        cluster.on_write(move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            fault.clone()
        });
        let error = client.put_item(put("orders", item(&what, 1, "x"))).await.expect_err("a fault");
        assert_eq!((error.name(), sent.load(Ordering::Relaxed)), (name, 1), "{what}");
        cluster.heal();
        let found = client.get_item(get("orders", key(&what, 1), true)).await.expect("reads");
        assert_eq!(found.item.is_some(), happened, "{what}");
    }
}
