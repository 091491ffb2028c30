//! What requests cost, counted in messages and in writes that are not synced: clocks lie, counts do not.

use std::time::Duration;

use futures::future::join_all;
use trilith_cluster::{Cluster, Freshness, now};

use crate::workload;
use crate::world::{NODES, Planted, SHARD, World, simulate};

const PATIENCE: Duration = Duration::from_secs(10);

/// A world in which nothing goes wrong: the leader's node, and another one.
async fn calm() -> (World, u64, u64) {
    let world = World::start(2, Planted::Nothing).await;
    workload::open_table(&world).await;
    let leads = |node: &u64| world.replica(*node).is_some_and(|(replica, _)| replica.leads());
    let leader = NODES.into_iter().find(leads).expect("the table was opened by a leader");
    let other = NODES.into_iter().find(|node| *node != leader).expect("there are three");
    (world, leader, other)
}

#[test]
fn a_request_is_forwarded_once_at_the_most() {
    simulate(2, || async {
        let (world, leader, other) = calm().await;
        for (node, forwards) in [(leader, 0), (other, 20)] {
            let port = world.process(node).expect("it runs").by_lease;
            let before = world.net.carried("service");
            for number in 0..10 {
                port.write(SHARD, workload::put(number, number + 1), now() + PATIENCE)
                    .await
                    .expect("written");
                let plan = workload::get(number);
                port.read(SHARD, Freshness::Strong, &plan, now() + PATIENCE).await.expect("read");
            }
            assert_eq!(world.net.carried("service") - before, forwards, "20 requests through node {node}");
        }
    });
}

#[test]
fn reads_that_wait_together_ask_the_quorum_together() {
    simulate(3, || async {
        let (world, leader, _) = calm().await;
        let port = world.process(leader).expect("it runs").by_quorum;
        let before = world.net.carried("append");
        let plans: Vec<_> = (0..100).map(|number| workload::get(number % 4)).collect();
        let reads = plans.iter().map(|plan| port.read(SHARD, Freshness::Strong, plan, now() + PATIENCE));
        for read in join_all(reads).await {
            read.expect("read");
        }
        // Each alone would ask two followers, 200 times. Together it is a few rounds, and heartbeats that fall in between.
        let asked = world.net.carried("append") - before;
        assert!((1..=20).contains(&asked), "100 reads cost {asked} questions");
    });
}

#[test]
fn an_orderly_end_leaves_nothing_that_a_power_cut_takes() {
    simulate(4, || async {
        let (world, leader, _) = calm().await;
        let process = world.process(leader).expect("it runs");
        for number in 0..10 {
            let written = process.by_lease.write(SHARD, workload::put(number, 1), now() + PATIENCE).await;
            written.expect("written");
        }
        assert!(world.unsynced(leader) > 0, "every write is synced, so this proves nothing");
        process.host.stop().await.expect("its disk works");
        assert_eq!(world.unsynced(leader), 0);
    });
}
