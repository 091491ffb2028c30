//! Who belongs to a group: laggards behind a purge, joint configurations that somebody left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use trilith_values::{NodeId, ReplicaId};

use super::commands::open;
use super::world::{SHARD, World, eventually, settings, simulate};
use crate::{Consistency, PeerRequest, RaftRequest, RaftSettings};

fn purging() -> RaftSettings {
    RaftSettings { log_kept_bytes: 0, ..settings() }
}

#[test]
fn a_laggard_catches_up_by_snapshot_once_its_entries_are_purged() {
    simulate(1, || async {
        let mut world = World::of_three(1, purging()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        let laggard = (1..=3).find(|node| *node != leader).expect("three");
        let rest: Vec<u64> = (1..=3).filter(|node| *node != laggard).collect();
        world.put(leader, "old", "1").await;
        world.converged(&[1, 2, 3]).await;
        world.net.cut(&[laggard], &rest);
        world.propose(leader, open(8)).await.expect("opened");
        for n in 0..50 {
            world.put(leader, &format!("k{n}"), "v").await;
        }
        let behind = world.replica(laggard).status().last_log;
        world.replica(leader).purge_fully().await;
        eventually("the purge", || world.replica(leader).status().purged > behind).await;
        assert_eq!(world.net.snapshot_chunks(), 0);
        world.net.heal();
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "new", "1").await;
        world.converged(&[1, 2, 3]).await;
        assert!(world.net.snapshot_chunks() > 0);
        for key in ["old", "k0", "k49", "new"] {
            assert!(world.get(laggard, Consistency::Eventual, key).await.expect("read").is_some(), "{key}");
        }
        // What came by snapshot is as durable as what came by log.
        world.restart(laggard).await;
        world.leader_among(&[1, 2, 3]).await;
        world.converged(&[1, 2, 3]).await;
    });
}

#[test]
fn a_receiver_that_crashes_between_chunks_gets_the_snapshot_again() {
    simulate(2, || async {
        let mut world = World::of_three(2, purging()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        let laggard = (1..=3).find(|node| *node != leader).expect("three");
        let rest: Vec<u64> = (1..=3).filter(|node| *node != laggard).collect();
        world.converged(&[1, 2, 3]).await;
        world.net.cut(&[laggard], &rest);
        // Several chunks of a megabyte.
        let large = "x".repeat(300_000);
        for n in 0..12 {
            world.put(leader, &format!("k{n}"), &large).await;
        }
        world.replica(leader).purge_fully().await;
        eventually("the purge", || world.replica(leader).status().purged > 5).await;
        let mut chunks = 0;
        world.net.lose(move |_, _, request| {
            let chunk = matches!(request, PeerRequest::Raft { message: RaftRequest::Snapshot(_), .. });
            chunks += u32::from(chunk);
            chunk && chunks == 3
        });
        world.net.heal();
        eventually("some chunks", || world.net.snapshot_chunks() >= 2).await;
        world.restart(laggard).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "new", "1").await;
        world.converged(&[1, 2, 3]).await;
        assert_eq!(world.get(laggard, Consistency::Eventual, "k11").await, Ok(Some(large)));
    });
}

#[test]
fn a_joint_configuration_left_behind_is_finished() {
    simulate(3, || async {
        let mut world = World::of_three(3, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        let leaves = (1..=3).find(|node| *node != leader).expect("three");
        world.start(4);
        let joins = ReplicaId(104);
        world.host(4).create(SHARD, joins).await.expect("created");
        let replica = world.replica(leader);
        replica.add_learner(joins, NodeId(4)).await.expect("added");
        eventually("the learner", || replica.lag_of(joins) == Some(0)).await;
        let mut voters: BTreeSet<ReplicaId> = replica.status().voters.into_iter().map(|(id, _)| id).collect();
        voters.remove(&ReplicaId(100 + leaves));
        voters.insert(joins);
        let change = {
            let (replica, voters) = (replica.clone(), voters.clone());
            tokio::spawn(async move { replica.change_voters(voters).await })
        };
        // Whoever drives the change dies after its first half.
        while !replica.status().joint {
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        change.abort();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(replica.status().joint, "nobody finishes it by itself");
        // In joint mode the group still works, over a crash of its leader too.
        world.put(leader, "x", "1").await;
        world.crash(leader).await;
        let others: Vec<u64> = (1..=4).filter(|node| *node != leader).collect();
        let second = world.leader_among(&others).await;
        world.put(second, "x", "2").await;
        world.replica(second).change_voters(voters.clone()).await.expect("finished");
        eventually("the end of the joint configuration", || !world.replica(second).status().joint).await;
        let status = world.replica(second).status();
        assert_eq!(status.voters.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), voters);
        world.start(leader);
        world.host(leader).recover(true).await.expect("recovered");
        let members: Vec<u64> = (1..=4).filter(|node| *node != leaves).collect();
        let leader = world.leader_among(&members).await;
        world.put(leader, "x", "3").await;
        world.converged(&members).await;
    });
}

#[test]
fn doing_a_finished_change_again_changes_nothing() {
    simulate(4, || async {
        let world = World::of_three(4, settings()).await;
        let replica = world.replica(world.leader_among(&[1, 2, 3]).await);
        let before = replica.status().voters;
        let voters: BTreeSet<ReplicaId> = before.iter().map(|(id, _)| *id).collect();
        replica.change_voters(voters).await.expect("nothing to do");
        let after = replica.status();
        assert_eq!(after.voters, before);
        assert!(!after.joint);
    });
}
