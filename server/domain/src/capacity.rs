//! What operations cost, in the service's units (contract 5.1), exact to the half unit.
//!
//! Sizes are whole items in the service's accounting; filters, projections and counts make nothing cheaper. Absent:
//! rates. Nothing is throttled here; this only counts.

use crate::limits::{READ_UNIT_BYTES, WRITE_UNIT_BYTES};
use crate::ops::types::{ConsumedCapacity, HalfUnits, ReturnConsumed};

/// Reading `bytes` at once (one item, or all that a page evaluated): each 4 KB begun costs a unit when strongly
/// consistent and half of one when not. Nothing read costs like 4 KB.
pub fn read_units(bytes: u64, consistent: bool) -> HalfUnits {
    let blocks = bytes.div_ceil(READ_UNIT_BYTES).max(1);
    HalfUnits(if consistent { blocks * 2 } else { blocks })
}

/// Writing one item: each 1 KB begun of the larger of both images costs a unit; where there is neither, one unit.
pub fn write_units(old_size: u64, new_size: u64) -> HalfUnits {
    HalfUnits::whole(old_size.max(new_size).div_ceil(WRITE_UNIT_BYTES).max(1))
}

/// The answer's `ConsumedCapacity` for `units` charged to the table alone; `None` where the caller asked for none.
pub fn consumed(table: &str, units: HalfUnits, asked: ReturnConsumed) -> Option<ConsumedCapacity> {
    let part = match asked {
        ReturnConsumed::None => return None,
        ReturnConsumed::Total => None,
        ReturnConsumed::Indexes => Some(units),
    };
    Some(ConsumedCapacity { table_name: table.to_owned(), capacity_units: units, table: part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_round_up_to_4_kb() {
        for (bytes, halves) in
            [(0, 1), (1, 1), (4096, 1), (4097, 2), (8192, 2), (409_600, 100), (1_048_577, 257)]
        {
            assert_eq!(read_units(bytes, false), HalfUnits(halves), "{bytes} bytes");
            assert_eq!(read_units(bytes, true), HalfUnits(halves * 2), "{bytes} bytes, strong");
        }
    }

    #[test]
    fn writes_cost_the_larger_image() {
        for (old, new, units) in
            [(0, 0, 1), (0, 1024, 1), (0, 1025, 2), (3000, 10, 3), (10, 3000, 3), (409_600, 0, 400)]
        {
            assert_eq!(write_units(old, new), HalfUnits::whole(units), "{old} to {new}");
        }
    }

    #[test]
    fn capacity_appears_as_asked() {
        let units = HalfUnits(3);
        assert_eq!(consumed("t", units, ReturnConsumed::None), None);
        let total = consumed("t", units, ReturnConsumed::Total).expect("asked for");
        assert_eq!((total.capacity_units.as_f64(), total.table), (1.5, None));
        let parts = consumed("t", units, ReturnConsumed::Indexes).expect("asked for");
        assert_eq!((parts.capacity_units, parts.table), (units, Some(units)));
    }
}
