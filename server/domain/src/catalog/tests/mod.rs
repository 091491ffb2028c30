//! The catalog, driven as its shard drives it: through entries, with the rows read back after each.

mod nodes;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use trilith_values::{KeyType, NodeId, ReplicaId, ShardId, TableId};

use super::*;
use crate::keyspace::CATALOG_SHARD;
use crate::machine::{Batch, Command, CommandBody, ReplyBody, ShardState, apply_batch};
use crate::schema::{HashInterval, KeyAttribute};
use crate::testing::Rows;
use crate::time::Stamp;

const ACCOUNT: u64 = 42;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// The catalog's shard, driven by commands at chosen times.
struct Books {
    state: ShardState,
    rows: Rows,
    now: u64,
    index: u64,
}

impl Books {
    fn empty() -> Self {
        let state = ShardState::new(CATALOG_SHARD);
        // Noon of some day, so that a day's beginning is neither now nor near.
        Self { state, rows: Rows::default(), now: 20_000 * DAY + 12 * HOUR, index: 0 }
    }

    /// Nodes 1 to 3 in zones a, b, c, and `shards` data shards with a replica on each.
    fn with_shards(shards: u32) -> Self {
        let mut books = Self::empty();
        assert_eq!(books.apply(bootstrap(shards)), CatalogReply::Done);
        books
    }

    fn apply(&mut self, command: CatalogCommand) -> CatalogReply {
        self.index += 1;
        let command = Command { id: self.index.into_id(), body: CommandBody::Catalog(command) };
        let batch = Batch { leader_stamp: Stamp(self.now), commands: vec![command] };
        let fetched = self.rows.fetch(&[&batch]);
        let applied = apply_batch(&mut self.state, fetched, &batch, self.index);
        let (mut replies, effects) = applied.expect("nothing is damaged");
        self.rows.write(effects);
        let loaded = Catalog::load(&self.rows).expect("loads");
        assert_eq!(&loaded, self.catalog(), "the rows are the catalog");
        match replies.remove(0).body {
            ReplyBody::Catalog(reply) => reply,
            other => panic!("not the catalog's answer: {other:?}"),
        }
    }

    fn catalog(&self) -> &Catalog {
        self.state.catalog()
    }

    fn table(&mut self, command: CatalogCommand) -> TableRecord {
        match self.apply(command) {
            CatalogReply::Table(table) => *table,
            other => panic!("not a table: {other:?}"),
        }
    }

    /// A table that is Active.
    fn active(&mut self, name: &str, definition: TableDefinition) -> TableRecord {
        let table = self.table(create(name, definition));
        self.table(CatalogCommand::TableReady { table: table.id })
    }

    /// Alters `t` and makes it Active again.
    fn alter(&mut self, alter: impl FnOnce(&mut Alter)) -> Result<TableRecord, CatalogReply> {
        let mut asked = Alter::default();
        alter(&mut asked);
        match self.apply(asked.command()) {
            CatalogReply::Table(table) => {
                assert_eq!(table.status, TableStatus::Updating);
                Ok(self.table(CatalogCommand::TableReady { table: table.id }))
            }
            refused => Err(refused),
        }
    }

    fn units(&mut self, read: i64, write: i64) -> Result<TableRecord, CatalogReply> {
        self.alter(|asked| asked.throughput = Some(Units { read, write }))
    }
}

trait IntoId {
    fn into_id(self) -> trilith_values::CommandId;
}

impl IntoId for u64 {
    fn into_id(self) -> trilith_values::CommandId {
        trilith_values::CommandId(u128::from(self))
    }
}

type Alter = TableSettings;

impl Alter {
    fn command(self) -> CatalogCommand {
        CatalogCommand::AlterTable { account: ACCOUNT, name: "t".to_owned(), settings: self }
    }
}

fn node(id: u64, zone: &str, state: NodeState) -> NodeRecord {
    NodeRecord {
        id: NodeId(id),
        zone: zone.to_owned(),
        peer: format!("node{id}:8003"),
        http: String::new(),
        state,
    }
}

fn place(replica: u64, node: u64) -> ReplicaPlace {
    ReplicaPlace { replica: ReplicaId(replica), node: NodeId(node) }
}

fn bootstrap(shards: u32) -> CatalogCommand {
    let nodes = [(1, "a"), (2, "b"), (3, "c")];
    let shard = |id: u32| {
        let replicas = (1..=3).map(|on| place(u64::from(id) * 3 + on, on)).collect();
        ShardRecord { id: ShardId(id), replicas, incoming: vec![] }
    };
    CatalogCommand::Bootstrap {
        cluster: ClusterRecord { cluster: 99, region: "us-east-1".to_owned(), account: ACCOUNT },
        nodes: nodes.map(|(id, zone)| node(id, zone, NodeState::Up)).to_vec(),
        shards: (0..=shards).map(shard).collect(),
    }
}

fn on_demand() -> TableDefinition {
    TableDefinition {
        hash: KeyAttribute { name: "pk".to_owned(), kind: KeyType::S },
        range: None,
        billing: BillingMode::PayPerRequest,
        throughput: Units::default(),
        on_demand_maximum: None,
        warm: None,
        class: None,
        deletion_protection: false,
        indexes: Vec::new(),
    }
}

fn provisioned(read: i64, write: i64) -> TableDefinition {
    let billing = BillingMode::Provisioned;
    TableDefinition { billing, throughput: Units { read, write }, ..on_demand() }
}

fn create(name: &str, definition: TableDefinition) -> CatalogCommand {
    CatalogCommand::CreateTable {
        account: ACCOUNT,
        name: name.to_owned(),
        uuid: 5,
        seed: 6,
        definition,
        tags: BTreeMap::new(),
    }
}

fn delete(name: &str) -> CatalogCommand {
    CatalogCommand::DeleteTable { account: ACCOUNT, name: name.to_owned() }
}

fn limit_text(reply: CatalogReply) -> String {
    match reply {
        CatalogReply::Refused(Refusal::Limit(text)) => text,
        other => panic!("not a limit: {other:?}"),
    }
}

fn invalid_text(reply: CatalogReply) -> String {
    match reply {
        CatalogReply::Refused(Refusal::Validation(text)) => text,
        other => panic!("not invalid: {other:?}"),
    }
}

#[test]
fn the_catalog_is_read_by_version() {
    use crate::read::{Plan, ReadReply, run};
    let mut books = Books::with_shards(1);
    let ask = |books: &Books, newer_than| {
        let reply = run(&books.state, &books.rows, &Plan::Catalog { newer_than });
        match reply.expect("nothing is damaged") {
            ReadReply::Catalog(catalog) => catalog,
            other => panic!("not a catalog: {other:?}"),
        }
    };
    let first = ask(&books, 0).expect("newer than nothing");
    assert_eq!(&*first, books.catalog());
    assert_eq!(ask(&books, first.version()), None);
    books.table(create("t", on_demand()));
    let second = ask(&books, first.version()).expect("changed");
    assert_eq!(second.version(), first.version() + 1);
    let bytes = borsh::to_vec(&second).expect("encodes");
    assert_eq!(borsh::from_slice::<Catalog>(&bytes).ok(), Some(*second));
}
