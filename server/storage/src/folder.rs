//! The data folder of a node: whose it is, which format it has, and who is using it.
//!
//! ```text
//! FORMAT   text: format, cluster, node, crc; written once the node knows who it is
//! FOUNDING there while the node's first replicas are being made; the server's
//! LOCK     held while a process uses the folder; contains its id
//! log/     segments of the raft log
//! state/   the state engine
//! ```
//!
//! [`Folder::open`] makes all checks that can refuse a folder before it changes anything in it: is it ours, is its
//! format one we know, is it writable, is it free. The order matters: a folder of a newer version, or of a running
//! process, is left exactly as it was.

use crate::error::StorageError;
use crate::files::OsFiles;
use crate::files::sync_folder;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The format of folders that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_NEW: &str = "FORMAT.new";
const LOCK_FILE: &str = "LOCK";
/// Left by the server while a node's first start is under way.
const FOUNDING_FILE: &str = "FOUNDING";
const FOUNDING_NEW: &str = "FOUNDING.new";
const LOG_FOLDER: &str = "log";
const STATE_FOLDER: &str = "state";

/// Who a folder belongs to. It never changes once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's id: one line of text.
    pub cluster: String,
    /// The node's id within the cluster.
    pub node: u64,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {} of cluster {}", self.node, self.cluster)
    }
}

/// A data folder that this process holds, until the value is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    identity: Option<Identity>,
    /// Locked by the operating system for as long as it is open, so a crash frees it.
    _lock: File,
}

impl Folder {
    /// Checks and takes the folder at `path`; creates it if it does not exist.
    ///
    /// # Errors
    /// [`StorageError::Foreign`], [`StorageError::NewerFormat`], [`StorageError::Corrupt`],
    /// [`StorageError::NotWritable`], [`StorageError::InUse`], [`StorageError::NoIdentity`]. Nothing was touched then, but that missing parent
    /// folders may have been created.
    pub fn open(path: &Path) -> Result<Folder, StorageError> {
        check_ours(path)?;
        // Before anything is written: a folder of a newer version may use other files than we think.
        // Log and state without an identity are nobody's: a second life over them would apply its log to another's state.
        if read_format(path)?.is_none() && !holds_nothing(path)? {
            return Err(StorageError::NoIdentity { path: path.to_owned() });
        }
        create(path)?;
        let lock = take_lock(path)?;
        // Once more under the lock: the process that held it until now may have written it.
        let identity = read_format(path)?;
        Ok(Folder { path: path.to_owned(), identity, _lock: lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who the folder belongs to; `None` for a folder whose node has not been told yet.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Makes the folder that of `identity`, durably.
    ///
    /// # Errors
    /// [`StorageError::WrongIdentity`] if it belongs to another one, [`StorageError::Io`].
    pub fn claim(&mut self, identity: Identity) -> Result<(), StorageError> {
        if let Some(found) = &self.identity {
            if *found == identity {
                return Ok(());
            }
            return Err(StorageError::WrongIdentity {
                path: self.path.clone(),
                found: found.to_string(),
                wanted: identity.to_string(),
            });
        }
        let text = render(&identity);
        let written = replace_durably(&self.path, &text);
        written.map_err(|error| {
            StorageError::io(format!("writing {}", self.path.join(FORMAT_FILE).display()), error)
        })?;
        self.identity = Some(identity);
        Ok(())
    }

    /// Whether the folder has files of both log and state, as it has once its node ran; without either, the node has
    /// lost what it promised. A folder that cannot be read counts as whole: opening it says what is wrong.
    pub fn is_whole(&self) -> bool {
        [LOG_FOLDER, STATE_FOLDER].iter().all(|name| match std::fs::read_dir(self.path.join(name)) {
            Ok(mut files) => files.next().is_some(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        })
    }

    /// The files of the raft log.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn log_files(&self) -> Result<OsFiles, StorageError> {
        let path = self.path.join(LOG_FOLDER);
        OsFiles::new(&path).map_err(|error| StorageError::io(format!("creating {}", path.display()), error))
    }

    /// Where the state engine keeps its files.
    pub fn state_path(&self) -> PathBuf {
        self.path.join(STATE_FOLDER)
    }
}

/// Refuses a folder with files that we did not make: a mistyped path must not fill somebody's home.
fn check_ours(path: &Path) -> Result<(), StorageError> {
    let files = match std::fs::read_dir(path) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(not_writable(path, &error)),
    };
    let mut names: Vec<String> =
        files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let ours = [FORMAT_FILE, FORMAT_NEW, LOCK_FILE, LOG_FOLDER, STATE_FOLDER, FOUNDING_FILE, FOUNDING_NEW];
    // A folder with our FORMAT is ours, whatever else was put there. `lost+found` is in each new file system.
    let foreign = names.iter().find(|name| !ours.contains(&name.as_str()) && *name != "lost+found");
    match foreign {
        Some(found) if !names.iter().any(|name| name == FORMAT_FILE) => {
            Err(StorageError::Foreign { path: path.to_owned(), found: found.clone() })
        }
        _ => Ok(()),
    }
}

/// Whether the folder at `path`, if there is one, has neither log nor state.
fn holds_nothing(path: &Path) -> Result<bool, StorageError> {
    for name in [LOG_FOLDER, STATE_FOLDER] {
        let path = path.join(name);
        match std::fs::read_dir(&path) {
            Ok(mut files) => {
                if files.next().is_some() {
                    return Ok(false);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(StorageError::io(format!("reading {}", path.display()), error)),
        }
    }
    Ok(true)
}

/// Creates the folder if need be, and makes sure that it is writable.
fn create(path: &Path) -> Result<(), StorageError> {
    if !path.exists() {
        std::fs::create_dir_all(path).map_err(|error| not_writable(path, &error))?;
        let parent = path.parent().unwrap_or(Path::new("."));
        sync_folder(parent).map_err(|error| not_writable(path, &error))?;
    }
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)
        .map_err(|error| not_writable(path, &error.into()))
}

fn not_writable(path: &Path, error: &io::Error) -> StorageError {
    StorageError::NotWritable { path: path.to_owned(), reason: error.to_string() }
}

/// Locks the folder for this process and leaves our process id in the lock file.
fn take_lock(path: &Path) -> Result<File, StorageError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
    let mut lock = opened.map_err(|error| not_writable(path, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The id is a courtesy; without it the message still says what to do.
            let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StorageError::InUse { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(not_writable(path, &error)),
    }
    let written = lock
        .set_len(0)
        .and_then(|()| lock.rewind())
        .and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
    written.map_err(|error| not_writable(path, &error))?;
    Ok(lock)
}

/// The text of a FORMAT file.
fn render(identity: &Identity) -> String {
    let mut text = format!("format {FORMAT}\ncluster {}\nnode {}\n", identity.cluster, identity.node);
    let crc = crc32fast::hash(text.as_bytes());
    let _ = writeln!(text, "crc {crc:08x}");
    text
}

/// Writes the FORMAT file so that a crash leaves either none or a whole one.
fn replace_durably(path: &Path, text: &str) -> io::Result<()> {
    let new = path.join(FORMAT_NEW);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path.join(FORMAT_FILE))?;
    sync_folder(path)
}

/// The identity in the FORMAT file; `None` if there is no such file.
fn read_format(path: &Path) -> Result<Option<Identity>, StorageError> {
    let file = path.join(FORMAT_FILE);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(StorageError::io(format!("reading {}", file.display()), error));
        }
    };
    parse(&file, &bytes).map(Some)
}

fn parse(file: &Path, bytes: &[u8]) -> Result<Identity, StorageError> {
    let damaged = |detail: &str| StorageError::Corrupt {
        place: file.display().to_string(),
        detail: detail.to_owned(),
        affected: Vec::new(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let mut lines = text.lines();
    let mut field = |name: &str| {
        let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.ok_or_else(|| damaged(&format!("the line '{name}' is missing")))
    };
    // The format comes first and alone decides whether the rest is ours to read, its checksum included.
    let format: u32 = field("format")?.parse().map_err(|_| damaged("the format is no number"))?;
    if format > FORMAT {
        let path = file.parent().unwrap_or(file).to_owned();
        return Err(StorageError::NewerFormat { path, found: format, supported: FORMAT });
    }
    let cluster = field("cluster")?.to_owned();
    let node = field("node")?.parse().map_err(|_| damaged("the node is no number"))?;
    let crc = field("crc")?;
    let identity = Identity { cluster, node };
    if format != FORMAT || text != render(&identity) || crc.len() != 8 {
        return Err(damaged("it does not match its checksum"));
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn identity() -> Identity {
        Identity { cluster: "c-1".to_owned(), node: 3 }
    }

    /// Name and content of every file below `path`.
    fn listing(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = std::fs::read_dir(path).expect("a folder");
        files.flatten().map(|file| (file.path(), std::fs::read(file.path()).unwrap_or_default())).collect()
    }

    #[test]
    fn a_folder_is_created_claimed_and_found_again() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let path = parent.path().join("a/b");
        let mut folder = Folder::open(&path).expect("created");
        assert_eq!(folder.identity(), None);
        folder.claim(identity()).expect("claimed");
        folder.claim(identity()).expect("the same again is fine");
        let other = Identity { node: 4, ..identity() };
        assert!(matches!(folder.claim(other), Err(StorageError::WrongIdentity { .. })));
        folder.log_files().expect("created");
        assert!(holds_nothing(&path).expect("readable"), "an empty subfolder holds nothing");
        std::fs::write(path.join("log/x"), "x").expect("written");
        assert!(!holds_nothing(&path).expect("readable"));
        assert!(!folder.is_whole(), "a log without a state");
        std::fs::create_dir(folder.state_path()).expect("created");
        std::fs::write(path.join("state/x"), "x").expect("written");
        assert!(folder.is_whole());
        drop(folder);
        assert_eq!(Folder::open(&path).expect("opened").identity(), Some(&identity()));
    }

    #[test]
    fn log_or_state_without_an_identity_is_refused() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let mut folder = Folder::open(parent.path()).expect("opened");
        folder.claim(identity()).expect("claimed");
        folder.log_files().expect("created");
        std::fs::write(parent.path().join("log/x"), "x").expect("written");
        drop(folder);
        std::fs::remove_file(parent.path().join(FORMAT_FILE)).expect("removed");
        let before = listing(parent.path());
        let refused = Folder::open(parent.path()).expect_err("whose is it");
        assert!(matches!(refused, StorageError::NoIdentity { .. }), "{refused}");
        assert_eq!(listing(parent.path()), before);
    }

    #[test]
    fn a_folder_in_use_is_refused_with_the_process_id() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let held = Folder::open(parent.path()).expect("opened");
        let before = listing(parent.path());
        let refused = Folder::open(parent.path()).expect_err("in use");
        assert!(
            matches!(refused, StorageError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        assert_eq!(listing(parent.path()), before);
        drop(held);
        assert!(Folder::open(parent.path()).is_ok());
    }

    #[test]
    fn a_newer_folder_is_refused_untouched() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(parent.path().join("FORMAT"), "format 2\nwhatever comes then\n").expect("written");
        let before = listing(parent.path());
        let refused = Folder::open(parent.path()).expect_err("newer");
        assert!(matches!(refused, StorageError::NewerFormat { found: 2, supported: 1, .. }), "{refused}");
        assert_eq!(listing(parent.path()), before);
    }

    #[test]
    fn a_foreign_folder_and_a_file_are_refused_untouched() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let file = parent.path().join("notes.txt");
        std::fs::write(&file, "mine").expect("written");
        let before = listing(parent.path());
        assert!(
            matches!(Folder::open(parent.path()), Err(StorageError::Foreign { found, .. }) if found == "notes.txt")
        );
        assert!(matches!(Folder::open(&file), Err(StorageError::NotWritable { .. })));
        assert!(matches!(Folder::open(&file.join("below")), Err(StorageError::NotWritable { .. })));
        assert_eq!(listing(parent.path()), before);
    }

    #[test]
    fn the_first_format_is_read_for_ever_and_any_changed_byte_is_noticed() {
        let fixture = "format 1\ncluster c-1\nnode 3\ncrc 387c9cfc\n";
        assert_eq!(render(&identity()), fixture);
        let path = Path::new("/data/FORMAT");
        assert_eq!(parse(path, fixture.as_bytes()).expect("valid"), identity());
        for at in 0..fixture.len() {
            let mut bytes = fixture.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(parse(path, &bytes).is_err(), "byte {at}");
        }
    }
}
