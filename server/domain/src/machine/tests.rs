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
fn a_put_is_stored_with_its_stamp_and_counted() {
    let mut shard = Shard::with_table();
    let replies = shard.apply_batch(&batch(vec![CommandBody::Write(put("a", 1, &[("v", s("xy"))]))]));
    // pk + "a", sk + 1 (two bytes), v + "xy"
    let size = 3 + 4 + 3;
    assert_eq!(
        replies[0].body,
        ReplyBody::Written(Written { attributes: None, old_size: 0, new_size: size })
    );
    assert_eq!(shard.counters(), (1, size));
    let key = item_key(table().table, &key(&table(), "a", 1));
    let stored = StoredItem::open(&shard.rows.0[&(Family::Items, key)]).expect("intact");
    assert_eq!(stored.header.stamp, replies[0].stamp);
    assert_eq!((stored.header.origin, stored.header.flags), (0, 0));
    assert_eq!(stored.size(), size);

    let smaller = written(shard.write(put("a", 1, &[])));
    assert_eq!((smaller.old_size, smaller.new_size), (size, size - 3));
    assert_eq!(shard.counters(), (1, size - 3));
    let gone = written(shard.write(write("a", 1, Action::Delete)));
    assert_eq!((gone.old_size, gone.new_size), (size - 3, 0));
    assert_eq!(shard.counters(), (0, 0));
    assert_eq!(shard.item("a", 1), None);
}

#[test]
fn deleting_nothing_succeeds_and_changes_nothing() {
    let mut shard = Shard::with_table();
    let hash = shard.state.hash();
    assert_eq!(written(shard.write(write("a", 1, Action::Delete))), Written::default());
    assert_eq!(shard.state.hash(), hash);
}

#[test]
fn later_commands_of_an_entry_see_the_earlier_ones() {
    let mut shard = Shard::with_table();
    let add = || {
        let mut write = write("a", 1, Action::Update(update("ADD c :one", &[(":one", n(1))])));
        write.returns = ReturnValues::UpdatedNew;
        CommandBody::Write(write)
    };
    let replies = shard.apply(vec![add(), add(), add()]);
    let counts: Vec<_> = replies.into_iter().map(|reply| written(reply).attributes).collect();
    assert_eq!(counts, [1, 2, 3].map(|count| Some(item(&[("c", n(count))]))));
}

#[test]
fn a_write_needs_the_span_and_its_version() {
    let mut shard = Shard::empty(1);
    let schema = table();
    assert_eq!(shard.write(put("a", 1, &[])), ReplyBody::NotMine);
    let hash = key(&schema, "a", 1).hash;
    let interval = HashInterval { first: hash, last: hash };
    shard.apply(vec![CommandBody::SpanOpen { schema: schema.clone(), interval }]);
    assert_eq!(shard.write(put("b", 1, &[])), ReplyBody::NotMine, "another hash");
    assert!(matches!(shard.write(put("a", 1, &[])), ReplyBody::Written(_)));
    let newer = TableSchema { version: SchemaVersion(3), ..schema };
    assert_eq!(shard.apply(vec![CommandBody::SpanAlter { schema: newer }]), [ReplyBody::SpanDone]);
    let mismatch = ReplyBody::SchemaMismatch { current: SchemaVersion(3) };
    assert_eq!(shard.write(put("a", 1, &[])), mismatch);
    let ahead = Write { schema: SchemaVersion(4), ..put("a", 1, &[]) };
    assert_eq!(shard.write(ahead), mismatch);
    assert!(matches!(
        shard.write(Write { schema: SchemaVersion(3), ..put("a", 1, &[]) }),
        ReplyBody::Written(_)
    ));
}

#[test]
fn a_false_condition_changes_nothing_and_says_what_it_saw() {
    let mut shard = Shard::with_table();
    let exists = || Some(condition("attribute_exists(pk)", &[]));
    let on_nothing = Write { condition: exists(), old_on_failure: true, ..put("a", 1, &[]) };
    let failed = ReplyBody::ConditionFailed { item: None, old_size: 0, new_size: 7 };
    assert_eq!(shard.write(on_nothing), failed);
    assert_eq!(shard.counters(), (0, 0));

    shard.write(put("a", 1, &[("v", s("x"))]));
    let is_y = || Some(condition("v = :y", &[(":y", s("y"))]));
    let hash = shard.state.hash();
    let failed = |item| ReplyBody::ConditionFailed { item, old_size: 9, new_size: 0 };
    let delete = Write { condition: is_y(), ..write("a", 1, Action::Delete) };
    assert_eq!(shard.write(delete.clone()), failed(None));
    let told = Write { old_on_failure: true, ..delete };
    assert_eq!(shard.write(told), failed(shard.item("a", 1)));
    let bump = Action::Update(update("SET v = :z", &[(":z", s("z"))]));
    assert_eq!(shard.write(Write { condition: is_y(), ..write("a", 1, bump) }), failed(None));
    assert_eq!(shard.state.hash(), hash);
    let held = Write { condition: exists(), ..write("a", 1, Action::Delete) };
    assert_eq!(written(shard.write(held)).old_size, 9);
}

#[test]
fn an_update_of_nothing_begins_with_the_key() {
    let mut shard = Shard::with_table();
    let bare = Action::Update(update("REMOVE v", &[]));
    assert_eq!(written(shard.write(write("a", 1, bare))).new_size, 7);
    assert_eq!(shard.item("a", 1), Some(item(&[("pk", s("a")), ("sk", n(1))])));
    assert_eq!(shard.counters(), (1, 7));
}

#[test]
fn images_are_what_was_asked_for() {
    let mut shard = Shard::with_table();
    let mut ask = |returns, text: &str| {
        let action = Action::Update(update(text, &[(":v", n(5))]));
        written(shard.write(Write { returns, ..write("a", 1, action) })).attributes
    };
    let key = [("pk", s("a")), ("sk", n(1))];
    let with = |more: &[(&str, AttributeValue)]| {
        let mut all = item(&key);
        all.extend(item(more));
        Some(all)
    };
    assert_eq!(ask(ReturnValues::AllOld, "SET v = :v"), None, "created");
    assert_eq!(ask(ReturnValues::UpdatedOld, "SET w = :v"), None, "was not there");
    assert_eq!(ask(ReturnValues::UpdatedOld, "SET w = v + :v"), Some(item(&[("w", n(5))])));
    assert_eq!(ask(ReturnValues::UpdatedNew, "SET w = w + :v"), Some(item(&[("w", n(15))])));
    assert_eq!(ask(ReturnValues::AllNew, "SET v = :v"), with(&[("v", n(5)), ("w", n(15))]));
    assert_eq!(ask(ReturnValues::None, "SET v = :v"), None);
    assert_eq!(ask(ReturnValues::AllOld, "SET v = :v"), with(&[("v", n(5)), ("w", n(15))]));
    let old = |action| Write { returns: ReturnValues::AllOld, ..write("a", 1, action) };
    let was = with(&[("v", n(5)), ("w", n(15))]);
    let put = put("a", 1, &[]);
    assert_eq!(written(shard.write(old(put.action))).attributes, was);
    assert_eq!(written(shard.write(old(Action::Delete))).attributes, with(&[]));
    assert_eq!(written(shard.write(old(Action::Delete))).attributes, None);
}

#[test]
fn what_an_item_may_not_become_is_refused() {
    let mut shard = Shard::with_table();
    let invalid = |reply: ReplyBody| match reply {
        ReplyBody::Invalid(text) => text,
        other => panic!("not refused: {other:?}"),
    };
    let fits = s(&"x".repeat(400 * 1024 - 7 - 1));
    assert_eq!(written(shard.write(put("a", 1, &[("v", fits)]))).new_size, 400 * 1024);
    let larger = s(&"x".repeat(400 * 1024 - 7));
    assert_eq!(
        invalid(shard.write(put("a", 1, &[("v", larger)]))),
        "Item size has exceeded the maximum allowed size"
    );
    let one_more = Action::Update(update("SET w = :e", &[(":e", s(""))]));
    assert_eq!(
        invalid(shard.write(write("a", 1, one_more))),
        "Item size to update has exceeded the maximum allowed size"
    );
    let missing = Action::Update(update("SET v = nothing", &[]));
    assert_eq!(
        invalid(shard.write(write("a", 1, missing))),
        "The provided expression refers to an attribute that does not exist in the item"
    );
    let of_key = Action::Update(update("SET sk = :v", &[(":v", n(2))]));
    assert_eq!(
        invalid(shard.write(write("b", 1, of_key))),
        "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key"
    );
    let nested = |levels| (0..levels).fold(n(1), |inner, _| AttributeValue::L(vec![inner]));
    assert!(matches!(shard.write(put("c", 1, &[("v", nested(32))])), ReplyBody::Written(_)));
    let text = "Nesting Levels have exceeded supported limits";
    assert_eq!(invalid(shard.write(put("c", 1, &[("v", nested(33))]))), text);
    let wrapped = Action::Update(update("SET v = list_append(v, :l)", &[(":l", nested(33))]));
    assert_eq!(invalid(shard.write(write("c", 1, wrapped))), text);
    assert_eq!(shard.counters().0, 2);
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
fn span_commands_are_idempotent() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[]));
    let (hash, counters) = (shard.state.hash(), shard.counters());
    let open = |schema, interval| CommandBody::SpanOpen { schema, interval };
    let again = shard.apply(vec![
        open(table(), HashInterval::ALL),
        CommandBody::SpanAlter { schema: table() },
    ]);
    assert_eq!(again, [ReplyBody::SpanDone, ReplyBody::SpanDone]);
    assert_eq!((shard.state.hash(), shard.counters()), (hash, counters));
    let half = shard.apply(vec![open(table(), HashInterval::part(0, 2))]);
    assert!(matches!(half[0], ReplyBody::Invalid(_)), "another interval");
    let backwards = open(schema(9, false), HashInterval { first: 2, last: 1 });
    assert!(matches!(shard.apply(vec![backwards])[0], ReplyBody::Invalid(_)));
    let unknown = CommandBody::SpanAlter { schema: schema(9, false) };
    assert_eq!(shard.apply(vec![unknown]), [ReplyBody::NotMine]);
    let newer = TableSchema { version: SchemaVersion(2), ..table() };
    shard.apply(vec![open(newer, HashInterval::ALL)]);
    assert_eq!(shard.state.spans()[&TableId(7)].schema.version, SchemaVersion(2));
    assert_eq!(shard.counters(), counters, "an open span keeps its rows");
}

#[test]
fn a_dropped_span_leaves_no_row_and_its_neighbours_stay() {
    let mut shard = Shard::with_table();
    let other = schema(8, true);
    let open = CommandBody::SpanOpen { schema: other.clone(), interval: HashInterval::ALL };
    shard.apply(vec![open]);
    let bystander = Write {
        table: other.table,
        key: key(&other, "a", 1),
        action: Action::Put(key(&other, "a", 1).attributes(&other)),
        ..put("a", 1, &[])
    };
    shard.write(bystander);
    shard.write(put("a", 1, &[]));
    let drop = || CommandBody::SpanDrop { table: table().table };
    assert!(drop().stands_alone());
    assert_eq!(shard.apply(vec![drop()]), [ReplyBody::SpanDone]);
    let items = shard.rows.0.keys().filter(|(family, _)| *family == Family::Items).count();
    assert_eq!(items, 1, "the bystander's");
    assert_eq!(shard.state.spans().keys().collect::<Vec<_>>(), [&other.table]);
    assert_eq!(shard.write(put("a", 1, &[])), ReplyBody::NotMine);
    let hash = shard.state.hash();
    assert_eq!(shard.apply(vec![drop()]), [ReplyBody::SpanDone], "again");
    assert_eq!(shard.state.hash(), hash);
}

#[test]
fn writes_around_a_drop_in_one_entry_come_out_in_order() {
    let mut shard = Shard::with_table();
    shard.write(put("a", 1, &[]));
    let count = Action::Update(update("ADD c :one", &[(":one", n(1))]));
    let replies = shard.apply(vec![
        CommandBody::Write(put("a", 2, &[])),
        CommandBody::SpanDrop { table: table().table },
        CommandBody::Write(put("a", 3, &[])),
        CommandBody::SpanOpen { schema: table(), interval: HashInterval::ALL },
        CommandBody::Write(write("a", 1, count)),
    ]);
    assert_eq!(replies[2], ReplyBody::NotMine);
    let size = 7 + 3;
    let created = Written { attributes: None, old_size: 0, new_size: size };
    assert_eq!(replies[4], ReplyBody::Written(created));
    assert_eq!(shard.counters(), (1, size));
    assert_eq!((shard.item("a", 2), shard.item("a", 3)), (None, None));
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
    assert_eq!(catalog.apply(vec![bootstrap()]), [done.clone()]);
    assert_eq!(catalog.state.catalog().cluster(), Some(&cluster));
    assert_eq!(catalog.state.catalog().version(), 1);
    assert_eq!(catalog.apply(vec![bootstrap()]), [done]);
    assert_eq!(catalog.state.catalog().version(), 1);
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
    let row = MachineRow {
        machine_version: MACHINE_VERSION + 1,
        last_stamp: Stamp(1),
        poisoned: 0,
        hash: 0,
    };
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
    assert_eq!(reads_of(&batch(bodies)).len(), 2);
}
