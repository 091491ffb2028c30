//! A term has one leader at the most.

use std::collections::BTreeMap;

use crate::world::{NODES, World};

/// Who was seen leading in which term.
#[derive(Default)]
pub(super) struct Elections {
    leaders: BTreeMap<u64, u64>,
}

impl Elections {
    pub(super) fn check(&mut self, world: &World) -> Result<(), String> {
        for node in NODES {
            let Some((replica, _)) = world.replica(node) else { continue };
            let status = replica.status();
            if !status.leads {
                continue;
            }
            let term = status.term;
            let known = *self.leaders.entry(term).or_insert_with(|| {
                world.trace.note(format_args!("node {node} leads term {term}"));
                node
            });
            if known != node {
                return Err(format!("nodes {known} and {node} both lead term {term}"));
            }
        }
        Ok(())
    }
}
