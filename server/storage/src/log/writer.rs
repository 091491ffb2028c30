//! The one writer of the log: batches in, segments out.
//!
//! A step takes all operations that wait, writes their frames, syncs once, notes where the frames lie, and answers
//! the callers. Then it tidies up: frees the segments that no log needs, and moves the few live frames of an old
//! segment to the end when they are all that keeps it.
//!
//! When may a segment go? The states in memory run ahead of the file, so "no log needs it" becomes true before the
//! frame that says so is durable. The writer therefore remembers the newest operation queued at the time it looked (a
//! ticket), and frees the segment once everything up to that ticket has been synced.

use super::core::{Core, Op, Queued};
use super::frame::{self, Kind, Seed};
use super::recover::Recovered;
use super::segment::{self, Location, START, Segment, SegmentHeader};
use super::state::Source;
use crate::error::StorageError;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Frames collected in memory before they are written.
const BUFFER_BYTES: usize = 4 << 20;
/// Bytes of live frames moved out of an old segment in one step, so that a move does not hold up others for long.
const MOVE_BYTES: u64 = 1 << 20;

pub(super) struct Writer {
    /// In use, ascending; the last is written to.
    segments: VecDeque<Arc<Segment>>,
    spares: Vec<String>,
    /// End of the frames in the last segment, buffered ones included.
    tail: u32,
    /// Bytes of the last segment that are durable.
    synced: u32,
    incarnation: u32,
    /// Frames not written yet; they end at `tail`.
    buffer: Vec<u8>,
    /// The newest operation written.
    written_ticket: u64,
    /// Segments before the first number may go when the second, a ticket, is written and synced.
    freeable: Option<(u64, u64)>,
    /// Live frames are being moved out of the oldest segment.
    moving: bool,
    /// Something happened since the last look that may let segments go.
    look_due: bool,
}

impl Writer {
    /// Continues what recovery found. The first frame marks the new incarnation and is synced, which also makes
    /// durable what recovery read but a crash may have left in the cache of the operating system.
    pub(super) fn start(core: &Core, found: Recovered) -> Result<Writer, StorageError> {
        let mut writer = Writer {
            segments: found.segments.into(),
            spares: Vec::new(),
            tail: found.tail,
            synced: START,
            incarnation: found.incarnation,
            buffer: Vec::new(),
            written_ticket: 0,
            freeable: None,
            moving: false,
            look_due: true,
        };
        for name in found.spares {
            writer.keep_spare(core, name)?;
        }
        if writer.segments.is_empty() {
            writer.begin_segment(core, 1, 0)?;
        } else {
            let next = writer.incarnation + 1;
            writer.put(Kind::Resume, 0, u64::from(next), &Bytes::new());
            writer.write_buffer(core)?;
            writer.sync(core)?;
            writer.incarnation = next;
            core.files.sync_dir().map_err(|error| StorageError::io("syncing the log folder", error))?;
        }
        for segment in &writer.segments {
            core.segments.write().insert(segment.sequence, Arc::clone(segment));
        }
        writer.report(core);
        Ok(writer)
    }

    /// Writes a batch and answers it. `ticket` is the newest operation in it.
    ///
    /// # Errors
    /// The failure that must close the log; the batch's callers have not been answered then.
    pub(super) fn write(&mut self, core: &Core, batch: &[Op], ticket: u64) -> Result<(), StorageError> {
        let mut places = Vec::new();
        let mut entries = 0;
        for op in batch {
            for queued in &op.frames {
                let place = self.place(core, op, queued)?;
                places.push(place);
                entries += u64::from(queued.kind == Kind::Append);
            }
        }
        self.write_buffer(core)?;
        if batch.iter().any(|op| op.sync) {
            self.sync(core)?;
        }
        self.written_ticket = ticket;
        let mut places = places.into_iter();
        for op in batch {
            let mut state = op.log.state.lock();
            for (queued, place) in op.frames.iter().zip(places.by_ref()) {
                state.placed(queued.kind, queued.index, queued.birth, place);
            }
        }
        core.meter.batch(entries);
        core.evict();
        Ok(())
    }

    /// Puts one frame behind the others, in a new segment if it does not fit.
    fn place(&mut self, core: &Core, op: &Op, queued: &Queued) -> Result<Location, StorageError> {
        let size = frame::size(queued.payload.len()) as u64;
        // A frame larger than a segment gets one of its own.
        if u64::from(self.tail) + size > core.options.segment_bytes && self.tail > START {
            self.write_buffer(core)?;
            self.sync(core)?;
            let sequence = self.active().sequence + 1;
            self.begin_segment(core, sequence, self.tail)?;
        }
        let place = Location {
            segment: self.active().sequence,
            offset: self.tail,
            length: queued.payload.len() as u32,
            incarnation: self.incarnation,
        };
        if queued.moved {
            core.meter.rewritten_bytes.fetch_add(size, Relaxed);
        }
        self.put(queued.kind, op.log.id, queued.index, &queued.payload);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_buffer(core)?;
        }
        Ok(place)
    }

    fn put(&mut self, kind: Kind, log: u64, index: u64, payload: &Bytes) {
        let seed = Seed::new(self.active().sequence, self.incarnation);
        frame::encode(&mut self.buffer, seed, kind, (log, index), self.synced, payload);
        self.tail += frame::size(payload.len()) as u32;
    }

    fn active(&self) -> &Arc<Segment> {
        self.segments.back().expect("there is always a segment to write to")
    }

    fn write_buffer(&mut self, core: &Core) -> Result<(), StorageError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let segment = self.active();
        let offset = u64::from(self.tail) - self.buffer.len() as u64;
        let written = segment.file.write_at(offset, &self.buffer);
        written.map_err(|error| {
            StorageError::io(format!("writing log segment {}", segment::name(segment.sequence)), error)
        })?;
        core.meter.bytes.fetch_add(self.buffer.len() as u64, Relaxed);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
        Ok(())
    }

    fn sync(&mut self, core: &Core) -> Result<(), StorageError> {
        let segment = self.active();
        let synced = core.meter.time_fsync(|| segment.file.sync_data());
        synced.map_err(|error| {
            StorageError::io(format!("syncing log segment {}", segment::name(segment.sequence)), error)
        })?;
        self.synced = self.tail;
        Ok(())
    }

    /// Begins the next segment, in a spare file if there is one. All before it is durable; its header is when this
    /// returns.
    fn begin_segment(&mut self, core: &Core, sequence: u64, previous_end: u32) -> Result<(), StorageError> {
        let name = segment::name(sequence);
        let failed = |error| StorageError::io(format!("beginning log segment {name}"), error);
        let file = match self.spares.pop() {
            Some(spare) => {
                core.files.rename(&spare, &name).map_err(failed)?;
                core.files.open(&name).map_err(failed)?
            }
            None => core.files.create(&name).map_err(failed)?,
        };
        file.allocate(core.options.segment_bytes).map_err(failed)?;
        // The name is durable before the header: a file under an old name must not hold a new header.
        core.files.sync_dir().map_err(failed)?;
        let header = SegmentHeader { sequence, previous_end };
        file.write_at(0, &header.encode()).map_err(failed)?;
        core.meter.time_fsync(|| file.sync_data()).map_err(failed)?;
        core.meter.bytes.fetch_add(u64::from(START), Relaxed);
        let segment = Arc::new(Segment { sequence, file });
        core.segments.write().insert(sequence, Arc::clone(&segment));
        self.segments.push_back(segment);
        (self.tail, self.synced, self.incarnation, self.look_due) = (START, START, 0, true);
        self.report(core);
        Ok(())
    }

    /// Frees what can be freed and moves what should be moved; moved frames are queued for the next step.
    ///
    /// # Errors
    /// The failure that must close the log.
    pub(super) fn tidy(&mut self, core: &Core, released: bool) -> Result<(), StorageError> {
        self.look_due |= released;
        self.free_due(core)?;
        // Not while a ticket is open: a new look would bring a newer one, and under load none would ever come due.
        if self.freeable.is_none() && self.segments.len() > 1 && (self.look_due || self.moving) {
            self.look(core);
            self.free_due(core)?;
        }
        if self.moving {
            self.moving = self.move_frames(core);
        }
        Ok(())
    }

    /// Frees the segments whose ticket has come due.
    fn free_due(&mut self, core: &Core) -> Result<(), StorageError> {
        let Some((before, ticket)) = self.freeable else {
            return Ok(());
        };
        if ticket > self.written_ticket {
            return Ok(());
        }
        if self.synced < self.tail {
            self.sync(core)?;
        }
        self.freeable = None;
        self.free(core, before)
    }

    /// Finds out which segments no log needs, and whether there are too many of them.
    fn look(&mut self, core: &Core) {
        self.look_due = false;
        let active = self.active().sequence;
        let (mut oldest, mut live) = (active, 0);
        for log in core.logs.read().values() {
            let state = log.state.lock();
            oldest = oldest.min(state.oldest_segment().unwrap_or(active));
            live += state.live_bytes();
        }
        // Taken after the states: whatever they show has been queued by now.
        let ticket = core.newest_ticket();
        if oldest > self.segments[0].sequence {
            self.freeable = Some((oldest, ticket));
        }
        let kept = self.segments.iter().filter(|segment| segment.sequence >= oldest).count() as u64;
        self.moving = kept > core.options.segments_max(live);
    }

    fn free(&mut self, core: &Core, before: u64) -> Result<(), StorageError> {
        while self.segments.len() > 1 && self.segments[0].sequence < before {
            let Some(segment) = self.segments.pop_front() else {
                break;
            };
            core.segments.write().remove(&segment.sequence);
            self.keep_spare(core, segment::name(segment.sequence))?;
        }
        // Before one of them is used again, so that a crash never finds new bytes under an old name.
        core.files.sync_dir().map_err(|error| StorageError::io("syncing the log folder", error))?;
        self.report(core);
        Ok(())
    }

    /// Keeps a file for the next segment, or removes it when there are enough or it has an odd size.
    fn keep_spare(&mut self, core: &Core, name: String) -> Result<(), StorageError> {
        let failed = |error| StorageError::io(format!("freeing log segment {name}"), error);
        let length = core.files.open(&name).and_then(|file| file.length()).map_err(failed)?;
        let usual = length >= core.options.segment_bytes / 2 && length <= core.options.segment_bytes * 2;
        if self.spares.len() >= core.options.spares_max || !usual {
            return core.files.remove(&name).map_err(failed);
        }
        if segment::is_spare(&name) {
            self.spares.push(name);
            return Ok(());
        }
        let sequence = segment::parse_name(&name).expect("only segments and spares are freed");
        let spare = segment::spare_name(sequence);
        core.files.rename(&name, &spare).map_err(failed)?;
        self.spares.push(spare);
        Ok(())
    }

    /// Queues live frames of the oldest segment again. False when there is nothing to move.
    fn move_frames(&mut self, core: &Core) -> bool {
        let oldest = self.segments[0].sequence;
        if oldest == self.active().sequence {
            return false;
        }
        let logs: Vec<_> = core.logs.read().values().cloned().collect();
        let mut moved = 0;
        for log in logs {
            if moved >= MOVE_BYTES {
                break;
            }
            let state = log.state.lock();
            let mut frames = Vec::new();
            for mover in state.movers(oldest, MOVE_BYTES - moved) {
                let payload = match mover.source {
                    Source::Cached(payload) => payload,
                    // A damaged entry stays where it is: whoever reads it is told. It keeps its segment.
                    Source::Stored(place) => match core.read_stored(place, log.id, mover.index) {
                        Ok(payload) => payload,
                        Err(_) => continue,
                    },
                };
                moved += payload.len() as u64 + 1;
                frames.push(Queued {
                    kind: mover.kind,
                    index: mover.index,
                    birth: mover.birth,
                    payload,
                    moved: true,
                });
            }
            if !frames.is_empty() {
                // Under the log's lock: the frames must not come behind a truncation that they do not know of.
                let op = Op { log: Arc::clone(&log), frames, sync: true, done: None };
                if core.push(op).is_err() {
                    moved = 0;
                    break;
                }
            }
        }
        moved > 0
    }

    fn report(&self, core: &Core) {
        core.meter.segments.store(self.segments.len() as u64, Relaxed);
        core.meter.spares.store(self.spares.len() as u64, Relaxed);
        let files = (self.segments.len() + self.spares.len()) as u64;
        core.meter.disk_bytes.store(files * core.options.segment_bytes, Relaxed);
    }
}
