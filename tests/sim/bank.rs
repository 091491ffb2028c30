//! A bank under faults: whole servers on two data shards, a table with a local and a global index, and clients that move
//! money by transactions while nodes crash, disks lose what was not synced and the network does what it does.
//!
//! A client's request runs in a server's process and ends with it, at whatever step it is: so coordinators of transactions
//! die everywhere. What must hold: every audit by one transaction finds the same sum; when all is healed, nothing is
//! locked, and each index says what the table says. The run must be able to fail: money from nowhere ([`Cheat::Money`])
//! and an entry without an item ([`Cheat::Ghost`]) turn it red.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};
use trilith_cluster::{Freshness, now};
use trilith_domain::OpError;
use trilith_domain::keyspace::global_index_key;
use trilith_domain::machine::{CommandBody, IndexApply, OwedRow, ReplyBody};
use trilith_domain::ops::DeleteItemInput;
use trilith_domain::ops::transact_write_items::{ActionInput, TransactWriteItemInput};
use trilith_domain::read::{Plan, ReadReply};
use trilith_domain::schema::IndexSchema;
use trilith_domain::time::Stamp;
use trilith_engine::check;
use trilith_engine::test_support::{Client, requests};
use trilith_values::{Item, KeyValue, ShardId};

use crate::server::{Server, found_cluster};
use crate::world::{NODES, Planted, World, simulate};
use crate::{CHAOS, faults, invariants, number};

const TABLE: &str = "bank";
const DATA_SHARDS: u32 = 2;
const ACCOUNTS: usize = 6;
const BALANCE: i64 = 1_000;
const CLIENTS: usize = 4;
/// Simulated time from the end of all faults until everything must be at rest.
const REST: Duration = Duration::from_secs(60);

/// A violation on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cheat {
    Nothing,
    /// Somebody makes money by a plain update.
    Money,
    /// An entry of the global index comes from nowhere.
    Ghost,
}

/// The servers that run.
type Servers = Arc<Mutex<BTreeMap<u64, Arc<Server>>>>;

/// What happened.
#[derive(Default)]
struct Counts {
    moved: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    audits: AtomicU64,
}

/// Has a server run on a node whenever its process does.
async fn keep(world: World, servers: Servers, node: u64) {
    loop {
        let life = world.process(node).map(|process| process.life);
        let serving = servers.lock().get(&node).map(|server| server.life);
        if life != serving {
            servers.lock().remove(&node);
            if life.is_some() {
                let server = Arc::new(Server::start(&world, node));
                servers.lock().insert(node, server);
            }
        }
        sleep(Duration::from_millis(3)).await;
    }
}

/// Runs a request in the process of a server; `None` where that dies first.
async fn within<T>(world: &World, node: u64, life: u64, request: impl Future<Output = T>) -> Option<T> {
    let death = async {
        while world.is_alive(node, life) {
            sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        biased;
        () = death => None,
        answer = request => Some(answer),
    }
}

fn account(number: usize) -> Item {
    requests::key(&format!("account-{number}"), 0)
}

/// An item in both indexes, with an account's balance or any number.
fn indexed(mut item: Item, v: i64, w: &str) -> Item {
    item.extend([("v".to_owned(), requests::n(v)), ("w".to_owned(), w.into())]);
    item
}

fn add(number: usize, amount: i64, w: &str) -> TransactWriteItemInput {
    let update = ActionInput {
        table_name: Some(TABLE.to_owned()),
        key: Some(account(number)),
        update_expression: Some("SET v = v + :a, w = :w".to_owned()),
        expression_attribute_values: Some(Item::from([
            (":a".to_owned(), requests::n(amount)),
            (":w".to_owned(), w.into()),
        ])),
        ..Default::default()
    };
    TransactWriteItemInput { update: Some(update), ..Default::default() }
}

async fn balance(client: &Client) -> Result<i64, OpError> {
    let keys = (0..ACCOUNTS).map(account).collect();
    let got = client.transact_get_items(requests::transact_get(TABLE, keys)).await?;
    let money = |item: &Option<Item>| {
        let money = item.as_ref().and_then(|item| item["v"].as_n()).expect("an account has money");
        money.to_string().parse::<i64>().expect("a small number")
    };
    Ok(got.responses.iter().map(money).sum())
}

/// One thing that a client does; what came of it.
async fn one(client: &Client, counts: &Counts, random: &mut SmallRng) -> Result<(), String> {
    let w = ["a", "b", "c"][random.random_range(0..3)];
    match random.random_range(0..10) {
        0..5 => {
            let from = random.random_range(0..ACCOUNTS);
            let to = (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
            let amount = random.random_range(1..100);
            let transfer = requests::transact(vec![add(from, -amount, w), add(to, amount, w)]);
            let count = match client.transact_write_items(transfer).await {
                Ok(_) => &counts.moved,
                Err(OpError::TransactionCanceled(_)) => &counts.refused,
                Err(OpError::Unavailable(_) | OpError::Internal(_) | OpError::Throttling(_)) => {
                    &counts.unknown
                }
                Err(error) => return Err(format!("a transfer was answered {error}")),
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        5..7 => {
            if let Ok(sum) = balance(client).await {
                counts.audits.fetch_add(1, Ordering::Relaxed);
                if sum != ACCOUNTS as i64 * BALANCE {
                    return Err(format!("an audit found {sum}"));
                }
            }
        }
        7..9 => {
            let key = requests::key(&format!("other-{}", random.random_range(0..6)), 1);
            let item = indexed(key, random.random_range(0..5), w);
            let _ = client.put_item(requests::put(TABLE, item)).await;
        }
        _ => {
            let key = requests::key(&format!("other-{}", random.random_range(0..6)), 1);
            let input =
                DeleteItemInput { table_name: Some(TABLE.to_owned()), key: Some(key), ..Default::default() };
            let _ = client.delete_item(input).await;
        }
    }
    Ok(())
}

async fn client(world: World, servers: Servers, counts: Arc<Counts>) {
    let mut random = world.random();
    while world.is_working() {
        let node = NODES[random.random_range(0..NODES.len())];
        let server = servers.lock().get(&node).cloned();
        if let Some(server) = server {
            let client = server.client();
            let done = within(&world, node, server.life, one(&client, &counts, &mut random)).await;
            drop(server);
            if let Some(Err(violation)) = done {
                world.violated(violation);
            }
        }
        sleep(Duration::from_millis(random.random_range(5..60))).await;
    }
}

/// Any server, once one of them is ready.
async fn any_server(servers: &Servers) -> Arc<Server> {
    loop {
        let all: Vec<_> = servers.lock().values().cloned().collect();
        if let Some(server) = all.into_iter().find(|server| server.service_is_ready()) {
            return server;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Nothing is locked, the sum is right, and indexes say what the table says.
async fn at_rest(server: &Server) -> Result<(), String> {
    let deadline = Instant::now() + REST;
    for shard in (1..=DATA_SHARDS).map(ShardId) {
        let plan = Plan::Transactions { shard, limit: 10 };
        loop {
            let page =
                server.port.read(shard, Freshness::Strong, &plan, now() + Duration::from_secs(5)).await;
            match page {
                Ok(ReadReply::Transactions(page)) if page.prepared.is_empty() => break,
                found if Instant::now() > deadline => {
                    return Err(format!("locks stay on shard {shard}: {found:?}"));
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
    let sum = loop {
        match balance(&server.client()).await {
            Ok(sum) => break sum,
            Err(error) if Instant::now() > deadline => return Err(format!("no audit gets through: {error}")),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    };
    if sum != ACCOUNTS as i64 * BALANCE {
        return Err(format!("the last audit found {sum}"));
    }
    let record = server.port.table(0, TABLE).ok_or("the table is gone")?;
    for index in &record.definition.indexes {
        let report = check::index(&*server.port, &record, index, REST).await;
        match report {
            Ok(report) if report.is_equal() && report.undecided == 0 && report.entries >= ACCOUNTS as u64 => {
            }
            found => return Err(format!("index {}: {found:?}", index.schema.name)),
        }
    }
    Ok(())
}

async fn cheat(server: &Server, cheat: Cheat) {
    match cheat {
        Cheat::Nothing => {}
        Cheat::Money => {
            let update = requests::update(TABLE, account(0), "ADD v :v", requests::n(1));
            server.client().update_item(update).await.expect("nothing is broken yet");
        }
        Cheat::Ghost => {
            let record = server.port.table(0, TABLE).expect("it was made");
            let index = record.definition.index(requests::BY_W).expect("it was made with it");
            let values = [KeyValue::S("w".to_owned()), KeyValue::N(trilith_values::Number::from_i64(1))];
            let item = indexed(requests::key("nobody", 1), 1, "w");
            let own =
                trilith_domain::item::ItemKey::of_item(&record.schema(), &item).expect("it has its key");
            let trilith_domain::schema::IndexScope::Global { seed } = index.schema.scope else {
                panic!("a global index")
            };
            let hash = IndexSchema::hash_of(seed, &values[..1]);
            let header = trilith_domain::item::ItemHeader::local(Stamp(1), &item);
            let row = OwedRow {
                key: global_index_key(index.schema.id, hash, values.iter(), &own).to_vec(),
                value: Some(trilith_domain::item::seal_item(&header, &item).to_vec()),
            };
            // As if a shard had owed it that is none.
            let apply =
                IndexApply { index: index.schema.id, source: ShardId(77), rows: vec![(Stamp(1), row)] };
            let reply =
                server.port.write(index.shard_of(hash), CommandBody::IndexApply(apply), now() + REST).await;
            assert_eq!(reply.expect("nothing is broken yet").body, ReplyBody::SpanDone);
        }
    }
}

async fn run(seed: u64, planted: Cheat) -> Result<(Arc<Counts>, u64), String> {
    let world = World::start(seed, Planted::Nothing).await;
    found_cluster(&world, DATA_SHARDS).await;
    let servers = Servers::default();
    let mut tasks: Vec<_> =
        NODES.iter().map(|node| tokio::spawn(keep(world.clone(), Arc::clone(&servers), *node))).collect();
    tasks.push(tokio::spawn(invariants::watch(world.clone())));
    let server = any_server(&servers).await;
    server.client().create_table(requests::create_indexed(TABLE)).await.map_err(|e| e.to_string())?;
    for number in 0..ACCOUNTS {
        let item = indexed(account(number), BALANCE, "a");
        server.client().put_item(requests::put(TABLE, item)).await.map_err(|e| e.to_string())?;
    }
    cheat(&server, planted).await;
    drop(server);

    let counts = Arc::new(Counts::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(world.clone(), Arc::clone(&servers), Arc::clone(&counts))))
        .collect();
    faults::run(&world, CHAOS).await?;
    world.end_of_work();
    for client in clients {
        client.await.map_err(|e| format!("a client died: {e}"))?;
    }
    faults::heal(&world).await?;
    let server = any_server(&servers).await;
    at_rest(&server).await?;
    drop(server);
    tasks.iter().for_each(|task| task.abort());
    servers.lock().clear();
    invariants::converged(&world).await?;
    match world.violation() {
        Some(violation) => Err(violation),
        None => Ok((counts, world.trace.hash())),
    }
}

fn simulated(seed: u64, planted: Cheat) -> Result<(Arc<Counts>, u64), String> {
    simulate(seed, || run(seed, planted))
}

#[test]
fn money_is_neither_made_nor_lost_and_indexes_agree() {
    let seeds = match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").map_or(6, |seeds| seeds / 8 + 1)).collect(),
    };
    let total = Counts::default();
    for seed in seeds {
        let (counts, _) = simulated(seed, Cheat::Nothing).unwrap_or_else(|red| panic!("seed {seed}: {red}"));
        for (sum, one) in [
            (&total.moved, &counts.moved),
            (&total.refused, &counts.refused),
            (&total.unknown, &counts.unknown),
            (&total.audits, &counts.audits),
        ] {
            sum.fetch_add(one.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let (moved, audits) = (counts.moved.load(Ordering::Relaxed), counts.audits.load(Ordering::Relaxed));
        assert!(moved > 10 && audits > 3, "seed {seed}: {moved} transfers and {audits} audits prove nothing");
    }
    let Counts { moved, refused, unknown, audits } = total;
    println!("{moved:?} transfers, {refused:?} refused, {unknown:?} unknown, {audits:?} audits");
}

#[test]
fn a_seed_decides_the_bank_too() {
    let traces = [(); 2].map(|()| simulated(3, Cheat::Nothing).map(|(_, trace)| trace));
    assert!(traces[0].is_ok(), "{traces:?}");
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn money_from_nowhere_turns_the_bank_red() {
    let found = simulated(1, Cheat::Money).map(|_| ()).expect_err("one too much");
    assert!(found.contains("6001"), "{found}");
}

#[test]
fn a_ghost_turns_the_bank_red() {
    let found = simulated(1, Cheat::Ghost).map(|_| ()).expect_err("an entry that no item has");
    assert!(found.contains("Ghost"), "{found}");
}
