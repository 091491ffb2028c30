//! A group of three: elections, writes and reads, and what goes wrong with one command, one queue or one disk.

use std::time::Duration;

use futures::future::join_all;
use trilith_domain::machine::{CommandBody, ReplyBody};
use trilith_storage::StorageError;
use trilith_storage::engine::Family;

use super::commands::{command, put};
use super::world::{PATIENCE, TABLE, World, eventually, settings, simulate};
use crate::{Consistency, ProposeError, RaftSettings, ReadError};

#[test]
fn it_elects_replicates_and_serves_strong_reads() {
    simulate(1, || async {
        let mut world = World::of_three(1, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "a", "1").await;
        world.put(leader, "a", "2").await;
        for consistency in [Consistency::Lease, Consistency::ReadIndex] {
            assert_eq!(world.get(leader, consistency, "a").await, Ok(Some("2".into())));
            assert_eq!(world.get(leader, consistency, "b").await, Ok(None));
        }
        world.converged(&[1, 2, 3]).await;
        for node in [1, 2, 3] {
            assert_eq!(world.get(node, Consistency::Eventual, "a").await, Ok(Some("2".into())));
        }
    });
}

#[test]
fn a_follower_serves_no_strong_read_and_takes_no_write_but_names_the_leader() {
    simulate(2, || async {
        let mut world = World::of_three(2, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        let follower = (1..=3).find(|node| *node != leader).expect("three nodes");
        let named = Some(trilith_values::NodeId(leader));
        for consistency in [Consistency::Lease, Consistency::ReadIndex] {
            let refused = world.get(follower, consistency, "a").await;
            assert_eq!(refused, Err(ReadError::NotLeader { leader: named }));
        }
        let refused = world.propose(follower, put(TABLE, "a", "1")).await;
        assert_eq!(refused, Err(ProposeError::NotProposed { leader: named }));
    });
}

#[test]
fn another_leads_when_the_leader_dies_and_nothing_acknowledged_is_lost() {
    simulate(3, || async {
        let mut world = World::of_three(3, settings()).await;
        let first = world.leader_among(&[1, 2, 3]).await;
        world.put(first, "a", "1").await;
        world.crash(first).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != first).collect();
        let second = world.leader_among(&rest).await;
        assert_eq!(world.get(second, Consistency::Lease, "a").await, Ok(Some("1".into())));
        world.put(second, "a", "2").await;
        world.start(first);
        assert_eq!(world.host(first).recover(true).await, Ok(1));
        world.converged(&[1, 2, 3]).await;
        assert_eq!(world.get(first, Consistency::Eventual, "a").await, Ok(Some("2".into())));
    });
}

#[test]
fn a_power_cut_of_all_three_loses_nothing_acknowledged() {
    simulate(4, || async {
        let mut world = World::of_three(4, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        for n in 0..20 {
            world.put(leader, &format!("k{n}"), "v").await;
        }
        for node in 1..=3 {
            world.crash(node).await;
        }
        for node in 1..=3 {
            world.start(node);
            world.host(node).recover(true).await.expect("recovered");
        }
        let leader = world.leader_among(&[1, 2, 3]).await;
        for n in 0..20 {
            assert_eq!(
                world.get(leader, Consistency::ReadIndex, &format!("k{n}")).await,
                Ok(Some("v".into()))
            );
        }
        world.converged(&[1, 2, 3]).await;
    });
}

#[test]
fn a_leader_cut_off_serves_no_strong_read_once_its_lease_is_over() {
    simulate(5, || async {
        let mut world = World::of_three(5, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        world.put(old, "a", "1").await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        world.net.cut(&[old], &rest);
        let new = world.leader_among(&rest).await;
        world.put(new, "a", "2").await;
        assert!(world.replica(old).leads(), "it does not know better");
        assert!(!world.replica(old).lease_holds());
        for consistency in [Consistency::Lease, Consistency::ReadIndex] {
            assert!(world.get(old, consistency, "a").await.is_err());
        }
        world.net.heal();
        world.converged(&[1, 2, 3]).await;
    });
}

#[test]
fn a_write_that_a_new_leader_discards_was_never_called_unproposed() {
    simulate(6, || async {
        let mut world = World::of_three(6, settings()).await;
        let old = world.leader_among(&[1, 2, 3]).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != old).collect();
        world.net.cut(&[old], &rest);
        let replica = world.replica(old);
        let lost =
            tokio::spawn(async move { replica.propose(command(900, put(TABLE, "a", "lost")), 100).await });
        let new = world.leader_among(&rest).await;
        world.put(new, "a", "kept").await;
        assert!(!lost.is_finished(), "it is in the old leader's log: nobody knows yet what becomes of it");
        world.net.heal();
        let outcome = lost.await.expect("no panic");
        assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
        world.converged(&[1, 2, 3]).await;
        assert_eq!(world.get(old, Consistency::Eventual, "a").await, Ok(Some("kept".into())));
    });
}

#[test]
fn commands_that_wait_together_share_entries() {
    simulate(7, || async {
        let world = World::of_three(7, settings()).await;
        let leader = world.replica(world.leader_among(&[1, 2, 3]).await);
        let before = leader.status();
        let writes = (0..500).map(|n| {
            let leader = leader.clone();
            async move { leader.propose(command(1_000 + n, put(TABLE, &format!("k{n}"), "v")), 100).await }
        });
        for reply in join_all(writes).await {
            assert!(matches!(reply.expect("acknowledged").body, ReplyBody::Written(_)));
        }
        let after = leader.status();
        assert_eq!(after.writes - before.writes, 500);
        let entries = after.last_log - before.last_log;
        let limit = 500_u64.div_ceil(world.settings.entry_commands as u64);
        assert!((limit..=limit + 2).contains(&entries), "{entries} entries for 500 commands");
        world.converged(&[1, 2, 3]).await;
    });
}

#[test]
fn a_full_queue_refuses_at_once_and_proposes_nothing() {
    let small = RaftSettings { queue: 4, entry_commands: 2, ..settings() };
    simulate(8, || async {
        let world = World::of_three(8, small).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
        // Nothing can be committed: what is in flight stays there, and the queue behind it fills.
        world.net.cut(&[leader], &rest);
        let replica = world.replica(leader);
        let mut outcomes = Vec::new();
        for n in 0..40 {
            let replica = replica.clone();
            outcomes.push(tokio::spawn(async move {
                replica.propose(command(2_000 + n, put(TABLE, &format!("k{n}"), "v")), 100).await
            }));
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (done, waiting): (Vec<_>, Vec<_>) =
            outcomes.into_iter().partition(tokio::task::JoinHandle::is_finished);
        let room = world.settings.queue + world.settings.entries_in_flight * world.settings.entry_commands;
        assert!(waiting.len() <= room, "{} wait where {room} may", waiting.len());
        assert!(!done.is_empty());
        let refused = done.len();
        for outcome in done {
            assert_eq!(outcome.await.expect("no panic"), Err(ProposeError::Overloaded));
        }
        world.net.heal();
        world.leader_among(&[1, 2, 3]).await;
        for outcome in waiting {
            // Whatever became of those that had entered the queue, each got an answer.
            let outcome =
                tokio::time::timeout(PATIENCE, outcome).await.expect("an answer").expect("no panic");
            assert_ne!(outcome, Err(ProposeError::Overloaded));
        }
        world.converged(&[1, 2, 3]).await;
        let present = join_all((0..40).map(|n| {
            let world = &world;
            async move { world.get(leader, Consistency::Eventual, &format!("k{n}")).await.expect("read") }
        }));
        let present = present.await.into_iter().flatten().count();
        assert!(present <= 40 - refused, "{present} of 40 are there, {refused} were refused");
    });
}

#[test]
fn a_command_that_panics_is_answered_alike_and_kills_nobody() {
    simulate(9, || async {
        let mut world = World::of_three(9, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "a", "1").await;
        let poisoned = world.propose(leader, CommandBody::PlantedPanic).await.expect("answered");
        assert_eq!(poisoned.body, ReplyBody::Poisoned);
        world.put(leader, "a", "2").await;
        world.converged(&[1, 2, 3]).await;
        for node in 1..=3 {
            let status = world.replica(node).status();
            assert_eq!((status.poisoned, status.failed), (1, None));
            // Set aside means recorded: the row is there, and a restart applies the same entry in the same way.
            world.restart(node).await;
        }
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "a", "3").await;
        world.converged(&[1, 2, 3]).await;
        for node in 1..=3 {
            assert_eq!(world.replica(node).applied().poisoned(), 1);
        }
    });
}

#[test]
fn a_failing_disk_stops_its_replica_and_the_group_goes_on() {
    for of_leader in [true, false] {
        simulate(10, || async {
            let mut world = World::of_three(10, settings()).await;
            let leader = world.leader_among(&[1, 2, 3]).await;
            world.put(leader, "a", "1").await;
            let broken =
                if of_leader { leader } else { (1..=3).find(|node| *node != leader).expect("three") };
            world.files(broken).fail_next_sync();
            let outcome = world.propose(leader, put(TABLE, "a", "2")).await;
            if !of_leader {
                assert!(outcome.is_ok(), "two of three suffice: {outcome:?}");
            }
            eventually("the stop", || world.replica(broken).status().failed.is_some()).await;
            let rest: Vec<u64> = (1..=3).filter(|node| *node != broken).collect();
            let leader = world.leader_among(&rest).await;
            world.put(leader, "a", "3").await;
            assert_eq!(world.get(leader, Consistency::Lease, "a").await, Ok(Some("3".into())));
            for consistency in [Consistency::Lease, Consistency::ReadIndex] {
                assert!(
                    world.get(broken, consistency, "a").await.is_err(),
                    "it answers nothing strong any more"
                );
            }
            assert!(world.propose(broken, put(TABLE, "a", "4")).await.is_err());
            // A restart on a disk that works again brings it back.
            world.restart(broken).await;
            world.converged(&[1, 2, 3]).await;
        });
    }
}

#[test]
fn a_damaged_row_is_an_error_and_never_an_answer() {
    simulate(11, || async {
        let mut world = World::of_three(11, settings()).await;
        let leader = world.leader_among(&[1, 2, 3]).await;
        world.put(leader, "a", "1").await;
        let engine = world.engine(leader);
        let mut batch = trilith_storage::WriteBatch::new();
        let damaged = engine.scan(Family::Items, &[], None, false, &mut |key, value| {
            let mut value = value.to_vec();
            *value.last_mut().expect("not empty") ^= 1;
            batch.put(Family::Items, key.to_vec(), value);
            std::ops::ControlFlow::Continue(())
        });
        damaged.and_then(|()| engine.write(batch)).map_err(|e: StorageError| e.to_string()).expect("written");
        let read = world.get(leader, Consistency::Lease, "a").await;
        assert!(matches!(read, Err(ReadError::Storage(_))), "{read:?}");
        // Applying a command that needs the row stops this replica; the others have it whole.
        let _ = world.propose(leader, put(TABLE, "a", "2")).await;
        eventually("the stop", || world.replica(leader).status().failed.is_some()).await;
        let rest: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
        let other = world.leader_among(&rest).await;
        world.put(other, "a", "3").await;
    });
}
