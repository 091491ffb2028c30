//! What operations cost, in the service's units (contract 5.1), exact to the half unit.
//!
//! Sizes are whole items in the service's accounting; filters, projections and counts make nothing cheaper. Absent:
//! rates. Nothing is throttled here; this only counts.

use crate::limits::{READ_UNIT_BYTES, VECTOR_BYTES_MIN, WRITE_UNIT_BYTES};
use crate::ops::TableRef;
use crate::ops::types::{ConsumedCapacity, HalfUnits, ReturnConsumed, UnitKind};
use crate::schema::IndexKind;

/// Reading `bytes` at once (one item, or all that a page evaluated): each 4 KB begun costs a unit when strongly
/// consistent and half of one when not. Nothing read costs like 4 KB.
pub fn read_units(bytes: u64, consistent: bool) -> HalfUnits {
    let blocks = bytes.div_ceil(READ_UNIT_BYTES).max(1);
    HalfUnits(if consistent { blocks * 2 } else { blocks })
}

/// So many blocks of 4 KB, at the price of a read.
pub fn blocks(blocks: u64, consistent: bool) -> HalfUnits {
    HalfUnits(if consistent { blocks * 2 } else { blocks })
}

/// What one index is charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPart {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: IndexKind,
    /// How much, in its kind's unit.
    pub amount: Amount,
}

/// What an index is charged: units, or bytes where it is a vector index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Capacity units, which count in the total.
    Units(HalfUnits),
    /// Bytes, which do not.
    Bytes(u64),
}

/// Bytes that writing an entry of a vector index costs: the larger of both images, 1 KB at the least (contract 5.1).
pub fn vector_write_bytes(old_size: u64, new_size: u64) -> u64 {
    old_size.max(new_size).max(VECTOR_BYTES_MIN)
}

/// Bytes that a search costs: the vectors that it looks at and what it returns, 1 KB at the least.
///
/// The service counts what an approximate search looks at, which grows with the logarithm of the index and is not
/// reproducible; so does this, by a rule: for each result wanted, one vector for every doubling of the index. It is the
/// same whether the search was exact or not.
pub fn vector_search_bytes(vectors: u64, vector_bytes: u64, top: u64, returned: u64) -> u64 {
    let doublings = u64::from(u64::BITS - vectors.leading_zeros());
    let looked_at = vectors.min(top.saturating_mul(doublings));
    looked_at.saturating_mul(vector_bytes).saturating_add(returned).max(VECTOR_BYTES_MIN)
}

/// Writes of 1 KB that the larger of both images of an item or index entry takes, one at least.
pub fn write_blocks(old_size: u64, new_size: u64) -> u64 {
    old_size.max(new_size).div_ceil(WRITE_UNIT_BYTES).max(1)
}

/// Writing one item: each 1 KB begun of the larger of both images costs a unit; where there is neither, one unit.
pub fn write_units(old_size: u64, new_size: u64) -> HalfUnits {
    HalfUnits::whole(write_blocks(old_size, new_size))
}

/// Writing one item in a transaction, or checking it there: twice what a write alone costs (5.1).
pub fn transact_write_units(old_size: u64, new_size: u64) -> HalfUnits {
    let units = write_units(old_size, new_size);
    units + units
}

/// Reading one item in a transaction: twice what a strongly consistent read alone costs (5.1).
pub fn transact_read_units(size: u64) -> HalfUnits {
    let units = read_units(size, true);
    units + units
}

/// The `ConsumedCapacity` of a transaction: one element per table, in the order in which tables are first named. Only what
/// the tables themselves are charged costs twice in a transaction; indexes cost there what they cost elsewhere, as captures
/// of the service show (dynoxide 3.2.0 tells of them; contract 5.1 does not set indexes apart).
pub fn consumed_by_table<'t>(
    charged: impl Iterator<Item = (&'t TableRef, HalfUnits, Vec<IndexPart>)>,
    kind: UnitKind,
    asked: ReturnConsumed,
) -> Option<Vec<ConsumedCapacity>> {
    if asked == ReturnConsumed::None {
        return None;
    }
    let mut tables: Vec<(&TableRef, HalfUnits, Vec<IndexPart>)> = Vec::new();
    for (table, units, indexes) in charged {
        match tables.iter_mut().find(|(known, ..)| *known == table) {
            Some((_, sum, parts)) => {
                *sum = *sum + units;
                parts.extend(indexes);
            }
            None => tables.push((table, units, indexes)),
        }
    }
    let element = |(table, units, indexes): (&TableRef, HalfUnits, Vec<IndexPart>)| {
        let capacity = consumed_with(table.given(), units, indexes, asked)?;
        Some(ConsumedCapacity { kind: Some(kind), ..capacity })
    };
    Some(tables.into_iter().filter_map(element).collect())
}

/// The answer's `ConsumedCapacity` for `units` charged to the table alone; `None` where the caller asked for none.
pub fn consumed(table: &str, units: HalfUnits, asked: ReturnConsumed) -> Option<ConsumedCapacity> {
    consumed_with(table, units, Vec::new(), asked)
}

/// The same for `own` units charged to the table and what its indexes are charged; an index may come several times.
pub fn consumed_with(
    table: &str,
    own: HalfUnits,
    indexes: Vec<IndexPart>,
    asked: ReturnConsumed,
) -> Option<ConsumedCapacity> {
    let units = indexes.iter().filter_map(|index| match index.amount {
        Amount::Units(units) => Some(units),
        Amount::Bytes(_) => None,
    });
    let total = own + units.sum();
    let mut consumed = ConsumedCapacity {
        table_name: table.to_owned(),
        capacity_units: total,
        ..ConsumedCapacity::default()
    };
    match asked {
        ReturnConsumed::None => return None,
        ReturnConsumed::Total => {}
        ReturnConsumed::Indexes => {
            consumed.table = Some(own);
            for IndexPart { name, kind, amount } in indexes {
                match amount {
                    Amount::Bytes(bytes) => *consumed.vector.entry(name).or_default() += bytes,
                    Amount::Units(units) => {
                        let local = kind == IndexKind::Local;
                        let parts = if local { &mut consumed.local } else { &mut consumed.global };
                        let part = parts.entry(name).or_default();
                        *part = *part + units;
                    }
                }
            }
        }
    }
    Some(consumed)
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
