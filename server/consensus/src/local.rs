//! Nodes of one process: a message is a call of the peer's handler, without bytes in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use futures::future::BoxFuture;
use parking_lot::RwLock;
use trilith_values::NodeId;

use crate::error::TransportError;
use crate::network::{Handler, PeerRequest, PeerResponse, Transport};
use crate::node::Replicas;

/// The nodes of this process, by id.
#[derive(Clone, Default)]
pub struct LocalHub {
    nodes: Arc<RwLock<BTreeMap<NodeId, Weak<Replicas>>>>,
}

impl LocalHub {
    /// No nodes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a node be reached.
    pub fn register(&self, node: NodeId, replicas: &Arc<Replicas>) {
        self.nodes.write().insert(node, Arc::downgrade(replicas));
    }

    /// The transport of node `from`.
    pub fn transport(&self, from: NodeId) -> LocalTransport {
        LocalTransport { hub: self.clone(), from }
    }
}

/// Messages of one node to the others of its process.
pub struct LocalTransport {
    hub: LocalHub,
    from: NodeId,
}

impl Transport for LocalTransport {
    fn call(
        &self,
        to: NodeId,
        request: PeerRequest,
    ) -> BoxFuture<'static, Result<PeerResponse, TransportError>> {
        let node = self.hub.nodes.read().get(&to).and_then(Weak::upgrade);
        match node {
            Some(node) => node.handle(self.from, request),
            None => {
                let gone = TransportError::Unreachable(format!("node {to} is not in this process"));
                Box::pin(async move { Err(gone) })
            }
        }
    }
}
