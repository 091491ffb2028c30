//! The rows as a batch sees them: what was fetched before, under what its commands have changed so far.

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshDeserialize;
use bytes::Bytes;
use trilith_values::TableId;

use super::change::{Effect, Effects};
use crate::codec::{self, CorruptValue};
use crate::item::StoredItem;
use crate::keyspace::{Family, Key};

/// Values of the keys that a batch needs, as they are stored.
#[derive(Clone, Debug, Default)]
pub struct Prefetched {
    rows: BTreeMap<(Family, Bytes), Option<Bytes>>,
}

impl Prefetched {
    /// From the keys of [`reads_of`](super::reads_of) and their values, in the same order.
    pub fn new(keys: Vec<(Family, Bytes)>, values: Vec<Option<Bytes>>) -> Self {
        assert_eq!(keys.len(), values.len(), "one value for each key");
        Self { rows: keys.into_iter().zip(values).collect() }
    }

    /// Adds a key and its value.
    pub fn insert(&mut self, family: Family, key: Bytes, value: Option<Bytes>) {
        self.rows.insert((family, key), value);
    }
}

/// The working set of a batch.
///
/// Reading a key that was not declared is a bug of the command, and panics: on another replica it might be answered.
#[derive(Debug)]
pub struct Working {
    fetched: BTreeMap<(Family, Bytes), Option<Bytes>>,
    /// Where in `effects` the last change of a row is.
    changed: BTreeMap<(Family, Bytes), usize>,
    effects: Vec<Effect>,
    touched_spans: BTreeSet<TableId>,
    touched_outbox: bool,
    touched_removal: bool,
}

impl Working {
    /// Over these values.
    ///
    /// # Errors
    /// [`CorruptValue`] if one of them is damaged. Then nothing must be applied.
    pub fn new(fetched: Prefetched) -> Result<Self, CorruptValue> {
        for ((family, key), value) in &fetched.rows {
            if let Some(sealed) = value {
                codec::open(sealed).map_err(|damage| damage.at(*family, key))?;
            }
        }
        Ok(Self {
            fetched: fetched.rows,
            changed: BTreeMap::new(),
            effects: Vec::new(),
            touched_spans: BTreeSet::new(),
            touched_outbox: false,
            touched_removal: false,
        })
    }

    /// The sealed value of a row, intact.
    pub(super) fn get(&self, family: Family, key: &Bytes) -> Option<&Bytes> {
        let place = (family, key.clone());
        if let Some(at) = self.changed.get(&place) {
            return match &self.effects[*at] {
                Effect::Put { value, .. } => Some(value),
                Effect::Delete { .. } | Effect::DeleteRange { .. } => None,
            };
        }
        self.fetched
            .get(&place)
            .unwrap_or_else(|| panic!("undeclared read of {}", crate::explain::key(family, key)))
            .as_ref()
    }

    /// The item of a row.
    ///
    /// # Errors
    /// [`CorruptValue`] if its header is.
    pub(super) fn item(&self, key: &Bytes) -> Result<Option<StoredItem<'_>>, CorruptValue> {
        self.get(Family::Items, key)
            .map(|sealed| StoredItem::trusted(sealed))
            .transpose()
            .map_err(|damage| damage.at(Family::Items, key))
    }

    /// A row that is not an item.
    ///
    /// # Errors
    /// [`CorruptValue`] if it cannot be decoded.
    pub(super) fn row<T: BorshDeserialize>(&self, key: &Key) -> Result<Option<T>, CorruptValue> {
        let (family, bytes) = (key.family(), key.encode());
        let row = self.get(family, &bytes).map(|sealed| codec::open_row(sealed)).transpose();
        row.map_err(|damage| damage.at(family, &bytes))
    }

    /// Sets or removes a row. A row that is set twice leaves one effect.
    pub(super) fn set(&mut self, family: Family, key: Bytes, value: Option<Bytes>) {
        let effect = match value {
            Some(value) => Effect::Put { family, key: key.clone(), value },
            None => Effect::Delete { family, key: key.clone() },
        };
        match self.changed.get(&(family, key.clone())) {
            Some(at) => self.effects[*at] = effect,
            None => {
                self.changed.insert((family, key), self.effects.len());
                self.effects.push(effect);
            }
        }
    }

    /// Removes a run of rows. What is set there later comes behind it.
    pub(super) fn remove_range(&mut self, family: Family, start: Bytes, end: Bytes) {
        let at = self.effects.len();
        let inside = |(of, key): &(Family, Bytes)| *of == family && start <= *key && *key < end;
        self.changed.retain(|place, _| !inside(place));
        for (place, value) in &mut self.fetched {
            if inside(place) {
                *value = None;
            }
        }
        self.effects.push(Effect::DeleteRange { family, start, end });
        debug_assert_eq!(self.effects.len(), at + 1);
    }

    /// Notes that a span's row must be written at the end of the batch.
    pub(super) fn touch_span(&mut self, table: TableId) {
        self.touched_spans.insert(table);
    }

    /// Notes that the shard's last removal must be written at the end of the batch.
    pub(super) fn touch_removal(&mut self) {
        self.touched_removal = true;
    }

    pub(super) fn take_touched_removal(&mut self) -> bool {
        std::mem::take(&mut self.touched_removal)
    }

    pub(super) fn take_touched_spans(&mut self) -> BTreeSet<TableId> {
        std::mem::take(&mut self.touched_spans)
    }

    /// Notes that the row of what the shard owes must be written at the end of the batch.
    pub(super) fn touch_outbox(&mut self) {
        self.touched_outbox = true;
    }

    pub(super) fn take_touched_outbox(&mut self) -> bool {
        std::mem::take(&mut self.touched_outbox)
    }

    /// All effects, in order.
    pub(super) fn into_effects(self) -> Effects {
        Effects(self.effects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn working(rows: &[(&'static str, Option<&[u8]>)]) -> Working {
        let mut fetched = Prefetched::default();
        for (row, value) in rows {
            fetched.insert(Family::Items, key(row), value.map(codec::seal));
        }
        Working::new(fetched).expect("intact")
    }

    #[test]
    fn changes_lie_over_what_was_fetched() {
        let mut working = working(&[("a", Some(b"1")), ("b", None)]);
        assert_eq!(working.get(Family::Items, &key("a")), Some(&codec::seal(b"1")));
        assert_eq!(working.get(Family::Items, &key("b")), None);
        working.set(Family::Items, key("a"), None);
        working.set(Family::Items, key("b"), Some(codec::seal(b"2")));
        assert_eq!(working.get(Family::Items, &key("a")), None);
        assert_eq!(working.get(Family::Items, &key("b")), Some(&codec::seal(b"2")));
    }

    #[test]
    fn a_row_set_twice_is_one_effect() {
        let mut working = working(&[]);
        working.set(Family::Items, key("a"), Some(codec::seal(b"1")));
        working.set(Family::Items, key("a"), Some(codec::seal(b"2")));
        let put = Effect::Put { family: Family::Items, key: key("a"), value: codec::seal(b"2") };
        assert_eq!(working.into_effects(), Effects(vec![put]));
    }

    #[test]
    fn a_removed_range_hides_and_what_follows_stays() {
        let mut working = working(&[("a", Some(b"1")), ("b", Some(b"1")), ("c", Some(b"1"))]);
        working.set(Family::Items, key("a"), Some(codec::seal(b"2")));
        working.set(Family::Meta, key("a"), Some(codec::seal(b"2")));
        working.remove_range(Family::Items, key("a"), key("c"));
        for gone in ["a", "b"] {
            assert_eq!(working.get(Family::Items, &key(gone)), None);
        }
        assert!(working.get(Family::Items, &key("c")).is_some(), "the end is exclusive");
        assert!(working.get(Family::Meta, &key("a")).is_some(), "of another family");
        working.set(Family::Items, key("a"), Some(codec::seal(b"3")));
        let effects = working.into_effects().0;
        assert!(matches!(effects[2], Effect::DeleteRange { .. }));
        assert!(matches!(&effects[3], Effect::Put { value, .. } if *value == codec::seal(b"3")));
    }

    #[test]
    #[should_panic(expected = "undeclared read")]
    fn an_undeclared_read_panics() {
        working(&[]).get(Family::Items, &key("a"));
    }

    #[test]
    fn damaged_values_are_refused_before_anything_applies() {
        let mut fetched = Prefetched::default();
        fetched.insert(Family::Items, key("a"), Some(Bytes::from_static(b"\x01xxxxrest")));
        let error = Working::new(fetched).expect_err("damaged");
        assert_eq!(error.damage, codec::Damage::Checksum);
    }
}
