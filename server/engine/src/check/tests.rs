use std::sync::Arc;

use proptest::prelude::*;
use tokio::task::JoinHandle;
use trilith_domain::machine::CommandBody;
use trilith_domain::ops::DeleteItemInput;
use trilith_domain::read::View;
use trilith_values::{Item, KeyValue};

use super::*;
use crate::test_support::requests::{BY_V, BY_W, create_indexed, item, key, n, put};
use crate::test_support::{ACCOUNT, Client, Fault, LocalCluster};
use crate::workers::ship;

const TABLE: &str = "orders";
const PATIENCE: Duration = Duration::from_secs(30);

/// What ships for a node, while this is there.
struct Shipping(JoinHandle<()>);

impl Shipping {
    fn of(node: &Arc<LocalCluster>) -> Self {
        Self(tokio::spawn(ship::run(Arc::clone(node) as _)))
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn fresh() -> (Arc<LocalCluster>, Client) {
    let cluster = LocalCluster::new(3);
    let client = Client::of(&cluster);
    client.create_table(create_indexed(TABLE)).await.expect("a new name");
    (cluster, client)
}

/// An item with an entry in both indexes.
fn indexed(p: &str, s: i64, w: &str, v: i64) -> Item {
    let mut item = item(p, s, n(v));
    item.extend([("w".to_owned(), w.into()), ("x".to_owned(), n(s)), ("y".to_owned(), "not shown".into())]);
    item
}

async fn remove(client: &Client, p: &str, s: i64) {
    let input =
        DeleteItemInput { table_name: Some(TABLE.to_owned()), key: Some(key(p, s)), ..Default::default() };
    client.delete_item(input).await.expect("deletes");
}

async fn fill(client: &Client) {
    for s in 0..20 {
        client.put_item(put(TABLE, indexed(&format!("p{}", s % 4), s, "w", s / 2))).await.expect("puts");
    }
    // Sparse: it has no entry in either.
    client.put_item(put(TABLE, item("p0", 99, "no number".to_owned()))).await.expect_err("a violated key");
    client.put_item(put(TABLE, key("p0", 99))).await.expect("puts");
}

fn record(cluster: &LocalCluster) -> TableRecord {
    cluster.catalog().table_named(ACCOUNT, TABLE).expect("it was made").clone()
}

async fn compare(cluster: &LocalCluster, name: &str, patience: Duration) -> Result<IndexReport, CheckError> {
    let record = record(cluster);
    index(cluster, &record, record.definition.index(name).expect("an index of it"), patience).await
}

/// Waits until nothing is owed, and compares both indexes: entries of the global one.
async fn equal(cluster: &LocalCluster) -> u64 {
    let owes = |shard: ShardId| cluster.shard(shard).state().outbox().rows > 0;
    while cluster.data_shards().into_iter().any(owes) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut entries = 0;
    for name in [BY_V, BY_W] {
        let report = compare(cluster, name, PATIENCE).await.expect("it can be compared");
        assert!(report.is_equal() && report.undecided == 0, "{name}: {report:?}");
        assert_eq!(report.entries, report.expected, "{name}");
        entries = report.entries;
    }
    entries
}

/// A row of an index: its shard, family, key and value.
fn any_row(cluster: &LocalCluster, family: Family, n: usize) -> (ShardId, Vec<u8>, bytes::Bytes) {
    let mut rows = Vec::new();
    for id in cluster.data_shards() {
        cluster
            .shard(id)
            .scan(family, &[], &[0xff; 20], false, &mut |key, value| {
                let is_entry = !matches!(Key::decode(family, key), Ok(Key::Collection { .. }));
                if is_entry {
                    rows.push((id, key.to_vec(), bytes::Bytes::copy_from_slice(value)));
                }
                std::ops::ControlFlow::Continue(())
            })
            .expect("rows in memory are intact");
    }
    rows.swap_remove(n)
}

/// The same item's entry under another value of `v`.
fn other_value(family: Family, row: &[u8]) -> Vec<u8> {
    let other = KeyValue::N(trilith_values::Number::from_i64(777));
    let key = match Key::decode(family, row).expect("an entry's key") {
        Key::LocalIndex { table, key, index, .. } => Key::LocalIndex { table, key, index, sort: other },
        Key::GlobalIndex { index, hash, mut values } => {
            values[1] = other;
            Key::GlobalIndex { index, hash, values }
        }
        key => panic!("not an entry: {key:?}"),
    };
    key.encode().to_vec()
}

#[tokio::test]
async fn indexes_that_follow_their_table_are_equal() {
    let (cluster, client) = fresh().await;
    let _shipping = Shipping::of(&cluster);
    fill(&client).await;
    assert_eq!(equal(&cluster).await, 20);
    for s in 0..10 {
        remove(&client, &format!("p{}", s % 4), s).await;
    }
    assert_eq!(equal(&cluster).await, 10);
}

#[tokio::test]
async fn planted_differences_are_found_with_their_keys() {
    for (name, family) in [(BY_V, Family::LocalIndex), (BY_W, Family::GlobalIndex)] {
        let (cluster, client) = fresh().await;
        let _shipping = Shipping::of(&cluster);
        fill(&client).await;
        equal(&cluster).await;
        let (shard, gone, value) = any_row(&cluster, family, 3);
        cluster.plant(shard, family, &gone, None);
        // A row that an item had once, or might have.
        let (ghost_shard, ghost, ghost_value) = any_row(&cluster, family, 5);
        let ghost = other_value(family, &ghost);
        cluster.plant(ghost_shard, family, &ghost, Some(ghost_value));
        // Of the same key, and the content of another.
        let (differing_shard, differing, own) = any_row(&cluster, family, 7);
        assert_ne!(own, value);
        cluster.plant(differing_shard, family, &differing, Some(value));
        let report = compare(&cluster, name, PATIENCE).await.expect("it can be compared");
        let counts = [Kind::Missing, Kind::Ghost, Kind::Differing].map(|kind| (kind, 1));
        assert_eq!(report.differences, BTreeMap::from(counts), "{name}: {report:?}");
        for (kind, row) in [(Kind::Missing, gone), (Kind::Ghost, ghost), (Kind::Differing, differing)] {
            let finding = (kind, explain::key(family, &row));
            assert!(report.findings.contains(&finding), "{finding:?} is not among {:?}", report.findings);
        }
        assert_eq!((report.expected, report.entries), (20, 20));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_no_difference_but_is_not_waited_for_without_end() {
    let (cluster, client) = fresh().await;
    let _shipping = Shipping::of(&cluster);
    cluster.on_write(|_, command| match command {
        CommandBody::IndexApply(_) => Fault::NotDone,
        _ => Fault::None,
    });
    fill(&client).await;
    let late = compare(&cluster, BY_W, Duration::from_secs(3)).await.expect_err("nothing was shipped");
    let CheckError::NotShipped { rows, waited, .. } = late else { panic!("{late:?}") };
    assert!(rows > 0 && waited >= Duration::from_secs(3));
    let report = compare(&cluster, BY_V, PATIENCE).await.expect("a local index owes nothing");
    assert!(report.is_equal());
    cluster.heal();
    assert_eq!(equal(&cluster).await, 20);
}

#[tokio::test]
async fn a_table_that_lives_meanwhile_has_no_false_differences() {
    let (cluster, client) = fresh().await;
    let _shipping = Shipping::of(&cluster);
    fill(&client).await;
    let writer = tokio::spawn(async move {
        for round in 0i64.. {
            let s = round * 7 % 20;
            let p = format!("p{}", s % 4);
            match round % 3 {
                0 => remove(&client, &p, s).await,
                _ => drop(client.put_item(put(TABLE, indexed(&p, s, "w", round))).await.expect("puts")),
            }
        }
    });
    for round in 0..20 {
        for name in [BY_V, BY_W] {
            let report = compare(&cluster, name, PATIENCE).await.expect("it can be compared");
            assert!(report.is_equal(), "{name} in round {round}: {report:?}");
        }
    }
    writer.abort();
}

#[tokio::test]
async fn a_table_that_is_being_changed_is_not_compared() {
    let (cluster, client) = fresh().await;
    let record = record(&cluster);
    let mut building = record.definition.indexes[1].clone();
    building.status = IndexStatus::Creating;
    assert_eq!(index(&*cluster, &record, &building, PATIENCE).await, Err(CheckError::Changing));
    client.delete_table(crate::test_support::requests::table(TABLE)).await.expect("deletes");
    // By a record of yesterday.
    let gone = index(&*cluster, &record, &record.definition.indexes[0], PATIENCE).await;
    assert_eq!(gone, Err(CheckError::Changing));
}

/// One step of a table's life.
#[derive(Clone, Debug)]
enum Step {
    Put(i64, Option<&'static str>, Option<i64>),
    Remove(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let word = proptest::option::weighted(0.8, prop_oneof![Just("a"), Just("b"), Just("c")]);
    prop_oneof![
        4 => (0i64..8, word, proptest::option::weighted(0.8, 0i64..4)).prop_map(|(s, w, v)| Step::Put(s, w, v)),
        1 => (0i64..8).prop_map(Step::Remove),
    ]
}

/// Shipments that may go wrong.
const FATES_MAX: usize = 100;

async fn live(client: &Client, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put(s, w, v) => {
                let mut item = key("p", *s);
                item.extend(w.map(|w| ("w".to_owned(), w.into())));
                item.extend(v.map(|v| ("v".to_owned(), n(v))));
                client.put_item(put(TABLE, item)).await.expect("puts");
            }
            Step::Remove(s) => remove(client, "p", *s).await,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Two processes ship at once; shipments are lost, done without an answer, done again, and come late, after newer ones.
    #[test]
    fn an_index_is_equal_however_shipments_travel(
        steps in proptest::collection::vec(any_step(), 1..80),
        fates in proptest::collection::vec((0u8..8, any::<prop::sample::Index>()), 1..40),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let (cluster, client) = fresh().await;
            let _shipping = [Shipping::of(&cluster), Shipping::of(&cluster.another_node())];
            let (world, mut sent, mut at) = (Arc::downgrade(&cluster), Vec::new(), 0);
            cluster.on_write(move |shard, command| {
                if !matches!(command, CommandBody::IndexApply(_)) {
                    return Fault::None;
                }
                sent.push((shard, command.clone()));
                at += 1;
                // Every fate ends: else nothing would ever arrive.
                if at > FATES_MAX {
                    return Fault::None;
                }
                let (fate, which) = &fates[at % fates.len()];
                match fate {
                    0 => Fault::NotDone,
                    1 => Fault::AnswerLost,
                    2 => Fault::CommandLost,
                    3 | 4 => {
                        let (shard, late) = which.get(&sent).clone();
                        world.upgrade().expect("the test holds it").apply(shard, late);
                        Fault::None
                    }
                    _ => Fault::None,
                }
            });
            live(&client, &steps).await;
            // While shipments still have their fates.
            let report = compare(&cluster, BY_W, PATIENCE).await.expect("it can be compared");
            assert!(report.is_equal(), "{report:?}");
            cluster.heal();
            equal(&cluster).await;
        });
    }
}
