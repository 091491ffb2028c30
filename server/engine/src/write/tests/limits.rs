//! Writes at the bounds that only small limits bring within a test's reach: what a shard owes to global indexes, and the
//! size of an item collection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use trilith_cluster::Cluster;
use trilith_domain::OpError;
use trilith_domain::machine::{CommandBody, Limits, Outbox};
use trilith_domain::ops::DeleteItemInput;
use trilith_values::{Item, ShardId};

use crate::check;
use crate::test_support::requests::{
    batch_put, create, create_indexed, item, key, n, put, transact, transact_put, update,
};
use crate::test_support::{ACCOUNT, Client, Fault, LocalCluster, caller_within};
use crate::workers::ship;

const PATIENCE: Duration = Duration::from_secs(30);

async fn orders(limits: Limits) -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::with_limits(1, limits);
    let client = Client::of(&cluster);
    client.create_table(create_indexed("orders")).await.expect("a new name");
    (cluster, client)
}

fn outbox(cluster: &LocalCluster) -> Outbox {
    *cluster.shard(ShardId(1)).state().outbox()
}

fn owing(s: i64) -> Item {
    let mut item = item("p", s, n(s));
    item.insert("w".to_owned(), "w".into());
    item
}

/// A receiver that is away until it is told to come back; writers that go on, wait, are told to try again, and go on.
async fn pressure(limits: Limits, bound: impl Fn(&Outbox) -> bool) {
    const WRITES: usize = 60;
    let (cluster, client) = orders(limits).await;
    let away = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    cluster.on_write(move |_, command| match command {
        CommandBody::IndexApply(_) if is_away.load(Ordering::Relaxed) => Fault::NotDone,
        _ => Fault::None,
    });
    let shipping = tokio::spawn(ship::run(Arc::clone(&cluster) as _));
    let written = Arc::new(AtomicUsize::new(0));
    let (counter, patient) =
        (Arc::clone(&written), client.with_caller(caller_within(Duration::from_secs(3_600))));
    let writer = tokio::spawn(async move {
        for s in 0..WRITES as i64 {
            patient.put_item(put("orders", owing(s))).await.expect("it waits as long as it must");
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    while !outbox(&cluster).is_full(&limits) {
        tokio::task::yield_now().await;
    }
    let stopped_at = written.load(Ordering::Relaxed);
    assert!(stopped_at < WRITES);

    // Who has no time to wait is told to come again, whatever way the write goes.
    let hurried = || client.with_caller(caller_within(Duration::from_millis(100)));
    let refused = hurried().put_item(put("orders", owing(900))).await.expect_err("the shard owes too much");
    assert!(matches!(refused, OpError::Unavailable(_)), "{refused}");
    let refused = hurried().batch_write_item(batch_put("orders", vec![owing(901)])).await;
    assert!(matches!(refused, Err(OpError::Unavailable(_))), "{refused:?}");
    let half = hurried().batch_write_item(batch_put("orders", vec![owing(902), key("p", 903)])).await;
    let unprocessed = half.expect("one is done").unprocessed_items;
    assert_eq!(unprocessed.values().map(Vec::len).sum::<usize>(), 1, "{unprocessed:?}");
    let refused = hurried().transact_write_items(transact(vec![transact_put("orders", owing(904))])).await;
    assert!(matches!(refused, Err(OpError::Throttling(_))), "{refused:?}");
    // What owes nothing goes on.
    hurried().put_item(put("orders", key("q", 1))).await.expect("it has no entry in a global index");
    assert!(bound(&outbox(&cluster)), "{:?}", outbox(&cluster));
    assert!(written.load(Ordering::Relaxed) <= stopped_at + 1, "writers wait");

    away.store(false, Ordering::Relaxed);
    writer.await.expect("all writes are done");
    let record = cluster.table(ACCOUNT, "orders").expect("it was made");
    for index in &record.definition.indexes {
        let report = check::index(&*cluster, &record, index, PATIENCE).await.expect("it can be compared");
        assert!(report.is_equal() && report.entries == WRITES as u64, "{report:?}");
    }
    shipping.abort();
}

#[tokio::test(start_paused = true)]
async fn writers_wait_while_a_shard_owes_too_many_rows() {
    let limits = Limits { outbox_rows: 10, ..Limits::default() };
    pressure(limits, |outbox| outbox.rows == 10).await;
}

#[tokio::test(start_paused = true)]
async fn writers_wait_while_a_shard_owes_too_many_bytes() {
    let limits = Limits { outbox_bytes: 2_000, ..Limits::default() };
    // One row more than the bound, and such a row is small.
    pressure(limits, |outbox| (2_000..2_500).contains(&outbox.bytes)).await;
}

#[tokio::test]
async fn an_item_collection_does_not_grow_beyond_its_limit() {
    let limits = Limits { collection_bytes: 4_096, ..Limits::default() };
    let (_, client) = orders(limits).await;
    client.create_table(create("plain")).await.expect("a new name");
    let large = |p: &str, s: i64| {
        let mut item = item(p, s, n(s));
        item.insert("y".to_owned(), "y".repeat(900).into());
        item
    };
    // Each counts twice: as an item, and as an entry of the index that holds everything.
    for s in 0..2 {
        client.put_item(put("orders", large("p", s))).await.expect("there is room");
    }
    let refused = client.put_item(put("orders", large("p", 2))).await.expect_err("the collection is full");
    assert_eq!(refused.name(), "ItemCollectionSizeLimitExceededException");
    assert_eq!(refused.message(), "Collection size exceeded.");
    let refused = client.update_item(update("orders", key("p", 1), "SET z = :v", "z".repeat(900))).await;
    assert_eq!(refused.map(|_| ()).expect_err("it would grow").message(), "Collection size exceeded.");
    let refused = client.batch_write_item(batch_put("orders", vec![large("p", 2)])).await;
    assert_eq!(
        refused.expect_err("the collection is full").name(),
        "ItemCollectionSizeLimitExceededException"
    );
    let writes = vec![transact_put("orders", large("q", 0)), transact_put("orders", large("p", 2))];
    let cancelled = client.transact_write_items(transact(writes)).await.expect_err("the collection is full");
    let OpError::TransactionCanceled(cancellation) = &cancelled else { panic!("{cancelled}") };
    let reasons = cancellation.reasons.iter();
    let reasons: Vec<_> = reasons.map(|reason| (reason.code, reason.message.as_deref())).collect();
    let full = ("ItemCollectionSizeLimitExceeded", Some("Collection size exceeded."));
    assert_eq!(reasons, [("None", None), full]);

    // Other collections have their own room, and a table without local indexes has no limit.
    client.put_item(put("orders", large("q", 2))).await.expect("another collection");
    for s in 0..9 {
        client.put_item(put("plain", large("p", s))).await.expect("no limit");
    }
    // Whatever shrinks it goes, and makes room.
    client.update_item(update("orders", key("p", 1), "SET y = :v", "short")).await.expect("it shrinks");
    let gone = DeleteItemInput {
        table_name: Some("orders".to_owned()),
        key: Some(key("p", 0)),
        ..Default::default()
    };
    client.delete_item(gone).await.expect("it shrinks");
    client.put_item(put("orders", large("p", 2))).await.expect("there is room again");
}
