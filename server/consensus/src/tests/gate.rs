//! Votes withheld after a start: the schedule that needs it, with the gate and without.
//!
//! The leader is cut off from follower A and keeps its lease by the acknowledgements of follower B. B crashes right
//! after one of them, comes back at once, and is asked by A for its vote. openraft has forgotten the promise that B
//! gave with its last acknowledgement.

use std::time::Duration;

use super::world::{World, eventually, settings, simulate};
use crate::{Consistency, RaftSettings};

/// Runs the schedule. Gives what the old leader answered to lease reads after the new one had acknowledged a write
/// (nothing where it refused, or where there was no new leader within its lease).
async fn restart_within_the_lease(seed: u64, settings: RaftSettings) -> Vec<Option<String>> {
    let mut world = World::of_three(seed, settings).await;
    let old = world.leader_among(&[1, 2, 3]).await;
    let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
    let (a, b) = (rest[0], rest[1]);
    world.put(old, "x", "before").await;
    world.converged(&[1, 2, 3]).await;
    world.net.cut(&[old], &[a]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(world.replica(old).lease_holds(), "B keeps the lease alive");
    assert!(!world.replica(a).leads(), "B refuses A while it follows the leader");

    world.net.cut(&[old], &[b]);
    world.restart(b).await;
    let mut stale = Vec::new();
    let mut wrote = false;
    while world.replica(old).lease_holds() {
        world.replica(a).campaign().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        if !wrote && world.replica(a).lease_holds() {
            world.put(a, "x", "after").await;
            wrote = true;
        }
        if wrote && world.replica(old).lease_holds() {
            stale.push(world.get(old, Consistency::Lease, "x").await.expect("it holds the lease"));
        }
    }
    // Whatever happened, the group lives on.
    eventually("a new leader", || rest.iter().any(|node| world.replica(*node).lease_holds())).await;
    world.net.heal();
    world.converged(&[1, 2, 3]).await;
    stale
}

#[test]
fn a_restarted_follower_keeps_the_promise_it_gave_before() {
    for seed in 0..5 {
        simulate(seed, || async move {
            let answers = restart_within_the_lease(seed, settings()).await;
            assert_eq!(answers, [], "the new leader came while the old one still had its lease");
        });
    }
}

#[test]
fn without_the_gate_the_same_schedule_reads_stale() {
    simulate(0, || async {
        let answers = restart_within_the_lease(0, RaftSettings { vote_wait: false, ..settings() }).await;
        assert!(answers.contains(&Some("before".into())), "{answers:?}");
    });
}

#[test]
fn a_replica_that_withholds_its_vote_does_not_stand_either() {
    simulate(1, || async {
        let mut world = World::of_three(1, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        world.put(old, "x", "1").await;
        world.net.cut(&[old], &rest);
        world.restart(rest[0]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let term = world.replica(rest[0]).status().term;
        let opens = tokio::time::Instant::now() + world.settings.vote_wait_time() - Duration::from_millis(10);
        while tokio::time::Instant::now() < opens - Duration::from_millis(50) {
            world.replica(rest[0]).campaign().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(world.replica(rest[0]).status().term, term);
        }
        world.leader_among(&rest).await;
    });
}

#[test]
fn a_new_replica_has_promised_nothing_and_votes_at_once() {
    simulate(2, || async {
        let started = tokio::time::Instant::now();
        let world = World::of_three(2, settings()).await;
        world.leader_among(&[1, 2, 3]).await;
        // One election timeout at most; the wait would come on top of it.
        let bound = world.settings.election.1 * 2;
        assert!(started.elapsed() < bound + world.settings.vote_wait_time(), "{:?}", started.elapsed());
        assert_eq!(world.replica(1).gate().remaining(), None);
    });
}
