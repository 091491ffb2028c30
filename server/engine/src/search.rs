//! SearchVectors: all shards that have a part of what is searched are asked at once, each for its nearest.

use std::sync::Arc;

use tokio::task::JoinSet;
use trilith_cluster::Freshness;
use trilith_domain::OpError;
use trilith_domain::ops::{SearchVectors, SearchVectorsOutput};
use trilith_domain::read::ReadReply;

use crate::engine::Engine;
use crate::error;
use crate::lookup::{Binding, Target};
use crate::read::shard_of;

impl Engine {
    /// SearchVectors. Eventually consistent, as the index itself is.
    pub(crate) async fn search_vectors(
        &self,
        target: Target<'_>,
        search: &SearchVectors,
    ) -> Result<SearchVectorsOutput, OpError> {
        let mut binding = Binding::to(self.data_table(target).await?);
        let mut freshness = Freshness::Eventual;
        loop {
            let plans = search.bind(binding.record())?;
            let asked = plans.len();
            // A task each: looking at a shard's vectors takes a processor for a while, also where the shard is here.
            let mut reads = JoinSet::new();
            for plan in plans {
                let shard = shard_of(binding.record(), &plan);
                let (cluster, deadline) = (Arc::clone(&self.cluster), target.caller.deadline);
                reads.spawn(async move { cluster.read(shard, freshness, &plan, deadline).await });
            }
            let mut parts = Vec::with_capacity(asked);
            while let Some(reply) = reads.join_next().await {
                let reply = reply.map_err(|_| OpError::Internal("Internal server error".to_owned()))?;
                match reply.map_err(error::answer)? {
                    ReadReply::Nearest(nearest) => parts.push(nearest),
                    ReadReply::NotMine | ReadReply::SchemaMismatch { .. } => {}
                    _ => return Err(error::out_of_place("a search")),
                }
            }
            if parts.len() == asked {
                return Ok(search.shape(binding.record(), parts));
            }
            if freshness == Freshness::Eventual {
                // A replica may be behind; leaders are not.
                freshness = Freshness::Strong;
            } else {
                binding.again(self, target).await?;
            }
        }
    }
}
