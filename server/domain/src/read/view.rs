//! What reads need of a store: one moment of its rows.

use std::fmt;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::codec::CorruptValue;
use crate::keyspace::Family;

/// What [`View::scan`] calls for each row: key, value. `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A state of the rows. Implemented over the engine (and its snapshots) by consensus, and over a map in tests.
///
/// A view of the present state is good for a [`Plan::Get`](super::Plan::Get); everything else should be given a view
/// of one moment.
pub trait View {
    /// The sealed value of `key`, or `None`.
    ///
    /// # Errors
    /// [`ViewError`] when the row cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, ViewError>;

    /// Visits the rows with `start <= key < end` in ascending order, or in descending order when `reverse`.
    ///
    /// # Errors
    /// [`ViewError`] when the rows cannot be read.
    fn scan(
        &self,
        family: Family,
        start: &[u8],
        end: &[u8],
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), ViewError>;
}

/// Why rows cannot be read. Never an answer to a client: the node stops serving the shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// The store failed; its words.
    Io(String),
    /// A stored value is damaged.
    Corrupt(CorruptValue),
}

impl From<CorruptValue> for ViewError {
    fn from(error: CorruptValue) -> Self {
        Self::Corrupt(error)
    }
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(text) => f.write_str(text),
            Self::Corrupt(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ViewError {}
