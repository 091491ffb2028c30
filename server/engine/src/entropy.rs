//! Where random bits come from: injected, so that a simulation with one seed makes the same tables each time.

/// A source of random bits.
pub trait Entropy: Send + Sync + 'static {
    /// 128 bits that nobody can foresee (in production), or that follow from a seed (in simulations).
    fn bits(&self) -> u128;
}

impl<F: Fn() -> u128 + Send + Sync + 'static> Entropy for F {
    fn bits(&self) -> u128 {
        self()
    }
}

/// A random UUID (version 4) from these bits.
pub(crate) fn uuid(bits: u128) -> u128 {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0b11 << 62;
    bits & !VERSION & !VARIANT | 4 << 76 | 0b10 << 62
}

/// A seed of a table's partition hash from these bits.
pub(crate) fn seed(bits: u128) -> u64 {
    (bits >> 64) as u64 ^ bits as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_bear_their_version_and_keep_the_other_bits() {
        for bits in [0, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let text = format!("{:032x}", uuid(bits));
            assert_eq!(&text[12..13], "4", "{text}");
            assert!(matches!(&text[16..17], "8" | "9" | "a" | "b"), "{text}");
            let kept = !(0xf << 76 | 0b11 << 62);
            assert_eq!(uuid(bits) & kept, bits & kept, "{text}");
        }
    }
}
