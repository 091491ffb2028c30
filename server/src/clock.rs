//! The only real clock.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use trilith_domain::Clock;

/// The machine's clocks.
pub struct SystemClock;

fn nanos(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).expect("these clocks start at boot");
    let nanos = u64::try_from(time.tv_nsec).expect("a part of a second");
    seconds * 1_000_000_000 + nanos
}

impl Clock for SystemClock {
    fn now_micros(&self) -> u64 {
        // A clock before 1970 counts as 1970: stamps are made to rise by whoever uses them.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn boot_nanos(&self) -> u64 {
        nanos(ClockId::Boottime)
    }

    fn monotonic_nanos(&self) -> u64 {
        nanos(ClockId::Monotonic)
    }
}
