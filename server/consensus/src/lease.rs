//! When a leader may answer strong reads from its own state without asking anybody.
//!
//! A quorum that acknowledged a message promised to elect nobody else for a lease, counted from when the message
//! was sent. Within a part of that time (the rest is the margin for clocks that run at different speeds) no other
//! leader can have committed anything, so what this leader has applied is the latest, provided that
//!
//! - it has applied an entry of its own term (then everything earlier leaders committed is below it),
//! - it is not handing its leadership over (a transfer breaks the promise; the mark stays until that leadership
//!   ends, since clearing it on a timeout would allow stale reads),
//! - the machine was not suspended since: timers stand still in a suspend, other machines' clocks do not.
//!
//! A read is linearizable if this holds at any moment between its arrival and its answer, so the check comes first
//! and the data is read after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use trilith_domain::Clock;

/// Distance between the two clocks beyond which they were read across a suspend and not a moment apart.
const SUSPEND_NANOS: u64 = 2_000_000;

/// Notices that the machine was suspended. One for each node, shared by its replicas.
pub struct SuspendWatch {
    clock: Arc<dyn Clock>,
    seen: Mutex<(u64, Option<Instant>)>,
}

impl SuspendWatch {
    /// Starts watching now.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let distance = Self::distance(clock.as_ref());
        Self { clock, seen: Mutex::new((distance, None)) }
    }

    fn distance(clock: &dyn Clock) -> u64 {
        clock.boot_nanos().saturating_sub(clock.monotonic_nanos())
    }

    /// Acknowledgements of messages sent before this are void: the machine was suspended after them.
    pub fn void_before(&self) -> Option<Instant> {
        let distance = Self::distance(self.clock.as_ref());
        let mut seen = self.seen.lock();
        if distance.abs_diff(seen.0) > SUSPEND_NANOS {
            *seen = (distance, Some(Instant::now()));
        }
        seen.1
    }
}

/// What a lease is judged by, as openraft publishes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderView {
    pub(crate) leads: bool,
    pub(crate) term: u64,
    pub(crate) applied_term: Option<u64>,
    /// When the latest message that a quorum acknowledged was sent.
    pub(crate) quorum_acked: Option<Instant>,
}

/// One replica's lease rules.
pub(crate) struct Lease {
    pub(crate) trusted: Duration,
    /// The term whose leadership is being handed over; 0 is none. Never cleared, only overtaken.
    transferring: AtomicU64,
    suspend: Arc<SuspendWatch>,
}

impl Lease {
    pub(crate) fn new(trusted: Duration, suspend: Arc<SuspendWatch>) -> Self {
        Self { trusted, transferring: AtomicU64::new(0), suspend }
    }

    /// From now on the leadership of `term` serves no lease read. Must be called before the transfer is triggered.
    pub(crate) fn mark_transfer(&self, term: u64) {
        self.transferring.fetch_max(term, Ordering::SeqCst);
    }

    /// What must never be done outside the test that shows why.
    #[cfg(test)]
    pub(crate) fn clear_transfer(&self) {
        self.transferring.store(0, Ordering::SeqCst);
    }

    /// Whether a leader in this state may read locally.
    pub(crate) fn holds(&self, view: &LeaderView) -> bool {
        let Some(acked) = view.quorum_acked else { return false };
        view.leads
            && view.applied_term == Some(view.term)
            && self.transferring.load(Ordering::SeqCst) < view.term
            && acked.elapsed() < self.trusted
            && self.suspend.void_before().is_none_or(|void| acked > void)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[derive(Default)]
    struct TestClock {
        boot: AtomicU64,
        monotonic: AtomicU64,
    }

    impl Clock for TestClock {
        fn now_micros(&self) -> u64 {
            0
        }
        fn boot_nanos(&self) -> u64 {
            self.boot.load(Ordering::SeqCst)
        }
        fn monotonic_nanos(&self) -> u64 {
            self.monotonic.load(Ordering::SeqCst)
        }
    }

    fn view() -> LeaderView {
        LeaderView { leads: true, term: 3, applied_term: Some(3), quorum_acked: Some(Instant::now()) }
    }

    fn lease() -> (Lease, Arc<TestClock>) {
        let clock = Arc::new(TestClock::default());
        let watch = Arc::new(SuspendWatch::new(Arc::clone(&clock) as Arc<dyn Clock>));
        (Lease::new(Duration::from_millis(800), watch), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_trusted_part_of_the_lease() {
        let (lease, _) = lease();
        let view = view();
        assert!(lease.holds(&view));
        tokio::time::advance(Duration::from_millis(799)).await;
        assert!(lease.holds(&view));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!lease.holds(&view));
    }

    #[tokio::test(start_paused = true)]
    async fn it_needs_an_applied_entry_of_its_own_term_and_leadership() {
        let (lease, _) = lease();
        assert!(!lease.holds(&LeaderView { applied_term: Some(2), ..view() }));
        assert!(!lease.holds(&LeaderView { leads: false, ..view() }));
        assert!(!lease.holds(&LeaderView { quorum_acked: None, ..view() }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_ends_it_for_the_rest_of_that_leadership() {
        let (lease, _) = lease();
        lease.mark_transfer(3);
        assert!(!lease.holds(&view()));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(!lease.holds(&view()), "no timeout clears the mark");
        assert!(
            lease.holds(&LeaderView { term: 4, applied_term: Some(4), ..view() }),
            "a later leadership is free"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspend_voids_every_earlier_acknowledgement() {
        let (lease, clock) = lease();
        let before = view();
        assert!(lease.holds(&before));
        clock.boot.fetch_add(5_000_000_000, Ordering::SeqCst);
        assert!(!lease.holds(&before));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(lease.holds(&view()), "an acknowledgement sent after it counts again");
        assert!(!lease.holds(&before));
    }
}
