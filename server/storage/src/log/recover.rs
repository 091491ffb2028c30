//! Reading the log back at the start of a node.
//!
//! All segments are read in order and their frames replayed. A bad frame is the end of the log only in the last
//! segment, and only if nothing behind it shows that it was durable once; everywhere else it is damage and the log
//! does not open. Nothing is written here: [`super::writer`] begins where this ends.
//!
//! Why a suffix of the history is enough: segments are freed oldest first, and only when every frame in them is dead
//! by a frame in a later one. So what a truncation, purge or destruction killed is either freed too, or read before it.

use super::frame::{self, ALIGN, HEADER, Head, Kind, Seed};
use super::segment::{self, Location, START, Segment, Window};
use super::state::LogState;
use crate::error::StorageError;
use crate::files::Files;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the files hold.
pub(super) struct Recovered {
    pub(super) logs: BTreeMap<u64, LogState>,
    /// Ascending; the last one is to be continued at `tail`. Empty when there is no log yet.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) tail: u32,
    pub(super) incarnation: u32,
    /// Files to be used again. Among them may be one that is still named as a segment, but was never begun.
    pub(super) spares: Vec<String>,
    /// Births given so far.
    pub(super) births: u64,
}

/// Reads everything.
///
/// # Errors
/// [`StorageError::Corrupt`] for damage, [`StorageError::NewerFormat`], [`StorageError::Io`].
pub(super) fn recover(files: &dyn Files) -> Result<Recovered, StorageError> {
    let names = files.list().map_err(|error| StorageError::io("listing the log segments", error))?;
    let mut sequences: Vec<u64> = names.iter().filter_map(|name| segment::parse_name(name)).collect();
    sequences.sort_unstable();
    let mut segments = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        segments.push(Arc::new(Segment::open(files, sequence)?));
    }
    let mut spares: Vec<String> = names.into_iter().filter(|name| segment::is_spare(name)).collect();
    if let Some(unborn) = drop_unborn(&mut segments)? {
        spares.push(unborn);
    }
    let ends = check_chain(&segments)?;
    let mut replay = Replay::default();
    let mut scanned = Scanned { tail: START, incarnation: 0 };
    for (segment, end) in segments.iter().zip(ends) {
        scanned = replay.scan(segment, end)?;
    }
    let mut births = 0;
    let logs = replay.finish(&mut births)?;
    let Scanned { tail, incarnation } = scanned;
    Ok(Recovered { logs, segments, tail, incarnation, spares, births })
}

/// A crash can leave a last file that was renamed or created, but has no header of its own yet. Takes it off the list
/// and returns its name.
fn drop_unborn(segments: &mut Vec<Arc<Segment>>) -> Result<Option<String>, StorageError> {
    let Some(last) = segments.last() else {
        return Ok(None);
    };
    if last.header()?.is_some_and(|header| header.sequence == last.sequence) {
        return Ok(None);
    }
    // The header is synced before the first frame is written. A frame of this segment means that it was there once.
    if let Some(at) = find_witness(last, START, 0, 0)? {
        return Err(last.corrupt(
            0,
            format!("the header is damaged, but a frame stands at offset {at}"),
            Vec::new(),
        ));
    }
    let name = segment::name(last.sequence);
    segments.pop();
    Ok(Some(name))
}

/// Checks that no segment is missing, and returns where each one ends: `None` for the last.
fn check_chain(segments: &[Arc<Segment>]) -> Result<Vec<Option<u32>>, StorageError> {
    let mut ends = Vec::with_capacity(segments.len());
    for (position, segment) in segments.iter().enumerate() {
        let header = segment.header()?.filter(|header| header.sequence == segment.sequence);
        let Some(header) = header else {
            return Err(segment.corrupt(0, "the segment's header is damaged", Vec::new()));
        };
        if position > 0 {
            let before = segments[position - 1].sequence;
            if before + 1 != segment.sequence {
                return Err(segment.corrupt(
                    0,
                    format!("the segment after {} is missing", segment::name(before)),
                    Vec::new(),
                ));
            }
            ends.push(Some(header.previous_end));
        }
    }
    if !segments.is_empty() {
        ends.push(None);
    }
    Ok(ends)
}

/// Where the frames of a segment end, and under which incarnation.
struct Scanned {
    tail: u32,
    incarnation: u32,
}

/// The logs as replayed so far.
#[derive(Default)]
struct Replay {
    logs: BTreeMap<u64, ReplayLog>,
}

#[derive(Default)]
struct ReplayLog {
    entries: BTreeMap<u64, Location>,
    /// Vote, purge note, commit note: index, value, place.
    vote: Option<(u64, Bytes, Location)>,
    purged: Option<(u64, Bytes, Location)>,
    committed: Option<(u64, Bytes, Location)>,
}

impl Replay {
    /// Replays the frames of one segment up to `end`, or, without one, up to its torn or unwritten tail.
    fn scan(&mut self, segment: &Segment, end: Option<u32>) -> Result<Scanned, StorageError> {
        let mut window = Window::new(segment);
        let mut incarnation = 0;
        let mut offset = START;
        while end.is_none_or(|end| offset < end) {
            let seed = Seed::new(segment.sequence, incarnation);
            let head = frame::decode_head(window.at(offset, HEADER)?, seed);
            let Some(head) = head else {
                return self.bad_frame(segment, offset, incarnation, None, end);
            };
            let length = head.length as usize;
            let payload = window.at(offset, HEADER + length)?.get(HEADER..HEADER + length);
            let Some(payload) = payload.filter(|payload| head.vouches_for(payload, seed)) else {
                return self.bad_frame(segment, offset, incarnation, Some(head), end);
            };
            let place = Location { segment: segment.sequence, offset, length: head.length, incarnation };
            self.apply(head, payload, place);
            if head.kind == Kind::Resume {
                incarnation = head.index as u32;
            }
            offset += frame::size(length) as u32;
        }
        match end {
            Some(end) if offset != end => {
                let detail = format!("a frame runs beyond the segment's end at {end}");
                Err(segment.corrupt(offset, detail, self.known()))
            }
            _ => Ok(Scanned { tail: offset, incarnation }),
        }
    }

    /// Tells the end of the log from damage.
    fn bad_frame(
        &self,
        segment: &Segment,
        offset: u32,
        incarnation: u32,
        head: Option<Head>,
        end: Option<u32>,
    ) -> Result<Scanned, StorageError> {
        // An intact header names the one log that lost a record; otherwise it may be any of them.
        let affected = || head.map_or_else(|| self.known(), |head| vec![head.log]);
        if end.is_some() {
            return Err(segment.corrupt(offset, "a record does not match its checksum", affected()));
        }
        if let Some(witness) = find_witness(segment, offset + ALIGN as u32, incarnation, offset)? {
            let detail = format!(
                "a record does not match its checksum, but was durable when that at {witness} was made"
            );
            return Err(segment.corrupt(offset, detail, affected()));
        }
        Ok(Scanned { tail: offset, incarnation })
    }

    fn known(&self) -> Vec<u64> {
        self.logs.keys().copied().collect()
    }

    fn apply(&mut self, head: Head, payload: &[u8], place: Location) {
        let value = || Some((head.index, Bytes::copy_from_slice(payload), place));
        match head.kind {
            Kind::Resume => return,
            Kind::Forget => {
                self.logs.remove(&head.log);
                return;
            }
            _ => {}
        }
        let log = self.logs.entry(head.log).or_default();
        match head.kind {
            Kind::Append => {
                log.entries.split_off(&head.index);
                log.entries.insert(head.index, place);
            }
            Kind::Rewrite => {
                log.entries.insert(head.index, place);
            }
            Kind::Truncate => {
                log.entries.split_off(&head.index);
            }
            Kind::Purge => {
                log.entries = log.entries.split_off(&(head.index + 1));
                log.purged = value();
            }
            Kind::Vote => log.vote = value(),
            Kind::Committed => log.committed = value(),
            Kind::Forget | Kind::Resume => {}
        }
    }

    fn finish(self, births: &mut u64) -> Result<BTreeMap<u64, LogState>, StorageError> {
        let mut states = BTreeMap::new();
        for (id, log) in self.logs {
            states.insert(id, log.finish(id, births)?);
        }
        Ok(states)
    }
}

impl ReplayLog {
    fn finish(self, id: u64, births: &mut u64) -> Result<LogState, StorageError> {
        let mut state = LogState::default();
        let mut next = || {
            *births += 1;
            *births
        };
        let marks = [(Kind::Vote, self.vote), (Kind::Purge, self.purged), (Kind::Committed, self.committed)];
        for (kind, mark) in marks {
            if let Some((index, value, place)) = mark {
                state.set_mark(kind, index, next(), value, Some(place));
            }
        }
        for (index, place) in self.entries {
            if state.next_index().is_some_and(|expected| expected != index) {
                return Err(StorageError::Corrupt {
                    place: format!("log segment {} at offset {}", segment::name(place.segment), place.offset),
                    detail: format!("entries before {index} of log {id} are missing"),
                    affected: vec![id],
                });
            }
            state.restore_entry(index, next(), place);
        }
        Ok(state)
    }
}

/// Looks from `from` on for a valid frame of this incarnation or the next that was made when more than `durable`
/// bytes of the segment were durable. Returns its offset.
fn find_witness(
    segment: &Segment,
    from: u32,
    incarnation: u32,
    durable: u32,
) -> Result<Option<u32>, StorageError> {
    /// Bytes looked at per read.
    const STRIDE: usize = 1 << 18;
    let seeds =
        [Seed::new(segment.sequence, incarnation), Seed::new(segment.sequence, incarnation.wrapping_add(1))];
    let mut window = Window::new(segment);
    let mut start = from;
    loop {
        let bytes = window.at(start, STRIDE + HEADER)?;
        for at in (0..STRIDE.min(bytes.len())).step_by(ALIGN) {
            let heads = seeds.iter().filter_map(|seed| frame::decode_head(&bytes[at..], *seed));
            if heads.into_iter().any(|head| head.synced > durable) {
                return Ok(Some(start + at as u32));
            }
        }
        if bytes.len() < STRIDE + HEADER {
            return Ok(None);
        }
        start += STRIDE as u32;
    }
}
