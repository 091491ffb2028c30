//! What can go wrong on disk, in words for the person who runs the node.
//!
//! Each message is one line and ends with what to do. Variants differ by what the caller can do about them, not by
//! where they arose: a folder that cannot be used ends the start-up, [`StorageError::Corrupt`] costs the replicas it
//! names, and [`StorageError::Io`] and [`StorageError::Fenced`] cost the node until it is restarted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// An error of this crate. Cheap to clone, since one failed sync answers many waiting callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The folder cannot be created or written.
    #[error(
        "cannot write to the data folder {}: {reason}; make it writable for this user or name another folder with --data-dir",
        path.display()
    )]
    NotWritable {
        /// The data folder.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },

    /// The folder or one of its files was written by a newer version. Nothing was touched.
    #[error(
        "{} has format {found}, but this version reads up to {supported}; start it with the newer version that wrote it",
        path.display()
    )]
    NewerFormat {
        /// The data folder or the file in it.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this version can read.
        supported: u32,
    },

    /// Another running process holds the folder. Nothing was touched.
    #[error(
        "the data folder {} is in use by {}; stop it or name another folder with --data-dir",
        path.display(),
        match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() }
    )]
    InUse {
        /// The data folder.
        path: PathBuf,
        /// The process that holds it, when it wrote its id.
        pid: Option<u32>,
    },

    /// The folder holds files, but is no data folder of ours. Nothing was touched.
    #[error(
        "{} holds other files (such as {found}) and is no data folder; name an empty or new folder with --data-dir",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the files found there.
        found: String,
    },

    /// The folder has a log or state, but nothing says whose. Nothing was touched.
    #[error(
        "the data folder {} holds a log and state, but its file FORMAT is missing, so nobody can say whose they are; \
         restore the file, or name another folder with --data-dir and let the node join as a new one",
        path.display()
    )]
    NoIdentity {
        /// The data folder.
        path: PathBuf,
    },

    /// The folder belongs to another node or cluster than the one asked for.
    #[error(
        "the data folder {} belongs to {found}, not to {wanted}; name the right folder with --data-dir",
        path.display()
    )]
    WrongIdentity {
        /// The data folder.
        path: PathBuf,
        /// The identity written in the folder.
        found: String,
        /// The identity that was asked for.
        wanted: String,
    },

    /// Stored bytes fail their checksum or contradict each other. They were not served.
    #[error(
        "damaged data in {place}: {detail}{}; replace the affected replicas from their peers, and check the disk",
        affected_clause(affected)
    )]
    Corrupt {
        /// The file and offset, or the key, that is damaged.
        place: String,
        /// What is wrong with it.
        detail: String,
        /// Ids of the logs (replicas) that may have lost records by it; empty when unknown or none.
        affected: Vec<u64>,
    },

    /// The operating system refused a read, write or sync.
    #[error("{action} failed: {source}; check the disk (space, health, mount) and restart the node")]
    Io {
        /// What was being done, with the file's name.
        action: String,
        /// The operating system's error.
        source: Arc<io::Error>,
    },

    /// The state engine refused an operation.
    #[error(
        "the state engine failed while {action}: {reason}; check the disk (space, health, mount) and restart the node"
    )]
    Engine {
        /// What was being done.
        action: &'static str,
        /// The engine's message.
        reason: String,
    },

    /// An earlier write or sync failed, or the log was closed; nothing is accepted any more.
    #[error("storage is fenced after an earlier failure ({reason}); check the disk and restart the node")]
    Fenced {
        /// The failure that closed it.
        reason: String,
    },

    /// The caller broke the order of a log (a gap, an unknown or destroyed log). The log is unharmed.
    #[error("log {log} refused an operation out of order: {detail}; this is a defect, report it")]
    OutOfOrder {
        /// The log's id.
        log: u64,
        /// What was asked and what was possible.
        detail: String,
    },
}

impl StorageError {
    /// An [`StorageError::Io`] for `action`, a phrase such as "reading log segment 3".
    pub fn io(action: impl Into<String>, source: io::Error) -> StorageError {
        StorageError::Io { action: action.into(), source: Arc::new(source) }
    }

    /// True for errors that concern stored bytes and not the node's ability to go on.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, StorageError::Corrupt { .. })
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> io::Error {
        let kind = match &error {
            StorageError::Io { source, .. } => source.kind(),
            StorageError::Corrupt { .. } => io::ErrorKind::InvalidData,
            StorageError::OutOfOrder { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// A sealed value whose format byte or checksum is wrong. The caller knows the key and builds the full error with
/// [`Damaged::at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// The value is shorter than its envelope.
    #[error("the value is too short to hold its checksum")]
    Short,
    /// The format byte is not one this version writes.
    #[error("the value has format {0}, which this version cannot read")]
    Format(u8),
    /// The checksum does not match the payload.
    #[error("the value does not match its checksum")]
    Checksum,
}

impl Damaged {
    /// The reportable error for a damaged value found at `place` (a family and key, readable).
    pub fn at(self, place: impl Into<String>) -> StorageError {
        StorageError::Corrupt { place: place.into(), detail: self.to_string(), affected: Vec::new() }
    }
}

/// ", affecting logs 3, 7" or nothing.
fn affected_clause(affected: &[u64]) -> String {
    if affected.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = affected.iter().map(u64::to_string).collect();
    format!(", affecting logs {}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_say_what_to_do() {
        let path = PathBuf::from("/data");
        let all = [
            (StorageError::NotWritable { path: path.clone(), reason: "read-only".into() }, "--data-dir"),
            (StorageError::NewerFormat { path: path.clone(), found: 9, supported: 1 }, "newer version"),
            (StorageError::InUse { path: path.clone(), pid: Some(77) }, "process 77"),
            (StorageError::InUse { path: path.clone(), pid: None }, "another process"),
            (StorageError::Foreign { path: path.clone(), found: "x".into() }, "empty or new folder"),
            (StorageError::NoIdentity { path: path.clone() }, "restore the file"),
            (StorageError::WrongIdentity { path, found: "a".into(), wanted: "b".into() }, "right folder"),
            (
                StorageError::Corrupt { place: "p".into(), detail: "d".into(), affected: vec![3, 7] },
                "logs 3, 7",
            ),
            (StorageError::io("reading x", io::Error::other("boom")), "restart the node"),
            (StorageError::Engine { action: "writing", reason: "r".into() }, "restart the node"),
            (StorageError::Fenced { reason: "r".into() }, "restart the node"),
            (StorageError::OutOfOrder { log: 4, detail: "gap".into() }, "report it"),
        ];
        for (error, hint) in all {
            let text = error.to_string();
            assert!(!text.contains('\n'), "{text}");
            assert!(text.contains(hint), "{text}");
        }
    }

    #[test]
    fn io_kind_survives_the_conversion() {
        let full = StorageError::io("writing", io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(io::Error::from(full).kind(), io::ErrorKind::StorageFull);
        assert_eq!(io::Error::from(Damaged::Checksum.at("k")).kind(), io::ErrorKind::InvalidData);
    }
}
