//! What a node is to its cluster, as the members say: a lost identity, replicas that it owes, a place that is taken.
//!
//! A node cannot always know by itself. An empty folder knows nothing; a node that crashed while it joined may hold no
//! replica of the catalog yet; a node that was replaced while it was away hears no more of the catalog. So the nodes
//! at the configured peer addresses are asked, again and again, all at once and none for long. Answers of members may be
//! old, and nothing here is wrong if they are: ids never come back, and "left" is for good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use trilith_cluster::Cluster;
use trilith_consensus::{Addresses, Host};
use trilith_domain::catalog::{Catalog, NodeState};
use trilith_proto::admin::v1 as proto;
use trilith_values::{NodeId, ReplicaId, ShardId};

use crate::cluster_commands::connect;
use crate::door::Door;
use crate::process::Process;
use crate::serve::HAND_OVER;

/// What a node without an identity waits for.
pub const WAITING: &str =
    "this node is no member of a cluster yet; run: trilith cluster init, or trilith cluster join";

/// How long one member may take to answer; another one answers sooner, or the question is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two rounds of questions of a node that waits for an answer.
const SOON: Duration = Duration::from_millis(300);
/// Microseconds that a node's clock may be from the median of all nodes'.
const CLOCK_OFF_MAX: u64 = 500_000;
/// Between two rounds of questions of a member that serves.
const LATER: Duration = Duration::from_secs(5);

/// The replicas that the catalog wants on a node and that are on their way in.
pub fn incoming(catalog: &Catalog, node: NodeId) -> Vec<(ShardId, ReplicaId)> {
    let of_shard = catalog.shards().flat_map(|shard| {
        let own = shard.incoming.iter().filter(|(place, _)| place.node == node);
        own.map(|(place, _)| (shard.id, place.replica)).collect::<Vec<_>>()
    });
    of_shard.collect()
}

/// The node that a newcomer of this zone takes over from: the newest one that has a replica or is about to have one.
pub fn predecessor(catalog: &Catalog, zone: &str) -> Option<NodeId> {
    let there = catalog
        .nodes()
        .filter(|node| node.zone == zone && node.state != NodeState::Left && catalog.has_place(node.id));
    there.map(|node| node.id).max()
}

/// Creates the replicas among `wanted` that the node does not hold yet. Those that exist stay as they are.
pub async fn create(host: &Host, wanted: Vec<(ShardId, ReplicaId)>) -> Result<(), String> {
    for (shard, replica) in wanted {
        host.create(shard, replica).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The node that a member knows at `peer`, if it is no other cluster's business.
fn known_at<'a>(status: &'a proto::StatusResponse, peer: &str) -> Option<&'a proto::Node> {
    status.nodes.iter().filter(|node| node.peer == peer && node.state != "left").max_by_key(|node| node.id)
}

/// Asks everybody at once for their status; answers of members only.
async fn ask(peers: impl IntoIterator<Item = String>) -> Vec<(String, proto::StatusResponse)> {
    let answers = ask_timed(peers, &|| 0).await;
    answers.into_iter().map(|(peer, status, _)| (peer, status)).collect()
}

/// The same, each with the moment that `now` told halfway between question and answer, microseconds.
async fn ask_timed(
    peers: impl IntoIterator<Item = String>,
    now: &(dyn Fn() -> u64 + Sync),
) -> Vec<(String, proto::StatusResponse, u64)> {
    let questions = peers.into_iter().map(|peer| async move {
        let question = async {
            let mut client = connect(&peer).await.ok()?;
            let asked = now();
            let status = client.status(proto::StatusRequest::default()).await.ok()?;
            Some((status.into_inner(), asked.midpoint(now())))
        };
        let (status, halfway) = tokio::time::timeout(PATIENCE, question).await.ok()??;
        (!status.cluster_id.is_empty()).then_some((peer, status, halfway))
    });
    let questions: FuturesUnordered<_> = questions.collect();
    questions.filter_map(std::future::ready).collect().await
}

/// A member of a cluster other than `cluster` that serves at one of these addresses: (address, status).
pub async fn serving_elsewhere(peers: Vec<String>, cluster: u128) -> Option<(String, proto::StatusResponse)> {
    let other = |status: &proto::StatusResponse| {
        status.formed && u128::from_str_radix(&status.cluster_id, 16) != Ok(cluster)
    };
    ask(peers).await.into_iter().find(|(_, status)| other(status))
}

/// Whether this node of this cluster itself answers at its peer address.
pub async fn answers(peer: &str, cluster: Option<u128>, node: NodeId) -> bool {
    let answers = ask([peer.to_owned()]).await;
    answers.iter().any(|(_, status)| {
        status.this_node == node.0 && u128::from_str_radix(&status.cluster_id, 16).ok() == cluster
    })
}

/// Asks until a member says that a node was at this address before: then the folder was lost, and the door says so.
/// For a node without an identity; to be aborted once it has one.
pub async fn look_for_old_identity(
    peers: Vec<String>,
    own: String,
    admin: String,
    folder: String,
    door: Arc<Door>,
) {
    let others: Vec<String> = peers.into_iter().filter(|peer| *peer != own).collect();
    if others.is_empty() {
        tracing::info!("{WAITING}");
        return;
    }
    let mut told = false;
    loop {
        for (peer, status) in ask(others.clone()).await {
            if let Some(old) = known_at(&status, &own) {
                let line = format!(
                    "the data folder {folder} is empty, but the cluster knows this address as node {old}; its replicas are lost and never come back under their ids. To make new ones run: trilith cluster join --admin {admin} --via {peer} --replaces {old}",
                    old = old.id,
                );
                tracing::error!("{line}");
                door.close(line);
                return;
            }
        }
        // Not before it is known that nobody remembers the node: then it must do something else.
        if !std::mem::replace(&mut told, true) {
            tracing::info!("{WAITING}");
        }
        tokio::time::sleep(SOON).await;
    }
}

/// A member that asks the others what it is to them.
pub struct Watch {
    /// Its cluster.
    pub cluster: u128,
    /// Itself.
    pub host: Arc<Host>,
    /// What runs on it.
    pub process: Arc<Process>,
    /// Where the others are.
    pub addresses: Addresses,
    /// Where they may be besides.
    pub peers: Vec<String>,
    /// Its own peer address.
    pub own: String,
    /// Barred once the node has been replaced.
    pub door: Arc<Door>,
    /// Whether the node's clock is off, so that it leads nothing.
    pub aside: AtomicBool,
}

/// How far a node's clock was from this one's, microseconds; `None` where it was not told, as a version before this rule does
/// not tell it.
fn apart(status: &proto::StatusResponse, halfway: u64) -> Option<i64> {
    (status.now_micros != 0).then(|| status.now_micros.cast_signed() - halfway.cast_signed())
}

/// How far the median of all clocks is from this node's, microseconds, given how far each other one is; `None` where too few
/// are known to tell whose is wrong.
fn off_by(others: Vec<i64>) -> Option<i64> {
    let mut clocks = others;
    clocks.push(0);
    clocks.sort_unstable();
    (clocks.len() >= 3).then(|| clocks[clocks.len() / 2])
}

impl Watch {
    /// Runs until aborted, or until the node is told that it left.
    pub async fn run(self) {
        loop {
            let answers = ask_timed(self.others(), &|| self.process.cluster.now_micros()).await;
            let answers: Vec<_> =
                answers.into_iter().filter(|(_, status, _)| self.is_of_cluster(status)).collect();
            self.judge_clock(&answers).await;
            let mut heard = false;
            for (_, status, _) in &answers {
                heard = true;
                if self.has_left(status) {
                    let line = format!(
                        "node {} was replaced by another node and is no member any more; stop this process, remove its data folder, and run: trilith cluster join, if it shall be a new node",
                        self.host.node()
                    );
                    tracing::error!("{line}");
                    self.door.bar(line);
                    return;
                }
                self.learn(status).await;
            }
            let own = incoming(&self.process.cluster.catalog(), self.host.node());
            self.create(own).await;
            tokio::time::sleep(if heard { LATER } else { SOON }).await;
        }
    }

    /// A node whose clock is off leads nothing: the times that it gave commands would be wrong.
    async fn judge_clock(&self, answers: &[(String, proto::StatusResponse, u64)]) {
        let apart = answers.iter().filter_map(|(_, status, halfway)| apart(status, *halfway));
        let Some(off) = off_by(apart.collect()) else { return };
        let aside = off.unsigned_abs() > CLOCK_OFF_MAX;
        if aside != self.aside.swap(aside, Ordering::Relaxed) {
            let (node, millis) = (self.host.node(), off / 1_000);
            match aside {
                true => tracing::error!(
                    "the clock of node {node} is {millis} ms from the median of the nodes' clocks (positive: it is behind); it leads nothing until that is under {} ms: set the clock, and check its time service",
                    CLOCK_OFF_MAX / 1_000
                ),
                false => tracing::info!("the clock of node {node} is right again; it may lead"),
            }
            self.host.stand_aside(aside, HAND_OVER).await;
        }
    }

    fn others(&self) -> Vec<String> {
        let catalog = self.process.cluster.catalog();
        let known =
            catalog.nodes().filter(|node| node.state != NodeState::Left).map(|node| node.peer.clone());
        let mut all: Vec<String> =
            self.peers.iter().cloned().chain(known).filter(|peer| *peer != self.own).collect();
        all.sort();
        all.dedup();
        all
    }

    fn is_of_cluster(&self, status: &proto::StatusResponse) -> bool {
        u128::from_str_radix(&status.cluster_id, 16) == Ok(self.cluster)
    }

    fn has_left(&self, status: &proto::StatusResponse) -> bool {
        status.nodes.iter().any(|node| node.id == self.host.node().0 && node.state == "left")
    }

    /// A member's answer tells where others are, and which replicas are wanted here.
    async fn learn(&self, status: &proto::StatusResponse) {
        let places: BTreeMap<NodeId, String> = status
            .nodes
            .iter()
            .filter(|node| node.state != "left")
            .map(|n| (NodeId(n.id), n.peer.clone()))
            .collect();
        {
            let mut addresses = self.addresses.write();
            for (node, peer) in places {
                addresses.entry(node).or_insert(peer);
            }
        }
        let own = status.shards.iter().flat_map(|shard| {
            let own =
                shard.replicas.iter().filter(|replica| !replica.voter && replica.node == self.host.node().0);
            own.map(|replica| (ShardId(shard.id), ReplicaId(replica.id)))
        });
        self.create(own.collect()).await;
    }

    async fn create(&self, wanted: Vec<(ShardId, ReplicaId)>) {
        if let Err(why) = create(&self.host, wanted).await {
            tracing::warn!(%why, "a replica that the catalog wants here cannot be made");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, peer: &str, state: &str) -> proto::Node {
        proto::Node { id, peer: peer.into(), state: state.into(), ..proto::Node::default() }
    }

    #[test]
    fn a_clock_is_judged_by_the_median() {
        assert_eq!(off_by(vec![]), None);
        assert_eq!(off_by(vec![900]), None, "of two nobody can say which is wrong");
        assert_eq!(off_by(vec![900, 905]), Some(900), "both others say so");
        assert_eq!(off_by(vec![5, 900]), Some(5), "it is the other one");
        assert_eq!(off_by(vec![-900, -905]), Some(-900));
        assert_eq!(off_by(vec![10, -900, 12, 11]), Some(10));
    }

    #[test]
    fn a_clock_that_is_not_told_is_no_clock_at_1970() {
        let at = |now_micros| proto::StatusResponse { now_micros, ..proto::StatusResponse::default() };
        assert_eq!(apart(&at(0), 1_000), None);
        assert_eq!(apart(&at(1_700), 1_000), Some(700));
    }

    #[test]
    fn the_newest_node_at_an_address_that_has_not_left_is_the_one_known_there() {
        let nodes = vec![
            node(1, "x:1", "up"),
            node(2, "y:1", "left"),
            node(4, "y:1", "joining"),
            node(5, "y:1", "left"),
        ];
        let status = proto::StatusResponse { nodes, ..proto::StatusResponse::default() };
        assert_eq!(known_at(&status, "y:1").map(|node| node.id), Some(4));
        assert_eq!(known_at(&status, "x:1").map(|node| node.id), Some(1));
        assert_eq!(known_at(&status, "z:1"), None);
    }
}
