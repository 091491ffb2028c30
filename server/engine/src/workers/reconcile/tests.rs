use std::sync::atomic::{AtomicUsize, Ordering};

use trilith_cluster::ClusterError;
use trilith_domain::OpError;
use trilith_domain::keyspace::Family;
use trilith_domain::ops::UpdateTableInput;
use trilith_values::ShardId;

use super::*;
use crate::test_support::requests::{create, get, item, key, put, table};
use crate::test_support::{Client, Fault, LocalCluster};

const PACE: Pace = Pace {
    every: Duration::from_secs(1),
    patience: Duration::from_secs(3),
    attempt: Duration::from_secs(10),
};

fn reconciler(cluster: &Arc<LocalCluster>) -> Reconciler {
    Reconciler::new(Arc::clone(cluster) as _, PACE)
}

/// Everything after the first `writes` commands is not done, as if the process had ended there.
fn crash_after(cluster: &LocalCluster, writes: usize) {
    let sent = AtomicUsize::new(0);
    cluster.on_write(move |_, _| {
        if sent.fetch_add(1, Ordering::Relaxed) < writes { Fault::None } else { Fault::NotDone }
    });
}

async fn status(client: &Client) -> Result<TableStatus, OpError> {
    client.describe_table(table("orders")).await.map(|described| described.table_status)
}

#[tokio::test]
async fn a_table_whose_maker_ended_at_any_step_is_finished() {
    // One command of the catalog, three of shards, and one of the catalog again.
    for steps in 1..5 {
        let cluster = LocalCluster::new(3);
        let client = Client::of(&cluster);
        crash_after(&cluster, steps);
        client.create_table(create("orders")).await.expect("the catalog has it");
        cluster.heal();
        assert_eq!(status(&client).await, Ok(TableStatus::Creating), "after {steps} steps");

        let other = cluster.another_node();
        let (mut reconciler, start) = (reconciler(&other), now());
        assert_eq!(reconciler.pass(start).await, 0, "it is seen");
        assert_eq!(reconciler.pass(start + Duration::from_secs(2)).await, 0, "its maker may be at it");
        assert_eq!(reconciler.pass(start + Duration::from_secs(3)).await, 1, "it is taken on");
        assert_eq!(reconciler.pass(start + Duration::from_secs(9)).await, 0, "nothing is left to do");
        assert_eq!(status(&client).await, Ok(TableStatus::Active), "after {steps} steps");
        client.put_item(put("orders", item("a", 1, "x"))).await.expect("usable");
        let found = client.get_item(get("orders", key("a", 1), true)).await.expect("usable");
        assert!(found.item.is_some());
    }
}

#[tokio::test]
async fn a_table_whose_deletion_ended_at_any_step_goes() {
    for steps in 1..5 {
        let cluster = LocalCluster::new(3);
        let client = Client::of(&cluster);
        client.create_table(create("orders")).await.expect("a new name");
        for i in 0..20 {
            client.put_item(put("orders", item(&format!("p{i}"), i, "x"))).await.expect("puts");
        }
        crash_after(&cluster, steps);
        client.delete_table(table("orders")).await.expect("the catalog knows");
        cluster.heal();
        assert_eq!(status(&client).await, Ok(TableStatus::Deleting), "after {steps} steps");

        let (mut reconciler, start) = (reconciler(&cluster), now());
        reconciler.pass(start).await;
        assert_eq!(reconciler.pass(start + Duration::from_secs(3)).await, 1);
        assert_eq!(status(&client).await.expect_err("gone").name(), "ResourceNotFoundException");
        for shard in cluster.data_shards().into_iter().map(|id| cluster.shard(id)) {
            assert_eq!((shard.state().spans().len(), shard.count_rows(Family::Items)), (0, 0));
        }
    }
}

#[tokio::test]
async fn a_change_that_was_cut_short_ends_active() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    client.create_table(create("orders")).await.expect("a new name");
    crash_after(&cluster, 1);
    let protect = UpdateTableInput {
        table_name: Some("orders".to_owned()),
        deletion_protection_enabled: Some(true),
        ..Default::default()
    };
    client.update_table(protect).await.expect("the catalog has it");
    cluster.heal();
    assert_eq!(status(&client).await, Ok(TableStatus::Updating));
    client.put_item(put("orders", item("a", 1, "x"))).await.expect("data stays open");

    let (mut reconciler, start) = (reconciler(&cluster), now());
    reconciler.pass(start).await;
    assert_eq!(reconciler.pass(start + Duration::from_secs(3)).await, 1);
    let described = client.describe_table(table("orders")).await.expect("it is there");
    assert_eq!((described.table_status, described.deletion_protection_enabled), (TableStatus::Active, true));
}

#[tokio::test]
async fn what_cannot_be_finished_now_is_finished_later() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    crash_after(&cluster, 1);
    client.create_table(create("orders")).await.expect("the catalog has it");
    let (mut reconciler, start) = (reconciler(&cluster), now());
    reconciler.pass(start).await;
    assert_eq!(reconciler.pass(start + Duration::from_secs(4)).await, 0, "shards have no leader");
    cluster
        .on_read(|shard, _, _| (shard == ShardId(0)).then(|| ClusterError::NotDone("no leader".to_owned())));
    assert_eq!(reconciler.pass(start + Duration::from_secs(5)).await, 0, "the catalog has no leader");
    cluster.heal();
    assert_eq!(reconciler.pass(start + Duration::from_secs(6)).await, 1);
}

#[tokio::test]
async fn two_nodes_may_finish_the_same_table_at_once() {
    let cluster = LocalCluster::new(3);
    let client = Client::of(&cluster);
    crash_after(&cluster, 2);
    client.create_table(create("orders")).await.expect("the catalog has it");
    cluster.heal();
    let (mut here, mut there) = (reconciler(&cluster), reconciler(&cluster.another_node()));
    let start = now();
    tokio::join!(here.pass(start), there.pass(start));
    let late = start + PACE.patience;
    let (here, there) = tokio::join!(here.pass(late), there.pass(late));
    assert!(here + there >= 1);
    assert_eq!(status(&client).await, Ok(TableStatus::Active));
}

#[tokio::test]
async fn a_stale_node_does_not_bring_a_deleted_table_back() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    crash_after(&cluster, 1);
    client.create_table(create("orders")).await.expect("the catalog has it");
    cluster.heal();
    // This node saw the table being made, and nothing since.
    let stale = cluster.another_node();
    let (mut there, mut here, start) = (reconciler(&stale), reconciler(&cluster), now());
    there.pass(start).await;
    here.pass(start).await;
    here.pass(start + PACE.patience).await;
    client.delete_table(table("orders")).await.expect("deletes");
    assert_eq!(there.pass(start + PACE.patience).await, 0);
    assert!(cluster.data_shards().into_iter().all(|id| cluster.shard(id).state().spans().is_empty()));
}

#[tokio::test(start_paused = true)]
async fn the_worker_passes_by_itself() {
    let cluster = LocalCluster::new(2);
    let client = Client::of(&cluster);
    crash_after(&cluster, 1);
    client.create_table(create("orders")).await.expect("the catalog has it");
    cluster.heal();
    let worker = tokio::spawn(reconciler(&cluster).run());
    let mut ticks = 0;
    while status(&client).await != Ok(TableStatus::Active) {
        ticks += 1;
        assert!(ticks < 20, "the worker does nothing");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    worker.abort();
}
