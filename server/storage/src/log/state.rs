//! What one log holds, in memory: where its entries lie, its vote, and how far it is purged.
//!
//! The state runs ahead of the file: an operation changes it at once and is queued in the same moment, under the
//! log's lock, so the order of the changes is the order of the frames. When a frame has been written, its place is
//! noted here ([`LogState::placed`]), unless the thing it carried was replaced in the meantime: every entry and mark
//! bears a number (`birth`) that is never given twice.
//!
//! `live` counts the bytes of the frames that are still needed, by segment. The smallest segment in it is the oldest
//! one that this log needs.

use super::frame::Kind;
use super::segment::Location;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// An entry of a log.
#[derive(Debug)]
pub(super) struct Slot {
    /// Rises over all logs of a node, so it also tells the age.
    birth: u64,
    place: Option<Location>,
    /// The payload, while it is cached. Without a place it is always here.
    payload: Option<Bytes>,
    length: u32,
}

/// A value of which only the latest counts: the vote, the purge note, the commit note.
#[derive(Debug)]
struct Mark {
    birth: u64,
    place: Option<Location>,
    index: u64,
    value: Bytes,
}

/// How to get the payload of an entry.
#[derive(Debug)]
pub(super) enum Source {
    Cached(Bytes),
    Stored(Location),
}

/// A live frame that should move to the end of the log.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) kind: Kind,
    pub(super) index: u64,
    pub(super) birth: u64,
    pub(super) source: Source,
}

/// The state of one log. Whoever changes it holds its lock while queueing the operation.
#[derive(Debug, Default)]
pub(super) struct LogState {
    /// Index of the first entry, or of the next one when there is none.
    first: u64,
    entries: VecDeque<Slot>,
    vote: Option<Mark>,
    purged: Option<Mark>,
    committed: Option<Mark>,
    live: BTreeMap<u64, u64>,
    /// Entries before this position in `entries` are not cached.
    evicted: usize,
    /// Bytes of cached payloads.
    cached: u64,
    /// The log was destroyed; handles that remain are refused.
    pub(super) forgotten: bool,
}

impl LogState {
    /// Index of the first entry; `None` when there is none.
    pub(super) fn first_index(&self) -> Option<u64> {
        (!self.entries.is_empty()).then_some(self.first)
    }

    /// Index of the last entry; `None` when there is none.
    pub(super) fn last_index(&self) -> Option<u64> {
        let count = self.entries.len() as u64;
        (count > 0).then(|| self.first + count - 1)
    }

    /// The index that the next entry must have; `None` when any will do.
    pub(super) fn next_index(&self) -> Option<u64> {
        match (self.last_index(), &self.purged) {
            (Some(last), _) => Some(last + 1),
            (None, Some(purged)) => Some(purged.index + 1),
            (None, None) => None,
        }
    }

    pub(super) fn vote(&self) -> Option<Bytes> {
        self.vote.as_ref().map(|mark| mark.value.clone())
    }

    pub(super) fn committed(&self) -> Option<Bytes> {
        self.committed.as_ref().map(|mark| mark.value.clone())
    }

    pub(super) fn purged(&self) -> Option<(u64, Bytes)> {
        self.purged.as_ref().map(|mark| (mark.index, mark.value.clone()))
    }

    /// Bytes of cached payloads.
    pub(super) fn cached(&self) -> u64 {
        self.cached
    }

    /// Bytes of frames that are still needed.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live.values().sum()
    }

    /// The oldest segment that holds a frame still needed.
    pub(super) fn oldest_segment(&self) -> Option<u64> {
        self.live.keys().next().copied()
    }

    /// Adds the entry at `index`, replacing all from there on. The index is not beyond [`LogState::next_index`].
    pub(super) fn append(&mut self, index: u64, birth: u64, payload: Bytes) {
        self.truncate(index);
        if self.entries.is_empty() {
            self.first = index;
            self.evicted = 0;
        }
        assert_eq!(self.first + self.entries.len() as u64, index, "the caller has checked the order");
        let length = payload.len() as u32;
        self.cached += u64::from(length);
        self.entries.push_back(Slot { birth, place: None, payload: Some(payload), length });
    }

    /// Adds an entry that was found on disk, at the end.
    pub(super) fn restore_entry(&mut self, index: u64, birth: u64, place: Location) {
        if self.entries.is_empty() {
            self.first = index;
        }
        assert_eq!(self.first + self.entries.len() as u64, index, "recovery has checked the order");
        gain(&mut self.live, place);
        self.entries.push_back(Slot { birth, place: Some(place), payload: None, length: place.length });
        self.evicted = self.entries.len();
    }

    /// Drops the entries from `from` on.
    pub(super) fn truncate(&mut self, from: u64) {
        let keep = from.saturating_sub(self.first).min(self.entries.len() as u64) as usize;
        for slot in self.entries.drain(keep..) {
            drop_slot(&mut self.live, &mut self.cached, &slot);
        }
        self.evicted = self.evicted.min(keep);
    }

    /// Drops the entries up to `upto`, which may lie beyond the last. False if the log is purged so far already.
    pub(super) fn purge(&mut self, upto: u64, birth: u64, note: Bytes) -> bool {
        if self.purged.as_ref().is_some_and(|mark| mark.index >= upto) {
            return false;
        }
        let gone = (upto + 1).saturating_sub(self.first).min(self.entries.len() as u64) as usize;
        for slot in self.entries.drain(..gone) {
            drop_slot(&mut self.live, &mut self.cached, &slot);
        }
        self.evicted = self.evicted.saturating_sub(gone);
        self.first = if self.entries.is_empty() { upto + 1 } else { self.first + gone as u64 };
        self.set_mark(Kind::Purge, upto, birth, note, None);
        true
    }

    /// Sets the vote, the purge note or the commit note.
    pub(super) fn set_mark(
        &mut self,
        kind: Kind,
        index: u64,
        birth: u64,
        value: Bytes,
        place: Option<Location>,
    ) {
        let Some(mark) = self.mark(kind) else { return };
        let before = mark.replace(Mark { birth, place, index, value });
        if let Some(old) = before.and_then(|mark| mark.place) {
            lose(&mut self.live, old);
        }
        if let Some(new) = place {
            gain(&mut self.live, new);
        }
    }

    fn mark(&mut self, kind: Kind) -> Option<&mut Option<Mark>> {
        match kind {
            Kind::Vote => Some(&mut self.vote),
            Kind::Purge => Some(&mut self.purged),
            Kind::Committed => Some(&mut self.committed),
            _ => None,
        }
    }

    /// Notes that a frame was written at `place`, if what it carried is still current.
    pub(super) fn placed(&mut self, kind: Kind, index: u64, birth: u64, place: Location) {
        let found = match kind {
            Kind::Append | Kind::Rewrite => {
                let at = index.checked_sub(self.first).and_then(|at| self.entries.get_mut(at as usize));
                at.filter(|slot| slot.birth == birth).map(|slot| &mut slot.place)
            }
            _ => self
                .mark(kind)
                .and_then(Option::as_mut)
                .filter(|mark| mark.birth == birth)
                .map(|mark| &mut mark.place),
        };
        let Some(current) = found else { return };
        if let Some(old) = current.replace(place) {
            lose(&mut self.live, old);
        }
        gain(&mut self.live, place);
    }

    /// The entries of `start..end` that exist, in order, up to `bytes_max` of payload but at least one.
    pub(super) fn sources(&self, start: u64, end: u64, bytes_max: u64) -> Vec<(u64, Source)> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let from = start.max(self.first);
        let skip = (from - self.first).min(self.entries.len() as u64) as usize;
        for (index, slot) in (from..end).zip(self.entries.iter().skip(skip)) {
            bytes += u64::from(slot.length);
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push((index, slot.source()));
        }
        found
    }

    /// Whether the entry at `index` is still read from `place`.
    pub(super) fn lies_at(&self, index: u64, place: Location) -> bool {
        let slot = index.checked_sub(self.first).and_then(|at| self.entries.get(at as usize));
        slot.is_some_and(|slot| slot.place == Some(place))
    }

    /// The age of the oldest cached entry; `None` when nothing can be evicted.
    pub(super) fn oldest_cached(&self) -> Option<u64> {
        self.entries.get(self.evicted).filter(|slot| slot.place.is_some()).map(|slot| slot.birth)
    }

    /// Drops cached payloads that are on disk, oldest first, until `bytes` are gone or an entry younger than `age`
    /// comes. Returns the bytes dropped.
    pub(super) fn evict(&mut self, bytes: u64, age: u64) -> u64 {
        let mut dropped = 0;
        while dropped < bytes {
            let Some(slot) = self.entries.get_mut(self.evicted) else {
                break;
            };
            if slot.place.is_none() || slot.birth > age {
                break;
            }
            if let Some(payload) = slot.payload.take() {
                dropped += payload.len() as u64;
            }
            self.evicted += 1;
        }
        self.cached -= dropped;
        dropped
    }

    /// The live frames that lie in `segment`, up to `bytes_max` but at least one.
    pub(super) fn movers(&self, segment: u64, bytes_max: u64) -> Vec<Mover> {
        let mut found = Vec::new();
        if !self.live.contains_key(&segment) {
            return found;
        }
        let mut bytes = 0;
        for (kind, mark) in
            [(Kind::Vote, &self.vote), (Kind::Purge, &self.purged), (Kind::Committed, &self.committed)]
        {
            let Some(mark) = mark else { continue };
            if mark.place.is_some_and(|place| place.segment == segment) {
                bytes += mark.value.len() as u64;
                let source = Source::Cached(mark.value.clone());
                found.push(Mover { kind, index: mark.index, birth: mark.birth, source });
            }
        }
        for (index, slot) in (self.first..).zip(&self.entries) {
            if bytes >= bytes_max && !found.is_empty() {
                break;
            }
            if slot.place.is_some_and(|place| place.segment == segment) {
                bytes += u64::from(slot.length);
                found.push(Mover { kind: Kind::Rewrite, index, birth: slot.birth, source: slot.source() });
            }
        }
        found
    }

    /// Empties the log for good.
    pub(super) fn forget(&mut self) {
        *self = LogState { forgotten: true, ..LogState::default() };
    }
}

impl Slot {
    fn source(&self) -> Source {
        match (&self.payload, self.place) {
            (Some(payload), _) => Source::Cached(payload.clone()),
            (None, Some(place)) => Source::Stored(place),
            (None, None) => unreachable!("a payload is evicted only when it has a place"),
        }
    }
}

fn drop_slot(live: &mut BTreeMap<u64, u64>, cached: &mut u64, slot: &Slot) {
    if let Some(place) = slot.place {
        lose(live, place);
    }
    if slot.payload.is_some() {
        *cached -= u64::from(slot.length);
    }
}

fn gain(live: &mut BTreeMap<u64, u64>, place: Location) {
    *live.entry(place.segment).or_default() += place.size();
}

fn lose(live: &mut BTreeMap<u64, u64>, place: Location) {
    if let Some(bytes) = live.get_mut(&place.segment) {
        *bytes -= place.size();
        if *bytes == 0 {
            live.remove(&place.segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u64, length: u32) -> Location {
        Location { segment, offset: 64, length, incarnation: 0 }
    }

    /// Entries 5..=8 of 10 bytes, born 1..=4, the first three written to segments 1, 1, 2.
    fn sample() -> LogState {
        let mut state = LogState::default();
        for (birth, index) in (1..).zip(5..=8) {
            state.append(index, birth, Bytes::from_static(b"0123456789"));
        }
        state.placed(Kind::Append, 5, 1, place(1, 10));
        state.placed(Kind::Append, 6, 2, place(1, 10));
        state.placed(Kind::Append, 7, 3, place(2, 10));
        state
    }

    fn indexes(state: &LogState, start: u64, end: u64, bytes: u64) -> Vec<u64> {
        state.sources(start, end, bytes).into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn ranges_are_cut_to_what_exists() {
        let state = sample();
        assert_eq!(indexes(&state, 0, 100, u64::MAX), [5, 6, 7, 8]);
        assert_eq!(indexes(&state, 6, 8, u64::MAX), [6, 7]);
        assert_eq!(indexes(&state, 8, 6, u64::MAX), Vec::<u64>::new());
        assert_eq!(indexes(&state, 9, 12, u64::MAX), Vec::<u64>::new());
        assert_eq!(indexes(&state, 5, 9, 25), [5, 6]);
        assert_eq!(indexes(&state, 5, 9, 0), [5], "at least one, or a large entry would never be read");
    }

    #[test]
    fn segments_are_released_by_purge_truncation_and_moves() {
        let mut state = sample();
        assert_eq!(state.oldest_segment(), Some(1));
        assert!(state.purge(6, 5, Bytes::new()));
        assert_eq!(state.oldest_segment(), Some(2));
        assert!(!state.purge(6, 6, Bytes::new()), "a purge never goes back");
        state.placed(Kind::Rewrite, 7, 3, place(4, 10));
        assert_eq!(state.oldest_segment(), Some(4));
        state.truncate(7);
        assert_eq!((state.oldest_segment(), state.last_index(), state.next_index()), (None, None, Some(7)));
        assert_eq!((state.cached(), state.live_bytes()), (0, 0));
    }

    #[test]
    fn a_purge_beyond_the_end_empties_the_log() {
        let mut state = sample();
        assert!(state.purge(20, 9, Bytes::from_static(b"note")));
        assert_eq!((state.first_index(), state.next_index()), (None, Some(21)));
        state.append(21, 10, Bytes::new());
        assert_eq!(state.first_index(), Some(21));
    }

    #[test]
    fn a_late_place_of_a_replaced_entry_is_ignored() {
        let mut state = sample();
        state.append(8, 9, Bytes::from_static(b"new"));
        state.placed(Kind::Append, 8, 4, place(3, 10));
        assert_eq!(state.live.keys().collect::<Vec<_>>(), [&1, &2]);
        state.placed(Kind::Append, 8, 9, place(3, 3));
        assert_eq!(state.live.keys().collect::<Vec<_>>(), [&1, &2, &3]);
    }

    #[test]
    fn only_written_entries_are_evicted_oldest_first() {
        let mut state = sample();
        assert_eq!(state.oldest_cached(), Some(1));
        assert_eq!(state.evict(15, u64::MAX), 20);
        assert_eq!(state.oldest_cached(), Some(3));
        assert_eq!(state.evict(100, 2), 0, "younger than asked");
        assert_eq!(state.evict(100, u64::MAX), 10, "entry 8 is not written yet");
        assert_eq!((state.oldest_cached(), state.cached()), (None, 10));
        assert!(matches!(state.sources(5, 6, 1)[0].1, Source::Stored(at) if at == place(1, 10)));
        state.truncate(6);
        state.append(6, 9, Bytes::from_static(b"again"));
        state.placed(Kind::Append, 6, 9, place(3, 5));
        assert_eq!((state.oldest_cached(), state.cached()), (Some(9), 5));
    }

    #[test]
    fn movers_are_the_live_frames_of_a_segment() {
        let mut state = sample();
        state.set_mark(Kind::Vote, 0, 20, Bytes::from_static(b"v"), Some(place(1, 1)));
        state.set_mark(Kind::Committed, 0, 21, Bytes::from_static(b"c"), Some(place(2, 1)));
        let found: Vec<(Kind, u64)> =
            state.movers(1, 100).iter().map(|mover| (mover.kind, mover.index)).collect();
        assert_eq!(found, [(Kind::Vote, 0), (Kind::Rewrite, 5), (Kind::Rewrite, 6)]);
        assert_eq!(state.movers(1, 5).len(), 2);
        assert!(state.movers(3, 100).is_empty());
    }
}
