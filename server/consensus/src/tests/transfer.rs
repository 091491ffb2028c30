//! Handing a leadership over: from the first moment on, the old leader serves no lease read in its term.
//!
//! A transfer breaks the promise that the lease stands on: voters follow it at once. So the old leader's clock says
//! nothing any more, and whether the transfer succeeded is something it may never hear.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use trilith_values::{NodeId, ReplicaId};

use super::world::{SHARD, World, eventually, settings, simulate};
use crate::{Consistency, PeerRequest, RaftRequest, ReadError};

/// The old leader asks A to take over and hears nothing from then on. Gives whether it believes
/// in its lease (mark or no mark), and what it answers, once A has acknowledged a write.
async fn hand_over_and_lose_touch(
    seed: u64,
    clear_the_mark: bool,
) -> (bool, Result<Option<String>, ReadError>) {
    let mut world = World::of_three(seed, settings()).await;
    let old = world.leader_among(&[1, 2, 3]).await;
    let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
    world.put(old, "x", "before").await;
    world.converged(&[1, 2, 3]).await;
    let target = world.replica(rest[0]).name().replica;
    // Its words still reach the others, theirs do not reach it any more.
    for node in &rest {
        world.net.cut_from(*node, &[old]);
    }
    world.replica(old).transfer_leadership(target).await;
    if clear_the_mark {
        world.replica(old).lease().clear_transfer();
    }
    eventually("the new leader", || world.replica(rest[0]).lease_holds()).await;
    world.put(rest[0], "x", "after").await;
    assert!(world.replica(old).leads(), "it was told nothing");
    let holds = world.replica(old).lease_holds();
    let answer = world.get(old, Consistency::Lease, "x").await;
    world.net.heal();
    world.converged(&[1, 2, 3]).await;
    (holds, answer)
}

#[test]
fn the_old_leader_serves_no_lease_read() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let (holds, answer) = hand_over_and_lose_touch(seed, false).await;
            assert!(!holds);
            assert!(answer.is_err(), "{answer:?}");
        });
    }
}

#[test]
fn with_the_mark_cleared_it_would_read_stale() {
    simulate(0, || async {
        let (holds, answer) = hand_over_and_lose_touch(0, true).await;
        assert!(holds);
        assert_eq!(answer, Ok(Some("before".into())));
    });
}

#[test]
fn a_transfer_that_nobody_takes_does_not_bring_the_lease_back() {
    simulate(1, || async {
        let mut world = World::of_three(1, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        world.put(old, "x", "1").await;
        // Nobody hears of the transfer.
        world.net.lose(|_, _, request| {
            matches!(request, PeerRequest::Raft { message: RaftRequest::Transfer(_), .. })
        });
        let term = world.replica(old).status().term;
        world.replica(old).transfer_leadership(world.replica(rest[0]).name().replica).await;
        let started = Instant::now();
        while world.replica(old).status().term == term && started.elapsed() < Duration::from_secs(20) {
            assert!(!world.replica(old).lease_holds(), "after {:?}", started.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The group does not stay without a leader, and a later leadership has its lease.
        let new = world.leader_among(&[1, 2, 3]).await;
        assert!(world.replica(new).status().term > term);
        assert_eq!(world.get(new, Consistency::Lease, "x").await, Ok(Some("1".into())));
    });
}

#[test]
fn a_planned_hand_over_takes_milliseconds() {
    simulate(2, || async {
        let mut world = World::of_three(2, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        world.put(old, "x", "1").await;
        let started = Instant::now();
        world.host(old).hand_over(Duration::from_secs(5)).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        let new = world.leader_among(&rest).await;
        assert!(started.elapsed() < world.settings.election.0, "{:?}", started.elapsed());
        assert_eq!(world.get(new, Consistency::Lease, "x").await, Ok(Some("1".into())));
    });
}

/// openraft hands a removed leader's leadership over by itself: that is a transfer too.
#[test]
fn a_leader_that_is_removed_serves_no_lease_read() {
    simulate(3, || async {
        let mut world = World::of_three(3, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        world.put(old, "x", "1").await;
        world.start(4);
        world.host(4).create(SHARD, ReplicaId(104)).await.expect("created");
        let leader = world.replica(old);
        leader.add_learner(ReplicaId(104), NodeId(4)).await.expect("added");
        let voters: BTreeSet<ReplicaId> = [rest[0], rest[1], 4].map(|node| ReplicaId(100 + node)).into();
        leader.change_voters(voters.clone()).await.expect("changed");
        let started = Instant::now();
        while leader.leads() && started.elapsed() < Duration::from_secs(5) {
            assert!(!leader.lease_holds(), "after {:?}", started.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let new = world.leader_among(&[rest[0], rest[1], 4]).await;
        assert_eq!(world.get(new, Consistency::Lease, "x").await, Ok(Some("1".into())));
        let status = world.replica(new).status();
        assert_eq!(status.voters.into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>(), voters);
    });
}
