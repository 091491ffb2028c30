//! The admin service of a process: what `trilith cluster` and `trilith table` ask.
//!
//! Status is answered from what is known; orders that change what the process is (become a member) go to its main
//! loop, one at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use trilith_cluster::{CATALOG, Cluster, FirstMember, Founding, RaftCluster};
use trilith_consensus::ReplicaStatus;
use trilith_domain::catalog::{
    CatalogCommand, CatalogReply, ClusterRecord, IndexRecord, NodeRecord, NodeState, Refusal, TableRecord,
};
use trilith_engine::Service;
use trilith_engine::check::{self, CheckError, IndexReport, Kind};
use trilith_proto::admin::v1 as proto;
use trilith_proto::admin::v1::admin_server::{Admin, AdminServer};
use trilith_values::NodeId;

use crate::door::Door;
use crate::membership;

/// A node that is gone leads nothing any more after this: its lease is over, and another one was elected.
const ELECTED: Duration = Duration::from_secs(5);

/// The answer to an order: cluster and node id.
pub type Joined = Result<(u128, NodeId), String>;

/// Something the main loop shall do.
pub enum Order {
    /// Become a first member.
    Found {
        /// Of this cluster.
        founding: Founding,
        /// As this one of its members.
        index: usize,
        /// When done.
        reply: oneshot::Sender<Joined>,
    },
    /// Join through a member.
    Join {
        /// Admin address of the member.
        via: String,
        /// The node to take over from.
        replaces: Option<u64>,
        /// When done.
        reply: oneshot::Sender<Joined>,
    },
}

/// The way of orders to the main loop.
pub fn orders() -> (mpsc::Sender<Order>, mpsc::Receiver<Order>) {
    mpsc::channel(4)
}

/// A process that is a member.
#[derive(Clone)]
struct Serving {
    cluster: Arc<RaftCluster>,
    /// The cluster's id, from the folder: the catalog may not be there yet.
    id: u128,
    node: NodeId,
}

/// Where questions and orders of operators arrive.
pub struct Desk {
    door: Arc<Door>,
    zone: String,
    peer: String,
    http: String,
    orders: mpsc::Sender<Order>,
    serving: RwLock<Option<Serving>>,
}

impl Desk {
    /// Of a process that is no member yet.
    pub fn new(
        door: Arc<Door>,
        zone: &str,
        peer: &str,
        http: &str,
        orders: mpsc::Sender<Order>,
    ) -> Arc<Self> {
        Arc::new(Self {
            door,
            zone: zone.into(),
            peer: peer.into(),
            http: http.into(),
            orders,
            serving: RwLock::new(None),
        })
    }

    /// The process is a member now.
    pub fn serves(&self, cluster: &Arc<RaftCluster>, id: u128, node: NodeId) {
        *self.serving.write() = Some(Serving { cluster: Arc::clone(cluster), id, node });
    }

    async fn order(
        &self,
        make: impl FnOnce(oneshot::Sender<Joined>) -> Order,
    ) -> Result<(u128, NodeId), Status> {
        let (reply, answer) = oneshot::channel();
        let gone = || Status::unavailable("the process is stopping");
        self.orders.send(make(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(Status::failed_precondition)
    }

    fn member(&self) -> Result<Serving, Status> {
        let serving = self.serving.read().clone();
        serving.ok_or_else(|| Status::failed_precondition("this node is no member of a cluster yet"))
    }
}

/// The service, for a gRPC listener.
pub fn service(desk: &Arc<Desk>) -> AdminServer<Clerk> {
    AdminServer::new(Clerk(Arc::clone(desk)))
}

/// The service as routes for an HTTP/2 listener.
pub fn router(desk: &Arc<Desk>) -> axum::Router {
    tonic::service::Routes::new(service(desk)).into_axum_router()
}

/// Answers at the desk.
pub struct Clerk(Arc<Desk>);

#[tonic::async_trait]
impl Admin for Clerk {
    async fn found(
        &self,
        request: Request<proto::FoundRequest>,
    ) -> Result<Response<proto::FoundResponse>, Status> {
        let request = request.into_inner();
        let index = request.index as usize;
        let founding = founding(request)?;
        if index >= founding.members.len() {
            return Err(Status::invalid_argument("index names no member"));
        }
        let (_, node) = self.0.order(|reply| Order::Found { founding, index, reply }).await?;
        Ok(Response::new(proto::FoundResponse { node_id: node.0 }))
    }

    async fn join(
        &self,
        request: Request<proto::JoinRequest>,
    ) -> Result<Response<proto::JoinResponse>, Status> {
        let proto::JoinRequest { via, replaces } = request.into_inner();
        let (cluster, node) = self.0.order(|reply| Order::Join { via, replaces, reply }).await?;
        Ok(Response::new(proto::JoinResponse { cluster_id: format!("{cluster:032x}"), node_id: node.0 }))
    }

    async fn admit(
        &self,
        request: Request<proto::AdmitRequest>,
    ) -> Result<Response<proto::AdmitResponse>, Status> {
        let member = self.0.member()?;
        admit(&member.cluster, request.into_inner()).await.map(Response::new)
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let ready = self.0.door.ready();
        let mut status = proto::StatusResponse {
            zone: self.0.zone.clone(),
            peer: self.0.peer.clone(),
            http: self.0.http.clone(),
            ready: ready.is_ok(),
            missing: ready.err().unwrap_or_default(),
            ..proto::StatusResponse::default()
        };
        if let Ok(member) = self.0.member() {
            describe(&member, &mut status);
            if request.into_inner().ask_others {
                mark_silent(&member, &mut status.nodes).await;
            }
        }
        Ok(Response::new(status))
    }

    type CheckTableStream = ReceiverStream<Result<proto::CheckTableResponse, Status>>;

    async fn check_table(
        &self,
        request: Request<proto::CheckTableRequest>,
    ) -> Result<Response<Self::CheckTableStream>, Status> {
        let cluster = self.0.member()?.cluster;
        let deadline = Instant::now() + Duration::from_secs(5);
        cluster.refresh_catalog(deadline).await.map_err(|e| Status::unavailable(e.to_string()))?;
        let proto::CheckTableRequest { table, patience_millis } = request.into_inner();
        let catalog = cluster.catalog();
        let account = catalog.cluster().map_or(0, |cluster| cluster.account);
        let record = catalog.table_named(account, &table).cloned();
        let record = record.ok_or_else(|| Status::not_found(format!("there is no table {table}")))?;
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            let patience = Duration::from_millis(patience_millis);
            tokio::select! {
                () = check_indexes(&cluster, &record, patience, &answers) => {}
                () = answers.closed() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Compares each index of a table with it, up to the first that cannot be compared.
async fn check_indexes(
    cluster: &RaftCluster,
    table: &TableRecord,
    patience: Duration,
    answers: &mpsc::Sender<Result<proto::CheckTableResponse, Status>>,
) {
    for index in &table.definition.indexes {
        let report = check::index(cluster, table, index, patience).await;
        let answer = match report {
            Ok(report) => Ok(checked(index, &report)),
            Err(error @ (CheckError::Cluster(_) | CheckError::NotShipped { .. })) => {
                Err(Status::unavailable(format!("index {}: {error}", index.schema.name)))
            }
            Err(error @ CheckError::Changing) => {
                Err(Status::failed_precondition(format!("index {}: {error}", index.schema.name)))
            }
        };
        let goes_on = answer.is_ok();
        if answers.send(answer).await.is_err() || !goes_on {
            return;
        }
    }
}

fn checked(index: &IndexRecord, report: &IndexReport) -> proto::CheckTableResponse {
    let count = |kind| report.differences.get(&kind).copied().unwrap_or(0);
    let finding = |(kind, entry): &(Kind, String)| proto::IndexFinding {
        kind: kind.as_str().to_owned(),
        entry: entry.clone(),
    };
    proto::CheckTableResponse {
        index: index.schema.name.clone(),
        local: index.schema.is_local(),
        expected: report.expected,
        entries: report.entries,
        missing: count(Kind::Missing),
        ghosts: count(Kind::Ghost),
        differing: count(Kind::Differing),
        undecided: report.undecided,
        findings: report.findings.iter().map(finding).collect(),
    }
}

fn founding(request: proto::FoundRequest) -> Result<Founding, Status> {
    let cluster = u128::from_str_radix(&request.cluster_id, 16)
        .map_err(|_| Status::invalid_argument("cluster_id is no 32 hexadecimal digits"))?;
    if request.members.is_empty() || request.shards == 0 {
        return Err(Status::invalid_argument("a cluster has members and shards"));
    }
    let member = |m: proto::FirstMember| FirstMember { zone: m.zone, peer: m.peer, http: m.http };
    Ok(Founding {
        cluster: ClusterRecord { cluster, region: request.region, account: request.account },
        members: request.members.into_iter().map(member).collect(),
        shards: request.shards,
    })
}

/// Whether the node leads a shard for longer than it takes to elect another leader.
async fn keeps_leading(cluster: &RaftCluster, node: NodeId) -> bool {
    let deadline = Instant::now() + ELECTED;
    loop {
        let catalog = cluster.catalog();
        if !catalog.shards().any(|shard| cluster.members().leader(shard.id) == Some(node)) {
            return false;
        }
        if Instant::now() >= deadline {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The node of a zone that a newcomer takes over from without being told to: one that neither leads nor answers.
async fn gone(cluster: &RaftCluster, zone: &str) -> Result<Option<NodeId>, Status> {
    let catalog = cluster.catalog();
    let Some(node) = membership::predecessor(&catalog, zone) else { return Ok(None) };
    let id = catalog.cluster().map(|cluster| cluster.cluster);
    let peer = catalog.node(node).map(|record| record.peer.clone()).unwrap_or_default();
    match membership::answers(&peer, id, node).await || keeps_leading(cluster, node).await {
        true => Err(Status::failed_precondition(format!(
            "node {node} of zone {zone} is alive at {peer}, and a newcomer of its zone takes its replicas over; to replace it all the same add --replaces {node}"
        ))),
        false => Ok(Some(node)),
    }
}

async fn admit(cluster: &RaftCluster, request: proto::AdmitRequest) -> Result<proto::AdmitResponse, Status> {
    let token = u128::from_str_radix(&request.token, 16)
        .map_err(|_| Status::invalid_argument("token is no 32 hexadecimal digits"))?;
    // Who of the zone is there must not be yesterday's answer.
    let deadline = Instant::now() + Duration::from_secs(5);
    cluster.refresh_catalog(deadline).await.map_err(|e| Status::unavailable(e.to_string()))?;
    let replaces = match request.replaces {
        Some(node) => Some(NodeId(node)),
        None => gone(cluster, &request.zone).await?,
    };
    let command = CatalogCommand::AddNode {
        token,
        zone: request.zone,
        peer: request.peer,
        http: request.http,
        replaces,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let reply =
        cluster.change_catalog(command, deadline).await.map_err(|e| Status::unavailable(e.to_string()))?;
    let CatalogReply::Node(node) = reply else {
        let why = match reply {
            CatalogReply::Refused(Refusal::Validation(why) | Refusal::Limit(why)) => why,
            CatalogReply::NotFound => "there is no such node; see trilith cluster status".to_owned(),
            other => format!("the catalog answered {other:?}"),
        };
        return Err(Status::failed_precondition(why));
    };
    let catalog = cluster.catalog();
    let identity =
        catalog.cluster().ok_or_else(|| Status::unavailable("the catalog is not known here yet"))?;
    let replicas = membership::incoming(&catalog, node.id).into_iter();
    let replicas = replicas.map(|(shard, replica)| proto::NewReplica { shard: shard.0, replica: replica.0 });
    Ok(proto::AdmitResponse {
        cluster_id: format!("{:032x}", identity.cluster),
        node_id: node.id.0,
        nodes: catalog.nodes().map(node_proto).collect(),
        replicas: replicas.collect(),
    })
}

fn node_proto(node: &NodeRecord) -> proto::Node {
    let state = match node.state {
        NodeState::Joining => "joining",
        NodeState::Up => "up",
        NodeState::Left => "left",
    };
    proto::Node {
        id: node.id.0,
        zone: node.zone.clone(),
        peer: node.peer.clone(),
        http: node.http.clone(),
        state: state.into(),
        silent: false,
    }
}

/// Marks the nodes that do not answer at their addresses, all asked at once.
async fn mark_silent(member: &Serving, nodes: &mut [proto::Node]) {
    // Nodes of one process have no addresses.
    let others = nodes
        .iter_mut()
        .filter(|node| node.id != member.node.0 && node.state != "left" && !node.peer.is_empty());
    let marked = others.map(|node| async {
        node.silent = !membership::answers(&node.peer, Some(member.id), NodeId(node.id)).await;
    });
    futures::future::join_all(marked).await;
}

fn describe(member: &Serving, status: &mut proto::StatusResponse) {
    let cluster = &member.cluster;
    let catalog = cluster.catalog();
    status.this_node = member.node.0;
    status.cluster_id = format!("{:032x}", member.id);
    status.nodes = catalog.nodes().map(node_proto).collect();
    status.tables = catalog.tables().count() as u64;
    status.now_micros = cluster.now_micros();
    let local = cluster.replica_statuses();
    let has_entries = |replica: &ReplicaStatus| replica.name.shard == CATALOG && replica.last_log > 0;
    status.formed = catalog.cluster().is_some() || local.iter().any(has_entries);
    // The last known leader is none where nobody hears of it any more.
    let leader = |shard| match cluster.members().is_led(shard) {
        true => cluster.members().leader(shard).map_or(0, |node| node.0),
        false => 0,
    };
    status.shards = catalog
        .shards()
        .map(|shard| {
            let mine = local.iter().filter(|replica| replica.name.shard == shard.id);
            let best = mine.max_by_key(|replica| (replica.leads, replica.applied));
            let voters = shard.replicas.iter().map(|place| (place, true));
            let learners = shard.incoming.iter().map(|(place, _)| (place, false));
            proto::Shard {
                id: shard.id.0,
                replicas: voters
                    .chain(learners)
                    .map(|(place, voter)| proto::Replica { id: place.replica.0, node: place.node.0, voter })
                    .collect(),
                leader: leader(shard.id),
                term: best.map_or(0, |replica| replica.term),
                applied_index: best.map_or(0, |replica| replica.applied),
            }
        })
        .collect();
}
