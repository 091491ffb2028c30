//! The ledger of what clients asked and were told, and the check that it could have happened one by one.
//!
//! Each key is a register of its own. There must be an order of its operations in which each takes effect at one
//! moment between its call and its answer, every read gives the value last written, and every write replaced the
//! value that it says it replaced. A write whose outcome is unknown may have happened at any time after its call, or
//! never: where nobody saw its value, it did not; where somebody did, it had happened by then.

use std::collections::{BTreeMap, BTreeSet};

/// A value that is written once in a run.
pub(crate) type Value = u64;

/// What an operation did, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    /// Wrote; `over` is what it replaced, where it was answered.
    Write {
        value: Value,
        over: Option<Option<Value>>,
    },
    Read {
        value: Option<Value>,
    },
}

/// An operation of one key. Times are numbers of events.
#[derive(Clone, Copy, Debug)]
struct Op {
    key: u64,
    did: Did,
    began: u64,
    /// `None` while its outcome is unknown.
    ended: Option<u64>,
}

/// Everything that clients asked and were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    ops: Vec<Option<Op>>,
}

impl History {
    pub(crate) fn begin_write(&mut self, key: u64, value: Value, began: u64) -> usize {
        self.ops.push(Some(Op { key, did: Did::Write { value, over: None }, began, ended: None }));
        self.ops.len() - 1
    }

    pub(crate) fn written(&mut self, op: usize, over: Option<Value>, ended: u64) {
        let op = self.ops[op].as_mut().expect("it was begun");
        let Did::Write { value, .. } = op.did else { panic!("it was a write") };
        op.did = Did::Write { value, over: Some(over) };
        op.ended = Some(ended);
    }

    pub(crate) fn not_written(&mut self, op: usize) {
        self.ops[op] = None;
    }

    pub(crate) fn read(&mut self, key: u64, value: Option<Value>, began: u64, ended: u64) {
        self.ops.push(Some(Op { key, did: Did::Read { value }, began, ended: Some(ended) }));
    }

    fn count(&self, wanted: impl Fn(&Op) -> bool) -> usize {
        self.ops.iter().flatten().filter(|op| wanted(op)).count()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.count(|op| matches!(op.did, Did::Write { .. }) && op.ended.is_some())
    }

    pub(crate) fn unknown(&self) -> usize {
        self.count(|op| op.ended.is_none())
    }

    pub(crate) fn reads(&self) -> usize {
        self.count(|op| matches!(op.did, Did::Read { .. }))
    }
}

/// Checks every key.
///
/// # Errors
/// The key and the operations that fit in no order.
pub(crate) fn check(history: &History) -> Result<(), String> {
    let mut keys: BTreeMap<u64, Vec<Op>> = BTreeMap::new();
    for op in history.ops.iter().flatten() {
        keys.entry(op.key).or_default().push(*op);
    }
    for (key, ops) in keys {
        let ops = settled(ops);
        if let Err(stuck) = order(&ops) {
            let told: Vec<String> =
                stuck.iter().map(|op| format!("{:?} in {}..{}", op.did, op.began, op.end())).collect();
            return Err(format!(
                "key {key}: there is no order of its operations; stuck at {}",
                told.join(" | ")
            ));
        }
    }
    Ok(())
}

impl Op {
    fn end(&self) -> u64 {
        self.ended.expect("settled operations have ended")
    }

    /// The value that it tells of, besides the one it writes.
    fn saw(&self) -> Option<Value> {
        match self.did {
            Did::Read { value } => value,
            Did::Write { over, .. } => over.flatten(),
        }
    }
}

/// Drops writes of unknown outcome that nobody saw; the others had happened when they were first seen.
fn settled(ops: Vec<Op>) -> Vec<Op> {
    let mut seen: BTreeMap<Value, u64> = BTreeMap::new();
    for op in &ops {
        if let (Some(value), Some(ended)) = (op.saw(), op.ended) {
            let first = seen.entry(value).or_insert(ended);
            *first = ended.min(*first);
        }
    }
    let settle = |op: Op| match op.did {
        Did::Write { value, .. } => Some(Op { ended: op.ended.or(seen.get(&value).copied()), ..op }),
        Did::Read { .. } => Some(op),
    };
    let mut ops: Vec<Op> = ops.into_iter().filter_map(settle).filter(|op| op.ended.is_some()).collect();
    ops.sort_by_key(|op| op.began);
    ops
}

/// Looks for an order. Fails with the operations among which the furthest attempt found none that fits.
fn order(ops: &[Op]) -> Result<(), Vec<Op>> {
    let mut search = Search { ops, tried: BTreeSet::new(), furthest: (0, Vec::new()) };
    match search.from(State { first: 0, done: BTreeSet::new(), value: None }) {
        true => Ok(()),
        false => Err(search.furthest.1),
    }
}

/// Operations before `first` are all done, and of the others those in `done`; the register holds `value`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    first: usize,
    done: BTreeSet<usize>,
    value: Option<Value>,
}

struct Search<'o> {
    ops: &'o [Op],
    tried: BTreeSet<State>,
    furthest: (usize, Vec<Op>),
}

impl Search<'_> {
    fn from(&mut self, start: State) -> bool {
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            if state.first == self.ops.len() {
                return true;
            }
            if !self.tried.insert(state.clone()) {
                continue;
            }
            let candidates = self.candidates(&state);
            let next: Vec<State> = candidates.iter().filter_map(|at| self.after(&state, *at)).collect();
            let reached = state.first + state.done.len();
            if next.is_empty() && reached >= self.furthest.0 {
                self.furthest = (reached, candidates.iter().map(|at| self.ops[*at]).collect());
            }
            open.extend(next);
        }
        false
    }

    /// Operations that may come next: those that began before any of the missing ones had ended.
    fn candidates(&self, state: &State) -> Vec<usize> {
        let mut candidates = Vec::new();
        let mut bound = u64::MAX;
        for at in state.first..self.ops.len() {
            if self.ops[at].began > bound {
                break;
            }
            if !state.done.contains(&at) {
                candidates.push(at);
                bound = bound.min(self.ops[at].end());
            }
        }
        candidates.retain(|at| self.ops[*at].began <= bound);
        // A read that fits now may come now: it changes nothing for the others.
        let fits = |at: &&usize| matches!(self.ops[**at].did, Did::Read { value } if value == state.value);
        match candidates.iter().find(fits) {
            Some(at) => vec![*at],
            None => candidates,
        }
    }

    fn after(&self, state: &State, at: usize) -> Option<State> {
        let value = match self.ops[at].did {
            Did::Read { value } => (value == state.value).then_some(value)?,
            Did::Write { over: Some(over), .. } if over != state.value => return None,
            Did::Write { value, .. } => Some(value),
        };
        let mut next = State { value, ..state.clone() };
        next.done.insert(at);
        while next.done.remove(&next.first) {
            next.first += 1;
        }
        Some(next)
    }
}

/// The oracle judges the simulation; who judges the oracle?
#[cfg(test)]
mod tests {
    use super::*;

    /// Writes and reads of key 1: `w(value, over, began, ended)`, `u(value, began)`, `r(value, began, ended)`.
    struct Case(History);

    impl Case {
        fn new() -> Self {
            Self(History::default())
        }

        fn w(mut self, value: Value, over: Option<Value>, began: u64, ended: u64) -> Self {
            let op = self.0.begin_write(1, value, began);
            self.0.written(op, over, ended);
            self
        }

        fn u(mut self, value: Value, began: u64) -> Self {
            self.0.begin_write(1, value, began);
            self
        }

        fn r(mut self, value: Option<Value>, began: u64, ended: u64) -> Self {
            self.0.read(1, value, began, ended);
            self
        }

        fn fine(self) -> bool {
            check(&self.0).is_ok()
        }
    }

    #[test]
    fn what_could_have_happened_passes() {
        assert!(Case::new().fine());
        assert!(Case::new().r(None, 1, 2).w(10, None, 3, 4).r(Some(10), 5, 6).fine());
        // Two at the same time, in either order.
        assert!(Case::new().w(10, Some(20), 1, 9).w(20, None, 2, 8).r(Some(10), 10, 11).fine());
        assert!(Case::new().w(10, None, 1, 9).r(None, 2, 3).r(Some(10), 4, 5).fine());
    }

    #[test]
    fn stale_and_lost_values_do_not() {
        assert!(!Case::new().w(10, None, 1, 2).r(None, 3, 4).fine(), "stale");
        assert!(!Case::new().w(10, None, 1, 2).w(20, None, 3, 4).fine(), "lost under the next write");
        assert!(!Case::new().w(10, None, 1, 9).r(Some(10), 2, 3).r(None, 4, 5).fine(), "back in time");
        assert!(!Case::new().r(Some(10), 1, 2).w(10, None, 3, 4).fine(), "before it was asked for");
        assert!(!Case::new().r(Some(99), 1, 2).fine(), "out of nowhere");
        assert!(!Case::new().w(10, None, 1, 5).w(20, None, 2, 6).fine(), "two over the same");
    }

    #[test]
    fn an_unknown_outcome_stays_open_until_it_is_seen() {
        assert!(Case::new().u(10, 1).r(None, 2, 3).fine());
        assert!(Case::new().u(10, 1).r(None, 2, 3).r(Some(10), 4, 5).fine(), "it may come late");
        assert!(Case::new().u(10, 1).w(20, Some(10), 2, 3).r(Some(20), 4, 5).fine());
        assert!(!Case::new().u(10, 1).r(Some(10), 2, 3).r(None, 4, 5).fine(), "but it does not go again");
        assert!(!Case::new().u(10, 1).w(20, Some(10), 2, 3).r(Some(10), 4, 5).fine());
    }

    #[test]
    fn keys_do_not_mix_and_an_unproposed_write_never_happened() {
        let mut history = History::default();
        let op = history.begin_write(1, 10, 1);
        history.not_written(op);
        history.read(2, None, 2, 3);
        assert_eq!((history.acknowledged(), history.unknown(), history.reads()), (0, 0, 1));
        assert!(check(&history).is_ok());
        history.read(1, Some(10), 4, 5);
        assert!(check(&history).is_err());
    }
}
