//! One shard in memory: the domain's state and apply function over a map of rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use trilith_domain::keyspace::Family;
use trilith_domain::machine::{
    Batch, Command, CommandBody, Effect, Effects, Limits, Prefetched, Reply, ShardState, apply_batch,
    reads_of,
};
use trilith_domain::read::{Plan, ReadReply, View, ViewError, Visit, run};
use trilith_domain::time::Stamp;
use trilith_values::{CommandId, ShardId};

/// A shard: its state and its rows.
#[derive(Clone, Debug)]
pub struct LocalShard {
    state: ShardState,
    rows: BTreeMap<(Family, Bytes), Bytes>,
    index: u64,
}

impl LocalShard {
    /// Without a row.
    pub fn new(shard: ShardId, limits: Limits) -> Self {
        Self { state: ShardState::new(shard).with_limits(limits), rows: BTreeMap::new(), index: 0 }
    }

    /// The state besides the rows of items.
    pub fn state(&self) -> &ShardState {
        &self.state
    }

    /// Rows of a family.
    pub fn count_rows(&self, family: Family) -> usize {
        self.rows.keys().filter(|(of, _)| *of == family).count()
    }

    /// Applies a command as an entry of its own.
    ///
    /// # Panics
    /// When a row is damaged, or when the state in memory is not what its rows say.
    pub fn apply(&mut self, body: CommandBody, now: Stamp) -> Reply {
        self.index += 1;
        let command = Command { id: CommandId(u128::from(self.index)), body };
        let batch = Batch { leader_stamp: now, commands: vec![command] };
        let keys = reads_of(&batch);
        let values = keys.iter().map(|key| self.rows.get(key).cloned()).collect();
        let fetched = Prefetched::new(keys, values);
        let (mut replies, effects) =
            apply_batch(&mut self.state, fetched, &batch, self.index).expect("rows in memory are intact");
        self.write(effects);
        replies.pop().expect("one command has one reply")
    }

    /// Sets or removes a row, whatever the state says.
    pub(super) fn plant(&mut self, family: Family, key: &[u8], value: Option<Bytes>) {
        let effect = match value {
            Some(value) => Effect::Put { family, key: Bytes::copy_from_slice(key), value },
            None => Effect::Delete { family, key: Bytes::copy_from_slice(key) },
        };
        self.write(Effects(vec![effect]));
    }

    fn write(&mut self, effects: Effects) {
        for effect in effects.0 {
            match effect {
                Effect::Put { family, key, value } => drop(self.rows.insert((family, key), value)),
                Effect::Delete { family, key } => drop(self.rows.remove(&(family, key))),
                Effect::DeleteRange { family, start, end } => {
                    self.rows.retain(|(of, key), _| *of != family || *key < start || *key >= end);
                }
            }
        }
    }

    /// Runs a plan.
    ///
    /// # Panics
    /// When a row is damaged.
    pub fn read(&self, plan: &Plan) -> ReadReply {
        run(&self.state, self, plan).expect("rows in memory are intact")
    }
}

impl View for LocalShard {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        Ok(self.rows.get(&(family, Bytes::copy_from_slice(key))).cloned())
    }

    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError> {
        let bound = |key: &[u8]| (family, Bytes::copy_from_slice(key));
        let mut range = self.rows.range(bound(start)..bound(end));
        let each = |((_, key), value): (&(Family, Bytes), &Bytes)| visit(key, value);
        let _: ControlFlow<()> =
            if reverse { range.rev().try_for_each(each) } else { range.try_for_each(each) };
        Ok(())
    }
}
