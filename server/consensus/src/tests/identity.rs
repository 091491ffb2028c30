//! A replica id speaks once: what a node that lost its folder must not do, and what it does instead.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use trilith_storage::engine::Family;
use trilith_values::{NodeId, ReplicaId};

use super::world::{SHARD, TABLE, World, eventually, settings, simulate};
use crate::{Consistency, RaftSettings, ReadError};

#[test]
fn a_destroyed_replica_is_never_created_again() {
    simulate(1, || async {
        let mut world = World::of_three(1, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "x", "1").await;
        let node = (1..=3).find(|node| *node != leader).expect("three");
        let spent = world.replica(node).name().replica;
        world.host(node).destroy(spent).await.expect("destroyed");
        let refused = |made: Result<crate::Replica, ReadError>| match made {
            Err(ReadError::Storage(why)) => why.contains("never used again"),
            _ => false,
        };
        assert!(refused(world.host(node).create(SHARD, spent).await));
        world.restart(node).await;
        assert!(world.host(node).replicas().all().is_empty());
        assert!(refused(world.host(node).create(SHARD, spent).await), "not after a restart either");
        assert!(world.host(node).create(SHARD, ReplicaId(201)).await.is_ok(), "another id is welcome");
    });
}

#[test]
fn a_node_holds_one_replica_of_a_shard() {
    simulate(2, || async {
        let world = World::of_three(2, settings()).await;
        let other = world.host(1).create(SHARD, ReplicaId(201)).await;
        assert!(matches!(other, Err(ReadError::Storage(_))));
        let same = world.host(1).create(SHARD, ReplicaId(101)).await.expect("the running one");
        assert_eq!(same.name(), world.replica(1).name());
    });
}

#[test]
fn two_calls_that_create_the_same_replica_start_one() {
    simulate(3, || async {
        let mut world = World::new(3, settings());
        world.start(1);
        let host = world.host(1);
        let (one, other) = tokio::join!(host.create(SHARD, ReplicaId(5)), host.create(SHARD, ReplicaId(5)));
        assert_eq!(one.expect("created").name(), other.expect("the same").name());
        assert_eq!(host.replicas().all().len(), 1);
    });
}

/// The tombstone is durable before the rows go; a crash in between leaves both.
#[test]
fn a_destroy_cut_short_leaves_nothing_to_its_successor() {
    simulate(4, || async {
        let mut world = World::of_three(4, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "x", "1").await;
        world.converged(&[1, 2, 3]).await;
        let node = (1..=3).find(|node| *node != leader).expect("three");
        // What is applied survives the crash, what the destroy does after its tombstone does not.
        world.engine(node).sync().expect("synced");
        world.host(node).destroy(world.replica(node).name().replica).await.expect("destroyed");
        world.crash(node).await;
        let rows = |world: &World| {
            let mut rows = 0;
            let engine = world.engine(node);
            let count = engine.scan(Family::Items, &[], None, false, &mut |_, _| {
                rows += 1;
                std::ops::ControlFlow::Continue(())
            });
            count.expect("scanned");
            rows
        };
        assert_eq!(rows(&world), 1, "the crash undid the wipe");
        world.start(node);
        world.host(node).recover(true).await.expect("recovered");
        assert_eq!(rows(&world), 0, "the destroy was finished");
        let new = ReplicaId(200 + node);
        let made = world.host(node).create(SHARD, new).await.expect("created");
        assert_eq!(made.applied().index(), 0, "it begins with nothing");
        let leader = world.leader_among(&(1..=3).filter(|n| *n != node).collect::<Vec<_>>()).await;
        world.replica(leader).add_learner(new, NodeId(node)).await.expect("added");
        world.converged(&[1, 2, 3]).await;
    });
}

/// A write that the leader and B have and A has not; then B's folder is gone. Gives (leader, A, B).
async fn folder_lost_under_a_write(world: &mut World) -> (u64, u64, u64) {
    let leader = world.leader_among(&[1, 2, 3]).await;
    let rest: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    let (a, b) = (rest[0], rest[1]);
    world.converged(&[1, 2, 3]).await;
    world.net.cut(&[a], &[leader, b]);
    world.put(leader, "x", "acknowledged").await;
    world.lose_disk(b).await;
    // And the leader is out of reach for a while.
    world.net.heal();
    world.net.cut(&[leader], &[a, b]);
    world.start(b);
    (leader, a, b)
}

#[test]
fn the_naive_way_back_loses_an_acknowledged_write() {
    simulate(5, || async {
        let mut world = World::of_three(5, settings()).await;
        let (_, a, b) = folder_lost_under_a_write(&mut world).await;
        // An empty store speaks in the name of the replica that had acknowledged the write.
        world.host(b).create(SHARD, ReplicaId(100 + b)).await.expect("nothing is left that could refuse it");
        let new = world.leader_among(&[a]).await;
        assert_eq!(world.get(new, Consistency::ReadIndex, "x").await, Ok(None), "the write is lost");
    });
}

#[test]
fn the_right_way_back_keeps_it() {
    let settings = RaftSettings { log_kept_bytes: 0, ..settings() };
    simulate(5, || async {
        let mut world = World::of_three(5, settings).await;
        let (old, a, b) = folder_lost_under_a_write(&mut world).await;
        let new = ReplicaId(200 + b);
        world.host(b).create(SHARD, new).await.expect("created");
        // Nobody gave the new id a vote: A alone is no majority, so there is no leader without the write.
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            assert!(!world.replica(a).leads() && !world.replica(b).leads());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.net.heal();
        let leader = world.leader_among(&[old, a]).await;
        assert_eq!(world.get(leader, Consistency::ReadIndex, "x").await, Ok(Some("acknowledged".into())));
        // Learner, snapshot, joint change.
        for n in 0..10 {
            world.put(leader, &format!("k{n}"), "v").await;
        }
        world.replica(leader).purge_fully().await;
        eventually("the purge", || world.replica(leader).status().purged > 5).await;
        world.replica(leader).add_learner(new, NodeId(b)).await.expect("added");
        eventually("the learner", || world.replica(leader).lag_of(new) == Some(0)).await;
        assert!(world.net.snapshot_chunks() > 0, "its log was purged: it came by snapshot");
        let voters: BTreeSet<ReplicaId> = [ReplicaId(100 + old), ReplicaId(100 + a), new].into();
        world.replica(leader).change_voters(voters.clone()).await.expect("changed");
        // Now any one may go, also the one that had the write all the time.
        world.crash(old).await;
        let leader = world.leader_among(&[a, b]).await;
        assert_eq!(world.get(leader, Consistency::Lease, "x").await, Ok(Some("acknowledged".into())));
        world.put(leader, "x", "and on").await;
        let status = world.replica(leader).status();
        assert_eq!(status.voters.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>(), voters);
        assert!(!status.joint && TABLE > 0);
    });
}

#[test]
fn a_log_purged_beyond_its_state_is_refused() {
    let settings = RaftSettings { log_kept_bytes: 0, ..settings() };
    simulate(6, || async {
        let mut world = World::of_three(6, settings).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        for n in 0..10 {
            world.put(leader, &format!("k{n}"), "v").await;
        }
        world.converged(&[1, 2, 3]).await;
        world.replica(leader).purge_fully().await;
        eventually("the purge", || world.replica(leader).status().purged > 5).await;
        // The next sync of the log takes the purge with it.
        world.put(leader, "last", "v").await;
        // Something ate the rows of the shard, and only them.
        let engine = world.engine(leader);
        crate::state_machine::wipe(engine.as_ref(), SHARD).expect("wiped");
        engine.sync().expect("synced");
        world.crash(leader).await;
        world.start(leader);
        let recovered = world.host(leader).recover(true).await;
        assert_eq!(recovered, Ok(0), "it costs this replica, and nothing else");
        assert!(world.host(leader).replicas().of_shard(SHARD).is_none());
    });
}
