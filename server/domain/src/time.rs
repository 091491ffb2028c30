//! Time as data: the stamp a leader gives a command, and the clock that others implement.
//!
//! Below the leader's stamp nobody reads a clock. A [`Stamp`] is microseconds since the epoch, hybrid logical:
//! it follows the leader's clock but never goes back and never repeats within a shard.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

/// Hybrid logical time: microseconds since the Unix epoch, unique per write within a shard.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Before every write.
    pub const ZERO: Self = Self(0);

    /// The stamp of command `i` of an entry whose leader proposed it at `leader`, in a shard whose last stamp is
    /// `last`: `max(leader, last) + 1 + i`, so no two writes of a shard share one.
    pub fn of_command(leader: Self, last: Self, i: usize) -> Self {
        let next = Self(leader.0.max(last.0) + 1 + i as u64);
        assert!(next > last, "a stamp never goes back");
        next
    }

    /// Whole seconds since the epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Where time comes from. The only real one is built in the server's wiring; simulations and tests inject theirs.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock microseconds since the epoch; may step in either direction.
    fn now_micros(&self) -> u64;

    /// Nanoseconds on a clock that never goes back and goes on while the machine is suspended (CLOCK_BOOTTIME).
    fn boot_nanos(&self) -> u64;

    /// Nanoseconds on the clock the runtime's timers use (CLOCK_MONOTONIC). Its distance to
    /// [`Clock::boot_nanos`] grows only by a suspend, which is how a lease notices one.
    fn monotonic_nanos(&self) -> u64;
}
