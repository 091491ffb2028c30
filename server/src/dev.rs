//! `trilith dev`: three zones in one process, the same code path as a cluster.
//!
//! Each zone is a node with a folder, an engine and a log of its own; they share memory budgets, the runtime and an
//! in-process transport. A write is acknowledged after two fsyncs of three. Since every voter restarts with the
//! process, no leader can have survived it, and votes need not be withheld.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trilith_cluster::{Cluster, FirstMember, Founding};
use trilith_consensus::{Consistency, Host, LocalHub, RaftSettings};
use trilith_domain::Clock;
use trilith_domain::catalog::{CatalogCommand, CatalogReply, ClusterRecord};
use trilith_engine::Identity;
use trilith_storage::{Folder, StorageError};
use trilith_values::NodeId;

use crate::admin::{self, Order};
use crate::cli::DevArgs;
use crate::clock::SystemClock;
use crate::door::Door;
use crate::first_start::Decided;
use crate::listen;
use crate::membership;
use crate::metrics::ClusterMetrics;
use crate::node::{self, Budget, Ground};
use crate::process::{self, Process};
use crate::serve::{self, FrontEnds};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// A zone's folder, locked, before anything in it is opened.
struct Zone {
    name: &'static str,
    folder: Option<Folder>,
    identity: Option<(u128, NodeId)>,
}

impl Zone {
    /// Whether the folder has an identity and what belongs to it. One that lost its log or its state has forgotten
    /// what it promised, just as an empty one.
    fn is_whole(&self) -> bool {
        self.identity.is_some() && self.folder.as_ref().is_none_or(Folder::is_whole)
    }
}

/// What the three folders say.
enum Found {
    /// Three empty folders, or a first start that was cut short: a new cluster.
    New { zones: Vec<Zone>, decided: Decided },
    /// An old cluster, and the zones whose folders are empty.
    Cluster { cluster: u128, alive: Vec<Zone>, lost: Vec<Zone> },
}

fn line(error: StorageError) -> String {
    error.to_string()
}

fn look(args: &DevArgs) -> Result<Found, String> {
    let begun = if args.memory { None } else { Decided::read(&args.data_dir)? };
    let mut zones = Vec::new();
    for name in ZONES {
        let folder =
            if args.memory { None } else { Some(Ground::lock(&args.data_dir.join(name)).map_err(line)?) };
        let identity = folder.as_ref().map(node::identity).transpose()?.flatten();
        zones.push(Zone { name, folder, identity });
    }
    if let Some(decided) = begun {
        return Ok(Found::New { zones, decided });
    }
    let (alive, lost): (Vec<_>, Vec<_>) = zones.into_iter().partition(Zone::is_whole);
    let Some(first) = alive.first() else {
        let cluster = uuid::Uuid::new_v4().as_u128();
        let cluster = ClusterRecord { cluster, region: args.region.clone(), account: 0 };
        return Ok(Found::New { zones: lost, decided: Decided { cluster, shards: args.shards } });
    };
    let (cluster, _) = first.identity.expect("the zone has an identity");
    if let Some(other) = alive.iter().find(|zone| zone.identity.is_some_and(|(id, _)| id != cluster)) {
        return Err(format!(
            "the folders {} and {} in {} belong to different clusters; restore the right one or name another folder with --data-dir",
            first.name,
            other.name,
            args.data_dir.display()
        ));
    }
    if alive.len() < 2 {
        return Err(format!(
            "two of the three zones' folders in {} are empty or incomplete, so no majority is left; restore one of them, or name a new folder with --data-dir",
            args.data_dir.display()
        ));
    }
    Ok(Found::Cluster { cluster, alive, lost })
}

/// What every zone of the process is built with.
struct Site {
    budget: Budget,
    hub: LocalHub,
    clock: Arc<dyn Clock>,
    settings: RaftSettings,
    memory: bool,
    data_dir: PathBuf,
}

impl Site {
    fn host(&self, zone: Zone, cluster: u128, id: NodeId) -> Result<Arc<Host>, StorageError> {
        let ground = match zone.folder {
            Some(folder) => Ground::open(folder, cluster, id, &self.budget)?,
            None => Ground::in_memory(&self.budget)?,
        };
        let transport = Arc::new(self.hub.transport(id));
        let host = Host::new(
            id,
            ground.engine.clone(),
            ground.log.clone(),
            transport,
            Arc::clone(&self.clock),
            self.settings.clone(),
        );
        let host = Arc::new(host);
        self.hub.register(id, host.replicas());
        // The folder's lock lives as long as the process does.
        std::mem::forget(ground);
        Ok(host)
    }
}

/// Runs until a signal.
pub async fn run(args: DevArgs) -> Result<(), String> {
    crate::telemetry::start();
    let bound = FrontEnds {
        http: listen::bind("--http", &args.http, args.insecure)?,
        grpc: listen::bind("--grpc", &args.grpc, args.insecure)?,
        admin: listen::bind("--admin", &args.admin, args.insecure)?,
    };
    let ready = bound.ready_line();
    let http = bound.http.address;
    let admin_address = bound.admin.address;
    let identity = Identity { region: args.region.clone(), account: 0 };
    let found = look(&args)?;
    let door = Door::closed("starting", identity.clone());
    let (orders, mut ordered) = admin::orders();
    let desk = admin::Desk::new(Arc::clone(&door), "a,b,c", "", &http.to_string(), orders);
    let mut serving = serve::start(bound, &door, admin::router(&desk));

    let site = Site {
        budget: Budget::for_nodes(3),
        hub: LocalHub::new(),
        clock: Arc::new(SystemClock),
        settings: RaftSettings::one_process(),
        memory: args.memory,
        data_dir: args.data_dir.clone(),
    };
    let cluster = match &found {
        Found::New { decided, .. } => decided.cluster.cluster,
        Found::Cluster { cluster, .. } => *cluster,
    };
    let (process, lost) = stand(&site, found, identity, &http.to_string()).await?;
    serving.metrics.add_source(Arc::new(ClusterMetrics::of(&process.cluster)));
    desk.serves(&process.cluster, cluster, process.cluster.members().hosts()[0].node());
    process.until_ready(Duration::from_secs(30)).await?;
    if !args.memory {
        Decided::done(&args.data_dir)?;
    }
    finish_joining(&process).await;
    door.open(Arc::clone(&process.engine));
    let mut lost: Vec<&'static str> = lost.into_iter().map(|zone| zone.name).collect();
    for zone in &lost {
        tracing::warn!(
            "zone {zone} does not serve: its folder {} is empty, incomplete or damaged, and its old replicas never come back under their ids; to make new ones run: trilith cluster join --admin {admin_address} --via {admin_address}",
            site.data_dir.join(zone).display()
        );
    }
    greet(&http.to_string(), &args.region, &ready);

    // One future for the whole life: a signal that comes while an order is carried out is not lost.
    let stop = serve::signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            stop = &mut stop => { stop?; break }
            Some(order) = ordered.recv() => match order {
                Order::Found { reply, .. } => { let _ = reply.send(Err("this process is a cluster already".into())); }
                Order::Join { reply, .. } => {
                    let joined = rejoin(&site, &process, &mut lost).await;
                    if let Err(why) = &joined { tracing::warn!(%why, "the zone did not come back"); }
                    let _ = reply.send(joined);
                }
            }
        }
    }
    door.close("stopping");
    serving.drain().await;
    process.stop().await;
    serving.end().await;
    Ok(())
}

/// Builds the zones that are there, founds or recovers the cluster, and starts it.
async fn stand(
    site: &Site,
    found: Found,
    identity: Identity,
    http: &str,
) -> Result<(Arc<Process>, Vec<Zone>), String> {
    match found {
        Found::New { zones, decided } => {
            if !site.memory {
                decided.write(&site.data_dir)?;
            }
            let cluster = decided.cluster.cluster;
            let member =
                |zone: &Zone| FirstMember { zone: zone.name.into(), peer: String::new(), http: http.into() };
            let founding = Founding {
                cluster: decided.cluster,
                members: zones.iter().map(member).collect(),
                shards: decided.shards,
            };
            let mut hosts = Vec::new();
            for (i, zone) in zones.into_iter().enumerate() {
                hosts.push(site.host(zone, cluster, founding.node(i)).map_err(line)?);
            }
            for host in &hosts {
                process::found(host, &founding).await?;
            }
            for host in &hosts {
                process::begin(host, &founding).await?;
            }
            let process = Process::start(hosts, None, Arc::clone(&site.clock), Consistency::Lease, identity);
            process.also(tokio::spawn(process::bootstrap(Arc::clone(&process.cluster), founding)));
            Ok((process, Vec::new()))
        }
        Found::Cluster { cluster, alive, lost } => {
            let (mut hosts, mut lost) = (Vec::new(), lost);
            for zone in alive {
                let (_, id) = zone.identity.expect("the zone has an identity");
                let name = zone.name;
                match site.host(zone, cluster, id) {
                    Ok(host) => hosts.push(host),
                    // The other two are a majority, and have all that this one had.
                    Err(error @ (StorageError::Corrupt { .. } | StorageError::Engine { .. }))
                        if lost.is_empty() =>
                    {
                        tracing::error!("{} cannot be opened: {error}", site.data_dir.join(name).display());
                        lost.push(Zone { name, folder: None, identity: None });
                    }
                    Err(error) => {
                        return Err(format!("{}: {error}", site.data_dir.join(name).display()));
                    }
                }
            }
            for host in &hosts {
                if host.recover(false).await.map_err(|e| e.to_string())? == 0 {
                    tracing::error!(
                        "none of the replicas of node {} can start (the lines above say why); stop the server, remove the zone's folder in {}, start it again, and let the zone join",
                        host.node(),
                        site.data_dir.display()
                    );
                }
            }
            process::campaign(&hosts).await;
            let process = Process::start(hosts, None, Arc::clone(&site.clock), Consistency::Lease, identity);
            Ok((process, lost))
        }
    }
}

/// Creates the replicas that a zone should have got when it was brought back, if a crash cut that short.
async fn finish_joining(process: &Process) {
    let catalog = process.cluster.catalog();
    for host in process.cluster.members().hosts() {
        if let Err(why) = membership::create(&host, membership::incoming(&catalog, host.node())).await {
            tracing::error!(node = %host.node(), %why, "a replica that the catalog wants here cannot be made");
        }
    }
}

/// Brings a lost zone back as a new node with new replicas.
async fn rejoin(
    site: &Site,
    process: &Process,
    lost: &mut Vec<&'static str>,
) -> Result<(u128, NodeId), String> {
    let Some(zone) = lost.first().copied() else { return Err("no zone of this process is lost".into()) };
    let catalog = process.cluster.catalog();
    let cluster = catalog.cluster().map(|cluster| cluster.cluster).ok_or("the catalog is not known yet")?;
    let old = membership::predecessor(&catalog, zone);
    let http = catalog.nodes().next().map(|node| node.http.clone()).unwrap_or_default();
    let command = CatalogCommand::AddNode {
        token: uuid::Uuid::new_v4().as_u128(),
        zone: zone.into(),
        peer: String::new(),
        http,
        replaces: old,
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let node = match process.cluster.change_catalog(command, deadline).await.map_err(|e| e.to_string())? {
        CatalogReply::Node(node) => node,
        other => return Err(format!("the catalog answered {other:?}")),
    };
    let folder = if site.memory { None } else { Some(fresh_folder(&site.data_dir.join(zone))?) };
    let host = site.host(Zone { name: zone, folder, identity: None }, cluster, node.id).map_err(line)?;
    membership::create(&host, membership::incoming(&process.cluster.catalog(), node.id)).await?;
    process.cluster.members().add(host);
    lost.remove(0);
    Ok((cluster, node.id))
}

/// An empty folder at `path`; what is left there of an earlier identity is moved aside, not removed.
fn fresh_folder(path: &Path) -> Result<Folder, String> {
    let folder = Ground::lock(path).map_err(line)?;
    if folder.identity().is_none() {
        return Ok(folder);
    }
    drop(folder);
    let aside = (1..).map(|n| path.with_extension(format!("lost-{n}"))).find(|aside| !aside.exists());
    let aside = aside.expect("some number is free");
    std::fs::rename(path, &aside)
        .map_err(|e| format!("cannot move {} aside to {}: {e}", path.display(), aside.display()))?;
    tracing::info!("what was left of the zone is in {}; it is not needed any more", aside.display());
    Ground::lock(path).map_err(line)
}

/// What to paste, then the line that scripts wait for.
fn greet(http: &str, region: &str, ready: &str) {
    serve::say(&format!(
        "Trilith serves the DynamoDB API. Any keys and any region will do:\n\n  \
         export AWS_ENDPOINT_URL_DYNAMODB=http://{http} AWS_ENDPOINT_URL_DYNAMODB_STREAMS=http://{http}\n  \
         export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION={region} AWS_DEFAULT_REGION={region}\n\n{ready}"
    ));
}
