//! The way of every write of one item: bind, send to the shard that owns its hash, bind again if the shard says so.

use std::sync::Arc;
use std::time::Duration;

use trilith_cluster::now;
use trilith_domain::OpError;
use trilith_domain::catalog::TableRecord;
use trilith_domain::machine::{CommandBody, ReplyBody};

use crate::engine::Engine;
use crate::error::{self, Failure};
use crate::lookup::{Binding, Target};

/// How long a write waits before it is sent again to a shard that owes its indexes too much; twice as long each time, up to
/// a bound, since a write that is refused costs an entry of the log too.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(20);
/// That bound.
const OVERLOAD_PAUSE_MAX: Duration = Duration::from_millis(320);

impl Engine {
    /// Writes one item; `bind` makes the command for a table.
    ///
    /// # Errors
    /// The service's, for tables and keys; what the cluster's failures become.
    pub(crate) async fn write(
        &self,
        target: Target<'_>,
        bind: impl Fn(&TableRecord) -> Result<CommandBody, OpError>,
    ) -> Result<ReplyBody, OpError> {
        let record = self.data_table(target).await?;
        self.write_to(target, record, bind).await
    }

    /// The same to a table that was looked up.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub(crate) async fn write_to(
        &self,
        target: Target<'_>,
        record: Arc<TableRecord>,
        bind: impl Fn(&TableRecord) -> Result<CommandBody, OpError>,
    ) -> Result<ReplyBody, OpError> {
        let command = bind(&record)?;
        Ok(self.write_bound(target, record, command, bind).await?)
    }

    /// Sends a command that is bound to `record`; `bind` makes it again for a newer one.
    ///
    /// # Errors
    /// [`Failure`]. The outcome is unknown only where that says so.
    pub(crate) async fn write_bound(
        &self,
        target: Target<'_>,
        record: Arc<TableRecord>,
        mut command: CommandBody,
        bind: impl Fn(&TableRecord) -> Result<CommandBody, OpError>,
    ) -> Result<ReplyBody, Failure> {
        let mut binding = Binding::to(record);
        let mut pause = OVERLOAD_PAUSE;
        loop {
            let CommandBody::Write(write) = &command else {
                return Err(Failure::Answer(error::out_of_place("binding a write")));
            };
            let shard = binding.record().shard_of(write.key.hash);
            let written = self.cluster.write(shard, command, target.caller.deadline).await;
            match written.map_err(Failure::Cluster)?.body {
                // Nothing changed there.
                ReplyBody::NotMine | ReplyBody::SchemaMismatch { .. } => {
                    binding.again(self, target).await.map_err(Failure::Answer)?;
                }
                // The indexes must catch up first: the writer waits, as long as it has time.
                ReplyBody::Overloaded if now() + pause < target.caller.deadline => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(OVERLOAD_PAUSE_MAX);
                }
                reply => return Ok(reply),
            }
            command = bind(binding.record()).map_err(Failure::Answer)?;
        }
    }
}

#[cfg(test)]
mod tests;
