//! The catalog as this process has applied it, ready to be looked up by every request.
//!
//! The catalog is shard 0. Its rows lie in the engine of every node that holds a replica of it; this is the decoded
//! copy, made anew after every change. It may lag behind the leader: a table that is not here is looked for again
//! after [`Directory::catch_up`], and a span that moved is found by the shard's own answer.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use trilith_domain::catalog::{Catalog, TableRecord};
use trilith_values::ShardId;

use crate::members::Members;

/// The catalog's own shard.
pub const CATALOG: ShardId = ShardId(0);

/// The decoded catalog and a quick way to its tables.
#[derive(Default)]
struct Known {
    applied: u64,
    catalog: Arc<Catalog>,
    tables: HashMap<u64, HashMap<String, Arc<TableRecord>>>,
}

/// What this process knows of the catalog.
#[derive(Default)]
pub struct Directory {
    known: RwLock<Known>,
}

impl Directory {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.known.read().catalog)
    }

    /// A table by account and name.
    pub fn table(&self, account: u64, name: &str) -> Option<Arc<TableRecord>> {
        self.known.read().tables.get(&account)?.get(name).cloned()
    }

    /// The index of shard 0 that this knowledge stands at.
    pub fn applied(&self) -> u64 {
        self.known.read().applied
    }

    /// Decodes the catalog again if a local replica has applied more than this knows.
    pub fn catch_up(&self, members: &Members) {
        let furthest = members.replicas(CATALOG).into_iter().max_by_key(|replica| replica.applied().index());
        let Some(replica) = furthest else { return };
        let applied = replica.applied();
        if applied.index() <= self.applied() {
            return;
        }
        // The index is read first: rows of later entries may be seen too, and are then seen again.
        let index = applied.index();
        self.replace(index, applied.catalog());
    }

    fn replace(&self, applied: u64, catalog: Catalog) {
        let mut tables: HashMap<u64, HashMap<String, Arc<TableRecord>>> = HashMap::new();
        for table in catalog.tables() {
            tables.entry(table.account).or_default().insert(table.name.clone(), Arc::new(table.clone()));
        }
        let mut known = self.known.write();
        if applied > known.applied {
            *known = Known { applied, catalog: Arc::new(catalog), tables };
        }
    }
}
