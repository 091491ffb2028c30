//! Memory set aside for bodies in flight, over all connections.
//!
//! Bytes are taken as they arrive and given back when the request is answered, so a client that announces much and
//! sends little holds little. Who finds the budget spent is answered 503 before memory grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on bytes, shared by all connections.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A hold on nothing yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes taken from a budget; dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Takes `more` bytes, if the budget has them.
    pub fn grow(&mut self, more: usize) -> bool {
        let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.budget.limit {
            self.budget.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }

    /// Another hold of the same budget, on nothing yet.
    pub fn more(&self) -> Self {
        self.budget.hold()
    }

    /// Takes over what `other`, a hold of the same budget, has.
    pub fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Takes `more` bytes even beyond the limit: for an answer, which is made already. New requests wait for it.
    pub fn force(&mut self, more: usize) {
        self.budget.used.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_limit_and_gives_back() {
        let budget = Budget::new(100);
        let mut first = budget.hold();
        assert!(first.grow(60) && first.grow(40));
        let mut second = budget.hold();
        assert!(!second.grow(1), "spent");
        assert_eq!(budget.used(), 100, "a refusal takes nothing");
        drop(first);
        assert!(second.grow(100));
        let mut other = second.more();
        other.force(50);
        second.join(other);
        assert_eq!(budget.used(), 150);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
