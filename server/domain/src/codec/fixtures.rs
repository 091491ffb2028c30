//! The bytes of every stored value and every message, pinned. A file in `testdata/format/<version>/` holds, in
//! hexadecimal, what that version wrote; each must be read by every later version, and what this version writes is
//! equal to its own file. A change of a format adds a folder; it never changes a file.
//!
//! With the environment variable `TRILITH_WRITE_FIXTURES` set, missing files of the present version are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::PathBuf;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{
    AttributeValue, CommandId, Item, KeyValue, NodeId, Number, ReplicaId, SchemaVersion, ShardId, TableId,
    TransactionId,
};

use crate::catalog::{
    BillingMode, Catalog, CatalogCommand, CatalogReply, ClusterRecord, Counters, NodeRecord, NodeState,
    Refusal, ReplicaPlace, ShardRecord, SpanPlace, TableClass, TableDefinition, TableRecord, TableSettings,
    TableStatus, Units,
};
use crate::codec;
use crate::explain::hex;
use crate::expr::RangeTest;
use crate::item::{ItemHeader, ItemKey, StoredItem, seal_item};
use crate::machine::ledger::{
    AgingRow, Decision, LedgerCommand, LedgerReply, LedgerRow, Token, TokenRow, TokenState,
};
use crate::machine::{
    Action, Batch, CollectionSize, Command, CommandBody, Finish, IndexCharge, IntentRow, MachineRow,
    PartVerdict, PoisonRow, Prepare, PreparedRow, Reply, ReplyBody, ReturnValues, TransactWrite, Write,
    Written, WrittenIndexed,
};
use crate::read::{GetPlan, GotAt, Page, PageShape, Plan, QueryPlan, ReadReply, ScanPlan, TransactionsPage};
use crate::schema::{HashInterval, IndexKind, Span, TableSchema};
use crate::testing::{condition, item, key, n, projection, s, schema, update};
use crate::time::Stamp;

mod indexes;

const VERSION: &str = "0.1.0";

fn fixture(name: &str, written: &[u8]) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/format").join(VERSION);
    let path = folder.join(format!("{name}.hex"));
    if !path.exists() && std::env::var_os("TRILITH_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let text = hex(written);
        let lines: Vec<&str> =
            (0..text.len()).step_by(96).map(|at| &text[at..(at + 96).min(text.len())]).collect();
        std::fs::write(&path, lines.join("\n") + "\n").expect("the file can be written");
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let digits: String = text.split_whitespace().collect();
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect()
}

/// A row in its envelope.
fn check_row<T: BorshSerialize + BorshDeserialize + PartialEq + Debug>(name: &str, row: &T) {
    let sealed = codec::seal_row(row);
    let pinned = fixture(name, &sealed);
    assert_eq!(codec::open_row::<T>(&pinned).as_ref(), Ok(row), "{name} is read");
    assert_eq!(hex(&sealed), hex(&pinned), "{name} is written");
}

/// A message or log content, which has no envelope of its own.
fn check_message<T: BorshSerialize + BorshDeserialize + PartialEq + Debug>(name: &str, message: &T) {
    let bytes = borsh::to_vec(message).expect("encodes");
    let pinned = fixture(name, &bytes);
    assert_eq!(borsh::from_slice::<T>(&pinned).ok().as_ref(), Some(message), "{name} is read");
    assert_eq!(hex(&bytes), hex(&pinned), "{name} is written");
}

/// An attribute of each type.
fn every_type() -> Item {
    let set = |texts: [&str; 2]| texts.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    item(&[
        ("s", s("text é")),
        ("n", AttributeValue::N(Number::parse("-12.5").expect("a number"))),
        ("b", AttributeValue::B(vec![0, 1, 255])),
        ("bool", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null),
        ("l", AttributeValue::L(vec![n(1), s("two")])),
        ("m", AttributeValue::M(item(&[("inner", AttributeValue::Bool(false))]))),
        ("ss", AttributeValue::Ss(set(["a", "b"]))),
        ("ns", AttributeValue::Ns([1, 2].map(Number::from_i64).into())),
        ("bs", AttributeValue::Bs([vec![1], vec![2]].into())),
    ])
}

fn whole_item(schema: &TableSchema, key: &ItemKey) -> Item {
    let mut item = key.attributes(schema);
    item.extend(every_type());
    item
}

fn definition() -> TableDefinition {
    TableDefinition {
        hash: schema(7, true).hash,
        range: schema(7, true).range,
        billing: BillingMode::Provisioned,
        throughput: Units { read: 5, write: 6 },
        on_demand_maximum: Some(Units { read: 7, write: -1 }),
        warm: Some(Units { read: 8, write: 9 }),
        class: Some(TableClass::StandardInfrequentAccess),
        deletion_protection: true,
        indexes: Vec::new(),
    }
}

fn table() -> TableRecord {
    TableRecord {
        id: TableId(7),
        account: 42,
        name: "orders".to_owned(),
        uuid: 0x0123_4567_89ab_cdef,
        created: Stamp(1_000_000),
        status: TableStatus::Active,
        definition: definition(),
        version: SchemaVersion(2),
        seed: 9,
        spans: vec![SpanPlace { interval: HashInterval::ALL, shard: ShardId(1) }],
        tags: BTreeMap::from([("team".to_owned(), "sofa".to_owned())]),
        on_demand_since: Some(Stamp(2)),
        to_on_demand: vec![Stamp(2)],
        last_increase: Some(Stamp(3)),
        last_decrease: None,
        decreases: vec![Stamp(4)],
        class_changed: Some(Stamp(5)),
        class_changes: vec![Stamp(5)],
    }
}

fn cluster() -> ClusterRecord {
    ClusterRecord { cluster: 1 << 100, region: "us-east-1".to_owned(), account: 42 }
}

fn node() -> NodeRecord {
    NodeRecord {
        id: NodeId(1),
        zone: "a".to_owned(),
        peer: "10.0.0.1:8003".to_owned(),
        http: "10.0.0.1:8000".to_owned(),
        state: NodeState::Up,
    }
}

fn shard() -> ShardRecord {
    let place = |replica, node| ReplicaPlace { replica: ReplicaId(replica), node: NodeId(node) };
    ShardRecord {
        id: ShardId(1),
        replicas: vec![place(1, 1), place(2, 2)],
        incoming: vec![(place(3, 4), Some(ReplicaId(2))), (place(4, 5), None)],
    }
}

#[test]
fn stored_values() {
    let item = every_type();
    let header = ItemHeader { stamp: Stamp(1_000_001), origin: 0, flags: 0, size: 63 };
    assert_eq!(ItemHeader::local(Stamp(1_000_001), &item), header);
    let sealed = seal_item(&header, &item);
    let pinned = fixture("item", &sealed);
    let stored = StoredItem::open(&pinned).expect("is read");
    assert_eq!((stored.header, stored.item()), (header, Ok(item)));
    assert_eq!(hex(&sealed), hex(&pinned), "item is written");

    let mut span = Span::new(schema(7, true), HashInterval::part(1, 3));
    (span.items, span.bytes) = (3, 120);
    check_row("span", &span);
    let machine =
        MachineRow { machine_version: 1, last_stamp: Stamp(1_000_001), poisoned: 1, hash: u64::MAX };
    check_row("machine", &machine);
    let poison = PoisonRow {
        stamp: Stamp(1_000_001),
        command: CommandId(77),
        what: "put table 7".to_owned(),
        text: "planted panic".to_owned(),
    };
    check_row("poison", &poison);
    check_row("catalog-cluster", &cluster());
    check_row("catalog-counters", &Counters { version: 4, next_table: 3, next_replica: 2, next_node: 1 });
    check_row("catalog-table", &table());
    check_row("catalog-name", &TableId(7));
    check_row("catalog-node", &node());
    check_row("catalog-shard", &shard());
    check_row("catalog-join", &NodeId(4));
}

fn write(action: Action) -> Write {
    let schema = schema(7, true);
    Write {
        table: schema.table,
        schema: schema.version,
        key: key(&schema, "a", -3),
        condition: None,
        action,
        returns: ReturnValues::None,
        old_on_failure: false,
    }
}

fn settings() -> TableSettings {
    TableSettings {
        billing: Some(BillingMode::PayPerRequest),
        throughput: Some(Units { read: 1, write: 2 }),
        on_demand_maximum: None,
        warm: None,
        class: Some(TableClass::Standard),
        deletion_protection: Some(false),
    }
}

fn catalog_commands() -> Vec<CatalogCommand> {
    let name = || "orders".to_owned();
    vec![
        CatalogCommand::Bootstrap { cluster: cluster(), nodes: vec![node()], shards: vec![shard()] },
        CatalogCommand::CreateTable {
            account: 42,
            name: name(),
            uuid: 5,
            seed: 6,
            definition: definition(),
            tags: table().tags,
        },
        CatalogCommand::TableReady { table: TableId(7) },
        CatalogCommand::DeleteTable { account: 42, name: name() },
        CatalogCommand::TableGone { table: TableId(7) },
        CatalogCommand::AlterTable { account: 42, name: name(), settings: settings() },
        CatalogCommand::Tag { table: TableId(7), tags: table().tags },
        CatalogCommand::Untag { table: TableId(7), keys: vec!["team".to_owned()] },
        CatalogCommand::AddNode {
            token: 8,
            zone: "a".to_owned(),
            peer: "p:1".to_owned(),
            http: String::new(),
            replaces: Some(NodeId(1)),
        },
        CatalogCommand::ReplicaPlaced { shard: ShardId(1), replica: ReplicaId(3) },
        CatalogCommand::NodeUp { node: NodeId(4) },
        CatalogCommand::NodeLeft { node: NodeId(1) },
    ]
}

#[test]
fn batches() {
    let schema = schema(7, true);
    let conditional = Write {
        condition: Some(condition(
            "attribute_not_exists(pk) OR size(v) BETWEEN :a AND :b",
            &[(":a", n(1)), (":b", n(9))],
        )),
        returns: ReturnValues::AllOld,
        old_on_failure: true,
        ..write(Action::Put(whole_item(&schema, &key(&schema, "a", -3))))
    };
    let change = "SET v = if_not_exists(w.x[2], :v) + :v REMOVE y ADD z :v DELETE t :s";
    let texts = AttributeValue::Ss(BTreeSet::from(["a".to_owned()]));
    let mut bodies = vec![
        CommandBody::Write(conditional),
        CommandBody::Write(write(Action::Delete)),
        CommandBody::Write(write(Action::Update(update(change, &[(":v", n(2)), (":s", texts)])))),
        CommandBody::SpanOpen { schema: schema.clone(), interval: HashInterval::part(0, 2) },
        CommandBody::SpanAlter { schema },
        CommandBody::SpanDrop { table: TableId(7) },
        CommandBody::PlantedPanic,
    ];
    bodies.extend(catalog_commands().into_iter().map(CommandBody::Catalog));
    let commands = (1..).zip(bodies).map(|(id, body)| Command { id: CommandId(id), body }).collect();
    check_message("batch", &Batch { leader_stamp: Stamp(1_000_000), commands });
}

#[test]
fn transactions() {
    let schema = schema(7, true);
    let writes = vec![
        write(Action::Put(whole_item(&schema, &key(&schema, "a", -3)))),
        Write { condition: Some(condition("attribute_exists(pk)", &[])), ..write(Action::Check) },
    ];
    let id = TransactionId(9);
    let shard = ShardId(2);
    let token = Token { shard, account: 7, token: "again".to_owned(), digest: 5 };
    let keys = vec![(schema.table, key(&schema, "a", -3))];
    let (participants, sizes) = (vec![ShardId(1), shard], vec![63]);
    let ledger = [
        LedgerCommand::Claim { token: token.clone(), transaction: None },
        LedgerCommand::Claim { token: token.clone(), transaction: Some(id) },
        LedgerCommand::Decide {
            transaction: id,
            participants: participants.clone(),
            until: Stamp(8),
            token: Some(token.clone()),
            sizes: sizes.clone(),
        },
        LedgerCommand::Resolve { transaction: id },
        LedgerCommand::Release { token: token.clone(), transaction: id },
        LedgerCommand::Forget { transactions: vec![id] },
        LedgerCommand::Trim { tokens: vec![(Stamp(3), 7, "again".to_owned())] },
    ];
    let mut bodies = vec![
        CommandBody::TransactWrite(TransactWrite { writes: writes.clone(), token: None, shard }),
        CommandBody::TransactWrite(TransactWrite { writes: writes.clone(), token: Some(token), shard }),
        CommandBody::Prepare(Prepare { transaction: id, ledger: shard, writes }),
        CommandBody::Finish(Finish { transaction: id, keys: keys.clone(), commit: true }),
    ];
    bodies.extend(ledger.map(|command| CommandBody::Ledger { shard, command }));
    let commands = (1..).zip(bodies).map(|(id, body)| Command { id: CommandId(id), body }).collect();
    check_message("batch-transactions", &Batch { leader_stamp: Stamp(1_000_000), commands });

    let fine = WrittenIndexed {
        written: Written { attributes: None, old_size: 3, new_size: 63 },
        charges: vec![IndexCharge { name: "by_v".to_owned(), kind: IndexKind::Local, units: 2 }],
        collection: Some(CollectionSize { key: item(&[("pk", s("a"))]), bytes: 66 }),
    };
    let verdicts = vec![
        PartVerdict::Fine(Box::new(fine.clone())),
        PartVerdict::ConditionFailed { item: None },
        PartVerdict::ConditionFailed { item: Some(every_type()) },
        PartVerdict::Invalid("no".to_owned()),
        PartVerdict::Conflict,
        PartVerdict::CollectionFull,
    ];
    let ledger = [
        LedgerReply::Claimed,
        LedgerReply::Mismatch,
        LedgerReply::InProgress,
        LedgerReply::Replayed(vec![63]),
        LedgerReply::Decided(Decision::Commit),
        LedgerReply::Decided(Decision::Abort),
        LedgerReply::Done,
    ];
    let bodies = [
        ReplyBody::TransactWritten(vec![fine.clone()]),
        ReplyBody::Cancelled(verdicts),
        ReplyBody::Prepared(vec![fine]),
        ReplyBody::Finished,
        ReplyBody::Conflict,
    ];
    let bodies = bodies.into_iter().chain(ledger.map(ReplyBody::Ledger));
    let replies: Vec<Reply> =
        (1..).zip(bodies).map(|(stamp, body)| Reply { stamp: Stamp(stamp), body }).collect();
    check_message("replies-transactions", &replies);

    check_row("prepared", &PreparedRow { ledger: shard, since: Stamp(4), keys });
    check_row("intent", &IntentRow { transaction: id, changes: true, after: Some(every_type()) });
    check_row("ledger", &LedgerRow { decision: Decision::Commit, participants, at: Stamp(4) });
    let states = [TokenState::OneShard, TokenState::Open(id), TokenState::Free, TokenState::Done(sizes)];
    for (name, state) in ["token-one-shard", "token-open", "token-free", "token-done"].into_iter().zip(states)
    {
        check_row(name, &TokenRow { digest: 5, at: Stamp(4), state });
    }
    check_row("aging", &AgingRow { account: 7, token: "again".to_owned() });
    check_row("last-removal", &Stamp(4));

    let got = GotAt { item: Some(every_type()), size: 63, version: Stamp(4), locked: true };
    let page = TransactionsPage {
        prepared: vec![(id, PreparedRow { ledger: shard, since: Stamp(4), keys: Vec::new() })],
        decided: vec![(id, LedgerRow { decision: Decision::Abort, participants: Vec::new(), at: Stamp(4) })],
        aged: vec![(Stamp(3), 7, "again".to_owned())],
    };
    let get =
        GetPlan { table: schema.table, schema: schema.version, key: key(&schema, "a", -3), projection: None };
    let plans = vec![Plan::TransactGet { shard, gets: vec![get] }, Plan::Transactions { shard, limit: 3 }];
    check_message("plans-transactions", &plans);
    let replies = vec![ReadReply::TransactGot(vec![got]), ReadReply::Transactions(Box::new(page))];
    check_message("read-replies-transactions", &replies);
}

#[test]
fn replies() {
    let written = Written { attributes: Some(every_type()), old_size: 3, new_size: 63 };
    let failed = |item| ReplyBody::ConditionFailed { item, old_size: 63, new_size: 0 };
    let catalog = [
        CatalogReply::Done,
        CatalogReply::Table(Box::new(table())),
        CatalogReply::Node(node()),
        CatalogReply::TableExists(Box::new(table())),
        CatalogReply::NotFound,
        CatalogReply::TableBusy(Box::new(table())),
        CatalogReply::Protected,
        CatalogReply::Refused(Refusal::Validation("no".to_owned())),
        CatalogReply::Refused(Refusal::Limit("too many".to_owned())),
    ];
    let bodies = vec![
        ReplyBody::Written(Written::default()),
        ReplyBody::Written(written),
        failed(None),
        failed(Some(every_type())),
        ReplyBody::Invalid("no".to_owned()),
        ReplyBody::NotMine,
        ReplyBody::SchemaMismatch { current: SchemaVersion(2) },
        ReplyBody::SpanDone,
        ReplyBody::Poisoned,
    ];
    let bodies = bodies.into_iter().chain(catalog.map(ReplyBody::Catalog));
    let replies: Vec<Reply> =
        (1..).zip(bodies).map(|(stamp, body)| Reply { stamp: Stamp(stamp), body }).collect();
    check_message("replies", &replies);
}

#[test]
fn plans() {
    let schema = schema(7, true);
    let key = key(&schema, "a", -3);
    let version = schema.version;
    let shape = PageShape {
        limit: Some(3),
        max_bytes: 1 << 20,
        filter: Some(condition("contains(v, :v)", &[(":v", s("x"))])),
        projection: Some(projection("v, w.x[0]")),
        count_only: false,
    };
    let sort = |value| KeyValue::N(Number::from_i64(value));
    let query = |range| {
        Plan::Query(QueryPlan {
            table: schema.table,
            schema: version,
            partition: key.partition.clone(),
            hash: key.hash,
            range: Some(range),
            forward: false,
            start_after: Some(key.clone()),
            shape: shape.clone(),
        })
    };
    let plans = vec![
        Plan::Get(GetPlan { table: schema.table, schema: version, key: key.clone(), projection: None }),
        query(RangeTest::Eq(sort(1))),
        query(RangeTest::Lt(sort(1))),
        query(RangeTest::Le(sort(1))),
        query(RangeTest::Gt(sort(1))),
        query(RangeTest::Ge(sort(1))),
        query(RangeTest::Between(sort(1), sort(2))),
        query(RangeTest::BeginsWith(KeyValue::S("a".to_owned()))),
        Plan::Scan(ScanPlan {
            table: schema.table,
            schema: version,
            interval: HashInterval::part(1, 2),
            start_after: None,
            shape: PageShape {
                limit: None,
                filter: None,
                projection: None,
                count_only: true,
                ..shape.clone()
            },
        }),
        Plan::Count { table: schema.table },
        Plan::Catalog { newer_than: 3 },
    ];
    check_message("plans", &plans);

    let page = Page {
        items: vec![every_type(), Item::new()],
        count: 2,
        scanned: 3,
        bytes: 62,
        last: Some(key),
        covered_to: Some(u64::MAX),
    };
    let replies = vec![
        ReadReply::Got { item: None, size: 0 },
        ReadReply::Got { item: Some(every_type()), size: 63 },
        ReadReply::Page(page),
        ReadReply::Counted { items: 1, bytes: 2 },
        ReadReply::Catalog(None),
        ReadReply::Catalog(Some(Box::new(Catalog::default()))),
        ReadReply::NotMine,
        ReadReply::SchemaMismatch { current: version },
    ];
    check_message("read-replies", &replies);
}
