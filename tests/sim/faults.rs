//! What goes wrong, and the end at which everything heals.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};

use crate::world::{NODES, Planted, World};

/// Lets things go wrong for a while. At the end something may still be broken.
///
/// # Errors
/// When a node cannot start on its own disk.
pub(crate) async fn run(world: &World, bound: Duration) -> Result<(), String> {
    let mut random = world.random();
    let end = Instant::now() + bound;
    while Instant::now() < end {
        sleep(Duration::from_millis(random.random_range(50..1_200))).await;
        one(world, &mut random).await?;
        // Mostly one thing at a time, so that the group has time to go on.
        if random.random_bool(0.6) {
            sleep(Duration::from_millis(random.random_range(100..2_500))).await;
            world.trace.note("the network heals");
            world.net.heal();
            start_all(world).await?;
        }
    }
    Ok(())
}

fn pick(random: &mut SmallRng) -> u64 {
    NODES[random.random_range(0..NODES.len())]
}

/// The number of [`forget_a_promise`].
const FORGET: u32 = 11;

/// One fault.
async fn one(world: &World, random: &mut SmallRng) -> Result<(), String> {
    world.count_fault();
    let node = pick(random);
    let what = match world.planted {
        // The bug that shows only in this schedule gets it all the time.
        Planted::VotesAtOnce => FORGET,
        Planted::Nothing | Planted::SkippedFsync | Planted::FollowerReads => random.random_range(0..14),
    };
    match what {
        0..3 => world.crash(node, random),
        3 => {
            // It comes back within the lease of whoever leads.
            world.crash(node, random);
            sleep(Duration::from_millis(random.random_range(1..300))).await;
            world.restart(node).await?;
        }
        4 => {
            world.trace.note("the power fails");
            NODES.into_iter().for_each(|node| world.crash(node, random));
        }
        5 | 6 => isolate(world, node),
        7 => {
            let to = pick(random);
            world.trace.note(format_args!("{node} -> {to} is cut, that way only"));
            world.net.cut(node, to);
        }
        8 => {
            let (slow, loss) = (random.random_range(5_000..120_000), random.random_range(0.0..0.3));
            world.trace.note(format_args!("messages take up to {slow} us, {loss:.2} are lost"));
            world.net.weather(200..slow, loss);
        }
        9 => {
            world.trace.note(format_args!("the disk of node {node} fails"));
            world.break_disk(node);
            sleep(Duration::from_millis(random.random_range(50..1_500))).await;
            world.crash(node, random);
        }
        10 => {
            transfer(world, random).await;
        }
        FORGET | 12 => forget_a_promise(world, random).await?,
        _ => {
            // The leader hands over and is cut off at the same time.
            if let Some(leader) = transfer(world, random).await {
                sleep(Duration::from_micros(random.random_range(0..4_000))).await;
                isolate(world, leader);
            }
        }
    }
    Ok(())
}

/// The leader keeps its lease by one follower alone, which crashes, comes back at once, and hears only from the other.
async fn forget_a_promise(world: &World, random: &mut SmallRng) -> Result<(), String> {
    let leader =
        NODES.into_iter().find(|node| world.replica(*node).is_some_and(|(replica, _)| replica.leads()));
    let Some(leader) = leader else { return Ok(()) };
    let mut others = NODES.into_iter().filter(|node| *node != leader);
    let (Some(mut a), Some(mut b)) = (others.next(), others.next()) else { return Ok(()) };
    if random.random_bool(0.5) {
        (a, b) = (b, a);
    }
    world.trace.note(format_args!("{leader} leads by {b} alone, which forgets its promise"));
    world.net.cut(leader, a);
    world.net.cut(a, leader);
    sleep(Duration::from_millis(random.random_range(1_500..3_500))).await;
    isolate(world, leader);
    world.crash(b, random);
    if world.process(b).is_none() {
        world.restart(b).await?;
    }
    // The other stands for election, within the lease.
    for _ in 0..4 {
        if let Some((replica, _)) = world.replica(a) {
            replica.campaign().await;
        }
        sleep(Duration::from_millis(random.random_range(20..200))).await;
    }
    Ok(())
}

fn isolate(world: &World, node: u64) {
    world.trace.note(format_args!("node {node} is cut off"));
    for other in NODES.into_iter().filter(|other| *other != node) {
        world.net.cut(node, other);
        world.net.cut(other, node);
    }
}

/// Whoever leads hands over to somebody. Gives who it was.
async fn transfer(world: &World, random: &mut SmallRng) -> Option<u64> {
    let to = pick(random);
    let leader = NODES.into_iter().filter(|node| *node != to).find_map(|node| {
        let (replica, _) = world.replica(node)?;
        replica.leads().then_some((node, replica))
    });
    let (node, replica) = leader?;
    world.trace.note(format_args!("node {node} hands over to {to}"));
    replica.transfer_leadership(trilith_values::ReplicaId(to)).await;
    Some(node)
}

async fn start_all(world: &World) -> Result<(), String> {
    for node in NODES {
        if world.process(node).is_none() {
            world.restart(node).await?;
        }
    }
    Ok(())
}

/// The end of all faults: the network works, and every node runs on a disk that works.
///
/// # Errors
/// When a node cannot start on its own disk.
pub(crate) async fn heal(world: &World) -> Result<(), String> {
    world.trace.note("everything heals");
    world.net.heal();
    let mut random = world.random();
    for node in NODES {
        let failed = world.replica(node).is_some_and(|(replica, _)| replica.status().failed.is_some());
        if failed {
            world.crash(node, &mut random);
        }
    }
    start_all(world).await
}
