//! The nearest vectors of a shard's part of a vector index.
//!
//! The exact way, and the measure of every other: all entries of the run are looked at where they lie, and the keys of
//! the best so far are kept, no more than were asked for. Then their rows are read once more, whole, and shown. Whoever
//! knows good candidates by other means has them ranked and shown by the same [`rank`].

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use bytes::Bytes;
use trilith_values::Item;
use trilith_values::codec::{binary_in_place, decode_value};
use trilith_values::size::item_size;

use super::page::Bounds;
use super::plan::{IndexRun, Nearest, Neighbour, ReadReply, VectorPlan};
use super::run::{Spans, owned};
use super::view::{View, ViewError};
use crate::codec::Damage;
use crate::item::StoredItem;
use crate::keyspace::Family;
use crate::limits::SEARCH_BYTES_MAX;
use crate::schema::Span;
use crate::schema::vector::{self, Probe, VECTOR};

/// The shard's span of the index, where it owns all of the run; or the reply that says why not.
///
/// # Errors
/// [`ViewError`] when the span has to be read and cannot be.
pub fn owned_run(spans: &dyn Spans, plan: &VectorPlan) -> Result<Result<Span, ReadReply>, ViewError> {
    let (first, last) = match &plan.run {
        IndexRun::Partition { hash, .. } => (*hash, *hash),
        IndexRun::Interval(interval) => (interval.first, interval.last),
    };
    Ok(match owned(spans, plan.index, first, plan.schema)? {
        Ok(span) if !span.interval.contains(last) => Err(ReadReply::NotMine),
        found => found,
    })
}

/// Answers a search by looking at every entry of the run.
pub(super) fn nearest(spans: &dyn Spans, view: &dyn View, plan: &VectorPlan) -> Result<ReadReply, ViewError> {
    if let Err(reply) = owned_run(spans, plan)? {
        return Ok(reply);
    }
    let bounds = match &plan.run {
        IndexRun::Partition { prefix, .. } => Bounds::of_prefix(prefix.clone()),
        IndexRun::Interval(interval) => Bounds::of_interval(plan.index, interval),
    };
    let probe = Probe::new(plan.distance, &plan.vector);
    let top = plan.top as usize;
    let mut best: BinaryHeap<Candidate> = BinaryHeap::with_capacity(top + 1);
    let (mut vectors, mut fault) = (0, None);
    view.scan(Family::GlobalIndex, &bounds.start, &bounds.end, false, &mut |key, sealed| {
        vectors += 1;
        match measure(plan, &probe, sealed) {
            Ok(Some(distance)) => {
                // Keys ascend, so among equals the first stays.
                if best.len() < top {
                    best.push(Candidate { distance, key: Bytes::copy_from_slice(key) });
                } else if best.peek().is_some_and(|worst| distance < worst.distance) {
                    best.pop();
                    best.push(Candidate { distance, key: Bytes::copy_from_slice(key) });
                }
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(damage) => {
                fault = Some(damage.at(Family::GlobalIndex, key));
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    let found = rank(view, plan, best.into_iter().map(|candidate| candidate.key))?;
    Ok(ReadReply::Nearest(Nearest { found, vectors }))
}

/// The best of the entries with these keys, in order, each shown as the plan asks. What is not there, or does not pass
/// the plan's filters, is left out. Ends where the answer would be larger than the service lets it be.
///
/// # Errors
/// [`ViewError`] when rows cannot be read or are damaged.
pub fn rank(
    view: &dyn View,
    plan: &VectorPlan,
    keys: impl Iterator<Item = Bytes>,
) -> Result<Vec<Neighbour>, ViewError> {
    let probe = Probe::new(plan.distance, &plan.vector);
    let mut rows = Vec::new();
    for key in keys {
        let Some(sealed) = view.get(Family::GlobalIndex, &key)? else { continue };
        let measured = measure(plan, &probe, &sealed);
        if let Some(distance) = measured.map_err(|damage| damage.at(Family::GlobalIndex, &key))? {
            rows.push((Candidate { distance, key }, sealed));
        }
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    rows.truncate(plan.top as usize);
    let (mut found, mut bytes) = (Vec::with_capacity(rows.len()), 0);
    for (Candidate { distance, key }, sealed) in rows {
        let item = show(plan, &sealed).map_err(|damage| damage.at(Family::GlobalIndex, &key))?;
        bytes += item_size(&item) as u64;
        if bytes > SEARCH_BYTES_MAX {
            break;
        }
        found.push(Neighbour { distance, key: key.to_vec(), item });
    }
    Ok(found)
}

/// How far an entry is; `None` where a filter drops it. Checks the row's envelope.
fn measure(plan: &VectorPlan, probe: &Probe<'_>, sealed: &[u8]) -> Result<Option<f64>, Damage> {
    let stored = StoredItem::open(sealed)?;
    for (name, wanted) in &plan.filters {
        if stored.reader()?.find(name).map_err(Damage::content)?.as_ref() != Some(wanted) {
            return Ok(None);
        }
    }
    let packed = packed_vector(&stored)?;
    if packed.len() != 4 * plan.vector.len() {
        return Err(Damage::Content("the entry's vector has another length".to_owned()));
    }
    Ok(Some(probe.distance(packed)))
}

/// The vector of an entry, in place.
///
/// # Errors
/// [`Damage::Content`] for the row of another kind of index.
pub fn packed_vector<'s>(entry: &StoredItem<'s>) -> Result<&'s [u8], Damage> {
    // Its name is empty, so it stands first.
    match entry.reader()?.next().transpose().map_err(Damage::content)? {
        Some((VECTOR, value)) => binary_in_place(value).map_err(Damage::content)?,
        _ => None,
    }
    .ok_or_else(|| Damage::Content("the entry has no vector".to_owned()))
}

fn show(plan: &VectorPlan, sealed: &[u8]) -> Result<Item, Damage> {
    let stored = StoredItem::open(sealed)?;
    let mut item = Item::new();
    for attribute in stored.reader()? {
        let (name, mut value) = attribute.map_err(Damage::content)?;
        let (name, value) = match (name, &plan.shown) {
            (VECTOR, None) => continue,
            (VECTOR, Some(attribute)) => (attribute.clone(), vector::shown(packed_vector(&stored)?)),
            (name, _) => (name.to_owned(), decode_value(&mut value).map_err(Damage::content)?),
        };
        item.insert(name, value);
    }
    Ok(match &plan.projection {
        Some(projection) => projection.project(&item),
        None => item,
    })
}

/// An entry by its key; the greater, the farther.
#[derive(Clone, Debug)]
struct Candidate {
    distance: f64,
    key: Bytes,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.key.cmp(&other.key))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

#[cfg(test)]
mod tests;
