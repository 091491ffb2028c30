//! The deterministic simulation: three nodes, clients, faults and a ledger, on one thread under one seed.
//!
//! A run is a function of its seed: the network's delays and losses, what a disk keeps at a power cut, when nodes die
//! and come back, what clients ask, every random number of Raft and of the scheduler. So a run that fails once fails
//! always, and its seed is all there is to report. Time is simulated: half a minute of faults takes about a second.
//!
//! ```text
//! clients ([`workload`]) ──> three nodes ([`world`]) <── faults ([`faults`])
//!      │ what was asked and answered                │ what each replica has
//!      └──> ledger and per-key check ([`oracle`])   └──> invariants, all the time ([`invariants`])
//! ```
//!
//! [`catalog`] is a run of its own: an hour in which the catalog has no leader. So is [`bank`]: whole servers, on several
//! shards, that move money by transactions in a table with indexes.
//!
//! [`counted`] counts what requests cost.
//!
//! The simulation must be able to fail: planted bugs ([`world::Planted`]) turn it red.
//!
//! `SEEDS=1000 cargo test -p trilith-tests --test sim` runs more seeds, `SEED=17` one of them, `TRACE=1` tells it all.

mod bank;
mod catalog;
mod counted;
mod faults;
mod invariants;
mod oracle;
mod server;
mod trace;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use world::{Planted, World};

/// Simulated time under faults, before everything heals.
const CHAOS: Duration = Duration::from_secs(20);

/// What a run found.
struct Report {
    /// Over everything that happened, in order, with its time.
    trace: u64,
    acknowledged: usize,
    unknown: usize,
    reads: usize,
    /// Crashes, cuts and so on.
    faults: usize,
    snapshots: u64,
}

/// One run. An error tells what was violated.
fn run(seed: u64, planted: Planted) -> Result<Report, String> {
    let caught = catch_unwind(AssertUnwindSafe(|| world::simulate(seed, || simulate(seed, planted))));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text
            .or(panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "a panic".into()))
    })
}

async fn simulate(seed: u64, planted: Planted) -> Result<Report, String> {
    let world = World::start(seed, planted).await;
    workload::open_table(&world).await;
    let watch = tokio::spawn(invariants::watch(world.clone()));
    let clients: Vec<_> =
        (0..workload::CLIENTS).map(|client| tokio::spawn(workload::client(world.clone(), client))).collect();
    faults::run(&world, CHAOS).await?;
    world.end_of_work();
    for client in clients {
        client.await.map_err(|e| format!("a client died: {e}"))?;
    }
    faults::heal(&world).await?;
    invariants::converged(&world).await?;
    workload::read_everything(&world).await?;
    invariants::converged(&world).await?;
    invariants::logs_match(&world)?;
    watch.abort();
    if let Some(violation) = world.violation() {
        return Err(violation);
    }
    let history = world.history();
    oracle::check(&history)?;
    Ok(Report {
        trace: world.trace.hash(),
        acknowledged: history.acknowledged(),
        unknown: history.unknown(),
        reads: history.reads(),
        faults: world.faults(),
        snapshots: world.net.snapshot_chunks(),
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn nothing_acknowledged_is_lost_and_no_strong_read_is_stale() {
    let seeds: Vec<u64> = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(50)).collect(),
    };
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(seeds.len());
    let results: Vec<(u64, Result<Report, String>)> = std::thread::scope(|scope| {
        let work = || {
            let mut results = Vec::new();
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let result = run(*seed, Planted::Nothing);
                if let Err(violation) = &result {
                    println!("seed {seed} is red: {violation}");
                }
                results.push((*seed, result));
            }
            results
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("runs catch their panics")).collect()
    });
    let green: Vec<&Report> = results.iter().filter_map(|(_, result)| result.as_ref().ok()).collect();
    let sum = |of: fn(&Report) -> usize| green.iter().map(|report| of(report)).sum::<usize>();
    println!(
        "{} seeds, {:.0} a minute: {} acknowledged writes, {} of unknown outcome, {} strong reads, {} faults, {} snapshot chunks",
        results.len(),
        results.len() as f64 * 60.0 / started.elapsed().as_secs_f64(),
        sum(|report| report.acknowledged),
        sum(|report| report.unknown),
        sum(|report| report.reads),
        sum(|report| report.faults),
        green.iter().map(|report| report.snapshots).sum::<u64>(),
    );
    let red: Vec<u64> = results.iter().filter(|(_, result)| result.is_err()).map(|(seed, _)| *seed).collect();
    assert_eq!(red, [], "red seeds; run one again with SEED=n");
    // A simulation in which nothing happens proves nothing.
    let dull = |report: &Report| report.acknowledged <= 100 || report.reads <= 100 || report.faults < 5;
    for (seed, report) in results.iter().filter_map(|(seed, result)| Some((seed, result.as_ref().ok()?))) {
        let Report { acknowledged, reads, faults, .. } = report;
        assert!(!dull(report), "seed {seed}: {acknowledged} writes, {reads} reads, {faults} faults");
    }
    if seeds.len() >= 50 {
        assert!(sum(|report| report.unknown) > 0 && green.iter().any(|report| report.snapshots > 0));
    }
}

#[test]
fn a_seed_decides_everything() {
    for seed in [1, 2, 3] {
        let traces = [(); 2].map(|()| run(seed, Planted::Nothing).map(|report| report.trace));
        assert!(traces[0].is_ok(), "{traces:?}");
        assert_eq!(traces[0], traces[1], "seed {seed} went two ways");
    }
    let [one, other] = [4, 5].map(|seed| run(seed, Planted::Nothing).expect("green").trace);
    assert_ne!(one, other);
}

/// Runs seeds until one is red.
fn first_red(planted: Planted, seeds: u64) -> (u64, String) {
    let red = (0..seeds).find_map(|seed| run(seed, planted).err().map(|violation| (seed, violation)));
    let (seed, violation) = red.unwrap_or_else(|| panic!("{planted:?} stayed green for {seeds} seeds"));
    println!("{planted:?} is found by seed {seed}: {violation}");
    (seed, violation)
}

#[test]
fn a_skipped_fsync_turns_it_red() {
    let (_, violation) = first_red(Planted::SkippedFsync, 20);
    // What was acknowledged is gone, or the log itself tells that bytes are.
    assert!(["damaged data", "no order"].iter().any(|what| violation.contains(what)), "{violation}");
}

#[test]
fn a_followers_read_served_as_strong_turns_it_red() {
    let (_, violation) = first_red(Planted::FollowerReads, 20);
    assert!(violation.contains("no order"), "{violation}");
}

#[test]
fn votes_given_right_after_a_crash_turn_it_red() {
    let (_, violation) = first_red(Planted::VotesAtOnce, 150);
    assert!(violation.contains("no order"), "{violation}");
}
