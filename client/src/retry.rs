//! How long to wait before the next try: full jitter, so that clients that failed together do not come back together.

use std::time::Duration;

/// Pauses that grow: the `n`th is random between nothing and `base` times two to the `n`, at most `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Bound of the first pause.
    pub base: Duration,
    /// Bound of every pause.
    pub max: Duration,
}

impl Backoff {
    /// The longest that the pause after `tries` failures may be.
    pub fn bound(&self, tries: u32) -> Duration {
        let doubled = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(doubled).min(self.max)
    }

    /// A random pause.
    pub fn pause(&self, tries: u32) -> Duration {
        self.bound(tries).mul_f64(rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let backoff = Backoff { base: Duration::from_millis(10), max: Duration::from_millis(75) };
        let bounds: Vec<u128> = (1..=5).map(|tries| backoff.bound(tries).as_millis()).collect();
        assert_eq!(bounds, [10, 20, 40, 75, 75]);
        assert_eq!(backoff.bound(1000), backoff.max);
    }

    #[test]
    fn pauses_are_spread_over_all_of_it() {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1) };
        let pauses: Vec<Duration> = (0..200).map(|_| backoff.pause(1)).collect();
        assert!(pauses.iter().all(|pause| *pause <= backoff.max));
        let below = pauses.iter().filter(|pause| **pause < backoff.max / 2).count();
        assert!((1..200).contains(&below), "half of 200 pauses, give or take");
    }
}
