//! `trilith server`: one node of a cluster.
//!
//! A node with an identity in its folder recovers. A node without one waits to become a member: a first member
//! (`cluster init`) or a new one (`cluster join`); it never initialises itself. If the members remember a node at
//! this address, the folder was lost: the old identity is refused, and the line that says so names the command that
//! makes new replicas.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
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
use crate::first_start::Decided;
use crate::listen;
use crate::membership::{self, WAITING, Watch};
use crate::metrics::ClusterMetrics;
use crate::node::{self, Budget, Ground};
use crate::process::{self, Process};
use crate::serve::{self, FrontEnds, HAND_OVER, Serving};

/// The node before and after it became a member.
struct Node {
    config: Config,
    peer_address: String,
    http_address: String,
    admin_address: String,
    door: Arc<Door>,
    desk: Arc<Desk>,
    identity: Identity,
    folder: Option<Folder>,
    peer_listeners: Vec<TcpListener>,
    /// Asks for an old identity, as long as the node has none.
    looking: Option<JoinHandle<()>>,
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
    let advertise =
        |flag, bound, configured: &Option<String>| listen::advertised(flag, bound, configured.as_deref());
    let peer_address = advertise("--advertise-peer", peer.address, &config.listen.advertise_peer)?;
    let http_address = advertise("--advertise-http", bound.http.address, &config.listen.advertise_http)?;
    let folder = Ground::lock(&config.node.data_dir).map_err(|e| e.to_string())?;
    let had = node::identity(&folder)?;
    let ready = bound.ready_line();
    let identity = Identity { region: "us-east-1".into(), account: 0 };
    let door = Door::closed(if had.is_some() { "starting" } else { WAITING }, identity.clone());
    let (orders, mut ordered) = admin::orders();
    let desk = Desk::new(Arc::clone(&door), &config.node.zone, &peer_address, &http_address, orders);
    let admin_address = bound.admin.address.to_string();
    let mut serving = serve::start(bound, &door, admin::router(&desk));
    let mut node = Node {
        config,
        peer_address,
        http_address,
        admin_address,
        door,
        desk,
        identity,
        folder: Some(folder),
        peer_listeners: peer.listeners,
        looking: None,
        member: None,
    };
    // One future for the whole life: a signal that comes while an order is carried out is not lost.
    let stop = serve::signal();
    tokio::pin!(stop);
    match had {
        Some((cluster, id)) => node.recover(cluster, id, &mut serving).await?,
        None => node.look_for_old_identity(),
    }

    let mut announced = false;
    let mut every = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            stop = &mut stop => { stop?; break }
            _ = every.tick(), if !announced => {
                if let Some(member) = &node.member && member.process.cluster.ready().is_ok() {
                    node.door.open(Arc::clone(&member.process.engine));
                    serve::say(&ready);
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
        let ground = Ground::open(folder, cluster, node, &Budget::for_nodes(1)).map_err(line)?;
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
            let peers = PeerService::server(Arc::clone(host.replicas()), node, cluster);
            let admin = admin::service(&self.desk);
            tokio::spawn(async move {
                let server = tonic::transport::Server::builder()
                    .tcp_nodelay(true)
                    .initial_stream_window_size(Some(4 * 1024 * 1024))
                    .initial_connection_window_size(Some(8 * 1024 * 1024))
                    .add_service(peers)
                    .add_service(admin);
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
        self.desk.serves(&process.cluster, cluster, node);
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        self.door.close("starting");
        Ok(Member { cluster, node, host, process, addresses })
    }

    /// The node is a member from now on, and keeps asking the others whether it still is.
    fn belongs(&mut self, member: Member) {
        let watch = Watch {
            cluster: member.cluster,
            host: Arc::clone(&member.host),
            process: Arc::clone(&member.process),
            addresses: Arc::clone(&member.addresses),
            peers: self.config.cluster.peers.clone(),
            own: self.peer_address.clone(),
            door: Arc::clone(&self.door),
            aside: AtomicBool::new(false),
        };
        member.process.also(tokio::spawn(watch.run()));
        self.member = Some(member);
    }

    async fn recover(&mut self, cluster: u128, id: NodeId, serving: &mut Serving) -> Result<(), String> {
        let member = self.stand(cluster, id, serving)?;
        let started = member.host.recover(true).await.map_err(|e| e.to_string())?;
        if started == 0 {
            let line = format!(
                "node {id} holds no replica that can start. If cluster init was cut short, run it again; a join goes on by itself. If the node lost its log or state, stop it, remove the folder {}, start it, and run: trilith cluster join --admin {} --via MEMBER --replaces {id}",
                self.config.node.data_dir.display(),
                self.admin_address,
            );
            tracing::error!("{line}");
            self.door.close(line);
        }
        self.belongs(member);
        Ok(())
    }

    /// Asks the configured peers whether a member is known at this address, until one answers.
    fn look_for_old_identity(&mut self) {
        let folder = self.config.node.data_dir.display().to_string();
        let (peers, own) = (self.config.cluster.peers.clone(), self.peer_address.clone());
        let admin_address = self.admin_address.clone();
        let look =
            membership::look_for_old_identity(peers, own, admin_address, folder, Arc::clone(&self.door));
        self.looking = Some(tokio::spawn(look));
    }

    /// Becomes a first member. The same order again is answered the same, and finishes what a crash cut short.
    async fn found(&mut self, founding: Founding, index: usize, serving: &mut Serving) -> Joined {
        let cluster = founding.cluster.cluster;
        let id = founding.node(index);
        if let Some(member) = &self.member {
            if member.cluster != cluster || member.node != id {
                return Err(format!(
                    "this node is node {} of cluster {:032x} already",
                    member.node, member.cluster
                ));
            }
            if member.process.cluster.catalog().cluster().is_none() {
                member.found(founding, &self.config.node.data_dir).await?;
            }
            return Ok((cluster, id));
        }
        self.may_be_first(&founding).await?;
        let decided = Decided { cluster: founding.cluster.clone(), shards: founding.shards };
        decided.write(&self.config.node.data_dir)?;
        let member = self.stand(cluster, id, serving)?;
        member.found(founding, &self.config.node.data_dir).await?;
        self.belongs(member);
        Ok((cluster, id))
    }

    /// Whether a node without an identity may become a first member of this cluster: not beside one that serves, and not
    /// alone where its configuration names others. Either would split what its users take for one store in two.
    async fn may_be_first(&self, founding: &Founding) -> Result<(), String> {
        let peers = &self.config.cluster.peers;
        let others = peers.iter().filter(|peer| **peer != self.peer_address).cloned().collect();
        if let Some((peer, status)) = membership::serving_elsewhere(others, founding.cluster.cluster).await {
            return Err(format!(
                "the node at {peer}, which this node's configuration names as a peer, is a member of cluster {}; let this one join it: trilith cluster join --admin {} --via {peer}",
                status.cluster_id, self.admin_address
            ));
        }
        if founding.members.len() < peers.len() {
            return Err(format!(
                "this node's configuration names {} peers, but the new cluster would have {} first members; give --admin once for each node",
                peers.len(),
                founding.members.len()
            ));
        }
        Ok(())
    }

    /// Joins through a member: new id, new replicas, which their leaders bring up to date.
    async fn join(&mut self, via: &str, replaces: Option<u64>, serving: &mut Serving) -> Joined {
        if let Some(member) = &self.member {
            return Err(format!(
                "this node is node {} of cluster {:032x} already; for it to join another one stop it, remove its data folder {} and start it again",
                member.node,
                member.cluster,
                self.config.node.data_dir.display()
            ));
        }
        let mut client = connect(via).await?;
        let request = proto::AdmitRequest {
            token: uuid::Uuid::new_v4().simple().to_string(),
            zone: self.config.node.zone.clone(),
            peer: self.peer_address.clone(),
            http: self.http_address.clone(),
            replaces,
        };
        let admitted =
            client.admit(request).await.map_err(|e| format!("{via}: {}", e.message()))?.into_inner();
        let cluster = u128::from_str_radix(&admitted.cluster_id, 16).map_err(|e| e.to_string())?;
        let id = NodeId(admitted.node_id);
        let member = self.stand(cluster, id, serving)?;
        member
            .addresses
            .write()
            .extend(admitted.nodes.iter().map(|node| (NodeId(node.id), node.peer.clone())));
        let wanted = admitted.replicas.iter().map(|new| (ShardId(new.shard), ReplicaId(new.replica)));
        let made = membership::create(&member.host, wanted.collect()).await;
        // A member in any case: what is missing is made when the members say so again.
        self.belongs(member);
        made?;
        Ok((cluster, id))
    }
}

impl Member {
    /// Every step of a cluster's first start that this node has to take. Safe to repeat.
    async fn found(&self, founding: Founding, data_dir: &Path) -> Result<(), String> {
        let places = founding.members.iter().enumerate().map(|(i, m)| (founding.node(i), m.peer.clone()));
        self.addresses.write().extend(places);
        if Decided::read(data_dir)?.is_some() {
            process::found(&self.host, &founding).await?;
            Decided::done(data_dir)?;
        } else if self.host.replicas().all().is_empty() {
            return Err(format!(
                "node {} lost the log and state of its first replicas, which never come back under their ids; stop it, remove its data folder, start it, and let it join with --replaces {}",
                self.node, self.node
            ));
        }
        process::begin(&self.host, &founding).await?;
        self.process.also(tokio::spawn(process::bootstrap(Arc::clone(&self.process.cluster), founding)));
        Ok(())
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
