//! What holds at every moment, and what holds once everything has healed.

mod agreement;
mod election;
mod matching;

use std::time::Duration;

pub(crate) use agreement::converged;
pub(crate) use matching::logs_match;
use tokio::time::sleep;

use crate::world::World;

/// Looks at all replicas again and again, until it is aborted.
pub(crate) async fn watch(world: World) {
    let mut elections = election::Elections::default();
    let mut agreement = agreement::Agreement::default();
    loop {
        let checked = elections.check(&world).and_then(|()| agreement.check(&world));
        if let Err(violation) = checked {
            world.violated(violation);
        }
        sleep(Duration::from_millis(7)).await;
    }
}
