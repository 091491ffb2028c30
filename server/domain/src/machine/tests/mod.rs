//! The machine command by command; what random commands do stands in the model.

mod indexes;
mod spans;
mod transactions;
mod writes;

use trilith_values::{AttributeValue, CommandId, Item, SchemaVersion, ShardId, TableId};

use super::*;
use crate::catalog::{CatalogCommand, ClusterRecord};
use crate::codec::{self, Damage};
use crate::item::StoredItem;
use crate::keyspace::{Family, Key, item_key};
use crate::read::ViewError;
use crate::schema::{HashInterval, TableSchema};
use crate::testing::{Rows, condition, item, key, n, s, schema, update};
use crate::time::Stamp;

/// A shard with its rows, to which commands are applied one entry at a time.
struct Shard {
    state: ShardState,
    rows: Rows,
    index: u64,
}

const LEADER: Stamp = Stamp(1_000_000);

impl Shard {
    /// Shard 1, with the whole of table 7 (`pk` S, `sk` N).
    fn with_table() -> Self {
        let mut shard = Self::empty(1);
        let open = CommandBody::SpanOpen { schema: table(), interval: HashInterval::ALL };
        assert_eq!(shard.apply(vec![open]), [ReplyBody::SpanDone]);
        shard
    }

    fn empty(shard: u32) -> Self {
        Self { state: ShardState::new(ShardId(shard)), rows: Rows::default(), index: 0 }
    }

    fn apply(&mut self, bodies: Vec<CommandBody>) -> Vec<ReplyBody> {
        let replies = self.apply_batch(&batch(bodies));
        replies.into_iter().map(|reply| reply.body).collect()
    }

    fn apply_batch(&mut self, batch: &Batch) -> Vec<Reply> {
        self.index += 1;
        let fetched = self.rows.fetch(&[batch]);
        let applied = super::apply_batch(&mut self.state, fetched, batch, self.index);
        let (replies, effects) = applied.expect("nothing is damaged");
        self.rows.write(effects);
        assert_eq!(
            ShardState::load(self.state.shard(), &self.rows).as_ref(),
            Ok(&self.state),
            "the rows are the state"
        );
        replies
    }

    fn write(&mut self, write: Write) -> ReplyBody {
        self.apply(vec![CommandBody::Write(write)]).remove(0)
    }

    fn item(&self, partition: &str, sort: i64) -> Option<Item> {
        let key = item_key(table().table, &key(&table(), partition, sort));
        let sealed = self.rows.0.get(&(Family::Items, key))?;
        Some(StoredItem::open(sealed).expect("intact").item().expect("decodes"))
    }

    fn counters(&self) -> (u64, u64) {
        let span = &self.state.spans()[&table().table];
        (span.items, span.bytes)
    }
}

fn table() -> TableSchema {
    schema(7, true)
}

fn batch(bodies: Vec<CommandBody>) -> Batch {
    let commands = bodies.into_iter().enumerate();
    let commands = commands.map(|(i, body)| Command { id: CommandId(i as u128), body }).collect();
    Batch { leader_stamp: LEADER, commands }
}

fn write(partition: &str, sort: i64, action: Action) -> Write {
    Write {
        table: table().table,
        schema: SchemaVersion::FIRST,
        key: key(&table(), partition, sort),
        condition: None,
        action,
        returns: ReturnValues::None,
        old_on_failure: false,
    }
}

fn put(partition: &str, sort: i64, attributes: &[(&str, AttributeValue)]) -> Write {
    let mut whole = key(&table(), partition, sort).attributes(&table());
    whole.extend(item(attributes));
    write(partition, sort, Action::Put(whole))
}

fn written(reply: ReplyBody) -> Written {
    match reply {
        ReplyBody::Written(written) => written,
        other => panic!("not written: {other:?}"),
    }
}

#[test]
fn a_panic_is_set_aside_alike_everywhere() {
    let (mut one, mut other) = (Shard::with_table(), Shard::with_table());
    let bodies = || {
        vec![
            CommandBody::Write(put("a", 1, &[])),
            CommandBody::PlantedPanic,
            CommandBody::Write(put("a", 2, &[])),
        ]
    };
    let replies = one.apply(bodies());
    assert!(matches!(replies[0], ReplyBody::Written(_)));
    assert_eq!(replies[1], ReplyBody::Poisoned);
    assert!(matches!(replies[2], ReplyBody::Written(_)));
    assert_eq!(one.state.poisoned(), 1);
    assert_eq!(other.apply(bodies()), replies);
    assert_eq!((one.state.hash(), &one.rows), (other.state.hash(), &other.rows));

    let place = Key::Poison { shard: ShardId(1), index: 2, n: 1 };
    let sealed = &one.rows.0[&(Family::Meta, place.encode())];
    let row: PoisonRow = codec::open_row(sealed).expect("a poison row");
    assert_eq!((row.command, row.text.as_str()), (CommandId(1), "planted panic"));
    assert_eq!(row.what, "00000000000000000000000000000001: planted panic");
    assert_eq!(row.stamp, Stamp(LEADER.0 + 3));
}

#[test]
fn a_write_that_contradicts_its_key_is_set_aside() {
    let mut shard = Shard::with_table();
    let before = shard.rows.0.len();
    let mut elsewhere = put("a", 1, &[]);
    elsewhere.key.hash ^= 1;
    let other_item = write("a", 1, put("b", 1, &[]).action);
    let mut no_sort = put("a", 1, &[]);
    no_sort.key.sort = None;
    let bodies = [elsewhere, other_item, no_sort].map(CommandBody::Write).to_vec();
    assert_eq!(shard.apply(bodies), [ReplyBody::Poisoned, ReplyBody::Poisoned, ReplyBody::Poisoned]);
    assert_eq!((shard.state.poisoned(), shard.counters()), (3, (0, 0)));
    assert_eq!(shard.rows.0.len(), before + 3, "their records, and no item");
}

#[test]
fn stamps_go_up_whatever_leaders_say() {
    let mut shard = Shard::with_table();
    let mut last = shard.state.last_stamp();
    for leader in [LEADER, Stamp(5), Stamp(u64::MAX), Stamp(0)] {
        let bodies = vec![CommandBody::Write(put("a", 1, &[])), CommandBody::PlantedPanic];
        let replies = shard.apply_batch(&Batch { leader_stamp: leader, ..batch(bodies) });
        for reply in replies {
            assert!(reply.stamp > last);
            last = reply.stamp;
        }
        assert_eq!(shard.state.last_stamp(), last);
    }
}

#[test]
fn catalog_commands_apply_in_the_catalogs_shard_alone() {
    let cluster = ClusterRecord { cluster: 1, region: "us-east-1".to_owned(), account: 0 };
    let bootstrap = || {
        let shard = crate::catalog::ShardRecord { id: ShardId(0), replicas: vec![], incoming: vec![] };
        let (cluster, nodes) = (cluster.clone(), Vec::new());
        CommandBody::Catalog(CatalogCommand::Bootstrap { cluster, nodes, shards: vec![shard] })
    };
    let done = ReplyBody::Catalog(crate::catalog::CatalogReply::Done);
    assert_eq!(Shard::empty(1).apply(vec![bootstrap()]), [ReplyBody::NotMine]);
    let mut catalog = Shard::empty(0);
    for _ in 0..2 {
        assert_eq!(catalog.apply(vec![bootstrap()])[0], done);
        assert_eq!(catalog.state.catalog().cluster(), Some(&cluster));
        assert_eq!(catalog.state.catalog().version(), 1);
    }
}

#[test]
fn damage_stops_the_batch_before_anything_is_written() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[]));
    let place = (Family::Items, item_key(table().table, &key(&table(), "a", 1)));
    let sealed = shard.rows.0[&place].to_vec();
    let entry = batch(vec![CommandBody::Write(write("a", 1, Action::Delete))]);
    let mut apply = |value: Vec<u8>| {
        shard.rows.0.insert(place.clone(), value.into());
        let fetched = shard.rows.fetch(&[&entry]);
        super::apply_batch(&mut shard.state.clone(), fetched, &entry, 9)
    };
    let mut flipped = sealed.clone();
    flipped[20] ^= 1;
    let error = apply(flipped).expect_err("damaged");
    assert_eq!(error.damage, Damage::Checksum);
    assert!(error.place.starts_with("items/table 7/"), "{}", error.place);
    let short = apply(codec::seal(b"short").to_vec()).expect_err("no header");
    assert!(matches!(short.damage, Damage::Content(_)));
    assert!(apply(sealed).is_ok());
}

#[test]
fn a_later_machines_rows_are_refused() {
    let mut shard = Shard::with_table();
    let row = MachineRow { machine_version: MACHINE_VERSION + 1, last_stamp: Stamp(1), poisoned: 0, hash: 0 };
    let place = (Family::Meta, Key::Machine(ShardId(1)).encode());
    shard.rows.0.insert(place, codec::seal_row(&row));
    let Err(ViewError::Corrupt(error)) = ShardState::load(ShardId(1), &shard.rows) else {
        panic!("loaded");
    };
    assert_eq!(error.damage, Damage::MachineVersion(MACHINE_VERSION + 1));
}

#[test]
fn the_keys_of_an_entry_are_named_once() {
    let bodies = [put("a", 1, &[]), put("b", 1, &[]), put("a", 1, &[])].map(CommandBody::Write);
    let mut bodies = bodies.to_vec();
    bodies.push(CommandBody::PlantedPanic);
    // Of each partition: the item, and the size of its collection.
    assert_eq!(reads_of(&batch(bodies)).len(), 4);
}

/// Replicas of different versions compare their hashes, so how it is made is a format too.
#[test]
fn the_hash_is_fixed() {
    let mut shard = Shard::with_table();
    let mut hashes = vec![shard.state.hash()];
    shard.apply(vec![
        CommandBody::Write(put("a", 1, &[("v", s("x"))])),
        CommandBody::Write(put("b", 1, &[])),
        CommandBody::Write(write("b", 1, Action::Delete)),
        CommandBody::PlantedPanic,
    ]);
    hashes.push(shard.state.hash());
    shard.apply(vec![CommandBody::SpanDrop { table: table().table }]);
    hashes.push(shard.state.hash());
    assert_eq!(hashes, [7947055378202837778, 17562360475922781694, 8410557762180143397]);
}
