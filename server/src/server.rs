//! `trilith server`: one node of a cluster.
//!
//! A node with an identity in its folder recovers. A node without one waits to become a member: a first member
//! (`cluster init`) or a new one (`cluster join`); it never initialises itself. If the members remember a node at
//! this address, the folder was lost: the old identity is refused, and the line that says so names the command that
//! makes new replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use trilith_cluster::{Cluster, Founding, RaftCluster};
use trilith_consensus::{Addresses, Consistency, GrpcTransport, Host, PeerService, RaftSettings};
use trilith_domain::Clock;
use trilith_engine::Identity;
use trilith_proto::admin::v1 as proto;
use trilith_storage::Folder;
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::admin::{self, Desk, Joined, Order};
use crate::cli::ServerArgs;
use crate::clock::SystemClock;
use crate::cluster_commands::connect;
use crate::config::{self, Config};
use crate::door::Door;
use crate::listen;
use crate::metrics::ClusterMetrics;
use crate::node::{self, Budget, Ground};
use crate::process::{self, Process};
use crate::serve::{self, FrontEnds, HAND_OVER, Serving};

const WAITING: &str = "this node is no member of a cluster yet; run: trilith cluster init, or trilith cluster join";

/// The node before and after it became a member.
struct Node {
    config: Config,
    peer_address: String,
    door: Arc<Door>,
    desk: Arc<Desk>,
    identity: Identity,
    folder: Option<Folder>,
    peer_listeners: Vec<TcpListener>,
    member: Option<Member>,
}

struct Member {
    cluster: u128,
    node: NodeId,
    host: Arc<Host>,
    process: Arc<Process>,
    addresses: Addresses,
}

/// Runs until a signal.
pub async fn run(args: ServerArgs) -> Result<(), String> {
    let config = config::of_server(&args)?;
    crate::telemetry::start();
    let bound = FrontEnds {
        http: listen::bind("--http", &config.listen.http, args.insecure)?,
        grpc: listen::bind("--grpc", &config.listen.grpc, args.insecure)?,
        admin: listen::bind("--admin", &config.listen.admin, args.insecure)?,
    };
    let peer = listen::bind("--peer", &config.listen.peer, args.insecure)?;
    let folder = Ground::lock(&config.node.data_dir).map_err(|e| e.to_string())?;
    let had = node::identity(&folder)?;
    let ready = bound.ready_line();
    let identity = Identity { region: "us-east-1".into(), account: 0 };
    let door = Door::closed(WAITING, identity.clone());
    let (orders, mut ordered) = admin::orders();
    let peer_address = peer.address.to_string();
    let desk = Desk::new(
        Arc::clone(&door),
        &config.node.zone,
        &peer_address,
        &bound.http.address.to_string(),
        orders,
    );
    let admin_address = bound.admin.address.to_string();
    let mut serving = serve::start(bound, &door, admin::router(&desk));
    let mut node = Node {
        config,
        peer_address,
        door,
        desk,
        identity,
        folder: Some(folder),
        peer_listeners: peer.listeners,
        member: None,
    };
    match had {
        Some((cluster, id)) => node.recover(cluster, id, &mut serving).await?,
        None => node.look_for_old_identity(&admin_address).await,
    }

    let mut announced = false;
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            stop = serve::signal() => { stop?; break }
            _ = every.tick(), if !announced => {
                if let Some(member) = &node.member && member.process.cluster.ready().is_ok() {
                    node.door.open(Arc::clone(&member.process.engine));
                    println!("{ready}");
                    announced = true;
                }
            }
            Some(order) = ordered.recv() => match order {
                Order::Found { founding, index, reply } => { let _ = reply.send(node.found(founding, index, &mut serving).await); }
                Order::Join { via, replaces, reply } => { let _ = reply.send(node.join(&via, replaces, &mut serving).await); }
            }
        }
    }
    node.door.close("stopping");
    if let Some(member) = &node.member {
        member.host.hand_over(HAND_OVER).await;
    }
    serving.drain().await;
    if let Some(member) = &node.member {
        member.process.stop().await;
    }
    serving.end().await;
    Ok(())
}

impl Node {
    /// Opens the folder and starts listening to peers; no replica runs yet.
    fn stand(&mut self, cluster: u128, node: NodeId, serving: &Serving) -> Result<Member, String> {
        let line = |e: trilith_storage::StorageError| e.to_string();
        let folder = self.folder.take().ok_or("the node's folder is in use already; restart the node")?;
        let mut ground = Ground::open(folder, &Budget::for_nodes(1)).map_err(line)?;
        ground.claim(cluster, node).map_err(line)?;
        let addresses: Addresses = Arc::new(RwLock::new(HashMap::new()));
        let transport = Arc::new(GrpcTransport::new(node, cluster, Arc::clone(&addresses)));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = Host::new(
            node,
            ground.engine.clone(),
            ground.log.clone(),
            transport.clone(),
            Arc::clone(&clock),
            RaftSettings::default(),
        );
        let host = Arc::new(host);
        // The folder's lock lives as long as the process does.
        std::mem::forget(ground);
        for listener in self.peer_listeners.drain(..) {
            let service = PeerService::server(Arc::clone(host.replicas()), node, cluster);
            let routes = tonic::service::Routes::new(service);
            let admin = admin::router(&self.desk);
            tokio::spawn(async move {
                let server = tonic::transport::Server::builder()
                    .tcp_nodelay(true)
                    .initial_stream_window_size(Some(4 * 1024 * 1024))
                    .initial_connection_window_size(Some(8 * 1024 * 1024))
                    .add_routes(tonic::service::Routes::from(routes.into_axum_router().merge(admin)));
                if let Err(error) = server.serve_with_incoming(TcpListenerStream::new(listener)).await {
                    tracing::error!(%error, "the peer listener ended");
                }
            });
        }
        let process = Process::start(
            vec![Arc::clone(&host)],
            Some(transport),
            clock,
            Consistency::ReadIndex,
            self.identity.clone(),
        );
        process.also(tokio::spawn(follow_addresses(Arc::clone(&process.cluster), Arc::clone(&addresses))));
        serving.metrics.add_source(Arc::new(ClusterMetrics::of(&process.cluster)));
        self.desk.serves(&process.cluster, node);
        self.door.close("starting");
        Ok(Member { cluster, node, host, process, addresses })
    }

    async fn recover(&mut self, cluster: u128, id: NodeId, serving: &mut Serving) -> Result<(), String> {
        let member = self.stand(cluster, id, serving)?;
        member.host.recover(true).await.map_err(|e| e.to_string())?;
        self.member = Some(member);
        Ok(())
    }

    /// Asks the configured peers whether a member is known at this address.
    async fn look_for_old_identity(&self, admin_address: &str) {
        for peer in self.config.cluster.peers.iter().filter(|peer| **peer != self.peer_address) {
            let Ok(mut client) = connect(peer).await else { continue };
            let Ok(status) = client.status(proto::StatusRequest {}).await else { continue };
            let status = status.into_inner();
            let old = status.nodes.iter().find(|node| node.peer == self.peer_address && node.state != "left");
            if let Some(old) = old {
                let line = format!(
                    "the data folder {} is empty, but the cluster knows this address as node {}; its replicas are lost and never come back under their ids. To make new ones run: trilith cluster join --admin {admin_address} --via {peer} --replaces {}",
                    self.config.node.data_dir.display(),
                    old.id,
                    old.id
                );
                tracing::error!("{line}");
                self.door.close(line);
                return;
            }
        }
        tracing::info!("{WAITING}");
    }

    /// Becomes a first member. The same order again is answered the same.
    async fn found(&mut self, founding: Founding, index: usize, serving: &mut Serving) -> Joined {
        let cluster = founding.cluster.cluster;
        let id = founding.node(index);
        if let Some(member) = &self.member {
            if member.cluster != cluster || member.node != id {
                return Err(format!("this node is node {} of cluster {:032x} already", member.node, member.cluster));
            }
            return Ok((cluster, id));
        }
        let member = self.stand(cluster, id, serving)?;
        member.addresses.write().extend(founding.members.iter().enumerate().map(|(i, m)| (founding.node(i), m.peer.clone())));
        process::found(&member.host, &founding).await?;
        process::begin(&member.host, &founding).await?;
        member.process.also(tokio::spawn(process::bootstrap(Arc::clone(&member.process.cluster), founding)));
        self.member = Some(member);
        Ok((cluster, id))
    }

    /// Joins through a member: new id, new replicas, which their leaders bring up to date.
    async fn join(&mut self, via: &str, replaces: Option<u64>, serving: &mut Serving) -> Joined {
        if let Some(member) = &self.member {
            return Err(format!("this node is node {} of a cluster already", member.node));
        }
        let mut client = connect(via).await?;
        let request = proto::AdmitRequest {
            token: uuid::Uuid::new_v4().simple().to_string(),
            zone: self.config.node.zone.clone(),
            peer: self.peer_address.clone(),
            http: self.config.listen.http.clone(),
            replaces,
        };
        let admitted = client.admit(request).await.map_err(|e| format!("{via}: {}", e.message()))?.into_inner();
        let cluster = u128::from_str_radix(&admitted.cluster_id, 16).map_err(|e| e.to_string())?;
        let id = NodeId(admitted.node_id);
        let member = self.stand(cluster, id, serving)?;
        member.addresses.write().extend(admitted.nodes.iter().map(|node| (NodeId(node.id), node.peer.clone())));
        for new in &admitted.replicas {
            let made = member.host.create(ShardId(new.shard), ReplicaId(new.replica)).await;
            made.map_err(|e| e.to_string())?;
        }
        self.member = Some(member);
        Ok((cluster, id))
    }
}

/// Keeps the transport's addresses as the catalog has them.
async fn follow_addresses(cluster: Arc<RaftCluster>, addresses: Addresses) {
    let mut every = tokio::time::interval(Duration::from_millis(100));
    let mut version = None;
    loop {
        every.tick().await;
        let catalog = cluster.catalog();
        if version != Some(catalog.version()) {
            version = Some(catalog.version());
            addresses.write().extend(catalog.nodes().map(|node| (node.id, node.peer.clone())));
        }
    }
}
