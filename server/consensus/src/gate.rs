//! Votes withheld after a start.
//!
//! openraft keeps a follower's promise to its leader (the lease: "I vote for nobody else for this long") in memory
//! only. A follower that acknowledged a heartbeat, crashed and came back within the lease would vote for another
//! candidate at once, while the old leader still serves lease reads. So a replica that has a past neither votes nor
//! stands for election until a full lease, and a margin for drift, has passed since its process started.
//!
//! A vote for a leadership transfer may pass: the old leader asked for it itself and serves no lease read any more.

use std::time::Duration;

use tokio::time::Instant;

/// Whether votes may be given yet.
#[derive(Clone, Copy, Debug)]
pub struct VoteGate {
    opens: Option<Instant>,
}

impl VoteGate {
    /// Open from the start: for a replica without a past, or when every voter restarted together.
    pub fn open() -> Self {
        Self { opens: None }
    }

    /// Opens `wait` after now.
    pub fn closed_for(wait: Duration) -> Self {
        Self { opens: Some(Instant::now() + wait) }
    }

    /// How long it stays closed; `None` once it is open.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.opens?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_the_wait_and_not_before() {
        let gate = VoteGate::closed_for(Duration::from_millis(1_100));
        assert_eq!(gate.remaining(), Some(Duration::from_millis(1_100)));
        tokio::time::advance(Duration::from_millis(1_099)).await;
        assert_eq!(gate.remaining(), Some(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(gate.remaining(), None);
        assert_eq!(VoteGate::open().remaining(), None);
    }
}
