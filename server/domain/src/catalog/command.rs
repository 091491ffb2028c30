//! Commands of the catalog's own shard, and their answers.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_values::{NodeId, ReplicaId, ShardId, TableId};

use super::BillingMode;
use super::table::{IndexRecord, TableClass, TableDefinition, TableRecord, Units};

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct NodeRecord {
    /// Never used again, not even for the same machine with an empty disk.
    pub id: NodeId,
    /// Its failure domain.
    pub zone: String,
    /// Where peers reach it, `host:port`; empty inside one process.
    pub peer: String,
    /// Where clients reach its HTTP listener, for discovery; may be empty.
    pub http: String,
    /// Whether it still is a member. A node that left or was replaced stays on record, so that its id is known as spent.
    pub state: NodeState,
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum NodeState {
    /// Registered; its replicas are being made.
    Joining,
    /// A full member.
    Up,
    /// Gone for good.
    Left,
}

/// One copy of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ReplicaPlace {
    /// Never used again.
    pub replica: ReplicaId,
    /// The node that holds it.
    pub node: NodeId,
}

/// A shard and where its copies are.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ShardRecord {
    /// Shard 0 is the catalog itself.
    pub id: ShardId,
    /// Voters, one a zone.
    pub replicas: Vec<ReplicaPlace>,
    /// Replicas on their way in (learners), with the replica each one replaces, if any.
    pub incoming: Vec<(ReplicaPlace, Option<ReplicaId>)>,
}

/// What fixes a cluster at its first start.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClusterRecord {
    /// Random, made at init.
    pub cluster: u128,
    /// Region in every ARN.
    pub region: String,
    /// Account in every ARN.
    pub account: u64,
}

/// A change of the catalog.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum CatalogCommand {
    /// The first command of a cluster. Idempotent for the same cluster id.
    Bootstrap {
        /// Identity.
        cluster: ClusterRecord,
        /// First members.
        nodes: Vec<NodeRecord>,
        /// The shards, the catalog's own (0) among them.
        shards: Vec<ShardRecord>,
    },
    /// Makes a table in state Creating, with spans over all data shards.
    CreateTable {
        /// Owner.
        account: u64,
        /// Name.
        name: String,
        /// Random, from the proposer.
        uuid: u128,
        /// Random, from the proposer.
        seed: u64,
        /// What it shall be.
        definition: TableDefinition,
        /// First tags.
        tags: BTreeMap<String, String>,
    },
    /// Creating or Updating becomes Active, once every span has applied.
    TableReady {
        /// The table.
        table: TableId,
    },
    /// Active becomes Deleting.
    DeleteTable {
        /// Owner.
        account: u64,
        /// Name.
        name: String,
    },
    /// A Deleting table whose spans are gone is forgotten.
    TableGone {
        /// The table.
        table: TableId,
    },
    /// UpdateTable without a change of indexes.
    AlterTable {
        /// Owner.
        account: u64,
        /// Name.
        name: String,
        /// What changes.
        settings: TableSettings,
    },
    /// Adds or overwrites tags.
    Tag {
        /// The table.
        table: TableId,
        /// Tags.
        tags: BTreeMap<String, String>,
    },
    /// Removes tags.
    Untag {
        /// The table.
        table: TableId,
        /// Tag keys.
        keys: Vec<String>,
    },
    /// Admits a node in state Joining and gives it an id; where it stands in for another node, incoming replicas
    /// are allocated for every shard that node had a copy of. Idempotent by `token`.
    AddNode {
        /// Random, chosen by the joining node once.
        token: u128,
        /// Zone.
        zone: String,
        /// Peer address.
        peer: String,
        /// HTTP address.
        http: String,
        /// The node whose replicas it takes over.
        replaces: Option<NodeId>,
    },
    /// An incoming replica is a voter now and the one it replaces is out of the group.
    ReplicaPlaced {
        /// The shard.
        shard: ShardId,
        /// The new one.
        replica: ReplicaId,
    },
    /// Joining becomes Up.
    NodeUp {
        /// The node.
        node: NodeId,
    },
    /// A node is gone for good.
    NodeLeft {
        /// The node.
        node: NodeId,
    },
    /// UpdateTable with a change of global indexes.
    AlterIndexes {
        /// Owner.
        account: u64,
        /// Name.
        name: String,
        /// What changes of the table itself: before its indexes.
        settings: TableSettings,
        /// What changes of them.
        changes: Vec<IndexChange>,
    },
    /// A global index that was added to its table has everything that was there before it: Creating becomes Active.
    IndexReady {
        /// The index.
        index: TableId,
    },
}

/// New settings of a table. `None` leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TableSettings {
    /// Billing mode.
    pub billing: Option<BillingMode>,
    /// Provisioned units.
    pub throughput: Option<Units>,
    /// On-demand maxima.
    pub on_demand_maximum: Option<Units>,
    /// Warm throughput.
    pub warm: Option<Units>,
    /// Class.
    pub class: Option<TableClass>,
    /// Deletion protection.
    pub deletion_protection: Option<bool>,
}

impl TableSettings {
    /// Whether there are new units, and nothing else of what has rules of its own.
    pub(super) fn is_units_alone(&self) -> bool {
        let Self { on_demand_maximum, warm, class, deletion_protection, .. } = self;
        on_demand_maximum.is_none() && warm.is_none() && class.is_none() && deletion_protection.is_none()
    }
}

/// A change of a table's global indexes.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum IndexChange {
    /// Makes one. Id, seed and spans are the catalog's to give.
    Create(Box<IndexRecord>),
    /// Drops one.
    Delete(String),
    /// Changes settings of one. `None` leaves a setting as it is.
    Update {
        /// The index.
        name: String,
        /// New provisioned units.
        throughput: Option<Units>,
        /// New on-demand maxima.
        on_demand_maximum: Option<Units>,
        /// New warm throughput.
        warm: Option<Units>,
    },
    /// Drops a vector index.
    DeleteVector(String),
}

impl CatalogCommand {
    /// The kind in one word, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bootstrap { .. } => "bootstrap",
            Self::CreateTable { .. } => "create-table",
            Self::TableReady { .. } => "table-ready",
            Self::DeleteTable { .. } => "delete-table",
            Self::TableGone { .. } => "table-gone",
            Self::AlterTable { .. } => "alter-table",
            Self::Tag { .. } => "tag",
            Self::Untag { .. } => "untag",
            Self::AddNode { .. } => "add-node",
            Self::ReplicaPlaced { .. } => "replica-placed",
            Self::NodeUp { .. } => "node-up",
            Self::NodeLeft { .. } => "node-left",
            Self::AlterIndexes { .. } => "alter-indexes",
            Self::IndexReady { .. } => "index-ready",
        }
    }
}

/// The catalog's answers.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum CatalogReply {
    /// Done, nothing to say.
    Done,
    /// The table after the command.
    Table(Box<TableRecord>),
    /// The node after the command.
    Node(NodeRecord),
    /// CreateTable: the name is taken, by a table in this state.
    TableExists(Box<TableRecord>),
    /// No such table, node, shard or replica.
    NotFound,
    /// The table is not in a state that allows the command.
    TableBusy(Box<TableRecord>),
    /// Deletion protection is on.
    Protected,
    /// Refused for a limit or rule: the service's text (a ValidationException or LimitExceededException).
    Refused(crate::catalog::Refusal),
}

/// Why the catalog refused.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Refusal {
    /// ValidationException.
    Validation(String),
    /// LimitExceededException.
    Limit(String),
}
