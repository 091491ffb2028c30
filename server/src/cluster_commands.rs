//! `trilith cluster …` and `trilith healthcheck`: clients of the admin service.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint};
use trilith_proto::admin::v1 as proto;
use trilith_proto::admin::v1::admin_client::AdminClient;

use crate::cli::{ClusterCommand, HealthcheckArgs};

/// Connects to an admin (or peer) address.
pub async fn connect(address: &str) -> Result<AdminClient<Channel>, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| format!("{address} is no address: {e}"))?
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(20));
    let channel = endpoint.connect().await.map_err(|e| {
        format!("no node answers at {address} ({e}); give the admin address of a running node")
    })?;
    Ok(AdminClient::new(channel))
}

async fn status(address: &str) -> Result<proto::StatusResponse, String> {
    ask_status(address, false).await
}

async fn ask_status(address: &str, ask_others: bool) -> Result<proto::StatusResponse, String> {
    let mut client = connect(address).await?;
    let status = client.status(proto::StatusRequest { ask_others }).await;
    status.map(tonic::Response::into_inner).map_err(|e| {
        format!("{address} is no admin address of a node ({}); its ready line names it", e.message())
    })
}

/// Runs one of them.
pub async fn run(command: ClusterCommand) -> Result<(), String> {
    match command {
        ClusterCommand::Init { admins, shards, region, account } => {
            init(&admins, shards, region, account).await
        }
        ClusterCommand::Join { admin, via, replaces } => join(&admin, via, replaces).await,
        ClusterCommand::Status { admin, json } => {
            let status = ask_status(&admin, true).await?;
            if json {
                println!("{}", as_json(&status));
            } else {
                print_status(&status);
            }
            Ok(())
        }
    }
}

async fn init(admins: &[String], shards: u32, region: String, account: u64) -> Result<(), String> {
    let mut members = Vec::new();
    let mut cluster_id = None;
    let mut serving = None;
    let mut waiting = None;
    for admin in admins {
        let status = status(admin).await?;
        if status.this_node == 0 {
            waiting.get_or_insert(admin);
        } else if status.formed {
            serving.get_or_insert(admin);
        }
        if !status.cluster_id.is_empty() {
            cluster_id = Some(status.cluster_id.clone());
        }
        members.push(proto::FirstMember { zone: status.zone, peer: status.peer, http: status.http });
    }
    // A node without an identity beside a cluster that serves may be one that lost its folder: it must never get its
    // old replica ids again.
    if let (Some(member), Some(node)) = (serving, waiting) {
        return Err(format!(
            "{member} is a member of a cluster already and {node} is not, or has lost its folder; let it join as a new node: trilith cluster join --admin {node} --via {member}"
        ));
    }
    for (i, member) in members.iter().enumerate() {
        if members[..i].iter().any(|other| other.zone == member.zone) {
            return Err(format!(
                "two of the nodes stand in zone {}; every table has one replica a zone, so give one node of each zone",
                member.zone
            ));
        }
    }
    if members.len() != 1 && members.len() != 3 && members.len() != 5 {
        return Err(format!("{} first members; a majority needs 1, 3 or 5, one in each zone", members.len()));
    }
    // Done again after it was cut short, the id that some members have already is the one.
    let cluster_id = cluster_id.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string());
    for (index, admin) in admins.iter().enumerate() {
        let request = proto::FoundRequest {
            cluster_id: cluster_id.clone(),
            region: region.clone(),
            account,
            shards,
            members: members.clone(),
            index: u32::try_from(index).expect("few members"),
        };
        let answer = connect(admin).await?.found(request).await;
        answer.map_err(|e| format!("{admin}: {}", e.message()))?;
    }
    for admin in admins {
        wait_ready(admin, Duration::from_secs(30)).await?;
    }
    println!("cluster {cluster_id} serves: {} nodes, {shards} data shards", members.len());
    Ok(())
}

async fn join(admin: &str, via: String, replaces: Option<u64>) -> Result<(), String> {
    let request = proto::JoinRequest { via, replaces };
    let joined =
        connect(admin).await?.join(request).await.map_err(|e| format!("{admin}: {}", e.message()))?;
    let joined = joined.into_inner();
    wait_ready(admin, Duration::from_secs(120)).await?;
    println!(
        "the node is node {} of cluster {} now; `trilith cluster status` says `up` when its replicas have caught up",
        joined.node_id, joined.cluster_id
    );
    Ok(())
}

async fn wait_ready(admin: &str, bound: Duration) -> Result<(), String> {
    let deadline = Instant::now() + bound;
    loop {
        match status(admin).await {
            Ok(status) if status.ready => return Ok(()),
            Ok(status) if Instant::now() >= deadline => {
                return Err(format!("{admin} is not ready after {bound:?}: {}", status.missing));
            }
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn print_status(status: &proto::StatusResponse) {
    if status.cluster_id.is_empty() {
        println!("this node (zone {}) waits to become a member: {}", status.zone, status.missing);
        return;
    }
    let ready = if status.ready { "ready".into() } else { format!("not ready: {}", status.missing) };
    println!(
        "cluster {}, seen by node {} ({ready}); {} {}",
        status.cluster_id,
        status.this_node,
        status.tables,
        if status.tables == 1 { "table" } else { "tables" },
    );
    println!();
    println!("{:>5}  {:<6} {:<22} {:<22} {:<8} {:>6}", "node", "zone", "peer", "http", "state", "leads");
    for node in &status.nodes {
        let leads = status.shards.iter().filter(|shard| shard.leader == node.id).count();
        println!(
            "{:>5}  {:<6} {:<22} {:<22} {:<8} {leads:>6}",
            node.id,
            node.zone,
            node.peer,
            node.http,
            if node.silent { "silent" } else { &node.state },
        );
    }
    println!();
    println!("{:>7}  {:>6} {:>6} {:>10}  replicas (node)", "shard", "leader", "term", "applied");
    for shard in &status.shards {
        let replicas = shard.replicas.iter().map(|replica| {
            let learner = if replica.voter { "" } else { ", learner" };
            format!("{} ({}{learner})", replica.id, replica.node)
        });
        let leader = if shard.leader == 0 { "none".into() } else { shard.leader.to_string() };
        let replicas: Vec<String> = replicas.collect();
        println!(
            "{:>7}  {leader:>6} {:>6} {:>10}  {}",
            if shard.id == 0 { "catalog".into() } else { shard.id.to_string() },
            shard.term,
            shard.applied_index,
            replicas.join(", ")
        );
    }
}

fn as_json(status: &proto::StatusResponse) -> serde_json::Value {
    let nodes = status.nodes.iter().map(|node| {
        serde_json::json!({
            "id": node.id, "zone": node.zone, "peer": node.peer, "http": node.http, "state": node.state,
            "silent": node.silent,
        })
    });
    let shards = status.shards.iter().map(|shard| {
        let replicas = shard.replicas.iter().map(
            |replica| serde_json::json!({ "id": replica.id, "node": replica.node, "voter": replica.voter }),
        );
        serde_json::json!({
            "id": shard.id,
            "leader": (shard.leader != 0).then_some(shard.leader),
            "term": shard.term,
            "applied_index": shard.applied_index,
            "replicas": replicas.collect::<Vec<_>>(),
        })
    });
    serde_json::json!({
        "cluster_id": status.cluster_id,
        "this_node": status.this_node,
        "zone": status.zone,
        "ready": status.ready,
        "missing": status.missing,
        "tables": status.tables,
        "nodes": nodes.collect::<Vec<_>>(),
        "shards": shards.collect::<Vec<_>>(),
    })
}

/// `trilith healthcheck`.
pub async fn healthcheck(args: HealthcheckArgs) -> Result<(), String> {
    let status = status(&args.admin).await?;
    if status.ready { Ok(()) } else { Err(status.missing) }
}
