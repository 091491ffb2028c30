//! Clients: each writes unique values to a few keys and reads them strongly, through the port of a node's process and
//! so through the server's own dispatch: leaders here and elsewhere, one hop, retries, unknown outcomes.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep};
use trilith_cluster::{Cluster, ClusterError, Freshness};
use trilith_consensus::Consistency;
use trilith_domain::item::ItemKey;
use trilith_domain::machine::{Action, CommandBody, Reply, ReplyBody, ReturnValues, Write};
use trilith_domain::read::{GetPlan, Plan, ReadReply};
use trilith_domain::schema::{HashInterval, KeyAttribute, TableSchema};
use trilith_values::{AttributeValue, Item, KeyType, KeyValue, SchemaVersion, TableId};

use crate::oracle::Value;
use crate::world::{NODES, Planted, Process, SHARD, World};

pub(crate) const CLIENTS: u64 = 6;
const KEYS: u64 = 4;
/// A client's patience.
const PATIENCE: Duration = Duration::from_secs(3);

fn schema() -> TableSchema {
    TableSchema {
        table: TableId(1),
        version: SchemaVersion::FIRST,
        hash: KeyAttribute { name: "k".into(), kind: KeyType::N },
        range: None,
        seed: 7,
        indexes: Vec::new(),
        index_of: None,
        vector: None,
    }
}

fn number(value: u64) -> trilith_values::Number {
    trilith_values::Number::from_i64(i64::try_from(value).expect("small"))
}

fn item_key(key: u64) -> ItemKey {
    ItemKey::new(schema().seed, KeyValue::N(number(key)), None)
}

pub(crate) fn put(key: u64, value: Value) -> CommandBody {
    let item = Item::from([
        ("k".to_owned(), AttributeValue::N(number(key))),
        ("v".to_owned(), AttributeValue::N(number(value))),
    ]);
    CommandBody::Write(Write {
        table: schema().table,
        schema: SchemaVersion::FIRST,
        key: item_key(key),
        condition: None,
        action: Action::Put(item),
        returns: ReturnValues::AllOld,
        old_on_failure: false,
    })
}

pub(crate) fn get(key: u64) -> Plan {
    Plan::Get(GetPlan {
        table: schema().table,
        schema: SchemaVersion::FIRST,
        key: item_key(key),
        projection: None,
    })
}

fn value_in(item: Option<&Item>) -> Option<Value> {
    let number = item?["v"].as_n().expect("v is a number").to_string();
    Some(number.parse().expect("a value of this run"))
}

/// What became of a write.
enum Outcome {
    /// It was applied, over this value.
    Written { over: Option<Value> },
    /// It never entered a log.
    NotWritten,
    /// Nobody knows.
    Unknown,
}

/// A client's way in: the node it talks to, whose process finds the leader (`trilith_cluster`'s own dispatch).
struct Session<'w> {
    world: &'w World,
    random: SmallRng,
    node: u64,
}

impl<'w> Session<'w> {
    fn new(world: &'w World) -> Self {
        let mut random = world.random();
        let node = NODES[random.random_range(0..NODES.len())];
        Self { world, random, node }
    }

    /// A short way between client and node, or between two attempts.
    async fn pause(&mut self, micros: u64) {
        sleep(Duration::from_micros(self.random.random_range(micros..2 * micros))).await;
    }

    /// Talks to any node from now on.
    fn move_on(&mut self) {
        self.node = NODES[self.random.random_range(0..NODES.len())];
    }

    /// A process that runs, once there is one that takes a connection before `deadline`.
    async fn connect(&mut self, deadline: Instant) -> Option<Process> {
        while Instant::now() < deadline {
            if let Some(process) = self.world.process(self.node) {
                self.pause(300).await;
                return Some(process);
            }
            self.move_on();
            self.pause(15_000).await;
        }
        None
    }

    async fn write(&mut self, body: CommandBody) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        let Some(process) = self.connect(deadline).await else { return Outcome::NotWritten };
        let answer = process.by_lease.write(SHARD, body, deadline.into_std()).await;
        let alive = self.world.is_alive(self.node, process.life);
        self.pause(300).await;
        match answer {
            // A process that died while it had the command tells nobody how far it got.
            _ if !alive => Outcome::Unknown,
            Ok(reply) => self.outcome(reply),
            Err(ClusterError::NotDone(_)) => {
                self.move_on();
                Outcome::NotWritten
            }
            Err(ClusterError::Unknown(_) | ClusterError::Storage(_)) => {
                self.move_on();
                Outcome::Unknown
            }
        }
    }

    fn outcome(&self, reply: Reply) -> Outcome {
        match reply.body {
            ReplyBody::Written(written) => Outcome::Written { over: value_in(written.attributes.as_ref()) },
            ReplyBody::SpanDone => Outcome::Written { over: None },
            other => {
                self.world.violated(format!("a write was answered {other:?}"));
                Outcome::Unknown
            }
        }
    }

    /// The value as of some moment within the call; `None` where nobody answered in time.
    async fn read(&mut self, consistency: Consistency, key: u64) -> Option<Option<Value>> {
        let plan = get(key);
        let deadline = Instant::now() + PATIENCE;
        let freshness = match self.world.planted {
            Planted::FollowerReads => {
                self.move_on();
                Freshness::Eventual
            }
            Planted::Nothing | Planted::SkippedFsync | Planted::VotesAtOnce => Freshness::Strong,
        };
        let process = self.connect(deadline).await?;
        let cluster = match consistency {
            Consistency::ReadIndex => &process.by_quorum,
            Consistency::Lease | Consistency::Eventual => &process.by_lease,
        };
        let answer = cluster.read(SHARD, freshness, &plan, deadline.into_std()).await;
        let alive = self.world.is_alive(self.node, process.life);
        self.pause(300).await;
        match answer {
            _ if !alive => None,
            Ok(ReadReply::Got { item, .. }) => Some(value_in(item.as_ref())),
            Ok(ReadReply::NotMine) if freshness == Freshness::Eventual => None,
            Ok(other) => {
                self.world.violated(format!("a strong read was answered {other:?}"));
                None
            }
            Err(_) => {
                self.move_on();
                None
            }
        }
    }
}

/// Opens the table, once the first leader is there.
pub(crate) async fn open_table(world: &World) {
    let body = CommandBody::SpanOpen { schema: schema(), interval: HashInterval::ALL };
    let mut session = Session::new(world);
    while !matches!(session.write(body.clone()).await, Outcome::Written { .. }) {}
}

/// Works until the world says that it is enough.
pub(crate) async fn client(world: World, client: u64) {
    let mut session = Session::new(&world);
    let mut done = 0;
    while world.is_working() {
        let key = session.random.random_range(0..KEYS);
        // Some come through another node than the one that answered last.
        if session.random.random_bool(0.2) {
            session.move_on();
        }
        match session.random.random_range(0..10) {
            0..4 => {
                done += 1;
                write(&world, &mut session, key, (client + 1) * 1_000_000 + done).await;
            }
            4..7 => read(&world, &mut session, Consistency::Lease, key).await,
            _ => read(&world, &mut session, Consistency::ReadIndex, key).await,
        }
        session.pause(4_000).await;
    }
}

async fn write(world: &World, session: &mut Session<'_>, key: u64, value: Value) {
    let began = world.trace.note(format_args!("write {key} = {value}"));
    let op = world.record(|history| history.begin_write(key, value, began));
    match session.write(put(key, value)).await {
        Outcome::Written { over } => {
            let ended = world.trace.note(format_args!("wrote {key} = {value} over {over:?}"));
            world.record(|history| history.written(op, over, ended));
        }
        Outcome::NotWritten => {
            world.trace.note(format_args!("did not write {key} = {value}"));
            world.record(|history| history.not_written(op));
        }
        Outcome::Unknown => {
            world.trace.note(format_args!("who knows of {key} = {value}"));
        }
    }
}

async fn read(world: &World, session: &mut Session<'_>, consistency: Consistency, key: u64) {
    let began = world.trace.note(format_args!("read {key} {consistency:?}"));
    let found = session.read(consistency, key).await;
    let ended = world.trace.note(format_args!("read {key} gave {found:?}"));
    if let Some(value) = found {
        world.record(|history| history.read(key, value, began, ended));
    }
}

/// When all is healed: every key can be read and written.
///
/// # Errors
/// When nobody answers.
pub(crate) async fn read_everything(world: &World) -> Result<(), String> {
    let mut session = Session::new(world);
    for round in 0..2 {
        for key in 0..KEYS {
            for consistency in [Consistency::ReadIndex, Consistency::Lease] {
                let before = world.record(|history| history.reads());
                for _ in 0..5 {
                    if world.record(|history| history.reads()) == before {
                        read(world, &mut session, consistency, key).await;
                    }
                }
                if world.record(|history| history.reads()) == before {
                    return Err(format!("nobody answers a read of key {key} after everything healed"));
                }
            }
            let before = world.record(|history| history.acknowledged());
            write(world, &mut session, key, 900_000_000 + 10 * key + round).await;
            if world.record(|history| history.acknowledged()) == before {
                return Err(format!("nobody takes a write of key {key} after everything healed"));
            }
        }
    }
    Ok(())
}
