//! The service behind the listeners: nothing until the node is a member, then the engine.
//!
//! Listeners are bound before anything else, so that a busy port touches nothing; until there is an engine every
//! request is answered "unavailable" with the reason, which is also what `/readyz` says.

use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use parking_lot::RwLock;
use trilith_domain::OpError;
use trilith_domain::ops::{Op, Output};
use trilith_engine::{Caller, Engine, Identity, Service};

/// See the module.
pub struct Door {
    engine: OnceLock<Arc<Engine>>,
    closed: RwLock<Option<String>>,
    barred: OnceLock<String>,
    identity: Identity,
}

impl Door {
    /// Closed, for this reason.
    pub fn closed(why: impl Into<String>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            engine: OnceLock::new(),
            closed: RwLock::new(Some(why.into())),
            barred: OnceLock::new(),
            identity,
        })
    }

    /// Changes the reason. What was open before still answers: a process that stops finishes what has begun.
    pub fn close(&self, why: impl Into<String>) {
        *self.closed.write() = Some(why.into());
    }

    /// Answers nothing any more, for good: what the node could say is no longer true.
    pub fn bar(&self, why: impl Into<String>) {
        let _ = self.barred.set(why.into());
    }

    /// Opens, for good: only [`Door::close`] at the end shuts it again.
    pub fn open(&self, engine: Arc<Engine>) {
        let _ = self.engine.set(engine);
        *self.closed.write() = None;
    }
}

impl Service for Door {
    fn execute<'a>(&'a self, caller: &'a Caller, op: Op) -> BoxFuture<'a, Result<Output, OpError>> {
        let why = match (self.barred.get(), self.engine.get()) {
            (None, Some(engine)) => return engine.execute(caller, op),
            (Some(why), _) => why.clone(),
            (None, None) => self.closed.read().clone().unwrap_or_default(),
        };
        Box::pin(async move { Err(OpError::Unavailable(why)) })
    }

    fn ready(&self) -> Result<(), String> {
        if let Some(why) = self.barred.get().cloned().or_else(|| self.closed.read().clone()) {
            return Err(why);
        }
        self.engine.get().map_or_else(|| Err("starting".into()), |engine| engine.ready())
    }

    fn identity(&self) -> Identity {
        self.engine.get().map_or_else(|| self.identity.clone(), |engine| engine.identity())
    }
}
